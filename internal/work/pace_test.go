package work_test

import (
	"context"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/lethe-cloud/lethe/internal/driver"
	"github.com/lethe-cloud/lethe/internal/fleet"
	"github.com/lethe-cloud/lethe/internal/phone"
)

// pacedReset accepts a reset of all phones to their present image at a pace.
func (b *bench) pacedReset(pace phone.Pace) phone.RequestID {
	b.t.Helper()
	in := fleet.AcceptReset{
		Request: phone.Request{ID: phone.NewID[phone.RequestID](), Project: b.project, Kind: phone.KindReset, Caller: "test", CreatedAt: time.Now(), Pace: &pace},
		Check:   func(string, phone.Properties) *phone.Error { return nil },
	}
	for _, p := range b.phones {
		in.Items = append(in.Items, phone.ResetItem{PhoneID: string(p.ID)})
	}
	if _, err := b.store.AcceptReset(b.t.Context(), in); err != nil {
		b.t.Fatal(err)
	}
	return in.Request.ID
}

// The end of a job lets the next one go by itself: no sweep runs here before the test is long over.
func TestEndLetsTheNextGo(t *testing.T) {
	t.Parallel()
	b := newBench(t, 8, 8)
	b.config.SweepEvery = time.Hour
	b.start()
	b.created()

	// The host sees how many phones are between the removal of the old life and the end of the new one's boot.
	var mu sync.Mutex
	open, most := map[phone.ID]bool{}, 0
	b.host.onCall(func(_ context.Context, call string, ref driver.Ref) error {
		mu.Lock()
		defer mu.Unlock()
		switch call {
		case "remove":
			open[ref.Phone] = true
			most = max(most, len(open))
		case "start":
			delete(open, ref.Phone)
		}
		return nil
	})
	request := b.pacedReset(phone.Pace{First: new(1), AtOnce: new(2), StopPercent: new(0)})
	for _, j := range b.await(request, "one after the other, two at once", ended) {
		if j.Phase != phone.PhaseSucceeded {
			t.Errorf("job %s: %s %+v", j.ID, j.Phase, j.Failure)
		}
	}
	b.onlyNewest(2)
	mu.Lock()
	defer mu.Unlock()
	if most > 2 {
		t.Errorf("%d phones were reset at once", most)
	}
}

// A failure stops the rest by itself: their phones keep what they have, and nothing is called for them.
func TestFailureStopsTheRest(t *testing.T) {
	t.Parallel()
	b := newBench(t, 6, 6)
	b.config.SweepEvery = time.Hour
	stop := b.start()
	b.created()
	bad := b.phones[2].ID
	var mu sync.Mutex
	touched := map[phone.ID]bool{}
	b.host.onCall(func(_ context.Context, call string, ref driver.Ref) error {
		mu.Lock()
		defer mu.Unlock()
		touched[ref.Phone] = true
		if call == "ensure" && ref.Phone == bad {
			return phone.Errorf(phone.Conflict, phone.ReasonForeignObject, "the name is taken")
		}
		return nil
	})
	request := b.pacedReset(phone.Pace{AtOnce: new(1), StopPercent: new(0)})
	jobs := b.await(request, "the request ends", ended)
	stop()
	var phases []phone.Phase
	for i, j := range jobs {
		phases = append(phases, j.Phase)
		p, want := b.phone(j.Phone), phone.Generation(1)
		if j.Phase == phone.PhaseSucceeded {
			want = 2
		}
		if p.Generation != want || j.Phase != phone.PhaseFailed && p.Status != phone.StatusRunning || touched[j.Phone] != (i < 3) {
			t.Errorf("phone %d after its job was %s: %+v, touched %t", i, j.Phase, p, touched[j.Phone])
		}
	}
	want := []phone.Phase{phone.PhaseSucceeded, phone.PhaseSucceeded, phone.PhaseFailed, phone.PhaseCancelled, phone.PhaseCancelled, phone.PhaseCancelled}
	if !slices.Equal(phases, want) {
		t.Errorf("jobs %v, want %v", phases, want)
	}
	progress, err := b.store.Progress(t.Context(), b.project, request)
	if err != nil || progress.Request.Stopped == nil || progress.Request.Stopped.Failed != 1 {
		t.Errorf("progress %+v, %v", progress.Request.Stopped, err)
	}
}
