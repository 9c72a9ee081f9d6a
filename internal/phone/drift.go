package phone

import "time"

// Standing is what the database makes of one life of a phone that a host has something of.
type Standing string

// The standings of a life.
const (
	// StandingExpected is the present life, or one that is kept: what a failed job left, for the operator to look at.
	StandingExpected Standing = "expected"
	// StandingOrphan is an earlier life, or one that a job began and that is neither present nor in progress.
	StandingOrphan Standing = "orphan"
	// StandingQuarantined is a life that the database never handed out, so the database is older than the host (a restored
	// backup?). Only a person can say which of the two is right.
	StandingQuarantined Standing = "quarantined"
	// StandingUnsettled is a life of a phone that a job is at work on: what is on the host changes at this moment.
	StandingUnsettled Standing = "unsettled"
)

// Hosted is what the database knows of a phone that should be on a host.
type Hosted struct {
	Phone          ID
	Name           string
	Status         Status
	Generation     Generation
	LastGeneration Generation
	Busy           bool // it has an unfinished job
	Deleted        bool // it is no more: a late call may have left something of one of its lives
	UpdatedAt      time.Time
}

// Hosting is what the database knows of a server at one moment.
type Hosting struct {
	Phones    []Hosted
	Preparing bool // a job brings an image to the host
}

// Stand says how a life of the phone stands.
func (h Hosted) Stand(g Generation) Standing {
	switch {
	case g > h.LastGeneration:
		return StandingQuarantined
	case h.Deleted:
		return StandingOrphan
	case h.Busy || h.Status.Transitional():
		return StandingUnsettled
	case g == h.Generation, g == h.LastGeneration && h.failed():
		return StandingExpected
	}
	return StandingOrphan
}

// failed reports whether the phone's last job failed; what it left is the operator's to look at, until the next reset.
func (h Hosted) failed() bool {
	switch h.Status {
	case StatusResetFailed, StatusCreateFailed, StatusRestartFailed, StatusStopFailed, StatusAbnormal:
		return true
	}
	return false
}

// DriftKind is in what way a host and the database differ.
type DriftKind string

// The kinds of drift.
const (
	DriftOrphan      DriftKind = "orphan"      // on the host: a life that is over
	DriftQuarantined DriftKind = "quarantined" // on the host: a life or a phone that the database does not know; never touched
	DriftMissing     DriftKind = "missing"     // not on the host: the instance or the volume of a running phone
	DriftDead        DriftKind = "dead"        // on the host, but ended: the instance of a running phone
	DriftRunning     DriftKind = "running"     // on the host: the instance of a stopped phone, and it runs
)

// DriftObject is what a difference is about.
type DriftObject string

// The kinds of objects on a host.
const (
	DriftInstance DriftObject = "instance"
	DriftVolume   DriftObject = "volume"
)

// Finding is one difference.
type Finding struct {
	Kind       DriftKind
	Object     DriftObject
	Name       string // on the host; "" of what is missing
	Phone      ID
	PhoneName  string // "" of a phone that the database does not know
	Generation Generation
	Detail     string // why it counts as this, and what becomes of it; safe to show
	// FirstSeen and Seen are since when and in how many passes an orphan has been seen; both are zero in a look that is no pass.
	FirstSeen time.Time
	Seen      int
	// Done is what this pass did about it; "" is nothing.
	Done string
}

// Drift is how a server's host differs from the database.
type Drift struct {
	Server   ServerID
	LookedAt time.Time
	DryRun   bool
	// Held says why nothing was done although it was asked for; "" when nothing stood in the way.
	Held     string
	Objects  int // on the host
	Phones   int // in the database
	Busy     int // phones that were not compared: a job is at work on them, or was while the host was looked at
	Findings []Finding
}

// Sighting remembers an orphan from one pass to the next.
type Sighting struct {
	Object     DriftObject
	Phone      ID
	Generation Generation
	FirstSeen  time.Time
	Seen       int
}

// Death is a running phone's instance that was found ended or gone.
type Death struct {
	Phone      ID
	Generation Generation
	UpdatedAt  time.Time // of the phone when it was found
	Cause      string    // safe to show
	// Start asks for a job that starts it again; without it the phone stays abnormal.
	Start bool
}

// Died is a phone that was made abnormal, and the job that starts it again, "" when there is none.
type Died struct {
	Phone ID
	Job   JobID
	Cause string
}
