package work_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/lethe-cloud/lethe/internal/driver"
	"github.com/lethe-cloud/lethe/internal/phone"
)

// keeping is a bench whose phones run, each with its first life, and no engine. Later lives have to boot at once or never.
func keeping(t *testing.T, phones, slots int) *bench {
	t.Helper()
	b := newBenchBooting(t, phones, slots, soon)
	stop := b.start()
	b.created()
	stop()
	return b
}

// wantOld fails unless the phone is as it was before its reset: row, instance and volume, and nothing of another life.
func (b *bench) wantOld(before phone.Phone, job phone.Job) {
	b.t.Helper()
	want := before
	want.LastGeneration = job.Target
	got := b.phone(before.ID)
	want.UpdatedAt = got.UpdatedAt
	if diff := cmp.Diff(want, got); diff != "" {
		b.t.Errorf("the phone after its rollback (-want +got):\n%s", diff)
	}
	old := driver.Ref{Phone: before.ID, Generation: before.Generation}
	if n := b.host.has(old); n != 2 {
		b.t.Errorf("%d of the old life's instance and volume are on the host", n)
	}
	if running := b.host.running(old); running != (before.Status == phone.StatusRunning) {
		b.t.Errorf("the old instance runs: %t, and the phone is %s", running, before.Status)
	}
	for g := before.Generation + 1; g <= job.Target; g++ {
		if n := b.host.has(driver.Ref{Phone: before.ID, Generation: g}); n != 0 {
			b.t.Errorf("%d objects of life %d, which failed, are on the host", n, g)
		}
	}
}

// wantRolledBack waits until the job of the only phone has ended, and fails unless it failed for the reason, with a failure that says all of
// this, and left the phone as it was before.
func (b *bench) wantRolledBack(request phone.RequestID, before phone.Phone, reason phone.Reason, says ...string) {
	b.t.Helper()
	j := b.await(request, "ended", ended)[0]
	if j.Phase != phone.PhaseFailed || !j.RolledBack || j.Failure.Reason != reason {
		b.t.Errorf("the job: %s, rolled back %t, %+v; want it rolled back for %q", j.Phase, j.RolledBack, j.Failure, reason)
	}
	for _, part := range says {
		if !strings.Contains(j.Failure.Msg+"\n"+j.Failure.Detail, part) {
			b.t.Errorf("the failure %+v does not say %q", j.Failure, part)
		}
	}
	b.wantOld(before, j)
}

// With the policy a reset ends as without it, and nothing is removed or erased before the new life is verified.
func TestRollbackPolicyOfAResetThatSucceeds(t *testing.T) {
	t.Parallel()
	b := keeping(t, 3, 2)
	var mu sync.Mutex
	verified := map[phone.ID]bool{}
	b.host.onCall(func(_ context.Context, call string, ref driver.Ref) error {
		mu.Lock()
		defer mu.Unlock()
		switch {
		case call == "exec getprop" && ref.Generation == 2:
			verified[ref.Phone] = true
		case (call == "remove" || call == "erase" || call == "discard") && !verified[ref.Phone]:
			t.Errorf("%s of %v before its next life was verified", call, ref)
		}
		return nil
	})
	request := b.resetBy(b.phones, phone.Properties{"com.cph.mainkeys": "1"}, true)
	b.start()
	for _, j := range b.await(request, "reset ended", ended) {
		if j.Phase != phone.PhaseSucceeded || j.Receipt == nil || !j.Rollback || j.RolledBack || j.Erase != phone.EraseDone {
			t.Fatalf("job: %s, rollback %t %t, erase %s, %+v", j.Phase, j.Rollback, j.RolledBack, j.Erase, j.Failure)
		}
		if len(j.Receipt.Erased) != 1 || j.Receipt.LookedFor.IsZero() || j.Receipt.From != 1 || j.Receipt.To != 2 {
			t.Errorf("receipt: %+v", j.Receipt)
		}
		if p := b.phone(j.Phone); p.Status != phone.StatusRunning || p.Generation != 2 {
			t.Errorf("phone: %+v", p)
		}
	}
	b.onlyNewest(2)
}

