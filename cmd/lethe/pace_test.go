package main

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/lethe-cloud/lethe/api"
	"github.com/lethe-cloud/lethe/internal/phone"
)

func TestResetAtAPace(t *testing.T) {
	t.Parallel()
	in := newTestInstallation(t)
	in.fleet("edge", 7)
	in.called()
	r := in.run("reset", "--server", "edge", "--first", "2", "--at-once", "3", "--stop-above", "0", "--idempotency-key", "k", "-o", "json").must(t, 0)
	results := jsonOf[[]resetResult](t, r)
	held := 0
	for _, job := range in.store.AllJobs() {
		if job.Phase == phone.PhaseHeld {
			held++
		}
	}
	if len(results) != 7 || held != 5 {
		t.Errorf("%d results, %d held", len(results), held)
	}
	if calls := in.called(); calls[len(calls)-1] != "POST /lethe/v1/phones/batch-reset" {
		t.Errorf("calls %v", calls)
	}
	in.run("reset", "--server", "edge", "--first", "2", "--at-once", "3", "--stop-above", "0", "--idempotency-key", "k").must(t, 0)
	contains(t, in.run("reset", "--server", "edge", "--first", "3", "--idempotency-key", "k").must(t, 1).stderr, "this Idempotency-Key was used for another request")

	done := in.run("request", "wait", results[0].RequestID).must(t, 0)
	contains(t, done.stderr, "held ", "7/7")
	contains(t, done.stdout, "PACE", "first 2, at once 3, stop above 0 %", "succeeded 7")
	if progress := jsonOf[api.Progress](t, in.run("request", "show", results[0].RequestID, "-o", "json").must(t, 0)); progress.Stopped != nil ||
		cmp.Diff(&api.Pace{First: new(2), AtOnce: new(3), StopPercent: new(0)}, progress.Pace) != "" {
		t.Errorf("progress %+v", progress)
	}
}

// A reset whose canary fails stops: exit code 1, one line about all the phones that were not reached, and their retry goes on at the
// same pace.
func TestResetIsStopped(t *testing.T) {
	t.Parallel()
	in := newTestInstallation(t)
	in.fleet("edge", 9)
	in.fails["edge-0002"] = phone.Failure{Reason: phone.ReasonBootTimeout, Msg: "The phone did not boot.", Detail: "Raise the timeout."}
	r := in.run("reset", "--all", "--first", "2", "--stop-above", "20", "--wait").must(t, 1)
	contains(t, r.stderr, "9 accepted, 0 refused", "edge-0002 (", "CPS.0054 The phone did not boot: Raise the timeout.",
		"was stopped: 1 of 2 phones failed, more than the 20 % that the request allows. 7 phones were not reached and are what they were before")
	contains(t, r.stdout, "failed: CPS.0054", "not reached")
	if n := strings.Count(r.stderr, "CPS."); n != 1 {
		t.Errorf("%d phones are complained of:\n%s", n, r.stderr)
	}
	if p := in.store.AllPhones()[8]; p.Status != phone.StatusRunning || p.Generation != 1 {
		t.Errorf("a phone that was not reached: %+v", p)
	}
	request := string(in.store.AllJobs()[0].Request)
	shown := in.run("request", "show", request).must(t, 0)
	contains(t, shown.stdout, "STOPPED", "1 of 2 phones failed", "lethe request retry", "cancelled 7")
	contains(t, in.run("request", "wait", request).must(t, 1).stderr, "request "+request+" was stopped")
	contains(t, in.run("job", "show", string(in.store.AllJobs()[8].ID)).must(t, 0).stdout, "request_stopped", "it is what it was before")

	delete(in.fails, "edge-0002")
	again := in.run("request", "retry", request, "--wait").must(t, 0)
	contains(t, again.stderr, "8 accepted, 0 refused", "2/8", "8/8")
}

func TestResetPaceRefused(t *testing.T) {
	t.Parallel()
	in := newTestInstallation(t)
	in.fleet("edge", 1001)
	for _, c := range []struct{ args, says string }{
		{"--first 0", "--first must be 1 to 1000000; without it there is no canary"},
		{"--at-once -1", "--at-once must be 1 to 1000000; without it all are let go at once"},
		{"--stop-above 101", "--stop-above must be 0 to 100; without it nothing stops it"},
		{"--stop-above 10%", "invalid argument"},
		{"--first 5", "phones has 1001 elements, at most 1000 are taken in one call"},
		{"--first 5", "a reset at a pace is one call: name fewer phones"},
	} {
		contains(t, in.run(append([]string{"reset", "--all"}, strings.Fields(c.args)...)...).must(t, 2).stderr, c.says)
	}
	if n := len(in.store.AllJobs()); n != 0 {
		t.Errorf("%d jobs", n)
	}
}
