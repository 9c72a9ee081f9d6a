package main

import (
	"testing"

	"github.com/lethe-cloud/lethe/internal/phone"
)

func TestPhoneStopAndRestart(t *testing.T) {
	t.Parallel()
	in := newTestInstallation(t)
	in.fleet("edge", 2)
	in.fleet("core", 1)
	for _, c := range []struct {
		word string
		kind phone.Kind
		args []string
	}{{"stop", phone.KindStop, []string{"--server", "edge"}}, {"restart", phone.KindRestart, []string{"core-0001"}}} {
		r := in.run(append([]string{"phone", c.word, "-o", "json"}, c.args...)...).must(t, 0)
		results := jsonOf[[]resetResult](t, r)
		for _, result := range results {
			if result.Status != 1 || result.JobID == "" || result.RequestID != results[0].RequestID {
				t.Errorf("%s: %+v", c.word, result)
			}
		}
		jobs := in.store.AllJobs()
		if last := jobs[len(jobs)-1]; last.Kind != c.kind || string(last.ID) != results[len(results)-1].JobID {
			t.Errorf("%s: the job is %+v", c.word, last)
		}
		busy := in.run(append([]string{"phone", c.word}, c.args...)...).must(t, 1)
		contains(t, busy.stderr, "CPS.0042 System busy")
		contains(t, busy.stdout, "refused: CPS.0042")
	}
	if n := len(in.store.AllJobs()); n != 3 {
		t.Errorf("%d jobs", n)
	}
	for _, args := range [][]string{{"phone", "restart", "core-0001", "--image", ""}, {"phone", "restart", "core-0001", "--property", "no.such=1"}, {"phone", "stop", "core-0001", "--image", "x"}, {"phone", "stop"}, {"phone", "restart", "--all", "edge-0001"}, {"phone", "stop", "edge-0001", "--idempotency-key", ""}} {
		in.run(args...).must(t, 2)
	}
	in.fleet("empty", 0)
	for _, word := range []string{"stop", "restart"} {
		contains(t, in.run("phone", word, "--server", "empty").must(t, 1).stderr, "there is no phone to "+word)
	}
}

// A restart can be to another image and other properties, which its jobs then have.
func TestPhoneRestartWithMore(t *testing.T) {
	t.Parallel()
	in := newTestInstallation(t)
	in.fleet("edge", 2)
	in.run("image", "add", "--name", "patched", "--reference", "example.test/patched:1").must(t, 0)
	in.run("image", "add", "--name", "newer", "--reference", "example.test/newer:1", "--os-name", "AOSP14").must(t, 0)
	refused := in.run("phone", "restart", "edge-0001", "--image", "newer").must(t, 1)
	contains(t, refused.stderr, "CPS.0030 Parameter: image_id is invalid. the image has AOSP14 and the phone's present one AOSP")
	in.run("phone", "restart", "edge-0001", "--image", "nowhere").must(t, 2)
	in.run("phone", "restart", "edge-0001", "edge-0002", "--image", "patched", "--property", "ro.product.model=X").must(t, 0)
	jobs := in.store.AllJobs()
	for _, j := range jobs[len(jobs)-2:] {
		if j.Kind != phone.KindRestart || j.Image == j.PriorImage || j.Properties["ro.product.model"] != "X" || j.Target != j.Prior {
			t.Errorf("the job: %+v", j)
		}
	}
}

func TestPowerWord(t *testing.T) {
	t.Parallel()
	for want, result := range map[string]resetResult{
		"stopped": {JobID: "j", Status: 2, done: "stopped"}, "reset": {JobID: "j", Status: 2}, "accepted": {JobID: "j", Status: 1, done: "stopped"},
		"failed: CPS.0099": {JobID: "j", Status: -1, ErrorCode: "CPS.0099", done: "stopped"},
	} {
		if got := resetWord(result); got != want {
			t.Errorf("%+v is shown as %q, want %q", result, got, want)
		}
	}
}
