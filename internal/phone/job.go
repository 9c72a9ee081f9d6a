package phone

import (
	"slices"
	"time"
)

// Kind is what a job does to its phone.
type Kind string

// The lifecycle jobs; a phone has at most one of them unfinished.
const (
	KindCreate Kind = "create"
	KindReset  Kind = "reset"
	// KindStart starts the present life of a phone that died by itself. It makes no new life, and erases nothing.
	KindStart Kind = "start"
	// KindStop stops the present life, and KindRestart stops it, if it runs, and starts it again. Neither makes or erases one.
	KindStop    Kind = "stop"
	KindRestart Kind = "restart"
	// KindUpdate gives a phone other property values. It is no lifecycle job: the phone keeps its status, whatever that is.
	KindUpdate Kind = "update"
	// KindDelete destroys every life of a phone, and then the phone is no more.
	KindDelete Kind = "delete"
	// The tasks: they work inside a phone that runs, which keeps its status and its life, several beside each other. What would end
	// that life ends them.
	KindShell     Kind = "shell"
	KindUninstall Kind = "uninstall"
	KindPush      Kind = "push"
	KindInstall   Kind = "install"
	KindExport    Kind = "export"
	KindImport    Kind = "import"
)

// Kinds lists every kind.
func Kinds() []Kind {
	return append([]Kind{KindCreate, KindReset, KindStart, KindStop, KindRestart, KindUpdate, KindDelete}, Tasks()...)
}

// Tasks lists the kinds of tasks.
func Tasks() []Kind {
	return []Kind{KindShell, KindUninstall, KindPush, KindInstall, KindExport, KindImport}
}

// Task reports whether a job of this kind is a task.
func (k Kind) Task() bool { return slices.Contains(Tasks(), k) }

// Retryable reports whether a retry of a request does once more what a job of this kind failed to do. Nobody asked for a start; what an
// update was to set, or a task to do, may be wrong by now; so may what was to be done with a shared storage.
func (k Kind) Retryable() bool { return k != KindStart && k != KindUpdate && !k.Task() && !k.Share() }

// Retried is the kind of the jobs that do once more what one of this kind failed to do: what a creation left is replaced by a reset.
func (k Kind) Retried() Kind {
	if k == KindStop || k == KindRestart || k == KindDelete {
		return k
	}
	return KindReset
}

// KeepsLife reports whether a job of this kind works on the phone's present life: it makes no new generation, erases nothing, and
// never makes a data volume.
func (k Kind) KeepsLife() bool {
	return k == KindStart || k == KindStop || k == KindRestart || k == KindUpdate || k.Task()
}

// MakesLife reports whether a job of this kind makes a new generation.
func (k Kind) MakesLife() bool { return k == KindCreate || k == KindReset }

// KeepsStatus reports whether a phone has the same status before, during and after a job of this kind.
func (k Kind) KeepsStatus() bool { return k == KindUpdate || k.Task() }

// AtOnce is the phase in which a job of this kind is set going when it is accepted, because it needs no boot slot, or "".
func (k Kind) AtOnce() Phase {
	switch k {
	case KindStop:
		return PhaseStopping
	case KindUpdate:
		return PhaseVerifying
	case KindDelete:
		return PhaseDeleting
	}
	if k.Task() {
		return PhaseWorking
	}
	return ""
}

// Doing is the phone's status while a job of this kind is at work, unless the kind keeps it.
func (k Kind) Doing() Status {
	switch k {
	case KindCreate:
		return StatusCreating
	case KindStart, KindRestart:
		return StatusRestarting
	case KindStop, KindDelete:
		return StatusStopping
	}
	return StatusResetting
}

// Done is the phone's status after a job of this kind has succeeded, unless the kind keeps it. After a deletion there is no phone.
func (k Kind) Done() Status {
	if k == KindStop {
		return StatusStopped
	}
	return StatusRunning
}

// Failed is the phone's status after a job of this kind has failed, unless the kind keeps it. A deletion that failed leaves what a failed reset
// does: the life may be destroyed in part, so that nothing but a reset or another deletion is left for the phone.
func (k Kind) Failed() Status {
	switch k {
	case KindCreate:
		return StatusCreateFailed
	case KindStart:
		return StatusAbnormal
	case KindStop:
		return StatusStopFailed
	case KindRestart:
		return StatusRestartFailed
	}
	return StatusResetFailed
}

// Phase is where a job stands. Erasing old generations is not a phase: it runs beside booting and has a column of its own.
type Phase string

