package store

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/lethe-cloud/lethe/internal/phone"
)

// Claim makes replica the owner of the job, if the delivery is the job's present attempt, nobody owns it and it is not
// finished; else it fails with ReasonFenced. Claiming again what one owns at that attempt succeeds. What an earlier attempt
// has saved of the erasure is in the assignment's Job.Receipt.
func (s *Store) Claim(ctx context.Context, d phone.Delivery, replica phone.ReplicaID) (phone.Assignment, error) {
	st := &step{kind: stepClaim, fence: phone.Fence{Job: d.Job, Attempt: d.Attempt, Replica: replica}}
	if err := s.step(ctx, st); err != nil {
		return phone.Assignment{}, err
	}
	return st.assignment, nil
}

// Prepared records what the server's host resolved the job's image to, puts the job back into the queue and admits what has
// a slot, this job and those that waited for the image among it.
func (s *Store) Prepared(ctx context.Context, fence phone.Fence, identity phone.ImageIdentity) error {
	return s.step(ctx, &step{kind: stepPrepared, fence: fence, identity: identity})
}

// Advance saves that the phase before `to` has ended and `to` begins. Leaving booting frees the boot slot and admits the next
// job in the same transaction. Advancing to the phase that the job is in changes nothing; a job never goes back, and only
// admission gives it a slot.
func (s *Store) Advance(ctx context.Context, fence phone.Fence, to phone.Phase) error {
	return s.step(ctx, &step{kind: stepAdvance, fence: fence, to: to})
}

// Erased saves that all older generations of the phone were destroyed and looked for, in any phase from creating on; of a deletion, all
// generations.
func (s *Store) Erased(ctx context.Context, fence phone.Fence, volumes []phone.ErasedVolume, lookedFor time.Time) error {
	return s.step(ctx, &step{kind: stepErased, fence: fence, erasure: erasure{Volumes: volumes, LookedFor: lookedFor}})
}

// Finish ends the job in success: the phone is running (2; stopped, 8, after a stop) with the job's image, properties and generation,
// and the receipt is kept, with the saved erasure where the receipt has none. It needs the phase verifying (stopping of a stop), and erasing done where there was
// something to erase. After a deletion, in the phase deleting, there is no phone any more, and nothing that hung on it but its jobs.
func (s *Store) Finish(ctx context.Context, fence phone.Fence, receipt phone.Receipt) error {
	return s.step(ctx, &step{kind: stepFinish, fence: fence, receipt: receipt})
}

// Fail ends the job as failed: the phone gets the kind's failed status, a held slot is freed and the next job admitted. A
// failure with ReasonImageNotFound also forgets what the server's host resolved the image to, so that the next job which
// needs it brings it there again.
func (s *Store) Fail(ctx context.Context, fence phone.Fence, failure phone.Failure) error {
	return s.step(ctx, &step{kind: stepFail, fence: fence, failure: failure})
}

// Restore saves that a job with the rollback policy has failed before its new life was verified, and why: the phase restoring
// begins, in the slot that it holds. Again it changes nothing, and the first failure stays. Any other job is Precondition.
func (s *Store) Restore(ctx context.Context, fence phone.Fence, failure phone.Failure) error {
	return s.step(ctx, &step{kind: stepRestore, fence: fence, failure: failure})
}

// RolledBack ends such a job as failed and gives the phone back as it was when the job was accepted: status, cause, generation, image
// and properties. It needs the phase restoring, or preparing, in which nothing was done to the phone yet. The slot is freed and the
// next job admitted; ReasonImageNotFound does what it does in Fail.
func (s *Store) RolledBack(ctx context.Context, fence phone.Fence, failure phone.Failure) error {
	return s.step(ctx, &step{kind: stepRolledBack, fence: fence, failure: failure})
}

// stepKind is what a worker saves of its job.
type stepKind int

const (
	stepClaim stepKind = iota
	stepPrepared
	stepAdvance
	stepErased
	stepFinish
	stepFail
	stepRestore
	stepRolledBack
	stepEndTask
)

// step is one fenced write of a worker; steps of concurrent jobs share a transaction.
type step struct {
	kind     stepKind
	fence    phone.Fence
	to       phone.Phase
	identity phone.ImageIdentity
	erasure  erasure
	receipt  phone.Receipt
	failure  phone.Failure
	end      phone.TaskEnd

	assignment phone.Assignment // of a claim
	paced      phone.RequestID  // the paced request of a job that this step ended, else ""
	err        error            // this step's own: it changed nothing
}

// erasure is what Erased saves.
type erasure struct {
	Volumes   []phone.ErasedVolume `json:"volumes"`
	LookedFor time.Time            `json:"looked_for"`
}

