package main

import (
	"testing"

	"github.com/lethe-cloud/lethe/api"
	"github.com/lethe-cloud/lethe/internal/phone"
)

func TestServerDriftAndReconcile(t *testing.T) {
	t.Parallel()
	in := newTestInstallation(t)
	in.fleet("edge", 1)
	in.reconciler.Drift = phone.Drift{Objects: 4, Phones: 1, Held: "an image is on its way", Findings: []phone.Finding{
		{Kind: phone.DriftOrphan, Object: phone.DriftVolume, Name: "lethe-x-1-data", Phone: "p", PhoneName: "edge-0001", Generation: 1, Detail: "it is over", Seen: 3},
		{Kind: phone.DriftQuarantined, Object: phone.DriftInstance, Phone: "stranger", Generation: 9, Detail: "nobody knows it"},
	}}
	drift := in.run("server", "drift", "edge").must(t, 0)
	contains(t, drift.stderr, "4 objects on the host, 1 phones of which 0 are being worked on: 2 differences", "an image is on its way")
	contains(t, drift.stdout, "KIND", "orphan", "edge-0001", "lethe-x-1-data", "would be removed", "quarantined", "stranger", "nobody knows it")
	contains(t, in.run("server", "reconcile", "edge").must(t, 0).stdout, "would be removed")
	if passes := in.reconciler.Passes(); len(passes) > 0 {
		t.Errorf("a dry run did something on %v", passes)
	}
	done := jsonOf[api.Drift](t, in.run("server", "reconcile", "edge", "--dry-run=false", "-o", "json").must(t, 0))
	if done.DryRun || done.Findings[0].Done != "removed" || len(in.reconciler.Passes()) != 1 {
		t.Errorf("%+v after %v", done, in.reconciler.Passes())
	}
	in.run("server", "drift").must(t, 2)
	in.run("server", "reconcile", "edge", "core").must(t, 2)
}