// While it can still turn back a job keeps its slot: one slot never has two lives booting.
func TestRollbackKeepsTheSlotUntilVerified(t *testing.T) {
	t.Parallel()
	b := keeping(t, 2, 1)
	reached, release := make(chan struct{}, 16), make(chan struct{})
	b.host.onCall(func(ctx context.Context, call string, ref driver.Ref) error {
		if call == "exec getprop" && ref.Generation == 2 {
			reached <- struct{}{}
			select {
			case <-release:
			case <-ctx.Done():
				return ctx.Err()
			}
		}
		return nil
	})
	request := b.resetBy(b.phones, phone.Properties{"com.cph.mainkeys": "1"}, true)
	b.start()
	<-reached
	jobs := b.await(request, "one verifies in its slot", func([]phone.Job) bool { return true })
	var phases []phone.Phase
	for _, j := range jobs {
		phases = append(phases, j.Phase)
	}
	if !slices.Contains(phases, phone.PhaseBooting) || !slices.Contains(phases, phone.PhaseQueued) {
		t.Errorf("phases while the first is verified: %v", phases)
	}
	close(release)
	b.await(request, "both ended", ended)
	b.onlyNewest(2)
}

// spoilSecond makes what a job does about the second life of a phone go wrong.
func (b *bench) spoilSecond(bad phone.ID, spoil func(b *bench, call string, ref driver.Ref) error) {
	b.host.onCall(func(_ context.Context, call string, ref driver.Ref) error {
		if ref.Phone == bad && ref.Generation == 2 && b.host.has(ref) > 0 || call == "ensure" && ref.Generation == 2 && ref.Phone == bad {
			return spoil(b, call, ref)
		}
		return nil
	})
}

func TestRollback(t *testing.T) {
	t.Parallel()
	for name, c := range failingLives() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := keeping(t, 2, 1)
			bad := b.phone(b.phones[0].ID)
			b.spoilSecond(bad.ID, c.spoil)
			request := b.resetBy(b.phones, phone.Properties{"com.cph.mainkeys": "1"}, true)
			b.start()
			for _, j := range b.await(request, "both ended", ended) {
				if j.Phone != bad.ID {
					if j.Phase != phone.PhaseSucceeded {
						t.Errorf("its neighbour: %s %+v", j.Phase, j.Failure)
					}
					continue
				}
				if j.Phase != phone.PhaseFailed || !j.RolledBack || j.PhaseAt[phone.PhaseRestoring].IsZero() || j.Failure == nil {
					t.Fatalf("the job: %s, rolled back %t, %+v", j.Phase, j.RolledBack, j.Failure)
				}
				f := j.Failure
				if f.Reason != c.reason || !strings.Contains(f.Msg, c.says) || !strings.Contains(f.Detail, "it runs its life 1 again, with its data") || strings.Contains(fmt.Sprint(f), "secret") {
					t.Errorf("failure: %+v", f)
				}
				b.wantOld(bad, j)
			}

			// What was rolled back can be reset again; the number of the failed life is not used a second time.
			b.host.onCall(func(context.Context, string, driver.Ref) error { return nil })
			for _, j := range b.await(b.resetBy(b.phones[:1], nil, true), "reset again", ended) {
				if j.Phase != phone.PhaseSucceeded || j.Prior != 1 || j.Target != 3 {
					t.Errorf("second reset: %s from %d to %d, %+v", j.Phase, j.Prior, j.Target, j.Failure)
				}
			}
		})
	}
}

// A phone that did not run before is not started: it gets its status back, with the cause.
func TestRollbackOfAPhoneThatDidNotRun(t *testing.T) {
	t.Parallel()
	b := keeping(t, 1, 1)
	before := b.phone(b.phones[0].ID)
	b.host.set(b.ref(0, 1), func(i *memoryInstance) { i.running, i.booted, i.exited = false, false, true })
	died, err := b.store.Died(t.Context(), b.server.ID, []phone.Death{{Phone: before.ID, Generation: 1, UpdatedAt: before.UpdatedAt, Cause: "it fell"}})
	if err != nil || len(died) != 1 {
		t.Fatal(died, err)
	}
	before = b.phone(before.ID)
	if before.Status != phone.StatusAbnormal || before.Cause != "it fell" {
		t.Fatalf("the dead phone: %+v", before)
	}
	b.spoilSecond(before.ID, endsWhileBooting)
	request := b.resetBy(b.phones, nil, true)
	if p := b.phone(before.ID); p.Status != phone.StatusResetting || p.Cause != "" {
		t.Errorf("while it is reset: %+v", p)
	}
	b.start()
	b.wantRolledBack(request, before, phone.ReasonBootExited, "it is abnormal as before, and has its life 1 with its data")
}

