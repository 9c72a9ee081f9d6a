package work_test

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/lethe-cloud/lethe/internal/driver"
	"github.com/lethe-cloud/lethe/internal/fleet"
	"github.com/lethe-cloud/lethe/internal/phone"
	"github.com/lethe-cloud/lethe/internal/work"
)

func (b *bench) powerInput(kind phone.Kind, phones ...phone.Phone) fleet.AcceptPower {
	in := fleet.AcceptPower{Request: phone.Request{ID: phone.NewID[phone.RequestID](), Project: b.project, Kind: kind, Caller: "test", CreatedAt: time.Now()}}
	for _, p := range phones {
		in.Items = append(in.Items, phone.ResetItem{PhoneID: string(p.ID)})
	}
	return in
}

// power stops or restarts phones, all of which must be accepted.
func (b *bench) power(kind phone.Kind, phones ...phone.Phone) phone.RequestID {
	b.t.Helper()
	in := b.powerInput(kind, phones...)
	accept := b.store.AcceptStop
	switch kind {
	case phone.KindRestart:
		accept = func(ctx context.Context, in fleet.AcceptPower) (phone.RequestID, []phone.Outcome, error) {
			return b.store.AcceptRestart(ctx, fleet.AcceptRestart{AcceptPower: in, Check: anyProperties})
		}
	case phone.KindDelete:
		accept = b.store.AcceptDelete
	}
	_, outcomes, err := accept(b.t.Context(), in)
	if err != nil {
		b.t.Fatal(err)
	}
	for _, o := range outcomes {
		if o.Err != nil {
			b.t.Fatalf("phone %s refused: %v", o.PhoneID, o.Err)
		}
	}
	return in.Request.ID
}

// succeeded waits until all jobs of a request have ended, in success.
func (b *bench) succeeded(request phone.RequestID) []phone.Job {
	b.t.Helper()
	jobs := b.await(request, "ended", ended)
	for _, j := range jobs {
		if j.Phase != phone.PhaseSucceeded || j.Receipt == nil {
			b.t.Errorf("the %s job is %s: %+v", j.Kind, j.Phase, j.Failure)
		}
	}
	return jobs
}

// A phone that was stopped stays so, whoever watches its host; a restart starts it in the life that it had, and so does a reset in a new
// one. Nothing is made or destroyed but by the reset.
func TestStopRestartReset(t *testing.T) {
	t.Parallel()
	b := newBench(t, 2, 1)
	b.config.RestartDead, b.config.ReconcileEvery = true, 100*time.Millisecond
	b.start()
	b.created()
	b.host.onCall(func(_ context.Context, call string, ref driver.Ref) error {
		switch call {
		case "ensure", "remake", "remove", "erase", "discard":
			t.Errorf("%s of %+v: a stop and a restart keep the life", call, ref)
		}
		return nil
	})
	for _, j := range b.succeeded(b.power(phone.KindStop, b.phones...)) {
		if j.Receipt.From != 1 || j.Receipt.To != 1 || j.Receipt.Volume == "" || j.PhaseAt[phone.PhaseStopping].IsZero() {
			t.Errorf("the stop: %+v", j)
		}
	}
	looked := b.host.count("list")
	eventually(t, "the host was compared", func() bool { return b.host.count("list") > looked+6 })
	for i, p := range b.phones {
		if p := b.phone(p.ID); p.Status != phone.StatusStopped || p.Generation != 1 || b.host.running(b.ref(i, 1)) || b.host.has(b.ref(i, 1)) != 2 || len(b.starts(p.ID)) != 0 {
			t.Errorf("after its stop: %+v", p)
		}
	}
	b.succeeded(b.power(phone.KindRestart, b.phones...)) // what is stopped
	b.succeeded(b.power(phone.KindRestart, b.phones...)) // and what runs
	for i, p := range b.phones {
		if p := b.phone(p.ID); p.Status != phone.StatusRunning || p.Generation != 1 || p.LastGeneration != 1 || !b.host.running(b.ref(i, 1)) {
			t.Errorf("after its restart: %+v", p)
		}
	}
	b.succeeded(b.power(phone.KindStop, b.phones...))
	b.host.onCall(func(context.Context, string, driver.Ref) error { return nil })
	for _, rollback := range []bool{false, true} {
		b.succeeded(b.resetBy(b.phones, nil, rollback))
		b.succeeded(b.power(phone.KindStop, b.phones...))
	}
	b.onlyNewest(3)
}

