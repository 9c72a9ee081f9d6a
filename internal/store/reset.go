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
	image, err := t.namedImage(ctx, in.Request.Project, in.Image)
	if err != nil {
		return nil, err
	}
	targets, err := t.resetTargets(ctx, in.Request.Project, in.Items)
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

// saveAccepted writes a request that was decided, claims its phones, whose servers are locked, fills the jobs into the outcomes and admits.
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
	if err := t.claimPhones(ctx, request.Kind, accepted); err != nil {
		return nil, err
	}
	if err := t.insertJobs(ctx, request, jobs, free); err != nil {
		return nil, err
	}
	if err := t.saveTally(ctx, counts); err != nil {
		return nil, err
	}
	if !request.Kind.KeepsStatus() {
		if err := t.endTasks(ctx, phonesOf(jobs), request.Kind); err != nil {
			return nil, err
		}
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
	job := jobOn(a.Phone, order)
	job.Target, job.Image, job.Properties, job.Factory, job.Rollback = a.Target, a.Image, propertiesJSON(a.Properties), a.Factory, a.Rollback
	return job
}

// jobOn is a job on the phone's present life, with the image and the properties that it has.
func jobOn(p phone.Phone, order int) jobInsert {
	return jobInsert{
		ID: phone.NewID[phone.JobID](), Phone: p.ID, Server: p.Server, Target: p.Generation, Prior: p.Generation, PriorStatus: p.Status, PriorImage: p.Image,
		Image: p.Image, Properties: propertiesJSON(p.Properties), Order: order,
	}
}

