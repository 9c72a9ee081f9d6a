package store

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"

	"github.com/lethe-cloud/lethe/internal/phone"
)

// batches records what a combiner runs, and lets a test hold it up.
type batches struct {
	mu    sync.Mutex
	ran   [][]int
	begun chan struct{}
	hold  chan struct{}
	fail  func([]int) error
}

func newBatches() *batches {
	return &batches{begun: make(chan struct{}, 100), hold: make(chan struct{}), fail: func([]int) error { return nil }}
}

func (b *batches) run(_ context.Context, writes []int) error {
	b.begun <- struct{}{}
	<-b.hold
	b.mu.Lock()
	defer b.mu.Unlock()
	b.ran = append(b.ran, slices.Clone(writes))
	return b.fail(writes)
}

// waitFor polls until as many writes wait.
func waitFor(c *combiner[int], n int) {
	for {
		c.mu.Lock()
		waiting := len(c.waiting)
		c.mu.Unlock()
		if waiting == n {
			return
		}
	}
}

// first puts one write into a transaction, which hold keeps open, and n more behind it.
func first(t *testing.T, c *combiner[int], b *batches, n int) (results []error, wait func()) {
	t.Helper()
	results = make([]error, n+1)
	var group sync.WaitGroup
	group.Go(func() { results[0] = c.do(t.Context(), 0) })
	<-b.begun
	for i := range n {
		group.Go(func() { results[i+1] = c.do(t.Context(), i+1) })
		waitFor(c, i+1)
	}
	return results, group.Wait
}

func TestCombinerShares(t *testing.T) {
	t.Parallel()
	b := newBatches()
	c := newCombiner(1, b.run)
	results, wait := first(t, c, b, 5)
	close(b.hold)
	wait()
	if got, want := fmt.Sprint(b.ran), "[[0] [1 2 3 4 5]]"; got != want {
		t.Errorf("ran %s, want %s", got, want)
	}
	if err := errors.Join(results...); err != nil {
		t.Error(err)
	}
}

func TestCombinerBoundsBatches(t *testing.T) {
	t.Parallel()
	b := newBatches()
	c := newCombiner(1, b.run)
	_, wait := first(t, c, b, maxCombined+1)
	close(b.hold)
	go func() {
		for range b.begun { // more transactions than begun has room for must not hang
		}
	}()
	wait()
	close(b.begun)
	if len(b.ran) != 3 || len(b.ran[1]) != maxCombined || len(b.ran[2]) != 1 {
		t.Errorf("ran %d batches: %v", len(b.ran), b.ran)
	}
}

// TestCombinerFailsAlone refuses one write: its neighbours are written all the same.
func TestCombinerFailsAlone(t *testing.T) {
	t.Parallel()
	bad := errors.New("refused")
	b := newBatches()
	b.fail = func(writes []int) error {
		if slices.Contains(writes, 2) {
			return bad
		}
		return nil
	}
	c := newCombiner(1, b.run)
	results, wait := first(t, c, b, 3)
	close(b.hold)
	wait()
	for i, err := range results {
		if errors.Is(err, bad) != (i == 2) {
			t.Errorf("write %d: %v", i, err)
		}
	}
	if got, want := fmt.Sprint(b.ran), "[[0] [1 2 3] [1] [2] [3]]"; got != want {
		t.Errorf("ran %s, want %s", got, want)
	}
}

func TestCombinerWithoutDatabase(t *testing.T) {
	t.Parallel()
	b := newBatches()
	b.fail = func([]int) error { return &phone.Error{Code: phone.Unavailable} }
	c := newCombiner(1, b.run)
	results, wait := first(t, c, b, 3)
	close(b.hold)
	wait()
	for i, err := range results {
		if phone.CodeOf(err) != phone.Unavailable {
			t.Errorf("write %d: %v", i, err)
		}
	}
	if len(b.ran) != 2 {
		t.Errorf("ran %v, want no write tried again", b.ran)
	}
}

func TestCombinerLeaving(t *testing.T) {
	t.Parallel()
	b := newBatches()
	c := newCombiner(1, b.run)
	_, wait := first(t, c, b, 1)
	ctx, cancel := context.WithCancel(t.Context())
	left := make(chan error)
	go func() { left <- c.do(ctx, 9) }()
	waitFor(c, 2)
	cancel()
	if err := <-left; !errors.Is(err, context.Canceled) {
		t.Errorf("who left got %v", err)
	}
	close(b.hold)
	wait()
	if got, want := fmt.Sprint(b.ran), "[[0] [1]]"; got != want {
		t.Errorf("ran %s, want %s", got, want)
	}
	if err := c.do(ctx, 10); !errors.Is(err, context.Canceled) {
		t.Errorf("a call with an ended context got %v", err)
	}
}

// TestCombinerPanic lets a transaction panic: the leader panics, and nobody else waits for ever.
func TestCombinerPanic(t *testing.T) {
	t.Parallel()
	b := newBatches()
	c := newCombiner(1, b.run)
	results, wait := first(t, c, b, 0)
	b.fail = func([]int) error { panic("as the test wants it") }
	second := make(chan error, 1)
	leader := make(chan any, 1)
	for i := range 2 {
		go func() {
			defer func() {
				if p := recover(); p != nil {
					leader <- p
				}
			}()
			second <- c.do(t.Context(), 100+i)
		}()
		waitFor(c, i+1)
	}
	b.mu.Lock()
	once := b.fail
	b.fail = func(writes []int) error {
		if writes[0] == 0 {
			return nil
		}
		return once(writes)
	}
	b.mu.Unlock()
	close(b.hold)
	wait()
	if results[0] != nil {
		t.Errorf("the first write: %v", results[0])
	}
	<-leader
	if err := <-second; err == nil {
		t.Error("the other write of a transaction that panicked has succeeded")
	}
	b.fail = func([]int) error { return nil }
	if err := c.do(t.Context(), 200); err != nil {
		t.Errorf("a write after the panic: %v", err)
	}
}