// An image that cannot be had fails the job before anything was done to the phone.
func TestRollbackWhilePreparing(t *testing.T) {
	t.Parallel()
	b := keeping(t, 1, 1)
	before := b.phone(b.phones[0].ID)
	b.host.onCall(func(_ context.Context, call string, ref driver.Ref) error {
		if call == "prepare" {
			return phone.Errorf(phone.NotFound, phone.ReasonImageNotFound, "manifest unknown")
		}
		if ref.Phone != "" {
			t.Errorf("%s of %v", call, ref)
		}
		return nil
	})
	request := b.resetBy(b.phones, nil, true)
	b.start()
	b.wantRolledBack(request, before, phone.ReasonImageNotFound, "nothing was done to the phone")
}

// Without room for a second volume the old instance is not even stopped.
func TestRollbackNeedsSpace(t *testing.T) {
	t.Parallel()
	b := keeping(t, 1, 1)
	before := b.phone(b.phones[0].ID)
	b.host.space = phone.Space{Used: 10 << 30, Free: 11 << 30}
	b.host.onCall(func(_ context.Context, call string, ref driver.Ref) error {
		if call == "stop" || call == "ensure" || call == "remove" && ref.Generation == 1 {
			t.Errorf("%s of %v", call, ref)
		}
		return nil
	})
	request := b.resetBy(b.phones, nil, true)
	b.start()
	b.wantRolledBack(request, before, phone.ReasonNoSpace, "server rack has 11264.0 MiB left", "takes 10240.0 MiB")
	// Without the policy nobody asks: there need be room for one volume only.
	b.host.onCall(func(context.Context, string, driver.Ref) error { return nil })
	measured := b.host.count("space")
	if j := b.await(b.reset(b.phones, nil), "ended", ended)[0]; j.Phase != phone.PhaseSucceeded || b.host.count("space") != measured {
		t.Errorf("the job without the policy: %s %+v", j.Phase, j.Failure)
	}
}

// A phone that runs and hangs is left alone when its job fails before anything was done to it: brought back as after a new life that
// failed, it would be started, waited for and given up.
func TestRollbackOfAPhoneThatWasNotTouched(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		fail   func(call string, ref driver.Ref) error
		reason phone.Reason
	}{
		"no room": {func(string, driver.Ref) error { return nil }, phone.ReasonNoSpace},
		"the host goes away": {func(call string, _ driver.Ref) error {
			if call == "space" {
				return phone.Errorf(phone.Unavailable, "", "no route")
			}
			return nil
		}, phone.ReasonHostGone},
		"the host is away": {func(_ string, ref driver.Ref) error {
			if ref.Phone != "" {
				return phone.Errorf(phone.Unavailable, "", "no route")
			}
			return nil
		}, phone.ReasonHostGone},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := keeping(t, 1, 1)
			b.config.HostDeadline, b.config.Unclaimed = 100*time.Millisecond, time.Hour // an attempt that nobody began is one that may have touched it
			b.host.space = phone.Space{Used: 10 << 30, Free: 11 << 30}
			hang := func() { b.host.set(b.ref(0, 1), func(i *memoryInstance) { i.booted = false }) }
			hang()
			b.host.onCall(func(_ context.Context, call string, ref driver.Ref) error {
				if call == "inspect" {
					hang()
				}
				if ref.Phone != "" && call != "inspect" && call != "space" {
					t.Errorf("%s of %v", call, ref)
				}
				return c.fail(call, ref)
			})
			before := b.phone(b.phones[0].ID)
			// The first job brings its image first; the second finds it there.
			for _, attempts := range []int{2, 1} {
				request := b.resetBy(b.phones, nil, true)
				stop := b.start()
				j := b.await(request, "ended", ended)[0]
				stop()
				if j.Phase != phone.PhaseFailed || !j.RolledBack || j.Attempt != attempts || j.Failure.Reason != c.reason || !strings.HasPrefix(j.Failure.Detail, "nothing was done to the phone: it is as it was; ") {
					t.Errorf("the job: %s, rolled back %t in attempt %d, %+v", j.Phase, j.RolledBack, j.Attempt, j.Failure)
				}
				b.wantOld(before, j)
			}
		})
	}
}

