package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/lethe-cloud/lethe/internal/audit"
	"github.com/lethe-cloud/lethe/internal/fleet"
	"github.com/lethe-cloud/lethe/internal/phone"
)

// AcceptReset reads the phones and the image, decides with phone.DecideReset, claims the accepted phones (status 3, next
// generation), writes the request and its jobs, and admits what has a slot: all of it or nothing, in a number of statements
// that does not grow with the batch. Phones of another project are not seen. An image that does not exist, or that
// the project may not use, is NotFound with ReasonImageNotFound.
func (s *Store) AcceptReset(ctx context.Context, in fleet.AcceptReset) ([]phone.Outcome, error) {
	var outcomes []phone.Outcome
	err := s.tx(ctx, func(t *tx) error {
		var err error
		outcomes, err = t.acceptReset(ctx, in)
		return err
	})
	if err != nil {
		return nil, err
	}
	return outcomes, nil
}

func (t *tx) acceptReset(ctx context.Context, in fleet.AcceptReset) ([]phone.Outcome, error) {
	var image *phone.Image
	if in.Image != "" {
		found, err := t.visibleImage(ctx, in.Request.Project, in.Image)
		if err != nil {
			return nil, err
		}
		image = &found
	}
	targets, err := t.lockResetTargets(ctx, in.Request.Project, in.Items)
	if err != nil {
		return nil, err
	}
	accepted, outcomes, err := phone.DecideReset(in.Items, targets, image, in.Check)
	if err != nil {
		return nil, err
	}
	for i := range accepted {
		accepted[i].Rollback = in.Rollback
	}
	return t.saveAccepted(ctx, in.Request, accepted, outcomes)
}

// saveAccepted writes a request that was decided, claims its phones, which are locked, fills the jobs into the outcomes and admits.
func (t *tx) saveAccepted(ctx context.Context, request phone.Request, accepted []phone.Accepted, outcomes []phone.Outcome) ([]phone.Outcome, error) {
	request.Refused += len(outcomes) - len(accepted)
	if entry := audit.From(ctx); entry != nil {
		entry.Note(string(request.ID), resetChanges(accepted, outcomes))
	}
	free, pacing := firstRelease(request.Pace, len(accepted))
	if err := t.insertRequest(ctx, request, pacing); err != nil {
		return nil, err
	}
	if len(accepted) == 0 {
		return outcomes, nil
	}
	jobs := make([]jobInsert, len(accepted))
	servers, counts := map[phone.ServerID]bool{}, tally{}
	for i, a := range accepted {
		jobs[i] = resetInsert(i, a)
		outcomes[a.Index].Job = jobs[i].ID
		servers[a.Phone.Server] = true
		if !request.Kind.KeepsStatus() {
			counts.add(a.Phone.Project, a.Phone.Status, -1)
			counts.add(a.Phone.Project, request.Kind.Doing(), 1)
		}
	}
	if err := t.insertJobs(ctx, request, jobs, free); err != nil {
		return nil, err
	}
	if err := t.claimPhones(ctx, request.Kind, jobs); err != nil {
		return nil, err
	}
	if err := t.saveTally(ctx, counts); err != nil {
		return nil, err
	}
	if phase := request.Kind.AtOnce(); phase != "" {
		return outcomes, t.setAtOnce(ctx, phase, jobs)
	}
	return outcomes, t.admit(ctx, slices.Sorted(maps.Keys(servers)))
}

// firstRelease is how many of n accepted jobs a pace does not hold, and whether it has to be looked at again.
func firstRelease(pace *phone.Pace, n int) (free int, pacing bool) {
	if pace.Empty() || n == 0 {
		return n, false
	}
	free = phone.DecidePace(*pace, phone.PaceCount{Held: n}).Release
	return free, !phone.DecidePace(*pace, phone.PaceCount{Held: n - free, Waiting: free}).Over
}

