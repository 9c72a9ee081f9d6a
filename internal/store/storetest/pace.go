package storetest

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/lethe-cloud/lethe/internal/fleet"
	"github.com/lethe-cloud/lethe/internal/phone"
	"github.com/lethe-cloud/lethe/internal/store"
)

// pacedReset accepts a reset of all phones at a pace, and gives its jobs.
func (f Fixture) pacedReset(t testing.TB, pace phone.Pace, phones ...phone.ID) (phone.RequestID, []phone.JobID) {
	t.Helper()
	in := f.ResetInput(f.Project(0), phones...)
	in.Request.Pace = &pace
	outcomes, err := f.AcceptReset(t.Context(), in)
	must(t, "AcceptReset", err)
	jobs := make([]phone.JobID, len(outcomes))
	for i, o := range outcomes {
		jobs[i] = o.Job
	}
	f.consistent(t)
	f.scheduled(t)
	return in.Request.ID, jobs
}

// paced lets Pace do what ends in this store have asked for, and gives how many jobs it set going.
func (f Fixture) paced(t testing.TB) int {
	t.Helper()
	n, err := f.Pace(t.Context())
	must(t, "Pace", err)
	f.consistent(t)
	f.scheduled(t)
	return n
}

// idle fails when Pace has something to do.
func (f Fixture) idle(t testing.TB, s *store.Store) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
	defer cancel()
	if n, err := s.Pace(ctx); n != 0 || !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("Pace set %d jobs going, %v; want nothing to do", n, err)
	}
}

func (f Fixture) progress(t testing.TB, id phone.RequestID) phone.Progress {
	t.Helper()
	p, err := f.Progress(t.Context(), f.Project(0), id)
	must(t, "Progress", err)
	return p
}

func (f Fixture) fail(t testing.TB, id phone.JobID) {
	t.Helper()
	must(t, "Fail", f.Fail(t.Context(), f.claim(t, id, "r1").Fence, phone.Failure{Reason: phone.ReasonBootExited, Msg: "it ended", Detail: "look"}))
}

// pacing counts requests whose pace is still looked at.
func (f Fixture) pacing(t testing.TB) int {
	t.Helper()
	return f.count(t, `SELECT count(*) FROM requests WHERE pacing`)
}

