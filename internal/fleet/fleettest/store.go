// Package fleettest has a store that lives in memory, for tests of the use cases and of the wires above them. It decides as the
// databases do, with the domain's own functions, and can be put into every state, also into those that only a broken host leads
// to. Whether a database keeps the same contract is the store's own tests' business.
package fleettest

import (
	"cmp"
	"context"
	"slices"
	"sync"

	"github.com/lethe-cloud/lethe/internal/fleet"
	"github.com/lethe-cloud/lethe/internal/phone"
)

// Store keeps a fleet in memory. The zero value is empty and ready; it is safe for concurrent use.
type Store struct {
	mu       sync.Mutex
	fail     error
	calls    int
	phones   []phone.Phone
	servers  []phone.Server
	images   []phone.Image
	jobs     []phone.Job
	requests []phone.Request
	replicas []phone.Replica
	answers  map[answerKey]answer
	members  []phone.ImageMember
	tags     map[phone.ServerID][]phone.Tag
	tickets  []phone.Ticket
	buckets  []phone.Bucket

	serverJobs []phone.ServerJob
}

// answerKey is what an idempotency key belongs to, answer what it stands for.
type (
	answerKey struct {
		project     phone.ProjectID
		caller, key string
	}
	answer struct {
		key      fleet.IdempotencyKey
		request  phone.RequestID
		outcomes []phone.Outcome
	}
)

var _ fleet.Store = (*Store)(nil)

// Put adds phones, servers, images, jobs, requests, buckets or replicas as they are, in place of what has the same id.
func (s *Store) Put(things ...any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, thing := range things {
		switch v := thing.(type) {
		case phone.Phone:
			s.phones = put(s.phones, v, func(o phone.Phone) bool { return o.ID == v.ID })
		case phone.Server:
			s.servers = put(s.servers, v, func(o phone.Server) bool { return o.ID == v.ID })
		case phone.Image:
			s.images = put(s.images, v, func(o phone.Image) bool { return o.ID == v.ID })
		case phone.Job:
			s.jobs = put(s.jobs, v, func(o phone.Job) bool { return o.ID == v.ID })
		case phone.Request:
			s.requests = put(s.requests, v, func(o phone.Request) bool { return o.ID == v.ID })
		case phone.ImageMember:
			s.members = put(s.members, v, func(o phone.ImageMember) bool { return o.Image == v.Image && o.Project == v.Project })
		case phone.Bucket:
			s.buckets = put(s.buckets, v, func(o phone.Bucket) bool { return o.ID == v.ID })
		case phone.Replica:
			s.replicas = put(s.replicas, v, func(o phone.Replica) bool { return o.ID == v.ID })
		default:
			panic("fleettest: a store keeps no such thing")
		}
	}
}

func put[T any](all []T, v T, same func(T) bool) []T {
	if i := slices.IndexFunc(all, same); i >= 0 {
		all[i] = v
		return all
	}
	return append(all, v)
}

// Fail makes every call fail with err, until it is nil again.
func (s *Store) Fail(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.fail = err
}

// Calls tells how often the store was asked or told anything.
func (s *Store) Calls() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.calls
}

// AllJobs gives every job in the order of acceptance.
func (s *Store) AllJobs() []phone.Job {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.jobs)
}

// AllPhones gives every phone in the order in which they were added.
func (s *Store) AllPhones() []phone.Phone {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.phones)
}

// begin is the start of every call.
func (s *Store) begin(ctx context.Context) error {
	s.calls++
	if err := ctx.Err(); err != nil {
		return err
	}
	return s.fail
}

// AcceptReset implements fleet.Store.
func (s *Store) AcceptReset(ctx context.Context, in fleet.AcceptReset) ([]phone.Outcome, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.begin(ctx); err != nil {
		return nil, err
	}
	return s.acceptReset(in)
}

// AcceptResetOnce implements fleet.Store.
func (s *Store) AcceptResetOnce(ctx context.Context, in fleet.AcceptReset, key fleet.IdempotencyKey) (phone.RequestID, []phone.Outcome, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.begin(ctx); err != nil {
		return "", nil, err
	}
	return s.once(in.Request, key, func() ([]phone.Outcome, error) { return s.acceptReset(in) })
}

