package fleet

import (
	"context"
	"errors"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/lethe-cloud/lethe/internal/account"
	"github.com/lethe-cloud/lethe/internal/audit"
	"github.com/lethe-cloud/lethe/internal/driver"
	"github.com/lethe-cloud/lethe/internal/phone"
)

// RunOnPhones is one command for several phones, which is run while its caller waits.
type RunOnPhones struct {
	Project phone.ProjectID
	Phones  []string // ids as the caller wrote them
	Servers []string // where Phones is empty: all phones of these
	Command Command  // its TimeLimit is each phone's
	// Within is how long all of it may take: a phone that has not begun by then counts as one whose time is over.
	Within time.Duration
	AtOnce int // in how many phones it runs at the same time
}

// PhoneResult is what became of the command in one phone; Err says why it did not run there, Result how it ended.
type PhoneResult struct {
	PhoneID  string // as the caller wrote it; "" in an element about a server
	ServerID string // of an element about a server that is refused
	Result   CommandResult
	Err      error

	at PhoneOnServer
}

// hostGrace is what a host gets besides the command's own time.
const hostGrace = 2 * time.Second

// RunOnPhones runs the command in the phones and waits for all of them. The results are in the order that was asked for, a server's
// phones created last first. A phone that does not run, does not exist or is another project's is a result with its error.
func (s *Service) RunOnPhones(ctx context.Context, caller account.Caller, in RunOnPhones) ([]PhoneResult, error) {
	if err := Authorise(caller, in.Project, ActionPhonesSyncCommand); err != nil {
		return nil, err
	}
	find := s.namedPhones
	if len(in.Phones) == 0 {
		find = s.phonesOfServers
	}
	results, err := find(ctx, in)
	if err != nil {
		return nil, err
	}
	audit.From(ctx).Note("", commandChanges(results))
	if err := audit.Now(ctx); err != nil {
		return nil, err
	}
	s.runAll(ctx, in, results)
	return results, nil
}

// namedPhones finds the phones that are named, each once.
func (s *Service) namedPhones(ctx context.Context, in RunOnPhones) ([]PhoneResult, error) {
	var valid []phone.ID
	for _, id := range in.Phones {
		if phone.ValidID(id) {
			valid = append(valid, phone.ID(id))
		}
	}
	known := map[phone.ID]PhoneOnServer{}
	if len(valid) > 0 {
		found, err := s.store.PhonesOnServers(ctx, in.Project, valid)
		if err != nil {
			return nil, err
		}
		for _, p := range found {
			known[p.Phone.ID] = p
		}
	}
	results, seen := make([]PhoneResult, len(in.Phones)), map[string]bool{}
	for i, id := range in.Phones {
		at, ok := known[phone.ID(id)]
		results[i] = PhoneResult{PhoneID: id, at: at}
		if err := refuseCommand(at.Phone, ok, seen[id]); err != nil {
			results[i].Err = err
		}
		seen[id] = true
	}
	return results, nil
}

// phonesOfServers finds the phones of the servers that are named, at most as many as one batch may have.
func (s *Service) phonesOfServers(ctx context.Context, in RunOnPhones) ([]PhoneResult, error) {
	var results []PhoneResult
	seen := map[string]bool{}
	for _, id := range in.Servers {
		server, err := s.server(ctx, in.Project, id)
		switch {
		case phone.CodeOf(err) == phone.NotFound:
			results = append(results, PhoneResult{ServerID: id, Err: phone.Errorf(phone.Invalid, phone.ReasonServerInvalid, "the project has no such server")})
			continue
		case err != nil:
			return nil, err
		case seen[id]:
			continue
		}
		seen[id] = true
		phones, err := s.phonesOn(ctx, server, s.maxBatch-len(results)+1)
		if err != nil {
			return nil, err
		}
		for _, p := range phones {
			result := PhoneResult{PhoneID: string(p.ID), at: PhoneOnServer{Phone: p, Server: server}}
			if err := refuseCommand(p, true, false); err != nil {
				result.Err = err
			}
			results = append(results, result)
		}
		if len(results) > s.maxBatch {
			return nil, phone.Errorf(phone.Exhausted, phone.ReasonPhonesTooMany, "the servers have more than %d phones: name fewer", s.maxBatch)
		}
	}
	return results, nil
}

