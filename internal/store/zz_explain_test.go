package store_test

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/lethe-cloud/lethe/internal/phone"
	"github.com/lethe-cloud/lethe/internal/store/storetest"
	"github.com/lethe-cloud/lethe/internal/testenv"
)

func BenchmarkZZFlow(b *testing.B) {
	b.Run("sqlite", func(b *testing.B) { flow(b, storetest.Open(b, "sqlite:"+filepath.Join(b.TempDir(), "x.db"))) })
	b.Run("postgres", func(b *testing.B) { flow(b, storetest.Open(b, testenv.Postgres(b))) })
}

func flow(b *testing.B, f storetest.Fixture) {
	image := f.Image(b)
	var ids []phone.ID
	for range 20 {
		in := f.Fleet(b, f.Project(0), image.ID, 100, 20)
		for _, p := range in.Phones {
			ids = append(ids, p.ID)
		}
	}
	ctx := b.Context()
	if err := f.Register(ctx, "r", time.Minute); err != nil {
		b.Fatal(err)
	}
	dctx, cancel := context.WithCancel(ctx)
	var left atomic.Int64
	done := make(chan struct{})
	check := func(err error) {
		if err != nil {
			b.Error(err)
		}
	}
	stopped := make(chan struct{})
	go func() {
		defer close(stopped)
		check(f.Deliver(dctx, 10000, func(ctx context.Context, d phone.Delivery) {
			a, err := f.Claim(ctx, d, "r")
			if err != nil {
				b.Error(err)
				return
			}
			check(f.Advance(ctx, a.Fence, phone.PhaseCreating))
			check(f.Advance(ctx, a.Fence, phone.PhaseBooting))
			check(f.Erased(ctx, a.Fence, nil, time.Now()))
			check(f.Advance(ctx, a.Fence, phone.PhaseVerifying))
			check(f.Finish(ctx, a.Fence, phone.Receipt{}))
			if left.Add(-1) == 0 {
				close(done)
			}
		}))
	}()
	// latency
	b.ResetTimer()
	for b.Loop() {
		left.Store(int64(len(ids)))
		done = make(chan struct{})
		for c := range slices.Chunk(ids, 1000) {
			if _, err := f.AcceptReset(ctx, f.ResetInput(f.Project(0), c...)); err != nil {
				b.Fatal(err)
			}
		}
		<-done
	}
	b.ReportMetric(float64(len(ids)*b.N)/b.Elapsed().Seconds(), "jobs/s")
	cancel()
	<-stopped
}

func BenchmarkZZLatency(b *testing.B) {
	b.Run("sqlite", func(b *testing.B) { latency(b, storetest.Open(b, "sqlite:"+filepath.Join(b.TempDir(), "x.db"))) })
	b.Run("postgres", func(b *testing.B) { latency(b, storetest.Open(b, testenv.Postgres(b))) })
}

func latency(b *testing.B, f storetest.Fixture) {
	image := f.Image(b)
	in := f.Fleet(b, f.Project(0), image.ID, 1000, 1000)
	ctx := b.Context()
	dctx, cancel := context.WithCancel(ctx)
	got := make(chan time.Time, 10)
	stopped := make(chan struct{})
	go func() {
		defer close(stopped)
		f.Deliver(dctx, 10000, func(ctx context.Context, d phone.Delivery) { got <- time.Now() })
	}()
	time.Sleep(time.Second)
	var all []time.Duration
	i := 0
	for b.Loop() {
		f.Reset(b, f.Project(0), in.Phones[i].ID)
		i++
		at := time.Now()
		all = append(all, (<-got).Sub(at))
		time.Sleep(7 * time.Millisecond)
	}
	slices.Sort(all)
	fmt.Println(all[len(all)/2], all[len(all)*9/10], all[len(all)-1])
	cancel()
	<-stopped
}
