package storetest

import (
	"testing"
	"time"

	"github.com/lethe-cloud/lethe/internal/phone"
)

// ResetKeeping is Reset with the rollback policy.
func (f Fixture) ResetKeeping(t testing.TB, project phone.ProjectID, ids ...phone.ID) []phone.JobID {
	t.Helper()
	in := f.ResetInput(project, ids...)
	in.Rollback = true
	outcomes, err := f.AcceptReset(t.Context(), in)
	must(t, "AcceptReset", err)
	jobs := make([]phone.JobID, len(outcomes))
	for i, o := range outcomes {
		if o.Err != nil {
			t.Fatalf("AcceptReset refused phone %s: %v", o.PhoneID, o.Err)
		}
		jobs[i] = o.Job
	}
	return jobs
}

// testRollback turns a job back from each phase that holds a slot: it keeps the slot while it restores, the first failure survives a
// crash, and the phone gets back what it was.
func testRollback(t *testing.T, f Fixture) {
	ctx := t.Context()
	in := f.Fleet(t, f.Project(0), f.Image(t).ID, 4, 1)
	must(t, "Register", f.Register(ctx, "r1", time.Minute))
	jobs := f.ResetKeeping(t, f.Project(0), ids(in.Phones)...)
	first := phone.Failure{Reason: phone.ReasonBootTimeout, Msg: "it did not boot", Detail: "raise the timeout"}
	last := phone.Failure{Reason: phone.ReasonBootTimeout, Msg: "it did not boot", Detail: "it runs its old life; raise the timeout"}
	for i, phase := range []phone.Phase{phone.PhaseRemoving, phone.PhaseCreating, phone.PhaseBooting} {
		a := f.claim(t, jobs[i], "r1")
		equal(t, "the policy", []bool{a.Job.Rollback, a.Job.RolledBack}, []bool{true, false})
		f.advance(t, a.Fence, phase)
		f.unchanged(t, "what may not be yet", func() {
			refused(t, "Erased", f.Erased(ctx, a.Fence, nil, f.Clock.Now()), phone.Precondition, "")
			refused(t, "RolledBack", f.RolledBack(ctx, a.Fence, last), phone.Precondition, "")
			refused(t, "Advance to restoring", f.Advance(ctx, a.Fence, phone.PhaseRestoring), phone.Precondition, "")
		})
		f.Clock.Advance(time.Second)
		must(t, "Restore", f.Restore(ctx, a.Fence, first))
		began := f.Clock.Now()
		f.Clock.Advance(time.Second)
		f.unchanged(t, "restoring again", func() {
			must(t, "Restore again", f.Restore(ctx, a.Fence, phone.Failure{Reason: phone.ReasonHostGone, Msg: "another"}))
		})
		f.scheduled(t)
		equal(t, "the next waits for the slot", f.job(t, jobs[i+1]).Phase, phone.PhaseQueued)
		equal(t, "the phone meanwhile", f.phone(t, in.Phones[i].ID).Status, phone.StatusResetting)

		must(t, "Register", f.Register(ctx, "r1", time.Minute)) // the process was killed, and comes back
		_, err := f.Recover(ctx, "r1")
		must(t, "Recover", err)
		a = f.claim(t, jobs[i], "r1")
		equal(t, "what the next attempt knows", []any{a.Job.Phase, a.Job.Failure, a.Job.PhaseAt[phone.PhaseRestoring], a.Job.Attempt},
			[]any{phone.PhaseRestoring, &first, began, 2})
		f.unchanged(t, "going forward from restoring", func() {
			for _, to := range []phone.Phase{phone.PhaseCreating, phone.PhaseBooting, phone.PhaseVerifying, phone.PhaseSucceeded} {
				refused(t, "Advance to "+string(to), f.Advance(ctx, a.Fence, to), phone.Precondition, "")
			}
			refused(t, "Finish", f.Finish(ctx, a.Fence, phone.Receipt{}), phone.Precondition, "")
			refused(t, "Erased", f.Erased(ctx, a.Fence, nil, f.Clock.Now()), phone.Precondition, "")
		})
		must(t, "RolledBack", f.RolledBack(ctx, a.Fence, last))
		j := f.job(t, jobs[i])
		equal(t, "the end", []any{j.Phase, j.RolledBack, j.Owner, j.EndedAt, j.Failure, j.Erase},
			[]any{phone.PhaseFailed, true, phone.ReplicaID(""), f.Clock.Now(), &last, phone.ErasePending})
		want := in.Phones[i]
		want.Status, want.Generation, want.LastGeneration, want.UpdatedAt = phone.StatusRunning, 1, 2, f.Clock.Now()
		equal(t, "the phone", f.phone(t, want.ID), want)
		f.scheduled(t)
		f.consistent(t)
	}

	// One that cannot be brought back fails as any other.
	a := f.claim(t, jobs[3], "r1")
	must(t, "Restore", f.Restore(ctx, a.Fence, first))
	must(t, "Fail", f.Fail(ctx, a.Fence, last))
	equal(t, "the phone", f.phone(t, in.Phones[3].ID).Status, phone.StatusResetFailed)
	equal(t, "rolled back", f.job(t, jobs[3]).RolledBack, false)
	f.consistent(t)
}