// An attempt that takes over does not know what the one before it has stopped: it brings the old life back.
func TestRollbackAfterATakeover(t *testing.T) {
	t.Parallel()
	b := keeping(t, 1, 1)
	b.config.StopGrace = time.Millisecond
	before := b.phone(b.phones[0].ID)
	reached := make(chan struct{}, 1)
	b.host.onCall(func(ctx context.Context, call string, ref driver.Ref) error {
		if call == "stop" {
			b.host.set(ref, func(i *memoryInstance) { i.running, i.booted = false, false })
			reached <- struct{}{}
			<-ctx.Done()
			return ctx.Err()
		}
		return nil
	})
	request := b.resetBy(b.phones, nil, true)
	stop := b.start()
	<-reached
	stop()
	b.host.onCall(func(context.Context, string, driver.Ref) error { return nil })
	b.host.space = phone.Space{Used: 10 << 30, Free: 11 << 30}
	b.start()
	b.wantRolledBack(request, before, phone.ReasonNoSpace, "it runs its life 1 again, with its data")
}

// A stop that a fenced worker had sent arrives while the old life comes back: that is started once more.
func TestRollbackOutlivesALateStop(t *testing.T) {
	t.Parallel()
	b := keeping(t, 1, 1)
	before := b.phone(b.phones[0].ID)
	var late sync.Once
	starts := b.host.count("start")
	b.host.onCall(func(_ context.Context, call string, ref driver.Ref) error {
		switch {
		case call == "inspect" && ref.Generation == 2 && b.host.has(ref) > 0:
			b.host.set(ref, func(i *memoryInstance) { i.running, i.booted, i.exited, i.exitCode = false, false, true, 129 })
		case call == "inspect" && ref.Generation == 1 && b.host.count("start") == starts+2: // the new life's, and now its own
			late.Do(func() {
				b.host.set(ref, func(i *memoryInstance) { i.running, i.booted, i.exited, i.exitCode = false, false, true, 137 })
			})
		}
		return nil
	})
	request := b.resetBy(b.phones, phone.Properties{"com.cph.mainkeys": "1"}, true)
	b.start()
	b.wantRolledBack(request, before, phone.ReasonBootExited, "exit code 129")
	if n := b.host.count("start"); n != starts+3 {
		t.Errorf("%d starts since the reset, want 3", n-starts)
	}
}

