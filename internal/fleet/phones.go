package fleet

import (
	"context"

	"github.com/lethe-cloud/lethe/internal/account"
	"github.com/lethe-cloud/lethe/internal/phone"
)

// Phones gives one page of the project's phones that the filter chooses, created last first, and how many it chooses in all.
// A page past the end is empty.
func (s *Service) Phones(ctx context.Context, caller account.Caller, filter PhoneFilter) ([]phone.Phone, int, error) {
	if err := checkPhones(caller, &filter); err != nil {
		return nil, 0, err
	}
	return s.store.Phones(ctx, filter)
}

// checkPhones says whether the caller may have such a list, and fills in its limit.
func checkPhones(caller account.Caller, filter *PhoneFilter) error {
	if err := Authorise(caller, filter.Project, ActionPhonesList); err != nil {
		return err
	}
	if err := checkSearch("phone_name", filter.Name); err != nil {
		return err
	}
	if filter.Server != "" && !phone.ValidID(filter.Server) {
		return errServerID
	}
	var err error
	filter.Limit, err = page(filter.Offset, filter.Limit)
	return err
}

// Phone gives one phone; NotFound with ReasonPhoneNotFound when the project has none of that id.
func (s *Service) Phone(ctx context.Context, caller account.Caller, project phone.ProjectID, id phone.ID) (phone.Phone, error) {
	if err := Authorise(caller, project, ActionPhonesGet); err != nil {
		return phone.Phone{}, err
	}
	return s.phone(ctx, project, id)
}

// PhoneOnServer gives one phone and the server that runs it, for those who want to reach it.
func (s *Service) PhoneOnServer(ctx context.Context, caller account.Caller, project phone.ProjectID, id phone.ID) (phone.Phone, phone.Server, error) {
	p, err := s.Phone(ctx, caller, project, id)
	if err != nil {
		return phone.Phone{}, phone.Server{}, err
	}
	server, err := s.store.Server(ctx, project, p.Server)
	return p, server, err
}

func (s *Service) phone(ctx context.Context, project phone.ProjectID, id phone.ID) (phone.Phone, error) {
	if !phone.ValidID(id) {
		return phone.Phone{}, phone.Errorf(phone.NotFound, phone.ReasonPhoneNotFound, "the project has no such phone")
	}
	return s.store.Phone(ctx, project, id)
}
