package store

import (
	"context"
	"fmt"
	"time"

	"github.com/lethe-cloud/lethe/internal/phone"
)

// removable is the condition that a job s is the deletion of a server whose phones are all gone, and that nobody looks at its host. What is at
// work on the server's shared storage ends first: it could write what was looked for. Its arguments are freeArgs with the servers held.
func (d dialect) removable() string {
	return `s.ended_at IS NULL AND s.attempt IS NULL AND s.emptied_at IS NOT NULL
		AND NOT EXISTS (SELECT 1 FROM server_jobs w WHERE w.server_id = s.server_id AND w.ended_at IS NULL AND w.attempt IS NOT NULL) AND ` + d.free("s.server_id")
}

// ClaimEmptied makes the replica the one that looks at the hosts of up to most servers that are to be deleted and have no phones any more, besides
// those that it has already (held).
func (s *Store) ClaimEmptied(ctx context.Context, replica phone.ReplicaID, held []phone.ServerID, most int) ([]phone.Emptied, error) {
	incarnation := s.incarnation(replica)
	if most < 1 || incarnation == 0 {
		return nil, nil
	}
	ids, err := readAll(ctx, s, one[phone.ServerID], `SELECT s.server_id FROM server_jobs s WHERE `+s.removable()+` ORDER BY coalesce(s.due_at, s.emptied_at), s.seq LIMIT ?`,
		append(freeArgs(s.dialect, micros(s.now()), replica, incarnation, held), most)...)
	if err != nil || len(ids) == 0 {
		return nil, err
	}
	var emptied []phone.Emptied
	err = s.tx(ctx, func(t *tx) error {
		emptied = nil
		locked, err := all(ctx, t, one[phone.ServerID], `SELECT s.server_id FROM server_jobs s WHERE `+t.in("s.server_id")+` AND `+t.removable()+` ORDER BY s.server_id`+t.skipLocked,
			append([]any{list(t.dialect, ids)}, freeArgs(t.dialect, t.at, replica, incarnation, held)...)...)
		if err != nil || len(locked) == 0 {
			return err
		}
		n, err := t.exec(ctx, `UPDATE server_jobs SET owner = ?, incarnation = ?, looks = looks + 1 WHERE `+t.in("server_id")+` AND ended_at IS NULL AND attempt IS NULL`,
			replica, incarnation, list(t.dialect, locked))
		if err != nil {
			return fmt.Errorf("claim emptied servers: %w", err)
		}
		if err := expect(n, len(locked), "servers' jobs"); err != nil {
			return err
		}
		emptied, err = all(ctx, t, scanEmptied, `SELECT `+columns("s", serverColumns)+`, j.id, j.looks, j.emptied_at, j.away_at, j.erasing,
			(SELECT e.erasing FROM server_jobs e WHERE e.server_id = j.server_id AND e.seq < j.seq AND e.erasing IS NOT NULL ORDER BY e.seq DESC LIMIT 1)
			FROM server_jobs j JOIN servers s ON s.id = j.server_id WHERE `+t.in("j.server_id")+` AND j.ended_at IS NULL AND j.attempt IS NULL ORDER BY j.seq`, list(t.dialect, locked))
		for i := range emptied {
			emptied[i].Fence.Replica = replica
		}
		return err
	})
	return emptied, err
}

// scanEmptied reads an emptied server. What an earlier deletion of it has destroyed before it failed counts for this one.
func scanEmptied(row scanner) (phone.Emptied, error) {
	var (
		r                serverRow
		e                phone.Emptied
		at               int64
		away             *int64
		erasing, earlier *string
	)
	if err := row.Scan(append(r.into(), &e.Fence.Job, &e.Fence.Attempt, &at, &away, &erasing, &earlier)...); err != nil {
		return e, err
	}
	e.Server, e.At = r.server(), timeOf(at)
	if away != nil {
		e.Away = timeOf(*away)
	}
	switch {
	case erasing != nil:
		return e, fromJSON(*erasing, &e.Erasing)
	case earlier != nil:
		err := fromJSON(*earlier, &e.Erasing)
		if err == nil {
			e.Erasing.BegunAt = time.Time{}
		}
		return e, err
	}
	return e, nil
}

