package api

import "time"

// Reconcile asks for one pass over a server's host now.
type Reconcile struct {
	// Whether to act: count the orphans that are there, and remove those that are due. Without it nothing is changed.
	Apply bool `json:"apply,omitempty"`
}

// Drift is how a server's host differs from the database.
type Drift struct {
	ServerID string `json:"server_id"`
	// When the host was listed.
	LookTime time.Time `json:"look_time"`
	// Whether nothing was to be changed.
	DryRun bool `json:"dry_run"`
	// Why nothing is being removed on this server now; absent when nothing stands in the way.
	Held string `json:"held,omitempty"`
	// Instances and volumes of this installation on the host.
	ObjectCount int `json:"object_count"`
	// The server's phones.
	PhoneCount int `json:"phone_count"`
	// Those of them that were not compared, because a job is at work on them.
	BusyCount int            `json:"busy_count"`
	Findings  []DriftFinding `json:"findings"`
}

// DriftFinding is one difference.
type DriftFinding struct {
	// orphan: on the host, of a life that is over. quarantined: on the host, of a life or a phone that the database does not know;
	// never touched. missing: a running phone lacks it. dead: a running phone's instance does not run. running: a stopped phone's
	// instance runs.
	Kind string `json:"kind"`
	// instance or volume.
	Object string `json:"object"`
	// The host's name of it; absent when it is missing.
	Name    string `json:"name,omitempty"`
	PhoneID string `json:"phone_id"`
	// Absent when the database does not know the phone.
	PhoneName  string `json:"phone_name,omitempty"`
	Generation int64  `json:"generation"`
	// Why it counts as this, and what becomes of it.
	Detail string `json:"detail"`
	// Since when an orphan has been seen; absent before the first pass that saw it.
	FirstSeenTime time.Time `json:"first_seen_time,omitzero"`
	// In how many passes an orphan has been seen.
	SeenCount int `json:"seen_count,omitempty"`
	// What was done about it: removed, or in a dry run would be removed; absent when nothing.
	Done string `json:"done,omitempty"`
}
