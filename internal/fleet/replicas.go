package fleet

import (
	"context"

	"github.com/lethe-cloud/lethe/internal/account"
	"github.com/lethe-cloud/lethe/internal/phone"
)

// Replicas lists the serving processes. They belong to the installation and work for every project, so only the account itself
// may see them, with credentials of any scope; no policy gives it away.
func (s *Service) Replicas(ctx context.Context, caller account.Caller) ([]phone.Replica, error) {
	if !caller.User.Owner {
		return nil, phone.Errorf(phone.Forbidden, "", "only the account itself may list the replicas")
	}
	return s.store.Replicas(ctx)
}