func (s *Store) step(ctx context.Context, st *step) error {
	together := s.steps
	if st.needsAdmission() {
		together = s.admissions
	}
	if err := together.do(ctx, st); err != nil {
		return err
	}
	return st.err
}

// needsAdmission reports whether the step may free a slot or make jobs admissible.
func (st *step) needsAdmission() bool {
	return st.kind == stepPrepared || st.kind == stepFail || st.kind == stepRolledBack || st.kind == stepEndTask || st.kind == stepAdvance && !st.to.HoldsSlot()
}

// ends reports whether the step ends its job.
func (st *step) ends() bool { return st.kind == stepFinish || st.kind == stepEndTask || st.failed() }

// failed reports whether the step ends its job as failed.
func (st *step) failed() bool { return st.kind == stepFail || st.kind == stepRolledBack }

// runSteps does the steps in one transaction. ctx is the combiner's and no caller's: when it ends, the database has hung.
func (s *Store) runSteps(ctx context.Context, steps []*step) error {
	err := s.tx(ctx, func(t *tx) error {
		for _, st := range steps {
			st.err, st.assignment, st.paced = nil, phone.Assignment{}, ""
		}
		return t.steps(ctx, steps)
	})
	if err != nil && ctx.Err() != nil {
		return &phone.Error{Code: phone.Unavailable, Msg: "the database does not answer: try again", Err: err}
	}
	for _, st := range steps {
		if err == nil && st.paced != "" {
			s.paced.add(st.paced)
		}
	}
	return err
}

func (t *tx) steps(ctx context.Context, steps []*step) error {
	if err := t.lockForSteps(ctx, steps); err != nil {
		return err
	}
	jobs, err := t.lockStepJobs(ctx, steps)
	if err != nil {
		return err
	}
	for _, st := range steps {
		if j := jobs[st.fence.Job]; j == nil {
			st.err = fenced(st.fence)
		} else if e := j.apply(st, t.at); e != nil {
			st.err = e
		} else if st.ends() && j.paced {
			st.paced = j.request
		}
	}
	if err := t.saveSteps(ctx, jobs); err != nil {
		return err
	}
	if err := t.saveHostImages(ctx, steps, jobs); err != nil {
		return err
	}
	if err := t.savePhones(ctx, steps, jobs); err != nil {
		return err
	}
	boots, tasks := serversToAdmit(steps, jobs)
	if err := t.admit(ctx, boots); err != nil {
		return err
	}
	if err := t.startTasks(ctx, tasks); err != nil {
		return err
	}
	return t.loadAssignments(ctx, steps)
}

func fenced(f phone.Fence) error {
	return phone.Errorf(phone.Conflict, phone.ReasonFenced, "attempt %d of job %s is over: another one owns the job", f.Attempt, f.Job)
}

// lockForSteps locks the servers on which the steps may free a slot, then the phones that they change.
func (t *tx) lockForSteps(ctx context.Context, steps []*step) error {
	if t.lock == "" {
		return nil
	}
	var admitting, ending []phone.JobID
	for _, st := range steps {
		if st.needsAdmission() {
			admitting = append(admitting, st.fence.Job)
		}
		if st.ends() && st.kind != stepEndTask { // a task changes no phone
			ending = append(ending, st.fence.Job)
		}
	}
	if len(admitting) > 0 {
		query := `SELECT id FROM servers WHERE id IN (SELECT server_id FROM jobs WHERE ` + t.in("id") + `) ORDER BY id` + t.lock
		if _, err := t.exec(ctx, query, list(t.dialect, admitting)); err != nil {
			return fmt.Errorf("lock servers: %w", err)
		}
	}
	if len(ending) > 0 {
		// A phone that goes is locked here as one that is changed; removing it takes the stronger lock, which nothing that refers to it holds.
		query := `SELECT id FROM phones WHERE id IN (SELECT phone_id FROM jobs WHERE ` + t.in("id") + `) ORDER BY id` + t.lock
		if _, err := t.exec(ctx, query, list(t.dialect, ending)); err != nil {
			return fmt.Errorf("lock phones: %w", err)
		}
	}
	return nil
}

// stepJob is what steps read and write of a job.
type stepJob struct {
	id      phone.JobID
	request phone.RequestID
	project phone.ProjectID
	kind    phone.Kind
	server  phone.ServerID
	image   phone.ImageID
	phase   phone.Phase
	erase   phone.EraseState
	attempt int
	begun   int
	output  string
	owner   phone.ReplicaID
	erased  *string
	paced   bool
	// prior and rollback are what a job that turns back needs.
	prior      phone.Status
	rollback   bool
	rolledBack bool

	changed bool
	claimed bool
	began   map[phone.Phase]int64 // phases that these steps began
	failure *string
	receipt *string
}

