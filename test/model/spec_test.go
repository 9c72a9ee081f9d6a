package model

import (
	"cmp"
	"encoding/json"
	"maps"
	"slices"

	"github.com/lethe-cloud/lethe/internal/phone"
)

// spec is the reference: what the fleet is, as plain Go. Each call that changes the database is done here too, by the rules that
// docs/states.md and the store's contracts state, and its answer and every row are compared. It shares no code with the store, and of the
// domain it uses the words, not the decisions. All times are microseconds.
type spec struct {
	wall     func() int64 // of recorded facts
	database func() int64 // of leases

	servers  map[phone.ServerID]*specServer
	phones   map[phone.ID]*specPhone
	deleted  map[phone.ID]phone.Generation // phones that are no more, and the highest life that they had
	jobs     map[phone.JobID]*specJob
	numbers  map[phone.JobID]int // names for traces: in the order of acceptance, also of jobs that are gone
	replicas map[phone.ReplicaID]*specReplica
	queue    map[phone.Delivery]string // deliveries that were not worked to their end, and the process that fetched them, "" none
	requests map[phone.RequestID]*specRequest
	keys     map[string]*specKey
	images   map[phone.ImageID]phone.Image
	hosts    map[hostImage]bool // which images' identities are known
	watches  map[phone.ServerID]specWatch
	seen     map[phone.ServerID][]phone.Sighting
}

type specServer struct {
	id      phone.ServerID
	project phone.ProjectID
	slots   int
	label   string
}

type hostImage struct {
	server phone.ServerID
	image  phone.ImageID
}

// specPhone and specJob are compared with rows as a whole.
type specPhone struct {
	ID         phone.ID
	Project    phone.ProjectID
	Server     phone.ServerID
	Status     phone.Status
	Generation phone.Generation
	Last       phone.Generation
	Image      phone.ImageID
	Properties string // as canonical JSON
	HasCause   bool
	Updated    int64
}

type specJob struct {
	ID          phone.JobID
	Request     phone.RequestID
	Phone       phone.ID
	Server      phone.ServerID
	Kind        phone.Kind
	Phase       phone.Phase
	Erase       phone.EraseState
	Attempt     int
	Owner       phone.ReplicaID
	Incarnation int64
	Delivered   int64 // 0: no delivery is under way
	Target      phone.Generation
	Prior       phone.Generation
	PriorStatus phone.Status
	PriorImage  phone.ImageID
	Image       phone.ImageID
	Properties  string
	Factory     bool
	Created     int64
	Ended       int64
	Reason      phone.Reason
	Rollback    bool
	RolledBack  bool
	Begun       int // of a task: the first attempt that claimed it
}

type specReplica struct {
	Incarnation int64
	Expires     int64
	Process     string
}

type specRequest struct {
	Project phone.ProjectID
	Kind    phone.Kind
	Refused int
	Created int64
	Pace    specPace
	Pacing  bool // its pace has to be looked at
	Stopped specStop
}

type specKey struct {
	what     string // what was asked
	request  phone.RequestID
	outcomes []outcome
	expires  int64
}

type specWatch struct {
	pass    string
	expires int64
}

// outcome is the answer to one element of a request, or to a call.
type outcome struct {
	Code   phone.Code
	Reason phone.Reason
}

func outcomeOf(err error) outcome { return outcome{phone.CodeOf(err), phone.ReasonOf(err)} }

var (
	done      = outcome{}
	isFenced  = outcome{phone.Conflict, phone.ReasonFenced}
	isRefused = outcome{Code: phone.Precondition}
)

func newSpec(wall, database func() int64) *spec {
	return &spec{
		wall: wall, database: database, servers: map[phone.ServerID]*specServer{}, phones: map[phone.ID]*specPhone{}, deleted: map[phone.ID]phone.Generation{},
		jobs: map[phone.JobID]*specJob{}, numbers: map[phone.JobID]int{}, replicas: map[phone.ReplicaID]*specReplica{},
		queue: map[phone.Delivery]string{}, requests: map[phone.RequestID]*specRequest{}, keys: map[string]*specKey{},
		images: map[phone.ImageID]phone.Image{}, hosts: map[hostImage]bool{}, watches: map[phone.ServerID]specWatch{},
		seen: map[phone.ServerID][]phone.Sighting{},
	}
}

func canonical(p map[string]string) string {
	if p == nil {
		p = map[string]string{}
	}
	b, err := json.Marshal(p)
	if err != nil {
		panic(err)
	}
	return string(b)
}

func propertiesOf(text string) map[string]string {
	p := map[string]string{}
	if err := json.Unmarshal([]byte(text), &p); err != nil {
		panic(err)
	}
	return p
}

// inOrder gives the jobs that fulfil a condition in the order of their acceptance.
func (s *spec) inOrder(is func(*specJob) bool) []*specJob {
	found := slices.DeleteFunc(slices.Collect(maps.Values(s.jobs)), func(j *specJob) bool { return !is(j) })
	slices.SortFunc(found, func(a, b *specJob) int { return cmp.Compare(s.numbers[a.ID], s.numbers[b.ID]) })
	return found
}

// sortedPhones gives the phones in the order of their ids.
func (s *spec) sortedPhones() []*specPhone {
	var all []*specPhone
	for _, id := range sorted(s.phones) {
		all = append(all, s.phones[id])
	}
	return all
}

// unfinished gives the job that is at work on a phone, tasks apart.
func (s *spec) unfinished(id phone.ID) *specJob {
	for _, j := range s.jobs {
		if j.Phone == id && !final(j.Phase) && !task(j.Kind) {
			return j
		}
	}
	return nil
}

