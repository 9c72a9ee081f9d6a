package main

import (
	"testing"

	"github.com/lethe-cloud/lethe/api"
	"github.com/lethe-cloud/lethe/internal/phone"
)

func TestPoolAndServerCreate(t *testing.T) {
	t.Parallel()
	in := newTestInstallation(t)
	in.fleet("edge", 1)
	hosts := jsonOf[[]api.PoolHost](t, in.run("pool", "list", "-o", "json").must(t, 0))
	if len(hosts) != 2 || !hosts[0].Free || hosts[0].Name != "rack-7" || hosts[1].Accounts[0] != "acme" {
		t.Errorf("the pool: %+v", hosts)
	}
	create := []string{"server", "create", "--name", "shop", "--server-model", "rack.small", "--image", "edge-image"}
	created := in.run(append(create, "--property", "com.cph.mainkeys=1", "-o", "json")...).must(t, 0)
	progress := jsonOf[api.Progress](t, created)
	if progress.Kind != "create" || progress.Total != 3 || len(progress.Servers) != 1 || progress.Servers[0].Phones != 3 {
		t.Errorf("the request: %+v", progress)
	}
	shown := in.run("pool", "list").must(t, 0).stdout
	contains(t, shown, "rack.small    3       -         no    rack-7  simulated  sim:///srv/rack-7")
	contains(t, shown, "acme")
	for _, p := range in.store.AllPhones()[1:] {
		if p.Properties["com.cph.mainkeys"] != "1" {
			t.Errorf("a phone has %v", p.Properties)
		}
	}
	contains(t, in.run(append(create, "--count", "2")...).must(t, 1).stderr, "0 of the pool's 1 hosts of the model rack.small are free, 2 are wanted")
	contains(t, in.run(append(create, "--count", "0")...).must(t, 2).stderr, "at least one server")
	contains(t, in.run("server", "create", "--name", "x", "--image", "edge-image").must(t, 2).stderr, "--server-model is missing")
	in.run("server", "create", "--name", "x", "--server-model", "rack.small", "--image", "nothing").must(t, 2)
}

func TestServerChange(t *testing.T) {
	t.Parallel()
	in := newTestInstallation(t)
	in.fleet("edge", 2)
	contains(t, in.run("server", "change", "edge", "--image", "edge-image").must(t, 2).stderr, "destroys the data of all phones of server edge: give --yes")
	if n := len(in.store.AllJobs()); n != 0 {
		t.Errorf("%d jobs without --yes", n)
	}
	contains(t, in.run("server", "change", "edge", "--yes").must(t, 2).stderr, "--image is missing")
	in.run("server", "change", "edge", "--image", "edge-image", "--property", "no.such.key=1", "--yes").must(t, 2)
	progress := jsonOf[api.Progress](t, in.run("server", "change", "edge", "--image", "edge-image", "--property", "com.cph.mainkeys=1", "--yes", "-o", "json").must(t, 0))
	jobs := in.store.AllJobs()
	if progress.Kind != "reset" || progress.Total != 2 || len(jobs) != 2 || !jobs[0].Factory || jobs[0].Kind != phone.KindReset || jobs[0].Properties["com.cph.mainkeys"] != "1" {
		t.Errorf("the request: %+v, the jobs: %+v", progress, jobs)
	}
	contains(t, in.run("server", "show", "edge").must(t, 0).stdout, "creating")
	contains(t, in.run("server", "change", "edge", "--image", "edge-image", "--yes").must(t, 1).stderr, "creating")
}
