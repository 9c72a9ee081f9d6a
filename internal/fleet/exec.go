package fleet

import (
	"context"
	"fmt"

	"github.com/lethe-cloud/lethe/internal/account"
	"github.com/lethe-cloud/lethe/internal/audit"
	"github.com/lethe-cloud/lethe/internal/driver"
	"github.com/lethe-cloud/lethe/internal/phone"
)

// maxCommandOutput bounds what is kept of a command's stdout and of its stderr.
const maxCommandOutput = 1 << 20

// Exec runs one command inside a running phone and waits for it until ctx ends. A phone in any other state is Precondition
// with ReasonPhoneNotRunning.
func (s *Service) Exec(ctx context.Context, caller account.Caller, project phone.ProjectID, id phone.ID, command driver.Command) (driver.Result, error) {
	if err := Authorise(caller, project, ActionPhonesCommand); err != nil {
		return driver.Result{}, err
	}
	switch {
	case len(command.Args) == 0 || command.Args[0] == "":
		return driver.Result{}, &phone.Error{Code: phone.Invalid, Field: "args", Msg: "args is empty: name the program to run"}
	case command.MaxOutput < 0 || command.MaxOutput > maxCommandOutput:
		return driver.Result{}, &phone.Error{
			Code: phone.Invalid, Field: "max_output", Msg: fmt.Sprintf("max_output must be 0 to %d", maxCommandOutput),
		}
	}
	p, err := s.phone(ctx, project, id)
	if err != nil {
		return driver.Result{}, err
	}
	if p.Status != phone.StatusRunning {
		return driver.Result{}, phone.Errorf(phone.Precondition, phone.ReasonPhoneNotRunning, "the phone is %s: it must be running", p.Status)
	}
	server, err := s.store.Server(ctx, project, p.Server)
	if err != nil {
		return driver.Result{}, err
	}
	d, err := s.hosts.Driver(ctx, server)
	if err != nil {
		return driver.Result{}, fmt.Errorf("reach server %s: %w", server.ID, err)
	}
	if err := audit.Now(ctx); err != nil {
		return driver.Result{}, fmt.Errorf("write the audit trail: %w", err)
	}
	return d.Exec(ctx, driver.Ref{Phone: p.ID, Generation: p.Generation}, command)
}
