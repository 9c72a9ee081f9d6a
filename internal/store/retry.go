package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"github.com/lethe-cloud/lethe/internal/fleet"
	"github.com/lethe-cloud/lethe/internal/phone"
)

// Retry accepts anew, in one transaction, what a request asked for of the phones whose latest job is a failed or cancelled one of it:
// with those jobs' images and properties, and at that request's pace. A creation is retried by a reset. It is NotFound with ReasonRequestNotFound when the project has no such request, and
// Precondition with ReasonNothingToRetry when there is no such phone. With a key it is as AcceptResetOnce.
func (s *Store) Retry(ctx context.Context, in fleet.RetryJobs) (phone.RequestID, []phone.Outcome, error) {
	return s.accept(ctx, in.Request, in.Key, func(t *tx) ([]phone.Outcome, error) { return t.retry(ctx, in) })
}

// retryable is the condition that a job j of a request may be done once more: nobody has asked for anything else since. A start is
// never retried, for nobody asked for it; nor is an update or a task, for what it was to do may be wrong by now. A task is no reason not to
// retry what failed before it.
const retryable = `j.request_id = ? AND j.kind NOT IN ('start', 'update', ` + tasks + `) AND j.phase IN ('failed', 'cancelled')
	AND NOT EXISTS (SELECT 1 FROM jobs l WHERE l.phone_id = j.phone_id AND l.seq > j.seq AND l.kind NOT IN ('start', ` + tasks + `))`

func (t *tx) retry(ctx context.Context, in fleet.RetryJobs) ([]phone.Outcome, error) {
	failed, err := scanRequest(t.row(ctx, `SELECT `+requestColumns+` FROM requests WHERE id = ? AND project_id = ?`, in.Of, in.Request.Project))
	if errors.Is(err, sql.ErrNoRows) {
		return nil, phone.Errorf(phone.NotFound, phone.ReasonRequestNotFound, "there is none with this id")
	}
	if err != nil {
		return nil, fmt.Errorf("read the request: %w", err)
	}
	in.Request.Pace = failed.Pace
	phones, err := all(ctx, t, one[string], `SELECT j.phone_id FROM jobs j WHERE `+retryable, in.Of)
	if err != nil {
		return nil, fmt.Errorf("find what failed: %w", err)
	}
	items := make([]phone.ResetItem, len(phones))
	for i, id := range phones {
		items[i].PhoneID = id
	}
	targets, err := t.resetTargets(ctx, in.Request.Project, items)
	if err != nil {
		return nil, err
	}
	jobs, err := t.retryJobs(ctx, in.Of, targets)
	if err != nil {
		return nil, err
	}
	if len(jobs) == 0 {
		return nil, phone.Errorf(phone.Precondition, phone.ReasonNothingToRetry,
			"there is nothing to retry: no phone's latest job is one that failed or was cancelled in this request")
	}
	images, err := t.existing(ctx, in.Request.Project, jobs)
	if err != nil {
		return nil, err
	}
	accepted, outcomes := phone.DecideRetry(failed.Kind, jobs, targets, images, in.Check)
	return t.saveAccepted(ctx, in.Request, accepted, outcomes)
}

// retryJobs looks again, now that the phones' servers are locked: one may have got another job meanwhile. What failed since is left out.
func (t *tx) retryJobs(ctx context.Context, request phone.RequestID, locked map[phone.ID]phone.ResetTarget) ([]phone.Job, error) {
	var jobs []phone.Job
	err := t.each(ctx, func(row scanner) error {
		j, err := scanJob(row)
		if _, ok := locked[j.Phone]; ok {
			jobs = append(jobs, j)
		}
		return err
	}, `SELECT `+columns("j", jobColumns)+` FROM jobs j WHERE `+retryable+` ORDER BY j.seq`, request)
	if err != nil {
		return nil, fmt.Errorf("read what failed: %w", err)
	}
	return jobs, nil
}

// existing tells which of the jobs' images there are for the project, and keeps them from being deleted. It is the one place where images are locked
// after phones: a deletion locks no phone, so that neither waits for the other.
func (t *tx) existing(ctx context.Context, project phone.ProjectID, jobs []phone.Job) (map[phone.ImageID]bool, error) {
	var ids []phone.ImageID
	for _, j := range jobs {
		ids = append(ids, j.Image)
	}
	found, err := all(ctx, t, one[phone.ImageID], `SELECT id FROM images WHERE `+t.in("id")+` AND `+usable+` ORDER BY id`+t.lockExistence, list(t.dialect, ids), project, project)
	if err != nil {
		return nil, fmt.Errorf("look for the images: %w", err)
	}
	images := make(map[phone.ImageID]bool, len(found))
	for _, id := range found {
		images[id] = true
	}
	return images, nil
}
