package fleet

import (
	"context"

	"github.com/lethe-cloud/lethe/internal/account"
	"github.com/lethe-cloud/lethe/internal/phone"
)

// ResetPhones is a batch reset as a caller asked for it.
type ResetPhones struct {
	Request phone.RequestID // "": a new one
	Project phone.ProjectID
	Image   string // "": each phone's present image
	Phones  []ResetPhone
	// Rollback keeps each phone's old life until the new one is verified, and brings it back when that fails.
	Rollback bool
	Pace     *phone.Pace // nil: all are let go at once
	// Key makes the call repeatable: for KeyLife the same key with the same call gives the same answer. nil: it is not repeatable.
	Key *string
}

// ResetPhone is one element of a batch reset.
type ResetPhone struct {
	ID       string
	Property string // JSON text, "" for none
	Factory  bool   // clear the property history first
	// Err refuses this element alone: the edge could not read its property, which is then what the caller wrote.
	Err *phone.Error
}

// ResetPhones accepts a batch: on return every accepted phone's status is 3 and its job durable. The outcomes are in the
// request's order. An error refuses the whole request and nothing was changed. With a key that was used before, the answer is
// that of the first call, its request's id included.
func (s *Service) ResetPhones(ctx context.Context, caller account.Caller, in ResetPhones) (phone.RequestID, []phone.Outcome, error) {
	var cases []When
	if in.Image != "" {
		cases = append(cases, WhenImageNamed)
	}
	if err := Authorise(caller, in.Project, needs(ActionPhonesReset, cases...)...); err != nil {
		return "", nil, err
	}
	if err := s.checkBatch(len(in.Phones)); err != nil {
		return "", nil, err
	}
	if err := checkImage(in.Image); err != nil {
		return "", nil, err
	}
	if err := in.Pace.Check(); err != nil {
		return "", nil, err
	}
	if err := checkKey(in.Key); err != nil {
		return "", nil, err
	}
	items := make([]phone.ResetItem, len(in.Phones))
	for i, p := range in.Phones {
		items[i] = p.item()
	}
	request := s.newRequest(in.Request, in.Project, phone.KindReset, caller.User.ID)
	if !in.Pace.Empty() {
		request.Pace = in.Pace
	}
	accept := AcceptReset{Request: request, Image: phone.ImageID(in.Image), Items: items, Check: s.check, Rollback: in.Rollback}
	if in.Key != nil {
		return s.store.AcceptResetOnce(ctx, accept, s.key(*in.Key, in.canonical(caller.User.ID, items)))
	}
	outcomes, err := s.store.AcceptReset(ctx, accept)
	return request.ID, outcomes, err
}

// canonical is what the call asks for, however it was written: two calls ask for the same when theirs are equal.
func (in ResetPhones) canonical(user string, items []phone.ResetItem) any {
	type element struct {
		Phone      string           `json:"phone"`
		Properties phone.Properties `json:"properties"`
		Unread     string           `json:"unread"` // the text of a property that is refused
		Factory    bool             `json:"factory"`
	}
	elements := make([]element, len(items))
	for i, item := range items {
		elements[i] = element{Phone: item.PhoneID, Properties: item.Given, Factory: item.Factory}
		if item.Err != nil {
			elements[i].Unread = in.Phones[i].Property
		}
	}
	var pace phone.Pace // none and one without rules are the same
	if in.Pace != nil {
		pace = *in.Pace
	}
	return []any{"reset", in.Project, user, in.Image, elements, pace, in.Rollback}
}

func (p ResetPhone) item() phone.ResetItem {
	item := phone.ResetItem{PhoneID: p.ID, Factory: p.Factory, Err: p.Err}
	if item.Err == nil {
		item.Given, item.Err = phone.ParseProperties(p.Property)
	}
	return item
}
