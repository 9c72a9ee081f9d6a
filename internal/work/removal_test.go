package work_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/lethe-cloud/lethe/internal/driver"
	"github.com/lethe-cloud/lethe/internal/fleet"
	"github.com/lethe-cloud/lethe/internal/phone"
	"github.com/lethe-cloud/lethe/internal/work"
)

// manyHosts gives each server a host of its own.
type manyHosts struct {
	work.Hosts
	mu    sync.Mutex
	hosts map[phone.ServerID]*memoryHost
}

func (h *manyHosts) Driver(_ context.Context, s phone.Server) (driver.Driver, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.hosts[s.ID] == nil {
		h.hosts[s.ID] = newMemoryHost()
	}
	return h.hosts[s.ID], nil
}

// emptyServers adds servers without phones, on hosts of their own, each seen through a bench of its own.
func emptyServers(b *bench, n int) []*bench {
	b.t.Helper()
	hosts, is := b.config.Hosts.(*manyHosts)
	if !is {
		hosts = &manyHosts{Hosts: b.host, hosts: map[phone.ServerID]*memoryHost{b.server.ID: b.host}}
		b.config.Hosts = hosts
	}
	servers := make([]*bench, n)
	for i := range servers {
		one := *b
		one.server.ID, one.host, one.phones = phone.NewID[phone.ServerID](), newMemoryHost(), nil
		one.server.Name, one.server.Endpoint, one.server.Capacity = string(one.server.ID), "memory:"+string(one.server.ID), 0
		in := fleet.AddServer{
			Request: phone.Request{ID: phone.NewID[phone.RequestID](), Project: b.project, Kind: phone.KindCreate, Caller: "test", CreatedAt: time.Now()}, Server: one.server,
		}
		if err := b.store.AddServer(b.t.Context(), in); err != nil {
			b.t.Fatal(err)
		}
		hosts.mu.Lock()
		hosts.hosts[one.server.ID] = one.host
		hosts.mu.Unlock()
		servers[i] = &one
	}
	return servers
}

// withShare gives the host a shared storage with one file.
func (b *bench) withShare() *bench {
	b.host.mu.Lock()
	defer b.host.mu.Unlock()
	b.host.shared = map[string]string{"/data/x": "content"}
	return b
}

// delete deletes the bench's server and gives its job.
func (b *bench) delete() phone.JobID {
	b.t.Helper()
	_, id := b.servers(phone.KindDelete)
	return id
}

// running fails unless the server's job has not ended.
func (b *bench) running(id phone.JobID) {
	b.t.Helper()
	jobs, err := b.store.ServerJob(b.t.Context(), b.project, id)
	if err != nil || jobs[0].Status() != phone.JobRunning {
		b.t.Errorf("the job has ended: %+v, %v", jobs, err)
	}
}

// destroyed fails unless the deletion has ended well, with this proof.
func (b *bench) destroyed(id phone.JobID, want phone.ErasedShare) {
	b.t.Helper()
	j := b.serverJob(id)
	if j.Failure != nil || j.Receipt == nil || j.Receipt.Share == nil || *j.Receipt.Share != want || j.Receipt.LookedFor.IsZero() {
		b.t.Errorf("the deletion: %+v, and of the storage %+v, want %+v", j.Failure, j.Receipt, want)
	}
}

// Shared storages that take longer to be destroyed than a host may be away are destroyed by one of two replicas each, and hold up no other deletion.
func TestRemovalBySlowErase(t *testing.T) {
	t.Parallel()
	b := newBench(t, 0, 1)
	b.config.HostDeadline, b.config.SweepEvery = 300*time.Millisecond, 20*time.Millisecond
	const slow = 2 // one for each replica
	servers := emptyServers(b, slow+1)
	var letGo []func()
	var reached []chan struct{}
	for _, s := range servers[:slow] {
		r, let := s.withShare().held("erase_share")
		defer let()
		reached, letGo = append(reached, r), append(letGo, let)
	}
	b.start()
	b.config.Replica = phone.NewID[phone.ReplicaID]()
	b.start()
	var jobs []phone.JobID
	for i, s := range servers[:slow] {
		jobs = append(jobs, s.delete())
		<-reached[i]
	}
	began := time.Now()
	other := servers[slow].withShare()
	other.destroyed(other.delete(), phone.ErasedShare{Name: "shared", Files: 1})
	for time.Since(began) < 2*b.config.HostDeadline { // what took longer than one was host_gone
		other = emptyServers(b, 1)[0]
		other.serverJob(other.delete())
	}
	for i, s := range servers[:slow] {
		s.running(jobs[i])
		letGo[i]()
		s.destroyed(jobs[i], phone.ErasedShare{Name: "shared", Files: 1})
		if n := s.host.count("erase_share"); n != 1 {
			t.Errorf("the storage was destroyed %d times", n)
		}
	}
}

