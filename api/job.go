package api

import "time"

// Job is one phone's share of an accepted request.
type Job struct {
	JobID     string `json:"job_id"`
	RequestID string `json:"request_id"`
	ProjectID string `json:"project_id"`
	PhoneID   string `json:"phone_id"`
	ServerID  string `json:"server_id"`
	// create, reset, stop, restart, update (of properties), delete, start (lethe starts a phone again that died by itself), or a task: shell,
	// uninstall, push, install, export or import (of data).
	Kind string `json:"kind"`
	// 1 running, 2 success, -1 failed.
	Status int `json:"status"`
	// held (by the pace of its request), queued, preparing, stopping (of a stop only), deleting (of a deletion only), working (of a task only, also while it waits for its turn), removing, creating, booting, verifying, or restoring, when a job with rollback has failed and the old life comes
	// back; then succeeded, failed or cancelled.
	Phase string `json:"phase"`
	// The destruction of the older generations, beside the phases: none (there are none), pending, done or failed.
	Erase string `json:"erase"`
	// The generation that this job makes, stops, or starts again; of a deletion the highest that it destroys.
	Generation int64 `json:"generation"`
	// What the phone was when the job was accepted.
	PriorGeneration int64  `json:"prior_generation"`
	PriorStatus     int    `json:"prior_status"`
	PriorImageID    string `json:"prior_image_id,omitempty"`
	ImageID         string `json:"image_id"`
	// The keys of all properties of the new life; values are never shown here.
	PropertyKeys []string `json:"property_keys"`
	// The property history was cleared first.
	FactoryReset bool `json:"factory_reset_enabled"`
	// The old life is kept until the new one is verified, and comes back when that fails.
	Rollback bool `json:"rollback"`
	// It failed, and the phone has its old life, with its data.
	RolledBack bool `json:"rolled_back"`
	// How many times it was handed to a worker.
	Attempt    int       `json:"attempt"`
	CreateTime time.Time `json:"create_time"`
	BeginTime  time.Time `json:"begin_time,omitzero"`
	EndTime    time.Time `json:"end_time,omitzero"`
	// The phases that were reached, in order.
	Phases []PhaseTime `json:"phases,omitempty"`
	// What the program of a task said, at most 4,096 bytes.
	Output string `json:"output,omitempty"`
	// Why it failed, or why it restores.
	Failure *Failure `json:"failure,omitempty"`
	// The proof of a finished reset or creation.
	Receipt *Receipt `json:"receipt,omitempty"`
}

// PhaseTime is when a job reached one phase.
type PhaseTime struct {
	Phase     string    `json:"phase"`
	BeginTime time.Time `json:"begin_time"`
}

// Failure says why a job failed.
type Failure struct {
	// A stable sub-code, such as boot_timeout, host_gone, image_not_found, no_space or erase_failed.
	Reason string `json:"reason"`
	// The cause in one sentence.
	Msg string `json:"error_msg"`
	// The particulars and the cure.
	Detail string `json:"execute_msg"`
}

// Receipt proves what a finished job did: what was destroyed and looked for, what runs now and what was read back. It holds
// no property values.
type Receipt struct {
	PhoneID        string `json:"phone_id"`
	JobID          string `json:"job_id"`
	FromGeneration int64  `json:"from_generation"`
	ToGeneration   int64  `json:"to_generation"`
	ImageID        string `json:"image_id"`
	// What the host resolved the image to.
	ImageIdentity ImageIdentity `json:"image_identity"`
	// The host's name of the new instance, and its fresh volume.
	Instance string         `json:"instance"`
	Volume   string         `json:"volume"`
	Erased   []ErasedVolume `json:"erased"`
	// When the host was last searched for older volumes and had none.
	LookedForAt time.Time         `json:"looked_for_at,omitzero"`
	Properties  []PropertyReading `json:"properties"`
}

// ImageIdentity is what a host resolved an image to.
type ImageIdentity struct {
	// The host's content address.
	ID string `json:"id"`
	// The repository digest, when there is one.
	Digest string `json:"digest,omitempty"`
}

// ErasedVolume is one older generation's volume.
type ErasedVolume struct {
	Name       string `json:"name"`
	Generation int64  `json:"generation"`
	// Files and bytes that this erasure removed.
	Files int64 `json:"files"`
	Bytes int64 `json:"bytes"`
	// Looked for and not found.
	Gone bool `json:"gone"`
}

// PropertyReading is how far one property reached.
type PropertyReading struct {
	Key string `json:"key"`
	// verified (read back with the value that was asked), recorded (kept by lethe: this runtime has no such property), pending (set when the phone runs next) or mismatch.
	Effect string `json:"effect"`
}

// Jobs is a list of jobs, without a count: an installation keeps every job it ever had.
type Jobs struct {
	Jobs []Job `json:"jobs"`
	// What to give as after to get the next page; absent at the end, and where offset was given.
	Next string `json:"next,omitempty"`
}

