package storetest

import (
	"sync"
	"testing"
	"time"

	"github.com/lethe-cloud/lethe/internal/fleet"
	"github.com/lethe-cloud/lethe/internal/phone"
)

var cancelled = phone.Failure{Reason: phone.ReasonCancelled, Msg: "it was cancelled", Detail: "by somebody"}

// cancelRequest cancels a request of the first project.
func (f Fixture) cancelRequest(t testing.TB, id phone.RequestID) phone.Cancellation {
	t.Helper()
	out, err := f.Cancel(t.Context(), fleet.CancelJobs{Project: f.Project(0), Request: id, Failure: cancelled})
	must(t, "Cancel", err)
	f.consistent(t)
	f.scheduled(t)
	return out
}

// testCancel cancels a request of which two jobs hold slots, one has failed and three wait.
func testCancel(t *testing.T, f Fixture) {
	in := f.Fleet(t, f.Project(0), f.Image(t).ID, 8, 2)
	must(t, "Register", f.Register(t.Context(), "r1", time.Minute))
	f.exec(t, `UPDATE phones SET status = -7, cause = 'it ended' WHERE id = $1`, string(in.Phones[4].ID))
	f.exec(t, `UPDATE phones SET status = 8, last_generation = 6 WHERE id = $1`, string(in.Phones[5].ID))
	f.recount(t)
	jobs := f.Reset(t, f.Project(0), ids(in.Phones[:6])...)
	failing := f.claim(t, jobs[0], "r1")
	must(t, "Fail", f.Fail(t.Context(), failing.Fence, phone.Failure{Reason: phone.ReasonBootTimeout}))
	behind := f.Reset(t, f.Project(0), in.Phones[6].ID)
	f.Clock.Advance(time.Minute)
	request := f.job(t, jobs[0]).Request
	equal(t, "what came of it", f.cancelRequest(t, request), phone.Cancellation{Cancelled: 3, Finishing: 2, Ended: 1})
	equal(t, "the jobs", f.phases(t, jobs...), []phone.Phase{
		phone.PhaseFailed, phone.PhaseRemoving, phone.PhaseRemoving, phone.PhaseCancelled, phone.PhaseCancelled, phone.PhaseCancelled,
	})
	j := f.job(t, jobs[5])
	equal(t, "a cancelled job", []any{j.Failure, j.EndedAt, j.Target, j.Erase}, []any{&cancelled, f.Clock.Now(), phone.Generation(7), phone.ErasePending})
	for i, want := range map[int]phone.Phone{
		3: {Status: phone.StatusRunning, LastGeneration: 2}, 4: {Status: phone.StatusAbnormal, Cause: "it ended", LastGeneration: 2}, 5: {Status: phone.StatusStopped, LastGeneration: 7},
	} {
		whole := in.Phones[i]
		whole.Status, whole.Cause, whole.Generation, whole.LastGeneration, whole.UpdatedAt = want.Status, want.Cause, 1, want.LastGeneration, f.Clock.Now()
		equal(t, "the phone of a cancelled job", f.phone(t, whole.ID), whole)
	}
	equal(t, "a job of another request", f.phases(t, behind...), []phone.Phase{phone.PhaseQueued})
	f.unchanged(t, "cancelling again", func() {
		equal(t, "what came of it the second time", f.cancelRequest(t, request), phone.Cancellation{Finishing: 2, Ended: 4})
	})

	// The phone may be reset again, to a generation that was never used, and what was let go on ends well.
	again := f.job(t, f.Reset(t, f.Project(0), in.Phones[5].ID)[0])
	equal(t, "the next reset", []any{again.Target, again.PriorStatus}, []any{phone.Generation(8), phone.StatusStopped})
	for _, id := range jobs[1:3] {
		f.finish(t, f.claim(t, id, "r1"))
	}
	progress, err := f.Progress(t.Context(), f.Project(0), request)
	must(t, "Progress", err)
	equal(t, "the request", []any{progress.Finished, progress.ByPhase[phone.PhaseCancelled]}, []any{true, 3})
	f.consistent(t)
	f.scheduled(t)
}

