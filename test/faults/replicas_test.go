package faults

import (
	"math/rand/v2"
	"net/http"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sync/errgroup"

	"github.com/lethe-cloud/lethe/api"
	"github.com/lethe-cloud/lethe/internal/testenv"
)

// Any replica answers any call, with a token that another one gave, and each of them works jobs.
func TestAnyReplicaDoesEverything(t *testing.T) {
	t.Parallel()
	in := install(t, config{database: testenv.Postgres(t)})
	image := in.addImage("first", "first")
	h := in.addSimulated("rack", image, 12, 4, `{"boot_time":"20ms"}`)

	for _, probe := range []string{"/healthz", "/readyz", "/lethe/v1/healthz", "/lethe/v1/readyz"} {
		if got, err := in.send(in.replicas[2], http.MethodGet, probe, "", nil); err != nil || got.status != http.StatusOK {
			t.Errorf("GET %s: %d %s (%v)", probe, got.status, got.body, err)
		}
	}
	var listed api.Replicas
	in.call(in.replicas[1], http.MethodGet, "/lethe/v1/replicas", nil, &listed)
	if listed.Count != len(in.replicas) {
		t.Errorf("%d replicas are listed, %d run", listed.Count, len(in.replicas))
	}
	for _, r := range listed.Replicas {
		if !r.Alive || r.LeaseExpireTime.IsZero() || r.StartTime.IsZero() {
			t.Errorf("a running replica is listed as %+v", r)
		}
	}
	for i := 0; ; i++ {
		r := in.replicas[i%len(in.replicas)]
		phones := in.phones(`server_id = $1`, h.id)
		h.mark(t, phones)
		request := in.reset(r, "", phones)
		var progress api.Progress
		in.call(in.replicas[(i+1)%len(in.replicas)], http.MethodGet, "/lethe/v1/requests/"+request, nil, &progress)
		if progress.Total != len(phones) {
			t.Errorf("another replica knows %d jobs of the request, want %d", progress.Total, len(phones))
		}
		in.settle()
		if _, owners, _ := in.watch.saw(); len(owners) == len(in.replicas) {
			break
		}
		if i > 100 {
			t.Fatalf("after %d batches not every replica has worked", i)
		}
	}
	in.check()
}

// Boot slots hold over all replicas together, while batches are accepted by all of them at once.
func TestBootSlotsHoldOverAllReplicas(t *testing.T) {
	t.Parallel()
	in := install(t, config{database: testenv.Postgres(t)})
	first, second := in.addImage("first", "first"), in.addImage("second", "second")
	hosts := []*folderHost{
		in.addSimulated("rack", first, 24, 3, `{"boot_time":"80ms","boot_spread":0.5}`),
		in.addSimulated("shelf", first, 12, 1, `{"boot_time":"40ms"}`),
	}
	for round := range rounds(t, 3) {
		image := []string{second, first}[round%2]
		var shares [3][]phoneRow
		for _, h := range hosts {
			phones := in.phones(`server_id = $1`, h.id)
			h.mark(t, phones)
			for n, p := range phones {
				shares[n%len(shares)] = append(shares[n%len(shares)], p)
			}
		}
		var accepting errgroup.Group
		for i, r := range in.replicas {
			accepting.Go(func() error {
				_, err := in.tryReset(r, image, shares[i])
				return err
			})
		}
		if err := accepting.Wait(); err != nil {
			t.Fatal(err)
		}
		in.settle()
	}
	_, _, held := in.watch.saw()
	for i, slots := range []int{3, 1} {
		if held[hosts[i].id] != slots {
			t.Errorf("at most %d slots of server %s were seen in use, of %d: they were not all used", held[hosts[i].id], hosts[i].id, slots)
		}
	}
	in.check()
}

// Replicas that are killed at random moments in the middle of batches, and started again, lose nothing and run nothing twice.
func TestKillAndRestart(t *testing.T) {
	t.Parallel()
	everywhere(t, killAndRestart)
}

// everywhere runs a case with the embedded database, and with one and with three replicas on PostgreSQL.
func everywhere(t *testing.T, run func(*testing.T, config)) {
	for _, c := range []struct {
		name     string
		replicas int
	}{{"sqlite", 1}, {"replicas=1", 1}, {"replicas=3", 3}} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			database := embedded
			if c.name != embedded {
				database = testenv.Postgres(t)
			}
			run(t, config{database: database, replicas: c.replicas})
		})
	}
}

