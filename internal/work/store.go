package work

import (
	"context"
	"time"

	"github.com/lethe-cloud/lethe/internal/driver"
	"github.com/lethe-cloud/lethe/internal/phone"
)

// Store is what the engine needs of the database. Every method is one whole transaction. A write whose fence is not the
// row's changes nothing and fails with ReasonFenced.
type Store interface {
	// Claim makes replica the owner of the job, if the delivery is the job's present attempt, nobody owns it and it is not
	// finished; else it fails with ReasonFenced. Claiming again what one owns at that attempt succeeds.
	Claim(ctx context.Context, delivery phone.Delivery, replica phone.ReplicaID) (phone.Assignment, error)

	// Prepared ends preparing: it records what the server's host resolved the image to, gives the job up (it and every job that
	// waited for that image on that server can now be admitted) and admits what has a slot.
	Prepared(ctx context.Context, fence phone.Fence, identity phone.ImageIdentity) error

	// Advance saves that the phase before `to` has ended and `to` begins. Leaving booting frees the boot slot and admits the
	// next job in the same transaction. Advancing to the phase the job is in already succeeds and changes nothing.
	Advance(ctx context.Context, fence phone.Fence, to phone.Phase) error

	// Erased saves that all older generations of the phone were destroyed and looked for. It may come in any phase from creating on.
	Erased(ctx context.Context, fence phone.Fence, volumes []phone.ErasedVolume, lookedFor time.Time) error

	// Finish ends the job in success: the phone is running (2) with the job's image, properties and generation, and the receipt
	// is kept. The database refuses it while erasing is not done.
	Finish(ctx context.Context, fence phone.Fence, receipt phone.Receipt) error

	// Fail ends the job as failed: the phone gets the kind's failed status (-5, -8), a held slot is freed and the next admitted.
	Fail(ctx context.Context, fence phone.Fence, failure phone.Failure) error

	// EndTask ends a task, in success where its end has no failure, keeps what its program said, and sets going what has its turn after it.
	EndTask(ctx context.Context, fence phone.Fence, end phone.TaskEnd) error

	// Holds reports whether the job is unfinished and still the fence's.
	Holds(ctx context.Context, fence phone.Fence) (bool, error)

	// Restore saves that a job with the rollback policy has failed before its new life was verified, and why: restoring begins, in
	// the slot that the job holds. Again it succeeds and changes nothing.
	Restore(ctx context.Context, fence phone.Fence, failure phone.Failure) error

	// RolledBack ends a job that is restoring, or preparing, as failed, and gives the phone back as it was when the job was accepted; a held
	// slot is freed and the next admitted.
	RolledBack(ctx context.Context, fence phone.Fence, failure phone.Failure) error

	// Sweep admits whatever could be admitted and was not, on every server, and gives new deliveries to the jobs of replicas whose
	// lease has expired and to jobs whose delivery was never claimed for longer than unclaimed. It returns how many jobs it set going.
	Sweep(ctx context.Context, unclaimed time.Duration) (int, error)

	// Pace waits until jobs of paced requests have ended through this process, and then lets go, or stops, what their pace asks for. It
	// returns how many jobs it set going. Sweep does the same where that was missed.
	Pace(ctx context.Context) (int, error)

	// PruneJobs looks at up to most finished jobs that ended before `before`, in the order of their end from a mark on, and removes
	// those that are history: never an unfinished one, a phone's latest finished one, or the one that made its present life. Requests
	// that lose their last job go too. PruneRequests does the same with requests that have no jobs. Two at once do no harm.
	PruneJobs(ctx context.Context, before time.Time, after phone.Mark, most int) (phone.Pruned, error)
	PruneRequests(ctx context.Context, before time.Time, after phone.Mark, most int) (phone.Pruned, error)

	// PruneAudit removes up to most events of the audit trail that are older than before, the oldest first, and says how many.
	PruneAudit(ctx context.Context, before time.Time, most int) (int, error)

	// ClaimEmptied makes the replica the one that looks at the hosts of up to most servers that are to be deleted, have no phones and no work on
	// their shared storages any more, and are nobody's. held are those that it has already. HoldsRemoval reports whether it still has one.
	// SaveErasing keeps what is destroyed of the shared storage. PostponeRemoval gives one back that is not to be claimed for some time; away: its
	// host did not answer. RemoveServer ends the deletion: with a failure the server stays, without one it goes, and the receipt is kept.
	ClaimEmptied(ctx context.Context, replica phone.ReplicaID, held []phone.ServerID, most int) ([]phone.Emptied, error)
	HoldsRemoval(ctx context.Context, server phone.Emptied) (bool, error)
	SaveErasing(ctx context.Context, server phone.Emptied, erasing phone.ShareErasure) error
	PostponeRemoval(ctx context.Context, server phone.Emptied, wait time.Duration, away bool) error
	RemoveServer(ctx context.Context, server phone.Emptied, failure *phone.Failure, receipt *phone.ServerReceipt) error

	// ClaimShares makes the replica the owner of up to most jobs about shared storages that nobody works on, and that are the oldest of their
	// servers. held are those that it works on already. HoldsShare reports whether a job is unfinished and still the fence's, and whether its
	// server is to be deleted, which waits for it. EndShare ends it, PostponeShare gives it back for some time because its host does not answer.
	// EndShares ends, with the failure, those that nobody works on and whose servers are to be deleted, and says how many.
	ClaimShares(ctx context.Context, replica phone.ReplicaID, held []phone.JobID, most int) ([]phone.ServerTask, error)
	HoldsShare(ctx context.Context, fence phone.Fence) (held, deleting bool, err error)
	EndShare(ctx context.Context, fence phone.Fence, end phone.ShareEnd) error
	PostponeShare(ctx context.Context, fence phone.Fence, wait time.Duration) error
	EndShares(ctx context.Context, failure phone.Failure) (int, error)

	// DueServer claims, for ttl, the normal server whose comparison with its host is due longest, and makes it due again after
	// every; false: there is none. ClaimServer claims one now; while another pass has it, it fails with Conflict. ReleaseServer ends
	// the claim.
	DueServer(ctx context.Context, pass string, every, ttl time.Duration) (phone.Server, bool, error)
	ClaimServer(ctx context.Context, pass string, server phone.ServerID, ttl time.Duration) error
	ReleaseServer(ctx context.Context, pass string, server phone.ServerID) error

	// Hosting gives, at one moment, what should be on a server's host: all of its phones, or the named ones.
	Hosting(ctx context.Context, server phone.ServerID, only ...phone.ID) (phone.Hosting, error)

	// Died makes running phones abnormal whose instances were found ended or gone, gives those that asked for it a job that starts
	// them again, unless they had too many of those lately, and says which. A phone that has changed since is left alone.
	Died(ctx context.Context, server phone.ServerID, deaths []phone.Death) ([]phone.Died, error)

	// Sightings remember from one pass to the next what orphans a server's host has; SaveSightings replaces them.
	Sightings(ctx context.Context, server phone.ServerID) ([]phone.Sighting, error)
	SaveSightings(ctx context.Context, server phone.ServerID, sightings []phone.Sighting) error

	// Register writes the replica's first heartbeat; Heartbeat renews it for ttl by the database's clock and fails with
	// ReasonFenced when the lease had already been taken over.
	Register(ctx context.Context, replica phone.ReplicaID, ttl time.Duration) error
	Heartbeat(ctx context.Context, replica phone.ReplicaID, ttl time.Duration) error

	// Recover gives new deliveries (attempt + 1, no owner) to the unfinished jobs of the replica itself, left by an earlier
	// process of the same data folder, and to those of replicas whose lease has expired. It returns how many. It is called only
	// before this process has claimed anything.
	Recover(ctx context.Context, replica phone.ReplicaID) (int, error)

	// Release gives the replica's unfinished jobs new deliveries and ends its lease: the last call of a clean shutdown.
	Release(ctx context.Context, replica phone.ReplicaID) error
}

// Queue delivers jobs to this process until ctx ends; handle runs at most workers times at once, and besides at most tasks times for tasks, so
// that no number of tasks keeps another job waiting. It returns when every handle has returned.
type Queue interface {
	Deliver(ctx context.Context, workers, tasks int, handle func(context.Context, phone.Delivery)) error
}

// Hosts gives the driver of a server.
type Hosts interface {
	Driver(ctx context.Context, server phone.Server) (driver.Driver, error)
	Rules(driverName string) driver.PropertyRules
}