func (s *Store) once(r phone.Request, key fleet.IdempotencyKey, accept func() ([]phone.Outcome, error)) (phone.RequestID, []phone.Outcome, error) {
	at := answerKey{r.Project, r.Caller, key.Key}
	if a, known := s.answers[at]; known && a.key.Expires.After(r.CreatedAt) {
		if a.key.Hash != key.Hash {
			return "", nil, &phone.Error{
				Code: phone.Conflict, Reason: phone.ReasonKeyReused, Field: "Idempotency-Key", Msg: "this Idempotency-Key was used for another request",
			}
		}
		return a.request, slices.Clone(a.outcomes), nil
	}
	outcomes, err := accept()
	if err != nil {
		return "", nil, err
	}
	if s.answers == nil {
		s.answers = map[answerKey]answer{}
	}
	s.answers[at] = answer{key, r.ID, slices.Clone(outcomes)}
	return r.ID, outcomes, nil
}

func (s *Store) acceptReset(in fleet.AcceptReset) ([]phone.Outcome, error) {
	project := in.Request.Project
	image, err := s.named(project, in.Image)
	if err != nil {
		return nil, err
	}
	accepted, outcomes, err := phone.DecideReset(in.Items, s.targets(project), image, in.Check)
	if err != nil {
		return nil, err
	}
	for i := range accepted {
		accepted[i].Rollback = in.Rollback
	}
	return s.save(in.Request, accepted, outcomes), nil
}

// named gives the image that a call names; nil when it names none.
func (s *Store) named(project phone.ProjectID, id phone.ImageID) (*phone.Image, error) {
	if id == "" {
		return nil, nil
	}
	i := slices.IndexFunc(s.images, func(o phone.Image) bool { return o.ID == id && s.usable(o, project) })
	if i < 0 {
		return nil, phone.Errorf(phone.NotFound, phone.ReasonImageNotFound, "the project has no such image")
	}
	return &s.images[i], nil
}

// AcceptStop implements fleet.Store.
func (s *Store) AcceptStop(ctx context.Context, in fleet.AcceptPower) (phone.RequestID, []phone.Outcome, error) {
	return s.power(ctx, in, phone.DecideStop)
}

// AcceptRestart implements fleet.Store.
func (s *Store) AcceptRestart(ctx context.Context, in fleet.AcceptRestart) (phone.RequestID, []phone.Outcome, error) {
	return s.accept(ctx, in.AcceptPower, func() ([]phone.Accepted, []phone.Outcome, error) {
		image, err := s.named(in.Request.Project, in.Image)
		if err != nil {
			return nil, nil, err
		}
		return phone.DecideRestart(in.Items, s.targets(in.Request.Project), image, in.Check)
	})
}

// AcceptTask implements fleet.Store. It bounds no server's tasks: all of them are set going.
func (s *Store) AcceptTask(ctx context.Context, in fleet.AcceptTask) (phone.RequestID, []phone.Outcome, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.begin(ctx); err != nil {
		return "", nil, err
	}
	accept := func() ([]phone.Outcome, error) {
		accepted, outcomes := phone.DecideTask(in.Items, s.targets(in.Request.Project))
		if in.Request.Kind == phone.KindExport && in.Tasks != nil {
			accepted = phone.OneObjectEach(accepted, outcomes, in.Tasks)
		}
		return s.save(in.Request, accepted, append(outcomes, in.Refused...)), nil
	}
	if in.Key != nil {
		return s.once(in.Request, *in.Key, accept)
	}
	outcomes, err := accept()
	return in.Request.ID, outcomes, err
}

// AcceptUpdate implements fleet.Store.
func (s *Store) AcceptUpdate(ctx context.Context, in fleet.AcceptUpdate) (phone.RequestID, []phone.Outcome, error) {
	return s.power(ctx, in.AcceptPower, func(items []phone.ResetItem, targets map[phone.ID]phone.ResetTarget) ([]phone.Accepted, []phone.Outcome) {
		return phone.DecideUpdate(items, targets, in.Check)
	})
}

func (s *Store) power(ctx context.Context, in fleet.AcceptPower, decide func([]phone.ResetItem, map[phone.ID]phone.ResetTarget) ([]phone.Accepted, []phone.Outcome)) (phone.RequestID, []phone.Outcome, error) {
	return s.accept(ctx, in, func() ([]phone.Accepted, []phone.Outcome, error) {
		accepted, outcomes := decide(in.Items, s.targets(in.Request.Project))
		return accepted, outcomes, nil
	})
}

func (s *Store) accept(ctx context.Context, in fleet.AcceptPower, decide func() ([]phone.Accepted, []phone.Outcome, error)) (phone.RequestID, []phone.Outcome, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.begin(ctx); err != nil {
		return "", nil, err
	}
	accept := func() ([]phone.Outcome, error) {
		accepted, outcomes, err := decide()
		if err != nil {
			return nil, err
		}
		return s.save(in.Request, accepted, outcomes), nil
	}
	if in.Key != nil {
		return s.once(in.Request, *in.Key, accept)
	}
	outcomes, err := accept()
	return in.Request.ID, outcomes, err
}

