package fleet

import (
	"context"

	"github.com/lethe-cloud/lethe/internal/account"
	"github.com/lethe-cloud/lethe/internal/phone"
)

// RetryRequest asks for what failed in a request to be done once more.
type RetryRequest struct {
	Request phone.RequestID // "": a new one
	Project phone.ProjectID
	Of      phone.RequestID
	Key     *string // as in ResetPhones
}

// RetryRequest resets the phones whose latest job is a failed or cancelled one of the request: to that job's image and exactly
// its properties, in a request of its own with the same pace. Phones that were reset since, or are at work, are not touched. A phone that was never
// made is made by it. The answer is as that of ResetPhones, with an element for each such phone; Precondition with
// ReasonNothingToRetry when there is none.
func (s *Service) RetryRequest(ctx context.Context, caller account.Caller, in RetryRequest) (phone.RequestID, []phone.Outcome, error) {
	if err := Authorise(caller, in.Project, ActionPhonesReset); err != nil {
		return "", nil, err
	}
	if !phone.ValidID(in.Of) {
		return "", nil, errNoRequest
	}
	if err := checkKey(in.Key); err != nil {
		return "", nil, err
	}
	retry := RetryJobs{Request: s.newRequest(in.Request, in.Project, phone.KindReset, caller.User.ID), Of: in.Of, Check: s.check}
	if in.Key != nil {
		key := s.key(*in.Key, []any{"retry", in.Project, caller.User.ID, in.Of})
		retry.Key = &key
	}
	return s.store.Retry(ctx, retry)
}
