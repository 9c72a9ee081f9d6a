package storetest

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/lethe-cloud/lethe/internal/account"
	"github.com/lethe-cloud/lethe/internal/audit"
	"github.com/lethe-cloud/lethe/internal/fleet"
	"github.com/lethe-cloud/lethe/internal/phone"
)

// Trail is an audit trail that writes into the fixture's store.
func (f Fixture) Trail() *audit.Log {
	return audit.NewLog(f.RecordAudit, slog.New(slog.DiscardHandler), f.Clock.Now)
}

// under gives the context of a call of the owner's.
func (f Fixture) under(ctx context.Context, trace audit.Trace, request string) (context.Context, *audit.Entry) {
	return f.Trail().Begin(ctx, audit.Event{
		Project: string(f.Project(0)), Source: "192.0.2.7", Agent: "test\x00/1\u202e", Trace: trace, Route: "POST /x", Request: request,
	}, account.Caller{Identity: f.Owner, AccessKey: f.Key.ID})
}

// events gives what the filter chooses of the owner's account, with every page read.
func (f Fixture) events(t testing.TB, filter fleet.AuditFilter) []audit.Event {
	t.Helper()
	filter.Account, filter.Projects = f.Owner.Account.ID, []string{string(f.Project(0))}
	if filter.Limit == 0 {
		filter.Limit = 2
	}
	var all []audit.Event
	for {
		page, next, err := f.AuditEvents(t.Context(), filter)
		must(t, "AuditEvents", err)
		if len(page) > filter.Limit {
			t.Errorf("a page of %d events, at most %d were asked for", len(page), filter.Limit)
		}
		all = append(all, page...)
		if next == (fleet.AuditMark{}) {
			return all
		}
		filter.After = next
	}
}

// changes gives the changes of the only event that the filter chooses.
func (f Fixture) changes(t testing.TB, filter fleet.AuditFilter) []audit.Change {
	t.Helper()
	events := f.events(t, filter)
	if len(events) != 1 {
		t.Fatalf("%d events, want 1: %v", len(events), events)
	}
	return events[0].Changes
}

