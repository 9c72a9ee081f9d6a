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
	Image   string       // "": each phone's present image
	Phones  []ResetPhone // Factory is of no use here
	Key     *string      // as in ResetPhones
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

// power checks a batch of which nothing is asked but the kind of its jobs.
func (s *Service) power(caller account.Caller, kind phone.Kind, request phone.RequestID, project phone.ProjectID, phones []string, key *string) (AcceptPower, error) {
	if err := s.checkPower(caller, project, len(phones), key, needs(actionOf(kind))...); err != nil {
		return AcceptPower{}, err
	}
	accept := AcceptPower{Request: s.newRequest(request, project, kind, caller.User.ID), Items: make([]phone.ResetItem, len(phones))}
	for i, p := range phones {
		accept.Items[i].PhoneID = p
	}
	if key != nil {
		k := s.key(*key, []any{kind, project, caller.User.ID, phones})
		accept.Key = &k
	}
	return accept, nil
}

// RestartPhones accepts a batch: on return every accepted phone's status is 4 and its job durable. The phone keeps its life with all its
// data; with an image or properties its instance is made anew for them, on the same data. The answer is as that of ResetPhones.
func (s *Service) RestartPhones(ctx context.Context, caller account.Caller, in RestartPhones) (phone.RequestID, []phone.Outcome, error) {
	var cases []When
	if in.Image != "" {
		cases = append(cases, WhenImageNamed)
	}
	if err := s.checkPower(caller, in.Project, len(in.Phones), in.Key, needs(ActionPhonesRestart, cases...)...); err != nil {
		return "", nil, err
	}
	if err := checkImage(in.Image); err != nil {
		return "", nil, err
	}
	accept := AcceptRestart{Image: phone.ImageID(in.Image), Check: s.check}
	accept.Request = s.newRequest(in.Request, in.Project, phone.KindRestart, caller.User.ID)
	for _, p := range in.Phones {
		accept.Items = append(accept.Items, p.item())
	}
	if in.Key != nil {
		k := s.key(*in.Key, []any{phone.KindRestart, in.Project, caller.User.ID, in.Image, canonicalUpdate(in.Phones, accept.Items)})
		accept.Key = &k
	}
	return s.store.AcceptRestart(ctx, accept)
}

// checkPower checks who asks, for how many phones, and under which key.
func (s *Service) checkPower(caller account.Caller, project phone.ProjectID, phones int, key *string, actions ...Action) error {
	if err := Authorise(caller, project, actions...); err != nil {
		return err
	}
	if err := s.checkBatch(phones); err != nil {
		return err
	}
	return checkKey(key)
}

// checkImage refuses what is no image's id; "" names none.
func checkImage(id string) error {
	if id != "" && !phone.ValidID(id) {
		return phone.Errorf(phone.Invalid, phone.ReasonImageInvalid, "image_id is not 32 lower-case hex digits")
	}
	return nil
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
