package audit_test

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/lethe-cloud/lethe/internal/account"
	"github.com/lethe-cloud/lethe/internal/audit"
	"github.com/lethe-cloud/lethe/internal/phone"
)

// trail is a Log whose events are kept in memory.
type trail struct {
	*audit.Log
	now    time.Time
	events []audit.Event
	down   error
	log    strings.Builder
}

func newTrail() *trail {
	tr := &trail{now: time.Unix(1_800_000_000, 0)}
	tr.Log = audit.NewLog(func(_ context.Context, e audit.Event) error {
		if tr.down == nil {
			tr.events = append(tr.events, e)
		}
		return tr.down
	}, slog.New(slog.NewTextHandler(&tr.log, nil)), func() time.Time { return tr.now })
	return tr
}

func caller(user string) account.Caller {
	return account.Caller{Identity: account.Identity{User: account.User{ID: user, Name: user}, Account: account.Account{ID: "acc"}}}
}

func TestSettle(t *testing.T) {
	t.Parallel()
	denied := phone.Errorf(phone.Forbidden, "", "no")
	for name, c := range map[string]struct {
		trace   audit.Trace
		err     error
		written bool // by a transaction
		want    []audit.Event
	}{
		"done in a transaction":     {audit.ResetCloudPhone, nil, true, nil},
		"done without one":          {audit.RunCommand, nil, false, []audit.Event{{Trace: audit.RunCommand, Result: audit.Accepted}}},
		"refused":                   {audit.ResetCloudPhone, phone.Errorf(phone.NotFound, phone.ReasonImageNotFound, "x"), false, []audit.Event{{Trace: audit.ResetCloudPhone, Result: audit.Refused, Code: "not_found", Reason: "image_not_found"}}},
		"denied":                    {audit.ResetCloudPhone, denied, false, []audit.Event{{Trace: audit.ResetCloudPhone, Result: audit.Refused, Code: "forbidden"}}},
		"failed":                    {audit.ResetCloudPhone, errors.New("x"), false, []audit.Event{{Trace: audit.ResetCloudPhone, Result: audit.Failed, Code: "internal"}}},
		"failed after it was begun": {audit.RunCommand, errors.New("x"), true, []audit.Event{{Trace: audit.RunCommand, Result: audit.Failed, Code: "internal"}}},
		"a look":                    {"", nil, false, nil},
		"a look that is denied":     {"", denied, false, []audit.Event{{Trace: audit.AccessDenied, Result: audit.Refused, Code: "forbidden"}}},
		"a look at nothing":         {"", phone.Errorf(phone.NotFound, "", "x"), false, nil},
	} {
		tr := newTrail()
		ctx, entry := tr.Begin(t.Context(), audit.Event{Trace: c.trace}, caller("u"))
		if c.written {
			entry.Written()
		}
		ended, end := context.WithCancel(ctx)
		end() // the caller is gone
		tr.Settle(ended, entry, c.err)
		for i := range c.want {
			c.want[i].At, c.want[i].Account, c.want[i].User, c.want[i].UserName = tr.now, "acc", "u", "u"
		}
		if diff := cmp.Diff(c.want, tr.events); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

func TestSettleSaysWhatWasNotWritten(t *testing.T) {
	t.Parallel()
	tr := newTrail()
	tr.down = errors.New("the database is gone")
	ctx, entry := tr.Begin(t.Context(), audit.Event{Trace: audit.RunCommand, Request: "r1"}, caller("u"))
	if err := audit.Now(ctx); !errors.Is(err, tr.down) {
		t.Errorf("Now: %v", err)
	}
	tr.Settle(ctx, entry, tr.down)
	if !strings.Contains(tr.log.String(), "could not be written") || !strings.Contains(tr.log.String(), "r1") {
		t.Errorf("log: %s", tr.log.String())
	}
}

// A user whose calls are refused all the time does not fill the trail; others are not held up by him.
func TestRefusedCallsAreBounded(t *testing.T) {
	t.Parallel()
	tr := newTrail()
	refuse := func(user string, n int) int {
		before := len(tr.events)
		for range n {
			ctx, entry := tr.Begin(t.Context(), audit.Event{Trace: audit.ResetCloudPhone}, caller(user))
			tr.Settle(ctx, entry, phone.Errorf(phone.Invalid, "", "x"))
		}
		return len(tr.events) - before
	}
	if n := refuse("eve", 10_000); n == 10_000 || n < 100 {
		t.Errorf("%d of 10,000 refused calls were written", n)
	}
	if n := refuse("bob", 3); n != 3 {
		t.Errorf("another user: %d of 3 were written", n)
	}
	tr.now = tr.now.Add(time.Minute)
	if n := refuse("eve", 1); n != 1 || !strings.Contains(tr.log.String(), "calls=98") {
		t.Errorf("later: %d written, and the log must say how many were not: %s", n, tr.log.String())
	}
}

func TestForeignTextsAreMadeFit(t *testing.T) {
	t.Parallel()
	tr := newTrail()
	long := strings.Repeat("é", 500)
	ctx, entry := tr.Begin(t.Context(), audit.Event{Trace: audit.Login, Agent: "a\x1b[31m\x00b\u202e\xff " + long, Target: "x\ny" + long}, caller("u"))
	entry.About("t\r\n" + long)
	tr.Settle(ctx, entry, nil)
	got := tr.events[0]
	if len(got.Agent) > audit.MaxAgent || !strings.HasPrefix(got.Agent, "a[31mb é") || strings.ToValidUTF8(got.Agent, "") != got.Agent {
		t.Errorf("agent %q", got.Agent)
	}
	if len(got.Target) > 128 || !strings.HasPrefix(got.Target, "té") {
		t.Errorf("target %q", got.Target)
	}
}

func TestGroup(t *testing.T) {
	t.Parallel()
	got := audit.Group([]audit.Change{
		{Phones: []string{"1"}, OldImage: "a", NewImage: "b", NewKeys: []string{"x", "y"}}, {Phones: []string{"2"}, OldImage: "a", NewImage: "b"},
		{Phones: []string{"3"}, OldImage: "a", NewImage: "b", NewKeys: []string{"x", "y"}}, {Phones: []string{"4"}, Refused: "phone_busy"},
	})
	want := []audit.Change{
		{Phones: []string{"1", "3"}, OldImage: "a", NewImage: "b", NewKeys: []string{"x", "y"}}, {Phones: []string{"2"}, OldImage: "a", NewImage: "b"},
		{Phones: []string{"4"}, Refused: "phone_busy"},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestNothingIsAuditedWithoutALog(t *testing.T) {
	t.Parallel()
	var none *audit.Log
	ctx, entry := none.Begin(t.Context(), audit.Event{Trace: audit.Login}, caller("u"))
	entry.Note("r", nil)
	entry.About("x")
	entry.Replay("y")
	entry.Written()
	none.Settle(ctx, entry, errors.New("x"))
	if err := audit.Now(ctx); err != nil || audit.From(ctx) != nil {
		t.Errorf("Now: %v", err)
	}
}
