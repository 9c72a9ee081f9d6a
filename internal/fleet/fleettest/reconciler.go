package fleettest

import (
	"context"
	"sync"

	"github.com/lethe-cloud/lethe/internal/fleet"
	"github.com/lethe-cloud/lethe/internal/phone"
)

// Reconciler finds on every host what it was given, and says of each orphan that it was removed, or would be. The zero value
// finds nothing.
type Reconciler struct {
	Drift phone.Drift

	mu     sync.Mutex
	passes []phone.ServerID
}

var _ fleet.Reconciler = (*Reconciler)(nil)

// Reconcile gives the drift.
func (r *Reconciler) Reconcile(_ context.Context, server phone.Server, dryRun bool) (phone.Drift, error) {
	drift := r.Drift
	drift.Server, drift.DryRun, drift.Findings = server.ID, dryRun, nil
	for _, f := range r.Drift.Findings {
		if f.Kind == phone.DriftOrphan {
			f.Done = "removed"
			if dryRun {
				f.Done = "would be removed"
			}
		}
		drift.Findings = append(drift.Findings, f)
	}
	if !dryRun {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.passes = append(r.passes, server.ID)
	}
	return drift, nil
}

// Passes gives the servers on which something was done, in order.
func (r *Reconciler) Passes() []phone.ServerID {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.passes
}