func testAuditReset(t *testing.T, f Fixture) {
	must(t, "Register", f.Register(t.Context(), "r1", time.Hour))
	old, fresh := f.Image(t), f.Image(t)
	in := f.Fleet(t, f.Project(0), old.ID, 3, 3)
	f.exec(t, `INSERT INTO host_images (server_id, image_id, identity_id, identity_digest, prepared_at) VALUES ($1, $2, 'sha256:2', '', 0)`, string(in.Server.ID), string(fresh.ID))
	busy := f.Reset(t, f.Project(0), in.Phones[2].ID)[0]
	unknown := phone.NewID[phone.ID]()

	reset := f.ResetInput(f.Project(0), in.Phones[0].ID, in.Phones[1].ID, in.Phones[2].ID, unknown)
	reset.Image = fresh.ID
	reset.Items[0].Given = phone.Properties{"ro.product.model": "S3CRET-VALUE"}
	ctx, entry := f.under(t.Context(), audit.ResetCloudPhone, "another id")
	outcomes, err := f.AcceptReset(ctx, reset)
	must(t, "AcceptReset", err)
	f.Trail().Settle(ctx, entry, nil)
	id := []string{string(in.Phones[0].ID), string(in.Phones[1].ID), string(in.Phones[2].ID), string(unknown)}
	had := []string{"ro.com.cph.non_root"}
	change := func(result string, c audit.Change, phones ...string) audit.Change {
		c.Phones, c.Result = phones, result
		if c.Refused == "" {
			c.OldImage, c.NewImage = string(old.ID), string(fresh.ID)
			c.OldKeys, c.NewKeys = had, append(slices.Clone(had), c.NewKeys...)
		}
		return c
	}
	keys := audit.Change{NewKeys: []string{"ro.product.model"}}
	want := audit.Event{
		At: f.Clock.Now(), Account: f.Owner.Account.ID, Project: string(f.Project(0)), User: f.Owner.User.ID, UserName: "root", AccessKey: f.Key.ID,
		Source: "192.0.2.7", Agent: "test/1", Trace: audit.ResetCloudPhone, Route: "POST /x", Request: string(reset.Request.ID), Result: audit.Accepted,
		Changes: []audit.Change{
			change("running", keys, id[0]), change("running", audit.Change{}, id[1]),
			{Phones: id[2:3], Refused: "phone_busy"}, {Phones: id[3:], Refused: "phone_invalid"},
		},
	}
	events := f.events(t, fleet.AuditFilter{})
	equal(t, "the trail", events, []audit.Event{want}, cmp.FilterPath(func(p cmp.Path) bool { return p.Last().String() == ".Seq" }, cmp.Ignore()))
	if f.count(t, `SELECT count(*) FROM audit WHERE changes LIKE '%S3CRET%'`) != 0 {
		t.Error("the trail has a property's value")
	}
	for i, what := range want.Changes {
		equal(t, "the trail of phone "+fmt.Sprint(i), f.changes(t, fleet.AuditFilter{Phone: phone.ID(id[i])}), []audit.Change{what})
	}

	// What became of it is known while the jobs are there, and after they were removed.
	f.finish(t, f.claim(t, outcomes[0].Job, "r1"))
	must(t, "Fail", f.Fail(t.Context(), f.claim(t, outcomes[1].Job, "r1").Fence, phone.Failure{Reason: phone.ReasonBootTimeout, Msg: "x"}))
	ended := []audit.Change{change("succeeded", keys, id[0]), change("failed", audit.Change{}, id[1]), want.Changes[2], want.Changes[3]}
	equal(t, "after the jobs have ended", f.changes(t, fleet.AuditFilter{}), ended)
	f.finish(t, f.claim(t, busy, "r1"))
	for _, job := range f.Reset(t, f.Project(0), ids(in.Phones)...) {
		f.finish(t, f.claim(t, job, "r1"))
	}
	f.Clock.Advance(time.Hour)
	f.pruneAll(t, f.Clock.Now())
	equal(t, "jobs of the request left", f.count(t, `SELECT count(*) FROM jobs WHERE request_id = '`+string(reset.Request.ID)+`'`), 0)
	equal(t, "after the jobs were removed", f.changes(t, fleet.AuditFilter{}), ended)
	for i := range ended {
		equal(t, "the trail of phone "+fmt.Sprint(i), f.changes(t, fleet.AuditFilter{Phone: phone.ID(id[i])}), ended[i:i+1])
	}
}

// testAuditBigBatch sees that a big batch is one small row, and that it names every phone all the same.
func testAuditBigBatch(t *testing.T, f Fixture) {
	must(t, "Register", f.Register(t.Context(), "r1", time.Hour))
	in := f.Fleet(t, f.Project(0), f.Image(t).ID, 30, 30)
	all := ids(in.Phones)
	reset := f.ResetInput(f.Project(0), append(append(slices.Clone(all), all[0]), phone.NewID[phone.ID]())...) // one twice, one unknown
	ctx, _ := f.under(t.Context(), audit.ResetCloudPhone, "x")
	outcomes, err := f.AcceptReset(ctx, reset)
	must(t, "AcceptReset", err)
	if n := f.count(t, `SELECT max(length(changes)) FROM audit`); n > 1000 {
		t.Errorf("a batch of 30 takes %d bytes", n)
	}
	want := make([]string, len(all))
	for i, id := range all {
		want[i] = string(id)
	}
	slices.Sort(want)
	check := func(when, result string) {
		t.Helper()
		changes := f.changes(t, fleet.AuditFilter{})
		if len(changes) != 3 || changes[0].Result != result || changes[1].Refused != "phone_duplicate" || changes[2].Refused != "phone_invalid" {
			t.Errorf("%s: %+v", when, changes)
			return
		}
		equal(t, when+": the phones", changes[0].Phones, want)
		equal(t, when+": a phone that was named twice", len(f.changes(t, fleet.AuditFilter{Phone: all[0]})), 2)
		equal(t, when+": another phone", len(f.changes(t, fleet.AuditFilter{Phone: all[9]})), 1)
	}
	check("at once", "running")
	for _, o := range outcomes[:len(all)] {
		f.finish(t, f.claim(t, o.Job, "r1"))
	}
	check("after the jobs have ended", "succeeded")
	for _, job := range f.Reset(t, f.Project(0), all...) {
		f.finish(t, f.claim(t, job, "r1"))
	}
	f.Clock.Advance(time.Hour)
	f.pruneAll(t, f.Clock.Now())
	equal(t, "jobs of the request left", f.count(t, `SELECT count(*) FROM jobs WHERE request_id = '`+string(reset.Request.ID)+`'`), 0)
	check("after the jobs were removed", "succeeded")
}

