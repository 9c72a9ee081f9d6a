package main

import (
	"strings"
	"testing"

	"github.com/lethe-cloud/lethe/api"
	"github.com/lethe-cloud/lethe/internal/phone"
)

func TestCancel(t *testing.T) {
	t.Parallel()
	in := newTestInstallation(t)
	in.fleet("edge", 4)
	results := jsonOf[[]resetResult](t, in.run("reset", "--all", "-o", "json").must(t, 0))
	jobs := in.store.AllJobs()
	jobs[0].Phase, jobs[1].Phase = phone.PhaseBooting, phone.PhasePreparing
	in.store.Put(jobs[0], jobs[1])

	contains(t, in.run("job", "cancel", results[0].JobID).must(t, 1).stderr, "goes on to its end")
	contains(t, in.run("job", "cancel", results[1].JobID).must(t, 0).stdout, "CANCELLED")
	contains(t, in.run("job", "cancel", results[1].JobID).must(t, 1).stderr, "had ended before: see lethe job show "+results[1].JobID)
	contains(t, in.run("job", "show", results[1].JobID).must(t, 0).stdout, "cancelled: The job was cancelled")
	if p := in.store.AllPhones()[1]; p.Status != phone.StatusRunning {
		t.Errorf("phone %+v", p)
	}
	cancelled := jsonOf[api.Cancelled](t, in.run("request", "cancel", results[0].RequestID, "-o", "json").must(t, 0))
	if cancelled != (api.Cancelled{RequestID: results[0].RequestID, Cancelled: 2, Finishing: 1, Ended: 1}) {
		t.Errorf("cancelled %+v", cancelled)
	}
	contains(t, in.run("job", "cancel", strings.Repeat("f", 32)).must(t, 1).stderr, "not_found")
	in.run("job", "cancel").must(t, 2)
	in.run("request", "cancel").must(t, 2)
	in.run("request", "stop", "x").must(t, 2)
}

func TestRequestShow(t *testing.T) {
	t.Parallel()
	in := newTestInstallation(t)
	in.fleet("edge", 2)
	results := jsonOf[[]resetResult](t, in.run("reset", "--all", "-o", "json").must(t, 0))
	shown := in.run("request", "show", results[0].RequestID).must(t, 0)
	contains(t, shown.stdout, "PHASES", "succeeded 2", "FINISHED", "true")
	progress := jsonOf[api.Progress](t, in.run("request", "show", results[0].RequestID, "-o", "json").must(t, 0))
	if progress.Total != 2 || !progress.Finished {
		t.Errorf("progress %+v", progress)
	}
}

func TestRequestRetry(t *testing.T) {
	t.Parallel()
	in := newTestInstallation(t)
	in.fleet("edge", 3)
	in.fails["edge-0002"] = phone.Failure{Reason: phone.ReasonBootTimeout, Msg: "The phone did not boot."}
	results := jsonOf[[]resetResult](t, in.run("reset", "--all", "--property", "com.cph.mainkeys=1", "--wait", "-o", "json").must(t, 1))
	request := results[0].RequestID
	failed := in.run("request", "retry", request, "--wait", "--idempotency-key", "once").must(t, 1)
	contains(t, failed.stderr, "1 accepted, 0 refused", "CPS.0054 The phone did not boot")
	delete(in.fails, "edge-0002")
	again := jsonOf[[]resetResult](t, in.run("request", "retry", request, "--idempotency-key", "once", "-o", "json").must(t, 0))
	if len(again) != 1 || len(in.store.AllJobs()) != 4 {
		t.Fatalf("results %+v, %d jobs", again, len(in.store.AllJobs()))
	}
	contains(t, in.run("request", "retry", request).must(t, 1).stderr, "nothing to retry")
	good := jsonOf[[]resetResult](t, in.run("request", "retry", again[0].RequestID, "--wait", "-o", "json").must(t, 0))
	if job := in.store.AllJobs()[4]; good[0].Status != 2 || job.Properties["com.cph.mainkeys"] != "1" || job.Target != 4 {
		t.Errorf("results %+v, job %+v", good, job)
	}
	in.run("request", "retry", request, "--idempotency-key", "").must(t, 2)
}

func TestRequestWait(t *testing.T) {
	t.Parallel()
	in := newTestInstallation(t)
	in.fleet("edge", 2)
	good := jsonOf[[]resetResult](t, in.run("reset", "edge-0001", "-o", "json").must(t, 0))
	done := in.run("request", "wait", good[0].RequestID, "-o", "json").must(t, 0)
	if progress := jsonOf[api.Progress](t, done); !progress.Finished {
		t.Errorf("progress %+v", progress)
	}
	contains(t, done.stderr, "1/1")
	in.fails["edge-0002"] = phone.Failure{Reason: phone.ReasonBootTimeout, Msg: "The phone did not boot.", Detail: "Raise the timeout."}
	bad := jsonOf[[]resetResult](t, in.run("reset", "edge-0002", "-o", "json").must(t, 0))
	failed := in.run("request", "wait", bad[0].RequestID).must(t, 1)
	contains(t, failed.stderr, bad[0].PhoneID+": CPS.0054 The phone did not boot: Raise the timeout.")
	contains(t, failed.stdout, "failed 1")
	contains(t, in.run("request", "wait", strings.Repeat("f", 32)).must(t, 1).stderr, "not_found")
}
