package fleet

import (
	"context"

	"github.com/lethe-cloud/lethe/internal/account"
	"github.com/lethe-cloud/lethe/internal/phone"
)

// NameStore gives phones and servers other names. A name that the project has already is Conflict with ReasonNameTaken, no such
// phone or server NotFound with the reason of its kind.
type NameStore interface {
	RenamePhone(ctx context.Context, project phone.ProjectID, id phone.ID, name string) error
	RenameServer(ctx context.Context, project phone.ProjectID, id phone.ServerID, name string) error
}

// RenamePhone gives a phone another name, at any time: whatever works on it knows it by its id. The phone itself is told with its
// next life.
func (s *Service) RenamePhone(ctx context.Context, caller account.Caller, project phone.ProjectID, id phone.ID, name string) error {
	if err := Authorise(caller, project, ActionPhonesUpdateName); err != nil {
		return err
	}
	if err := checkName("phone_name", name); err != nil {
		return err
	}
	if !phone.ValidID(id) {
		return phone.Errorf(phone.NotFound, phone.ReasonPhoneNotFound, "the project has no such phone")
	}
	return s.store.RenamePhone(ctx, project, id, name)
}

// RenameServer gives a server another name; its phones keep theirs.
func (s *Service) RenameServer(ctx context.Context, caller account.Caller, project phone.ProjectID, id phone.ServerID, name string) error {
	if err := Authorise(caller, project, ActionServersUpdateName); err != nil {
		return err
	}
	if err := checkName("server_name", name); err != nil {
		return err
	}
	if !phone.ValidID(id) {
		return errNoServer
	}
	return s.store.RenameServer(ctx, project, id, name)
}

var errNoServer = phone.Errorf(phone.NotFound, phone.ReasonServerNotFound, "the project has no such server")