// testAuditWithTheChange sees that there is no change without its event, and no event without its change.
func testAuditWithTheChange(t *testing.T, f Fixture) {
	in := f.Fleet(t, f.Project(0), f.Image(t).ID, 2, 1)
	reset := f.ResetInput(f.Project(0), in.Phones[0].ID, in.Phones[1].ID) // the second one waits for the slot
	reset.Image = phone.NewID[phone.ImageID]()
	ctx, entry := f.under(t.Context(), audit.ResetCloudPhone, "r")
	_, err := f.AcceptReset(ctx, reset)
	refused(t, "no such image", err, phone.NotFound, phone.ReasonImageNotFound)
	equal(t, "events of a transaction that was undone", len(f.events(t, fleet.AuditFilter{})), 0)
	f.Trail().Settle(ctx, entry, err)
	events := f.events(t, fleet.AuditFilter{})
	equal(t, "events of a refused call", len(events), 1)
	equal(t, "why", []string{events[0].Code, events[0].Reason}, []string{"not_found", "image_not_found"})

	reset.Image = ""
	ctx, entry = f.under(t.Context(), audit.ResetCloudPhone, "s")
	f.exec(t, `ALTER TABLE audit RENAME TO audit_away`)
	f.unchanged(t, "a reset whose event cannot be written", func() {
		if _, err := f.AcceptReset(ctx, reset); err == nil {
			t.Error("it was accepted")
		}
		if err := audit.Now(ctx); err == nil {
			t.Error("an event that must come first was not written, and nobody is told")
		}
	})
	f.exec(t, `ALTER TABLE audit_away RENAME TO audit`)
	_, err = f.AcceptReset(ctx, reset)
	must(t, "AcceptReset", err)
	f.Trail().Settle(ctx, entry, nil)
	equal(t, "events of an accepted call", len(f.events(t, fleet.AuditFilter{Result: audit.Accepted})), 1)

	// A repeated call is not a second reset.
	key := fleet.IdempotencyKey{Key: "k", Hash: [32]byte{1}, Expires: f.Clock.Now().Add(time.Hour)}
	first := f.ResetInput(f.Project(0), phone.NewID[phone.ID]())
	for i := range 2 {
		again := first
		again.Request.ID = phone.NewID[phone.RequestID]()
		if i == 0 {
			again.Request.ID = first.Request.ID
		}
		ctx, _ := f.under(t.Context(), audit.ResetCloudPhone, string(again.Request.ID))
		_, _, err := f.AcceptResetOnce(ctx, again, key)
		must(t, "AcceptResetOnce", err)
		f.Clock.Advance(time.Second)
	}
	repeated := f.events(t, fleet.AuditFilter{Result: audit.Accepted})[0]
	equal(t, "a repeated call says", repeated.Reason, "repeats "+string(first.Request.ID))
	equal(t, "and changes", len(repeated.Changes), 0)

	cancel, _ := f.under(t.Context(), audit.CancelRequest, "c")
	_, err = f.Cancel(cancel, fleet.CancelJobs{Project: f.Project(0), Request: reset.Request.ID, Failure: phone.Failure{Msg: "x"}})
	must(t, "Cancel", err)
	equal(t, "a cancelled phone", f.changes(t, fleet.AuditFilter{Phone: in.Phones[1].ID, Trace: audit.CancelRequest}),
		[]audit.Change{{Phones: []string{string(in.Phones[1].ID)}, Result: "cancelled"}})
}

