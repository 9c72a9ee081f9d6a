package phone

// Status is a phone's state on the wire; the numbers are the CPH API's.
type Status int

// The states of a phone [CPH API: phone status].
const (
	StatusCreating      Status = 1
	StatusRunning       Status = 2
	StatusResetting     Status = 3
	StatusRestarting    Status = 4
	StatusFrozen        Status = 6
	StatusStopping      Status = 7
	StatusStopped       Status = 8
	StatusResetFailed   Status = -5
	StatusRestartFailed Status = -6
	StatusAbnormal      Status = -7
	StatusCreateFailed  Status = -8
	StatusStopFailed    Status = -9
)

// Statuses lists every state, for tests and filters.
func Statuses() []Status {
	return []Status{
		StatusCreating, StatusRunning, StatusResetting, StatusRestarting, StatusFrozen, StatusStopping, StatusStopped,
		StatusResetFailed, StatusRestartFailed, StatusAbnormal, StatusCreateFailed, StatusStopFailed,
	}
}

// Valid reports whether s is one of the twelve states.
func (s Status) Valid() bool { return s.String() != "unknown" }

// Transitional reports whether a lifecycle job is at work: exactly one unfinished job belongs to a phone in such a state.
func (s Status) Transitional() bool {
	return s == StatusCreating || s == StatusResetting || s == StatusRestarting || s == StatusStopping
}

// Resettable reports whether a reset of a phone in this state is accepted. Reset is the cure for a crashed phone, so every
// failed or abnormal state is.
func (s Status) Resettable() bool { return s.Valid() && !s.Transitional() && s != StatusFrozen }

// Deletable reports whether a deletion of a phone in this state is accepted: whenever nothing is at work on it.
func (s Status) Deletable() bool { return s.Resettable() }

// Stoppable reports whether a stop of a phone in this state is accepted: it runs, or something of its life may run.
func (s Status) Stoppable() bool {
	return s == StatusRunning || s == StatusStopFailed || s == StatusRestartFailed || s == StatusAbnormal
}

// Restartable reports whether a restart of a phone in this state is accepted: its life is there to be started. After a reset or a
// creation that failed it is not.
func (s Status) Restartable() bool { return s == StatusStopped || s.Stoppable() }

// String gives the word that tables and logs show.
func (s Status) String() string {
	switch s {
	case StatusCreating:
		return "creating"
	case StatusRunning:
		return "running"
	case StatusResetting:
		return "resetting"
	case StatusRestarting:
		return "restarting"
	case StatusFrozen:
		return "frozen"
	case StatusStopping:
		return "stopping"
	case StatusStopped:
		return "stopped"
	case StatusResetFailed:
		return "reset failed"
	case StatusRestartFailed:
		return "restart failed"
	case StatusAbnormal:
		return "abnormal"
	case StatusCreateFailed:
		return "creation failed"
	case StatusStopFailed:
		return "stop failed"
	}
	return "unknown"
}

// ServerStatus is a server's state on the wire; the numbers are the CPH API's.
type ServerStatus int

// The states of a server that lethe uses [CPH API: server status].
const (
	ServerCreating ServerStatus = 1
	ServerAbnormal ServerStatus = 2
	ServerNormal   ServerStatus = 5
	ServerStopping ServerStatus = 11
	ServerStarting ServerStatus = 13
)

// String gives the word that tables and logs show.
func (s ServerStatus) String() string {
	switch s {
	case ServerAbnormal:
		return "abnormal"
	case ServerNormal:
		return "normal"
	case ServerCreating:
		return "creating"
	case ServerStopping:
		return "stopping"
	case ServerStarting:
		return "starting"
	}
	return "unknown"
}
