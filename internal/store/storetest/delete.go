package storetest

import (
	"testing"
	"time"

	"github.com/lethe-cloud/lethe/internal/fleet"
	"github.com/lethe-cloud/lethe/internal/phone"
)

// erased takes a deletion to its end.
func (f Fixture) erased(t testing.TB, job phone.JobID) {
	t.Helper()
	a := f.claim(t, job, "r1")
	volumes := []phone.ErasedVolume{{Name: "v", Generation: a.Job.Target, Files: 3, Bytes: 9, Gone: true}}
	must(t, "Erased", f.Erased(t.Context(), a.Fence, volumes, f.Clock.Now()))
	must(t, "Finish", f.Finish(t.Context(), a.Fence, phone.Receipt{Phone: a.Phone.ID, Job: job, From: a.Job.Prior, To: a.Job.Target}))
}

// deletion accepts a deletion of phones that must all be accepted.
func (f Fixture) deletion(t testing.TB, ids ...phone.ID) []phone.JobID {
	t.Helper()
	_, outcomes, err := f.AcceptDelete(t.Context(), f.powerInput(phone.KindDelete, ids...))
	must(t, "AcceptDelete", err)
	jobs := make([]phone.JobID, len(ids))
	for i, o := range outcomes {
		if o.Err != nil {
			t.Fatalf("AcceptDelete: %v", o.Err)
		}
		jobs[i] = o.Job
	}
	return jobs
}

// testDelete: a deletion is set going at once, destroys every life that was ever begun, and in the step that ends it takes the phone's
// row with all that hangs on it, but for its jobs; name and port are free then, and not before.
func testDelete(t *testing.T, f Fixture) {
	ctx := t.Context()
	must(t, "Register", f.Register(ctx, "r1", time.Hour))
	in := f.Fleet(t, f.Project(0), f.Image(t).ID, 3, 1)
	f.lives(t, in.Phones[0].ID, false)
	lost := f.phone(t, in.Phones[0].ID)
	jobs := f.deletion(t, in.Phones[0].ID, in.Phones[1].ID)
	j, p := f.job(t, jobs[0]), f.phone(t, in.Phones[0].ID)
	equal(t, "a job", []any{j.Kind, j.Phase, j.Target, j.Prior, j.PriorStatus, j.Erase, j.Attempt, j.PhaseAt[phone.PhaseDeleting]},
		[]any{phone.KindDelete, phone.PhaseDeleting, lost.LastGeneration, lost.Generation, phone.StatusResetFailed, phone.ErasePending, 1, f.Clock.Now()})
	equal(t, "its phone", []any{p.Status, p.LastGeneration}, []any{phone.StatusStopping, lost.LastGeneration})
	f.consistent(t)
	_, again, err := f.AcceptDelete(ctx, f.powerInput(phone.KindDelete, in.Phones[0].ID))
	must(t, "AcceptDelete", err)
	equal(t, "deleting again", reasonOf(again[0]), phone.ReasonPhoneBusy)

	a := f.claim(t, jobs[0], "r1")
	refused(t, "a deletion without an erasure", f.Finish(ctx, a.Fence, phone.Receipt{}), phone.Precondition, "")
	refused(t, "a step that no deletion has", f.Advance(ctx, a.Fence, phone.PhaseBooting), phone.Precondition, "")
	f.exec(t, `INSERT INTO tickets (hash, session, phone_id, generation, project_id, user_id, expires_at) VALUES ($1, 's', $2, 1, $3, 'u', 0)`,
		"0123456789012345678901234567890123456789012345678901234567890123", string(in.Phones[0].ID), string(f.Project(0)))
	f.erased(t, jobs[0])
	_, err = f.Phone(ctx, f.Project(0), in.Phones[0].ID)
	refused(t, "the phone", err, phone.NotFound, phone.ReasonPhoneNotFound)
	equal(t, "its tickets", f.count(t, `SELECT count(*) FROM tickets`), 0)
	j = f.job(t, jobs[0])
	equal(t, "the job that stays", []any{j.Phase, j.Erase, j.Receipt.To, j.Receipt.Erased[0].Name}, []any{phone.PhaseSucceeded, phone.EraseDone, lost.LastGeneration, "v"})
	f.consistent(t)
	f.exec(t, `INSERT INTO phones (id, name, project_id, server_id, model, image_id, status, generation, last_generation, properties, adb_port, created_at, updated_at)
		SELECT $1, $2, project_id, server_id, model, image_id, 2, 1, 1, '{}', $3, created_at, updated_at FROM phones WHERE id = $4`,
		string(phone.NewID[phone.ID]()), lost.Name, lost.ADBPort, string(in.Phones[2].ID)) // its name and its port
	f.recount(t)

	failing := f.claim(t, jobs[1], "r1")
	must(t, "Fail", f.Fail(ctx, failing.Fence, phone.Failure{Reason: phone.ReasonHostGone, Msg: "the host is away"}))
	p = f.phone(t, in.Phones[1].ID)
	equal(t, "one that could not be deleted", []any{p.Status, p.Generation}, []any{phone.StatusResetFailed, phone.Generation(1)})
	f.consistent(t)
	request := f.job(t, jobs[1]).Request
	retry := fleet.RetryJobs{Request: f.ResetInput(f.Project(0)).Request, Of: request, Check: f.ResetInput(f.Project(0)).Check}
	retry.Request.Kind = phone.KindDelete
	_, outcomes, err := f.Retry(ctx, retry)
	must(t, "Retry", err)
	equal(t, "what is deleted once more", f.job(t, outcomes[0].Job).Kind, phone.KindDelete)
	f.erased(t, outcomes[0].Job)
	f.consistent(t)
}

