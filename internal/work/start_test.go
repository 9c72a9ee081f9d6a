package work_test

import (
	"context"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/lethe-cloud/lethe/internal/driver"
	"github.com/lethe-cloud/lethe/internal/fleet"
	"github.com/lethe-cloud/lethe/internal/phone"
)

// rebooted is a bench with slots on whose host every instance has ended, as after a restart of the machine.
func rebooted(t *testing.T, phones, slots int) *bench {
	t.Helper()
	b := newBench(t, phones, slots)
	stop := b.start()
	b.created()
	stop()
	for i := range b.phones {
		b.host.set(b.ref(i, 1), func(i *memoryInstance) { i.running, i.booted, i.exited, i.exitCode = false, false, true, 255 })
	}
	b.config.RestartDead, b.config.ReconcileEvery = true, 20*time.Millisecond
	return b
}

// starts gives the phone's jobs that started it.
func (b *bench) starts(id phone.ID) []phone.Job {
	b.t.Helper()
	jobs, err := b.store.Jobs(b.t.Context(), fleet.JobFilter{Project: b.project, Phone: id, Limit: 100})
	if err != nil {
		b.t.Fatal(err)
	}
	return slices.DeleteFunc(jobs, func(j phone.Job) bool { return j.Kind != phone.KindStart })
}

// startedAgain reports whether the phone's one start has succeeded. Its status alone would not tell: it is running until somebody
// notices that it died.
func (b *bench) startedAgain(id phone.ID) bool {
	b.t.Helper()
	starts := b.starts(id)
	return len(starts) == 1 && starts[0].Phase == phone.PhaseSucceeded
}

// After a restart of the machine its phones come back by themselves, no more at once than there are boot slots, with their data and
// in their life.
func TestPhonesComeBackThroughTheSlots(t *testing.T) {
	t.Parallel()
	const phones, slots = 6, 2
	b := rebooted(t, phones, slots)
	var mu sync.Mutex
	booting, most := map[driver.Ref]bool{}, 0
	b.host.onCall(func(_ context.Context, call string, ref driver.Ref) error {
		mu.Lock()
		defer mu.Unlock()
		switch call {
		case "ensure", "remove", "erase":
			t.Errorf("%s of %+v: a start makes and destroys nothing", call, ref)
		case "start":
			booting[ref] = true
			most = max(most, len(booting))
		case "inspect":
			if booting[ref] {
				defer delete(booting, ref) // it is seen to have booted, and after that its slot goes on
			}
		}
		return nil
	})
	b.start()
	eventually(t, "all run again", func() bool {
		return !slices.ContainsFunc(b.phones, func(p phone.Phone) bool {
			return !b.startedAgain(p.ID)
		})
	})
	mu.Lock()
	seen := most
	mu.Unlock()
	if seen > slots {
		t.Errorf("%d phones booted at once, and there are %d slots", seen, slots)
	}
	for i, p := range b.phones {
		p, job := b.phone(p.ID), b.starts(p.ID)[0]
		if p.Generation != 1 || p.LastGeneration != 1 || p.Cause != "" || b.host.has(b.ref(i, 1)) != 2 {
			t.Errorf("after its start: %+v", p)
		}
		if job.Phase != phone.PhaseSucceeded || job.Receipt == nil || job.Receipt.From != 1 || job.Receipt.To != 1 || job.Receipt.Volume == "" {
			t.Errorf("the job: %+v", job)
		}
	}
	b.onlyNewest(1)
}

// A phone that cannot be started is abnormal, with the cause; so is one of which there is nothing to start, without a try.
func TestAStartThatFails(t *testing.T) {
	t.Parallel()
	b := rebooted(t, 3, 3)
	b.host.lose(b.ref(2, 1))
	b.host.onCall(func(_ context.Context, call string, ref driver.Ref) error {
		if call == "start" && ref == b.ref(0, 1) {
			return phone.Errorf(phone.Precondition, phone.ReasonBootExited, "the kernel has no binder any more")
		}
		if call == "start" && ref == b.ref(1, 1) {
			b.host.lose(ref) // somebody removed it at that very moment
		}
		return nil
	})
	b.start()
	for i, want := range []struct {
		cause  string
		starts int
	}{{"the kernel has no binder any more", 1}, {"the volume is gone", 1}, {"is gone from server rack: restart the phone, or reset it", 0}} {
		id := b.phones[i].ID
		eventually(t, "abnormal", func() bool { return b.phone(id).Status == phone.StatusAbnormal })
		if p := b.phone(id); !strings.Contains(p.Cause, want.cause) || len(b.starts(id)) != want.starts {
			t.Errorf("phone %d is abnormal because %q after %d starts, want %q after %d", i, p.Cause, len(b.starts(id)), want.cause, want.starts)
		}
		if i > 0 && b.host.has(b.ref(i, 1)) != 0 {
			t.Error("something was made in place of what was gone")
		}
	}
	b.host.onCall(func(context.Context, string, driver.Ref) error { return nil })
	b.await(b.reset(b.phones, nil), "the cure", ended)
	b.onlyNewest(2)
}

// What the host resolves the image to may have changed since the phone's life was made: it is started as what it is.
func TestAStartKeepsItsImage(t *testing.T) {
	t.Parallel()
	b := rebooted(t, 1, 1)
	b.host.set(b.ref(0, 1), func(i *memoryInstance) { i.spec.Identity.ID = "sha256:of-old" })
	b.start()
	eventually(t, "running again", func() bool { return b.startedAgain(b.phones[0].ID) })
	if got := b.starts(b.phones[0].ID)[0].Receipt.Identity.ID; got != "sha256:of-old" {
		t.Errorf("the receipt says %s", got)
	}
}

// A start that was under way when its process ended is gone on with.
func TestAStartSurvivesARestart(t *testing.T) {
	t.Parallel()
	b := rebooted(t, 1, 1)
	reached := make(chan struct{})
	var once sync.Once
	b.host.onCall(func(ctx context.Context, call string, _ driver.Ref) error {
		if call == "start" {
			once.Do(func() { close(reached) })
			<-ctx.Done()
			return phone.Errorf(phone.Unavailable, "", "stopped")
		}
		return nil
	})
	stop := b.start()
	<-reached
	stop()
	if got := b.phone(b.phones[0].ID).Status; got != phone.StatusRestarting {
		t.Errorf("the phone is %s while its start waits", got)
	}
	b.host.onCall(func(context.Context, string, driver.Ref) error { return nil })
	b.start()
	eventually(t, "running again", func() bool { return b.phone(b.phones[0].ID).Status == phone.StatusRunning })
	if jobs := b.starts(b.phones[0].ID); len(jobs) != 1 || jobs[0].Attempt < 2 {
		t.Errorf("the jobs: %+v", jobs)
	}
}
