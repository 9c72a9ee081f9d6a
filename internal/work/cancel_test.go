package work_test

import (
	"context"
	"slices"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/lethe-cloud/lethe/internal/driver"
	"github.com/lethe-cloud/lethe/internal/fleet"
	"github.com/lethe-cloud/lethe/internal/phone"
)

// The job that brings an image is cancelled while its worker waits for the host: the other job brings it, and when the host
// answers the first worker after all, that one writes nothing and touches no phone.
func TestCancelledWhilePreparing(t *testing.T) {
	t.Parallel()
	b := newBench(t, 2, 2)
	stop := b.start()
	b.created()
	waiting, answer := make(chan struct{}), make(chan struct{})
	letGo := sync.OnceFunc(func() { close(answer) })
	t.Cleanup(letGo)
	var held atomic.Bool
	b.host.onCall(func(_ context.Context, call string, _ driver.Ref) error {
		if call == "prepare" && held.CompareAndSwap(false, true) {
			close(waiting)
			<-answer
		}
		return nil
	})
	request := b.reset(b.phones, nil)
	<-waiting
	isPreparing := func(j phone.Job) bool { return j.Phase == phone.PhasePreparing }
	jobs := b.await(request, "one job prepares", func(jobs []phone.Job) bool { return slices.ContainsFunc(jobs, isPreparing) })
	cancelled := jobs[slices.IndexFunc(jobs, isPreparing)]
	out, err := b.store.Cancel(t.Context(), fleet.CancelJobs{Project: b.project, Job: cancelled.ID, Failure: phone.Failure{Reason: phone.ReasonCancelled}})
	if err != nil || out.Cancelled != 1 {
		t.Fatalf("Cancel = %+v, %v", out, err)
	}
	b.await(request, "the other job goes on without it", ended)
	letGo()
	stop() // every worker has returned

	for _, j := range b.await(request, "both ended", ended) {
		p, want := b.phone(j.Phone), phone.Generation(2)
		if j.ID == cancelled.ID {
			want = 1
			if j.Phase != phone.PhaseCancelled || j.Attempt != cancelled.Attempt {
				t.Errorf("the cancelled job is %s at attempt %d", j.Phase, j.Attempt)
			}
		} else if j.Phase != phone.PhaseSucceeded {
			t.Errorf("the other job is %s: %+v", j.Phase, j.Failure)
		}
		if p.Status != phone.StatusRunning || p.Generation != want || p.LastGeneration != 2 {
			t.Errorf("phone %+v, want generation %d", p, want)
		}
		objects, _ := b.host.List(t.Context())
		for _, o := range objects {
			if o.Phone == p.ID && o.Generation != want {
				t.Errorf("on the host: %+v, want only generation %d", o, want)
			}
		}
	}
}
