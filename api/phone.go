package api

import "time"

// Phone is one cloud phone.
type Phone struct {
	PhoneID        string `json:"phone_id"`
	PhoneName      string `json:"phone_name"`
	ServerID       string `json:"server_id"`
	ProjectID      string `json:"project_id"`
	PhoneModelName string `json:"phone_model_name"`
	ImageID        string `json:"image_id"`
	// 1 creating, 2 running, 3 resetting, 4 restarting, 6 frozen, 7 stopping, 8 stopped, -5 reset failed, -6 restart failed,
	// -7 abnormal, -8 creation failed, -9 stop failed.
	Status int `json:"status"`
	// The life that runs, counted from 1; 0 before the first.
	Generation int64 `json:"generation"`
	// The highest life ever handed to a job; it only grows.
	LastGeneration int64 `json:"last_generation"`
	// The keys of its configured properties; the CPH API's detail has the values.
	PropertyKeys []string `json:"property_keys"`
	// Its adb port on the server's host; it never changes.
	ADBPort    int       `json:"adb_port"`
	CreateTime time.Time `json:"create_time"`
	UpdateTime time.Time `json:"update_time,omitzero"`
	// Why it is abnormal (-7); absent when it is not.
	Cause string `json:"cause,omitempty"`
	// The unfinished job that is at work on it; in the answer for one phone only.
	Job *Job `json:"job,omitempty"`
}

// Phones is a list of phones.
type Phones struct {
	Phones []Phone `json:"phones"`
	// How many match in all; absent where after was given.
	Count *int `json:"count,omitempty"`
	// What to give as after to get the next page; absent at the end, and where offset was given. A page may hold fewer than limit,
	// even none, and have a next one.
	Next string `json:"next,omitempty"`
}

// Exec is one program to run inside a phone.
type Exec struct {
	// The program and its arguments; no shell comes between.
	Args []string `json:"args"`
	// What the program reads, in base64.
	Stdin []byte `json:"stdin,omitempty"`
	// The most that is kept of stdout and of stderr, in bytes; 0 is 65536, the most is 1048576.
	MaxOutput int `json:"max_output,omitempty"`
}

// ExecResult is how the program ended.
type ExecResult struct {
	ExitCode int `json:"exit_code"`
	// In base64.
	Stdout []byte `json:"stdout"`
	// In base64.
	Stderr []byte `json:"stderr"`
	// Output beyond max_output was dropped.
	Truncated bool `json:"truncated"`
}

// ResetPhones resets phones: all their data is destroyed, and they boot anew, with the same id, name and adb port.
type ResetPhones struct {
	// The image to boot from now on; absent: each phone's present one. Needs the action ims:images:get too.
	ImageID string `json:"image_id,omitempty"`
	// 1 to 1000, unless the installation was set to take others.
	Phones []ResetPhone `json:"phones"`
	// Keep each phone's old life, stopped, until the new one is verified, and bring it back when that fails. The server needs room for
	// both volumes; nothing is erased before.
	Rollback bool `json:"rollback,omitempty"`
	// How fast they are reset, and when to stop; absent: as fast as the servers' boot slots let them.
	Pace *Pace `json:"pace,omitempty"`
}

// Pace is how fast the jobs of a request are let go. Those that are not let go yet are accepted, and held.
type Pace struct {
	// The canary: so many phones, from the first on, have to end before any other is let go.
	First *int `json:"first,omitempty"`
	// So many jobs at most may be let go and unfinished at the same time, over all servers.
	AtOnce *int `json:"at_once,omitempty"`
	// When more than so many percent of the phones that have ended failed, 0 to 100, the jobs that have touched no phone are cancelled;
	// 0: with the first phone that fails. Until the canary has ended, the percentage is of the whole canary.
	StopPercent *int `json:"stop_percent,omitempty"`
}

// ResetPhone is one phone of a batch reset.
type ResetPhone struct {
	PhoneID string `json:"phone_id"`
	// The properties to set, a JSON object as text, as in the CPH API; the phone keeps the others.
	Property string `json:"property,omitempty"`
	// Forget the properties that were set before.
	FactoryReset bool `json:"factory_reset_enabled,omitempty"`
}

// RestartPhones starts phones again, after a stop where they run. They keep their data.
type RestartPhones struct {
	// The image to boot from now on, of the Android that the phones have; absent: each phone's present one. Needs the action
	// ims:images:get too.
	ImageID string `json:"image_id,omitempty"`
	// 1 to 1000, unless the installation was set to take others.
	Phones []RestartPhone `json:"phones"`
}

// RestartPhone is one phone of a batch restart.
type RestartPhone struct {
	PhoneID string `json:"phone_id"`
	// The properties to set, a JSON object as text, as in the CPH API; the phone keeps the others.
	Property string `json:"property,omitempty"`
}

// RenamePhone gives a phone another name; the phone itself is told with its next life.
type RenamePhone struct {
	// 1 to 60 letters, digits, Chinese characters, - or _; unique in the project.
	PhoneName string `json:"phone_name"`
}
