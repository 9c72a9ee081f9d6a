package store

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"github.com/lethe-cloud/lethe/internal/phone"
)

// What steps change besides their jobs.

// saveHostImages records what hosts resolved images to, and forgets what they no longer have.
func (t *tx) saveHostImages(ctx context.Context, steps []*step, jobs map[phone.JobID]*stepJob) error {
	for _, st := range steps {
		if st.err != nil {
			continue
		}
		var err error
		switch j := jobs[st.fence.Job]; {
		case st.kind == stepPrepared:
			_, err = t.exec(ctx, `INSERT INTO host_images (server_id, image_id, identity_id, identity_digest, prepared_at) VALUES (?, ?, ?, ?, ?)
				ON CONFLICT (server_id, image_id) DO UPDATE SET identity_id = excluded.identity_id, identity_digest = excluded.identity_digest,
				prepared_at = excluded.prepared_at`, j.server, j.image, st.identity.ID, st.identity.Digest, t.at)
		case st.failed() && st.failure.Reason == phone.ReasonImageNotFound:
			_, err = t.exec(ctx, `DELETE FROM host_images WHERE server_id = ? AND image_id = ?`, j.server, j.image)
		}
		if err != nil {
			return fmt.Errorf("save the host's image: %w", err)
		}
	}
	return nil
}

// savePhones gives the phones of ended jobs what their jobs led to.
func (t *tx) savePhones(ctx context.Context, steps []*step, jobs map[phone.JobID]*stepJob) error {
	var finished []phone.JobID
	var failed []failedPhone
	var rolledBack, updated, given, deleted []phone.JobID
	counts := tally{}
	for _, st := range steps {
		if st.err != nil || !st.ends() {
			continue
		}
		j := jobs[st.fence.Job]
		if j.kind.Task() {
			continue
		}
		if j.kind.KeepsStatus() {
			if updated = append(updated, j.id); st.kind == stepFinish {
				given = append(given, j.id)
			}
			continue
		}
		status := j.kind.Done()
		switch st.kind {
		case stepFinish:
			if j.kind == phone.KindDelete {
				deleted = append(deleted, j.id)
				counts.add(j.project, j.kind.Doing(), -1)
				continue
			}
			finished = append(finished, j.id)
		case stepRolledBack:
			status = j.prior
			rolledBack = append(rolledBack, j.id)
		default:
			status = j.kind.Failed()
			f := failedPhone{Job: j.id, Status: status}
			if status == phone.StatusAbnormal {
				f.Cause = st.failure.Msg
			}
			failed = append(failed, f)
		}
		counts.add(j.project, j.kind.Doing(), -1)
		counts.add(j.project, status, 1)
	}
	if err := t.saveFinished(ctx, finished); err != nil {
		return err
	}
	if err := t.saveFailed(ctx, failed); err != nil {
		return err
	}
	if err := t.savePhonesOf(ctx, rolledBack, `status = j.prior_status`); err != nil {
		return err
	}
	if err := t.savePhonesOf(ctx, given, `properties = j.properties`); err != nil {
		return err
	}
	if err := t.savePhonesOf(ctx, updated, `status = status`); err != nil {
		return err
	}
	if err := t.deletePhones(ctx, deleted); err != nil {
		return err
	}
	return t.saveTally(ctx, counts)
}

func (t *tx) saveFinished(ctx context.Context, jobs []phone.JobID) error {
	return t.savePhonesOf(ctx, jobs, `status = CASE j.kind WHEN 'stop' THEN CAST(? AS BIGINT) ELSE CAST(? AS BIGINT) END, generation = j.target, image_id = j.image_id,
		properties = j.properties, cause = ''`, phone.KindStop.Done(), phone.StatusRunning)
}

// savePhonesOf changes the phones of some jobs j.
func (t *tx) savePhonesOf(ctx context.Context, jobs []phone.JobID, set string, args ...any) error {
	if len(jobs) == 0 {
		return nil
	}
	n, err := t.exec(ctx, `UPDATE phones SET `+set+`, updated_at = ? FROM jobs j WHERE `+t.in("j.id")+` AND phones.id = j.phone_id`,
		append(args, t.at, list(t.dialect, jobs))...)
	if err != nil {
		return fmt.Errorf("save phones: %w", err)
	}
	return expect(n, len(jobs), "phones")
}

// failedPhone is what a failed job leads its phone to.
type failedPhone struct {
	Job    phone.JobID  `json:"job_id"`
	Status phone.Status `json:"status"`
	Cause  string       `json:"cause"` // of a phone that is abnormal
}

func (t *tx) saveFailed(ctx context.Context, failed []failedPhone) error {
	if len(failed) == 0 {
		return nil
	}
	n, err := t.exec(ctx, `UPDATE phones SET status = v.status, cause = v.cause, updated_at = ? FROM `+
		t.records("job_id text", "status bigint", "cause text")+` JOIN jobs j ON j.id = v.job_id WHERE phones.id = j.phone_id`, t.at, asJSON(failed))
	if err != nil {
		return fmt.Errorf("save phones: %w", err)
	}
	return expect(n, len(failed), "phones")
}

// serversToAdmit gives the servers on which a step freed a slot or made jobs admissible, and those on which one ended a task.
func serversToAdmit(steps []*step, jobs map[phone.JobID]*stepJob) (boots, tasks []phone.ServerID) {
	slots, turns := map[phone.ServerID]bool{}, map[phone.ServerID]bool{}
	for _, st := range steps {
		switch j := jobs[st.fence.Job]; {
		case st.err != nil || !j.changed || !st.needsAdmission():
		case j.kind.Task():
			turns[j.server] = true
		default:
			slots[j.server] = true
		}
	}
	return slices.Sorted(maps.Keys(slots)), slices.Sorted(maps.Keys(turns))
}

// loadAssignments gives claims what they claimed.
func (t *tx) loadAssignments(ctx context.Context, steps []*step) error {
	claims := map[phone.JobID][]*step{}
	for _, st := range steps {
		if st.kind == stepClaim && st.err == nil {
			claims[st.fence.Job] = append(claims[st.fence.Job], st)
		}
	}
	if len(claims) == 0 {
		return nil
	}
	err := t.each(ctx, func(row scanner) error {
		a, err := scanAssignment(row)
		for _, st := range claims[a.Job.ID] {
			st.assignment = a
			st.assignment.Fence = st.fence
		}
		return err
	}, `SELECT `+columns("j", jobColumns)+`, `+columns("p", phoneColumns)+`, `+columns("s", serverColumns)+`, `+columns("i", imageColumns)+`,
		coalesce(h.identity_id, ''), coalesce(h.identity_digest, ''), j.erased,
		CASE WHEN j.kind IN (`+tasks+`) THEN coalesce(nullif(j.payload, ''), (SELECT r.payload FROM requests r WHERE r.id = j.request_id)) ELSE '' END
		FROM jobs j JOIN phones p ON p.id = j.phone_id JOIN servers s ON s.id = j.server_id JOIN images i ON i.id = j.image_id
		LEFT JOIN host_images h ON h.server_id = j.server_id AND h.image_id = j.image_id
		WHERE `+t.in("j.id"), list(t.dialect, slices.Sorted(maps.Keys(claims))))
	if err != nil {
		return fmt.Errorf("load assignments: %w", err)
	}
	return nil
}
