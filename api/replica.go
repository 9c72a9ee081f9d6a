package api

import "time"

// Replica is one serving process of the installation.
type Replica struct {
	// The same after a restart on the same data folder.
	ReplicaID string `json:"replica_id"`
	// When the process started to work.
	StartTime time.Time `json:"start_time"`
	// When its lease ends unless it is renewed, by the database's clock; absent when it was given back or taken over.
	LeaseExpireTime time.Time `json:"lease_expire_time,omitzero"`
	// Whether the lease holds, by the database's clock.
	Alive bool `json:"alive"`
	// How many jobs it works on now, of all projects.
	Jobs int `json:"jobs"`
}

// Replicas is a list of replicas.
type Replicas struct {
	Replicas []Replica `json:"replicas"`
	Count    int       `json:"count"`
}
