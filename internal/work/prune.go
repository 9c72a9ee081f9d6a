package work

import (
	"context"
	"math/rand/v2"
	"time"

	"github.com/lethe-cloud/lethe/internal/phone"
)

const (
	// pruneStep is how many old records one transaction looks at, at most.
	pruneStep = 200
	// pruneRest is how many times as long as a step took the next one waits, at least: what is old may take a fifth of the time
	// of a database that has one writer, whatever the machine.
	pruneRest = 4
	pruneWait = 20 * time.Millisecond
)

// prune removes finished jobs that are older than the retention, again and again until ctx ends. Every replica does: what two
// remove at once, one of them removes.
func (e *Engine) prune(ctx context.Context) error {
	if e.JobRetention <= 0 {
		return nil
	}
	// The first time soon after the start, and not in all replicas at once.
	wait := time.Duration(rand.Int64N(int64(min(e.PruneEvery, time.Minute))))
	for pause(ctx, wait) {
		done, err := e.pruneOnce(ctx)
		if err != nil && ctx.Err() == nil {
			e.Logger.Warn("old jobs could not be removed: trying again later", "err", err)
		}
		if done.Jobs+done.Requests > 0 {
			e.Logger.Info("old jobs removed", "jobs", done.Jobs, "requests", done.Requests)
		}
		wait = e.PruneEvery
	}
	return ctx.Err()
}

// pruneOnce goes through everything that is older than the retention.
func (e *Engine) pruneOnce(ctx context.Context) (phone.Pruned, error) {
	before := e.Now().Add(-e.JobRetention)
	jobs, err := e.pruneList(ctx, before, e.Store.PruneJobs)
	if err != nil {
		return jobs, err
	}
	requests, err := e.pruneList(ctx, before, e.Store.PruneRequests)
	return phone.Pruned{Jobs: jobs.Jobs, Requests: jobs.Requests + requests.Requests}, err
}

// pruneList goes through one list in small steps with pauses between them.
func (e *Engine) pruneList(
	ctx context.Context, before time.Time, prune func(context.Context, time.Time, phone.Mark, int) (phone.Pruned, error),
) (phone.Pruned, error) {
	var sum phone.Pruned
	for {
		began := time.Now()
		step, err := prune(ctx, before, sum.Next, pruneStep)
		if err != nil {
			return sum, err
		}
		sum.Jobs, sum.Requests, sum.Next = sum.Jobs+step.Jobs, sum.Requests+step.Requests, step.Next
		if step.Done || !pause(ctx, max(pruneWait, pruneRest*time.Since(began))) {
			return sum, ctx.Err()
		}
	}
}

// pause waits; it reports false when ctx ended first.
func pause(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}
