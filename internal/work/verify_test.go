package work_test

import (
	"context"
	"sync/atomic"
	"testing"
	"time"

	"github.com/lethe-cloud/lethe/internal/driver"
	"github.com/lethe-cloud/lethe/internal/phone"
)

// A phone that has booted and then does not answer for a while, as on a host whose processors are all taken, is waited for, beyond the
// looks that a wrong answer gets.
func TestSilentPhoneIsWaitedFor(t *testing.T) {
	t.Parallel()
	const silent = 7 // looks; a wrong answer is believed after 5
	b := newBenchBooting(t, 1, 1, 2*time.Minute)
	b.start()
	b.created()
	var looks atomic.Int64
	b.host.onCall(func(_ context.Context, call string, ref driver.Ref) error {
		if call == "inspect" && ref.Generation == 2 {
			n := looks.Add(1) // the first one sees that it has booted
			b.host.set(ref, func(i *memoryInstance) { i.booted = n == 1 || n > 1+silent })
		}
		return nil
	})
	request := b.reset(b.phones, nil)
	for _, j := range b.await(request, "ended", ended) {
		if j.Phase != phone.PhaseSucceeded {
			t.Errorf("the job is %s: %+v", j.Phase, j.Failure)
		}
	}
	if n := looks.Load(); n <= 1+silent {
		t.Errorf("the phone was looked at %d times: it was not silent for long", n)
	}
}
