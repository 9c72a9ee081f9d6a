package main

import (
	"testing"
	"time"

	"github.com/lethe-cloud/lethe/api"
	"github.com/lethe-cloud/lethe/internal/phone"
)

func TestPhoneDelete(t *testing.T) {
	t.Parallel()
	in := newTestInstallation(t)
	in.fleet("edge", 2)
	refused := in.run("phone", "delete", "--server", "edge").must(t, 2)
	contains(t, refused.stderr, "this destroys 2 phones with all their data, for good: give --yes")
	if n := len(in.store.AllJobs()); n != 0 {
		t.Errorf("%d jobs without --yes", n)
	}
	results := jsonOf[[]resetResult](t, in.run("phone", "delete", "edge-0001", "--yes", "-o", "json").must(t, 0))
	jobs := in.store.AllJobs()
	if last := jobs[len(jobs)-1]; len(results) != 1 || last.Kind != phone.KindDelete || string(last.ID) != results[0].JobID {
		t.Errorf("%+v; the job is %+v", results, last)
	}
	contains(t, in.run("phone", "delete", "edge-0001", "--yes").must(t, 1).stderr, "wait until that ends")
	in.run("phone", "delete", "--yes").must(t, 2)
	in.run("phone", "delete", "nobody", "--yes").must(t, 2)
}

func TestServerRestartAndDelete(t *testing.T) {
	t.Parallel()
	in := newTestInstallation(t)
	in.fleet("edge", 2)
	in.fleet("core", 1)
	progress := jsonOf[api.Progress](t, in.run("server", "restart", "edge", "-o", "json").must(t, 0))
	if progress.Kind != "restart" || progress.Total != 2 || len(progress.Servers) != 1 || progress.Servers[0].Status != 1 || progress.Finished {
		t.Errorf("the restart: %+v", progress)
	}
	contains(t, in.run("server", "show", "edge").must(t, 0).stdout, "starting")
	contains(t, in.run("server", "restart", "edge").must(t, 1).stderr, "the server is starting")
	contains(t, in.run("request", "show", progress.RequestID).must(t, 0).stdout, "running, 2 phones")

	contains(t, in.run("server", "delete", "core").must(t, 2).stderr, "give --yes")
	contains(t, in.run("server", "delete", "core", "--abandon").must(t, 2).stderr, "leaves their data on its host")
	contains(t, in.run("server", "delete", "core", "--abandon", "--yes").must(t, 1).stderr, "answers: delete the server")
	contains(t, in.run("server", "delete", "core", "--yes").must(t, 0).stdout, "delete")
	contains(t, in.run("server", "show", "core").must(t, 0).stdout, "stopping")
	in.run("server", "delete", "nobody", "--yes").must(t, 2)
	in.run("server", "restart").must(t, 2)
}

func TestServerJobText(t *testing.T) {
	t.Parallel()
	for want, job := range map[string]api.ServerJob{
		"running, 3 phones": {Phones: 3}, "done, 3 phones": {Phones: 3, EndTime: time.Unix(1, 0)},
		"deleted, 3 phones; its host had nothing of it any more at " + moment(time.Unix(1, 0)): {Phones: 3, EndTime: time.Unix(1, 0), LookedForAt: time.Unix(1, 0)},
		"deleted, 0 phones and the shared storage vol (2 files, 9 bytes); its host had nothing of it any more at " + moment(time.Unix(1, 0)): {
			EndTime: time.Unix(1, 0), LookedForAt: time.Unix(1, 0), Share: &api.ErasedShare{Name: "vol", Files: 2, Bytes: 9},
		},
		"deleted, 0 phones and the shared storage vol (in several attempts, not all of which are counted: at least 2 files, 9 bytes); its host had nothing of it any more at " + moment(time.Unix(1, 0)): {
			EndTime: time.Unix(1, 0), LookedForAt: time.Unix(1, 0), Share: &api.ErasedShare{Name: "vol", Files: 2, Bytes: 9, Partial: true},
		},
		"failed: 1 of 3 phones: mend it": {Failure: &api.Failure{Msg: "1 of 3 phones.", Detail: "mend it"}, EndTime: time.Unix(1, 0)},
	} {
		if got := serverJobText(job); got != want {
			t.Errorf("%+v is shown as %q, want %q", job, got, want)
		}
	}
}
