package storetest

import (
	"context"
	"testing"
	"time"

	"github.com/lethe-cloud/lethe/internal/phone"
)

// expire lets a lease run out: leases live by the database's clock, which a test cannot set.
func (f Fixture) expire(t testing.TB, replica phone.ReplicaID) {
	t.Helper()
	f.exec(t, `UPDATE replicas SET expires_at = 1 WHERE id = $1`, string(replica))
}

// testRestart lets a replica's process be killed and started again, before its lease has run out.
func testRestart(t *testing.T, f Fixture) {
	ctx := t.Context()
	jobs := working(t, f, 4)
	a := f.claim(t, jobs[0], "r1")
	f.advance(t, a.Fence, phone.PhaseBooting)
	b := f.claim(t, jobs[1], "r1")
	f.advance(t, b.Fence, phone.PhaseVerifying)
	done := f.claim(t, jobs[2], "r1")
	f.finish(t, done)
	f.unchanged(t, "recovering while the replica works", func() {
		n, err := f.Recover(ctx, "r1")
		must(t, "Recover", err)
		equal(t, "recovered", n, 0)
	})

	again := Reopen(t, f.URL, f.Clock)
	f.unchanged(t, "another replica's recovery", func() {
		must(t, "Register", again.Register(ctx, "r2", time.Minute))
		n, err := again.Recover(ctx, "r2")
		must(t, "Recover", err)
		equal(t, "recovered", n, 0)
	})
	must(t, "Register", again.Register(ctx, "r1", time.Minute))
	n, err := again.Recover(ctx, "r1")
	must(t, "Recover", err)
	equal(t, "recovered", n, 2)
	j := f.job(t, jobs[0])
	equal(t, "a recovered job", []any{j.Phase, j.Attempt, j.Owner}, []any{phone.PhaseBooting, 2, phone.ReplicaID("")})
	refused(t, "the earlier process's step", f.Advance(ctx, a.Fence, phone.PhaseVerifying), phone.Conflict, phone.ReasonFenced)
	refused(t, "the earlier process's heartbeat", f.Heartbeat(ctx, "r1", time.Minute), phone.Conflict, phone.ReasonFenced)
	must(t, "Heartbeat", again.Heartbeat(ctx, "r1", time.Minute))
	goesOn, err := again.Claim(ctx, phone.Delivery{Job: jobs[0], Attempt: 2}, "r1")
	must(t, "Claim", err)
	must(t, "Advance", again.Advance(ctx, goesOn.Fence, phone.PhaseVerifying))
	n, err = again.Recover(ctx, "r1")
	must(t, "Recover", err)
	equal(t, "recovered again", n, 0)
	f.scheduled(t)

	// Also when recovery comes before registration.
	third := Reopen(t, f.URL, f.Clock)
	n, err = third.Recover(ctx, "r1")
	must(t, "Recover", err)
	equal(t, "recovered before registration", n, 1)
}

func testTakeover(t *testing.T, f Fixture) {
	ctx := t.Context()
	jobs := working(t, f, 3)
	must(t, "Register", f.Register(ctx, "r2", time.Minute))
	must(t, "Register", f.Register(ctx, "r3", time.Minute))
	a, b, c := f.claim(t, jobs[0], "r1"), f.claim(t, jobs[1], "r2"), f.claim(t, jobs[2], "r3")
	f.expire(t, "r1")
	must(t, "Heartbeat of a lease that has run out and nobody took over", f.Heartbeat(ctx, "r1", time.Minute))
	n, err := f.Sweep(ctx, time.Hour)
	must(t, "Sweep", err)
	equal(t, "taken over while all live", n, 0)

	f.expire(t, "r1")
	n, err = f.Sweep(ctx, time.Hour)
	must(t, "Sweep", err)
	equal(t, "taken over by a sweep", n, 1)
	f.expire(t, "r2")
	n, err = f.Recover(ctx, "r3")
	must(t, "Recover", err)
	equal(t, "taken over by another's recovery", n, 1)
	for _, fence := range []phone.Fence{a.Fence, b.Fence} {
		refused(t, "a step after the takeover", f.Advance(ctx, fence, phone.PhaseCreating), phone.Conflict, phone.ReasonFenced)
		refused(t, "a heartbeat after the takeover", f.Heartbeat(ctx, fence.Replica, time.Minute), phone.Conflict, phone.ReasonFenced)
	}
	must(t, "the third's step", f.Advance(ctx, c.Fence, phone.PhaseCreating))
	must(t, "the third's heartbeat", f.Heartbeat(ctx, "r3", time.Minute))
	equal(t, "owner after the takeover", f.claim(t, jobs[0], "r3").Job.Attempt, 2)
	n, err = f.Sweep(ctx, time.Hour)
	must(t, "Sweep", err)
	equal(t, "taken over again", n, 0)

	// A replica that was taken over while it was about to claim.
	late, err := f.Claim(ctx, phone.Delivery{Job: jobs[1], Attempt: 2}, "r2")
	must(t, "Claim", err)
	n, err = f.Sweep(ctx, time.Hour)
	must(t, "Sweep", err)
	equal(t, "taken over from a replica without a lease", n, 1)
	refused(t, "its step", f.Advance(ctx, late.Fence, phone.PhaseCreating), phone.Conflict, phone.ReasonFenced)
	refused(t, "a heartbeat of nobody", f.Heartbeat(ctx, "r9", time.Minute), phone.Conflict, phone.ReasonFenced)

	must(t, "Register after the takeover", f.Register(ctx, "r2", time.Minute))
	must(t, "Heartbeat", f.Heartbeat(ctx, "r2", time.Minute))
}