// testCancelPreparing cancels the job that brings an image: another takes its place, and its worker is fenced off.
func testCancelPreparing(t *testing.T, f Fixture) {
	ctx := t.Context()
	image, next := f.Image(t), f.Image(t)
	in := f.Fleet(t, f.Project(0), image.ID, 3, 1)
	must(t, "Register", f.Register(ctx, "r1", time.Minute))
	reset := f.ResetInput(f.Project(0), ids(in.Phones)...)
	reset.Image = next.ID
	outcomes, err := f.AcceptReset(ctx, reset)
	must(t, "AcceptReset", err)
	jobs := []phone.JobID{outcomes[0].Job, outcomes[1].Job, outcomes[2].Job}
	working := f.claim(t, jobs[0], "r1")
	out, err := f.Cancel(ctx, fleet.CancelJobs{Project: f.Project(0), Job: jobs[0], Failure: cancelled})
	must(t, "Cancel", err)
	equal(t, "what came of it", out, phone.Cancellation{Cancelled: 1})
	equal(t, "the next prepares", f.phases(t, jobs...), []phone.Phase{phone.PhaseCancelled, phone.PhasePreparing, phone.PhaseQueued})
	equal(t, "its delivery", f.queued(t)[phone.Delivery{Job: jobs[1], Attempt: 1}], 1)
	f.unchanged(t, "the cancelled job's worker", func() {
		refused(t, "Prepared", f.Prepared(ctx, working.Fence, phone.ImageIdentity{ID: "x"}), phone.Conflict, phone.ReasonFenced)
		refused(t, "Advance", f.Advance(ctx, working.Fence, phone.PhaseRemoving), phone.Conflict, phone.ReasonFenced)
		refused(t, "Fail", f.Fail(ctx, working.Fence, phone.Failure{Reason: phone.ReasonImageNotFound}), phone.Conflict, phone.ReasonFenced)
		_, err := f.Claim(ctx, phone.Delivery{Job: jobs[0], Attempt: working.Fence.Attempt}, "r1")
		refused(t, "Claim", err, phone.Conflict, phone.ReasonFenced)
	})
	f.consistent(t)

	// One that is on its way to a worker is cancelled too, and with the last nothing is left to prepare.
	equal(t, "the rest", f.cancelRequest(t, reset.Request.ID), phone.Cancellation{Cancelled: 2, Ended: 1})
	if n, err := f.Recover(ctx, "r1"); n != 0 || err != nil {
		t.Errorf("Recover gives %d new deliveries, %v", n, err)
	}
	equal(t, "the phones", f.phone(t, in.Phones[1].ID).Status, phone.StatusRunning)

	create := f.ServerInput(f.Project(0), next.ID, 2, 1)
	must(t, "AddServer", f.AddServer(ctx, create))
	equal(t, "a creation", f.cancelRequest(t, create.Request.ID), phone.Cancellation{Cancelled: 2})
	made := f.phone(t, create.Phones[0].ID)
	equal(t, "a phone whose creation was cancelled", []any{made.Status, made.Generation, made.LastGeneration},
		[]any{phone.StatusCreateFailed, phone.Generation(0), phone.Generation(1)})
	equal(t, "its reset", f.job(t, f.Reset(t, f.Project(0), made.ID)[0]).Target, phone.Generation(2))
}

func testCancelMissing(t *testing.T, f Fixture) {
	in := f.Fleet(t, f.Project(0), f.Image(t).ID, 1, 1)
	job := f.job(t, f.Reset(t, f.Project(0), in.Phones[0].ID)[0])
	f.unchanged(t, "cancelling what is not there", func() {
		for what, c := range map[string]struct {
			in     fleet.CancelJobs
			reason phone.Reason
		}{
			"no request":                   {fleet.CancelJobs{Project: f.Project(0), Request: phone.NewID[phone.RequestID]()}, phone.ReasonRequestNotFound},
			"another project's request":    {fleet.CancelJobs{Project: f.Project(1), Request: job.Request}, phone.ReasonRequestNotFound},
			"no job":                       {fleet.CancelJobs{Project: f.Project(0), Job: phone.NewID[phone.JobID]()}, phone.ReasonJobNotFound},
			"another project's job":        {fleet.CancelJobs{Project: f.Project(1), Job: job.ID}, phone.ReasonJobNotFound},
			"nothing that is named at all": {fleet.CancelJobs{Project: f.Project(0)}, phone.ReasonRequestNotFound},
		} {
			_, err := f.Cancel(t.Context(), c.in)
			refused(t, what, err, phone.NotFound, c.reason)
		}
		_, err := f.Request(t.Context(), f.Project(1), job.Request)
		refused(t, "Request of another project", err, phone.NotFound, phone.ReasonRequestNotFound)
	})
	request, err := f.Request(t.Context(), f.Project(0), job.Request)
	must(t, "Request", err)
	equal(t, "the request", request, phone.Request{ID: job.Request, Project: f.Project(0), Kind: phone.KindReset, Caller: f.Owner.User.ID, CreatedAt: f.Clock.Now()})
}

// testCancelAtOnce cancels requests while others are accepted and workers take jobs to their ends.
func testCancelAtOnce(t *testing.T, f Fixture) {
	in := f.Fleet(t, f.Project(0), f.Image(t).ID, 12, 2)
	must(t, "Register", f.Register(t.Context(), "r1", time.Minute))
	var group sync.WaitGroup
	for part := range 4 {
		phones := in.Phones[3*part : 3*part+3]
		group.Go(func() {
			for range 3 {
				reset := f.ResetInput(f.Project(0), ids(phones)...)
				outcomes, err := f.AcceptReset(t.Context(), reset)
				if err != nil {
					t.Errorf("AcceptReset: %v", err)
					return
				}
				var working sync.WaitGroup
				working.Go(func() { f.failAll(t, outcomes) })
				out, err := f.Cancel(t.Context(), fleet.CancelJobs{Project: f.Project(0), Request: reset.Request.ID, Failure: cancelled})
				working.Wait()
				if err != nil {
					t.Errorf("Cancel: %v", err)
				}
				if n := out.Cancelled + out.Finishing + out.Ended; n != 3 {
					t.Errorf("%+v are %d jobs of 3", out, n)
				}
				f.failAll(t, outcomes) // what was let go on
			}
		})
	}
	group.Wait()
	f.consistent(t)
	f.scheduled(t)
	equal(t, "unfinished jobs", f.count(t, `SELECT count(*) FROM jobs WHERE ended_at IS NULL`), 0)
	equal(t, "phones that are neither running nor failed", f.count(t, `SELECT count(*) FROM phones WHERE status NOT IN (2, -5)`), 0)
}

// failAll fails those of the jobs that can be claimed.
func (f Fixture) failAll(t testing.TB, outcomes []phone.Outcome) {
	for _, o := range outcomes {
		if o.Err != nil {
			continue
		}
		a, err := f.Claim(t.Context(), phone.Delivery{Job: o.Job, Attempt: 1}, "r1")
		if err == nil {
			err = f.Fail(t.Context(), a.Fence, phone.Failure{Reason: phone.ReasonBootExited})
		}
		if err != nil && phone.ReasonOf(err) != phone.ReasonFenced {
			t.Errorf("a worker: %v", err)
		}
	}
}
