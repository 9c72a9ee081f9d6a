package main

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/lethe-cloud/lethe/api"
	"github.com/lethe-cloud/lethe/internal/phone"
)

func TestReset(t *testing.T) {
	t.Parallel()
	in := newTestInstallation(t)
	in.fleet("edge", 3)
	in.fleet("core", 2)
	r := in.run("reset", "edge-0002", fmt.Sprintf("%032x", 1), "--image", "core-image", "--property", "com.cph.mainkeys=1", "--property", "ro.product.model=Pixel", "--factory", "-o", "json").must(t, 0)
	results := jsonOf[[]resetResult](t, r)
	if len(results) != 2 || results[0].PhoneName != "edge-0002" || results[1].PhoneID != fmt.Sprintf("%032x", 1) || results[0].Status != 1 || results[0].JobID == "" {
		t.Errorf("results %+v", results)
	}
	contains(t, r.stderr, "2 accepted, 0 refused (request "+results[0].RequestID+")")
	jobs := in.store.AllJobs()
	wantProperties := phone.Properties{"com.cph.mainkeys": "1", "ro.product.model": "Pixel"}
	if len(jobs) != 2 || !jobs[0].Factory || string(jobs[0].Image) != in.image("core") || !cmp.Equal(wantProperties, jobs[0].Properties) {
		t.Errorf("jobs %+v", jobs)
	}

	// They are busy now: refused, one by one; the others are not held up.
	busy := in.run("reset", "--all").must(t, 1)
	contains(t, busy.stderr, "edge-0001 (", "edge-0002 (", "): CPS.0042 System busy", "3 accepted, 2 refused")
	contains(t, busy.stdout, "refused: CPS.0042", "accepted")
	if len(in.store.AllJobs()) != 5 {
		t.Errorf("%d jobs", len(in.store.AllJobs()))
	}
}

func TestResetWithRollback(t *testing.T) {
	t.Parallel()
	in := newTestInstallation(t)
	in.fleet("edge", 2)
	unknown := strings.Repeat("f", 32)
	r := in.run("reset", "edge-0001", unknown, "--rollback", "--image", "edge-image", "--property", "com.cph.mainkeys=1", "-o", "json").must(t, 1)
	results := jsonOf[[]resetResult](t, r)
	if len(results) != 2 || results[0].JobID == "" || results[0].Status != 1 || results[1].ErrorCode != "invalid" {
		t.Errorf("results %+v", results)
	}
	jobs := in.store.AllJobs()
	if len(jobs) != 1 || !jobs[0].Rollback || jobs[0].Properties["com.cph.mainkeys"] != "1" {
		t.Fatalf("jobs %+v", jobs)
	}
	contains(t, in.run("job", "show", results[0].JobID).must(t, 0).stdout, "ROLLBACK", "asked for")
	done := jobs[0]
	done.Phase, done.RolledBack, done.Failure = phone.PhaseFailed, true, &phone.Failure{Reason: phone.ReasonBootTimeout, Msg: "It did not boot."}
	in.store.Put(done)
	contains(t, in.run("job", "show", results[0].JobID).must(t, 0).stdout, "rolled back to life 1")
}

func TestResetWaits(t *testing.T) {
	t.Parallel()
	in := newTestInstallation(t)
	in.fleet("edge", 4)
	good := in.run("reset", "--server", "edge", "--wait", "-o", "json").must(t, 0)
	for i, result := range jsonOf[[]resetResult](t, good) {
		if result.Status != 2 || result.PhoneName != fmt.Sprintf("edge-%04d", i+1) {
			t.Errorf("result %+v", result)
		}
	}
	contains(t, good.stderr, "4 accepted, 0 refused", "[####################] 4/4", "erased 4")

	in.fails["edge-0003"] = phone.Failure{Reason: phone.ReasonEraseFailed, Msg: "The old data is still there.", Detail: "Free the volume and reset again."}
	unknown := strings.Repeat("f", 32)
	bad := in.run("reset", "edge-0001", "edge-0003", unknown, "--wait").must(t, 1)
	contains(t, bad.stderr, unknown+": CPS.0004 Parameter: phone_id is invalid\n", "2 accepted, 1 refused",
		"edge-0003 (", "): CPS.0003 ", ": Free the volume and reset again.\n")
	contains(t, bad.stdout, "refused: CPS.0004", "failed: CPS.0003", "reset")

	refusedOnly := in.run("reset", unknown, "--wait", "-o", "json").must(t, 1)
	if results := jsonOf[[]resetResult](t, refusedOnly); len(results) != 1 || results[0].ErrorCode != "CPS.0004" || results[0].Status != 0 {
		t.Errorf("results %+v", results)
	}
}

