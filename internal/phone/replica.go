package phone

import "time"

// Replica is one serving process, as the database knows it. Its id outlives the process: a restart on the same data folder has
// the same one.
type Replica struct {
	ID        ReplicaID
	StartedAt time.Time // when the process that registered last did so for the first time
	// LeaseExpiresAt is by the database's clock; zero when the lease was released or taken over.
	LeaseExpiresAt time.Time
	Alive          bool // the lease holds, by the database's clock
	Jobs           int  // that it works on at this moment, of all projects
}
