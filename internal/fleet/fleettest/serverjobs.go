package fleettest

import (
	"context"
	"slices"

	"github.com/lethe-cloud/lethe/internal/fleet"
	"github.com/lethe-cloud/lethe/internal/phone"
)

// AcceptDelete implements fleet.Store.
func (s *Store) AcceptDelete(ctx context.Context, in fleet.AcceptPower) (phone.RequestID, []phone.Outcome, error) {
	return s.power(ctx, in, phone.DecideDelete)
}

// AcceptServers implements fleet.Store. Nothing works here, so that the job of a server with phones never ends by itself.
func (s *Store) AcceptServers(ctx context.Context, in fleet.AcceptServers) ([]phone.ServerOutcome, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.begin(ctx); err != nil {
		return nil, err
	}
	decide := phone.RestartServer
	switch in.Request.Kind {
	case phone.KindDelete:
		decide = phone.DeleteServer
	case phone.KindReset:
		image, err := one(s.images, phone.ReasonImageNotFound, func(o phone.Image) bool { return o.ID == in.Image && s.usable(o, in.Request.Project) })
		if err != nil {
			return nil, err
		}
		decide = phone.ChangeServer(image, in.Properties, in.Check)
	case phone.KindUpdate:
		decide = phone.UpdateKeypair(in.Keypairs, in.CheckKeys)
	}
	servers, outcomes := phone.DecideServers(in.Servers, s.serverTargets(in.Request.Project), decide)
	for _, o := range outcomes {
		if in.Whole && o.Err != nil {
			return nil, o.Err
		}
	}
	shared := phone.NewID[phone.JobID]()
	for _, a := range servers {
		job := phone.ServerJob{
			ID: shared, Request: in.Request.ID, Project: in.Request.Project, Server: a.Server, Kind: in.Request.Kind, Phones: len(a.Phones), CreatedAt: in.Request.CreatedAt,
		}
		if !in.Whole {
			job.ID = phone.NewID[phone.JobID]()
		}
		outcomes[a.Index].Job = job.ID
		i := slices.IndexFunc(s.servers, func(o phone.Server) bool { return o.ID == a.Server })
		if s.servers[i].Doing = in.Request.Kind; len(a.Phones) == 0 && in.Request.Kind != phone.KindDelete {
			s.servers[i].Doing, job.EndedAt = "", in.Request.CreatedAt
		}
		if in.Request.Kind == phone.KindUpdate {
			s.servers[i].Keypair = in.Keypairs[a.Server].Name
		}
		s.serverJobs = append(s.serverJobs, job)
		for i := range a.Phones {
			a.Phones[i].Index = i
		}
		s.save(in.Request, a.Phones, make([]phone.Outcome, len(a.Phones)))
	}
	// One request, however many servers it has.
	s.requests = slices.DeleteFunc(s.requests, func(r phone.Request) bool { return r.ID == in.Request.ID })
	in.Request.Refused = len(outcomes) - len(servers)
	s.requests = append(s.requests, in.Request)
	return outcomes, nil
}

// AcceptShare implements fleet.Store. Nothing works here, so that its jobs never end by themselves.
func (s *Store) AcceptShare(ctx context.Context, in fleet.AcceptShare) ([]phone.ServerOutcome, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.begin(ctx); err != nil {
		return nil, err
	}
	servers, waiting := map[phone.ServerID]phone.Server{}, map[phone.ServerID]int{}
	for id, target := range s.serverTargets(in.Request.Project) {
		servers[id] = target.Server
	}
	for _, j := range s.serverJobs {
		if j.Kind.Share() && j.Status() == phone.JobRunning {
			waiting[j.Server]++
		}
	}
	accepted, outcomes := phone.DecideShareTask(in.Servers, servers, waiting, in.Lacks)
	for _, i := range accepted {
		outcomes[i].Job = phone.NewID[phone.JobID]()
		s.serverJobs = append(s.serverJobs, phone.ServerJob{
			ID: outcomes[i].Job, Request: in.Request.ID, Project: in.Request.Project, Server: phone.ServerID(outcomes[i].ServerID), Kind: in.Request.Kind, CreatedAt: in.Request.CreatedAt,
		})
	}
	in.Request.Refused = len(outcomes) - len(accepted)
	s.requests = append(s.requests, in.Request)
	return outcomes, nil
}