func (t *tx) lockStepJobs(ctx context.Context, steps []*step) (map[phone.JobID]*stepJob, error) {
	ids := make([]phone.JobID, len(steps))
	for i, st := range steps {
		ids[i] = st.fence.Job
	}
	jobs := make(map[phone.JobID]*stepJob, len(ids))
	err := t.each(ctx, func(row scanner) error {
		j := &stepJob{began: map[phone.Phase]int64{}}
		var owner *string
		if err := row.Scan(&j.id, &j.project, &j.kind, &j.server, &j.image, &j.phase, &j.erase, &j.attempt, &owner, &j.erased, &j.request, &j.paced, &j.prior, &j.rollback, &j.failure, &j.begun, &j.output); err != nil {
			return err
		}
		if owner != nil {
			j.owner = phone.ReplicaID(*owner)
		}
		jobs[j.id] = j
		return nil
	}, `SELECT id, project_id, kind, server_id, image_id, phase, erase, attempt, owner, erased, request_id, paced, prior_status, rollback, failure, begun, output FROM jobs WHERE `+t.in("id")+` ORDER BY id`+t.lock, list(t.dialect, ids))
	if err != nil {
		return nil, fmt.Errorf("lock jobs: %w", err)
	}
	return jobs, nil
}

// apply does one step to the job in memory, or says why not.
func (j *stepJob) apply(st *step, at int64) error {
	if st.kind == stepClaim {
		return j.claim(st.fence)
	}
	if j.attempt != st.fence.Attempt || j.owner == "" || j.owner != st.fence.Replica {
		return fenced(st.fence)
	}
	switch st.kind {
	case stepPrepared:
		if j.phase != phone.PhasePreparing {
			return j.refuse("prepared its image")
		}
		j.phase, j.owner = phone.PhaseQueued, ""
	case stepAdvance:
		return j.advance(st.to, at)
	case stepErased:
		if j.phase != phone.PhaseDeleting && j.phase.Before(phone.PhaseCreating) || j.rollback && j.phase != phone.PhaseVerifying {
			return j.refuse("erased older generations")
		}
		text := asJSON(st.erasure)
		j.erase, j.erased = phone.EraseDone, &text
	case stepFinish:
		if j.phase != phone.PhaseVerifying && j.phase != phone.PhaseStopping && j.phase != phone.PhaseDeleting {
			return j.refuse("finished")
		}
		if j.erase != phone.EraseNone && j.erase != phone.EraseDone {
			return phone.Errorf(phone.Precondition, "", "job %s cannot have finished: erasing its phone's older generations is %s", j.id, j.erase)
		}
		if err := j.finish(st.receipt); err != nil {
			return err
		}
	case stepEndTask:
		if err := j.endTask(st.end); err != nil {
			return err
		}
	case stepRestore:
		if j.phase == phone.PhaseRestoring {
			return nil
		}
		if !j.rollback || !j.phase.HoldsSlot() {
			return j.refuse("turned back")
		}
		j.phase = phone.PhaseRestoring
		j.began[j.phase] = at
		j.fail(st.failure)
	case stepRolledBack:
		if !j.rollback || j.phase != phone.PhaseRestoring && j.phase != phone.PhasePreparing {
			return j.refuse("been rolled back")
		}
		j.rolledBack = true
		j.fail(st.failure)
		j.end(phone.PhaseFailed)
	case stepFail:
		j.fail(st.failure)
		j.end(phone.PhaseFailed)
	}
	j.changed = true
	return nil
}

func (j *stepJob) claim(f phone.Fence) error {
	active := j.attempt > 0 && j.phase != phone.PhaseHeld && j.phase != phone.PhaseQueued && !j.phase.Final()
	if !active || j.attempt != f.Attempt || j.owner != "" && j.owner != f.Replica {
		return fenced(f)
	}
	if j.owner == "" {
		j.owner, j.claimed, j.changed = f.Replica, true, true
		if j.kind.Task() && j.begun == 0 {
			j.begun = j.attempt
		}
	}
	return nil
}

func (j *stepJob) advance(to phone.Phase, at int64) error {
	switch {
	case to == j.phase:
		return nil
	case !j.phase.HoldsSlot() || !j.phase.Before(to) || to == phone.PhaseRestoring || to.Final():
		return j.refuse("reached " + string(to))
	}
	j.phase, j.changed = to, true
	j.began[to] = at
	return nil
}

