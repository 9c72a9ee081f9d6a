package storetest

import (
	"strings"
	"testing"
	"time"

	"github.com/lethe-cloud/lethe/internal/fleet"
	"github.com/lethe-cloud/lethe/internal/phone"
	"github.com/lethe-cloud/lethe/internal/store"
)

// taskInput is a command for phones of the first project.
func (f Fixture) taskInput(ids ...phone.ID) fleet.AcceptTask {
	in := fleet.AcceptTask{AcceptPower: f.powerInput(phone.KindShell, ids...)}
	in.Request.Task = &phone.Task{Command: "pm list packages"}
	return in
}

// task accepts a command and gives its jobs; each must have been accepted.
func (f Fixture) task(t testing.TB, ids ...phone.ID) []phone.JobID {
	t.Helper()
	_, outcomes, err := f.AcceptTask(t.Context(), f.taskInput(ids...))
	must(t, "AcceptTask", err)
	jobs := make([]phone.JobID, len(outcomes))
	for i, o := range outcomes {
		if o.Err != nil {
			t.Fatalf("phone %s refused: %v", o.PhoneID, o.Err)
		}
		jobs[i] = o.Job
	}
	return jobs
}

// repeat gives the same n times.
func repeat[T any](v T, n int) []T {
	all := make([]T, n)
	for i := range all {
		all[i] = v
	}
	return all
}

// testTask: tasks of one phone go on beside each other and beside an update; they keep the phone as it is, and their end has what the program
// said. A phone that does not run takes none.
func testTask(t *testing.T, f Fixture) {
	ctx := t.Context()
	must(t, "Register", f.Register(ctx, "r1", time.Hour))
	in := f.Fleet(t, f.Project(0), f.Image(t).ID, 3, 2)
	id := in.Phones[0].ID
	f.stopped(t, in.Phones[1].ID)
	f.Clock.Advance(time.Minute)
	before, delivered := f.phone(t, id), len(f.queued(t))
	asked := f.taskInput(id, in.Phones[1].ID, id, phone.NewID[phone.ID](), in.Phones[2].ID)
	asked.Refused = []phone.Outcome{{ServerID: "nowhere", Err: phone.Errorf(phone.Invalid, phone.ReasonServerInvalid, "no such server")}}
	request, outcomes, err := f.AcceptTask(ctx, asked)
	must(t, "AcceptTask", err)
	var reasons []phone.Reason
	for _, o := range outcomes {
		reasons = append(reasons, reasonOf(o))
	}
	equal(t, "what is decided", reasons, []phone.Reason{"", phone.ReasonPhoneNotRunning, phone.ReasonPhoneDuplicate, phone.ReasonPhoneNotFound, "", phone.ReasonServerInvalid})
	if got, err := f.Request(ctx, f.Project(0), request); err != nil || got.Refused != 4 {
		t.Errorf("the request: %+v, %v", got, err)
	}
	more := f.task(t, id, in.Phones[2].ID)
	equal(t, "what is at work", f.phases(t, outcomes[0].Job, more[0], more[1]), repeat(phone.PhaseWorking, 3))
	equal(t, "its deliveries", len(f.queued(t))-delivered, 4)
	equal(t, "the phone", f.phone(t, id), before)
	update := fleet.AcceptUpdate{AcceptPower: f.powerInput(phone.KindUpdate, id)}
	update.Check = func(string, phone.Properties) *phone.Error { return nil }
	_, updating, err := f.AcceptUpdate(ctx, update)
	must(t, "AcceptUpdate", err)
	equal(t, "an update beside tasks", reasonOf(updating[0]), "")
	beside := f.task(t, id)
	f.consistent(t)

	a := f.claim(t, outcomes[0].Job, "r1")
	equal(t, "the assignment", []any{a.Task, a.Job.Begun, a.Job.Again(), a.Job.Target, a.Job.Prior, a.Job.PriorStatus, a.Job.Erase}, []any{*asked.Request.Task, 1, false, before.Generation, before.Generation, phone.StatusRunning, phone.EraseNone})
	for _, step := range []func(phone.Fence) error{
		func(fence phone.Fence) error { return f.Advance(ctx, fence, phone.PhaseBooting) },
		func(fence phone.Fence) error { return f.Finish(ctx, fence, phone.Receipt{}) },
		func(fence phone.Fence) error { return f.Restore(ctx, fence, phone.Failure{}) },
	} {
		refused(t, "a step that no task has", step(a.Fence), phone.Precondition, "")
	}
	must(t, "EndTask", f.EndTask(ctx, a.Fence, phone.TaskEnd{Output: "package:android"}))
	refused(t, "its end again", f.EndTask(ctx, a.Fence, phone.TaskEnd{}), phone.Conflict, phone.ReasonFenced)
	j := f.job(t, outcomes[0].Job)
	equal(t, "a task that succeeded", []any{j.Phase, j.Output, j.Failure == nil, j.PhaseAt[phone.PhaseWorking], j.EndedAt}, []any{phone.PhaseSucceeded, "package:android", true, f.Clock.Now(), f.Clock.Now()})
	failing := f.claim(t, beside[0], "r1")
	must(t, "EndTask", f.EndTask(ctx, failing.Fence, phone.TaskEnd{Output: "not found", Failure: &phone.Failure{Reason: phone.ReasonCommandFailed, Msg: "it failed"}}))
	j = f.job(t, beside[0])
	equal(t, "a task that failed", []any{j.Phase, j.Output, j.Failure.Reason}, []any{phone.PhaseFailed, "not found", phone.ReasonCommandFailed})
	equal(t, "the phone", f.phone(t, id).Status, phone.StatusRunning)
	_, _, err = f.Retry(ctx, f.retryInput(j.Request))
	refused(t, "a retry of a task", err, phone.Precondition, phone.ReasonNothingToRetry)
	finishing := f.claim(t, updating[0].Job, "r1")
	refused(t, "an update that ends as a task", f.EndTask(ctx, finishing.Fence, phone.TaskEnd{}), phone.Precondition, "")
	f.consistent(t)
}

