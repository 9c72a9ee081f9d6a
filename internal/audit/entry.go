package audit

import (
	"context"
	"sync"
)

// Entry is the event of a call that is under way. It travels with the call's context, so that the transaction which does what was
// asked writes it too: then there is no change without its event, and no event without its change. A nil Entry takes everything
// and does nothing, for calls that are not audited. It is safe for concurrent use.
type Entry struct {
	record func(context.Context, Event) error

	mu      sync.Mutex
	event   Event
	written bool
}

type entryKey struct{}

// From gives the entry of the call under way, or nil.
func From(ctx context.Context) *Entry {
	e, _ := ctx.Value(entryKey{}).(*Entry)
	return e
}

// without gives a context whose transactions write no event by themselves: the one that is handed to them is enough.
func without(ctx context.Context) context.Context {
	return context.WithValue(ctx, entryKey{}, (*Entry)(nil))
}

// Note says what the call does to phones, and under which request: "" is the call's own id. A transaction that runs again says it
// again: the last word counts.
func (e *Entry) Note(request string, changes []Change) {
	if e == nil {
		return
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.event.Changes = changes; request != "" {
		e.event.Request = request
	}
}

// About says what one thing the call is about.
func (e *Entry) About(target string) {
	if e == nil {
		return
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.event.Target = printable(target, maxTarget)
}

// As says what was done, where the route alone does not tell.
func (e *Entry) As(trace Trace) {
	if e == nil {
		return
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.event.Trace = trace
}

// Replay says that the call repeats an accepted one, whose request is named, and changes nothing.
func (e *Entry) Replay(request string) {
	if e == nil {
		return
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.event.Changes, e.event.Reason = nil, "repeats "+request
}

// Pending gives the event as accepted, unless it is written already or belongs to a call that only reads.
func (e *Entry) Pending() (Event, bool) {
	if e == nil {
		return Event{}, false
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	event := e.event
	event.Result = Accepted
	return event, !e.written && event.Trace != ""
}

// Written is called by the store when the transaction that wrote the event has been committed.
func (e *Entry) Written() {
	if e == nil {
		return
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.written = true
}

// Now writes the event of the call under way, before something is done that no transaction can take back: a program that is run,
// a host that is changed. When it cannot be written, that must not be done.
func Now(ctx context.Context) error {
	e := From(ctx)
	event, pending := e.Pending()
	if !pending || e.record == nil {
		return nil
	}
	if err := e.record(without(ctx), event); err != nil {
		return err
	}
	e.Written()
	return nil
}