// Retry implements fleet.Store.
func (s *Store) Retry(ctx context.Context, in fleet.RetryJobs) (phone.RequestID, []phone.Outcome, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.begin(ctx); err != nil {
		return "", nil, err
	}
	if in.Key != nil {
		return s.once(in.Request, *in.Key, func() ([]phone.Outcome, error) { return s.retry(in) })
	}
	outcomes, err := s.retry(in)
	return in.Request.ID, outcomes, err
}

func (s *Store) retry(in fleet.RetryJobs) ([]phone.Outcome, error) {
	project := in.Request.Project
	failed, err := one(s.requests, phone.ReasonRequestNotFound, func(o phone.Request) bool { return o.Project == project && o.ID == in.Of })
	if err != nil {
		return nil, err
	}
	in.Request.Pace = failed.Pace
	jobs := choose(s.jobs, func(j phone.Job) bool {
		at := slices.IndexFunc(s.jobs, func(o phone.Job) bool { return o.ID == j.ID })
		later := func(o phone.Job) bool { return o.Phone == j.Phone && o.Kind != phone.KindStart && !o.Kind.Task() }
		return j.Request == in.Of && j.Kind.Retryable() && j.Phase.Status() == phone.JobFailed && !slices.ContainsFunc(s.jobs[at+1:], later)
	})
	if len(jobs) == 0 {
		return nil, phone.Errorf(phone.Precondition, phone.ReasonNothingToRetry, "there is nothing to retry")
	}
	images := map[phone.ImageID]bool{}
	for _, i := range s.images {
		images[i.ID] = true
	}
	accepted, outcomes := phone.DecideRetry(failed.Kind, jobs, s.targets(project), images, in.Check)
	return s.save(in.Request, accepted, outcomes), nil
}

func (s *Store) save(request phone.Request, accepted []phone.Accepted, outcomes []phone.Outcome) []phone.Outcome {
	project := request.Project
	free := len(accepted)
	if !request.Pace.Empty() {
		free = phone.DecidePace(*request.Pace, phone.PaceCount{Held: len(accepted)}).Release
	}
	for n, a := range accepted {
		i := slices.IndexFunc(s.phones, func(o phone.Phone) bool { return o.ID == a.Phone.ID })
		job := phone.Job{
			ID: phone.NewID[phone.JobID](), Request: request.ID, Project: project, Phone: a.Phone.ID, Server: a.Phone.Server,
			Kind: request.Kind, Phase: phone.PhaseQueued, Erase: phone.ErasePending, Target: a.Target, Prior: a.Phone.Generation,
			PriorStatus: a.Phone.Status, PriorImage: a.Phone.Image, Image: a.Image, Properties: a.Properties, Factory: a.Factory, Rollback: a.Rollback,
			CreatedAt: request.CreatedAt,
		}
		if n >= free {
			job.Phase = phone.PhaseHeld
		}
		if phase := request.Kind.AtOnce(); phase != "" {
			job.Phase = phase
		}
		if request.Kind.KeepsLife() {
			job.Erase = phone.EraseNone
		}
		if s.phones[i].LastGeneration = max(a.Target, a.Phone.LastGeneration); !request.Kind.KeepsStatus() {
			s.phones[i].Status = request.Kind.Doing()
			s.endTasks(a.Phone.ID, request.Kind)
		}
		s.jobs = append(s.jobs, job)
		outcomes[a.Index].Job = job.ID
	}
	request.Refused = len(outcomes) - len(accepted)
	s.requests = append(s.requests, request)
	return outcomes
}

func (s *Store) endTasks(id phone.ID, by phone.Kind) {
	for i := range s.jobs {
		if j := &s.jobs[i]; j.Phone == id && j.Kind.Task() && !j.Phase.Final() {
			failure := phone.EndedByAnother(by, true)
			j.Phase, j.Failure = phone.PhaseFailed, &failure
		}
	}
}

