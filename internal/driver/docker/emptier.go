package docker

import (
	"context"
	"slices"
	"sync"

	"github.com/moby/moby/api/types/volume"

	"github.com/lethe-cloud/lethe/internal/emptydir"
)

// maxBatch is how many volumes one helper container empties at most.
const maxBatch = 64

// emptier collects what all phones of a host want emptied while the helper runs, for its next run: one caller runs it for
// all who wait. There is no goroutine that outlives its caller.
type emptier struct {
	turn lock // the right to run the helper

	mu      sync.Mutex
	waiting []*emptying
}

// emptying is one caller's volumes.
type emptying struct {
	volumes []volume.Volume
	done    chan struct{} // closed when reports or err is there
	reports []emptydir.Report
	err     error
}

// empty empties volumes, which nothing may be using, and gives a report for each.
func (h *host) empty(ctx context.Context, volumes []volume.Volume) ([]emptydir.Report, error) {
	e := &h.emptier
	own := &emptying{volumes: volumes, done: make(chan struct{})}
	e.add(own)
	for {
		select {
		case <-own.done:
			return own.reports, own.err
		case <-ctx.Done():
			e.withdraw(own)
			return nil, classify("empty the volume", ctx.Err())
		case e.turn <- struct{}{}:
			if ctx.Err() == nil {
				h.lead(ctx)
			}
			e.turn.release()
		}
	}
}

// lead runs the helper once for everybody who waits. When it is cut off because its own caller gave up, the others wait for
// the next who leads.
func (h *host) lead(ctx context.Context) {
	batch := h.emptier.take()
	if len(batch) == 0 {
		return
	}
	var volumes []volume.Volume
	for _, one := range batch {
		volumes = append(volumes, one.volumes...)
	}
	reports, err := h.runHelper(ctx, volumes)
	if err != nil && ctx.Err() != nil {
		h.emptier.add(batch...)
		return
	}
	for _, one := range batch {
		if one.err = err; err == nil {
			one.reports, reports = reports[:len(one.volumes)], reports[len(one.volumes):]
			one.err = firstFailure(one.volumes, one.reports)
		}
		close(one.done)
	}
}

// take gives those who waited longest, up to maxBatch volumes but always at least one caller's.
func (e *emptier) take() []*emptying {
	e.mu.Lock()
	defer e.mu.Unlock()
	count, n := 0, 0
	for n < len(e.waiting) {
		if count += len(e.waiting[n].volumes); n > 0 && count > maxBatch {
			break
		}
		n++
	}
	batch := slices.Clone(e.waiting[:n])
	e.waiting = slices.Delete(e.waiting, 0, n)
	return batch
}

func (e *emptier) add(batch ...*emptying) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.waiting = append(slices.Clone(batch), e.waiting...)
}

// withdraw takes back what nobody has begun with.
func (e *emptier) withdraw(own *emptying) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.waiting = slices.DeleteFunc(e.waiting, func(one *emptying) bool { return one == own })
}