// Progress is how far an accepted request is.
type Progress struct {
	RequestID string `json:"request_id"`
	ProjectID string `json:"project_id"`
	// As that of its jobs.
	Kind       string    `json:"kind"`
	CreateTime time.Time `json:"create_time"`
	// Its jobs.
	Total int `json:"total"`
	// Elements of the call that got an error instead of a job.
	Refused int `json:"refused"`
	// How many jobs stand in each phase, in the order of the phases; phases without a job are left out.
	Phases []PhaseCount `json:"phases"`
	// Jobs whose older generations were destroyed and looked for.
	Erased int `json:"erased"`
	// The servers of a call about servers, each with its own job.
	Servers []ServerJob `json:"servers,omitempty"`
	// No job is unfinished, those of servers included.
	Finished bool `json:"finished"`
	// How fast its jobs are let go, if that was asked for.
	Pace *Pace `json:"pace,omitempty"`
	// Too many phones failed: what had touched no phone was cancelled.
	Stopped *Stopped `json:"stopped,omitempty"`
}

// ServerJob is one server's share of a call about servers. What is done to its phones are the jobs of the same request on that server.
type ServerJob struct {
	// Where a call has one job for several servers, each has it.
	JobID    string `json:"job_id"`
	ServerID string `json:"server_id"`
	// How many of its phones got a job.
	Phones int `json:"phones"`
	// 1 running, 2 success, -1 failed.
	Status  int       `json:"status"`
	EndTime time.Time `json:"end_time,omitzero"`
	// Of a deleted server: when its host was asked for all that it has of it, and had nothing.
	LookedForAt time.Time `json:"looked_for_at,omitzero"`
	// Of a deleted server that had a shared storage: what was destroyed.
	Share *ErasedShare `json:"share,omitempty"`
	// Of work on the server's shared storage that was done: what was.
	Output string `json:"output,omitempty"`
	// What was listed of the shared storage.
	Listing *SharedFiles `json:"listing,omitempty"`
	Failure *Failure     `json:"failure,omitempty"`
}

// ErasedShare is the shared storage of a server, destroyed and then not found on its host.
type ErasedShare struct {
	Name  string `json:"name"`
	Files int64  `json:"files"`
	Bytes int64  `json:"bytes"`
	// An attempt to destroy it ended early, and what that destroyed is not counted.
	Partial bool `json:"partial,omitempty"`
}

// SharedFiles is one page of what a folder of a shared storage has.
type SharedFiles struct {
	Path string `json:"path"`
	// How many files and folders there are in all.
	Total int `json:"total"`
	// How many were passed over, in the order of their names.
	Offset int          `json:"offset"`
	Files  []SharedFile `json:"files"`
}

// SharedFile is a file or folder of a shared storage.
type SharedFile struct {
	Name string `json:"name"`
	// file, folder or link.
	Type string `json:"type"`
	// Bytes, of a file.
	Size       int64     `json:"size"`
	ModifyTime time.Time `json:"modify_time"`
}

// AcceptedServer is a new request about one server.
type AcceptedServer struct {
	RequestID string `json:"request_id"`
	JobID     string `json:"job_id"`
}

// AbandonedServer is a server that was forgotten while its host did not answer. Nothing on that host was destroyed.
type AbandonedServer struct {
	ServerID string `json:"server_id"`
	// How many phones were forgotten with it.
	Phones int `json:"phones"`
}

// DeletePhones names phones that are to be destroyed for good.
type DeletePhones struct {
	PhoneIDs []string `json:"phone_ids"`
}

// Stopped is how the pace of a request stopped it.
type Stopped struct {
	Time time.Time `json:"time"`
	// Phones that had failed, and phones that had ended, these among them.
	Failed int `json:"failed"`
	Ended  int `json:"ended"`
	// One sentence that says why.
	Msg string `json:"error_msg"`
	// The cure.
	Detail string `json:"execute_msg"`
}

// Accepted is a new request: one element for each phone that it is about.
type Accepted struct {
	RequestID string        `json:"request_id"`
	Jobs      []AcceptedJob `json:"jobs"`
}

// AcceptedJob is one phone's share of a new request: a job, or the error that refused the phone.
type AcceptedJob struct {
	PhoneID string `json:"phone_id"`
	JobID   string `json:"job_id,omitempty"`
	// One of the codes of an error.
	Code string `json:"error_code,omitempty"`
	Msg  string `json:"error_msg,omitempty"`
	// A stable sub-code.
	Reason string `json:"reason,omitempty"`
	// The property key that error_msg is about.
	Field string `json:"field,omitempty"`
}

// Cancelled is what came of cancelling a job, or the jobs of a request.
type Cancelled struct {
	// The request that was named, or the job.
	RequestID string `json:"request_id,omitempty"`
	JobID     string `json:"job_id,omitempty"`
	// Jobs that this call cancelled: their phones are what they were before.
	Cancelled int `json:"cancelled"`
	// Jobs that hold a boot slot, or had one, and tasks that have begun: they go on to their end.
	Finishing int `json:"finishing"`
	// Jobs that had ended before, in whatever way.
	Ended int `json:"ended"`
}

// PhaseCount is how many jobs stand in one phase.
type PhaseCount struct {
	Phase string `json:"phase"`
	Count int    `json:"count"`
}
