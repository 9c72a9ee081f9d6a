package iam

import (
	"context"
	"net"
	"net/netip"
	"sync"
	"time"
)

// After maxFailures wrong passwords in a row a user is locked for lockTime, for the address they came from (IAM FAQ, "Why Is My
// Account Locked?": 15 minutes).
const (
	maxFailures = 5
	lockTime    = 15 * time.Minute
	maxTracked  = 10_000
)

// limiter counts wrong passwords by user and remote address, in memory: each process counts for itself and forgets when it ends.
// By both, so that nobody can lock a user out from elsewhere; behind a proxy all callers have the proxy's address, and a lock
// holds for all of them.
type limiter struct {
	now  func() time.Time
	most int

	mu    sync.Mutex
	tries map[string]*tries
}

// tries are one user's from one address. They go one after another: otherwise hundreds of passwords sent at once would all be
// tried before the first failure was counted.
type tries struct {
	turn     chan struct{}
	visitors int // has the turn or waits for it
	failures int
	last     time.Time // the last failure
}

func newLimiter(now func() time.Time) *limiter {
	return &limiter{now: now, most: maxTracked, tries: map[string]*tries{}}
}

// verdict is how a try ended.
type verdict int

const (
	undecided verdict = iota // the password was not judged
	right
	wrong
)

// try calls judge, when it is its turn and the key is not locked, and counts its verdict; it gives errLocked, ctx's error, or
// judge's.
func (l *limiter) try(ctx context.Context, key string, judge func() (verdict, error)) error {
	t := l.enter(key)
	defer l.leave(key, t)
	select {
	case t.turn <- struct{}{}:
	case <-ctx.Done():
		return ctx.Err()
	}
	defer func() { <-t.turn }()
	if l.locked(t) {
		return errLocked
	}
	v, err := judge()
	l.count(t, v)
	return err
}

func (l *limiter) enter(key string) *tries {
	l.mu.Lock()
	defer l.mu.Unlock()
	t := l.tries[key]
	if t == nil {
		l.makeRoom()
		t = &tries{turn: make(chan struct{}, 1)}
		l.tries[key] = t
	}
	t.visitors++
	return t
}

func (l *limiter) leave(key string, t *tries) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if t.visitors--; t.visitors == 0 && t.failures == 0 {
		delete(l.tries, key)
	}
}

func (l *limiter) locked(t *tries) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.lapsed(t) {
		t.failures = 0
	}
	return t.failures >= maxFailures
}

func (l *limiter) count(t *tries, v verdict) {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch v {
	case right:
		t.failures = 0
	case wrong:
		t.failures++
		t.last = l.now()
	case undecided:
	}
}

func (l *limiter) lapsed(t *tries) bool { return l.now().Sub(t.last) >= lockTime }

// makeRoom keeps the memory bounded: it forgets what has lapsed, and if that is nothing, what failed longest ago.
func (l *limiter) makeRoom() {
	if len(l.tries) < l.most {
		return
	}
	oldest := ""
	for key, t := range l.tries {
		switch {
		case t.visitors > 0:
		case l.lapsed(t):
			delete(l.tries, key)
		case oldest == "" || t.last.Before(l.tries[oldest].last):
			oldest = key
		}
	}
	if len(l.tries) >= l.most && oldest != "" {
		delete(l.tries, oldest)
	}
}

// network gives the part of a remote address that one caller cannot change at will: of IPv6 the first 64 bits.
func network(remote string) string {
	host, _, err := net.SplitHostPort(remote)
	if err != nil {
		host = remote
	}
	address, err := netip.ParseAddr(host)
	if err != nil {
		return host
	}
	address = address.Unmap().WithZone("")
	if address.Is4() {
		return address.String()
	}
	prefix, err := address.Prefix(64)
	if err != nil {
		return address.String()
	}
	return prefix.String()
}
