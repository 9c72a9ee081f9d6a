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
		case st.kind == stepFail && st.failure.Reason == phone.ReasonImageNotFound:
			_, err = t.exec(ctx, `DELETE FROM host_images WHERE server_id = ? AND image_id = ?`, j.server, j.image)
		}
		if err != nil {
			return fmt.Errorf("save the host's image: %w", err)
		}
	}
	return nil
}

// savePhones gives the phones of ended jobs what their jobs led to.
func (t *tx) savePhones(ctx context.Context, steps []*step) error {
	var finished, failed []phone.JobID
	for _, st := range steps {
		switch {
		case st.err != nil:
		case st.kind == stepFinish:
			finished = append(finished, st.fence.Job)
		case st.kind == stepFail:
			failed = append(failed, st.fence.Job)
		}
	}
	if len(finished) > 0 {
		n, err := t.exec(ctx, `UPDATE phones SET status = ?, generation = j.target, image_id = j.image_id, properties = j.properties, updated_at = ?
			FROM jobs j WHERE `+t.in("j.id")+` AND phones.id = j.phone_id`, phone.StatusRunning, t.at, list(t.dialect, finished))
		if err != nil {
			return fmt.Errorf("save phones: %w", err)
		}
		if err := expect(n, len(finished), "phones"); err != nil {
			return err
		}
	}
	if len(failed) == 0 {
		return nil
	}
	n, err := t.exec(ctx, `UPDATE phones SET status = CASE j.kind WHEN 'create' THEN CAST(? AS BIGINT) ELSE CAST(? AS BIGINT) END, updated_at = ?
		FROM jobs j WHERE `+t.in("j.id")+` AND phones.id = j.phone_id`, phone.KindCreate.Failed(), phone.KindReset.Failed(), t.at, list(t.dialect, failed))
	if err != nil {
		return fmt.Errorf("save phones: %w", err)
	}
	return expect(n, len(failed), "phones")
}

// serversToAdmit gives the servers on which a step freed a slot or made jobs admissible.
func serversToAdmit(steps []*step, jobs map[phone.JobID]*stepJob) []phone.ServerID {
	servers := map[phone.ServerID]bool{}
	for _, st := range steps {
		if j := jobs[st.fence.Job]; st.err == nil && j.changed && st.needsAdmission() {
			servers[j.server] = true
		}
	}
	return slices.Sorted(maps.Keys(servers))
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
		coalesce(h.identity_id, ''), coalesce(h.identity_digest, ''), j.erased
		FROM jobs j JOIN phones p ON p.id = j.phone_id JOIN servers s ON s.id = j.server_id JOIN images i ON i.id = j.image_id
		LEFT JOIN host_images h ON h.server_id = j.server_id AND h.image_id = j.image_id
		WHERE `+t.in("j.id"), list(t.dialect, slices.Sorted(maps.Keys(claims))))
	if err != nil {
		return fmt.Errorf("load assignments: %w", err)
	}
	return nil
}
