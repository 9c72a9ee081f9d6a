package work

import (
	"maps"
	"slices"
	"sync"
	"time"
)

// claiming works what claim gives, each by itself and at most `most` at once, again and again until the process stops. It looks every `every`,
// whatever is at work, and tells claim what is. It returns when all of it has left.
func claiming[K comparable, T any](at attempt, every time.Duration, most int, claim func(held []K, most int) []T, key func(T) K, work func(T)) error {
	var (
		mu      sync.Mutex
		held    = map[K]bool{}
		workers sync.WaitGroup
	)
	defer workers.Wait()
	for pause(at.stop, every) {
		mu.Lock()
		mine := slices.Collect(maps.Keys(held))
		mu.Unlock()
		for _, claimed := range claim(mine, most-len(mine)) {
			mu.Lock()
			held[key(claimed)] = true
			mu.Unlock()
			workers.Go(func() {
				work(claimed)
				mu.Lock()
				delete(held, key(claimed))
				mu.Unlock()
			})
		}
	}
	return at.stop.Err()
}

// A host that does not answer holds nobody who waits for others: what is to be done with it is given back after hostTry, and is not claimed
// for hostPause. Together they leave a host that comes back enough tries before host_deadline.
const (
	hostTry   = 5 * time.Second
	hostPause = 15 * time.Second
)

func (e *Engine) hostTry() time.Duration   { return min(hostTry, e.HostDeadline/4) }
func (e *Engine) hostPause() time.Duration { return min(hostPause, e.HostDeadline/4) }

// gone reports whether a host that does not answer now, and did not since away, is not waited for any longer.
func (e *Engine) gone(away time.Time) bool {
	return !away.IsZero() && e.Now().Sub(away) >= e.HostDeadline
}