// testPace takes a request of 6 phones on two servers to its end: two first, then at most three at once.
func testPace(t *testing.T, f Fixture) {
	image := f.Image(t)
	in, other := f.Fleet(t, f.Project(0), image.ID, 3, 2), f.Fleet(t, f.Project(0), image.ID, 3, 2)
	must(t, "Register", f.Register(t.Context(), "r1", time.Minute))
	request, jobs := f.pacedReset(t, phone.Pace{First: new(2), AtOnce: new(3)}, append(ids(in.Phones), ids(other.Phones)...)...)
	removing, held, queued := phone.PhaseRemoving, phone.PhaseHeld, phone.PhaseQueued
	equal(t, "the canary", f.phases(t, jobs...), []phone.Phase{removing, removing, held, held, held, held})
	waiting := f.job(t, jobs[2])
	equal(t, "a held job", []any{waiting.Attempt, waiting.Owner, waiting.PhaseAt, waiting.Target},
		[]any{0, phone.ReplicaID(""), map[phone.Phase]time.Time{held: f.Clock.Now()}, phone.Generation(2)})
	equal(t, "its phone", f.phone(t, waiting.Phone).Status, phone.StatusResetting)
	p := f.progress(t, request)
	equal(t, "the progress", []any{p.ByPhase[held], p.Finished, *p.Request.Pace, p.Request.Stopped},
		[]any{4, false, phone.Pace{First: new(2), AtOnce: new(3)}, (*phone.PaceStop)(nil)})
	_, err := f.Claim(t.Context(), phone.Delivery{Job: jobs[2], Attempt: 0}, "r1")
	refused(t, "Claim of a held job", err, phone.Conflict, phone.ReasonFenced)

	accepted := f.Clock.Now()
	f.Clock.Advance(time.Minute)
	f.finish(t, f.claim(t, jobs[0], "r1"))
	f.unchanged(t, "half of the canary", func() { equal(t, "let go", f.paced(t), 0) })
	f.finish(t, f.claim(t, jobs[1], "r1"))
	equal(t, "set going after the canary", f.paced(t), 3)
	equal(t, "three at once, on both servers", f.phases(t, jobs...), []phone.Phase{phone.PhaseSucceeded, phone.PhaseSucceeded, removing, removing, removing, held})
	equal(t, "when it was let go", f.job(t, jobs[2]).PhaseAt, map[phone.Phase]time.Time{held: accepted, queued: f.Clock.Now(), removing: f.Clock.Now()})
	f.idle(t, f.Store)
	f.fail(t, jobs[3])
	equal(t, "set going by a failure", f.paced(t), 1)
	equal(t, "nothing is held, so the pace is over", f.pacing(t), 0)
	for _, id := range []phone.JobID{jobs[2], jobs[4], jobs[5]} {
		f.finish(t, f.claim(t, id, "r1"))
	}
	equal(t, "the request has finished", f.progress(t, request).Finished, true)

	// What needs no hold is not looked at again, and neither is what was refused as a whole.
	_, few := f.pacedReset(t, phone.Pace{AtOnce: new(3)}, in.Phones[0].ID, in.Phones[1].ID)
	equal(t, "fewer than at once", f.phases(t, few...), []phone.Phase{removing, removing})
	none, _ := f.pacedReset(t, phone.Pace{First: new(1), StopPercent: new(0)}, in.Phones[0].ID)
	equal(t, "all refused", f.progress(t, none).Finished, true)
	equal(t, "paces to look at", f.pacing(t), 0)
}

// testPaceStops stops a request whose canary fails: what has touched nothing is cancelled, what works goes on.
func testPaceStops(t *testing.T, f Fixture) {
	image := f.Image(t)
	in := f.Fleet(t, f.Project(0), image.ID, 8, 2)
	must(t, "Register", f.Register(t.Context(), "r1", time.Minute))
	f.exec(t, `UPDATE phones SET status = 8 WHERE id = $1`, string(in.Phones[7].ID))
	f.recount(t)
	request, jobs := f.pacedReset(t, phone.Pace{First: new(4), StopPercent: new(25)}, ids(in.Phones)...)
	behind := f.Reset(t, f.Project(0), f.Fleet(t, f.Project(0), image.ID, 1, 1).Phones[0].ID)
	f.fail(t, jobs[0])
	equal(t, "one of the first four may fail", f.paced(t), 0)
	working := f.claim(t, jobs[1], "r1")
	f.Clock.Advance(time.Minute)
	f.fail(t, jobs[2])
	equal(t, "set going by a stop", f.paced(t), 0)
	cancelled, failed := phone.PhaseCancelled, phone.PhaseFailed
	equal(t, "the jobs", f.phases(t, jobs...), []phone.Phase{failed, phone.PhaseRemoving, failed, phone.PhaseRemoving, cancelled, cancelled, cancelled, cancelled})
	equal(t, "a job of another request", f.phases(t, behind...), []phone.Phase{phone.PhaseRemoving})
	stop := phone.PaceStop{At: f.Clock.Now(), Failed: 2, Ended: 2, Of: 4, Percent: 25}
	p := f.progress(t, request)
	equal(t, "the request", []any{p.Request.Stopped, p.Finished}, []any{&stop, false})
	failure := stop.Failure()
	equal(t, "a cancelled job", f.job(t, jobs[7]).Failure, &failure)
	for i, status := range map[int]phone.Status{4: phone.StatusRunning, 7: phone.StatusStopped} {
		was := f.phone(t, in.Phones[i].ID)
		equal(t, "the phone of a cancelled job", []any{was.Status, was.Generation, was.LastGeneration}, []any{status, phone.Generation(1), phone.Generation(2)})
	}
	f.finish(t, working)
	f.unchanged(t, "an end after the stop", func() { equal(t, "set going", f.paced(t), 0) })
	f.finish(t, f.claim(t, jobs[3], "r1"))
	equal(t, "the request has finished", f.progress(t, request).Finished, true)
	equal(t, "paces to look at", f.pacing(t), 0)
}