// The phases in order; the last three are final.
const (
	PhaseHeld      Phase = "held"      // accepted, and not let go yet by the pace of its request
	PhaseQueued    Phase = "queued"    // waits for its image or for a boot slot
	PhasePreparing Phase = "preparing" // this job brings the image to the host, once per host and image; holds no slot
	PhaseStopping  Phase = "stopping"  // of a stop, which holds no slot: the instance ends
	PhaseDeleting  Phase = "deleting"  // of a deletion, which holds no slot: all instances and volumes go
	PhaseWorking   Phase = "working"   // of a task, which holds no slot: it waits for its turn on its server, or is at work in the phone
	PhaseRemoving  Phase = "removing"  // holds a slot: the old instance goes; of a restart it only ends
	PhaseCreating  Phase = "creating"  // holds a slot: fresh volume, new instance
	PhaseBooting   Phase = "booting"   // holds a slot until it has booted
	PhaseVerifying Phase = "verifying" // slot freed: properties read back, old volumes looked for
	PhaseRestoring Phase = "restoring" // holds a slot: a job with Rollback has failed, and the old life comes back
	PhaseSucceeded Phase = "succeeded"
	PhaseFailed    Phase = "failed"
	PhaseCancelled Phase = "cancelled"
)

// Phases lists all phases in order.
func Phases() []Phase {
	return []Phase{PhaseHeld, PhaseQueued, PhasePreparing, PhaseStopping, PhaseDeleting, PhaseWorking, PhaseRemoving, PhaseCreating, PhaseBooting, PhaseVerifying, PhaseRestoring, PhaseSucceeded, PhaseFailed, PhaseCancelled}
}

// Final reports whether nothing more happens to a job in this phase.
func (p Phase) Final() bool { return p == PhaseSucceeded || p == PhaseFailed || p == PhaseCancelled }

// HoldsSlot reports whether a job in this phase holds one of its server's boot slots.
func (p Phase) HoldsSlot() bool {
	return p == PhaseRemoving || p == PhaseCreating || p == PhaseBooting || p == PhaseRestoring
}

// Before reports whether p comes earlier than q.
func (p Phase) Before(q Phase) bool {
	return slices.Index(Phases(), p) < slices.Index(Phases(), q)
}

// JobStatus is a job's state on the wire [CPH API: 1 running, 2 success, -1 failed].
type JobStatus int

// The wire states of a job.
const (
	JobRunning JobStatus = 1
	JobSuccess JobStatus = 2
	JobFailed  JobStatus = -1
)

// Status is the phase in the CPH API's words.
func (p Phase) Status() JobStatus {
	switch p {
	case PhaseSucceeded:
		return JobSuccess
	case PhaseFailed, PhaseCancelled:
		return JobFailed
	}
	return JobRunning
}

// EraseState is where the destruction of a job's older generations stands.
type EraseState string

// The states of erasing.
const (
	EraseNone    EraseState = "none" // nothing to erase: a first life
	ErasePending EraseState = "pending"
	EraseDone    EraseState = "done" // destroyed, and looked for
	EraseFailed  EraseState = "failed"
)

// Job is one phone's share of an accepted request, and its row is the truth about it: River only delivers it.
type Job struct {
	ID      JobID
	Request RequestID
	Project ProjectID
	Phone   ID
	Server  ServerID
	Kind    Kind
	Phase   Phase
	Erase   EraseState
	// Target is the generation this job makes, or works on (Kind.KeepsLife: the same as Prior), or the highest that a deletion destroys; Prior and PriorStatus are what the phone was when the job was accepted.
	Target      Generation
	Prior       Generation
	PriorStatus Status
	PriorImage  ImageID
	Image       ImageID
	Properties  Properties // the whole set of the next life, already merged
	Factory     bool       // factory_reset_enabled was true
	// Rollback keeps the old life until the new one is verified, and brings it back when that fails; RolledBack says that it was so.
	Rollback   bool
	RolledBack bool
	Attempt    int       // the fence: grows with each delivery
	Begun      int       // of a task: the attempt that began it; 0 before
	Output     string    // of a task: what its program said, at most MaxOutput bytes
	Owner      ReplicaID // "" while nobody works on it
	Failure    *Failure
	Receipt    *Receipt
	CreatedAt  time.Time
	StartedAt  time.Time // zero until it first held a slot or prepared
	EndedAt    time.Time // zero while unfinished
	// PhaseAt says when each phase that was reached began.
	PhaseAt map[Phase]time.Time
}

// Cancellable reports whether a job in this phase may be cancelled: nothing has been done to its phone yet. A task that is working may
// be too, as long as it waits for its turn.
func (p Phase) Cancellable() bool { return p == PhaseHeld || p == PhaseQueued || p == PhasePreparing }

// WhenCancelled is the phone's status after the job was cancelled: what it was before, and for a phone that was never made what
// a failed creation leaves.
func (j Job) WhenCancelled() Status {
	if j.Kind == KindCreate {
		return j.Kind.Failed()
	}
	return j.PriorStatus
}

// Again reports whether an earlier attempt had begun the task: what it did in the phone is there.
func (j Job) Again() bool { return j.Begun != 0 && j.Begun < j.Attempt }

// Cancellation counts what came of cancelling jobs.
type Cancellation struct {
	Cancelled int // by this call
	Finishing int // too far on: they hold a boot slot or had one, and go on to their end
	Ended     int // before this call
}

