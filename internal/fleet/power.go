package fleet

import (
	"context"

	"github.com/lethe-cloud/lethe/internal/account"
	"github.com/lethe-cloud/lethe/internal/phone"
)

// StopPhones is a batch of phones to be stopped.
type StopPhones struct {
	Request phone.RequestID // "": a new one
	Project phone.ProjectID
	Phones  []string // ids, as the caller wrote them
	Key     *string  // as in ResetPhones
}

// RestartPhones is a batch of phones to be started again, after a stop where they run.
type RestartPhones struct {
	Request phone.RequestID // "": a new one
	Project phone.ProjectID
	Phones  []string // ids, as the caller wrote them
	Key     *string  // as in ResetPhones
}

// StopPhones accepts a batch: on return every accepted phone's status is 7 and its job durable. The phone keeps its life with all its
// data. The answer is as that of ResetPhones.
func (s *Service) StopPhones(ctx context.Context, caller account.Caller, in StopPhones) (phone.RequestID, []phone.Outcome, error) {
	accept, err := s.power(caller, phone.KindStop, in.Request, in.Project, in.Phones, in.Key)
	if err != nil {
		return "", nil, err
	}
	return s.store.AcceptStop(ctx, accept)
}

// RestartPhones accepts a batch: on return every accepted phone's status is 4 and its job durable. The phone keeps its life with all its
// data. The answer is as that of ResetPhones.
func (s *Service) RestartPhones(ctx context.Context, caller account.Caller, in RestartPhones) (phone.RequestID, []phone.Outcome, error) {
	accept, err := s.power(caller, phone.KindRestart, in.Request, in.Project, in.Phones, in.Key)
	if err != nil {
		return "", nil, err
	}
	return s.store.AcceptRestart(ctx, accept)
}

// power checks who asks and what for, and makes it what the store takes.
func (s *Service) power(caller account.Caller, kind phone.Kind, id phone.RequestID, project phone.ProjectID, phones []string, key *string) (AcceptPower, error) {
	if err := Authorise(caller, project, actionOf(kind)); err != nil {
		return AcceptPower{}, err
	}
	if err := s.checkBatch(len(phones)); err != nil {
		return AcceptPower{}, err
	}
	if err := checkKey(key); err != nil {
		return AcceptPower{}, err
	}
	accept := AcceptPower{Request: s.newRequest(id, project, kind, caller.User.ID), Items: make([]phone.ResetItem, len(phones))}
	for i, p := range phones {
		accept.Items[i].PhoneID = p
	}
	if key != nil {
		k := s.key(*key, []any{kind, project, caller.User.ID, phones})
		accept.Key = &k
	}
	return accept, nil
}

// checkBatch refuses a batch of no or of too many elements.
func (s *Service) checkBatch(n int) error {
	switch {
	case n == 0:
		return phone.Errorf(phone.Invalid, phone.ReasonPhonesInvalid, "phones is empty: name at least one phone")
	case n > s.maxBatch:
		return phone.Errorf(phone.Exhausted, phone.ReasonPhonesTooMany, "phones has %d elements, at most %d are taken in one call", n, s.maxBatch)
	}
	return nil
}
