package store

import (
	"context"

	"github.com/lethe-cloud/lethe/internal/phone"
)

// Ping reads one row: an error means that the database does not answer, or that it is not the installation's any more.
func (s *Store) Ping(ctx context.Context) error {
	return s.once(ctx, func(t *tx) error {
		id, err := one[string](t.row(ctx, `SELECT id FROM installation`))
		if err == nil && id != s.installation {
			return phone.Errorf(phone.Unavailable, "", "the database is another installation's now: start lethe again, or correct the database URL")
		}
		return err
	})
}

// Replicas gives every replica that ever registered, the latest start first. A lease that has expired and was not taken over yet
// counts as over.
func (s *Store) Replicas(ctx context.Context) ([]phone.Replica, error) {
	return readAll(ctx, s, scanReplica, `SELECT r.id, r.registered_at, r.expires_at, r.expires_at > `+s.clock+`,
		(SELECT count(*) FROM jobs j WHERE j.owner = r.id AND j.incarnation = r.incarnation) FROM replicas r ORDER BY r.registered_at DESC, r.id`)
}

func scanReplica(row scanner) (phone.Replica, error) {
	var r phone.Replica
	var started, expires int64
	err := row.Scan(&r.ID, &started, &expires, &r.Alive, &r.Jobs)
	r.StartedAt = timeOf(started)
	if expires > 0 {
		r.LeaseExpiresAt = timeOf(expires)
	}
	return r, err
}
