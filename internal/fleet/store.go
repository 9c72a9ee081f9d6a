package fleet

import (
	"context"
	"time"

	"github.com/lethe-cloud/lethe/internal/driver"
	"github.com/lethe-cloud/lethe/internal/phone"
)

// Store keeps the fleet. Every method is one whole transaction; a missing row is NotFound with the reason of its kind, a
// database that does not answer is Unavailable.
type Store interface {
	NameStore
	ImageStore
	TagStore
	TicketStore
	BucketStore

	// AcceptReset reads the phones and the image, decides with phone.DecideReset, claims the accepted phones (status 3, next
	// generation), writes the request and its jobs, and admits what has a slot: all of it or nothing. What the request's pace does not let
	// go yet is held.
	AcceptReset(ctx context.Context, in AcceptReset) ([]phone.Outcome, error)

	// AcceptResetOnce is AcceptReset under a key. A key that stands for a request already gives that request's id and outcomes
	// again and changes nothing, or is Conflict with ReasonKeyReused when the hash is another. Of concurrent calls with one key one
	// is accepted and the others get its answer. A call that fails leaves the key free; so does the key's expiry.
	AcceptResetOnce(ctx context.Context, in AcceptReset, key IdempotencyKey) (phone.RequestID, []phone.Outcome, error)

	// AcceptStop is AcceptReset for a batch of stops, decided by phone.DecideStop: the accepted phones are 7, keep their generation, and all
	// jobs are set going, for a stop needs no boot slot. AcceptRestart is it for restarts, decided by phone.DecideRestart: the phones are
	// 4 and keep their generation, and an image or properties that were asked for are the jobs' and not yet the phones'. With a key both keep the contract of AcceptResetOnce.
	AcceptStop(ctx context.Context, in AcceptPower) (phone.RequestID, []phone.Outcome, error)
	AcceptRestart(ctx context.Context, in AcceptRestart) (phone.RequestID, []phone.Outcome, error)

	// AcceptDelete is AcceptStop for phones that are destroyed for good, decided by phone.DecideDelete. When its job succeeds the phone is no
	// more; its jobs stay.
	AcceptDelete(ctx context.Context, in AcceptPower) (phone.RequestID, []phone.Outcome, error)

	// AcceptServers does to all phones of servers what the request's kind says (restart, reset, delete or update), decided by phone.DecideServers:
	// each accepted server gets a job, which ends when the jobs of its phones have ended. The outcomes are in the order of the servers.
	AcceptServers(ctx context.Context, in AcceptServers) ([]phone.ServerOutcome, error)
	// AcceptShare writes a job about the shared storage of each server that phone.DecideShareTask accepts, and changes neither servers nor phones.
	AcceptShare(ctx context.Context, in AcceptShare) ([]phone.ServerOutcome, error)
	// AbandonServer removes a server and its phones without a look at its host: what is unfinished on them ends with the failure, jobs stay.
	// It says how many phones there were.
	AbandonServer(ctx context.Context, project phone.ProjectID, id phone.ServerID, failure phone.Failure) (int, error)
	// ServerJobs gives the jobs of servers of some requests in the order of acceptance. ServerJob gives those with one id: several where
	// a call shares one; NotFound with ReasonJobNotFound.
	ServerJobs(ctx context.Context, project phone.ProjectID, requests []phone.RequestID) ([]phone.ServerJob, error)
	ServerJob(ctx context.Context, project phone.ProjectID, id phone.JobID) ([]phone.ServerJob, error)

	// AcceptUpdate is it for other property values, decided by phone.DecideUpdate: the phones keep their status too, and all jobs are set
	// going.
	AcceptUpdate(ctx context.Context, in AcceptUpdate) (phone.RequestID, []phone.Outcome, error)

	// AcceptTask is it for tasks, decided by phone.DecideTask: the phones are not changed, and as many tasks as have their turn on their
	// server are set going. Whatever else is accepted for a phone, but an update, ends its unfinished tasks as failed.
	AcceptTask(ctx context.Context, in AcceptTask) (phone.RequestID, []phone.Outcome, error)

	// Retry is AcceptReset, AcceptStop or AcceptRestart for the phones whose latest job is a failed or cancelled one of a request, decided
	// by phone.DecideRetry, at that request's pace.
	// No such request is NotFound with ReasonRequestNotFound, no such phone Precondition with ReasonNothingToRetry. With a key it
	// keeps the contract of AcceptResetOnce.
	Retry(ctx context.Context, in RetryJobs) (phone.RequestID, []phone.Outcome, error)

	// AddServer writes the server, its phones (status 1) and their create jobs, and admits what has a slot. A server name that
	// the project has already is Conflict with ReasonNameTaken; so are phone names. A range of ports (PortBase, Capacity long)
	// that overlaps another server's of the same endpoint, of any project, is Conflict with ReasonPortsTaken.
	AddServer(ctx context.Context, in AddServer) error
	// AddServers writes several servers on hosts of the pool under one request, all or nothing, with a job of its own for each. A host that
	// has got a server since is Conflict with ReasonHostsTaken. TakenHosts gives those that have one.
	AddServers(ctx context.Context, request phone.Request, servers []AddServer) error
	TakenHosts(ctx context.Context) ([]string, error)
	Servers(ctx context.Context, filter ServerFilter) ([]phone.Server, int, error) // and how many match in all
	// ServersAfter gives at most Limit servers that follow a place, and the place after which the next page begins: nil when there
	// is none. A page of a search may hold less than Limit, even nothing, and have a next one: each looks at a bounded number of rows.
	ServersAfter(ctx context.Context, filter ServerFilter, after Place) ([]phone.Server, *Place, error)
	Server(ctx context.Context, project phone.ProjectID, id phone.ServerID) (phone.Server, error)
	// ServerUse counts the boot slots that the server's jobs hold and its phones by status.
	ServerUse(ctx context.Context, project phone.ProjectID, id phone.ServerID) (phone.ServerUse, error)

	Phones(ctx context.Context, filter PhoneFilter) ([]phone.Phone, int, error)
	// PhonesAfter is to Phones what ServersAfter is to Servers.
	PhonesAfter(ctx context.Context, filter PhoneFilter, after Place) ([]phone.Phone, *Place, error)
	Phone(ctx context.Context, project phone.ProjectID, id phone.ID) (phone.Phone, error)

	Job(ctx context.Context, project phone.ProjectID, id phone.JobID) (phone.Job, error)
	// Jobs gives jobs in the order of acceptance (Newest: the other way round).
	Jobs(ctx context.Context, filter JobFilter) ([]phone.Job, error)
	// JobsAfter is to Jobs what ServersAfter is to Servers; its pages are full but for the last.
	JobsAfter(ctx context.Context, filter JobFilter, after Place) ([]phone.Job, *Place, error)
	Progress(ctx context.Context, project phone.ProjectID, id phone.RequestID) (phone.Progress, error)

	// Replicas gives every replica that ever registered, the latest start first.
	Replicas(ctx context.Context) ([]phone.Replica, error)
	Request(ctx context.Context, project phone.ProjectID, id phone.RequestID) (phone.Request, error)
	// Unfinished reports whether a request of any project has an unfinished job. It is asked again and again, and costs little.
	Unfinished(ctx context.Context, id phone.RequestID) (bool, error)

	// Cancel ends the jobs that are held, queued or preparing, and tasks whose turn has not come, as cancelled: their phones get phone.Job.WhenCancelled and keep their
	// generations, and what waited behind them is set going. Whoever works on a cancelled job writes nothing more.
	Cancel(ctx context.Context, in CancelJobs) (phone.Cancellation, error)
}

