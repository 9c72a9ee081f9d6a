package cph

import (
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/lethe-cloud/lethe/internal/phone"
)

// window bounds how many calls of one kind each user may make within any minute, in this process: each replica counts for itself.
type window struct {
	max int
	now func() time.Time

	mu    sync.Mutex
	calls map[string][]time.Time // by user: those of the last minute, oldest first
	swept time.Time
}

func newWindow(max int, now func() time.Time) *window {
	return &window{max: max, now: now, calls: map[string][]time.Time{}}
}

// take counts one call of the user, or refuses it: Exhausted, with the time after which there is room for one again.
func (w *window) take(user string) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	now := w.now()
	w.sweep(now)
	calls := recent(w.calls[user], now)
	if len(calls) >= w.max {
		w.calls[user] = calls
		return &phone.Error{
			Code: phone.Exhausted, Reason: phone.ReasonRateExceeded, RetryAfter: calls[0].Add(time.Minute).Sub(now),
			Msg: fmt.Sprintf("this user made %d such calls within a minute: wait", w.max),
		}
	}
	w.calls[user] = append(calls, now)
	return nil
}

// sweep forgets, once a minute, the users who made no call in the last one.
func (w *window) sweep(now time.Time) {
	if age := now.Sub(w.swept); age >= 0 && age < time.Minute {
		return
	}
	w.swept = now
	for user, calls := range w.calls {
		if len(recent(calls, now)) == 0 {
			delete(w.calls, user)
		}
	}
}

// recent gives the calls of the last minute. One that lies ahead is from before the clock was set back: it does not count.
func recent(calls []time.Time, now time.Time) []time.Time {
	return slices.DeleteFunc(slices.Clone(calls), func(at time.Time) bool { return !at.After(now.Add(-time.Minute)) || at.After(now) })
}