// Over a thousand phones go in several calls, in the order of their names, and a call that fails does not hide what was accepted.
func TestResetSplitsLargeBatches(t *testing.T) {
	t.Parallel()
	in := newTestInstallation(t)
	in.fleet("edge", 2300)
	in.called()
	r := in.run("reset", "--all", "--wait", "-o", "json").must(t, 0)
	results := jsonOf[[]resetResult](t, r)
	requests := map[string]int{}
	for _, result := range results {
		requests[result.RequestID]++
		if result.Status != 2 {
			t.Fatalf("result %+v", result)
		}
	}
	if len(results) != 2300 || len(requests) != 3 || requests[results[0].RequestID] != 1000 || requests[results[2299].RequestID] != 300 {
		t.Errorf("%d results in %v", len(results), requests)
	}
	posts := 0
	for _, call := range in.called() {
		if strings.HasPrefix(call, "POST ") {
			posts++
		}
	}
	if posts != 3 {
		t.Errorf("%d calls", posts)
	}
}

// Many names are looked up in one go and not one by one.
func TestResetResolvesManyNames(t *testing.T) {
	t.Parallel()
	in := newTestInstallation(t)
	in.fleet("edge", 50)
	args := []string{"reset"}
	for i := range 40 {
		args = append(args, fmt.Sprintf("edge-%04d", 50-i))
	}
	results := jsonOf[[]resetResult](t, in.run(append(args, "-o", "json")...).must(t, 0))
	if len(results) != 40 || results[0].PhoneName != "edge-0050" || results[39].PhoneName != "edge-0011" {
		t.Errorf("results %+v", results)
	}
	if calls := in.called(); len(calls) != 2 {
		t.Errorf("calls %v", calls)
	}
}

func TestResetInterrupted(t *testing.T) {
	t.Parallel()
	in := newTestInstallation(t)
	in.fleet("edge", 1)
	ctx, cancel := context.WithCancel(t.Context())
	writer := &cancelling{cancel: cancel} // Ctrl-C, while the accepted request is waited for
	err := run(ctx, []string{"reset", "edge-0001", "--wait"}, in.getenv, strings.NewReader(""), &writer.out, writer)
	if exitCode(err) != 1 {
		t.Errorf("exit code %d", exitCode(err))
	}
	contains(t, writer.String(), "1 accepted, 0 refused", "no longer waiting, but the work goes on: follow it with lethe request wait ")
	contains(t, writer.out.String(), "accepted")
}

// cancelling is a stderr that ends the command when it says that something was accepted.
type cancelling struct {
	strings.Builder
	out    strings.Builder
	cancel func()
}

func (c *cancelling) Write(p []byte) (int, error) {
	if strings.Contains(string(p), "accepted") {
		c.cancel()
	}
	return c.Builder.Write(p)
}

func TestNothingToReset(t *testing.T) {
	t.Parallel()
	in := newTestInstallation(t)
	in.fleet("empty", 0)
	contains(t, in.run("reset", "--server", "empty").must(t, 1).stderr, "there is no phone to reset")
}

// A command that is given again under its key resets nothing a second time; each of its calls has a key of its own.
func TestResetIdempotencyKey(t *testing.T) {
	t.Parallel()
	in := newTestInstallation(t)
	in.fleet("edge", 1001)
	first := in.run("reset", "--all", "--idempotency-key", "nightly", "-o", "json").must(t, 0)
	again := in.run("reset", "--all", "--idempotency-key", "nightly", "-o", "json").must(t, 0)
	if diff := cmp.Diff(first.stdout, again.stdout); diff != "" || len(in.store.AllJobs()) != 1001 {
		t.Errorf("%d jobs, %s", len(in.store.AllJobs()), diff)
	}
	other := in.run("reset", "edge-0001", "--idempotency-key", "nightly").must(t, 1)
	contains(t, other.stderr, "this Idempotency-Key was used for another request")
	for _, key := range []string{"", strings.Repeat("k", 121), "schlüssel"} {
		contains(t, in.run("reset", "--all", "--idempotency-key", key).must(t, 2).stderr, "--idempotency-key must be 1 to 120 printable ASCII characters")
	}
}

func TestInTurn(t *testing.T) {
	t.Parallel()
	of := func(ids ...string) (phones []api.Phone) {
		for _, id := range ids {
			phones = append(phones, api.Phone{PhoneID: id, ServerID: id[:1]})
		}
		return phones
	}
	for _, c := range []struct{ phones, want []api.Phone }{
		{nil, nil},
		{of("a1", "a2"), of("a1", "a2")},
		{of("a1", "a2", "a3", "b1", "c1", "c2"), of("a1", "b1", "c1", "a2", "c2", "a3")},
	} {
		if diff := cmp.Diff(c.want, inTurn(c.phones)); diff != "" {
			t.Error(diff)
		}
	}
}
