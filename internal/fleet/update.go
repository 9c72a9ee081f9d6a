package fleet

import (
	"context"

	"github.com/lethe-cloud/lethe/internal/account"
	"github.com/lethe-cloud/lethe/internal/phone"
)

// UpdateProperties is a batch of phones that get other property values.
type UpdateProperties struct {
	Request phone.RequestID // "": a new one
	Project phone.ProjectID
	Phones  []ResetPhone // Factory is of no use here
	Key     *string      // as in ResetPhones
}

// UpdateProperties accepts a batch: on return every accepted phone's job is durable. Properties that are not given stay as they are. In a
// phone that runs the values are set and read back, but for those that take effect at creation: these, and all in a phone that does not run,
// come with its next boot. The answer is as that of ResetPhones.
func (s *Service) UpdateProperties(ctx context.Context, caller account.Caller, in UpdateProperties) (phone.RequestID, []phone.Outcome, error) {
	if err := Authorise(caller, in.Project, ActionPhonesUpdateProperty); err != nil {
		return "", nil, err
	}
	if err := s.checkBatch(len(in.Phones)); err != nil {
		return "", nil, err
	}
	if err := checkKey(in.Key); err != nil {
		return "", nil, err
	}
	accept := AcceptUpdate{Check: s.check}
	accept.Request = s.newRequest(in.Request, in.Project, phone.KindUpdate, caller.User.ID)
	for _, p := range in.Phones {
		item := p.item()
		if item.Err == nil && p.Property == "" {
			item.Err = phone.Errorf(phone.Invalid, phone.ReasonPropertyInvalid, "property is missing: an update needs what it has to set")
		}
		accept.Items = append(accept.Items, item)
	}
	if in.Key != nil {
		k := s.key(*in.Key, []any{phone.KindUpdate, in.Project, caller.User.ID, canonicalUpdate(in.Phones, accept.Items)})
		accept.Key = &k
	}
	return s.store.AcceptUpdate(ctx, accept)
}

// canonicalUpdate is what the elements ask for, however they were written.
func canonicalUpdate(phones []ResetPhone, items []phone.ResetItem) any {
	type element struct {
		Phone      string           `json:"phone"`
		Properties phone.Properties `json:"properties"`
		Unread     string           `json:"unread"` // the text of a property that is refused
	}
	elements := make([]element, len(items))
	for i, item := range items {
		elements[i] = element{Phone: item.PhoneID, Properties: item.Given}
		if item.Err != nil {
			elements[i].Unread = phones[i].Property
		}
	}
	return elements
}
