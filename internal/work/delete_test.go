package work_test

import (
	"context"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/lethe-cloud/lethe/internal/driver"
	"github.com/lethe-cloud/lethe/internal/fleet"
	"github.com/lethe-cloud/lethe/internal/phone"
)

// gone fails unless there is nothing of the lives on the host and no phone in the database.
func (b *bench) gone(p phone.Phone, generations ...phone.Generation) {
	b.t.Helper()
	for _, g := range generations {
		if n := b.host.has(driver.Ref{Phone: p.ID, Generation: g}); n != 0 {
			b.t.Errorf("life %d of a deleted phone has %d things on the host", g, n)
		}
	}
	if _, err := b.store.Phone(b.t.Context(), b.project, p.ID); phone.ReasonOf(err) != phone.ReasonPhoneNotFound {
		b.t.Errorf("the deleted phone: %v", err)
	}
}

// A deletion destroys every life: the one that runs, those that jobs which failed since have begun, and what is left of older ones.
// Its receipt says so. What a late call leaves afterwards is an orphan, and goes.
func TestDeletePhone(t *testing.T) {
	t.Parallel()
	b, e, clock := second(t, 2)
	b.host.leave(b.ref(0, 1)) // older than the present life
	b.host.onCall(func(_ context.Context, call string, ref driver.Ref) error {
		if call == "start" && ref.Generation == 3 {
			return phone.Errorf(phone.Precondition, phone.ReasonBootExited, "it does not start")
		}
		return nil
	})
	stop := b.start()
	b.await(b.reset(b.phones[:1], nil), "a reset that fails", ended)
	jobs := b.succeeded(b.power(phone.KindDelete, b.phones[0]))
	stop()
	receipt := jobs[0].Receipt
	if receipt.From != 2 || receipt.To != 3 || receipt.Instance != "" || receipt.Volume != "" || receipt.LookedFor.IsZero() || len(receipt.Erased) == 0 {
		t.Errorf("the receipt: %+v", receipt)
	}
	b.gone(b.phones[0], 1, 2, 3)
	if n := b.host.has(b.ref(1, 2)); n != 2 {
		t.Errorf("the other phone has %d things", n)
	}

	b.host.leave(b.ref(0, 3)) // of a call that comes late
	b.host.leave(driver.Ref{Phone: b.phones[0].ID, Generation: 9})
	for range 2 {
		b.pass(e, false)
		clock.advance(2 * time.Hour)
	}
	b.pass(e, false)
	if n := b.host.has(b.ref(0, 3)); n != 0 {
		t.Errorf("what came late is still there: %d things", n)
	}
	if n := b.host.has(driver.Ref{Phone: b.phones[0].ID, Generation: 9}); n == 0 {
		t.Error("a life that nobody handed out was removed")
	}
}

// A host that has a later life than the database knows, as after a restored backup, keeps it, and the phone with it.
func TestDeleteLeavesLaterLives(t *testing.T) {
	t.Parallel()
	b := newBench(t, 1, 1)
	b.start()
	b.created()
	later := b.ref(0, 7)
	b.host.leave(later)
	job := b.await(b.power(phone.KindDelete, b.phones[0]), "a deletion that fails", ended)[0]
	if job.Phase != phone.PhaseFailed || job.Failure.Reason != phone.ReasonHigherGeneration {
		t.Errorf("the job: %s %+v", job.Phase, job.Failure)
	}
	if n := b.host.has(later); n == 0 {
		t.Error("the later life was destroyed")
	}
	if p, err := b.store.Phone(t.Context(), b.project, b.phones[0].ID); err != nil || p.Status != phone.StatusResetFailed {
		t.Errorf("the phone: %+v, %v", p, err)
	}
}

// A deletion whose process ends after the instance went, or after the erasure was saved, goes on in another and ends once.
func TestDeleteGoesOn(t *testing.T) {
	t.Parallel()
	for _, at := range []string{"remove", "erase"} {
		t.Run(at, func(t *testing.T) {
			t.Parallel()
			b := newBench(t, 1, 1)
			stop := b.start()
			b.created()
			reached, letGo := b.held(at)
			request := b.power(phone.KindDelete, b.phones[0])
			<-reached
			stop()
			letGo()
			b.start()
			b.succeeded(request)
			b.gone(b.phones[0], 1)
		})
	}
}

