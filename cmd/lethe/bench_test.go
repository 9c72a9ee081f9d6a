package main

import (
	"context"
	"iter"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/lethe-cloud/lethe/api"
	"github.com/lethe-cloud/lethe/internal/testenv"
)

// benchJob is a job that was accepted at an offset of milliseconds and reached each phase at the next ones.
func benchJob(phase string, created int, at ...int) api.Job {
	moment := func(ms int) time.Time { return time.UnixMilli(1_700_000_000_000 + int64(ms)) }
	j := api.Job{Phase: phase, CreateTime: moment(created), BeginTime: moment(at[0]), EndTime: moment(at[len(at)-1])}
	for i, name := range []string{"removing", "creating", "booting", "verifying"} {
		if i < len(at)-1 {
			j.Phases = append(j.Phases, api.PhaseTime{Phase: name, BeginTime: moment(at[i])})
		}
	}
	return j
}

func listOf[T any](all ...T) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		for _, v := range all {
			if !yield(v, nil) {
				return
			}
		}
	}
}

func TestBenchArithmetic(t *testing.T) {
	t.Parallel()
	m := measurement{
		phones: map[string]int{"a": 3, "b": 1}, slots: map[string]int{"a": 2, "b": 2}, batch: 2,
		accepts: []time.Duration{4 * time.Millisecond, 2 * time.Millisecond, 9 * time.Millisecond},
	}
	err := m.probe(listOf(
		benchJob("succeeded", 0, 1, 3, 5, 101, 110),
		benchJob("succeeded", 200, 201, 203, 205, 321, 330),
		benchJob("succeeded", 400, 401, 403, 405, 511, 520),
		benchJob("failed", 600, 601, 603, 9000),
	))
	if err != nil {
		t.Fatal(err)
	}
	failed := 0
	for _, round := range [][]api.Job{
		{benchJob("succeeded", 1000, 1001, 1002, 1003, 1113, 1120), benchJob("succeeded", 1010, 1020, 1022, 1024, 1140, 1150)},
		{benchJob("succeeded", 2000, 2100, 2101, 2102, 2202, 2270), benchJob("failed", 2000, 2100, 2101, 2102, 2250)},
	} {
		if n, err := m.round(listOf(round...), func(api.Job) { failed++ }); n != 2 || err != nil {
			t.Errorf("a round has %d jobs, %v", n, err)
		}
	}
	if failed != 1 {
		t.Errorf("%d failed jobs were passed on", failed)
	}
	broken := func(yield func(api.Job, error) bool) { yield(api.Job{}, context.Canceled) }
	if _, err := m.round(broken, nil); err != context.Canceled || m.probe(broken) != context.Canceled {
		t.Errorf("a list that fails: %v", err)
	}
	want := benchReport{
		Phones: 4, Servers: 2, BootSlots: 4, Rounds: 2, Batch: 2, Resets: 3, Failed: 1,
		Accept: percentiles{4, 9, 3},
		Boot:   percentiles{110, 116, 3},
		Reset:  percentiles{130, 170, 3},
		Total:  percentiles{140, 270, 3},
		Phases: []phasePercentiles{
			{"queued", percentiles{10, 100, 3}}, {"removing", percentiles{1, 2, 3}}, {"creating", percentiles{1, 2, 3}},
			{"booting", percentiles{110, 116, 3}}, {"verifying", percentiles{10, 68, 3}},
		},
		Slot: 110, Makespan: 210, Ideal: 220, MakespanToIdeal: 210.0 / 220, ResetsPerSecond: 3 / 0.42,
	}
	if diff := cmp.Diff(want, m.report(), cmp.AllowUnexported(phasePercentiles{}, percentiles{})); diff != "" {
		t.Errorf("report (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(benchReport{}, measurement{}.report()); diff != "" {
		t.Errorf("report of nothing: %s", diff)
	}
}

func TestPercentileIsTheNearestRank(t *testing.T) {
	t.Parallel()
	hundred := make([]time.Duration, 100)
	for i := range hundred {
		hundred[i] = time.Duration(100 - i)
	}
	for p, want := range map[int]time.Duration{50: 50, 99: 99, 100: 100, 1: 1} {
		if got := percentile(hundred, p); got != want {
			t.Errorf("p%d of 1 to 100 is %d, want %d", p, got, want)
		}
	}
	if got := percentile([]time.Duration{7}, 99); got != 7 {
		t.Errorf("p99 of one value is %d", got)
	}
}

func TestSpreadAndShare(t *testing.T) {
	t.Parallel()
	phones := make([]benchPhone, 10)
	for i := range phones {
		phones[i].id = string(rune('a' + i))
	}
	var ids string
	for _, p := range spread(phones, 3) {
		ids += p.id
	}
	if ids != "adg" || len(spread(phones[:2], 3)) != 2 {
		t.Errorf("spread chose %q, and %d of two", ids, len(spread(phones[:2], 3)))
	}
	if got := []int{share(10, 4, 0), share(10, 4, 1), share(10, 4, 2), share(10, 4, 3)}; !cmp.Equal(got, []int{3, 3, 2, 2}) {
		t.Errorf("shares of 10 among 4: %v", got)
	}
}

func TestBenchOnATemporaryInstallation(t *testing.T) {
	t.Parallel()
	for _, database := range []string{"sqlite", "postgres"} {
		t.Run(database, func(t *testing.T) {
			t.Parallel()
			args := []string{"bench", "--phones", "6", "--servers", "2", "--concurrent-boots", "2", "--boot-time", "20ms", "--rounds", "2", "--batch", "3", "--json"}
			if database == "postgres" {
				args = append(args, "--database", testenv.Postgres(t))
			}
			r := runCommand(t.Context(), noEnvironment, "", args...).must(t, 0)
			got := jsonOf[benchReport](t, r)
			if got.Phones != 6 || got.Servers != 2 || got.BootSlots != 4 || got.Resets != 12 || got.Failed != 0 || got.Accept.N != 4 || got.Batch != 3 {
				t.Errorf("counted %+v", got)
			}
			if got.Slot < 20 || got.Boot.P50 < 20 || got.Boot.N != 12 || got.Makespan < 40 || got.Ideal < 40 || got.ResetsPerSecond <= 0 {
				t.Errorf("a boot takes 20 ms and two follow one another in a slot; measured %+v", got)
			}
			if f := got.Temporary; f == nil || f.Creating < 20 || f.DatabaseBefore <= 0 || f.DatabaseAfter <= 0 || runtime.GOOS == "linux" && f.PeakMemory < 1e6 {
				t.Errorf("a temporary installation: %+v", f)
			}
			contains(t, r.stderr, "making 6 simulated phones on 2 servers", "round 2 of 2")
		})
	}
}

func TestBenchLooksForRoomFirst(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	var system syscall.Statfs_t
	if err := syscall.Statfs(dir, &system); err != nil {
		t.Fatal(err)
	}
	if err := enoughFiles(dir, 1, 24); err != nil {
		t.Error(err)
	}
	if err := enoughFiles(dir, 1<<50, 0); (err != nil) != (system.Files > 0) {
		t.Errorf("a file system of %d files and more phones than that: %v", system.Files, err)
	}
}

func TestBenchOnTheOwnFleet(t *testing.T) {
	t.Parallel()
	in := newTestInstallation(t)
	in.fleet("edge", 3)
	in.fleet("core", 2)
	refused := in.run("bench", "--server", "edge").must(t, 2)
	contains(t, refused.stderr, "resets 3 phones", "destroys all their data", "--yes")
	for _, call := range in.called() {
		if strings.HasPrefix(call, "POST") {
			t.Errorf("%s was called without --yes", call)
		}
	}
	if got := jsonOf[benchReport](t, in.run("bench", "--server", "edge", "--yes", "--rounds", "1", "--json").must(t, 0)); got.Phones != 3 || got.Resets != 3 || got.BootSlots != 2 {
		t.Errorf("of one server: %+v", got)
	}
	contains(t, in.run("bench", "--yes", "--phones", "4", "--rounds", "1").must(t, 0).stdout, "4 phones, 2 servers, 4 boot slots", "0 failed")
	contains(t, in.run("bench", "--yes", "--phones", "6").must(t, 1).stderr, "only 5 phones are running")
}

func TestBenchRefusesWhatCannotBe(t *testing.T) {
	t.Parallel()
	for _, args := range []string{
		"--phones 0", "--phones=-1", "--rounds 0", "--batch 1001", "--servers 0", "--phones 3 --servers 4", "--concurrent-boots 0", "--boot-time 0s", "--data-files=-1",
		"--server=", "--server edge --boot-time 1s", "--yes --database sqlite", "--database mysql://x",
	} {
		r := runCommand(t.Context(), noEnvironment, "", append([]string{"bench"}, strings.Fields(args)...)...)
		if r.code == exitOK || strings.Count(r.stderr, "\n") != 1 {
			t.Errorf("%s: exit code %d, stderr %q", args, r.code, r.stderr)
		}
	}
}