// Fence is what every write of a worker carries. A write whose fence is not the row's changes nothing and returns an error
// with ReasonFenced.
type Fence struct {
	Job     JobID
	Attempt int
	Replica ReplicaID
}

// Failure says why a job failed: Reason is mapped by edges, Msg names the cause in one sentence (error_msg), Detail has the
// particulars and the cure (execute_msg, at most 1,024 bytes on the wire).
type Failure struct {
	Reason Reason `json:"reason"`
	Msg    string `json:"msg"`
	Detail string `json:"detail"`
}

// Assignment is everything a worker needs to know about a job it has claimed.
type Assignment struct {
	Job    Job
	Phone  Phone
	Server Server
	Image  Image
	// Identity is what the server's host resolved the image to; zero while the image has not been prepared there.
	Identity ImageIdentity
	Fence    Fence
	Task     Task // of a task
}

// Delivery hands one job to a worker. A delivery whose attempt is not the job's is stale and does nothing.
type Delivery struct {
	Job     JobID
	Attempt int
}

// Progress counts a request's jobs.
type Progress struct {
	Request Request
	Total   int
	ByPhase map[Phase]int
	Erased  int // jobs whose older generations were destroyed and looked for
	// Servers are the jobs of a call about servers. Finished means that these have ended too.
	Servers  []ServerJob
	Finished bool
}

// Request is one accepted call.
type Request struct {
	ID        RequestID
	Project   ProjectID
	Kind      Kind
	Caller    string // user id
	Refused   int    // elements that got an error instead of a job
	Pace      *Pace  // nil: everything is let go at once
	Stopped   *PaceStop
	Task      *Task // of tasks, when they are accepted
	CreatedAt time.Time
}

// Outcome is the answer for one element of a request, in the request's order: a job, or an error.
type Outcome struct {
	PhoneID  string // as the caller wrote it; "" in an element about a server
	ServerID string // of an element about a server that is refused
	Job      JobID  // "" when refused
	Err      *Error
}

// Receipt proves a finished reset: what was destroyed and looked for, what runs now, and what was read back. It holds no
// property values.
type Receipt struct {
	Phone      ID                `json:"phone_id"`
	Job        JobID             `json:"job_id"`
	From       Generation        `json:"from_generation"`
	To         Generation        `json:"to_generation"`
	Image      ImageID           `json:"image_id"`
	Identity   ImageIdentity     `json:"image_identity"`
	Instance   string            `json:"instance"` // the host's name or id of the new instance
	Volume     string            `json:"volume"`   // the new instance's fresh volume
	Erased     []ErasedVolume    `json:"erased"`
	LookedFor  time.Time         `json:"looked_for_at"` // when the host was last searched for older volumes and had none
	Properties []PropertyReading `json:"properties"`
}

// ErasedVolume is one older generation's volume, destroyed and then not found.
type ErasedVolume struct {
	Name       string     `json:"name"` // "" when an attempt that was cut off had destroyed it before it could say so
	Generation Generation `json:"generation"`
	Files      int64      `json:"files"` // removed by this erasure; 0 also when an earlier attempt had removed them
	Bytes      int64      `json:"bytes"`
	Gone       bool       `json:"gone"` // looked for and not found
}

// Effect says how far a property reached.
type Effect string

// The effects of a property.
const (
	EffectVerified Effect = "verified" // read back from the running phone with the value that was asked
	EffectRecorded Effect = "recorded" // kept by lethe only: this runtime has no such property
	EffectMismatch Effect = "mismatch" // read back with another value
	EffectPending  Effect = "pending"  // the phone has it from its next boot on: it did not run, or the value is one that is set at creation
)

// PropertyReading is one property of a receipt; the value itself is not in it.
type PropertyReading struct {
	Key    string `json:"key"`
	Effect Effect `json:"effect"`
}

// Admission is one free slot's next holder.
type Admission struct {
	Job     JobID
	Project ProjectID
	Seq     int64 // the order of acceptance
}

// PickAdmissions chooses which of a server's waiting jobs get its free slots: each slot goes to the project that holds the
// fewest slots at that moment, and within a project to the oldest job; between equal projects to the oldest job. candidates
// hold, in order of Seq, at least the oldest `free` jobs of every project; held counts the slots each project has already.
func PickAdmissions(free int, held map[ProjectID]int, candidates []Admission) []Admission {
	waiting := map[ProjectID][]Admission{}
	for _, c := range candidates {
		waiting[c.Project] = append(waiting[c.Project], c)
	}
	count := make(map[ProjectID]int, len(held))
	for p, n := range held {
		count[p] = n
	}
	var picked []Admission
	for len(picked) < free && len(waiting) > 0 {
		var best ProjectID
		first := true
		for p, jobs := range waiting {
			if first || count[p] < count[best] || count[p] == count[best] && jobs[0].Seq < waiting[best][0].Seq {
				best, first = p, false
			}
		}
		picked = append(picked, waiting[best][0])
		count[best]++
		if waiting[best] = waiting[best][1:]; len(waiting[best]) == 0 {
			delete(waiting, best)
		}
	}
	return picked
}