// taken reports whether a phone has a job at work: an update leaves its status as it is.
func (s *spec) taken(p *specPhone) bool { return busy(p.Status) || s.unfinished(p.ID) != nil }

func final(p phone.Phase) bool {
	return p == phone.PhaseSucceeded || p == phone.PhaseFailed || p == phone.PhaseCancelled
}

func inSlot(p phone.Phase) bool {
	return p == phone.PhaseRemoving || p == phone.PhaseCreating || p == phone.PhaseBooting || p == phone.PhaseRestoring
}

func busy(s phone.Status) bool {
	return s == phone.StatusCreating || s == phone.StatusResetting || s == phone.StatusRestarting || s == phone.StatusStopping
}

// doing and failing are the statuses of a phone while a job of the kind is at work, and after it has failed.
var (
	doing = map[phone.Kind]phone.Status{
		phone.KindCreate: phone.StatusCreating, phone.KindReset: phone.StatusResetting, phone.KindStart: phone.StatusRestarting,
		phone.KindStop: phone.StatusStopping, phone.KindRestart: phone.StatusRestarting, phone.KindDelete: phone.StatusStopping,
	}
	failing = map[phone.Kind]phone.Status{
		phone.KindCreate: phone.StatusCreateFailed, phone.KindReset: phone.StatusResetFailed, phone.KindStart: phone.StatusAbnormal,
		phone.KindStop: phone.StatusStopFailed, phone.KindRestart: phone.StatusRestartFailed, phone.KindDelete: phone.StatusResetFailed,
	}
)

// keeps reports whether jobs of the kind work on the life that their phone has.
func keeps(k phone.Kind) bool {
	return k == phone.KindStart || k == phone.KindStop || k == phone.KindRestart || k == phone.KindUpdate || task(k)
}

// task reports whether jobs of the kind work inside a phone, beside each other and whatever keeps that life.
func task(k phone.Kind) bool { return k == phone.KindShell || k == phone.KindUninstall }

// accepted notes a new job and makes its phone busy.
func (s *spec) accepted(id phone.JobID, request phone.RequestID, p *specPhone, kind phone.Kind, image phone.ImageID, properties string, factory bool) *specJob {
	j := &specJob{
		ID: id, Request: request, Phone: p.ID, Server: p.Server, Kind: kind, Phase: phone.PhaseQueued, Erase: phone.ErasePending,
		Target: p.Last + 1, Prior: p.Generation, PriorStatus: p.Status, PriorImage: p.Image, Image: image, Properties: properties,
		Factory: factory, Created: s.requests[request].Created,
	}
	switch {
	case keeps(kind):
		j.Target, j.Erase = p.Generation, phone.EraseNone
	case kind == phone.KindDelete: // of all lives
		j.Target = p.Last
	default:
		p.Last++
	}
	s.jobs[id], s.numbers[id] = j, len(s.numbers)+1
	if task(kind) { // its phone is not touched
		j.Phase = phone.PhaseWorking
		return j
	}
	if p.Updated = s.wall(); kind != phone.KindUpdate { // which leaves the status as it is
		p.Status = doing[kind]
	}
	return j
}

// admit sets going what can be on a server: jobs whose image is there as far as slots are free, the project with the fewest
// first, and one job for each image that is not.
func (s *spec) admit(server phone.ServerID) {
	on := func(is func(*specJob) bool) []*specJob {
		return s.inOrder(func(j *specJob) bool { return j.Server == server && is(j) })
	}
	held := on(func(j *specJob) bool { return inSlot(j.Phase) })
	bringing := map[phone.ImageID]bool{}
	for _, j := range on(func(j *specJob) bool { return j.Phase == phone.PhasePreparing }) {
		bringing[j.Image] = true
	}
	free := s.servers[server].slots - len(held)
	perProject := map[phone.ProjectID]int{}
	for _, j := range held {
		perProject[s.phones[j.Phone].Project]++
	}
	var ready []*specJob
	for _, j := range on(func(j *specJob) bool { return j.Phase == phone.PhaseQueued }) {
		switch {
		case s.hosts[hostImage{server, j.Image}]:
			ready = append(ready, j)
		case !bringing[j.Image]:
			bringing[j.Image] = true
			s.deliver(j, phone.PhasePreparing)
		}
	}
	for ; free > 0 && len(ready) > 0; free-- {
		next := slices.MinFunc(ready, func(a, b *specJob) int {
			return cmp.Compare(perProject[s.phones[a.Phone].Project], perProject[s.phones[b.Phone].Project])
		})
		ready = slices.DeleteFunc(ready, func(j *specJob) bool { return j == next })
		perProject[s.phones[next.Phone].Project]++
		first := map[phone.Kind]phone.Phase{
			phone.KindCreate: phone.PhaseCreating, phone.KindReset: phone.PhaseRemoving, phone.KindStart: phone.PhaseBooting,
			phone.KindRestart: phone.PhaseRemoving,
		}
		s.deliver(next, first[next.Kind])
	}
}

// deliver gives a job a new attempt, in a phase, that nobody owns.
func (s *spec) deliver(j *specJob, phase phone.Phase) {
	j.Phase, j.Owner, j.Incarnation, j.Delivered = phase, "", 0, s.database()
	j.Attempt++
	s.queue[phone.Delivery{Job: j.ID, Attempt: j.Attempt}] = ""
}

// again gives jobs that were set going new deliveries.
func (s *spec) again(jobs []*specJob) {
	for _, j := range jobs {
		s.deliver(j, j.Phase)
	}
}