// The call that destroys a shared storage ends soon after the deletion is not this process's any more.
func TestRemovalLost(t *testing.T) {
	t.Parallel()
	b := newBench(t, 0, 1)
	s := emptyServers(b, 1)[0].withShare()
	reached, ended := make(chan struct{}), make(chan struct{})
	s.host.onCall(func(ctx context.Context, call string, _ driver.Ref) error {
		if call != "erase_share" {
			return nil
		}
		close(reached)
		<-ctx.Done()
		close(ended)
		return ctx.Err()
	})
	b.start()
	s.delete()
	<-reached
	if _, err := b.store.AbandonServer(t.Context(), b.project, s.server.ID, phone.Failure{Reason: phone.ReasonHostGone, Msg: "abandoned"}); err != nil {
		t.Fatal(err)
	}
	select {
	case <-ended:
	case <-time.After(time.Minute):
		t.Fatal("the storage is still being destroyed")
	}
	if got := s.sharedFiles(); len(got) != 1 {
		t.Errorf("the storage has %q", got)
	}
}

// forgetful is a store that does not get to save that a shared storage was destroyed, and says when it should.
type forgetful struct {
	work.Store
	asked chan struct{}
	once  sync.Once
}

func (s *forgetful) SaveErasing(ctx context.Context, e phone.Emptied, erasing phone.ShareErasure) error {
	if erasing.Partial {
		return s.Store.SaveErasing(ctx, e, erasing)
	}
	s.once.Do(func() { close(s.asked) })
	<-ctx.Done()
	return ctx.Err()
}

// A process that ends between the destruction of a shared storage and its record leaves the proof that there was one.
func TestRemovalKilled(t *testing.T) {
	t.Parallel()
	b := newBench(t, 0, 1)
	b.config.StopGrace = 10 * time.Millisecond
	s := emptyServers(b, 1)[0].withShare()
	lost := &forgetful{Store: b.store, asked: make(chan struct{})}
	b.config.Store = lost
	stop := b.start()
	id := s.delete()
	<-lost.asked
	stop()
	if got := s.sharedFiles(); got != nil {
		t.Fatalf("the storage has %q", got)
	}
	s.running(id)
	b.config.Store = b.store
	b.start()
	s.destroyed(id, phone.ErasedShare{Name: "shared", Partial: true})
}

// What is destroyed in several attempts, because the host answers for a part of them only, is counted as far as it is known. A host that lists what
// it has is not gone, however long the rest takes.
func TestRemovalInterrupted(t *testing.T) {
	t.Parallel()
	b := newBench(t, 0, 1)
	b.config.HostDeadline, b.config.SweepEvery = 200*time.Millisecond, 20*time.Millisecond
	s := emptyServers(b, 1)[0].withShare()
	began := time.Now()
	s.host.onCall(func(_ context.Context, call string, _ driver.Ref) error {
		if call == "erase_share" && time.Since(began) < time.Second {
			return phone.Errorf(phone.Unavailable, "", "the connection was lost")
		}
		return nil
	})
	b.start()
	s.destroyed(s.delete(), phone.ErasedShare{Name: "shared", Files: 1, Partial: true})
}

// How long a host may be away counts from when it does not answer, and not from when its phones were gone.
func TestRemovalAway(t *testing.T) {
	t.Parallel()
	b := newBench(t, 0, 1)
	b.config.HostDeadline, b.config.SweepEvery = 2*time.Second, 20*time.Millisecond
	s := emptyServers(b, 1)[0].withShare()
	var awayUntil time.Time
	s.host.onCall(func(_ context.Context, call string, _ driver.Ref) error { // of one worker, one after the other
		if call == "erase_share" {
			<-time.After(b.config.HostDeadline)
			awayUntil = time.Now().Add(b.config.HostDeadline / 2)
		}
		if call == "list" && time.Now().Before(awayUntil) {
			return phone.Errorf(phone.Unavailable, "", "no route to host")
		}
		return nil
	})
	b.start()
	s.destroyed(s.delete(), phone.ErasedShare{Name: "shared", Files: 1})
}