// A deletion that the host does not let happen leaves a phone that nothing but a reset or a deletion is for, and is done by deleting it again.
func TestDeleteFails(t *testing.T) {
	t.Parallel()
	b := newBench(t, 1, 1)
	b.start()
	b.created()
	var broken atomic.Bool
	broken.Store(true)
	b.host.onCall(func(_ context.Context, call string, _ driver.Ref) error {
		if call == "erase" && broken.Load() {
			return phone.Errorf(phone.Internal, phone.ReasonEraseFailed, "volume v is in use")
		}
		return nil
	})
	job := b.await(b.power(phone.KindDelete, b.phones[0]), "a deletion that fails", ended)[0]
	if job.Phase != phone.PhaseFailed || job.Failure.Reason != phone.ReasonEraseFailed || !strings.HasSuffix(job.Failure.Detail, "then delete the phone again") {
		t.Errorf("the job: %s %+v", job.Phase, job.Failure)
	}
	p, err := b.store.Phone(t.Context(), b.project, b.phones[0].ID)
	if err != nil || p.Status != phone.StatusResetFailed {
		t.Errorf("the phone: %+v, %v", p, err)
	}
	_, refused, err := b.store.AcceptRestart(t.Context(), fleet.AcceptRestart{AcceptPower: b.powerInput(phone.KindRestart, b.phones[0]), Check: anyProperties})
	if err != nil || phone.ReasonOf(refused[0].Err) != phone.ReasonPhoneNotRestartable {
		t.Errorf("a restart of what is left: %+v, %v", refused, err)
	}
	broken.Store(false)
	b.succeeded(b.power(phone.KindDelete, b.phones[0]))
	b.gone(b.phones[0], 1)
}

// servers makes a call about the bench's server and gives its job.
func (b *bench) servers(kind phone.Kind) (phone.RequestID, phone.JobID) {
	b.t.Helper()
	in := fleet.AcceptServers{
		Request: phone.Request{ID: phone.NewID[phone.RequestID](), Project: b.project, Kind: kind, Caller: "test", CreatedAt: time.Now()}, Servers: []string{string(b.server.ID)},
	}
	outcomes, err := b.store.AcceptServers(b.t.Context(), in)
	if err != nil || outcomes[0].Err != nil {
		b.t.Fatalf("AcceptServers: %v %v", outcomes, err)
	}
	return in.Request.ID, outcomes[0].Job
}

// serverJob waits until a server's job has ended.
func (b *bench) serverJob(id phone.JobID) phone.ServerJob {
	b.t.Helper()
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(10 * time.Millisecond) {
		jobs, err := b.store.ServerJob(b.t.Context(), b.project, id)
		if err != nil {
			b.t.Fatal(err)
		}
		if jobs[0].Status() != phone.JobRunning {
			return jobs[0]
		}
		if time.Now().After(deadline) {
			b.t.Fatalf("the server's job has not ended: %+v", jobs[0])
		}
	}
}

// The job of a server ends after the last of its phones' jobs, also when no process was there to see that.
func TestServerJobEnds(t *testing.T) {
	t.Parallel()
	b := newBench(t, 3, 1)
	stop := b.start()
	b.created()
	request, job := b.servers(phone.KindRestart)
	b.succeeded(request)
	stop()
	b.start()
	if j := b.serverJob(job); j.Status() != phone.JobSuccess || j.Phones != 3 {
		t.Errorf("the server's job: %+v", j)
	}
	s, err := b.store.Server(t.Context(), b.project, b.server.ID)
	if err != nil || s.Shown() != phone.ServerNormal {
		t.Errorf("the server: %d, %v", s.Shown(), err)
	}
}

// A server goes when its host was looked at and has nothing of it. Anything that is left, and a host that stays away, keep it.
func TestDeleteServer(t *testing.T) {
	t.Parallel()
	const phonesLists = 2 // the deletion of each of the two phones looks once
	for name, tt := range map[string]struct {
		breaks func(*bench)
		reason phone.Reason
	}{
		"an empty host":     {func(*bench) {}, ""},
		"something is left": {func(b *bench) { b.host.leave(driver.Ref{Phone: phone.NewID[phone.ID](), Generation: 1}) }, phone.ReasonServerNotEmpty},
		"the host is away": {func(b *bench) {
			b.config.HostDeadline = 300 * time.Millisecond
			var lists atomic.Int32
			b.host.onCall(func(_ context.Context, call string, _ driver.Ref) error {
				if call == "list" && lists.Add(1) > phonesLists {
					return phone.Errorf(phone.Unavailable, "", "no route to host")
				}
				return nil
			})
		}, phone.ReasonHostGone},
		"the driver panics": {func(b *bench) {
			var lists atomic.Int32
			b.host.onCall(func(_ context.Context, call string, _ driver.Ref) error {
				if call == "list" && lists.Add(1) > phonesLists {
					panic("a driver's fault")
				}
				return nil
			})
		}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t, 2, 1)
			b.config.SweepEvery = 50 * time.Millisecond
			tt.breaks(b)
			b.start()
			b.created()
			request, id := b.servers(phone.KindDelete)
			b.succeeded(request)
			job := b.serverJob(id)
			_, err := b.store.Server(t.Context(), b.project, b.server.ID)
			if kept := err == nil; name == "an empty host" {
				if kept || job.Failure != nil || job.Receipt == nil || job.Receipt.LookedFor.IsZero() || job.Receipt.Phones != 2 {
					t.Errorf("the server is there: %v; its job: %+v", kept, job)
				}
			} else if !kept || job.Failure == nil || job.Failure.Reason != tt.reason || job.Receipt != nil {
				t.Errorf("the server is there: %v; its job: %+v %+v", kept, job, job.Failure)
			}
		})
	}
}