// testTaskEnded: what ends a phone's life, or would, ends its tasks in the same transaction, and who worked on them writes nothing more.
func testTaskEnded(t *testing.T, f Fixture) {
	ctx := t.Context()
	must(t, "Register", f.Register(ctx, "r1", time.Hour))
	in := f.Fleet(t, f.Project(0), f.Image(t).ID, 5, 5)
	jobs := f.task(t, ids(in.Phones)...)
	more := f.task(t, in.Phones[0].ID)
	a := f.claim(t, jobs[0], "r1")
	dies := f.phone(t, in.Phones[3].ID)
	f.Clock.Advance(time.Minute)
	f.Reset(t, f.Project(0), in.Phones[0].ID)
	_, _, err := f.AcceptStop(ctx, f.powerInput(phone.KindStop, in.Phones[1].ID))
	must(t, "AcceptStop", err)
	_, _, err = f.acceptPlain(ctx, f.powerInput(phone.KindRestart, in.Phones[2].ID))
	must(t, "AcceptRestart", err)
	_, err = f.Died(ctx, in.Server.ID, []phone.Death{{Phone: dies.ID, Generation: dies.Generation, UpdatedAt: dies.UpdatedAt, Cause: "it ended", Start: true}})
	must(t, "Died", err)
	for i, word := range []string{"A reset", "A stop", "A restart", "died"} {
		j := f.job(t, jobs[i])
		if j.Phase != phone.PhaseFailed || j.Failure == nil || j.Failure.Reason != phone.ReasonTaskEnded || !strings.Contains(j.Failure.Msg, word) || !j.EndedAt.Equal(f.Clock.Now()) {
			t.Errorf("the task of phone %d is %s: %+v", i, j.Phase, j.Failure)
		}
	}
	equal(t, "the others", f.phases(t, more[0], jobs[4]), []phone.Phase{phone.PhaseFailed, phone.PhaseWorking})
	refused(t, "the end of an ended task", f.EndTask(ctx, a.Fence, phone.TaskEnd{}), phone.Conflict, phone.ReasonFenced)
	f.consistent(t)
	_, outcomes, err := f.AcceptTask(ctx, f.taskInput(in.Phones[0].ID))
	must(t, "AcceptTask", err)
	equal(t, "a task while it is reset", reasonOf(outcomes[0]), phone.ReasonPhoneNotRunning)

	// A task that ended after a failed reset is no reason not to retry that, and is forgotten before it.
	kept := f.resetBack(t, in.Phones[4].ID)
	late := f.task(t, in.Phones[4].ID)
	must(t, "EndTask", f.EndTask(ctx, f.claim(t, late[0], "r1").Fence, phone.TaskEnd{}))
	f.Clock.Advance(time.Hour)
	f.pruneAll(t, f.Clock.Now())
	equal(t, "what is left", f.left(t, late[0], kept, jobs[0]), []phone.JobID{kept})
	_, retried, err := f.Retry(ctx, f.retryInput(f.job(t, kept).Request))
	must(t, "Retry", err)
	equal(t, "what is retried", len(retried), 1)
	f.consistent(t)
}

