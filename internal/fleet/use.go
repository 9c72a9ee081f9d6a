package fleet

import (
	"context"

	"github.com/lethe-cloud/lethe/internal/account"
	"github.com/lethe-cloud/lethe/internal/driver"
	"github.com/lethe-cloud/lethe/internal/phone"
)

// Command and CommandResult are a program to run inside a phone and how it ended, in the words of the use cases: the edges know
// no driver.
type (
	Command       = driver.Command
	CommandResult = driver.Result
)

// ServerUse counts the boot slots of a server that jobs hold, and its phones by status.
func (s *Service) ServerUse(ctx context.Context, caller account.Caller, project phone.ProjectID, id phone.ServerID) (phone.ServerUse, error) {
	if err := Authorise(caller, project, ActionServersGet); err != nil {
		return phone.ServerUse{}, err
	}
	if !phone.ValidID(id) {
		return phone.ServerUse{}, phone.Errorf(phone.NotFound, phone.ReasonServerNotFound, "the project has no such server")
	}
	return s.store.ServerUse(ctx, project, id)
}