// testPaceWithoutHold stops a request of which nothing was held: what still waits for a slot is untouched.
func testPaceWithoutHold(t *testing.T, f Fixture) {
	in := f.Fleet(t, f.Project(0), f.Image(t).ID, 4, 1)
	must(t, "Register", f.Register(t.Context(), "r1", time.Minute))
	request, jobs := f.pacedReset(t, phone.Pace{StopPercent: new(0)}, ids(in.Phones)...)
	equal(t, "the jobs", f.phases(t, jobs...), []phone.Phase{phone.PhaseRemoving, phone.PhaseQueued, phone.PhaseQueued, phone.PhaseQueued})
	f.finish(t, f.claim(t, jobs[0], "r1"))
	equal(t, "set going by the pace", f.paced(t), 0)
	f.fail(t, jobs[1])
	equal(t, "set going by the stop", f.paced(t), 0)
	// The slot that the failed job had went to the next one at once.
	equal(t, "the jobs", f.phases(t, jobs...), []phone.Phase{phone.PhaseSucceeded, phone.PhaseFailed, phone.PhaseRemoving, phone.PhaseCancelled})
	equal(t, "why", f.progress(t, request).Request.Stopped.Sentence(), "1 of 2 phones failed, more than the 0 % that the request allows.")

	// When all work already there is nothing to stop, and the pace is over.
	all := f.Fleet(t, f.Project(0), in.Phones[0].Image, 2, 2)
	request, jobs = f.pacedReset(t, phone.Pace{StopPercent: new(0)}, ids(all.Phones)...)
	equal(t, "paces to look at", f.pacing(t), 1)
	f.fail(t, jobs[0])
	equal(t, "set going", f.paced(t), 0)
	equal(t, "paces to look at, and whether it was stopped", []any{f.pacing(t), f.progress(t, request).Request.Stopped}, []any{0, (*phone.PaceStop)(nil)})
}

// testPaceCancelled cancels jobs of a paced request: one that was let go makes room for the next, and with the request all goes.
func testPaceCancelled(t *testing.T, f Fixture) {
	in := f.Fleet(t, f.Project(0), f.Image(t).ID, 5, 1)
	must(t, "Register", f.Register(t.Context(), "r1", time.Minute))
	request, jobs := f.pacedReset(t, phone.Pace{First: new(2), AtOnce: new(2)}, ids(in.Phones)...)
	cancel := func(job phone.JobID) {
		out, err := f.Cancel(t.Context(), fleet.CancelJobs{Project: f.Project(0), Job: job, Failure: cancelled})
		must(t, "Cancel", err)
		equal(t, "what came of it", out, phone.Cancellation{Cancelled: 1})
	}
	cancel(jobs[1])
	equal(t, "set going", f.paced(t), 0) // it waits for a slot
	cancel(jobs[4])
	equal(t, "set going", f.paced(t), 0)
	equal(t, "the jobs", f.phases(t, jobs...), []phone.Phase{phone.PhaseRemoving, phone.PhaseCancelled, phone.PhaseQueued, phone.PhaseHeld, phone.PhaseCancelled})
	equal(t, "when a job was queued that was never let go", f.job(t, jobs[4]).PhaseAt, map[phone.Phase]time.Time{phone.PhaseHeld: f.Clock.Now(), phone.PhaseCancelled: f.Clock.Now()})
	equal(t, "the whole request", f.cancelRequest(t, request), phone.Cancellation{Cancelled: 2, Finishing: 1, Ended: 2})
	equal(t, "set going", f.paced(t), 0)
	equal(t, "paces to look at", f.pacing(t), 0)
	f.finish(t, f.claim(t, jobs[0], "r1"))
	equal(t, "the request has finished", f.progress(t, request).Finished, true)
}

