package faults

import (
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"
)

// steppingClock is the wall clock of one PostgreSQL, which a test sets. The machine's own is left alone.
type steppingClock struct {
	t      testing.TB
	path   string // what libfaketime reads at each look at the clock
	offset time.Duration
}

// newSteppingClock gives a clock and the option that makes a PostgreSQL live by it.
func newSteppingClock(t testing.TB) (*steppingClock, func(*postgres)) {
	t.Helper()
	found, _ := filepath.Glob("/usr/lib/*/faketime/libfaketimeMT.so.1") // the pattern is a good one
	if len(found) == 0 {
		const missing = "needs libfaketime: install it, or run the tests with `make test`"
		if os.Getenv("CI") == "true" {
			t.Fatal(missing)
		}
		t.Skip(missing)
	}
	c := &steppingClock{t: t}
	return c, func(p *postgres) {
		c.path = filepath.Join(p.home, "clock")
		c.step(0)
		p.more = append(p.more, "LD_PRELOAD="+found[0], "FAKETIME_TIMESTAMP_FILE="+c.path, "FAKETIME_NO_CACHE=1", "FAKETIME_DONT_FAKE_MONOTONIC=1", "NO_FAKE_STAT=1")
	}
}

// step sets the clock forwards or back.
func (c *steppingClock) step(by time.Duration) {
	c.t.Helper()
	c.offset += by
	text := strconv.FormatInt(int64(c.offset.Seconds()), 10) + "s\n"
	if c.offset >= 0 {
		text = "+" + text
	}
	if err := os.WriteFile(c.path+".new", []byte(text), 0o644); err != nil {
		c.t.Fatal(err)
	}
	if err := os.Rename(c.path+".new", c.path); err != nil {
		c.t.Fatal(err)
	}
}

// The clock of PostgreSQL, by which leases run out, steps forwards and back by a minute or an hour in the middle of batches: all of
// them go through. And a replica that is killed right before the clock is set back is missed as soon as any other, not an hour later.
func TestDatabaseClockSteps(t *testing.T) {
	t.Parallel()
	clock, under := newSteppingClock(t)
	in := install(t, config{database: newPostgres(t, under).url, flags: []string{"--reconcile-every", "2s"}})
	random := newRandom(t)
	h := in.addSimulated("rack", in.addImage("first", "first"), 12, 4, `{"boot_time":"60ms","boot_spread":0.5}`)
	stepped := func() {
		t.Helper()
		var ahead float64
		in.row(`SELECT extract(epoch FROM clock_timestamp())`, nil, &ahead)
		ahead -= float64(time.Now().Unix())
		if want := clock.offset.Seconds(); ahead < want-30 || ahead > want+30 {
			t.Errorf("PostgreSQL's clock is %.0f s ahead, want %.0f: this has shown nothing", ahead, want)
		}
	}
	for range max(1, rounds(t, 1)/10) {
		for _, by := range []time.Duration{time.Hour, -time.Hour, -time.Minute, time.Minute} {
			in.resetThroughFaults(in.replicas[random.IntN(len(in.replicas))], h)
			in.awaitChanges(1 + random.IntN(12))
			clock.step(by)
			stepped()
			in.settle()
			in.wantFailed(h.id, nil)
		}
	}

	for _, r := range in.replicas {
		in.ready(r)
	}
	in.exec(`UPDATE servers SET config = '{"boot_time":"1500ms"}' WHERE id = $1`, h.id)
	in.resetThroughFaults(in.replicas[0], h)
	victim := in.awaitOwner(1)
	victim.kill()
	clock.step(-time.Hour)
	stepped()
	set := time.Now()
	eventually(t, "a dead replica's jobs are taken over although the clock was set back", func() bool { return in.owns(victim) == 0 })
	t.Logf("they were taken over after %s", time.Since(set).Round(time.Millisecond))
	in.settle()
	in.wantFailed(h.id, nil)
	in.check()
}
