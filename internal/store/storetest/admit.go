package storetest

import (
	"testing"
	"time"

	"github.com/lethe-cloud/lethe/internal/phone"
)

// testPrepareImage sees that of the jobs that wait for an image on a server exactly one brings it.
func testPrepareImage(t *testing.T, f Fixture) {
	ctx := t.Context()
	old, next := f.Image(t), f.Image(t)
	in := f.Fleet(t, f.Project(0), old.ID, 6, 2)
	must(t, "Register", f.Register(ctx, "r1", time.Minute))
	withNext := f.ResetInput(f.Project(0), ids(in.Phones[:3])...)
	withNext.Image = next.ID
	outcomes, err := f.AcceptReset(ctx, withNext)
	must(t, "AcceptReset", err)
	waiting := []phone.JobID{outcomes[0].Job, outcomes[1].Job, outcomes[2].Job}
	equal(t, "one prepares", f.phases(t, waiting...), []phone.Phase{phone.PhasePreparing, phone.PhaseQueued, phone.PhaseQueued})
	use, err := f.ServerUse(ctx, f.Project(0), in.Server.ID)
	must(t, "ServerUse", err)
	equal(t, "slots held while preparing", use.SlotsHeld, 0)

	// Others are not held up by it, and do not start a second one.
	others := f.Reset(t, f.Project(0), in.Phones[3].ID)
	equal(t, "a job whose image is there", f.phases(t, others...), []phone.Phase{phone.PhaseRemoving})
	more := f.ResetInput(f.Project(0), in.Phones[4].ID)
	more.Image = next.ID
	outcomes, err = f.AcceptReset(ctx, more)
	must(t, "AcceptReset", err)
	waiting = append(waiting, outcomes[0].Job)
	equal(t, "still one prepares", f.phases(t, waiting...), []phone.Phase{phone.PhasePreparing, phone.PhaseQueued, phone.PhaseQueued, phone.PhaseQueued})
	n, err := f.Sweep(ctx, time.Hour)
	must(t, "Sweep", err)
	equal(t, "jobs that a sweep set going", n, 0)

	a := f.claim(t, waiting[0], "r1")
	must(t, "Prepared", f.Prepared(ctx, a.Fence, phone.ImageIdentity{ID: "sha256:9", Digest: "repo@sha256:8"}))
	equal(t, "one slot was free", f.phases(t, waiting...), []phone.Phase{phone.PhaseRemoving, phone.PhaseQueued, phone.PhaseQueued, phone.PhaseQueued})
	refused(t, "the old fence", f.Advance(ctx, a.Fence, phone.PhaseCreating), phone.Conflict, phone.ReasonFenced)
	b := f.claim(t, waiting[0], "r1")
	equal(t, "attempt", b.Fence.Attempt, 2)
	equal(t, "identity", b.Identity, phone.ImageIdentity{ID: "sha256:9", Digest: "repo@sha256:8"})
	f.scheduled(t)

	// The job that prepares fails: the next one tries.
	third := f.Image(t)
	alone := f.Fleet(t, f.Project(0), old.ID, 2, 1)
	reset := f.ResetInput(f.Project(0), ids(alone.Phones)...)
	reset.Image = third.ID
	outcomes, err = f.AcceptReset(ctx, reset)
	must(t, "AcceptReset", err)
	first := f.claim(t, outcomes[0].Job, "r1")
	must(t, "Fail", f.Fail(ctx, first.Fence, phone.Failure{Reason: phone.ReasonImageNotFound}))
	equal(t, "the next prepares", f.phases(t, outcomes[0].Job, outcomes[1].Job), []phone.Phase{phone.PhaseFailed, phone.PhasePreparing})
}