// resetBack takes a phone through a reset that fails and is rolled back.
func (f Fixture) resetBack(t *testing.T, id phone.ID) phone.JobID {
	t.Helper()
	in := f.ResetInput(f.Project(0), id)
	in.Rollback = true
	outcomes, err := f.AcceptReset(t.Context(), in)
	must(t, "AcceptReset", err)
	a := f.claim(t, outcomes[0].Job, "r1")
	must(t, "Restore", f.Restore(t.Context(), a.Fence, phone.Failure{Reason: phone.ReasonBootTimeout}))
	must(t, "RolledBack", f.RolledBack(t.Context(), a.Fence, phone.Failure{Reason: phone.ReasonBootTimeout}))
	return outcomes[0].Job
}

// testTaskTurns: no more tasks of a server run at once than may, over all of its phones; the oldest go first, and one that waits can be
// cancelled. A room that nobody was told of the sweep finds.
func testTaskTurns(t *testing.T, f Fixture) {
	ctx := t.Context()
	must(t, "Register", f.Register(ctx, "r1", time.Hour))
	in := f.Fleet(t, f.Project(0), f.Image(t).ID, 2, 2)
	few := f.withTasks(t, 3)
	first, second := in.Phones[0].ID, in.Phones[1].ID
	var jobs []phone.JobID
	for range 3 {
		jobs = append(jobs, few.task(t, first, second)...)
	}
	attempts := func() (all []int) {
		for _, id := range jobs {
			all = append(all, f.job(t, id).Attempt)
		}
		return all
	}
	equal(t, "whose turn it is", attempts(), []int{1, 1, 1, 0, 0, 0})
	equal(t, "its deliveries", len(f.queued(t)), 3)
	_, err := f.Claim(ctx, phone.Delivery{Job: jobs[4]}, "r1")
	refused(t, "a claim before its turn", err, phone.Conflict, phone.ReasonFenced)
	cancelled, err := f.Cancel(ctx, fleet.CancelJobs{Project: f.Project(0), Job: jobs[3], Failure: phone.Failure{Reason: phone.ReasonCancelled}})
	must(t, "Cancel", err)
	equal(t, "one that waits", cancelled, phone.Cancellation{Cancelled: 1})
	cancelled, err = f.Cancel(ctx, fleet.CancelJobs{Project: f.Project(0), Job: jobs[0], Failure: phone.Failure{Reason: phone.ReasonCancelled}})
	must(t, "Cancel", err)
	equal(t, "one that is at work", cancelled, phone.Cancellation{Finishing: 1})
	f.consistent(t)
	must(t, "EndTask", few.EndTask(ctx, f.claimFrom(t, few, jobs[0]).Fence, phone.TaskEnd{}))
	equal(t, "after one has ended", attempts(), []int{1, 1, 1, 0, 1, 0})
	n, err := few.Sweep(ctx, time.Hour)
	if err != nil || n != 0 {
		t.Errorf("a sweep without room sets %d going, %v", n, err)
	}
	f.exec(t, `UPDATE jobs SET phase = 'failed', failure = '{}', delivered_at = NULL, ended_at = 1 WHERE id = $1`, string(jobs[1]))
	if n, err = few.Sweep(ctx, time.Hour); err != nil || n != 1 {
		t.Errorf("a sweep sets %d going, %v; want 1", n, err)
	}
	equal(t, "after the sweep", attempts(), []int{1, 1, 1, 0, 1, 1})

	// What waits is ended by a reset too, and says that it had not begun; and the room goes to others.
	jobs = append(jobs, few.task(t, second, first)...)
	f.Reset(t, f.Project(0), first)
	j := f.job(t, jobs[7])
	equal(t, "one that waited", []any{j.Phase, j.Failure.Reason, strings.Contains(j.Failure.Detail, "had not begun"), j.Attempt}, []any{phone.PhaseFailed, phone.ReasonTaskEnded, true, 0})
	equal(t, "whose turn it is then", f.job(t, jobs[6]).Attempt, 1)
	f.consistent(t)
}