func (s *Store) targets(project phone.ProjectID) map[phone.ID]phone.ResetTarget {
	targets := map[phone.ID]phone.ResetTarget{}
	for _, p := range s.phones {
		if p.Project != project {
			continue
		}
		i := slices.IndexFunc(s.servers, func(o phone.Server) bool { return o.ID == p.Server })
		targets[p.ID] = phone.ResetTarget{
			Phone: p, ServerStatus: serverStatus(s.servers[i]), ServerLabel: s.servers[i].ImageLabel, Driver: s.servers[i].Driver, System: s.system(p.Image),
			Tasks: len(choose(s.jobs, func(j phone.Job) bool { return j.Phone == p.ID && j.Kind.Task() && !j.Phase.Final() })),
			Busy:  slices.ContainsFunc(s.jobs, func(j phone.Job) bool { return j.Phone == p.ID && j.Kind == phone.KindUpdate && !j.Phase.Final() }),
		}
	}
	return targets
}

// system is the OSName of an image.
func (s *Store) system(id phone.ImageID) string {
	if i := slices.IndexFunc(s.images, func(o phone.Image) bool { return o.ID == id }); i >= 0 {
		return s.images[i].OSName
	}
	return ""
}

// serverStatus is what a server's phones are decided by.
func serverStatus(server phone.Server) phone.ServerStatus {
	if server.Doing == phone.KindDelete {
		return server.Shown()
	}
	return server.Status
}

// AddServer implements fleet.Store.
func (s *Store) AddServer(ctx context.Context, in fleet.AddServer) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.begin(ctx); err != nil {
		return err
	}
	first, last := in.Server.PortBase, in.Server.PortBase+in.Server.Capacity-1
	for _, o := range s.servers {
		if o.Project == in.Server.Project && o.Name == in.Server.Name {
			return phone.Errorf(phone.Conflict, phone.ReasonNameTaken, "the project has a server %s", o.Name)
		}
		if o.Endpoint == in.Server.Endpoint && first <= o.PortBase+o.Capacity-1 && o.PortBase <= last {
			return phone.Errorf(phone.Conflict, phone.ReasonPortsTaken, "another server of this endpoint has ports %d to %d", o.PortBase, o.PortBase+o.Capacity-1)
		}
	}
	s.servers = append(s.servers, in.Server)
	s.phones = append(s.phones, in.Phones...)
	s.jobs = append(s.jobs, in.Jobs...)
	s.requests = append(s.requests, in.Request)
	return nil
}

// Server implements fleet.Store.
func (s *Store) Server(ctx context.Context, project phone.ProjectID, id phone.ServerID) (phone.Server, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.begin(ctx); err != nil {
		return phone.Server{}, err
	}
	return one(s.servers, phone.ReasonServerNotFound, func(o phone.Server) bool { return o.Project == project && o.ID == id })
}

// ServerUse implements fleet.Store.
func (s *Store) ServerUse(ctx context.Context, project phone.ProjectID, id phone.ServerID) (phone.ServerUse, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.begin(ctx); err != nil {
		return phone.ServerUse{}, err
	}
	_, err := one(s.servers, phone.ReasonServerNotFound, func(o phone.Server) bool { return o.Project == project && o.ID == id })
	if err != nil {
		return phone.ServerUse{}, err
	}
	use := phone.ServerUse{Phones: map[phone.Status]int{}}
	for _, p := range s.phones {
		if p.Server == id {
			use.Phones[p.Status]++
		}
	}
	for _, job := range s.jobs {
		if job.Server == id && job.Phase.HoldsSlot() {
			use.SlotsHeld++
		}
	}
	return use, nil
}

// AddImage implements fleet.Store.
func (s *Store) AddImage(ctx context.Context, image phone.Image) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.begin(ctx); err != nil {
		return err
	}
	s.images = append(s.images, image)
	return nil
}

// Images implements fleet.Store.
func (s *Store) Images(ctx context.Context, f fleet.ImageFilter) ([]phone.Image, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.begin(ctx); err != nil {
		return nil, err
	}
	found := choose(s.images, func(o phone.Image) bool {
		return s.usable(o, f.Project) && (f.ID == "" || o.ID == f.ID) && (f.Name == "" || o.Name == f.Name)
	})
	slices.SortStableFunc(found, func(a, b phone.Image) int { return b.CreatedAt.Compare(a.CreatedAt) })
	return found, nil
}

// Phone implements fleet.Store.
func (s *Store) Phone(ctx context.Context, project phone.ProjectID, id phone.ID) (phone.Phone, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.begin(ctx); err != nil {
		return phone.Phone{}, err
	}
	return one(s.phones, phone.ReasonPhoneNotFound, func(o phone.Phone) bool { return o.Project == project && o.ID == id })
}