// testImageGone sees that an image which is no longer on the host is brought there again.
func testImageGone(t *testing.T, f Fixture) {
	ctx := t.Context()
	in := f.Fleet(t, f.Project(0), f.Image(t).ID, 3, 1)
	must(t, "Register", f.Register(ctx, "r1", time.Minute))
	jobs := f.Reset(t, f.Project(0), ids(in.Phones)...)
	a := f.claim(t, jobs[0], "r1")
	must(t, "Fail", f.Fail(ctx, a.Fence, phone.Failure{Reason: phone.ReasonImageNotFound}))
	equal(t, "phases", f.phases(t, jobs...), []phone.Phase{phone.PhaseFailed, phone.PhasePreparing, phone.PhaseQueued})
	b := f.claim(t, jobs[1], "r1")
	equal(t, "identity", b.Identity, phone.ImageIdentity{})
	must(t, "Prepared", f.Prepared(ctx, b.Fence, phone.ImageIdentity{ID: "sha256:new"}))
	equal(t, "phases", f.phases(t, jobs...), []phone.Phase{phone.PhaseFailed, phone.PhaseRemoving, phone.PhaseQueued})
	equal(t, "identity", f.claim(t, jobs[1], "r1").Identity, phone.ImageIdentity{ID: "sha256:new"})
}

// testFairness shares one server's slots between two projects, of which one came first with a long queue.
func testFairness(t *testing.T, f Fixture) {
	ctx := t.Context()
	in := f.Fleet(t, f.Project(0), f.Image(t).ID, 12, 4)
	f.exec(t, `UPDATE phones SET project_id = $1 WHERE adb_port >= 20008`, string(f.Project(1)))
	must(t, "Register", f.Register(ctx, "r1", time.Minute))
	first := f.Reset(t, f.Project(0), ids(in.Phones[:8])...)
	second := f.Reset(t, f.Project(1), ids(in.Phones[8:])...)
	held := func() (a, b int) {
		return f.count(t, `SELECT count(*) FROM jobs WHERE phase = 'removing' AND project_id = $1`, string(f.Project(0))),
			f.count(t, `SELECT count(*) FROM jobs WHERE phase = 'removing' AND project_id = $1`, string(f.Project(1)))
	}
	end := func(project int, id phone.JobID) {
		j, err := f.Job(ctx, f.Project(project), id)
		must(t, "Job", err)
		a, err := f.Claim(ctx, phone.Delivery{Job: id, Attempt: j.Attempt}, "r1")
		must(t, "Claim", err)
		must(t, "Advance", f.Advance(ctx, a.Fence, phone.PhaseVerifying))
		f.scheduled(t)
	}
	type share struct{ A, B int }
	var got []share
	see := func() { a, b := held(); got = append(got, share{a, b}) }
	see()
	end(0, first[0])
	see() // the project with nothing comes first
	end(0, first[1])
	see()
	end(0, first[2])
	see() // now it is even: 2 and 2 is restored from 1 and 2
	end(1, second[0])
	see()
	end(0, first[3])
	see()
	equal(t, "slots of each project", got, []share{{4, 0}, {3, 1}, {2, 2}, {2, 2}, {2, 2}, {2, 2}})
	equal(t, "within a project the oldest comes first", f.phases(t, first...), []phone.Phase{
		phone.PhaseVerifying, phone.PhaseVerifying, phone.PhaseVerifying, phone.PhaseVerifying, phone.PhaseRemoving, phone.PhaseRemoving, phone.PhaseQueued, phone.PhaseQueued,
	})
}

func testAbnormalServer(t *testing.T, f Fixture) {
	ctx := t.Context()
	in := f.Fleet(t, f.Project(0), f.Image(t).ID, 3, 1)
	must(t, "Register", f.Register(ctx, "r1", time.Minute))
	jobs := f.Reset(t, f.Project(0), ids(in.Phones)...)
	f.exec(t, `UPDATE servers SET status = 2`)
	a := f.claim(t, jobs[0], "r1")
	must(t, "Advance", f.Advance(ctx, a.Fence, phone.PhaseVerifying))
	equal(t, "nothing starts on it", f.phases(t, jobs...), []phone.Phase{phone.PhaseVerifying, phone.PhaseQueued, phone.PhaseQueued})
	n, err := f.Sweep(ctx, time.Hour)
	must(t, "Sweep", err)
	equal(t, "nor with a sweep", n, 0)
	f.exec(t, `UPDATE servers SET status = 5`)
	n, err = f.Sweep(ctx, time.Hour)
	must(t, "Sweep", err)
	equal(t, "until it is normal again", n, 1)
	equal(t, "phases", f.phases(t, jobs...), []phone.Phase{phone.PhaseVerifying, phone.PhaseRemoving, phone.PhaseQueued})
}