// An old life that does not come back, or is not there any more, leaves the phone failed; the job says both.
func TestRollbackThatFails(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		spoil func(b *bench, call string, ref driver.Ref) error
		says  string
		warns string // what its detail has to say of the data
		left  int    // of the failed life
	}{
		"the old one ends": {func(b *bench, call string, ref driver.Ref) error {
			if call == "inspect" && ref.Generation == 1 && b.host.count("start") >= 2 && b.host.running(ref) {
				b.host.set(ref, func(i *memoryInstance) { i.running, i.booted, i.exited, i.exitCode = false, false, true, 7 })
			}
			return nil
		}, "and the old life could not be brought back: the instance ended with exit code 7", "of life 1 nothing was erased", 1},
		"the old one is gone": {func(b *bench, call string, ref driver.Ref) error {
			if call == "ensure" {
				b.host.lose(driver.Ref{Phone: ref.Phone, Generation: 1})
			}
			return nil
		}, "and there was no old life to go back to (life 1 is not on the server)", "", 2},
		"the old instance is gone": {func(b *bench, call string, ref driver.Ref) error {
			if call == "ensure" {
				b.host.loseOnly(driver.ObjectInstance, driver.Ref{Phone: ref.Phone, Generation: 1})
			}
			return nil
		}, "and the old life could not be brought back: the instance of life 1 is not on the server; its volume, with the phone's data, is", "the volume of life 1 on the server has the phone's data, and a reset of the phone destroys it", 2},
		"the old volume is gone": {func(b *bench, call string, ref driver.Ref) error {
			if call == "ensure" {
				b.host.loseOnly(driver.ObjectVolume, driver.Ref{Phone: ref.Phone, Generation: 1})
			}
			return nil
		}, "and the old life could not be brought back: the volume of life 1, with the phone's data, is not on the server; its instance is", "", 2},
		"what is gone cannot be seen": {func(b *bench, call string, ref driver.Ref) error {
			switch call {
			case "ensure":
				b.host.loseOnly(driver.ObjectInstance, driver.Ref{Phone: ref.Phone, Generation: 1})
			case "list":
				return phone.Errorf(phone.Conflict, phone.ReasonHostFailed, "no list today")
			}
			return nil
		}, "instance or volume of life 1 is not on the server; which, could not be seen: no list today", "the volume of life 1 on the server may have the phone's data", 2},
		"the driver panics": {func(_ *bench, call string, ref driver.Ref) error {
			if call == "remove" {
				panic("boom")
			}
			return nil
		}, "and the old life could not be brought back: internal error", "of life 1 nothing was erased", 2},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := keeping(t, 1, 1)
			id := b.phones[0].ID
			b.host.onCall(func(_ context.Context, call string, ref driver.Ref) error {
				if call == "inspect" && ref.Generation == 2 && b.host.has(ref) > 0 {
					b.host.set(ref, func(i *memoryInstance) { i.running, i.booted, i.exited, i.exitCode = false, false, true, 129 })
				}
				return c.spoil(b, call, ref)
			})
			request := b.resetBy(b.phones, nil, true)
			b.start()
			j := b.await(request, "ended", ended)[0]
			if j.Phase != phone.PhaseFailed || j.RolledBack || j.Failure.Reason != phone.ReasonBootExited || !strings.Contains(j.Failure.Msg, "exit code 129") || !strings.Contains(j.Failure.Msg, c.says) || !strings.Contains(j.Failure.Detail, c.warns) {
				t.Errorf("the job: %s, rolled back %t, %+v", j.Phase, j.RolledBack, j.Failure)
			}
			if c.warns == "" && strings.Contains(j.Failure.Detail, "nothing was erased") {
				t.Errorf("it speaks of data that is gone: %+v", j.Failure)
			}
			if p := b.phone(id); p.Status != phone.StatusResetFailed || p.Generation != 1 {
				t.Errorf("the phone: %+v", p)
			}
			if n := b.host.has(b.ref(0, 2)); n != c.left {
				t.Errorf("%d objects of the failed life are left, want %d", n, c.left)
			}
			b.host.onCall(func(context.Context, string, driver.Ref) error { return nil })
			if j := b.await(b.reset(b.phones, nil), "reset without the policy", ended)[0]; j.Phase != phone.PhaseSucceeded {
				t.Errorf("the next reset: %s %+v", j.Phase, j.Failure)
			}
			b.onlyNewest(3)
		})
	}
}

// When the way back fails too, nothing goes on booting in a slot that is another phone's.
func TestRollbackThatFailsLeavesNothingBooting(t *testing.T) {
	t.Parallel()
	never := func(b *bench, ref driver.Ref) { b.host.set(ref, func(i *memoryInstance) { i.booted = false }) }
	refused := phone.Errorf(phone.Internal, phone.ReasonHostFailed, "it does not work")
	for name, spoil := range map[string]func(b *bench, call string, ref driver.Ref) error{
		"the old one does not boot": func(b *bench, call string, ref driver.Ref) error {
			switch {
			case call == "ensure":
				return refused
			case call == "inspect" && b.host.running(ref):
				never(b, ref)
			}
			return nil
		},
		"the new one cannot be removed": func(b *bench, call string, ref driver.Ref) error {
			switch {
			case call == "remove":
				return refused
			case call == "inspect" && ref.Generation == 2:
				never(b, ref)
			}
			return nil
		},
		"the host cannot say": func(b *bench, call string, ref driver.Ref) error {
			if call == "inspect" && b.host.running(driver.Ref{Phone: ref.Phone, Generation: 2}) {
				never(b, driver.Ref{Phone: ref.Phone, Generation: 2})
				return refused
			}
			return nil
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := keeping(t, 1, 1)
			var mu sync.Mutex
			stopped := false // the old one was
			b.host.onCall(func(_ context.Context, call string, ref driver.Ref) error {
				mu.Lock()
				defer mu.Unlock()
				if stopped = stopped || call == "stop"; !stopped {
					return nil
				}
				return spoil(b, call, ref)
			})
			request := b.resetBy(b.phones, nil, true)
			b.start()
			j := b.await(request, "ended", ended)[0]
			if j.Phase != phone.PhaseFailed || j.RolledBack || !strings.Contains(j.Failure.Msg, "and the old life could not be brought back") {
				t.Errorf("the job: %s, rolled back %t, %+v", j.Phase, j.RolledBack, j.Failure)
			}
			for _, g := range []phone.Generation{1, 2} {
				if b.host.running(b.ref(0, g)) {
					t.Errorf("life %d still boots, without a slot", g)
				}
			}
			if n := b.host.has(b.ref(0, 1)); n != 2 {
				t.Errorf("%d of the old life's instance and volume are left", n)
			}
		})
	}
}