// testPaceSwept ends jobs in a process that dies before it lets the next go: the sweep of another does.
func testPaceSwept(t *testing.T, f Fixture) {
	in := f.Fleet(t, f.Project(0), f.Image(t).ID, 6, 6)
	must(t, "Register", f.Register(t.Context(), "r1", time.Minute))
	request, jobs := f.pacedReset(t, phone.Pace{AtOnce: new(2), StopPercent: new(40)}, ids(in.Phones)...)
	another := Reopen(t, f.URL, f.Clock)
	sweep := func(want int) {
		t.Helper()
		n, err := another.Sweep(t.Context(), time.Minute)
		must(t, "Sweep", err)
		equal(t, "set going by the sweep", n, want)
		f.consistent(t)
	}
	f.unchanged(t, "a sweep of what keeps its pace", func() { sweep(0) })
	f.finish(t, f.claim(t, jobs[0], "r1"))
	f.finish(t, f.claim(t, jobs[1], "r1"))
	f.idle(t, another) // another process's ends do not wake it
	sweep(2)
	sweep(0)
	f.fail(t, jobs[2])
	f.fail(t, jobs[3])
	sweep(0)
	equal(t, "stopped by the sweep", f.phases(t, jobs[4:]...), []phone.Phase{phone.PhaseCancelled, phone.PhaseCancelled})
	equal(t, "why", f.progress(t, request).Request.Stopped.Failed, 2)
	f.unchanged(t, "what this process thinks it has to do", func() { equal(t, "set going", f.paced(t), 0) })
}

// testPaceAtOnce lets three processes keep the pace of two requests at the same time, while jobs end, are cancelled and are accepted.
func testPaceAtOnce(t *testing.T, f Fixture) {
	image := f.Image(t)
	in, other := f.Fleet(t, f.Project(0), image.ID, 12, 3), f.Fleet(t, f.Project(0), image.ID, 12, 2)
	must(t, "Register", f.Register(t.Context(), "r1", time.Minute))
	// Each request has phones of both servers, in different orders.
	var mixed, mirrored []phone.ID
	for i := range 6 {
		mixed = append(mixed, in.Phones[i].ID, other.Phones[i].ID)
		mirrored = append(mirrored, other.Phones[11-i].ID, in.Phones[11-i].ID)
	}
	paces := map[phone.RequestID]int{}
	first, _ := f.pacedReset(t, phone.Pace{AtOnce: new(4)}, mixed...)
	second, _ := f.pacedReset(t, phone.Pace{First: new(3), AtOnce: new(5)}, mirrored...)
	paces[first], paces[second] = 4, 5
	ctx, end := context.WithTimeout(t.Context(), patience)
	defer end()
	var group sync.WaitGroup
	for range 3 {
		s := Reopen(t, f.URL, f.Clock)
		group.Go(func() {
			for ctx.Err() == nil {
				if _, err := s.Sweep(ctx, time.Minute); err != nil && ctx.Err() == nil {
					t.Errorf("Sweep: %v", err)
				}
			}
		})
	}
	group.Go(func() {
		for ctx.Err() == nil {
			if _, err := f.Pace(ctx); err != nil && ctx.Err() == nil {
				t.Errorf("Pace: %v", err)
			}
		}
	})
	group.Go(func() {
		defer end()
		for f.count(t, `SELECT count(*) FROM jobs WHERE ended_at IS NULL`) > 0 {
			if ctx.Err() != nil {
				t.Error("the requests have not ended")
				return
			}
			f.endSome(t, paces)
		}
	})
	group.Wait()
	f.consistent(t)
	f.scheduled(t)
	equal(t, "paces to look at", f.pacing(t), 0)
}