// AcceptReset is a batch reset on its way into the store.
type AcceptReset struct {
	Request phone.Request // Refused is filled in by the store
	Image   phone.ImageID // "": each phone's present image
	Items   []phone.ResetItem
	Check   phone.PropertyCheck
	// Rollback is the jobs' policy: see phone.Job.
	Rollback bool
}

// AcceptPower is a batch of stops on its way into the store.
type AcceptPower struct {
	Request phone.Request // Refused is filled in by the store
	Items   []phone.ResetItem
	Key     *IdempotencyKey // nil: none
}

// AcceptRestart is a batch of restarts on its way into the store.
type AcceptRestart struct {
	AcceptPower
	Image phone.ImageID // "": each phone's present image
	Check phone.PropertyCheck
}

// AcceptServers is a call about servers on its way into the store.
type AcceptServers struct {
	Request phone.Request // Refused is filled in by the store
	Servers []string      // ids, as the caller wrote them
	// Whole accepts all of the servers, with one job that they share, or refuses the call with the first server's reason.
	Whole bool
	// Image, Properties and Check are of a reset: what every phone is made anew with.
	Image      phone.ImageID
	Properties phone.Properties
	Check      phone.PropertyCheck
	// Keypairs and CheckKeys are of an update: the key pair that each server gets, and what phone.UpdateKeypair needs.
	Keypairs  map[phone.ServerID]phone.KeypairChoice
	CheckKeys func(driver string) *phone.Error
}