func resetInsert(order int, a phone.Accepted) jobInsert {
	job := jobInsert{ID: phone.NewID[phone.JobID](), Phone: a.Phone.ID, Factory: a.Factory, Rollback: a.Rollback, Order: order}
	if a.Image != a.Phone.Image {
		job.Image = a.Image
	}
	if !maps.Equal(a.Properties, a.Phone.Properties) {
		text := propertiesJSON(a.Properties)
		job.Properties = &text
	}
	return job
}

// visibleImage reads an image that the project may use, and keeps it from being deleted until the transaction ends.
func (t *tx) visibleImage(ctx context.Context, project phone.ProjectID, id phone.ImageID) (phone.Image, error) {
	image, err := scanImage(t.row(ctx, `SELECT `+imageColumns+` FROM images WHERE id = ? AND `+usable+t.lockExistence, id, project, project))
	if errors.Is(err, sql.ErrNoRows) {
		return image, errNoImage(id)
	}
	if err != nil {
		return image, fmt.Errorf("read the image: %w", err)
	}
	return image, nil
}

// lockResetTargets locks the named phones of the project and, before them, their servers, which stay locked for admission.
// It reads of a phone what a decision about a reset needs.
// The || ” keeps the database from reading all phones of the project to find the named ones.
func (t *tx) lockResetTargets(ctx context.Context, project phone.ProjectID, items []phone.ResetItem) (map[phone.ID]phone.ResetTarget, error) {
	ids := make([]phone.ID, 0, len(items))
	for _, item := range items {
		if phone.ValidID(item.PhoneID) {
			ids = append(ids, phone.ID(item.PhoneID))
		}
	}
	servers := map[phone.ServerID]phone.ResetTarget{}
	err := t.each(ctx, func(row scanner) error {
		var id phone.ServerID
		var target phone.ResetTarget
		err := row.Scan(&id, &target.ServerStatus, &target.ServerLabel, &target.Driver)
		servers[id] = target
		return err
	}, `SELECT id, CASE WHEN doing = 'delete' THEN CAST(? AS BIGINT) ELSE status END, image_label, driver FROM servers WHERE id IN (SELECT p.server_id FROM phones p WHERE `+t.in("p.id")+` AND p.project_id || '' = ?)
		ORDER BY id`+t.lock, phone.ServerStopping, list(t.dialect, ids), project)
	if err != nil {
		return nil, fmt.Errorf("lock servers: %w", err)
	}
	targets := make(map[phone.ID]phone.ResetTarget, len(ids))
	err = t.each(ctx, func(row scanner) error {
		p, err := scanTarget(row)
		p.Project = project
		target := servers[p.Server]
		target.Phone = p
		targets[p.ID] = target
		return err
	}, `SELECT `+targetColumns+` FROM phones WHERE `+t.in("id")+` AND project_id || '' = ? ORDER BY id`+t.lock, list(t.dialect, ids), project)
	if err != nil {
		return nil, fmt.Errorf("lock phones: %w", err)
	}
	busy, err := t.busy(ctx, ids)
	if err != nil {
		return nil, err
	}
	for _, id := range busy {
		if target, ok := targets[id]; ok {
			target.Busy = true
			targets[id] = target
		}
	}
	return targets, nil
}

// targetColumns is what a decision needs of a phone.
const targetColumns = `id, server_id, image_id, status, generation, last_generation, properties`

func scanTarget(row scanner) (phone.Phone, error) {
	var p phone.Phone
	var properties string
	if err := row.Scan(&p.ID, &p.Server, &p.Image, &p.Status, &p.Generation, &p.LastGeneration, &properties); err != nil {
		return p, err
	}
	return p, fromJSON(properties, &p.Properties)
}

// busy gives those of the phones that have an unfinished job. Whoever asks has locked them, so that they get and lose none.
func (t *tx) busy(ctx context.Context, ids []phone.ID) ([]phone.ID, error) {
	busy, err := all(ctx, t, one[phone.ID], `SELECT phone_id FROM jobs WHERE `+t.in("phone_id")+` AND stage NOT IN ('ended', 'working')`, list(t.dialect, ids))
	if err != nil {
		return nil, fmt.Errorf("look for jobs at work: %w", err)
	}
	return busy, nil
}