// testRollbackRefuses holds both writes to the jobs and phases that they are for.
func testRollbackRefuses(t *testing.T, f Fixture) {
	ctx := t.Context()
	in := f.Fleet(t, f.Project(0), f.Image(t).ID, 3, 3)
	must(t, "Register", f.Register(ctx, "r1", time.Minute))
	plain := f.claim(t, f.Reset(t, f.Project(0), in.Phones[0].ID)[0], "r1")
	f.unchanged(t, "a job without the policy", func() {
		refused(t, "Restore", f.Restore(ctx, plain.Fence, phone.Failure{}), phone.Precondition, "")
		refused(t, "RolledBack", f.RolledBack(ctx, plain.Fence, phone.Failure{}), phone.Precondition, "")
	})
	keeping := f.claim(t, f.ResetKeeping(t, f.Project(0), in.Phones[1].ID)[0], "r1")
	f.advance(t, keeping.Fence, phone.PhaseVerifying)
	f.unchanged(t, "after the point of no return", func() {
		refused(t, "Restore", f.Restore(ctx, keeping.Fence, phone.Failure{}), phone.Precondition, "")
		refused(t, "RolledBack", f.RolledBack(ctx, keeping.Fence, phone.Failure{}), phone.Precondition, "")
	})
	f.finish(t, f.claim(t, keeping.Job.ID, "r1"))
	equal(t, "a success", f.phone(t, in.Phones[1].ID).Generation, phone.Generation(2))

	// While it prepares nothing was done to the phone: it is given back at once, and the host's image is forgotten as after any failure.
	next := f.Image(t)
	reset := f.ResetInput(f.Project(0), in.Phones[2].ID)
	reset.Image, reset.Rollback = next.ID, true
	outcomes, err := f.AcceptReset(ctx, reset)
	must(t, "AcceptReset", err)
	preparing := f.claim(t, outcomes[0].Job, "r1")
	equal(t, "the phase", preparing.Job.Phase, phone.PhasePreparing)
	refused(t, "Restore", f.Restore(ctx, preparing.Fence, phone.Failure{}), phone.Precondition, "")
	must(t, "RolledBack", f.RolledBack(ctx, preparing.Fence, phone.Failure{Reason: phone.ReasonImageNotFound, Msg: "gone"}))
	got := f.phone(t, in.Phones[2].ID)
	equal(t, "the phone", []any{got.Status, got.Generation, got.Image}, []any{phone.StatusRunning, phone.Generation(1), in.Phones[2].Image})
	f.consistent(t)
}

// testRollbackCause gives an abnormal phone back with its cause, after a rollback as after a cancellation.
func testRollbackCause(t *testing.T, f Fixture) {
	ctx := t.Context()
	in := f.Fleet(t, f.Project(0), f.Image(t).ID, 1, 1)
	id := in.Phones[0].ID
	must(t, "Register", f.Register(ctx, "r1", time.Minute))
	_, err := f.Died(ctx, in.Server.ID, []phone.Death{{Phone: id, Generation: 1, UpdatedAt: f.phone(t, id).UpdatedAt, Cause: "it fell"}})
	must(t, "Died", err)
	a := f.claim(t, f.ResetKeeping(t, f.Project(0), id)[0], "r1")
	equal(t, "while it is reset", []any{f.phone(t, id).Status, f.phone(t, id).Cause}, []any{phone.StatusResetting, ""})
	must(t, "Restore", f.Restore(ctx, a.Fence, phone.Failure{Msg: "x"}))
	must(t, "RolledBack", f.RolledBack(ctx, a.Fence, phone.Failure{Msg: "x"}))
	equal(t, "rolled back", []any{f.phone(t, id).Status, f.phone(t, id).Cause}, []any{phone.StatusAbnormal, "it fell"})
	f.consistent(t)
	f.finish(t, f.claim(t, f.Reset(t, f.Project(0), id)[0], "r1"))
	equal(t, "after a success", []any{f.phone(t, id).Status, f.phone(t, id).Cause}, []any{phone.StatusRunning, ""})
}

// testRollbackRetry retries a job that was rolled back: under the same policy, from the old life.
func testRollbackRetry(t *testing.T, f Fixture) {
	ctx := t.Context()
	in := f.Fleet(t, f.Project(0), f.Image(t).ID, 1, 1)
	must(t, "Register", f.Register(ctx, "r1", time.Minute))
	reset := f.ResetInput(f.Project(0), in.Phones[0].ID)
	reset.Rollback = true
	reset.Items[0].Given = phone.Properties{"com.cph.mainkeys": "1"}
	outcomes, err := f.AcceptReset(ctx, reset)
	must(t, "AcceptReset", err)
	a := f.claim(t, outcomes[0].Job, "r1")
	must(t, "Restore", f.Restore(ctx, a.Fence, phone.Failure{Msg: "x"}))
	must(t, "RolledBack", f.RolledBack(ctx, a.Fence, phone.Failure{Msg: "x"}))
	again := f.retryInput(reset.Request.ID)
	_, outcomes, err = f.Retry(ctx, again)
	must(t, "Retry", err)
	j := f.job(t, outcomes[0].Job)
	equal(t, "the retry", []any{j.Rollback, j.Prior, j.Target, j.PriorStatus, j.Properties["com.cph.mainkeys"]},
		[]any{true, phone.Generation(1), phone.Generation(3), phone.StatusRunning, "1"})
	f.consistent(t)
}
