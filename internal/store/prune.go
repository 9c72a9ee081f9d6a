package store

import (
	"context"
	"fmt"
	"time"

	"github.com/lethe-cloud/lethe/internal/phone"
)

// PruneJobs looks at the next jobs, at most `most`, that ended before `before`, in the order of their end, and removes those
// that are history: a task, or one after which a later job of the phone has ended, and which did not make the phone's present life. So a
// phone's latest finished job, tasks apart, and the receipt of the life that runs always stay. Requests that lose their last job go with
// it. It looks without a transaction, locks only finished jobs that nobody else is removing, and changes nothing else.
func (s *Store) PruneJobs(ctx context.Context, before time.Time, after phone.Mark, most int) (phone.Pruned, error) {
	old, step, err := s.oldest(ctx, `SELECT j.ended_at, j.id, `+history+` FROM jobs j WHERE j.ended_at < ? AND (j.ended_at, j.id) > (?, ?)
		ORDER BY j.ended_at, j.id LIMIT ?`, before, after, most)
	if err != nil || len(old) == 0 {
		return step, err
	}
	err = s.tx(ctx, func(t *tx) error {
		removed, err := all(ctx, t, func(row scanner) (auditPhone, error) {
			var p auditPhone
			err := row.Scan(&p.Request, &p.Phone, &p.Result)
			return p, err
		}, `DELETE FROM jobs AS j WHERE j.id IN (SELECT l.id FROM jobs l WHERE `+t.in("l.id")+` ORDER BY l.id`+
			t.skipLocked+`) AND j.ended_at < ? AND `+history+` RETURNING request_id, phone_id, phase`, list(t.dialect, old), micros(before))
		if err != nil {
			return fmt.Errorf("remove old jobs: %w", err)
		}
		step.Jobs = len(removed)
		requests := make([]string, len(removed))
		for i, r := range removed {
			requests[i] = r.Request
		}
		if err := t.keepResults(ctx, removed); err != nil {
			return err
		}
		step.Requests, err = t.removeEmptyRequests(ctx, requests)
		return err
	})
	return step, err
}

// keepsLife are the kinds for which phone.Kind.KeepsLife is true; tasks are those for which phone.Kind.Task is.
const (
	keepsLife = `('start', 'stop', 'restart', 'update')`
	tasks     = `'shell', 'uninstall', 'push', 'install', 'export', 'import'`
)

// history is the condition that a finished job j may be forgotten. A task always may: it says nothing of what its phone is. What makes it true stays true: the phone's newest finished
// job never fulfils it, so the later job that it asks for, or one after that, is always there; and nothing is held that once was let
// go. While a request has held jobs, its ended ones are what its pace is decided by.
// Of a phone that was deleted everything is history, and nothing is while a job of its server counts it.
const history = `(j.kind IN (` + tasks + `) OR NOT EXISTS (SELECT 1 FROM jobs h WHERE h.request_id = j.request_id AND h.stage = 'held')
	AND NOT EXISTS (SELECT 1 FROM server_jobs s WHERE s.request_id = j.request_id AND s.ended_at IS NULL)
	AND (NOT EXISTS (SELECT 1 FROM phones g WHERE g.id = j.phone_id)
		OR EXISTS (SELECT 1 FROM jobs n WHERE n.phone_id = j.phone_id AND n.target >= j.target AND n.seq > j.seq AND n.ended_at IS NOT NULL AND n.kind NOT IN (` + tasks + `))
		AND (j.kind IN ` + keepsLife + ` OR NOT EXISTS (SELECT 1 FROM phones p WHERE p.id = j.phone_id AND p.generation = j.target))))`

// PruneRequests looks at the next requests, at most `most`, that were accepted before `before`, in the order of their
// acceptance, and removes those that have no jobs: whose elements were all refused, or whose last jobs two processes removed
// at the same time.
func (s *Store) PruneRequests(ctx context.Context, before time.Time, after phone.Mark, most int) (phone.Pruned, error) {
	old, step, err := s.oldest(ctx, `SELECT r.created_at, r.id, NOT EXISTS (SELECT 1 FROM jobs j WHERE j.request_id = r.id) FROM requests r
		WHERE r.created_at < ? AND (r.created_at, r.id) > (?, ?) ORDER BY r.created_at, r.id LIMIT ?`, before, after, most)
	if err != nil || len(old) == 0 {
		return step, err
	}
	err = s.tx(ctx, func(t *tx) error {
		var err error
		step.Requests, err = t.removeEmptyRequests(ctx, old)
		return err
	})
	return step, err
}

// oldest reads one step of a list, and gives the ids of those that may go and the step so far.
func (s *Store) oldest(ctx context.Context, query string, before time.Time, after phone.Mark, most int) ([]string, phone.Pruned, error) {
	var old []string
	var step phone.Pruned
	from := int64(-1)
	if !after.At.IsZero() {
		from = micros(after.At)
	}
	err := s.once(ctx, func(t *tx) error {
		seen := 0
		err := t.each(ctx, func(row scanner) error {
			var at int64
			var id string
			var goes bool
			if err := row.Scan(&at, &id, &goes); err != nil {
				return err
			}
			seen++
			step.Next = phone.Mark{At: timeOf(at), ID: id}
			if goes {
				old = append(old, id)
			}
			return nil
		}, query, micros(before), from, after.ID, most)
		step.Done = seen < most
		return err
	})
	return old, step, err
}

func (t *tx) removeEmptyRequests(ctx context.Context, requests []string) (int, error) {
	if len(requests) == 0 {
		return 0, nil
	}
	_, err := t.exec(ctx, `DELETE FROM server_jobs WHERE `+t.in("request_id")+` AND NOT EXISTS (SELECT 1 FROM jobs j WHERE j.request_id = server_jobs.request_id)
		AND NOT EXISTS (SELECT 1 FROM server_jobs u WHERE u.request_id = server_jobs.request_id AND u.ended_at IS NULL)`, list(t.dialect, requests))
	if err != nil {
		return 0, fmt.Errorf("remove old jobs of servers: %w", err)
	}
	n, err := t.exec(ctx, `DELETE FROM requests WHERE id IN (SELECT l.id FROM requests l WHERE `+t.in("l.id")+` ORDER BY l.id`+t.skipLocked+`)
		AND NOT EXISTS (SELECT 1 FROM jobs j WHERE j.request_id = requests.id) AND NOT EXISTS (SELECT 1 FROM server_jobs s WHERE s.request_id = requests.id)`, list(t.dialect, requests))
	if err != nil {
		return 0, fmt.Errorf("remove requests without jobs: %w", err)
	}
	return int(n), nil
}
