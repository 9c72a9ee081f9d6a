package storetest

import (
	"testing"
	"time"

	"github.com/lethe-cloud/lethe/internal/phone"
)

// testClockSetBack makes every time of the database's clock lie an hour ahead, as one finds it when that clock was set back: nobody
// waits for an hour.
func testClockSetBack(t *testing.T, f Fixture) {
	ctx := t.Context()
	jobs := working(t, f, 3)
	server := f.job(t, jobs[0]).Server
	f.claim(t, jobs[0], "r1")
	dead := Reopen(t, f.URL, f.Clock)
	must(t, "Register", dead.Register(ctx, "dead", time.Minute))
	_, err := dead.Claim(ctx, phone.Delivery{Job: jobs[1], Attempt: 1}, "dead")
	must(t, "Claim", err)
	if _, found, err := f.DueServer(ctx, "dead", time.Minute, time.Minute); err != nil || !found {
		t.Fatalf("DueServer = %v, %v", found, err)
	}
	if n := f.count(t, `SELECT count(*) FROM river_job WHERE scheduled_at > '1971-01-01'`); n > 0 {
		t.Errorf("%d deliveries wait for a time of the clock", n)
	}
	f.exec(t, `DELETE FROM river_job`)
	f.unchanged(t, "a sweep before", func() {
		_, err := f.Sweep(ctx, time.Hour)
		must(t, "Sweep", err)
	})

	const hour = int64(time.Hour / time.Microsecond)
	f.exec(t, `UPDATE replicas SET expires_at = expires_at + $1`, hour)
	f.exec(t, `UPDATE jobs SET delivered_at = delivered_at + $1 WHERE delivered_at IS NOT NULL`, hour)
	f.exec(t, `UPDATE server_watches SET due_at = due_at + $1, expires_at = expires_at + $1`, hour)

	_, err = f.Sweep(ctx, 0)
	must(t, "Sweep", err)
	replicas, err := f.Replicas(ctx)
	must(t, "Replicas", err)
	for _, r := range replicas {
		if !r.Alive || r.LeaseExpiresAt.After(time.Now().Add(30*time.Minute)) {
			t.Errorf("the lease of %s lasts until %s (alive %v)", r.ID, r.LeaseExpiresAt, r.Alive)
		}
	}
	must(t, "Heartbeat", f.Heartbeat(ctx, "r1", time.Minute))
	j := f.job(t, jobs[2])
	if j.Attempt == 1 { // dated anew by the first sweep, and overdue for the next one
		n, err := f.Sweep(ctx, 0)
		must(t, "Sweep", err)
		equal(t, "lost deliveries", n, 1)
	}
	equal(t, "the delivery's attempt", f.job(t, jobs[2]).Attempt, 2)
	claimed, found, err := f.DueServer(ctx, "next", time.Minute, time.Minute)
	must(t, "DueServer", err)
	equal(t, "the server that is due", claimed.ID, server)
	equal(t, "whether one is due", found, true)
	refused(t, "while that pass has it", f.ClaimServer(ctx, "third", server, time.Minute), phone.Conflict, "")
}