func killAndRestart(t *testing.T, c config) {
	in := install(t, c)
	random := newRandom(t)
	images := []string{in.addImage("first", "first"), in.addImage("second", "second")}
	h := in.addSimulated("rack", images[0], 15, 4, `{"boot_time":"40ms","boot_spread":0.5,"faults":[{"operation":"erase","effect":"slow","duration":"15ms"}]}`)
	left := rounds(t, 8)
	for batch := 1; left > 0; batch++ {
		phones := in.phones(`server_id = $1`, h.id)
		h.mark(t, phones)
		r := in.live()[random.IntN(len(in.live()))]
		in.ready(r)
		in.reset(r, images[batch%2], phones)
		for left > 0 && in.unfinished() > 0 {
			in.awaitChanges(1 + random.IntN(12))
			in.killAndRestart(random)
			left--
		}
		in.settle()
	}
	in.check()
}

// killAndRestart kills one replica and starts it again; now and then two of them at once.
func (in *installation) killAndRestart(random *rand.Rand) {
	in.t.Helper()
	victims := random.Perm(len(in.replicas))[:1+random.IntN(min(2, len(in.replicas)))]
	for _, i := range victims {
		in.replicas[i].kill()
	}
	for _, i := range victims {
		in.replicas[i].start()
	}
}

func (in *installation) unfinished() int {
	in.t.Helper()
	return in.count(`SELECT count(*) FROM jobs WHERE ended_at IS NULL`)
}

// awaitChanges returns after so many changes of the jobs were seen, or when all have ended: so what follows hits every kind of
// moment, and the jobs still get on.
func (in *installation) awaitChanges(changes int) {
	in.t.Helper()
	var last string
	seen := -1
	eventually(in.t, "the jobs change", func() bool {
		var now string
		in.row(`SELECT coalesce(string_agg(phase || erase || attempt || coalesce(owner, ''), ' ' ORDER BY seq), '') FROM jobs WHERE ended_at IS NULL`, nil, &now)
		if now != last {
			seen++
			last = now
		}
		return seen >= changes || now == ""
	})
}

// A replica that is killed and never comes back: others go on with its jobs when its lease has run out.
func TestKillForGood(t *testing.T) {
	t.Parallel()
	in := install(t, config{database: testenv.Postgres(t)})
	image := in.addImage("first", "first")
	h := in.addSimulated("rack", image, 12, 12, `{"boot_time":"1500ms","boot_spread":0.3}`)
	phones := in.phones(`server_id = $1`, h.id)
	h.mark(t, phones)
	in.reset(in.replicas[0], "", phones)
	victim := in.awaitOwner(1)
	dead := victim.id()
	victim.kill()
	killed := time.Now()
	left := in.jobs(`owner = $1`, dead)
	t.Logf("killed a replica at work on %d jobs", len(left))
	eventually(t, "a dead replica's jobs are taken over", func() bool { return in.owns(victim) == 0 })
	t.Logf("its jobs were taken over after %s", time.Since(killed).Round(time.Millisecond))
	in.settle()
	t.Logf("and all had ended after %s", time.Since(killed).Round(time.Millisecond))
	for _, was := range left {
		now := in.jobs(`id = $1`, was.id)[0]
		if now.attempt <= was.attempt || now.phase != "succeeded" {
			t.Errorf("%s is %s at attempt %d, it was at %d when its replica died", now, now.phase, now.attempt, was.attempt)
		}
	}

	// On the same folder its next process goes on at once.
	in.reset(in.live()[0], "", in.phones(`server_id = $1`, h.id))
	again := in.awaitOwner(1)
	was := in.jobs(`owner = $1`, again.id())
	again.kill()
	killed = time.Now()
	again.start()
	up := time.Now()
	eventually(t, "a restarted replica's jobs go on", func() bool {
		for _, j := range was {
			if now := in.jobs(`id = $1`, j.id)[0]; now.attempt <= j.attempt || now.owner == "" && now.phase != "succeeded" {
				return false
			}
		}
		return true
	})
	t.Logf("%d jobs of a replica that was started again went on after %s, %s after it listened", len(was),
		time.Since(killed).Round(time.Millisecond), time.Since(up).Round(time.Millisecond))
	in.check()
}

