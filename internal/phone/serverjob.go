package phone

import (
	"fmt"
	"time"
)

// ServerJob is one server's share of an accepted call about servers. What is done to the server's phones are ordinary jobs: those of the
// same request on that server. It ends when the last of them has. One about the server's shared storage is done by itself.
type ServerJob struct {
	ID      JobID // where a call answers with one job for several servers, each has it
	Request RequestID
	Project ProjectID
	Server  ServerID
	Kind    Kind
	Phones  int // how many of the server's phones got a job
	// EmptiedAt is of a deletion whose phones are gone: from then on it waits for a look at the host.
	EmptiedAt time.Time
	Output    string        // of a job about a shared storage: what was done, in one sentence
	Listing   *ShareListing // of a KindShareList that has succeeded
	Failure   *Failure
	Receipt   *ServerReceipt
	CreatedAt time.Time
	EndedAt   time.Time // zero while unfinished
}

// ServerReceipt proves the deletion of a server: the receipts of its phones' jobs say what was destroyed.
type ServerReceipt struct {
	Phones    int       `json:"phones"`
	LookedFor time.Time `json:"looked_for_at"` // when the host was asked for all it has of this server, and had nothing
	// Share is the shared storage that this deletion, or one before it that failed, has destroyed; nil when the host had none.
	Share *ErasedShare `json:"share,omitempty"`
}

// Status is how the job stands on the wire.
func (j ServerJob) Status() JobStatus {
	switch {
	case j.EndedAt.IsZero():
		return JobRunning
	case j.Failure != nil:
		return JobFailed
	}
	return JobSuccess
}

// JoinServerJobs makes one job of the shares of a call that answered with one job for several servers: it runs as long as one of them
// does, and has failed when one has. There is at least one.
func JoinServerJobs(shares []ServerJob) ServerJob {
	joined := shares[0]
	for _, j := range shares[1:] {
		joined.Server, joined.Receipt = "", nil
		joined.Phones += j.Phones
		if joined.Failure == nil {
			joined.Failure = j.Failure
		}
		if joined.EndedAt.IsZero() || j.EndedAt.IsZero() {
			joined.EndedAt = time.Time{}
		} else if j.EndedAt.After(joined.EndedAt) {
			joined.EndedAt = j.EndedAt
		}
	}
	return joined
}

// ServerTarget is what is known of a server when a call about it is decided.
type ServerTarget struct {
	Server Server
	Phones []ResetTarget
}

// AcceptedServer is a server that a call is accepted for, and what is accepted for its phones. The Index of a phone is not used.
type AcceptedServer struct {
	Index  int // in the request
	Server ServerID
	Phones []Accepted
}

// ServerOutcome is the answer for one element of a call about servers, in its order: a job, or an error.
type ServerOutcome struct {
	ServerID string // as the caller wrote it
	Job      JobID  // "" when refused
	Err      *Error
}

// DecideServers decides each server of a call in the call's order. targets holds the project's own servers by id. accept says what is
// done to a server's phones, or why nothing can be.
func DecideServers(ids []string, targets map[ServerID]ServerTarget, accept func(ServerTarget) ([]Accepted, *Error)) ([]AcceptedServer, []ServerOutcome) {
	var accepted []AcceptedServer
	outcomes := make([]ServerOutcome, len(ids))
	seen := make(map[ServerID]bool, len(ids))
	for i, text := range ids {
		id := ServerID(text)
		outcomes[i].ServerID = text
		target, known := targets[id]
		err := refuseServer(id, target, known, seen[id])
		var phones []Accepted
		if err == nil {
			phones, err = accept(target)
		}
		if err != nil {
			outcomes[i].Err = err
		} else {
			accepted = append(accepted, AcceptedServer{Index: i, Server: id, Phones: phones})
		}
		seen[id] = true
	}
	return accepted, outcomes
}

func refuseServer(id ServerID, target ServerTarget, known, seen bool) *Error {
	switch {
	case !ValidID(id):
		return Errorf(Invalid, ReasonServerInvalid, "server_id is not 32 lower-case hex digits")
	case !known:
		return Errorf(NotFound, ReasonServerNotFound, "the project has no such server")
	case seen:
		return Errorf(Invalid, ReasonServerInvalid, "the server is named twice: the first element counts")
	case target.Server.Doing == KindUpdate:
		return Errorf(Precondition, ReasonServerBusy, "the server's phones are given other adb keys: wait until that ends")
	case target.Server.Doing != "" && target.Server.Doing != DoingFailed:
		return Errorf(Precondition, ReasonServerBusy, "the server is %s: wait until that ends", target.Server.Shown())
	case target.Server.Status != ServerNormal:
		return Errorf(Precondition, ReasonServerNotReady, "the server is %s", target.Server.Status)
	}
	return nil
}

