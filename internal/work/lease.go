package work

import (
	"context"
	"sync"
	"time"
)

// lease is this process's own view of its lease, by the monotonic clock and from before each renewal was sent: it ends here
// no later than it does by the database's clock.
type lease struct {
	mu    sync.Mutex
	until time.Time
	ttl   time.Duration
}

func newLease(ttl time.Duration) *lease { return &lease{until: time.Now().Add(ttl), ttl: ttl} }

func (l *lease) renewed(sent time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.until = sent.Add(l.ttl)
}

// end is when work under this lease must have stopped: a fifth before others may take it over.
func (l *lease) end() time.Time {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.until.Add(-l.ttl / 5)
}

func (l *lease) over() bool { return !time.Now().Before(l.end()) }

// backoff waits longer from time to time, up to a limit.
type backoff struct{ next, limit time.Duration }

func newBackoff(first, limit time.Duration) *backoff { return &backoff{next: first, limit: limit} }

// sleep waits; it reports false when ctx ended first.
func (b *backoff) sleep(ctx context.Context) bool {
	timer := time.NewTimer(b.next)
	defer timer.Stop()
	b.next = min(2*b.next, b.limit)
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}