func testRelease(t *testing.T, f Fixture) {
	ctx := t.Context()
	jobs := working(t, f, 3)
	must(t, "Register", f.Register(ctx, "r2", time.Minute))
	a, kept := f.claim(t, jobs[0], "r1"), f.claim(t, jobs[1], "r2")
	f.advance(t, a.Fence, phone.PhaseBooting)
	must(t, "Release", f.Release(ctx, "r1"))
	j := f.job(t, jobs[0])
	equal(t, "a released job", []any{j.Phase, j.Attempt, j.Owner}, []any{phone.PhaseBooting, 2, phone.ReplicaID("")})
	equal(t, "deliveries", f.queued(t), map[phone.Delivery]int{
		{Job: jobs[0], Attempt: 1}: 1, {Job: jobs[0], Attempt: 2}: 1, {Job: jobs[1], Attempt: 1}: 1, {Job: jobs[2], Attempt: 1}: 1,
	})
	refused(t, "a heartbeat after the release", f.Heartbeat(ctx, "r1", time.Minute), phone.Conflict, phone.ReasonFenced)
	must(t, "another replica's step", f.Advance(ctx, kept.Fence, phone.PhaseCreating))
	must(t, "Release twice", f.Release(ctx, "r1"))
	equal(t, "attempt after a second release", f.job(t, jobs[0]).Attempt, 2)
}

// testDeadProcess lets a process die with deliveries that it had fetched and not claimed.
func testDeadProcess(t *testing.T, f Fixture) {
	ctx := t.Context()
	jobs := working(t, f, 3)
	fetched := make(chan phone.Delivery, len(jobs))
	deliverCtx, stop := context.WithCancel(context.WithoutCancel(ctx))
	hang := make(chan struct{})
	stopped := make(chan error, 1)
	go func() {
		stopped <- f.Deliver(deliverCtx, 10, 10, func(_ context.Context, d phone.Delivery) {
			fetched <- d
			<-hang
		})
	}()
	defer func() {
		close(hang)
		stop()
		if err := <-stopped; err != nil {
			t.Errorf("Deliver: %v", err)
		}
	}()
	for range jobs {
		receive(t, fetched)
	}
	equal(t, "deliveries in the dead process", f.count(t, `SELECT count(*) FROM river_job WHERE state = 'running'`), len(jobs))

	again := Reopen(t, f.URL, f.Clock)
	must(t, "Register", again.Register(ctx, "r1", time.Minute))
	n, err := again.Recover(ctx, "r1")
	must(t, "Recover", err)
	equal(t, "recovered", n, len(jobs))
	equal(t, "stale rows", f.count(t, `SELECT count(*) FROM river_job WHERE state = 'running' AND CAST(args ->> 'attempt' AS BIGINT) = 1`), 0)
	for _, id := range jobs {
		equal(t, "attempt", f.job(t, id).Attempt, 2)
	}
}

// receive gives the next value, or ends the test when none comes.
func receive[T any](t testing.TB, c <-chan T) T {
	t.Helper()
	select {
	case v := <-c:
		return v
	case <-time.After(patience):
		t.Fatal("nothing came")
		panic("unreachable")
	}
}