// RestartServer accepts those of a server's phones that may be restarted: it leaves alone what something is at work on, what is frozen,
// and what has no life to be started. A server with phones of which none may be restarted is refused.
func RestartServer(t ServerTarget) ([]Accepted, *Error) {
	var accepted []Accepted
	for _, p := range t.Phones {
		if p.Phone.Status.Restartable() && !p.Busy {
			accepted = append(accepted, Accepted{Phone: p.Phone, Target: p.Phone.Generation, Image: p.Phone.Image, Properties: p.Phone.Properties})
		}
	}
	if len(accepted) == 0 && len(t.Phones) > 0 {
		return nil, Errorf(Precondition, ReasonServerBusy, "none of the server's %d phones can be restarted now", len(t.Phones))
	}
	return accepted, nil
}

// DeleteServer accepts a server whose phones can all be deleted: a server that loses only some of them would be neither there nor gone.
func DeleteServer(t ServerTarget) ([]Accepted, *Error) {
	accepted, err := everyPhone(t, "deleted")
	for i := range accepted {
		p := accepted[i].Phone
		accepted[i].Target, accepted[i].Image, accepted[i].Properties = p.LastGeneration, p.Image, p.Properties
	}
	return accepted, err
}

// ChangeServer accepts a server whose phones can all be made anew with the image and with no properties but the given ones.
func ChangeServer(image Image, given Properties, check PropertyCheck) func(ServerTarget) ([]Accepted, *Error) {
	return func(t ServerTarget) ([]Accepted, *Error) {
		if image.Label != t.Server.ImageLabel {
			return nil, Errorf(Invalid, ReasonImageLabel, "image %s has label %q, but the server is for %q: choose an image with that label", image.ID, image.Label, t.Server.ImageLabel)
		}
		if err := check(t.Server.Driver, given); err != nil {
			return nil, err
		}
		accepted, err := everyPhone(t, "made anew")
		for i := range accepted {
			accepted[i].Target, accepted[i].Image, accepted[i].Properties, accepted[i].Factory = accepted[i].Phone.LastGeneration+1, image.ID, Properties{}.Merge(given, true), true
		}
		return accepted, err
	}
}

// everyPhone accepts all of a server's phones, or none: when one of them cannot be reset, or deleted, at this moment.
func everyPhone(t ServerTarget, done string) ([]Accepted, *Error) {
	accepted := make([]Accepted, len(t.Phones))
	busy := 0
	for i, p := range t.Phones {
		if !p.Phone.Status.Resettable() || p.Busy {
			busy++
		}
		accepted[i] = Accepted{Phone: p.Phone}
	}
	if busy > 0 {
		return nil, Errorf(Precondition, ReasonServerBusy, "%d of the server's %d phones cannot be %s now: a job is at work on them, or they are frozen", busy, len(t.Phones), done)
	}
	return accepted, nil
}

// AfterServerJob is what a server is left with by the end of its job.
func AfterServerJob(kind Kind, failed bool) Kind {
	if kind == KindCreate && failed {
		return DoingFailed
	}
	return ""
}

// ServerFailure is what a server's job says when some of its phones' jobs did not succeed: how many of how many, and why the first of
// them did not. It is nil when all did.
func ServerFailure(kind Kind, phones, bad int, first *Failure) *Failure {
	if bad == 0 {
		return nil
	}
	done := map[Kind]string{KindCreate: "created", KindRestart: "restarted", KindReset: "made anew", KindDelete: "deleted", KindUpdate: "given the adb keys"}[kind]
	f := Failure{Msg: fmt.Sprintf("%d of %d phones could not be %s.", bad, phones, done)}
	if first != nil {
		f.Reason, f.Detail = first.Reason, first.Detail
		f.Msg = fmt.Sprintf("%d of %d phones could not be %s; the first: %s", bad, phones, done, first.Msg)
	}
	return &f
}

// Emptied is a server that is to be deleted and has no phones any more, as a worker has claimed it.
type Emptied struct {
	Server Server
	At     time.Time // since when
	Fence  Fence
	Away   time.Time // when its host did not answer for the first time since it last did; zero while it does
	// Erasing is what was done so far to destroy the shared storage; nil while nothing was.
	Erasing *ShareErasure
}
