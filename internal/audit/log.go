package audit

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"github.com/lethe-cloud/lethe/internal/account"
	"github.com/lethe-cloud/lethe/internal/phone"
)

const (
	// refusedPerSecond and refusedAtOnce bound how many refused calls of one user are written: they cost him nothing, and must not
	// fill the database. What is beyond that is counted in the log.
	refusedPerSecond = 2
	refusedAtOnce    = 200
	maxUsers         = 10_000
	// recordTime is how long writing an event may take when the call itself is over.
	recordTime = 5 * time.Second
)

// Log begins and settles the events of calls. It is safe for concurrent use; a nil Log audits nothing.
type Log struct {
	record func(context.Context, Event) error
	log    *slog.Logger
	now    func() time.Time

	mu      sync.Mutex
	refused map[string]*bucket // by user
}

type bucket struct {
	*rate.Limiter
	dropped int
}

// NewLog makes a Log that writes with record.
func NewLog(record func(context.Context, Event) error, log *slog.Logger, now func() time.Time) *Log {
	if now == nil {
		now = time.Now
	}
	return &Log{record: record, log: log, now: now, refused: map[string]*bucket{}}
}

// Begin gives the context under which the caller's call is done. An event without a trace is of a call that only reads.
func (l *Log) Begin(ctx context.Context, event Event, caller account.Caller) (context.Context, *Entry) {
	if l == nil {
		return ctx, nil
	}
	event = event.By(caller).bounded()
	event.At = l.now()
	e := &Entry{record: l.record, event: event}
	return context.WithValue(ctx, entryKey{}, e), e
}

// Settle writes the event if no transaction has: of a call that was refused or failed, or that was done otherwise. It needs no
// context that is still alive.
func (l *Log) Settle(ctx context.Context, e *Entry, err error) {
	if l == nil || e == nil {
		return
	}
	event, pending := e.Pending()
	switch code := phone.CodeOf(err); {
	case err == nil && !pending:
		return
	case err == nil:
	case event.Trace == "" && code != phone.Forbidden:
		return
	default:
		if event.Trace == "" {
			event.Trace = AccessDenied
		}
		event.Result, event.Code, event.Reason = Refused, string(code), string(phone.ReasonOf(err))
		if code == phone.Internal || code == phone.Unavailable {
			event.Result = Failed
		}
		if !l.mayWrite(event) {
			return
		}
	}
	ctx, cancel := context.WithTimeout(without(context.WithoutCancel(ctx)), recordTime)
	defer cancel()
	if err := l.record(ctx, event.bounded()); err != nil {
		l.log.Error("an event of the audit trail could not be written", "request_id", event.Request, "trace", event.Trace,
			"user_id", event.User, "result", event.Result, "err", err)
	}
}

// mayWrite reports whether one more refused call of the user may be written.
func (l *Log) mayWrite(event Event) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := l.now()
	b := l.refused[event.User]
	if b == nil {
		if len(l.refused) >= maxUsers {
			clear(l.refused) // who comes back begins with a full bucket: rare, and still bounded
		}
		b = &bucket{Limiter: rate.NewLimiter(refusedPerSecond, refusedAtOnce)}
		l.refused[event.User] = b
	}
	if !b.AllowN(now, 1) {
		b.dropped++
		return false
	}
	if b.dropped > 0 {
		l.log.Warn("refused calls are not in the audit trail: there were too many", "user_id", event.User, "calls", b.dropped)
		b.dropped = 0
	}
	return true
}
