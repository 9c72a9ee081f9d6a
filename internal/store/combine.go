package store

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/lethe-cloud/lethe/internal/phone"
)

// A commit waits for the disk, and many workers save small steps at the same time. So whoever comes first runs a transaction
// with everything that waits at that moment, and what arrives meanwhile waits for the next one.

const (
	maxCombined    = 256              // writes in one transaction
	combineTimeout = 30 * time.Second // for a database that hangs: the callers' own contexts do not end a shared transaction
)

// combiner runs the writes of many callers in shared transactions.
type combiner[T any] struct {
	// run does all writes in one transaction and puts each write's own result into it. Its error means that nothing was written.
	run   func(context.Context, []T) error
	leads chan struct{} // holds one token for each transaction that runs

	mu      sync.Mutex
	waiting []*combined[T]
}

// combined is one caller's write.
type combined[T any] struct {
	write T
	done  chan struct{} // closed: err and the write's result are there
	err   error
}

// newCombiner makes a combiner that runs at most leaders transactions at once.
func newCombiner[T any](leaders int, run func(context.Context, []T) error) *combiner[T] {
	return &combiner[T]{leads: make(chan struct{}, leaders), run: run}
}

// do returns when the write has been done. When ctx ends first, the write may still happen, and its result must not be read.
func (c *combiner[T]) do(ctx context.Context, write T) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	w := &combined[T]{write: write, done: make(chan struct{})}
	c.mu.Lock()
	c.waiting = append(c.waiting, w)
	c.mu.Unlock()
	for {
		select {
		case <-w.done:
			return w.err
		case c.leads <- struct{}{}:
			c.lead(ctx)
		case <-ctx.Done():
			return c.leave(ctx, w)
		}
	}
}

// leave takes a write back that no transaction has taken yet; one that is done all the same has succeeded.
func (c *combiner[T]) leave(ctx context.Context, w *combined[T]) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.waiting = slices.DeleteFunc(c.waiting, func(other *combined[T]) bool { return other == w })
	select {
	case <-w.done:
		return w.err
	default:
		return ctx.Err()
	}
}

// lead runs one transaction with what is waiting, which need not hold the leader's own write.
func (c *combiner[T]) lead(ctx context.Context) {
	defer func() { <-c.leads }()
	c.mu.Lock()
	n := min(len(c.waiting), maxCombined)
	batch := slices.Clone(c.waiting[:n])
	c.waiting = slices.Delete(c.waiting, 0, n)
	c.mu.Unlock()
	if n == 0 {
		return
	}
	finished := false
	defer func() {
		for _, w := range batch {
			if !finished { // a panic goes up in the leader; nobody else may wait for ever
				w.err = errors.New("store: a shared transaction was abandoned")
			}
			close(w.done)
		}
	}()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), combineTimeout)
	defer cancel()
	c.runBatch(ctx, batch)
	finished = true
}

// runBatch runs the writes together, and one by one when that failed, so that a write that the database refuses fails alone.
// A database that does not answer fails them all.
func (c *combiner[T]) runBatch(ctx context.Context, batch []*combined[T]) {
	writes := make([]T, len(batch))
	for i, w := range batch {
		writes[i] = w.write
	}
	err := c.run(ctx, writes)
	if err == nil || len(batch) == 1 || phone.CodeOf(err) == phone.Unavailable {
		for _, w := range batch {
			w.err = err
		}
		return
	}
	for _, w := range batch {
		w.err = c.run(ctx, []T{w.write})
	}
}
