package fleet

import (
	"context"
	"fmt"

	"github.com/lethe-cloud/lethe/internal/account"
	"github.com/lethe-cloud/lethe/internal/audit"
	"github.com/lethe-cloud/lethe/internal/phone"
)

// Reconciler compares a server's host with the database and, unless it is a dry run, removes what is due. It is Unavailable while
// the host does not answer, Conflict while somebody else is at it, and Precondition on a server that is not normal.
type Reconciler interface {
	Reconcile(ctx context.Context, server phone.Server, dryRun bool) (phone.Drift, error)
}

// Drift says how the host of one of the project's servers differs from the database; it changes nothing.
func (s *Service) Drift(ctx context.Context, caller account.Caller, project phone.ProjectID, id phone.ServerID) (phone.Drift, error) {
	return s.reconcile(ctx, caller, project, id, ActionServersGet, true)
}

// ReconcileServer puts the host of one of the project's servers in order now, as far as that is due.
func (s *Service) ReconcileServer(ctx context.Context, caller account.Caller, project phone.ProjectID, id phone.ServerID, dryRun bool) (phone.Drift, error) {
	return s.reconcile(ctx, caller, project, id, ActionServersReconcile, dryRun)
}

func (s *Service) reconcile(
	ctx context.Context, caller account.Caller, project phone.ProjectID, id phone.ServerID, action Action, dryRun bool,
) (phone.Drift, error) {
	if err := Authorise(caller, project, action); err != nil {
		return phone.Drift{}, err
	}
	if !phone.ValidID(id) {
		return phone.Drift{}, phone.Errorf(phone.NotFound, phone.ReasonServerNotFound, "the project has no such server")
	}
	server, err := s.store.Server(ctx, project, id)
	if err != nil {
		return phone.Drift{}, err
	}
	if s.reconciler == nil {
		return phone.Drift{}, phone.Errorf(phone.Unsupported, "", "this installation does not compare hosts with its database")
	}
	if !dryRun {
		if err := audit.Now(ctx); err != nil {
			return phone.Drift{}, fmt.Errorf("write the audit trail: %w", err)
		}
	}
	return s.reconciler.Reconcile(ctx, server, dryRun)
}
