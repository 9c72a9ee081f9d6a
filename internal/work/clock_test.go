package work_test

import (
	"context"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/lethe-cloud/lethe/internal/driver"
	"github.com/lethe-cloud/lethe/internal/phone"
)

// stepping is a wall clock that can be set.
type stepping struct{ offset atomic.Int64 }

func (s *stepping) step(d time.Duration) { s.offset.Add(int64(d)) }

// now has no monotonic part, as a time that was read from the database has none.
func (s *stepping) now() time.Time {
	return time.Now().Add(time.Duration(s.offset.Load())).Round(0)
}

// A wall clock that is set while a phone boots makes its deadline neither earlier nor later.
func TestClockStepsDuringBoot(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		step  time.Duration
		boots bool
		want  phone.Phase
	}{
		"forwards, and it boots":         {48 * time.Hour, true, phone.PhaseSucceeded},
		"backwards, and it boots":        {-48 * time.Hour, true, phone.PhaseSucceeded},
		"backwards, and it never boots":  {-48 * time.Hour, false, phone.PhaseFailed},
		"not at all, and it never boots": {0, false, phone.PhaseFailed},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			timeout := soon
			if c.boots { // not at the first look
				timeout = 5 * time.Second
			}
			b := newBenchBooting(t, 1, 1, timeout)
			clock := &stepping{}
			b.config.Now = clock.now
			b.start()
			b.created()
			looks := 0
			b.host.onCall(func(_ context.Context, call string, ref driver.Ref) error {
				if call != "inspect" || ref.Generation != 2 {
					return nil
				}
				if looks++; looks == 1 {
					clock.step(c.step)
				}
				if looks < 4 || !c.boots {
					b.host.set(ref, func(i *memoryInstance) { i.booted = false })
				} else {
					b.host.set(ref, func(i *memoryInstance) { i.booted = true })
				}
				return nil
			})
			job := b.await(b.reset(b.phones, nil), "the reset ended", ended)[0]
			if job.Phase != c.want || job.Failure != nil && job.Failure.Reason != phone.ReasonBootTimeout {
				t.Errorf("the job is %s %+v, want %s", job.Phase, job.Failure, c.want)
			}
		})
	}
}

// A process that goes on with a boot, and finds the clock set back since it began, waits for no longer than a boot may take.
func TestClockStepsBackBetweenAttempts(t *testing.T) {
	t.Parallel()
	b := newBenchBooting(t, 1, 1, soon)
	b.config.StopGrace = time.Millisecond
	stop := b.start()
	b.created()
	boots := make(chan struct{})
	var first sync.Once
	b.host.onCall(func(ctx context.Context, call string, ref driver.Ref) error {
		if call != "inspect" || ref.Generation != 2 {
			return nil
		}
		b.host.set(ref, func(i *memoryInstance) { i.booted = false })
		first.Do(func() {
			close(boots)
			<-ctx.Done() // until the engine drops what is in flight
		})
		return ctx.Err()
	})
	request := b.reset(b.phones, nil)
	<-boots
	stop()
	clock := &stepping{}
	clock.step(-48 * time.Hour)
	b.config.Now = clock.now
	b.start()
	job := b.await(request, "it ended", ended)[0]
	if job.Phase != phone.PhaseFailed || job.Failure.Reason != phone.ReasonBootTimeout || job.Attempt < 2 {
		t.Errorf("the job is %s in attempt %d, %+v; want a boot timeout in a second one", job.Phase, job.Attempt, job.Failure)
	}
}