// What cannot be destroyed of the failed life does not keep the phone from its old one.
func TestRollbackLeavesWhatCannotBeDestroyed(t *testing.T) {
	t.Parallel()
	b := keeping(t, 1, 1)
	b.spoilSecond(b.phones[0].ID, func(b *bench, call string, ref driver.Ref) error {
		if call == "discard" {
			return phone.Errorf(phone.Conflict, phone.ReasonEraseFailed, "something uses the volume")
		}
		return endsWhileBooting(b, call, ref)
	})
	request := b.resetBy(b.phones, nil, true)
	stop := b.start()
	j := b.await(request, "ended", ended)[0]
	if !j.RolledBack || !strings.Contains(j.Failure.Detail, "something is left on the server: something uses the volume") {
		t.Errorf("the job: rolled back %t, %+v", j.RolledBack, j.Failure)
	}
	if p := b.phone(j.Phone); p.Status != phone.StatusRunning || !b.host.running(b.ref(0, 1)) {
		t.Errorf("the phone: %+v", p)
	}
	// The reconciler destroys it when that is possible, although it is younger than the present life.
	stop()
	b.host.onCall(func(context.Context, string, driver.Ref) error { return nil })
	b.config.ReconcileEvery, b.config.ReconcileGrace = 300*time.Millisecond, time.Millisecond
	b.start()
	eventually(t, "the rest of the failed life is gone", func() bool { return b.host.has(b.ref(0, 2)) == 0 })
	if b.host.has(b.ref(0, 1)) != 2 || !b.host.running(b.ref(0, 1)) {
		t.Error("the present life was touched")
	}
}

// The old instance of a phone that is at work is stopped on purpose: no pass takes it for dead or for an orphan.
func TestReconcilerLeavesAStoppedOldLife(t *testing.T) {
	t.Parallel()
	b := keeping(t, 1, 1)
	b.config.RestartDead, b.config.ReconcileEvery, b.config.ReconcileGrace = true, 300*time.Millisecond, time.Millisecond
	reached, release := make(chan struct{}, 64), make(chan struct{})
	b.host.onCall(func(ctx context.Context, call string, ref driver.Ref) error {
		if call == "ensure" {
			reached <- struct{}{}
			select {
			case <-release:
			case <-ctx.Done():
				return ctx.Err()
			}
		}
		return nil
	})
	request := b.resetBy(b.phones, nil, true)
	b.start()
	<-reached
	passes := b.host.count("list")
	eventually(t, "five passes while the old life is stopped", func() bool { return b.host.count("list") >= passes+5 })
	if b.host.running(b.ref(0, 1)) || b.host.has(b.ref(0, 1)) != 2 || len(b.starts(b.phones[0].ID)) != 0 {
		t.Errorf("the old life runs: %t, has %d objects, was started by %d jobs", b.host.running(b.ref(0, 1)), b.host.has(b.ref(0, 1)), len(b.starts(b.phones[0].ID)))
	}
	close(release)
	if j := b.await(request, "ended", ended)[0]; j.Phase != phone.PhaseSucceeded {
		t.Errorf("the job: %s %+v", j.Phase, j.Failure)
	}
	b.onlyNewest(2)
}

