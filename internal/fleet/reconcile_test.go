package fleet_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/lethe-cloud/lethe/internal/fleet"
	"github.com/lethe-cloud/lethe/internal/phone"
)

func TestReconcileServer(t *testing.T) {
	t.Parallel()
	b := newBundle(t)
	b.reconciler.Drift.Findings = []phone.Finding{{Kind: phone.DriftOrphan, Phone: firstID}}
	for _, dryRun := range []bool{true, false} {
		drift, err := b.ReconcileServer(t.Context(), owner(), project, serverID, dryRun)
		if err != nil || drift.DryRun != dryRun || drift.Server != serverID || len(drift.Findings) != 1 {
			t.Errorf("dry run %v: %+v, %v", dryRun, drift, err)
		}
	}
	if drift, err := b.Drift(t.Context(), owner(), project, serverID); err != nil || !drift.DryRun || drift.Findings[0].Done != "would be removed" {
		t.Errorf("Drift: %+v, %v", drift, err)
	}
	for name, id := range map[string]phone.ServerID{"no id": "rack", "nobody's": phone.ServerID(nobody), "another project's": "55555555555555555555555555555555"} {
		_, err := b.Drift(t.Context(), owner(), project, id)
		_, applied := b.ReconcileServer(t.Context(), owner(), project, id, false)
		for _, err := range []error{err, applied} {
			if phone.CodeOf(err) != phone.NotFound || phone.ReasonOf(err) != phone.ReasonServerNotFound {
				t.Errorf("%s server: %v, want NotFound", name, err)
			}
		}
	}
	if diff := cmp.Diff([]phone.ServerID{serverID}, b.reconciler.Passes()); diff != "" {
		t.Errorf("servers on which something was done (-want +got):\n%s", diff)
	}
	without := newBundle(t, func(c *fleet.Config) { c.Reconciler = nil })
	if _, err := without.Drift(t.Context(), owner(), project, serverID); phone.CodeOf(err) != phone.Unsupported {
		t.Errorf("without a reconciler: %v, want Unsupported", err)
	}
}