// awaitOwner gives a replica that works on at least n jobs.
func (in *installation) awaitOwner(n int) *replica {
	in.t.Helper()
	var owner *replica
	eventually(in.t, "a replica works on jobs", func() bool {
		for _, r := range in.live() {
			if in.owns(r) >= n {
				owner = r
				return true
			}
		}
		return false
	})
	return owner
}

// A replica that is paused for longer than its lease finds, when it wakes, that its jobs are others': it starts nothing more, what
// it had in flight does no harm, and then it works again under a new lease.
func TestPausedLongerThanTheLease(t *testing.T) {
	t.Parallel()
	in := install(t, config{database: testenv.Postgres(t)})
	image := in.addImage("first", "first")
	// The calls are slow, so that the pause finds some of them under way.
	h := in.addSimulated("rack", image, 12, 6, `{"boot_time":"300ms","faults":[
		{"operation":"remove","effect":"slow","duration":"150ms"},{"operation":"ensure","effect":"slow","duration":"150ms"},
		{"operation":"start","effect":"slow","duration":"150ms"},{"operation":"erase","effect":"slow","duration":"400ms"}]}`)
	for range max(1, rounds(t, 1)/20) {
		phones := in.phones(`server_id = $1`, h.id)
		h.mark(t, phones)
		in.reset(in.replicas[0], "", phones)
		paused := in.awaitOwner(2)
		paused.signal(syscall.SIGSTOP)
		stopped := time.Now()
		left := in.jobs(`owner = $1`, paused.id())
		eventually(t, "a paused replica's jobs are taken over", func() bool { return in.owns(paused) == 0 })
		t.Logf("%d jobs of a paused replica were taken over after %s", len(left), time.Since(stopped).Round(time.Millisecond))
		in.settle()
		before, said := h.tree(t), len(paused.said())
		paused.signal(syscall.SIGCONT)
		eventually(t, "the replica finds that it lost its lease", func() bool { return containsAfter(paused.said(), said, "lease lost") })
		in.ready(paused)
		if diff := cmp.Diff(before, h.tree(t)); diff != "" {
			t.Errorf("I3: a replica that woke after its lease changed its host (-before +after):\n%s", diff)
		}
	}

	// It is as good as any other again.
	phones := in.phones(`server_id = $1`, h.id)
	h.mark(t, phones)
	in.reset(in.replicas[1], "", phones)
	in.check()
}

// A replica that is asked to end gives its work away at the next step boundary, and others go on with it at once: nobody waits
// for its lease.
func TestStopGivesWorkAway(t *testing.T) {
	t.Parallel()
	in := install(t, config{database: testenv.Postgres(t)})
	image := in.addImage("first", "first")
	h := in.addSimulated("rack", image, 12, 8, `{"boot_time":"700ms","boot_spread":0.5}`)
	for range max(1, rounds(t, 2)/10) {
		phones := in.phones(`server_id = $1`, h.id)
		h.mark(t, phones)
		in.reset(in.replicas[0], "", phones)
		leaving := in.awaitOwner(2)
		id, owned, asked := leaving.id(), in.owns(leaving), time.Now()
		leaving.stop()
		ended := time.Now()
		if n := in.count(`SELECT count(*) FROM jobs WHERE owner = $1`, id); n > 0 {
			t.Errorf("a replica that ended in order still owns %d jobs", n)
		}
		if n := in.count(`SELECT count(*) FROM replicas WHERE id = $1 AND expires_at <> 0`, id); n > 0 {
			t.Error("a replica that ended in order still has a lease")
		}
		t.Logf("a replica at work on %d jobs ended %s after it was asked to", owned, ended.Sub(asked).Round(time.Millisecond))
		in.settle()
		t.Logf("all jobs had ended %s later", time.Since(ended).Round(time.Millisecond))
		leaving.start()
		in.ready(leaving)
	}
	in.check()
}

func containsAfter(text string, from int, part string) bool {
	return len(text) > from && strings.Contains(text[from:], part)
}