// fencedRemoval is the condition that the deletion of a server is unfinished and still the fence's; its arguments are those of removalArgs.
const fencedRemoval = `id = ? AND server_id = ? AND owner = ? AND incarnation = ? AND looks = ? AND ended_at IS NULL`

func (s *Store) removalArgs(e phone.Emptied) []any {
	return []any{e.Fence.Job, e.Server.ID, e.Fence.Replica, s.incarnation(e.Fence.Replica), e.Fence.Attempt}
}

// HoldsRemoval reports whether the deletion is unfinished and still the fence's.
func (s *Store) HoldsRemoval(ctx context.Context, e phone.Emptied) (bool, error) {
	found, err := readAll(ctx, s, one[int], `SELECT 1 FROM server_jobs WHERE `+fencedRemoval, s.removalArgs(e)...)
	return len(found) > 0, err
}

// SaveErasing keeps what is done to destroy the server's shared storage: before something is, and after. Its host has answered.
func (s *Store) SaveErasing(ctx context.Context, e phone.Emptied, erasing phone.ShareErasure) error {
	return s.fenced(ctx, "save what is destroyed of a shared storage", `UPDATE server_jobs SET erasing = ?, away_at = NULL WHERE `+fencedRemoval,
		func(*tx) []any { return append([]any{asJSON(erasing)}, s.removalArgs(e)...) })
}

// PostponeRemoval gives the server back, to be looked at again after some time; away says that its host did not answer.
func (s *Store) PostponeRemoval(ctx context.Context, e phone.Emptied, wait time.Duration, away bool) error {
	return s.fenced(ctx, "give an emptied server back", `UPDATE server_jobs SET owner = NULL, incarnation = NULL, due_at = ?, away_at = CASE WHEN ? THEN coalesce(away_at, ?) END WHERE `+fencedRemoval,
		func(t *tx) []any { return append([]any{t.dueAt(wait), away, t.at}, s.removalArgs(e)...) })
}

// PostponeShare gives a job about a shared storage back, to be begun again after some time, because its host does not answer.
func (s *Store) PostponeShare(ctx context.Context, f phone.Fence, wait time.Duration) error {
	return s.fenced(ctx, "give a job about a shared storage back", `UPDATE server_jobs AS j SET owner = NULL, incarnation = NULL, due_at = ?, away_at = coalesce(away_at, ?) WHERE `+fencedShare,
		func(t *tx) []any { return append([]any{t.dueAt(wait), t.at}, s.fenceArgs(f)...) })
}

// fenced makes one write to one row, which is ReasonFenced where the row is not the fence's any more.
func (s *Store) fenced(ctx context.Context, doing, statement string, args func(*tx) []any) error {
	return s.tx(ctx, func(t *tx) error {
		n, err := t.exec(ctx, statement, args(t)...)
		if err != nil {
			return fmt.Errorf("%s: %w", doing, err)
		}
		if n == 0 {
			return errLostJob()
		}
		return nil
	})
}

func errLostJob() error {
	return phone.Errorf(phone.Conflict, phone.ReasonFenced, "the job is not this attempt's any more")
}

// RemoveServer ends the deletion of an emptied server: with a failure the server stays, without one it goes, and the receipt is kept.
func (s *Store) RemoveServer(ctx context.Context, e phone.Emptied, failure *phone.Failure, receipt *phone.ServerReceipt) error {
	return s.tx(ctx, func(t *tx) error {
		if _, err := t.exec(ctx, `SELECT id FROM servers WHERE id = ?`+t.lockRemoval, e.Server.ID); err != nil {
			return fmt.Errorf("lock the server: %w", err)
		}
		jobs, err := all(ctx, t, scanServerJob, `SELECT `+serverJobColumns+` FROM server_jobs WHERE `+fencedRemoval+t.lock, s.removalArgs(e)...)
		if err != nil {
			return fmt.Errorf("lock the server's job: %w", err)
		}
		if len(jobs) == 0 {
			return errLostJob()
		}
		if receipt != nil {
			receipt.Phones = jobs[0].Phones
		}
		if err := t.endServerJob(ctx, jobs[0], failure, receipt); err != nil || failure != nil {
			return err
		}
		return t.deleteServer(ctx, e.Server.ID)
	})
}