// A restart sets again what a boot forgets, and reads everything back.
func TestRestartSetsProperties(t *testing.T) {
	t.Parallel()
	b := newBench(t, 1, 1)
	b.start()
	b.created()
	b.succeeded(b.reset(b.phones, phone.Properties{"com.cph.mainkeys": "1", "ro.product.model": "X"}))
	b.host.onCall(func(_ context.Context, call string, ref driver.Ref) error {
		if call == "start" {
			b.host.set(ref, func(i *memoryInstance) { delete(i.props, "com.cph.mainkeys") })
		}
		return nil
	})
	job := b.succeeded(b.power(phone.KindRestart, b.phones...))[0]
	want := []phone.PropertyReading{{Key: "com.cph.mainkeys", Effect: phone.EffectVerified}, {Key: "ro.product.model", Effect: phone.EffectVerified}}
	if !slices.Equal(job.Receipt.Properties, want) {
		t.Errorf("read back %+v, want %+v", job.Receipt.Properties, want)
	}
}

// A job that is cut off in the middle of the host's call goes on where it was, once another process has it.
func TestPowerGoesOn(t *testing.T) {
	t.Parallel()
	for _, kind := range []phone.Kind{phone.KindStop, phone.KindRestart} {
		t.Run(string(kind), func(t *testing.T) {
			t.Parallel()
			b := newBench(t, 1, 1)
			stop := b.start()
			b.created()
			reached := make(chan struct{}, 100)
			b.host.onCall(func(_ context.Context, call string, ref driver.Ref) error {
				if call == "stop" {
					b.host.set(ref, func(i *memoryInstance) { i.running, i.booted, i.exited, i.exitCode = false, false, true, 137 })
					reached <- struct{}{}
					return phone.Errorf(phone.Unavailable, "", "the answer was lost")
				}
				return nil
			})
			request := b.power(kind, b.phones...)
			<-reached
			stop()
			b.host.onCall(func(context.Context, string, driver.Ref) error { return nil })
			b.start()
			if j := b.succeeded(request)[0]; j.Attempt < 2 {
				t.Errorf("it ended in attempt %d", j.Attempt)
			}
			if p := b.phone(b.phones[0].ID); p.Status != kind.Done() || b.host.running(b.ref(0, 1)) != (kind == phone.KindRestart) {
				t.Errorf("afterwards: %+v", p)
			}
		})
	}
}

// What goes wrong ends the job as failed, by its name, with a cure that does not destroy the data; and nothing of the life goes.
func TestPowerFails(t *testing.T) {
	t.Parallel()
	away := func(at string) func(*bench, string, driver.Ref) error {
		return func(_ *bench, call string, _ driver.Ref) error {
			if call == at {
				return phone.Errorf(phone.Unavailable, "", "no route to host")
			}
			return nil
		}
	}
	boots := 0
	for name, c := range map[string]struct {
		kind   phone.Kind
		hook   func(b *bench, call string, ref driver.Ref) error
		reason phone.Reason
		cure   string
	}{
		"the host is away":            {phone.KindStop, away("stop"), phone.ReasonHostGone, "then stop the phone again"},
		"the host is away at a start": {phone.KindRestart, away("start"), phone.ReasonHostGone, "then restart the phone again"},
		"it runs on": {phone.KindStop, func(b *bench, call string, ref driver.Ref) error {
			if call == "inspect" {
				b.host.set(ref, func(i *memoryInstance) { i.running = true })
			}
			return nil
		}, phone.ReasonHostFailed, "then stop the phone again"},
		"it ends twice": {phone.KindRestart, func(b *bench, call string, ref driver.Ref) error {
			if call == "inspect" && b.host.count("start") > boots {
				b.host.set(ref, func(i *memoryInstance) { i.running, i.booted, i.exited, i.exitCode = false, false, true, 1 })
			}
			return nil
		}, phone.ReasonBootExited, "then restart the phone again"},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t, 1, 1)
			b.config.HostDeadline = 50 * time.Millisecond
			b.start()
			b.created()
			boots = b.host.count("start")
			b.host.onCall(func(_ context.Context, call string, ref driver.Ref) error { return c.hook(b, call, ref) })
			j := b.await(b.power(c.kind, b.phones...), "ended", ended)[0]
			if j.Phase != phone.PhaseFailed || j.Failure.Reason != c.reason || !strings.Contains(j.Failure.Detail, c.cure) || strings.Contains(j.Failure.Detail, "reset") {
				t.Errorf("%s: %+v", j.Phase, j.Failure)
			}
			if p := b.phone(b.phones[0].ID); p.Status != c.kind.Failed() || p.Generation != 1 || b.host.has(b.ref(0, 1)) != 2 {
				t.Errorf("the phone: %+v", p)
			}
			b.host.onCall(func(context.Context, string, driver.Ref) error { return nil })
			b.succeeded(b.power(phone.KindRestart, b.phones...))
		})
	}
}