// testDeletedHosted: as long as a deletion is remembered, what a late call leaves of its phone is an orphan and not foreign; once it is
// old enough, everything of the phone is forgotten.
func testDeletedHosted(t *testing.T, f Fixture) {
	ctx := t.Context()
	must(t, "Register", f.Register(ctx, "r1", time.Hour))
	in := f.Fleet(t, f.Project(0), f.Image(t).ID, 2, 1)
	resets := f.lives(t, in.Phones[0].ID, true, false)
	f.Clock.Advance(time.Hour)
	deleted := f.deletion(t, in.Phones[0].ID)
	f.erased(t, deleted[0])
	find := func(only ...phone.ID) phone.Hosted {
		h, err := f.Hosting(ctx, in.Server.ID, only...)
		must(t, "Hosting", err)
		for _, p := range h.Phones {
			if p.Phone == in.Phones[0].ID {
				return p
			}
		}
		return phone.Hosted{}
	}
	for _, h := range []phone.Hosted{find(), find(in.Phones[0].ID)} {
		equal(t, "the deleted phone", []any{h.Deleted, h.LastGeneration}, []any{true, phone.Generation(3)})
		equal(t, "its lives", []phone.Standing{h.Stand(1), h.Stand(3), h.Stand(4)}, []phone.Standing{phone.StandingOrphan, phone.StandingOrphan, phone.StandingQuarantined})
	}
	equal(t, "what is asked of another", find(in.Phones[1].ID), phone.Hosted{})
	f.pruneAll(t, f.Clock.Now())
	equal(t, "what is left of the resets", f.left(t, resets...), nil)
	equal(t, "the deletion, which is not old enough", f.left(t, deleted...), deleted)
	f.Clock.Advance(time.Hour)
	f.pruneAll(t, f.Clock.Now())
	equal(t, "the deletion, when it is", f.left(t, deleted...), nil)
	equal(t, "what is known of the phone then", find(), phone.Hosted{})
	f.consistent(t)
	p, err := f.Progress(ctx, f.Project(0), in.Request.ID)
	must(t, "Progress", err)
	equal(t, "the creation of the other phone", p.Total, 1)
}

// testDeletedProject: a project whose phones and servers were deleted can be deleted, with the jobs that tell of them.
func testDeletedProject(t *testing.T, f Fixture) {
	ctx := t.Context()
	must(t, "Register", f.Register(ctx, "r1", time.Hour))
	in := f.Fleet(t, f.Project(0), f.Image(t).ID, 1, 1)
	name := f.Owner.Projects[0].Name
	refused(t, "with a server", f.DeleteProject(ctx, f.Owner.Account.ID, name), phone.Precondition, "")
	_, outcomes := f.acceptServers(t, phone.KindDelete, true, in.Server.ID)
	f.finishDeletion(t, in.Server.ID, outcomes)
	must(t, "DeleteProject", f.DeleteProject(ctx, f.Owner.Account.ID, name))
	equal(t, "its jobs", f.count(t, `SELECT (SELECT count(*) FROM jobs) + (SELECT count(*) FROM server_jobs) + (SELECT count(*) FROM requests)`), 0)
}