// AcceptShare is a call about the shared storages of servers on its way into the store.
type AcceptShare struct {
	Request phone.Request // it has the task; Refused is filled in by the store
	Servers []string      // ids, as the caller wrote them
	// Lacks says why servers of the project have no shared storage.
	Lacks map[phone.ServerID]*phone.Error
}

// AcceptUpdate is a batch of property updates on its way into the store.
type AcceptUpdate struct {
	AcceptPower
	Check phone.PropertyCheck
}

// AcceptTask is a task for several phones on its way into the store.
type AcceptTask struct {
	AcceptPower                 // its Request has the task, unless Tasks do
	Tasks       []phone.Task    // of each item, where each has its own; else nil
	Refused     []phone.Outcome // elements that are refused already, and come after the others
}

// RetryJobs is a retry on its way into the store.
type RetryJobs struct {
	Request phone.Request   // the new one; Refused is filled in by the store
	Of      phone.RequestID // of the same project
	Check   phone.PropertyCheck
	Key     *IdempotencyKey // nil: none
}

// CancelJobs names one job or, where Job is "", all jobs of a request.
type CancelJobs struct {
	Project phone.ProjectID
	Request phone.RequestID
	Job     phone.JobID
	Failure phone.Failure // what the cancelled jobs say of themselves
}

// IdempotencyKey makes an accepted call repeatable. It belongs to the request's project and caller.
type IdempotencyKey struct {
	Key     string
	Hash    [32]byte // of what was asked: the key never stands for anything else
	Expires time.Time
}

// AddServer is a new server with its phones and their create jobs; the three slices' elements belong together by index.
type AddServer struct {
	Request phone.Request
	Server  phone.Server
	Phones  []phone.Phone
	Jobs    []phone.Job
}

// PhoneFilter chooses phones; zero fields choose nothing. Order: created last first, then by id.
type PhoneFilter struct {
	Project phone.ProjectID
	Server  phone.ServerID
	Name    string // part of the name
	Status  *phone.Status
	Offset  int
	Limit   int
}

// ServerFilter chooses servers; zero fields choose nothing. Order: created last first, then by id.
type ServerFilter struct {
	Project phone.ProjectID
	ID      phone.ServerID
	Name    string // part of the name
	Status  *phone.ServerStatus
	// PhoneModel is the whole name of the phones' model; CreatedFrom and CreatedTo are inclusive.
	PhoneModel  string
	CreatedFrom time.Time
	CreatedTo   time.Time
	Offset      int
	Limit       int
}

// ImageFilter chooses images.
type ImageFilter struct {
	Project phone.ProjectID
	ID      phone.ImageID
	Name    string // the whole name
}

// JobFilter chooses jobs; zero fields choose nothing.
type JobFilter struct {
	Project  phone.ProjectID
	Requests []phone.RequestID
	Phone    phone.ID
	Server   phone.ServerID
	Newest   bool
	Offset   int
	Limit    int
}

// Hosts gives the driver of a server.
type Hosts interface {
	Driver(ctx context.Context, server phone.Server) (driver.Driver, error)
}
