package store

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/lethe-cloud/lethe/internal/audit"
	"github.com/lethe-cloud/lethe/internal/fleet"
	"github.com/lethe-cloud/lethe/internal/phone"
)

const auditColumns = "at, account_id, project_id, user_id, user_name, access_key, source, agent, trace, route, target, request_id, result, code, reason, changes"

// RecordAudit writes an event that belongs to no transaction.
func (s *Store) RecordAudit(ctx context.Context, event audit.Event) error {
	return s.tx(ctx, func(t *tx) error { return t.insertAudit(ctx, event, event.Changes) })
}

// saveAudit writes the event of the call that this transaction does, if it has one that is not written yet.
func (t *tx) saveAudit(ctx context.Context) (written *audit.Entry, err error) {
	entry := audit.From(ctx)
	event, pending := entry.Pending()
	if !pending {
		return nil, nil
	}
	return entry, t.insertAudit(ctx, event, event.Compact().Changes)
}

// insertAudit writes one row, whatever the number of phones, with the changes as they are kept; and, of phones that were refused,
// what keeps them findable.
func (t *tx) insertAudit(ctx context.Context, e audit.Event, kept []audit.Change) error {
	changes := ""
	if len(kept) > 0 {
		changes = asJSON(kept)
	}
	_, err := t.exec(ctx, `INSERT INTO audit (`+auditColumns+`) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
		micros(e.At), e.Account, e.Project, e.User, e.UserName, e.AccessKey, e.Source, e.Agent, string(e.Trace), e.Route, e.Target, e.Request,
		string(e.Result), e.Code, e.Reason, changes)
	if err != nil {
		return fmt.Errorf("write the audit trail: %w", err)
	}
	return t.insertAuditPhones(ctx, refusedPhones(e))
}

// refusedPhones gives the phones that a call was refused for and not accepted too, because it named them twice.
func refusedPhones(e audit.Event) []auditPhone {
	var refused []auditPhone
	accepted := map[string]bool{}
	for _, c := range e.Changes {
		for _, id := range c.Phones {
			switch {
			case c.Refused == "":
				accepted[id] = true
			case phone.ValidID(id):
				refused = append(refused, auditPhone{Phone: id, Request: e.Request, Result: c.Refused})
			}
		}
	}
	return slices.DeleteFunc(refused, func(p auditPhone) bool { return accepted[p.Phone] })
}

type auditPhone struct {
	Phone   string `json:"phone_id"`
	Request string `json:"request_id"`
	Result  string `json:"result"`
}

func (t *tx) insertAuditPhones(ctx context.Context, phones []auditPhone) error {
	if len(phones) == 0 {
		return nil
	}
	_, err := t.exec(ctx, `INSERT INTO audit_phones (phone_id, request_id, result) SELECT v.phone_id, v.request_id, v.result FROM `+
		t.records("phone_id text", "request_id text", "result text")+` WHERE true ON CONFLICT (phone_id, request_id) DO NOTHING`, asJSON(phones))
	if err != nil {
		return fmt.Errorf("write the audit trail: %w", err)
	}
	return nil
}

// noteCancelled says in the event of the call under way which phones' jobs it cancels; their own jobs tell of another request.
func (t *tx) noteCancelled(ctx context.Context, cancelled audit.Change) error {
	entry := audit.From(ctx)
	entry.Note("", []audit.Change{cancelled})
	event, pending := entry.Pending()
	if !pending {
		return nil
	}
	phones := make([]auditPhone, len(cancelled.Phones))
	for i, id := range cancelled.Phones {
		phones[i] = auditPhone{Phone: id, Request: event.Request, Result: cancelled.Result}
	}
	return t.insertAuditPhones(ctx, phones)
}

// keepResults remembers what became of phones in audited requests whose jobs are being removed.
func (t *tx) keepResults(ctx context.Context, removed []auditPhone) error {
	if len(removed) == 0 {
		return nil
	}
	requests := map[string]bool{}
	for _, r := range removed {
		requests[r.Request] = true
	}
	audited, err := all(ctx, t, one[string], `SELECT request_id FROM audit WHERE `+t.in("request_id"), list(t.dialect, slices.Sorted(maps.Keys(requests))))
	if err != nil {
		return fmt.Errorf("look into the audit trail: %w", err)
	}
	return t.insertAuditPhones(ctx, slices.DeleteFunc(removed, func(r auditPhone) bool { return !slices.Contains(audited, r.Request) }))
}

// resetChanges is what the audit trail says of a decided reset.
func resetChanges(accepted []phone.Accepted, outcomes []phone.Outcome) []audit.Change {
	changes := make([]audit.Change, 0, len(outcomes))
	for _, a := range accepted {
		changes = append(changes, audit.Change{
			Phones: []string{string(a.Phone.ID)}, OldImage: string(a.Phone.Image), NewImage: string(a.Image),
			OldKeys: a.Phone.Properties.Keys(), NewKeys: a.Properties.Keys(),
		})
	}
	for _, o := range outcomes {
		if o.Err != nil {
			changes = append(changes, audit.Change{Phones: []string{cut(o.PhoneID)}, Refused: refusal(o.Err)})
		}
	}
	return audit.Group(changes)
}

func refusal(e *phone.Error) string {
	if e.Reason != "" {
		return string(e.Reason)
	}
	return string(e.Code)
}

// auditPage bounds, in bytes, the changes that one page of events has; a phone that is named takes phoneSize.
const (
	auditPage = 1 << 20
	phoneSize = 35
)

// AuditEvents gives a page of an account's audit trail, with what became of each phone as far as it is known now.
func (s *Store) AuditEvents(ctx context.Context, f fleet.AuditFilter) ([]audit.Event, fleet.AuditMark, error) {
	var events []audit.Event
	var next fleet.AuditMark
	err := s.view(ctx, func(t *tx) error {
		var err error
		if events, next, err = t.auditEvents(ctx, f); err != nil {
			return err
		}
		return t.fillResults(ctx, events)
	})
	if err != nil {
		return nil, fleet.AuditMark{}, err
	}
	if f.Phone != "" {
		for i := range events {
			events[i] = events[i].Only(string(f.Phone))
		}
	}
	return events, next, nil
}

// errPageFull ends the reading of a page.
var errPageFull = errors.New("the page is full")

func (t *tx) auditEvents(ctx context.Context, f fleet.AuditFilter) ([]audit.Event, fleet.AuditMark, error) {
	w := t.auditWhere(f)
	order := " DESC"
	if f.Oldest {
		order = ""
	}
	var events []audit.Event
	bytes := 0
	err := t.each(ctx, func(row scanner) error {
		if len(events) == f.Limit || bytes > auditPage {
			return errPageFull
		}
		event, size, err := scanAudit(row)
		events, bytes = append(events, event), bytes+size
		return err
	}, `SELECT seq, `+auditColumns+` FROM audit`+w.String()+` ORDER BY at`+order+`, seq`+order+` LIMIT ?`, append(w.args, f.Limit+1)...)
	switch {
	case errors.Is(err, errPageFull):
		last := events[len(events)-1]
		return events, fleet.AuditMark{At: last.At, Seq: last.Seq}, nil
	case err != nil:
		return nil, fleet.AuditMark{}, fmt.Errorf("read the audit trail: %w", err)
	}
	return events, fleet.AuditMark{}, nil
}

// auditWhere makes the conditions of a filter. A phone is found by the one thing that a call was about, by its jobs, and by what is
// kept of those that are removed.
func (t *tx) auditWhere(f fleet.AuditFilter) *where {
	w := &where{}
	w.add("account_id = ?", f.Account)
	w.add("(project_id = '' OR "+t.in("project_id")+")", list(t.dialect, f.Projects))
	w.text("user_name", f.User)
	w.text("trace", string(f.Trace))
	w.text("result", string(f.Result))
	if !f.From.IsZero() {
		w.add("at >= ?", micros(f.From))
	}
	if !f.To.IsZero() {
		w.add("at < ?", micros(f.To))
	}
	if f.Phone != "" {
		id := string(f.Phone)
		w.add(`seq IN (SELECT a.seq FROM audit a WHERE a.target = ? UNION SELECT a.seq FROM audit a WHERE a.request_id IN
			(SELECT j.request_id FROM jobs j WHERE j.phone_id = ? UNION SELECT p.request_id FROM audit_phones p WHERE p.phone_id = ?))`, id, id, id)
	}
	switch {
	case f.After == fleet.AuditMark{}:
	case f.Oldest:
		w.add("(at, seq) > (?, ?)", micros(f.After.At), f.After.Seq)
	default:
		w.add("(at, seq) < (?, ?)", micros(f.After.At), f.After.Seq)
	}
	return w
}

func scanAudit(row scanner) (audit.Event, int, error) {
	var e audit.Event
	var at int64
	var changes string
	err := row.Scan(&e.Seq, &at, &e.Account, &e.Project, &e.User, &e.UserName, &e.AccessKey, &e.Source, &e.Agent, &e.Trace, &e.Route, &e.Target,
		&e.Request, &e.Result, &e.Code, &e.Reason, &changes)
	if err == nil && changes != "" {
		err = fromJSON(changes, &e.Changes)
	}
	e.At = timeOf(at)
	size := len(changes)
	for _, c := range e.Changes {
		size += c.Count * phoneSize
	}
	return e, size, err
}

// fillResults says what became of the phones: the jobs know, and of those that are removed the trail itself.
func (t *tx) fillResults(ctx context.Context, events []audit.Event) error {
	var requests []string
	for _, e := range events {
		if len(e.Changes) > 0 {
			requests = append(requests, e.Request)
		}
	}
	if len(requests) == 0 {
		return nil
	}
	results := map[string]map[string]string{}
	read := func(query string) error {
		return t.each(ctx, func(row scanner) error {
			var p auditPhone
			if err := row.Scan(&p.Request, &p.Phone, &p.Result); err != nil {
				return err
			}
			if results[p.Request] == nil {
				results[p.Request] = map[string]string{}
			}
			results[p.Request][p.Phone] = phaseWord(p.Result)
			return nil
		}, query, list(t.dialect, requests))
	}
	if err := read(`SELECT request_id, phone_id, result FROM audit_phones WHERE ` + t.in("request_id")); err != nil {
		return fmt.Errorf("read the results of phones: %w", err)
	}
	if err := read(`SELECT request_id, phone_id, phase FROM jobs WHERE ` + t.in("request_id")); err != nil {
		return fmt.Errorf("read the results of jobs: %w", err)
	}
	for i, e := range events {
		if len(e.Changes) > 0 {
			events[i] = e.WithResults(results[e.Request])
		}
	}
	return nil
}

// phaseWord is what the trail calls the state of a job.
func phaseWord(phase string) string {
	switch p := phone.Phase(phase); {
	case p.Final():
		return phase
	case slices.Contains([]phone.Phase{phone.PhaseHeld, phone.PhaseQueued, phone.PhasePreparing, phone.PhaseStopping, phone.PhaseDeleting, phone.PhaseRemoving, phone.PhaseCreating, phone.PhaseBooting, phone.PhaseVerifying, phone.PhaseRestoring}, p):
		return "running"
	}
	return phase
}

// PruneAudit removes the oldest events, at most `most`, that are older than before; it says how many there were.
func (s *Store) PruneAudit(ctx context.Context, before time.Time, most int) (int, error) {
	removed := 0
	err := s.tx(ctx, func(t *tx) error {
		requests, err := all(ctx, t, one[string], `DELETE FROM audit WHERE seq IN (SELECT l.seq FROM audit l WHERE l.at < ? ORDER BY l.at, l.seq LIMIT ?`+
			t.skipLocked+`) RETURNING request_id`, micros(before), most)
		if err != nil {
			return fmt.Errorf("remove old events: %w", err)
		}
		if removed = len(requests); removed == 0 {
			return nil
		}
		_, err = t.exec(ctx, `DELETE FROM audit_phones WHERE `+t.in("request_id"), list(t.dialect, requests))
		return err
	})
	return removed, err
}