func (t *tx) insertRequest(ctx context.Context, r phone.Request, pacing bool) error {
	var pace *string
	if !r.Pace.Empty() {
		text := asJSON(r.Pace)
		pace = &text
	}
	_, err := t.exec(ctx, `INSERT INTO requests (id, project_id, kind, caller, refused, pace, pacing, created_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?)`,
		r.ID, r.Project, r.Kind, r.Caller, r.Refused, pace, pacing, micros(r.CreatedAt))
	if err != nil {
		return fmt.Errorf("write the request: %w", err)
	}
	return nil
}

// jobInsert is what insertJobs needs of a job besides its phone's row.
type jobInsert struct {
	ID         phone.JobID   `json:"id"`
	Phone      phone.ID      `json:"phone_id"`
	Image      phone.ImageID `json:"image_id,omitempty"`   // none: the phone's
	Properties *string       `json:"properties,omitempty"` // none: the phone's
	Factory    bool          `json:"factory,omitempty"`
	Rollback   bool          `json:"rollback,omitempty"`
	Order      int           `json:"ord"`
}

// insertJobs writes jobs in their order, the first `free` queued and the others held, with what their phones are at this moment as the prior state and the next
// generation as the target; a kind that keeps the life has the present one, and erases nothing, and a deletion the highest.
func (t *tx) insertJobs(ctx context.Context, r phone.Request, jobs []jobInsert, free int) error {
	target, erase := `p.last_generation + 1`, phone.ErasePending
	switch {
	case r.Kind.KeepsLife():
		target, erase = `p.generation`, phone.EraseNone
	case r.Kind == phone.KindDelete:
		target = `p.last_generation`
	}
	n, err := t.exec(ctx, `INSERT INTO jobs (id, request_id, project_id, phone_id, server_id, kind, phase, erase, target, prior, prior_status, prior_image,
			image_id, properties, factory, rollback, paced, queued_at, created_at)
		SELECT v.id, ?, p.project_id, p.id, p.server_id, ?, CASE WHEN v.ord < ? THEN 'queued' ELSE 'held' END, ?, `+target+`, p.generation, p.status, p.image_id,
			coalesce(v.image_id, p.image_id), coalesce(v.properties, p.properties), coalesce(v.factory, false), coalesce(v.rollback, false), ?,
			CASE WHEN v.ord < ? THEN CAST(? AS BIGINT) END, ?
		FROM `+t.records("id text", "phone_id text", "image_id text", "properties text", "factory boolean", "rollback boolean", "ord bigint")+`
		JOIN phones p ON p.id = v.phone_id ORDER BY v.ord`, r.ID, r.Kind, free, erase, !r.Pace.Empty(), free, micros(r.CreatedAt), micros(r.CreatedAt), asJSON(jobs))
	if err != nil {
		return fmt.Errorf("write jobs: %w", err)
	}
	return expect(n, len(jobs), "jobs")
}

// claimPhones makes the phones' status the one of a job of this kind at work (3 of a reset), unless the kind keeps it, and hands out their next generation
// where it makes one. The cause of an abnormal phone stays in its row, for
// the case that the job gives it back as it was.
func (t *tx) claimPhones(ctx context.Context, kind phone.Kind, jobs []jobInsert) error {
	ids := make([]phone.ID, len(jobs))
	for i, j := range jobs {
		ids[i] = j.Phone
	}
	made := 0
	if kind.MakesLife() {
		made = 1
	}
	n, err := t.exec(ctx, `UPDATE phones SET status = CASE WHEN ? THEN status ELSE CAST(? AS BIGINT) END, last_generation = last_generation + ?, updated_at = ?
		WHERE `+t.in("id")+` AND status NOT IN (1, 3, 4, 6, 7)`, kind.KeepsStatus(), kind.Doing(), made, t.at, list(t.dialect, ids))
	if err != nil {
		return fmt.Errorf("claim phones: %w", err)
	}
	return expect(n, len(jobs), "phones")
}