// A deletion that fails at the shared storage says so in words of its own, and is the server's that stays.
func TestRemovalFails(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		breaks func(*bench)
		reason phone.Reason
		says   string
		within time.Duration // how long the storage may take to be destroyed
	}{
		"it takes too long": {func(s *bench) {
			s.host.onCall(func(ctx context.Context, call string, _ driver.Ref) error {
				if call == "erase_share" {
					<-ctx.Done()
					return &phone.Error{Code: phone.Unavailable, Msg: "no more time", Err: ctx.Err()}
				}
				return nil
			})
		}, phone.ReasonEraseFailed, "could not be destroyed within 300ms", 300 * time.Millisecond},
		"the host is never done": {func(s *bench) {
			s.host.onCall(func(_ context.Context, call string, _ driver.Ref) error {
				if call == "erase_share" {
					return phone.Errorf(phone.Unavailable, "", "the connection was lost")
				}
				return nil
			})
		}, phone.ReasonEraseFailed, "could not be destroyed within 300ms", 300 * time.Millisecond},
		"it is used": {func(s *bench) {
			s.host.onCall(func(_ context.Context, call string, _ driver.Ref) error {
				if call == "erase_share" {
					return phone.Errorf(phone.Conflict, phone.ReasonEraseFailed, "remove that container, and reset the phone again (foreign)")
				}
				return nil
			})
		}, phone.ReasonEraseFailed, "remove that container, and delete the server again (foreign)", time.Minute},
		"it is there again": {func(s *bench) {
			var lists atomic.Int32
			s.host.onCall(func(_ context.Context, call string, _ driver.Ref) error {
				if call == "list" && lists.Add(1) == 2 {
					s.withShare()
				}
				return nil
			})
		}, phone.ReasonEraseFailed, "was destroyed, and the host has 1 things of the server again", time.Minute},
		"something else is left": {func(s *bench) {
			s.host.leave(driver.Ref{Phone: phone.NewID[phone.ID](), Generation: 1})
		}, phone.ReasonServerNotEmpty, "still has 2 things of it", time.Minute},
		"a host that goes away": {func(s *bench) {
			s.host.onCall(func(_ context.Context, call string, _ driver.Ref) error {
				if call == "list" {
					return phone.Errorf(phone.Unavailable, "", "no route to host")
				}
				return nil
			})
		}, phone.ReasonHostGone, "did not answer for 200ms", time.Minute},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t, 0, 1)
			b.config.HostDeadline, b.config.EraseTimeout, b.config.SweepEvery = 200*time.Millisecond, tt.within, 20*time.Millisecond
			s := emptyServers(b, 1)[0].withShare()
			tt.breaks(s)
			b.start()
			j := s.serverJob(s.delete())
			if j.Failure == nil || j.Failure.Reason != tt.reason || !strings.Contains(j.Failure.Msg, tt.says) || j.Receipt != nil {
				t.Fatalf("the deletion: %+v %+v", j.Failure, j.Receipt)
			}
			if strings.Contains(j.Failure.Msg+j.Failure.Detail, "phone again") || !strings.Contains(j.Failure.Detail, "again") {
				t.Errorf("its words: %+v", j.Failure)
			}
			if kept, err := b.store.Server(t.Context(), b.project, s.server.ID); err != nil || kept.Shown() != phone.ServerNormal {
				t.Errorf("the server: %+v, %v", kept, err)
			}
		})
	}
}

// Hosts that do not answer hold no worker from the jobs of others, and no deletion of their servers waits for a worker. Such a job ends, in the end.
func TestSharedAway(t *testing.T) {
	t.Parallel()
	b := newBench(t, 0, 1)
	b.config.SweepEvery, b.config.HostDeadline = 20*time.Millisecond, 12*time.Second
	list := phone.Task{Share: &phone.ShareTask{Path: "/data", Limit: 50}}
	servers := emptyServers(b, 25)
	var jobs []phone.JobID
	for i, s := range servers {
		s.host.onCall(func(_ context.Context, call string, _ driver.Ref) error {
			if call == "list_shared" || call == "info" && i%5 == 0 {
				return phone.Errorf(phone.Unavailable, "", "no route to host")
			}
			return nil
		})
		jobs = append(jobs, s.share(phone.KindShareList, list))
	}
	there := emptyServers(b, 1)[0].withShare()
	began := time.Now()
	stop := b.start()
	j := there.serverJob(there.share(phone.KindShareList, list))
	if took := time.Since(began); j.Failure != nil || took >= b.config.HostDeadline {
		t.Errorf("the list of a host that answers: %+v after %s", j.Failure, took)
	}
	for i, s := range servers {
		s.running(jobs[i])
		if n := s.host.count("list_shared"); n > 0 && i%5 == 0 {
			t.Errorf("a host that does not say who it is was asked for more %d times", n)
		}
	}
	if j := servers[0].serverJob(servers[0].delete()); j.Failure != nil {
		t.Errorf("the deletion: %+v", j.Failure)
	}
	if j := servers[0].serverJob(jobs[0]); j.Failure == nil || j.Failure.Reason != phone.ReasonServerBusy || strings.Contains(j.Failure.Detail, "phone") {
		t.Errorf("what waited for its storage: %+v", j.Failure)
	}
	servers[1].running(jobs[1])
	stop()
	b.config.HostDeadline = 300 * time.Millisecond
	b.start()
	if j := servers[1].serverJob(jobs[1]); j.Failure == nil || j.Failure.Reason != phone.ReasonHostGone || strings.Contains(fmt.Sprint(j.Failure), "phone") {
		t.Errorf("the list of a host that does not come back: %+v", j.Failure)
	}
}