// finish keeps the receipt. A worker that took over after the erasure knows nothing of it: then what Erased saved is filled in.
func (j *stepJob) finish(receipt phone.Receipt) error {
	if len(receipt.Erased) == 0 && receipt.LookedFor.IsZero() && j.erased != nil {
		var saved erasure
		if err := fromJSON(*j.erased, &saved); err != nil {
			return err
		}
		receipt.Erased, receipt.LookedFor = saved.Volumes, saved.LookedFor
	}
	text := asJSON(receipt)
	j.receipt = &text
	j.end(phone.PhaseSucceeded)
	return nil
}

func (j *stepJob) fail(failure phone.Failure) {
	text := asJSON(failure)
	j.failure = &text
}

func (j *stepJob) end(phase phone.Phase) { j.phase, j.owner = phase, "" }

func (j *stepJob) refuse(what string) error {
	return phone.Errorf(phone.Precondition, "", "job %s is %s and cannot have %s", j.id, j.phase, what)
}

// stepRow is a job's new state as saveSteps hands it to the database.
type stepRow struct {
	ID        phone.JobID      `json:"id"`
	Phase     phone.Phase      `json:"phase"`
	Erase     phone.EraseState `json:"erase"`
	Erased    *string          `json:"erased"`
	Owner     *string          `json:"owner"`
	Claimed   bool             `json:"claimed"`
	Creating  *int64           `json:"creating_at"`
	Booting   *int64           `json:"booting_at"`
	Verifying *int64           `json:"verifying_at"`
	Restoring *int64           `json:"restoring_at"`
	Rolled    bool             `json:"rolled_back"`
	Ended     *int64           `json:"ended_at"`
	Failure   *string          `json:"failure"`
	Receipt   *string          `json:"receipt"`
	Begun     int              `json:"begun"`
	Output    string           `json:"output"`
}

// saveSteps writes all changed jobs in one statement. A job that a step changed has an owner, is queued or has ended: in all
// three no delivery is under way.
func (t *tx) saveSteps(ctx context.Context, jobs map[phone.JobID]*stepJob) error {
	var changed []stepRow
	for _, id := range slices.Sorted(maps.Keys(jobs)) {
		if j := jobs[id]; j.changed {
			changed = append(changed, j.row(t.at))
		}
	}
	if len(changed) == 0 {
		return nil
	}
	n, err := t.exec(ctx, `UPDATE jobs SET phase = v.phase, erase = v.erase, erased = v.erased, owner = v.owner, delivered_at = NULL,
		incarnation = CASE WHEN v.claimed THEN (SELECT r.incarnation FROM replicas r WHERE r.id = v.owner) WHEN v.owner IS NULL THEN NULL ELSE jobs.incarnation END,
		creating_at = coalesce(v.creating_at, jobs.creating_at), booting_at = coalesce(v.booting_at, jobs.booting_at),
		verifying_at = coalesce(v.verifying_at, jobs.verifying_at), restoring_at = coalesce(v.restoring_at, jobs.restoring_at),
		rolled_back = v.rolled_back, ended_at = v.ended_at, failure = v.failure, receipt = v.receipt,
		begun = v.begun, output = v.output
		FROM `+t.records("id text", "phase text", "erase text", "erased text", "owner text", "claimed boolean", "creating_at bigint",
		"booting_at bigint", "verifying_at bigint", "restoring_at bigint", "rolled_back boolean", "ended_at bigint", "failure text", "receipt text", "begun bigint", "output text")+` WHERE jobs.id = v.id`, asJSON(changed))
	if err != nil {
		return fmt.Errorf("save steps: %w", err)
	}
	return expect(n, len(changed), "steps")
}

func (j *stepJob) row(at int64) stepRow {
	row := stepRow{
		ID: j.id, Phase: j.phase, Erase: j.erase, Erased: j.erased, Claimed: j.claimed, Failure: j.failure, Receipt: j.receipt,
		Creating: j.at(phone.PhaseCreating), Booting: j.at(phone.PhaseBooting), Verifying: j.at(phone.PhaseVerifying),
		Restoring: j.at(phone.PhaseRestoring), Rolled: j.rolledBack, Begun: j.begun, Output: j.output,
	}
	if j.owner != "" {
		owner := string(j.owner)
		row.Owner = &owner
	}
	if j.phase.Final() {
		row.Ended = &at
	}
	return row
}

func (j *stepJob) at(p phone.Phase) *int64 {
	if us, ok := j.began[p]; ok {
		return &us
	}
	return nil
}

// expect fails when a statement did not change as many rows as were decided upon under a lock.
func expect(got int64, want int, what string) error {
	if got != int64(want) {
		return phone.Errorf(phone.Internal, "", "the database changed %d %s instead of %d", got, what, want)
	}
	return nil
}
