package work_test

import (
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/lethe-cloud/lethe/internal/phone"
	"github.com/lethe-cloud/lethe/internal/work"
)

// mutedStore does not take heartbeats while muted is set.
type mutedStore struct {
	work.Store
	muted atomic.Bool
}

func (s *mutedStore) Register(ctx context.Context, replica phone.ReplicaID, ttl time.Duration) error {
	if s.muted.Load() {
		return phone.Errorf(phone.Unavailable, "", "the database does not answer")
	}
	return s.Store.Register(ctx, replica, ttl)
}

func (s *mutedStore) Heartbeat(ctx context.Context, replica phone.ReplicaID, ttl time.Duration) error {
	if s.muted.Load() {
		return phone.Errorf(phone.Unavailable, "", "the database does not answer")
	}
	return s.Store.Heartbeat(ctx, replica, ttl)
}

// An engine is ready from when it works until it stops, and not while its lease is lost.
func TestReady(t *testing.T) {
	t.Parallel()
	b := newBench(t, 1, 1)
	st := &mutedStore{Store: b.store}
	b.config.Store, b.config.LeaseTTL = st, 5*time.Second // a slow machine must be able to renew it
	engine := work.New(b.config)
	await := func(what string, ready bool) {
		t.Helper()
		for deadline := time.Now().Add(2 * time.Minute); ; time.Sleep(2 * time.Millisecond) {
			err := engine.Ready()
			if err != nil && (phone.CodeOf(err) != phone.Unavailable || !strings.Contains(err.Error(), "this replica")) {
				t.Fatalf("%s: %v is no sentence for operators", what, err)
			}
			if (err == nil) == ready {
				return
			}
			if time.Now().After(deadline) {
				t.Fatalf("%s: Ready = %v, want it ready: %v", what, err, ready)
			}
		}
	}
	await("before it runs", false)
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- engine.Run(ctx) }()
	await("while it runs", true)
	b.created()
	st.muted.Store(true)
	await("without heartbeats", false)
	st.muted.Store(false)
	await("with a new lease", true)
	stop()
	if err := <-ended; err != nil && !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	await("after it stopped", false)
}