// endSome looks whether the requests keep their paces, and ends or cancels some of what was let go.
func (f Fixture) endSome(t testing.TB, paces map[phone.RequestID]int) {
	for request, most := range paces {
		open := f.count(t, `SELECT count(*) FROM jobs WHERE request_id = $1 AND ended_at IS NULL AND phase <> 'held'`, string(request))
		if open > most {
			t.Errorf("%d jobs were let go at once, want at most %d", open, most)
		}
		jobs, err := f.Jobs(t.Context(), fleet.JobFilter{Project: f.Project(0), Requests: []phone.RequestID{request}, Limit: 100})
		must(t, "Jobs", err)
		for _, j := range jobs {
			switch {
			case j.Phase.HoldsSlot() && rand.IntN(2) == 0:
				f.failAll(t, []phone.Outcome{{Job: j.ID}})
			case j.Phase.Cancellable() && rand.IntN(20) == 0:
				if _, err := f.Cancel(t.Context(), fleet.CancelJobs{Project: f.Project(0), Job: j.ID, Failure: cancelled}); err != nil {
					t.Errorf("Cancel: %v", err)
				}
			}
		}
	}
}

// testPaceRetry retries a stopped request: at the same pace, those that failed first.
func testPaceRetry(t *testing.T, f Fixture) {
	in := f.Fleet(t, f.Project(0), f.Image(t).ID, 4, 4)
	must(t, "Register", f.Register(t.Context(), "r1", time.Minute))
	pace := phone.Pace{First: new(1), AtOnce: new(2), StopPercent: new(0)}
	request, jobs := f.pacedReset(t, pace, ids(in.Phones)...)
	f.fail(t, jobs[0])
	f.paced(t)
	again := fleet.RetryJobs{
		Request: phone.Request{ID: phone.NewID[phone.RequestID](), Project: f.Project(0), Kind: phone.KindReset, Caller: f.Owner.User.ID, CreatedAt: f.Clock.Now()},
		Of:      request, Check: func(string, phone.Properties) *phone.Error { return nil },
	}
	id, outcomes, err := f.Retry(t.Context(), again)
	must(t, "Retry", err)
	equal(t, "the pace", f.progress(t, id).Request.Pace, &pace)
	retried := []phone.JobID{outcomes[0].Job, outcomes[1].Job, outcomes[2].Job, outcomes[3].Job}
	equal(t, "the jobs", f.phases(t, retried...), []phone.Phase{phone.PhaseRemoving, phone.PhaseHeld, phone.PhaseHeld, phone.PhaseHeld})
	equal(t, "the phone that failed comes first", f.job(t, retried[0]).Phone, in.Phones[0].ID)
	f.finish(t, f.claim(t, retried[0], "r1"))
	equal(t, "set going", f.paced(t), 2)
}

// testPacePruned keeps the ended jobs of a request that still holds others, however old they are.
func testPacePruned(t *testing.T, f Fixture) {
	in := f.Fleet(t, f.Project(0), f.Image(t).ID, 3, 3)
	must(t, "Register", f.Register(t.Context(), "r1", time.Minute))
	_, jobs := f.pacedReset(t, phone.Pace{First: new(2)}, ids(in.Phones)...)
	f.fail(t, jobs[0])
	f.finish(t, f.claim(t, f.Reset(t, f.Project(0), in.Phones[0].ID)[0], "r1"))
	prune := func() int {
		t.Helper()
		done, err := f.PruneJobs(t.Context(), f.Clock.Now(), phone.Mark{}, 100)
		must(t, "PruneJobs", err)
		return done.Jobs
	}
	f.Clock.Advance(100 * 24 * time.Hour)
	// The creations of the phones are history, except the two whose life still runs.
	equal(t, "removed", prune(), 1)
	equal(t, "a job that the pace counts", f.phases(t, jobs[0]), []phone.Phase{phone.PhaseFailed})
	f.finish(t, f.claim(t, jobs[1], "r1"))
	equal(t, "set going", f.paced(t), 1)
	f.Clock.Advance(time.Hour)
	equal(t, "removed when nothing is held", prune(), 2)
}
