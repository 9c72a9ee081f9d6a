package fleet

import (
	"context"

	"github.com/lethe-cloud/lethe/internal/account"
	"github.com/lethe-cloud/lethe/internal/phone"
)

// Replicas lists the serving processes. They belong to the installation and work for every account's projects, so only the
// operator's account may see them, with credentials of any scope.
func (s *Service) Replicas(ctx context.Context, caller account.Caller) ([]phone.Replica, error) {
	if err := Authorise(caller, "", ActionReplicasList); err != nil {
		return nil, err
	}
	return s.store.Replicas(ctx)
}
