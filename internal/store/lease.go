package store

import (
	"context"
	"fmt"
	"time"

	"github.com/lethe-cloud/lethe/internal/phone"
)

// Register begins a lease of ttl, by the database's clock, for a new start of the replica. Jobs that an earlier start of the
// same replica left are not this start's, even while that one's lease would still run. A process that registers again after it lost
// its lease keeps the time at which it registered first.
func (s *Store) Register(ctx context.Context, replica phone.ReplicaID, ttl time.Duration) error {
	var incarnation int64
	err := s.leaseTx(ctx, func(t *tx) error {
		return t.row(ctx, `INSERT INTO replicas (id, incarnation, process, expires_at, registered_at) VALUES (?, 1, ?, `+t.clock+` + ?, ?)
			ON CONFLICT (id) DO UPDATE SET incarnation = replicas.incarnation + 1, process = excluded.process, expires_at = excluded.expires_at,
			registered_at = CASE WHEN replicas.process = excluded.process THEN replicas.registered_at ELSE excluded.registered_at END RETURNING incarnation`, replica, s.process, ttl.Microseconds(), t.at).Scan(&incarnation)
	})
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.registered[replica] = incarnation
	s.leaseTTL = max(s.leaseTTL, ttl)
	return nil
}

// longestLease is the longest lease that this Store registered, 0 when none.
func (s *Store) longestLease() time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.leaseTTL
}

// incarnation is the start of the replica that this Store registered, 0 when none.
func (s *Store) incarnation(replica phone.ReplicaID) int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.registered[replica]
}

// Heartbeat renews the lease for ttl by the database's clock. It fails with ReasonFenced when the lease was taken over or
// released, or belongs to a later start of the replica.
func (s *Store) Heartbeat(ctx context.Context, replica phone.ReplicaID, ttl time.Duration) error {
	return s.leaseTx(ctx, func(t *tx) error {
		n, err := t.exec(ctx, `UPDATE replicas SET expires_at = `+t.clock+` + ? WHERE id = ? AND incarnation = ? AND expires_at > 0`,
			ttl.Microseconds(), replica, s.incarnation(replica))
		if err != nil {
			return err
		}
		if n == 0 {
			return phone.Errorf(phone.Conflict, phone.ReasonFenced, "the lease of replica %s is over: register again", replica)
		}
		return nil
	})
}

// Recover gives new deliveries to unfinished jobs that nobody works on any more: those of earlier starts of the replica, those
// whose owner's lease has expired, and those whose delivery was under way to such a process. Jobs that this start of the
// replica works on are left alone.
func (s *Store) Recover(ctx context.Context, replica phone.ReplicaID) (int, error) {
	var n int
	err := s.tx(ctx, func(t *tx) error {
		if err := t.takeOver(ctx, replica); err != nil {
			return err
		}
		n = len(t.deliveries)
		return nil
	})
	return n, err
}

// abandoned is the condition that the owner of a job that has one has no lease any more. It is written for the leases that have been ended.
const abandoned = `NOT EXISTS (SELECT 1 FROM replicas r WHERE r.id = jobs.owner AND r.incarnation = jobs.incarnation AND r.expires_at > 0)`

// takeOver ends expired leases and gives new deliveries to the jobs that their replicas left, and to those that earlier starts
// of replica left, if it is not "".
func (t *tx) takeOver(ctx context.Context, replica phone.ReplicaID) error {
	if _, err := t.exec(ctx, `UPDATE replicas SET expires_at = 0 WHERE expires_at > 0 AND expires_at <= `+t.clock); err != nil {
		return fmt.Errorf("end expired leases: %w", err)
	}
	left, err := all(ctx, t, one[phone.JobID], `SELECT id FROM jobs WHERE owner IS NOT NULL AND (owner = ? AND coalesce(incarnation, 0) <> ? OR `+abandoned+`)
		ORDER BY id`+t.lock, replica, t.incarnation(replica))
	if err != nil {
		return fmt.Errorf("find jobs without a worker: %w", err)
	}
	undelivered, err := t.takeBackDeliveries(ctx)
	if err != nil {
		return err
	}
	return t.redeliver(ctx, append(left, undelivered...))
}

// takeBackDeliveries removes River's jobs that a dead process had fetched and not completed, and gives those of our jobs that
// nobody had claimed by then.
func (t *tx) takeBackDeliveries(ctx context.Context) ([]phone.JobID, error) {
	taken, err := all(ctx, t, scanDelivery, `DELETE FROM river_job WHERE state = 'running' AND kind = ?
		AND NOT EXISTS (SELECT 1 FROM replicas r WHERE r.expires_at > 0 AND r.process = `+t.fetchedBy+`)
		RETURNING args ->> 'job_id', CAST(args ->> 'attempt' AS BIGINT)`, delivery{}.Kind())
	if err != nil {
		return nil, fmt.Errorf("remove a dead process's deliveries: %w", err)
	}
	return t.unclaimed(ctx, taken)
}

// unclaimed gives those of the jobs whose delivery is their present one and waits to be claimed.
func (t *tx) unclaimed(ctx context.Context, deliveries []phone.Delivery) ([]phone.JobID, error) {
	if len(deliveries) == 0 {
		return nil, nil
	}
	rows := make([]delivery, len(deliveries))
	for i, d := range deliveries {
		rows[i] = delivery{Job: d.Job, Attempt: d.Attempt}
	}
	return all(ctx, t, one[phone.JobID], `SELECT id FROM jobs WHERE delivered_at IS NOT NULL
		AND (id, attempt) IN (SELECT v.job_id, v.attempt FROM `+t.records("job_id text", "attempt bigint")+`) ORDER BY id`+t.lock, asJSON(rows))
}

// setBack makes what was written before the database's clock was set back as if it were written now: a lease lasts no longer than
// a lease, and a delivery is overdue when it has waited for so long, whatever the clock said once.
func (t *tx) setBack(ctx context.Context, lease time.Duration) error {
	if _, err := t.exec(ctx, `UPDATE replicas SET expires_at = `+t.clock+` + ? WHERE expires_at > `+t.clock+` + ?`, lease.Microseconds(), ahead(lease)); err != nil {
		return fmt.Errorf("shorten leases: %w", err)
	}
	if _, err := t.exec(ctx, `SELECT id FROM jobs WHERE delivered_at > `+t.clock+` + ? ORDER BY id`+t.lock, ahead(lease)); err != nil {
		return fmt.Errorf("lock jobs: %w", err)
	}
	if _, err := t.exec(ctx, `UPDATE jobs SET delivered_at = `+t.clock+` WHERE delivered_at > `+t.clock+` + ?`, ahead(lease)); err != nil {
		return fmt.Errorf("date deliveries anew: %w", err)
	}
	return nil
}

// Release gives the replica's unfinished jobs new deliveries and ends its lease.
func (s *Store) Release(ctx context.Context, replica phone.ReplicaID) error {
	return s.tx(ctx, func(t *tx) error {
		if _, err := t.exec(ctx, `UPDATE replicas SET expires_at = 0 WHERE id = ? AND incarnation = ?`, replica, s.incarnation(replica)); err != nil {
			return fmt.Errorf("end the lease: %w", err)
		}
		left, err := all(ctx, t, one[phone.JobID], `SELECT id FROM jobs WHERE owner = ? AND coalesce(incarnation, 0) = ? ORDER BY id`+t.lock,
			replica, s.incarnation(replica))
		if err != nil {
			return fmt.Errorf("find the replica's jobs: %w", err)
		}
		return t.redeliver(ctx, left)
	})
}
