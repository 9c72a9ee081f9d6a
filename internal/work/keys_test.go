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
)

// pairs are key pairs of a configuration.
var pairs = []phone.Keypair{{Name: "one", PublicKeys: []string{"key one"}}, {Name: "two", PublicKeys: []string{"key two", "key three"}}}

// keypair gives the server a key pair; it must be accepted.
func (b *bench) keypair(name string) (phone.RequestID, phone.JobID) {
	b.t.Helper()
	in := fleet.AcceptServers{
		Request:   phone.Request{ID: phone.NewID[phone.RequestID](), Project: b.project, Kind: phone.KindUpdate, Caller: "test", CreatedAt: time.Now()},
		Servers:   []string{string(b.server.ID)},
		Keypairs:  map[phone.ServerID]phone.KeypairChoice{b.server.ID: {Name: name}},
		CheckKeys: func(string) *phone.Error { return nil },
	}
	outcomes, err := b.store.AcceptServers(b.t.Context(), in)
	if err != nil || outcomes[0].Err != nil {
		b.t.Fatalf("%+v, %v", outcomes, err)
	}
	return in.Request.ID, outcomes[0].Job
}

func (b *bench) wantKeys(doing string, ref driver.Ref, keys ...string) {
	b.t.Helper()
	var got []string
	b.host.set(ref, func(i *memoryInstance) { got = i.spec.ADBKeys })
	if !slices.Equal(got, keys) {
		b.t.Errorf("%s: the instance %v lets in %q, want %q", doing, ref, got, keys)
	}
}

// The phones of a server have the keys of its key pair: those that run and those that do not at once, those whose instance is gone when it is
// made, and so has whatever is made of them later.
func TestKeypair(t *testing.T) {
	t.Parallel()
	b := newBench(t, 3, 3)
	b.config.Keypairs = pairs
	b.start()
	b.created()
	b.wantKeys("without a key pair", b.ref(0, 1))
	b.succeeded(b.power(phone.KindStop, b.phones[1:]...))
	if err := b.host.Remove(t.Context(), b.ref(2, 1)); err != nil {
		t.Fatal(err)
	}
	request, job := b.keypair("one")
	b.succeeded(request)
	b.wantKeys("running", b.ref(0, 1), "key one")
	b.wantKeys("stopped", b.ref(1, 1), "key one")
	if end := b.serverJob(job); end.Status() != phone.JobSuccess || end.Phones != 3 {
		t.Errorf("the server's job: %+v", end)
	}
	for i, want := range []phone.Status{phone.StatusRunning, phone.StatusStopped, phone.StatusStopped} {
		if p := b.phone(b.phones[i].ID); p.Status != want {
			t.Errorf("phone %d is %s, want %s", i, p.Status, want)
		}
	}
	b.succeeded(b.power(phone.KindRestart, b.phones[2]))
	b.wantKeys("made anew", b.ref(2, 1), "key one")

	request, job = b.keypair("two")
	b.succeeded(request)
	b.serverJob(job)
	b.wantKeys("another pair", b.ref(0, 1), "key two", "key three")
	b.succeeded(b.reset(b.phones[:1], nil))
	b.wantKeys("the next life", b.ref(0, 2), "key two", "key three")
}

// A host that is away for a while gets the keys when it answers again.
func TestKeypairRetried(t *testing.T) {
	t.Parallel()
	b := newBench(t, 1, 1)
	b.config.Keypairs = pairs
	b.start()
	b.created()
	away := 3
	b.host.onCall(func(_ context.Context, call string, _ driver.Ref) error {
		if away--; call == "adb keys" && away >= 0 {
			return phone.Errorf(phone.Unavailable, "", "no route to host")
		}
		return nil
	})
	request, job := b.keypair("one")
	b.succeeded(request)
	b.serverJob(job)
	b.wantKeys("after the host was away", b.ref(0, 1), "key one")
}

// A job that needs a key pair which the configuration does not have fails before it touches anything, and says the cure.
func TestKeypairGone(t *testing.T) {
	t.Parallel()
	b := newBench(t, 2, 2)
	b.config.Keypairs = pairs[:1]
	b.start()
	b.created()
	request, job := b.keypair("two")
	for _, j := range b.await(request, "ended", ended) {
		if j.Phase != phone.PhaseFailed || j.Failure.Reason != phone.ReasonNoKeypair || !strings.Contains(j.Failure.Detail, "[[keypairs]]") {
			t.Errorf("%s: %+v", j.Phase, j.Failure)
		}
	}
	if end := b.serverJob(job); end.Status() != phone.JobFailed || !strings.Contains(end.Failure.Msg, `2 of 2 phones could not be given the adb keys; the first: server rack has the key pair "two"`) {
		t.Errorf("the server's job: %+v", end.Failure)
	}
	b.wantKeys("after the failure", b.ref(0, 1))
	for _, rollback := range []bool{false, true} {
		j := b.await(b.resetBy(b.phones[:1], nil, rollback), "ended", ended)[0]
		if j.Phase != phone.PhaseFailed || j.Failure.Reason != phone.ReasonNoKeypair || !b.host.running(b.ref(0, 1)) {
			t.Errorf("a reset, rollback %t: %s %+v, the old life runs: %t", rollback, j.Phase, j.Failure, b.host.running(b.ref(0, 1)))
		}
	}
	request, job = b.keypair("one")
	b.succeeded(request)
	if end := b.serverJob(job); end.Status() != phone.JobSuccess {
		t.Errorf("with a pair that there is: %+v", end.Failure)
	}
	b.wantKeys("with a pair that there is", b.ref(1, 1), "key one")
}

// keyless is a host whose driver cannot set keys.
type keyless struct{ *memoryHost }

func (h keyless) Driver(context.Context, phone.Server) (driver.Driver, error) {
	return struct{ driver.Driver }{h.memoryHost}, nil
}

// A driver that cannot set keys makes no phone of a server with a key pair: nobody would know whom it lets in.
func TestKeypairDriver(t *testing.T) {
	t.Parallel()
	b := newBench(t, 1, 1)
	b.config.Keypairs, b.config.Hosts = pairs, keyless{b.host}
	b.start()
	b.created()
	request, _ := b.keypair("one")
	for _, r := range []phone.RequestID{request, b.afterwards(request)} {
		if j := b.await(r, "ended", ended)[0]; j.Phase != phone.PhaseFailed || j.Failure.Reason != phone.ReasonNoADBKeys || !b.host.running(b.ref(0, 1)) {
			t.Errorf("the %s job: %s %+v", j.Kind, j.Phase, j.Failure)
		}
	}
}

// afterwards resets the first phone when a request has ended.
func (b *bench) afterwards(request phone.RequestID) phone.RequestID {
	b.t.Helper()
	b.await(request, "ended", ended)
	return b.reset(b.phones[:1], nil)
}
