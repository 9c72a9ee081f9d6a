package phone

import "slices"

// Task is what the jobs of a request have to do in their phones. It holds no secrets and no property values: it is kept with the
// request, and shown.
type Task struct {
	// Command is what the phone's shell runs, of a KindShell.
	Command string `json:"command,omitempty"`
	// Package is the app's name, of a KindUninstall, a KindAppPush and a KindAppDelete.
	Package string `json:"package,omitempty"`
	// Objects are the tar that a KindPush, a KindSharePush or a KindAppPush unpacks, the packages of the app that a KindInstall installs, what a
	// KindExport writes or what a KindImport reads.
	Objects []Object `json:"objects,omitempty"`
	// Include and Exclude are the paths that a KindExport reads, and those below them that it leaves out: see ValidDataPath.
	Include []string `json:"include,omitempty"`
	Exclude []string `json:"exclude,omitempty"`
	// Share is the rest of what a job about a shared storage does.
	Share *ShareTask `json:"share,omitempty"`
}

const (
	// MaxOutput bounds what is kept of what a task's program said, in bytes.
	MaxOutput = 4096
	// MaxTasks is how many unfinished tasks a phone may have.
	MaxTasks = 100
)

// TaskEnd is how a task ended: Failure is nil when it succeeded.
type TaskEnd struct {
	Output  string
	Failure *Failure
}

// DecideTask decides, in the order of the elements, in which phones a task is done: in those that run. targets is as in DecideReset. A phone
// may have several tasks, and they go on beside an update of its properties.
func DecideTask(items []ResetItem, targets map[ID]ResetTarget) ([]Accepted, []Outcome) {
	var accepted []Accepted
	outcomes := make([]Outcome, len(items))
	seen := make(map[ID]bool, len(items))
	for i, item := range items {
		outcomes[i].PhoneID = item.PhoneID
		target, known := targets[ID(item.PhoneID)]
		if err := refuseTask(item, target, known, seen[ID(item.PhoneID)]); err != nil {
			outcomes[i].Err = err
		} else {
			p := target.Phone
			accepted = append(accepted, Accepted{Index: i, Phone: p, Target: p.Generation, Image: p.Image, Properties: p.Properties})
		}
		if known {
			seen[ID(item.PhoneID)] = true
		}
	}
	return accepted, outcomes
}

// OneObjectEach refuses, of the elements of an export that DecideTask has accepted, those whose object an earlier one is exported to. tasks are those
// of all elements.
func OneObjectEach(accepted []Accepted, outcomes []Outcome, tasks []Task) []Accepted {
	written := make(map[Object]bool, len(accepted))
	return slices.DeleteFunc(accepted, func(a Accepted) bool {
		o := tasks[a.Index].Objects[0]
		if written[o] {
			outcomes[a.Index].Err = &Error{Code: Conflict, Reason: ReasonObjectInvalid, Field: "object_path", Msg: "another element of the call is exported to " + o.String()}
			return true
		}
		written[o] = true
		return false
	})
}

func refuseTask(item ResetItem, target ResetTarget, known, seen bool) *Error {
	switch {
	case !known:
		return Errorf(NotFound, ReasonPhoneNotFound, "the project has no such phone")
	case target.Tasks >= MaxTasks:
		return Errorf(Precondition, ReasonPhoneBusy, "the phone has %d unfinished tasks: wait until one has ended", target.Tasks)
	}
	target.Busy = false // an update: neither is in the other's way
	return refuse(item, target, known, seen, func(s Status) *Error {
		if s != StatusRunning {
			return Errorf(Precondition, ReasonPhoneNotRunning, "the phone is %s: it must be running", s)
		}
		return nil
	})
}

// EndedByAnother is why a task failed that was unfinished when a job of another kind was accepted for its phone, or when the phone died.
// begun says whether the task had been set going.
func EndedByAnother(kind Kind, begun bool) Failure {
	what := map[Kind]string{
		KindReset: "A reset", KindStop: "A stop", KindRestart: "A restart", KindDelete: "A deletion", KindStart: "The phone died by itself, which",
	}[kind]
	if what == "" {
		what = "Another job"
	}
	if kind != KindStart {
		what += " of the phone was accepted, which"
	}
	failure := Failure{Reason: ReasonTaskEnded, Msg: what + " ended this.", Detail: "It had not begun. Call again when the phone runs."}
	switch {
	case kind == KindDelete:
		failure.Detail = "There is no phone any more in which it could be done."
	case begun:
		failure.Detail = "It may have been done, in part or as a whole. Look into the phone, where its data is kept, and call again when it runs."
	}
	return failure
}