func (s *Service) server(ctx context.Context, project phone.ProjectID, id string) (phone.Server, error) {
	if !phone.ValidID(id) {
		return phone.Server{}, errNoServer
	}
	return s.store.Server(ctx, project, phone.ServerID(id))
}

// phonesOn gives the server's phones, but no more than so many.
func (s *Service) phonesOn(ctx context.Context, server phone.Server, most int) ([]phone.Phone, error) {
	var all []phone.Phone
	for len(all) < most {
		filter := PhoneFilter{Project: server.Project, Server: server.ID, Offset: len(all), Limit: min(most-len(all), maxPage)}
		page, _, err := s.store.Phones(ctx, filter)
		if err != nil {
			return nil, err
		}
		if all = append(all, page...); len(page) < filter.Limit {
			break
		}
	}
	return all, nil
}

func refuseCommand(p phone.Phone, known, again bool) *phone.Error {
	switch {
	case again && known:
		return phone.Errorf(phone.Conflict, phone.ReasonPhoneDuplicate, "the phone is named more than once")
	case !known:
		return phone.Errorf(phone.NotFound, phone.ReasonPhoneNotFound, "the project has no such phone")
	case p.Status == phone.StatusFrozen:
		return phone.Errorf(phone.Precondition, phone.ReasonPhoneFrozen, "the phone is frozen")
	case p.Status != phone.StatusRunning:
		return phone.Errorf(phone.Precondition, phone.ReasonPhoneNotRunning, "the phone is %s: it must be running", p.Status)
	}
	return nil
}

// commandChanges are the phones that the command is for. What is no phone's id is nothing that the trail could be asked for.
func commandChanges(results []PhoneResult) []audit.Change {
	var changes []audit.Change
	for _, r := range results {
		if phone.ValidID(r.PhoneID) {
			changes = append(changes, audit.Change{Phones: []string{r.PhoneID}, Refused: string(phone.ReasonOf(r.Err))})
		}
	}
	return audit.Group(changes)
}

// runAll fills in the results of the phones that are not refused.
func (s *Service) runAll(ctx context.Context, in RunOnPhones, results []PhoneResult) {
	ctx, cancel := context.WithTimeout(ctx, in.Within)
	defer cancel()
	var running errgroup.Group
	running.SetLimit(in.AtOnce)
	for i := range results {
		if r := &results[i]; r.Err == nil {
			running.Go(func() error {
				r.Result, r.Err = s.runOn(ctx, r.at, in.Command)
				return nil
			})
		}
	}
	_ = running.Wait() // every result has its own error
}

// runOn runs the command in one phone. That its time is over is a Result, whoever noticed it: the phone, or we who wait no longer.
func (s *Service) runOn(ctx context.Context, at PhoneOnServer, command Command) (CommandResult, error) {
	ctx, cancel := context.WithTimeout(ctx, command.TimeLimit+hostGrace)
	defer cancel()
	if ctx.Err() != nil {
		return CommandResult{Expired: true}, nil
	}
	d, err := s.hosts.Driver(ctx, at.Server)
	if err != nil {
		return CommandResult{}, err
	}
	result, err := d.Exec(ctx, driver.Ref{Phone: at.Phone.ID, Generation: at.Phone.Generation}, command)
	code := phone.CodeOf(err)
	switch {
	case err != nil && errors.Is(err, context.DeadlineExceeded) && ctx.Err() != nil:
		return CommandResult{Expired: true}, nil
	case code == phone.NotFound || code == phone.Precondition: // it ended, or a reset took this life away, since it was read
		return CommandResult{}, &phone.Error{Code: phone.Precondition, Reason: phone.ReasonPhoneNotRunning, Msg: "the phone does not run", Err: err}
	}
	return result, err
}
