package storetest

import (
	"slices"
	"testing"
	"time"

	"github.com/lethe-cloud/lethe/internal/phone"
)

// testReplicas lists replicas that live, that were released, whose lease ran out, and that started again.
func testReplicas(t *testing.T, f Fixture) {
	ctx := t.Context()
	must(t, "Ping", f.Ping(ctx))
	none, err := f.Replicas(ctx)
	must(t, "Replicas", err)
	equal(t, "replicas of none", none, nil)

	jobs := working(t, f, 3) // registers r1
	first := f.Clock.Now()
	f.Clock.Advance(time.Second)
	must(t, "Register", f.Register(ctx, "r2", time.Hour))
	must(t, "Register", f.Register(ctx, "r3", time.Hour))
	f.claim(t, jobs[0], "r1")
	f.claim(t, jobs[1], "r1")
	f.claim(t, jobs[2], "r2")
	must(t, "Release", f.Release(ctx, "r3"))
	second := f.Clock.Now()
	type seen struct {
		ID      phone.ReplicaID
		Started time.Time
		Lease   bool
		Alive   bool
		Jobs    int
	}
	look := func() []seen {
		t.Helper()
		replicas, err := f.Replicas(ctx)
		must(t, "Replicas", err)
		var all []seen
		for _, r := range replicas {
			all = append(all, seen{r.ID, r.StartedAt, !r.LeaseExpiresAt.IsZero(), r.Alive, r.Jobs})
		}
		return all
	}
	equal(t, "replicas, the latest first", look(), []seen{{"r2", second, true, true, 1}, {"r3", second, false, false, 0}, {"r1", first, true, true, 2}})

	// A lease that has run out is over before anybody has taken its jobs.
	f.expire(t, "r1")
	equal(t, "a lease that ran out", look()[2], seen{"r1", first, true, false, 2})
	_, err = f.Sweep(ctx, time.Hour)
	must(t, "Sweep", err)
	equal(t, "a lease that was taken over", look()[2], seen{"r1", first, false, false, 0})

	// The same process registers again after it lost its lease; another one is a new start.
	f.Clock.Advance(time.Second)
	must(t, "Register again", f.Register(ctx, "r1", time.Hour))
	equal(t, "a process that registered again", look()[2], seen{"r1", first, true, true, 0})
	must(t, "Register", Reopen(t, f.URL, f.Clock).Register(ctx, "r1", time.Hour))
	equal(t, "a new process", look()[0], seen{"r1", f.Clock.Now(), true, true, 0})

	// The expiry is the database's clock's, which no test moves: an hour from about now.
	replicas, err := f.Replicas(ctx)
	must(t, "Replicas", err)
	i := slices.IndexFunc(replicas, func(r phone.Replica) bool { return r.ID == "r2" })
	if left := time.Until(replicas[i].LeaseExpiresAt); left < 30*time.Minute || left > 90*time.Minute {
		t.Errorf("a lease of an hour has %s left", left)
	}

	f.exec(t, `UPDATE installation SET id = 'another'`)
	refused(t, "a ping of another installation's database", f.Ping(ctx), phone.Unavailable, "")
}