// Job implements fleet.Store.
func (s *Store) Job(ctx context.Context, project phone.ProjectID, id phone.JobID) (phone.Job, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.begin(ctx); err != nil {
		return phone.Job{}, err
	}
	return one(s.jobs, phone.ReasonJobNotFound, func(o phone.Job) bool { return o.Project == project && o.ID == id })
}

// Progress implements fleet.Store.
func (s *Store) Progress(ctx context.Context, project phone.ProjectID, id phone.RequestID) (phone.Progress, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.begin(ctx); err != nil {
		return phone.Progress{}, err
	}
	request, err := one(s.requests, phone.ReasonRequestNotFound, func(o phone.Request) bool { return o.Project == project && o.ID == id })
	if err != nil {
		return phone.Progress{}, err
	}
	progress := phone.Progress{Request: request, ByPhase: map[phone.Phase]int{}, Finished: true}
	for _, job := range s.serverJobs {
		if job.Request == id {
			progress.Servers = append(progress.Servers, job)
			progress.Finished = progress.Finished && job.Status() != phone.JobRunning
		}
	}
	for _, job := range s.jobs {
		if job.Request != id {
			continue
		}
		progress.Total++
		progress.ByPhase[job.Phase]++
		progress.Finished = progress.Finished && job.Phase.Final()
		if job.Erase == phone.EraseDone {
			progress.Erased++
		}
	}
	return progress, nil
}

// Replicas implements fleet.Store.
func (s *Store) Replicas(ctx context.Context) ([]phone.Replica, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.begin(ctx); err != nil {
		return nil, err
	}
	latest := slices.Clone(s.replicas)
	slices.SortFunc(latest, func(a, b phone.Replica) int {
		return cmp.Or(b.StartedAt.Compare(a.StartedAt), cmp.Compare(a.ID, b.ID))
	})
	return latest, nil
}

// Request implements fleet.Store.
func (s *Store) Request(ctx context.Context, project phone.ProjectID, id phone.RequestID) (phone.Request, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.begin(ctx); err != nil {
		return phone.Request{}, err
	}
	return one(s.requests, phone.ReasonRequestNotFound, func(o phone.Request) bool { return o.Project == project && o.ID == id })
}

// Unfinished implements fleet.Store.
func (s *Store) Unfinished(ctx context.Context, id phone.RequestID) (bool, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.begin(ctx); err != nil {
		return false, err
	}
	return slices.ContainsFunc(s.jobs, func(o phone.Job) bool { return o.Request == id && !o.Phase.Final() }) ||
		slices.ContainsFunc(s.serverJobs, func(o phone.ServerJob) bool { return o.Request == id && o.Status() == phone.JobRunning }), nil
}

// Cancel implements fleet.Store. The time of its end is the job's acceptance: the store has no clock.
func (s *Store) Cancel(ctx context.Context, in fleet.CancelJobs) (phone.Cancellation, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var out phone.Cancellation
	if err := s.begin(ctx); err != nil {
		return out, err
	}
	known, missing := slices.ContainsFunc(s.requests, func(o phone.Request) bool { return o.Project == in.Project && o.ID == in.Request }), phone.ReasonRequestNotFound
	if in.Job != "" {
		known, missing = slices.ContainsFunc(s.jobs, func(o phone.Job) bool { return o.Project == in.Project && o.ID == in.Job }), phone.ReasonJobNotFound
	}
	if !known {
		return out, phone.Errorf(phone.NotFound, missing, "the project has no such thing")
	}
	for i := range s.jobs {
		j := &s.jobs[i]
		switch chosen := j.ID == in.Job || in.Job == "" && j.Request == in.Request; {
		case !chosen:
		case j.Phase.Final():
			out.Ended++
		case !j.Phase.Cancellable():
			out.Finishing++
		default:
			out.Cancelled++
			failure := in.Failure
			j.Phase, j.Failure, j.EndedAt, j.Owner = phone.PhaseCancelled, &failure, j.CreatedAt, ""
			at := slices.IndexFunc(s.phones, func(o phone.Phone) bool { return o.ID == j.Phone })
			s.phones[at].Status = j.WhenCancelled()
		}
	}
	return out, nil
}

func choose[T any](all []T, fits func(T) bool) []T {
	var found []T
	for _, v := range all {
		if fits(v) {
			found = append(found, v)
		}
	}
	return found
}

func one[T any](all []T, reason phone.Reason, fits func(T) bool) (T, error) {
	if i := slices.IndexFunc(all, fits); i >= 0 {
		return all[i], nil
	}
	var none T
	return none, phone.Errorf(phone.NotFound, reason, "the project has no such thing")
}