// namedImage is visibleImage for a call that may name none: then it gives nil.
func (t *tx) namedImage(ctx context.Context, project phone.ProjectID, id phone.ImageID) (*phone.Image, error) {
	if id == "" {
		return nil, nil
	}
	image, err := t.visibleImage(ctx, project, id)
	if err != nil {
		return nil, err
	}
	return &image, nil
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

// resetTargets reads of the named phones of the project what a decision about them needs, and locks their servers, which stay locked for
// admission: whoever gives a phone a job locks its server. The phones are not locked, which would write each of their rows once
// more: who claims them says as what they were read (claimPhones).
// The || ” keeps the database from reading all phones of the project to find the named ones.
func (t *tx) resetTargets(ctx context.Context, project phone.ProjectID, items []phone.ResetItem) (map[phone.ID]phone.ResetTarget, error) {
	ids := make([]phone.ID, 0, len(items))
	for _, item := range items {
		if phone.ValidID(item.PhoneID) {
			ids = append(ids, phone.ID(item.PhoneID))
		}
	}
	targets := make(map[phone.ID]phone.ResetTarget, len(ids))
	named := map[phone.ServerID]bool{}
	err := t.each(ctx, func(row scanner) error {
		p, err := scanTarget(row)
		p.Project = project
		targets[p.ID] = phone.ResetTarget{Phone: p}
		named[p.Server] = true
		return err
	}, `SELECT `+targetColumns+` FROM phones WHERE `+t.in("id")+` AND project_id || '' = ?`, list(t.dialect, ids), project)
	if err != nil {
		return nil, fmt.Errorf("read phones: %w", err)
	}
	servers := map[phone.ServerID]phone.ResetTarget{}
	err = t.each(ctx, func(row scanner) error {
		var id phone.ServerID
		var target phone.ResetTarget
		err := row.Scan(&id, &target.ServerStatus, &target.ServerLabel, &target.Driver)
		servers[id] = target
		return err
	}, `SELECT id, CASE WHEN doing = 'delete' THEN CAST(? AS BIGINT) ELSE status END, image_label, driver FROM servers WHERE `+t.in("id")+` ORDER BY id`+t.lock,
		phone.ServerStopping, list(t.dialect, slices.Sorted(maps.Keys(named))))
	if err != nil {
		return nil, fmt.Errorf("lock servers: %w", err)
	}
	busy, err := t.busy(ctx, ids)
	if err != nil {
		return nil, err
	}
	for id, target := range targets {
		p := target.Phone
		target = servers[p.Server]
		target.Phone, target.Busy, target.Tasks = p, busy[id], t.atWork[id]
		targets[id] = target
	}
	return targets, nil
}

// targetColumns is what a decision needs of a phone.
const targetColumns = `id, server_id, image_id, status, generation, last_generation, properties, updated_at`

func scanTarget(row scanner) (phone.Phone, error) {
	var p phone.Phone
	var properties string
	var updated int64
	if err := row.Scan(&p.ID, &p.Server, &p.Image, &p.Status, &p.Generation, &p.LastGeneration, &properties, &updated); err != nil {
		return p, err
	}
	p.UpdatedAt = timeOf(updated)
	return p, fromJSON(properties, &p.Properties)
}

// busy gives those of the phones that have an unfinished job which is no task, and notes how many tasks they have. Whoever asks has locked
// them or their servers, so that they get none meanwhile, and lose none but tasks.
func (t *tx) busy(ctx context.Context, ids []phone.ID) (map[phone.ID]bool, error) {
	busy := map[phone.ID]bool{}
	t.atWork = map[phone.ID]int{}
	err := t.each(ctx, func(row scanner) error {
		var id phone.ID
		var tasks int
		err := row.Scan(&id, &tasks)
		if tasks == 0 {
			busy[id] = true
		} else {
			t.atWork[id] = tasks
		}
		return err
	}, `SELECT phone_id, 0 FROM jobs WHERE `+t.in("phone_id")+` AND stage NOT IN ('ended', 'working') UNION ALL
		SELECT phone_id, count(*) FROM jobs WHERE `+t.in("phone_id")+` AND stage = 'working' GROUP BY phone_id`, list(t.dialect, ids), list(t.dialect, ids))
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
	payload := ""
	if r.Task != nil {
		payload = asJSON(r.Task)
	}
	_, err := t.exec(ctx, `INSERT INTO requests (id, project_id, kind, caller, refused, pace, pacing, payload, created_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)`,
		r.ID, r.Project, r.Kind, r.Caller, r.Refused, pace, pacing, payload, micros(r.CreatedAt))
	if err != nil {
		return fmt.Errorf("write the request: %w", err)
	}
	return nil
}

// jobInsert is what insertJobs needs of a job besides its request.
type jobInsert struct {
	ID          phone.JobID      `json:"id"`
	Phone       phone.ID         `json:"phone_id"`
	Server      phone.ServerID   `json:"server_id"`
	Target      phone.Generation `json:"target"`
	Prior       phone.Generation `json:"prior"`
	PriorStatus phone.Status     `json:"prior_status"`
	PriorImage  phone.ImageID    `json:"prior_image"`
	Image       phone.ImageID    `json:"image_id"`
	Properties  string           `json:"properties"`
	Factory     bool             `json:"factory,omitempty"`
	Rollback    bool             `json:"rollback,omitempty"`
	Payload     string           `json:"payload,omitempty"` // a phone.Task of its own
	Order       int              `json:"ord"`
}

// insertJobs writes jobs in their order, the first `free` queued and the others held, or of a task all waiting for their turn. A kind that
// keeps the life erases nothing.
func (t *tx) insertJobs(ctx context.Context, r phone.Request, jobs []jobInsert, free int) error {
	erase, first := phone.ErasePending, phone.PhaseQueued
	if r.Kind.KeepsLife() {
		erase = phone.EraseNone
	}
	if r.Kind.Task() {
		first = phone.PhaseWorking
	}
	n, err := t.exec(ctx, `INSERT INTO jobs (id, request_id, project_id, phone_id, server_id, kind, phase, erase, target, prior, prior_status, prior_image,
			image_id, properties, factory, rollback, payload, paced, queued_at, created_at)
		SELECT v.id, ?, ?, v.phone_id, v.server_id, ?, CASE WHEN v.ord < ? THEN CAST(? AS TEXT) ELSE 'held' END, ?, v.target, v.prior, v.prior_status, v.prior_image,
			v.image_id, v.properties, coalesce(v.factory, false), coalesce(v.rollback, false), coalesce(v.payload, ''), ?,
			CASE WHEN v.ord < ? THEN CAST(? AS BIGINT) END, ?
		FROM `+t.records("id text", "phone_id text", "server_id text", "target bigint", "prior bigint", "prior_status bigint", "prior_image text", "image_id text",
		"properties text", "factory boolean", "rollback boolean", "payload text", "ord bigint")+` ORDER BY v.ord`,
		r.ID, r.Project, r.Kind, free, first, erase, !r.Pace.Empty(), free, micros(r.CreatedAt), micros(r.CreatedAt), asJSON(jobs))
	if err != nil {
		return fmt.Errorf("write jobs: %w", err)
	}
	return expect(n, len(jobs), "jobs")
}

// errChanged means that a row was no longer as it was read: the transaction is run again, from the reading on.
var errChanged = errors.New("changed since it was read")

// readPhones are phones as a decision has read them; sameAsRead is the condition that a row still is what its record v says.
func (t *tx) readPhones() string {
	return t.records("id text", "status bigint", "generation bigint", "last_generation bigint", "updated_at bigint")
}

const sameAsRead = `phones.id = v.id AND phones.status = v.status AND phones.generation = v.generation AND phones.last_generation = v.last_generation
	AND phones.updated_at = v.updated_at`

// asRead is the argument of readPhones.
func asRead(accepted []phone.Accepted) string {
	type row struct {
		ID             phone.ID         `json:"id"`
		Status         phone.Status     `json:"status"`
		Generation     phone.Generation `json:"generation"`
		LastGeneration phone.Generation `json:"last_generation"`
		UpdatedAt      int64            `json:"updated_at"`
	}
	rows := make([]row, len(accepted))
	for i, a := range accepted {
		p := a.Phone
		rows[i] = row{ID: p.ID, Status: p.Status, Generation: p.Generation, LastGeneration: p.LastGeneration, UpdatedAt: micros(p.UpdatedAt)}
	}
	return asJSON(rows)
}

// wantUnchanged ends the transaction with errChanged unless the phones, whose servers are locked, are as they were read. It is for what gives them jobs and does not
// claim them.
func (t *tx) wantUnchanged(ctx context.Context, accepted []phone.Accepted) error {
	var n int
	err := t.row(ctx, `SELECT count(*) FROM phones, `+t.readPhones()+` WHERE `+sameAsRead, asRead(accepted)).Scan(&n)
	if err != nil {
		return fmt.Errorf("look at the phones again: %w", err)
	}
	return changed(int64(n), accepted)
}

func changed(n int64, accepted []phone.Accepted) error {
	if n < int64(len(accepted)) {
		return fmt.Errorf("%d of %d phones: %w", n, len(accepted), errChanged)
	}
	return expect(n, len(accepted), "phones")
}

// claimPhones makes the phones' status the one of a job of this kind at work (3 of a reset), unless the kind keeps it, and hands out their next generation
// where it makes one. A phone that is not as it was read any more ends the transaction with errChanged. The cause of an abnormal phone stays in its row,
// for the case that the job gives it back as it was.
func (t *tx) claimPhones(ctx context.Context, kind phone.Kind, accepted []phone.Accepted) error {
	made := 0
	if kind.MakesLife() {
		made = 1
	}
	n, err := t.exec(ctx, `UPDATE phones SET status = CASE WHEN ? THEN phones.status ELSE CAST(? AS BIGINT) END, last_generation = phones.last_generation + ?, updated_at = ?
		FROM `+t.readPhones()+` WHERE `+sameAsRead+` AND phones.status NOT IN (1, 3, 4, 6, 7)`, kind.KeepsStatus(), kind.Doing(), made, t.at, asRead(accepted))
	if err != nil {
		return fmt.Errorf("claim phones: %w", err)
	}
	return changed(n, accepted)
}

func phonesOf(jobs []jobInsert) []phone.ID {
	ids := make([]phone.ID, len(jobs))
	for i, j := range jobs {
		ids[i] = j.Phone
	}
	return ids
}
