package storetest

import (
	"context"
	"math/rand/v2"
	"sync"
	"testing"

	"github.com/lethe-cloud/lethe/internal/phone"
)

// workers does every job that it is handed, with a driver that costs nothing.
type workers struct {
	t testing.TB
	f Fixture

	mu   sync.Mutex
	left int
	done chan struct{}
}

func (w *workers) work(ctx context.Context, d phone.Delivery) {
	a, err := w.f.Claim(ctx, d, "r1")
	if err != nil {
		w.t.Errorf("Claim: %v", err)
		return
	}
	if a.Job.Phase == phone.PhasePreparing {
		w.check("Prepared", w.f.Prepared(ctx, a.Fence, phone.ImageIdentity{ID: "sha256:2"}))
		return
	}
	failIn := phone.Phase("")
	if rand.IntN(5) == 0 {
		failIn = []phone.Phase{phone.PhaseRemoving, phone.PhaseCreating, phone.PhaseBooting, phone.PhaseVerifying}[rand.IntN(4)]
	}
	w.steps(ctx, a, failIn)
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.left--; w.left == 0 {
		close(w.done)
	}
}

// steps takes the job through its phases; erasing runs beside booting and verifying.
func (w *workers) steps(ctx context.Context, a phone.Assignment, failIn phone.Phase) {
	var erasing sync.WaitGroup
	defer erasing.Wait()
	phase := phone.PhaseRemoving
	for _, next := range []phone.Phase{phone.PhaseCreating, phone.PhaseBooting, phone.PhaseVerifying} {
		if phase == failIn {
			break
		}
		w.check("Advance", w.f.Advance(ctx, a.Fence, next))
		phase = next
		if next == phone.PhaseCreating {
			erasing.Go(func() { w.check("Erased", w.f.Erased(ctx, a.Fence, nil, w.f.Clock.Now())) })
		}
	}
	erasing.Wait()
	if phase == failIn {
		w.check("Fail", w.f.Fail(ctx, a.Fence, phone.Failure{Reason: phone.ReasonBootExited, Msg: "as the test wants it"}))
		return
	}
	w.check("Finish", w.f.Finish(ctx, a.Fence, phone.Receipt{Job: a.Job.ID}))
}

func (w *workers) check(what string, err error) {
	if err != nil {
		w.t.Errorf("%s: %v", what, err)
	}
}