// claimFrom claims by another store on the same database.
func (f Fixture) claimFrom(t testing.TB, by Fixture, id phone.JobID) phone.Assignment {
	t.Helper()
	must(t, "Register", by.Register(t.Context(), "r2", time.Hour))
	return by.claim(t, id, "r2")
}

// withTasks is the same database, opened by a store that runs so many tasks at once on a server.
func (f Fixture) withTasks(t testing.TB, most int) Fixture {
	t.Helper()
	s, err := store.Open(t.Context(), store.Config{URL: f.URL, Now: f.Clock.Now, Keys: TestKeys(t), Tasks: most})
	must(t, "Open", err)
	t.Cleanup(func() { must(t, "Close", s.Close()) })
	f.Store = s
	return f
}

// testTaskAgain: a task whose worker is gone is delivered again, and its next attempt knows whether the one before had begun it.
func testTaskAgain(t *testing.T, f Fixture) {
	ctx := t.Context()
	must(t, "Register", f.Register(ctx, "r1", time.Hour))
	in := f.Fleet(t, f.Project(0), f.Image(t).ID, 2, 2)
	jobs := f.task(t, ids(in.Phones)...)
	a := f.claim(t, jobs[0], "r1")
	again, err := f.Claim(ctx, phone.Delivery{Job: jobs[0], Attempt: 1}, "r1") // whose first answer was lost
	if err != nil || again.Job.Again() {
		t.Errorf("a claim twice: %+v, %v", again.Job, err)
	}
	must(t, "Release", f.Release(ctx, "r1"))
	must(t, "Register", f.Register(ctx, "r1", time.Hour))
	b := f.claim(t, jobs[0], "r1")
	equal(t, "the next attempt", []any{b.Job.Attempt, b.Job.Begun, b.Job.Again()}, []any{2, 1, true})
	refused(t, "the end by the attempt before", f.EndTask(ctx, a.Fence, phone.TaskEnd{}), phone.Conflict, phone.ReasonFenced)
	f.exec(t, `UPDATE jobs SET attempt = 2 WHERE id = $1`, string(jobs[1])) // a delivery that was lost before anybody claimed it
	c := f.claim(t, jobs[1], "r1")
	equal(t, "one that nobody had begun", []any{c.Job.Begun, c.Job.Again()}, []any{2, false})
}

// testTaskBound: a phone takes so many unfinished tasks and no more.
func testTaskBound(t *testing.T, f Fixture) {
	in := f.Fleet(t, f.Project(0), f.Image(t).ID, 1, 1)
	for range phone.MaxTasks {
		f.task(t, in.Phones[0].ID)
	}
	_, outcomes, err := f.AcceptTask(t.Context(), f.taskInput(in.Phones[0].ID))
	must(t, "AcceptTask", err)
	equal(t, "one more", reasonOf(outcomes[0]), phone.ReasonPhoneBusy)
	again := f.taskInput(in.Phones[0].ID)
	key := f.key("task", 1)
	again.Key = &key
	id, first, err := f.AcceptTask(t.Context(), again)
	must(t, "AcceptTask", err)
	again.Request.ID = phone.NewID[phone.RequestID]()
	same, second, err := f.AcceptTask(t.Context(), again)
	must(t, "AcceptTask", err)
	equal(t, "under a key", []any{same, reasonOf(second[0])}, []any{id, reasonOf(first[0])})
	f.consistent(t)
}
