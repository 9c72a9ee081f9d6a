package fleet

import (
	"context"

	"github.com/lethe-cloud/lethe/internal/account"
	"github.com/lethe-cloud/lethe/internal/phone"
)

// DeletePhones is a batch of phones to be destroyed for good.
type DeletePhones struct {
	Request phone.RequestID // "": a new one
	Project phone.ProjectID
	Phones  []string // ids, as the caller wrote them
	Key     *string  // as in ResetPhones
}

// DeletePhones accepts a batch: on return every accepted phone's status is 7 and its job durable. When that succeeds, every instance and
// volume of the phone was destroyed and looked for, and the phone is no more; its name and its port are free. The answer is as that of
// ResetPhones.
func (s *Service) DeletePhones(ctx context.Context, caller account.Caller, in DeletePhones) (phone.RequestID, []phone.Outcome, error) {
	accept, err := s.power(caller, phone.KindDelete, in.Request, in.Project, in.Phones, in.Key)
	if err != nil {
		return "", nil, err
	}
	return s.store.AcceptDelete(ctx, accept)
}