// The process stops at every call that a job makes on its host, one run for each, and another goes on. Whichever way the job was
// going, it ends there: rolled back with the first cause, or succeeded.
func TestRollbackStoppedAtEveryCall(t *testing.T) {
	t.Parallel()
	for _, fails := range []bool{true, false} {
		t.Run(fmt.Sprintf("fails %t", fails), func(t *testing.T) {
			t.Parallel()
			cut := 0
			for ; ; cut++ {
				if !stoppedAtCall(t, fails, cut) {
					break
				}
			}
			if least := map[bool]int{true: 9, false: 9}[fails]; cut < least {
				t.Errorf("the job made %d calls, and should have made at least %d", cut, least)
			}
		})
	}
}

// stoppedAtCall stops the engine during the job's call number cut, so that the call was made and its answer is lost, and starts another.
// It reports whether there was such a call.
func stoppedAtCall(t *testing.T, fails bool, cut int) bool {
	t.Helper()
	b := keeping(t, 1, 1)
	b.config.StopGrace = time.Millisecond
	before := b.phone(b.phones[0].ID)
	var mu sync.Mutex
	calls, struck := 0, make(chan string, 1)
	b.host.onCall(func(ctx context.Context, call string, ref driver.Ref) error {
		if ref.Phone == "" {
			return nil
		}
		mu.Lock()
		n := calls
		calls++
		mu.Unlock()
		if n == cut {
			struck <- call
			<-ctx.Done() // until the engine drops what is in flight
			return ctx.Err()
		}
		if fails && call == "inspect" && ref.Generation == 2 && b.host.has(ref) > 0 {
			b.host.set(ref, func(i *memoryInstance) { i.running, i.booted, i.exited, i.exitCode = false, false, true, 129 })
		}
		return nil
	})
	request := b.resetBy(b.phones, phone.Properties{"com.cph.mainkeys": "1"}, true)
	stop := b.start()
	b.await(request, "the call was made, or the job ended without it", func(jobs []phone.Job) bool { return ended(jobs) || len(struck) > 0 })
	cutCall := ""
	select {
	case cutCall = <-struck:
	default:
	}
	stop()
	b.start()
	j := b.await(request, "ended", ended)[0]
	what := fmt.Sprintf("cut at call %d (%s)", cut, cutCall)
	switch {
	case fails && (!j.RolledBack || j.Failure.Reason != phone.ReasonBootExited || !strings.Contains(j.Failure.Msg, "exit code 129")):
		t.Errorf("%s: %s, rolled back %t, %+v", what, j.Phase, j.RolledBack, j.Failure)
	case fails:
		b.wantOld(before, j)
	case j.Phase != phone.PhaseSucceeded:
		t.Errorf("%s: %s, %+v", what, j.Phase, j.Failure)
	default:
		b.onlyNewest(2)
	}
	if t.Failed() {
		t.Fatal(what)
	}
	return cutCall != ""
}

// From the point of no return on the old life is destroyed, also when the process stops there and the new life has ended before
// another goes on.
func TestVerifiedLifeThatEndsBeforeTheOldOneIsGone(t *testing.T) {
	t.Parallel()
	b := keeping(t, 1, 1)
	b.config.StopGrace = time.Millisecond
	reached := make(chan struct{}, 16)
	b.host.onCall(func(ctx context.Context, call string, ref driver.Ref) error {
		if call == "remove" && ref.Generation == 1 {
			reached <- struct{}{}
			<-ctx.Done()
			return ctx.Err()
		}
		return nil
	})
	request := b.resetBy(b.phones, nil, true)
	stop := b.start()
	<-reached
	stop()
	b.host.onCall(func(context.Context, string, driver.Ref) error { return nil })
	b.host.set(b.ref(0, 2), func(i *memoryInstance) { i.running, i.booted, i.exited, i.exitCode = false, false, true, 1 })
	b.start()
	j := b.await(request, "ended", ended)[0]
	if j.Phase != phone.PhaseFailed || j.RolledBack || j.Erase != phone.EraseDone {
		t.Errorf("the job: %s, rolled back %t, erase %s, %+v", j.Phase, j.RolledBack, j.Erase, j.Failure)
	}
	if n := b.host.has(b.ref(0, 1)); n != 0 {
		t.Errorf("%d objects of the old life are left, and nobody can go back to it", n)
	}
}