// A phone whose instance is gone is not stopped; a restart makes it anew as long as its volume is there, and no new volume takes the place of
// the old one.
func TestPowerOfNothing(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		kind   phone.Kind
		lose   func(*memoryHost, driver.Ref)
		reason phone.Reason // "": it succeeds
		left   int
	}{
		"a stop":                        {phone.KindStop, func(h *memoryHost, r driver.Ref) { h.loseOnly(driver.ObjectInstance, r) }, phone.ReasonInstanceGone, 1},
		"a restart":                     {phone.KindRestart, func(h *memoryHost, r driver.Ref) { h.loseOnly(driver.ObjectInstance, r) }, "", 2},
		"a restart without a volume":    {phone.KindRestart, (*memoryHost).lose, phone.ReasonVolumeGone, 0},
		"a restart without its own one": {phone.KindRestart, func(h *memoryHost, r driver.Ref) { h.loseOnly(driver.ObjectVolume, r) }, phone.ReasonVerifyFailed, 1},
	} {
		b := newBench(t, 1, 1)
		b.start()
		b.created()
		c.lose(b.host, b.ref(0, 1))
		made := b.host.count("ensure")
		j := b.await(b.power(c.kind, b.phones...), "ended", ended)[0]
		status := c.kind.Failed()
		if c.reason == "" {
			status = phone.StatusRunning
		}
		if (j.Phase == phone.PhaseSucceeded) != (c.reason == "") || b.phone(b.phones[0].ID).Status != status || j.Failure != nil && j.Failure.Reason != c.reason {
			t.Errorf("%s: %s %+v", name, j.Phase, j.Failure)
		}
		if b.host.count("ensure") != made || b.host.has(b.ref(0, 1)) != c.left {
			t.Errorf("%s: the host has %d objects", name, b.host.has(b.ref(0, 1)))
		}
	}
}

// The stop that an earlier attempt sent arrives while the next one boots the phone: it is started once more.
func TestLateStopOfARestart(t *testing.T) {
	t.Parallel()
	b := newBench(t, 1, 1)
	b.start()
	b.created()
	late := true
	b.host.onCall(func(_ context.Context, call string, ref driver.Ref) error {
		if call == "inspect" && b.host.running(ref) && late {
			late = false
			b.host.set(ref, func(i *memoryInstance) { i.running, i.booted, i.exited, i.exitCode = false, false, true, 137 })
		}
		return nil
	})
	b.succeeded(b.power(phone.KindRestart, b.phones...))
	if late || !b.host.running(b.ref(0, 1)) {
		t.Errorf("the late stop has not come (%v), or the phone does not run", late)
	}
}

// A stopped phone that runs on its host is told, and left as it is.
func TestAStoppedPhoneThatRuns(t *testing.T) {
	t.Parallel()
	b := newBench(t, 2, 2)
	stop := b.start()
	b.created()
	b.succeeded(b.power(phone.KindStop, b.phones...))
	stop()
	engine := work.New(b.config)
	wantFindings(t, "after a stop", b.pass(engine, false))
	b.host.set(b.ref(1, 1), func(i *memoryInstance) { i.running, i.booted, i.exited = true, true, false })
	wantFindings(t, "while it runs", b.pass(engine, false), short{Kind: phone.DriftRunning, Object: phone.DriftInstance, Phone: b.phones[1].ID, Generation: 1})
	if p := b.phone(b.phones[1].ID); p.Status != phone.StatusStopped || !b.host.running(b.ref(1, 1)) {
		t.Errorf("the comparison has changed the phone: %+v", p)
	}
}