func (s *Store) serverTargets(project phone.ProjectID) map[phone.ServerID]phone.ServerTarget {
	targets := map[phone.ServerID]phone.ServerTarget{}
	for _, server := range s.servers {
		if server.Project == project {
			targets[server.ID] = phone.ServerTarget{Server: server}
		}
	}
	phones := s.targets(project)
	for _, p := range s.phones {
		if target, known := targets[p.Server]; known {
			target.Phones = append(target.Phones, phones[p.ID])
			targets[p.Server] = target
		}
	}
	return targets
}

// AddServers implements fleet.Store. Names and ports are not looked at.
func (s *Store) AddServers(ctx context.Context, request phone.Request, servers []fleet.AddServer) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.begin(ctx); err != nil {
		return err
	}
	for _, in := range servers {
		if in.Server.PoolHost != "" && slices.ContainsFunc(s.servers, func(o phone.Server) bool { return o.PoolHost == in.Server.PoolHost }) {
			return phone.Errorf(phone.Conflict, phone.ReasonHostsTaken, "host %s is taken", in.Server.PoolHost)
		}
	}
	for _, in := range servers {
		s.servers, s.phones, s.jobs = append(s.servers, in.Server), append(s.phones, in.Phones...), append(s.jobs, in.Jobs...)
		s.serverJobs = append(s.serverJobs, phone.ServerJob{
			ID: phone.NewID[phone.JobID](), Request: request.ID, Project: request.Project, Server: in.Server.ID, Kind: request.Kind, Phones: len(in.Phones), CreatedAt: request.CreatedAt,
		})
	}
	s.requests = append(s.requests, request)
	return nil
}

// TakenHosts implements fleet.Store.
func (s *Store) TakenHosts(ctx context.Context) ([]string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.begin(ctx); err != nil {
		return nil, err
	}
	var taken []string
	for _, o := range s.servers {
		if o.PoolHost != "" {
			taken = append(taken, o.PoolHost)
		}
	}
	return taken, nil
}

// ServerJobs implements fleet.Store.
func (s *Store) ServerJobs(ctx context.Context, project phone.ProjectID, requests []phone.RequestID) ([]phone.ServerJob, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.begin(ctx); err != nil {
		return nil, err
	}
	return choose(s.serverJobs, func(j phone.ServerJob) bool { return j.Project == project && slices.Contains(requests, j.Request) }), nil
}

// ServerJob implements fleet.Store.
func (s *Store) ServerJob(ctx context.Context, project phone.ProjectID, id phone.JobID) ([]phone.ServerJob, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.begin(ctx); err != nil {
		return nil, err
	}
	found := choose(s.serverJobs, func(j phone.ServerJob) bool { return j.Project == project && j.ID == id })
	if len(found) == 0 {
		return nil, phone.Errorf(phone.NotFound, phone.ReasonJobNotFound, "the project has no such thing")
	}
	return found, nil
}

// AbandonServer implements fleet.Store.
func (s *Store) AbandonServer(ctx context.Context, project phone.ProjectID, id phone.ServerID, failure phone.Failure) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.begin(ctx); err != nil {
		return 0, err
	}
	if _, err := one(s.servers, phone.ReasonServerNotFound, func(o phone.Server) bool { return o.Project == project && o.ID == id }); err != nil {
		return 0, err
	}
	for i := range s.jobs {
		if j := &s.jobs[i]; j.Server == id && !j.Phase.Final() {
			j.Phase, j.Failure, j.EndedAt, j.Owner = phone.PhaseFailed, &failure, j.CreatedAt, ""
		}
	}
	for i := range s.serverJobs {
		if j := &s.serverJobs[i]; j.Server == id && j.Status() == phone.JobRunning {
			j.Failure, j.EndedAt = &failure, j.CreatedAt
		}
	}
	before := len(s.phones)
	s.phones = slices.DeleteFunc(s.phones, func(p phone.Phone) bool { return p.Server == id })
	s.servers = slices.DeleteFunc(s.servers, func(o phone.Server) bool { return o.ID == id })
	return before - len(s.phones), nil
}
