package storetest

import (
	"sync"
	"testing"
	"time"

	"github.com/lethe-cloud/lethe/internal/fleet"
	"github.com/lethe-cloud/lethe/internal/phone"
)

// poolInput is servers of the first project on hosts of the pool, under one request.
func (f Fixture) poolInput(image phone.ImageID, phones int, hosts ...string) (phone.Request, []fleet.AddServer) {
	servers := make([]fleet.AddServer, len(hosts))
	for i, host := range hosts {
		servers[i] = f.ServerInput(f.Project(0), image, phones, 2)
		servers[i].Server.PoolHost, servers[i].Server.Doing = host, phone.KindCreate
		servers[i].Request = servers[0].Request
		for j := range servers[i].Jobs {
			servers[i].Jobs[j].Request = servers[0].Request.ID
		}
	}
	return servers[0].Request, servers
}

// testPool: servers on hosts of the pool are written all or none, each with a job; a host has one server at a time, and is free when
// that is deleted. A server of which a phone was not created is abnormal until a call about it succeeds.
func testPool(t *testing.T, f Fixture) {
	ctx := t.Context()
	must(t, "Register", f.Register(ctx, "r1", time.Hour))
	image := f.Image(t).ID
	request, servers := f.poolInput(image, 1, "rack-1", "rack-2")
	must(t, "AddServers", f.AddServers(ctx, request, servers))
	first, second := servers[0].Server.ID, servers[1].Server.ID
	taken, err := f.TakenHosts(ctx)
	must(t, "TakenHosts", err)
	equal(t, "the hosts that are taken", len(taken), 2)
	s := f.server(t, first)
	equal(t, "a server meanwhile", []any{s.Shown(), s.PoolHost}, []any{phone.ServerCreating, "rack-1"})
	f.consistent(t)
	f.unchanged(t, "a call that wants a host that is taken", func() {
		request, servers := f.poolInput(image, 1, "rack-3", "rack-2")
		refused(t, "AddServers", f.AddServers(ctx, request, servers), phone.Conflict, phone.ReasonHostsTaken)
	})
	var won sync.Map
	var done sync.WaitGroup
	for i := range 4 {
		done.Go(func() {
			request, servers := f.poolInput(image, 1, "rack-3")
			switch err := f.AddServers(ctx, request, servers); {
			case err == nil:
				won.Store(i, true)
			case phone.ReasonOf(err) != phone.ReasonHostsTaken:
				t.Errorf("AddServers: %v", err)
			}
		})
	}
	done.Wait()
	winners := 0
	won.Range(func(any, any) bool { winners++; return true })
	equal(t, "who gets one host", winners, 1)

	for i, id := range []phone.ServerID{first, second} {
		a := f.claim(t, servers[i].Jobs[0].ID, "r1")
		must(t, "Prepared", f.Prepared(ctx, a.Fence, phone.ImageIdentity{ID: "sha256:1"}))
		a = f.claim(t, servers[i].Jobs[0].ID, "r1")
		if id == first {
			f.finish(t, a)
		} else {
			must(t, "Fail", f.Fail(ctx, a.Fence, phone.Failure{Reason: phone.ReasonBootTimeout, Msg: "it did not boot"}))
		}
	}
	f.sweep(t)
	equal(t, "a server whose phones were created", f.server(t, first).Shown(), phone.ServerNormal)
	equal(t, "one of which one was not", f.server(t, second).Shown(), phone.ServerAbnormal)
	abnormal := phone.ServerAbnormal
	_, n, err := f.Servers(ctx, fleet.ServerFilter{Project: f.Project(0), Status: &abnormal, Limit: 10})
	must(t, "Servers", err)
	equal(t, "those that are found as abnormal", n, 1)
	reset := f.Reset(t, f.Project(0), servers[1].Phones[0].ID) // its phones take work
	equal(t, "the cure of its phone", f.phases(t, reset...), []phone.Phase{phone.PhaseRemoving})
	f.finish(t, f.claim(t, reset[0], "r1"))
	restart, outcomes := f.acceptServers(t, phone.KindRestart, false, second)
	equal(t, "a call about it", serverReason(outcomes[0]), "")
	f.finish(t, f.claim(t, f.requestJobs(t, restart, second)[0], "r1"))
	f.sweep(t)
	equal(t, "the server after it", f.server(t, second).Shown(), phone.ServerNormal)

	_, outcomes = f.acceptServers(t, phone.KindDelete, true, first)
	f.finishDeletion(t, first, outcomes)
	request, servers = f.poolInput(image, 1, "rack-1")
	must(t, "AddServers, on a host that was given back", f.AddServers(ctx, request, servers))
	f.consistent(t)
}
