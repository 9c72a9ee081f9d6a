package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"github.com/lethe-cloud/lethe/internal/audit"
	"github.com/lethe-cloud/lethe/internal/fleet"
	"github.com/lethe-cloud/lethe/internal/phone"
)

// Cancel ends those of the jobs that are held, queued or preparing, and tasks whose turn has not come, as cancelled. Their phones return to what they were, and keep
// last_generation, so that no generation is ever made twice; what waited behind them is set going in the same transaction. It
// takes their owners away, so that a worker's next write is fenced. A request or job that is not the project's is NotFound.
func (s *Store) Cancel(ctx context.Context, in fleet.CancelJobs) (phone.Cancellation, error) {
	var out phone.Cancellation
	var paced []phone.RequestID
	err := s.tx(ctx, func(t *tx) error {
		var err error
		out, paced, err = t.cancel(ctx, in)
		return err
	})
	if err == nil {
		s.paced.add(paced...)
	}
	return out, err
}

// cancellable is the condition that a job may be cancelled. The || ” keeps the database from reading a whole queue.
const cancellable = ` AND (stage || '' IN ('held', 'queued', 'preparing') OR stage || '' = 'working' AND attempt = 0)`

// cancel gives also the paced request, if it is one, whose pace has more room now.
func (t *tx) cancel(ctx context.Context, in fleet.CancelJobs) (out phone.Cancellation, paced []phone.RequestID, err error) {
	scope, id, err := t.cancelScope(ctx, in)
	if err != nil {
		return out, nil, err
	}
	jobs, err := t.cancelJobs(ctx, scope, id, in.Failure)
	if err != nil {
		return out, nil, err
	}
	out.Cancelled = len(jobs)
	err = t.row(ctx, `SELECT count(CASE WHEN stage <> 'ended' THEN 1 END), count(CASE WHEN stage = 'ended' THEN 1 END) FROM jobs WHERE `+scope, id).Scan(&out.Finishing, &out.Ended)
	if err != nil {
		return out, nil, fmt.Errorf("count jobs: %w", err)
	}
	out.Ended -= out.Cancelled
	if len(jobs) > 0 && jobs[0].paced { // all are of one request
		paced = append(paced, jobs[0].Request)
	}
	return out, paced, nil
}

// cancelJobs cancels those of the chosen jobs that have touched no phone, and admits what waited behind them.
func (t *tx) cancelJobs(ctx context.Context, scope, id string, failure phone.Failure) ([]cancelledJob, error) {
	// With the servers locked no job of theirs gets a slot, begins to prepare or is let go, and none is accepted.
	servers, err := all(ctx, t, one[phone.ServerID], `SELECT id FROM servers WHERE id IN (SELECT server_id FROM jobs WHERE `+scope+cancellable+`) ORDER BY id`+t.lock, id)
	if err != nil {
		return nil, fmt.Errorf("lock servers: %w", err)
	}
	if _, err := t.exec(ctx, `SELECT id FROM phones WHERE id IN (SELECT phone_id FROM jobs WHERE `+scope+cancellable+`) ORDER BY id`+t.lock, id); err != nil {
		return nil, fmt.Errorf("lock phones: %w", err)
	}
	jobs, err := t.lockCancellable(ctx, scope, id)
	if err != nil {
		return nil, err
	}
	if err := t.saveCancelled(ctx, jobs, failure); err != nil {
		return nil, err
	}
	return jobs, t.admit(ctx, servers)
}

// cancelledJob is what cancelling needs of a job.
type cancelledJob struct {
	phone.Job
	paced bool
}

// cancelScope gives the condition that chooses the jobs and its argument, if there is such a request or job.
func (t *tx) cancelScope(ctx context.Context, in fleet.CancelJobs) (scope, id string, err error) {
	if in.Job != "" {
		return `id = ?`, string(in.Job), t.mustHave(ctx, `jobs`, phone.ReasonJobNotFound, string(in.Job), in.Project)
	}
	return `request_id = ?`, string(in.Request), t.mustHave(ctx, `requests`, phone.ReasonRequestNotFound, string(in.Request), in.Project)
}

// mustHave is NotFound with the reason unless the project has a row of that id.
func (t *tx) mustHave(ctx context.Context, table string, missing phone.Reason, id string, project phone.ProjectID) error {
	var found int
	err := t.row(ctx, `SELECT 1 FROM `+table+` WHERE id = ? AND project_id = ?`, id, project).Scan(&found)
	if errors.Is(err, sql.ErrNoRows) {
		return phone.Errorf(phone.NotFound, missing, "there is none with this id")
	}
	return err
}

func (t *tx) lockCancellable(ctx context.Context, scope, id string) ([]cancelledJob, error) {
	jobs, err := all(ctx, t, func(row scanner) (cancelledJob, error) {
		var j cancelledJob
		err := row.Scan(&j.ID, &j.Request, &j.Project, &j.Phone, &j.Kind, &j.PriorStatus, &j.paced)
		return j, err
	}, `SELECT id, request_id, project_id, phone_id, kind, prior_status, paced FROM jobs WHERE `+scope+cancellable+` ORDER BY id`+t.lock, id)
	if err != nil {
		return nil, fmt.Errorf("lock jobs: %w", err)
	}
	return jobs, nil
}

// saveCancelled ends the jobs and gives their phones back.
func (t *tx) saveCancelled(ctx context.Context, jobs []cancelledJob, failure phone.Failure) error {
	ids, counts, cancelled := make([]phone.JobID, len(jobs)), tally{}, audit.Change{Result: string(phone.PhaseCancelled)}
	var changing []phone.JobID
	for i, j := range jobs {
		cancelled.Phones = append(cancelled.Phones, string(j.Phone))
		ids[i] = j.ID
		if j.Kind.KeepsStatus() {
			continue
		}
		changing = append(changing, j.ID)
		counts.add(j.Project, j.Kind.Doing(), -1)
		counts.add(j.Project, j.WhenCancelled(), 1)
	}
	if len(ids) == 0 {
		return nil
	}
	if err := t.noteCancelled(ctx, cancelled); err != nil {
		return err
	}
	n, err := t.exec(ctx, `UPDATE jobs SET phase = 'cancelled', owner = NULL, incarnation = NULL, delivered_at = NULL, ended_at = ?, failure = ? WHERE `+t.in("id"),
		t.at, asJSON(failure), list(t.dialect, ids))
	if err != nil {
		return fmt.Errorf("end jobs: %w", err)
	}
	if err := expect(n, len(ids), "jobs"); err != nil {
		return err
	}
	err = t.savePhonesOf(ctx, changing, `status = CASE j.kind WHEN 'create' THEN CAST(? AS BIGINT) ELSE j.prior_status END`, phone.KindCreate.Failed())
	if err != nil {
		return err
	}
	return t.saveTally(ctx, counts)
}