// testSweepAdmits gives many servers more slots behind the store's back.
func testSweepAdmits(t *testing.T, f Fixture) {
	ctx := t.Context()
	image := f.Image(t)
	var all []phone.ID
	for range 5 {
		all = append(all, ids(f.Fleet(t, f.Project(0), image.ID, 4, 1).Phones)...)
	}
	f.Reset(t, f.Project(0), all...)
	n, err := f.Sweep(ctx, time.Hour)
	must(t, "Sweep", err)
	equal(t, "set going when nothing was missed", n, 0)
	f.exec(t, `UPDATE servers SET max_concurrent_boots = 3`)
	n, err = f.Sweep(ctx, time.Hour)
	must(t, "Sweep", err)
	equal(t, "set going", n, 10)
	f.scheduled(t)
	f.exec(t, `UPDATE servers SET max_concurrent_boots = 1`)
	n, err = f.Sweep(ctx, time.Hour)
	must(t, "Sweep", err)
	equal(t, "set going with fewer slots than are held", n, 0)
	f.exec(t, `DELETE FROM host_images`)
	n, err = f.Sweep(ctx, time.Hour)
	must(t, "Sweep", err)
	equal(t, "set going to prepare", n, 5)
}

// testSweepsTakeTurns has more servers with a queue than one sweep looks at.
func testSweepsTakeTurns(t *testing.T, f Fixture) {
	const servers = 203
	Fill(t, f.DB, f.Postgres(), Filling{Project: f.Project(0), Image: f.Image(t).ID, Servers: servers, Each: 2, Slots: 1})
	var all []phone.ID
	for i := range 2 * servers {
		all = append(all, FilledPhone(i))
	}
	f.recount(t)
	f.Reset(t, f.Project(0), all...)
	sweep := func() int {
		n, err := f.Sweep(t.Context(), time.Hour)
		must(t, "Sweep", err)
		return n
	}
	equal(t, "set going when nothing was missed", sweep()+sweep(), 0)
	f.exec(t, `UPDATE servers SET max_concurrent_boots = 2`)
	equal(t, "set going by the next two sweeps", []int{sweep(), sweep()}, []int{200, 3})
	f.scheduled(t)
}

func testSweepLostDeliveries(t *testing.T, f Fixture) {
	ctx := t.Context()
	jobs := working(t, f, 3)
	n, err := f.Sweep(ctx, 0)
	must(t, "Sweep", err)
	equal(t, "deliveries that still wait in the queue", n, 0)
	f.claim(t, jobs[0], "r1")
	f.exec(t, `DELETE FROM river_job`)
	n, err = f.Sweep(ctx, time.Hour)
	must(t, "Sweep", err)
	equal(t, "deliveries that are not overdue", n, 0)
	n, err = f.Sweep(ctx, 0)
	must(t, "Sweep", err)
	equal(t, "lost deliveries", n, 2)
	equal(t, "new deliveries", f.queued(t), map[phone.Delivery]int{{Job: jobs[1], Attempt: 2}: 1, {Job: jobs[2], Attempt: 2}: 1})
	_, err = f.Claim(ctx, phone.Delivery{Job: jobs[1], Attempt: 1}, "r1")
	refused(t, "the lost delivery, late", err, phone.Conflict, phone.ReasonFenced)
	equal(t, "phase", f.claim(t, jobs[1], "r1").Job.Phase, phone.PhaseRemoving)
}