func testAuditList(t *testing.T, f Fixture) {
	began := f.Clock.Now()
	other := account.Identity{User: account.User{ID: "u2", Name: "bob"}, Account: account.Account{ID: "another account"}}
	for i := range 7 {
		f.Clock.Advance(time.Second)
		at := f.Clock.Now()
		if i%2 == 1 {
			at = at.Add(-time.Second) // two at one time
		}
		event := audit.Event{At: at, Trace: audit.Login, Request: fmt.Sprint(i), Result: audit.Accepted, Target: fmt.Sprint("t", i)}.By(account.Caller{Identity: f.Owner})
		if i >= 5 {
			event.Trace, event.Result, event.UserName = audit.ResetCloudPhone, audit.Refused, "ci"
		}
		must(t, "RecordAudit", f.RecordAudit(t.Context(), event))
	}
	must(t, "RecordAudit", f.RecordAudit(t.Context(), audit.Event{At: began, Trace: audit.Login, Request: "theirs", Result: audit.Accepted}.By(account.Caller{Identity: other})))
	elsewhere := audit.Event{At: began, Trace: audit.Login, Request: "other project", Result: audit.Accepted, Project: string(f.Project(1))}.By(account.Caller{Identity: f.Owner})
	must(t, "RecordAudit", f.RecordAudit(t.Context(), elsewhere))

	for name, c := range map[string]struct {
		filter fleet.AuditFilter
		want   string
	}{
		"newest first":     {fleet.AuditFilter{}, "6 5 4 3 2 1 0"},
		"oldest first":     {fleet.AuditFilter{Oldest: true}, "0 1 2 3 4 5 6"},
		"one by one":       {fleet.AuditFilter{Limit: 1}, "6 5 4 3 2 1 0"},
		"a user":           {fleet.AuditFilter{User: "ci"}, "6 5"},
		"a trace":          {fleet.AuditFilter{Trace: audit.Login, Oldest: true}, "0 1 2 3 4"},
		"a result":         {fleet.AuditFilter{Result: audit.Refused}, "6 5"},
		"from":             {fleet.AuditFilter{From: began.Add(5 * time.Second)}, "6 5 4"},
		"to, exclusive":    {fleet.AuditFilter{To: began.Add(3 * time.Second)}, "1 0"},
		"all at once":      {fleet.AuditFilter{User: "ci", Trace: audit.ResetCloudPhone, Result: audit.Refused, From: began, To: began.Add(time.Hour)}, "6 5"},
		"a phone of none":  {fleet.AuditFilter{Phone: phone.NewID[phone.ID]()}, ""},
		"a user of no one": {fleet.AuditFilter{User: "x' OR '1'='1"}, ""},
	} {
		var got []string
		for _, e := range f.events(t, c.filter) {
			got = append(got, e.Request)
		}
		equal(t, name, strings.Join(got, " "), c.want)
	}

	for _, statement := range []string{`UPDATE audit SET result = 'accepted'`, `UPDATE audit SET user_name = 'eve' WHERE seq > 0`} {
		if _, err := f.DB.ExecContext(t.Context(), statement); err == nil || !strings.Contains(err.Error(), "append-only") {
			t.Errorf("%s: %v", statement, err)
		}
	}

	n, err := f.PruneAudit(t.Context(), began.Add(3*time.Second), 3)
	must(t, "PruneAudit", err)
	equal(t, "removed in one step", n, 3)
	n, err = f.PruneAudit(t.Context(), began.Add(3*time.Second), 3)
	must(t, "PruneAudit", err)
	equal(t, "removed in the next step", n, 1)
	equal(t, "left", len(f.events(t, fleet.AuditFilter{})), 5)
	n, err = f.PruneAudit(t.Context(), began.Add(3*time.Second), 3)
	must(t, "PruneAudit", err)
	equal(t, "removed again", n, 0)
}

// testAuditBigPages sees that a page ends early rather than become endless.
func testAuditBigPages(t *testing.T, f Fixture) {
	phones := make([]string, 20_000)
	for i := range phones {
		phones[i] = fmt.Sprintf("%032x", i)
	}
	for i := range 4 {
		event := audit.Event{At: f.Clock.Now(), Trace: audit.ResetCloudPhone, Request: fmt.Sprint(i), Result: audit.Accepted, Changes: []audit.Change{{Phones: phones}}}
		must(t, "RecordAudit", f.RecordAudit(t.Context(), event.By(account.Caller{Identity: f.Owner})))
	}
	page, next, err := f.AuditEvents(t.Context(), fleet.AuditFilter{Account: f.Owner.Account.ID, Limit: 1000})
	must(t, "AuditEvents", err)
	if len(page) == 4 || next == (fleet.AuditMark{}) {
		t.Errorf("%d events of 700 kB each in one page", len(page))
	}
	equal(t, "all of them", len(f.events(t, fleet.AuditFilter{Limit: 1000})), 4)
}
