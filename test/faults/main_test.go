// Package faults breaks a running installation from outside: it kills and pauses replicas, takes databases and hosts away, fills
// disks, sets clocks, does things on hosts by hand, and then asks the database and the hosts themselves, never lethe, whether everything
// is as it must be. It drives the real binary.
//
// `go test` runs every case for a few rounds; LETHE_FAULT_ROUNDS sets how many, for `make faults`.
package faults

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"testing"
	"time"
)

// binary is the lethe under test.
var binary string

func TestMain(m *testing.M) { os.Exit(testMain(m)) }

func testMain(m *testing.M) int {
	dir, err := os.MkdirTemp("", "lethe-faults-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	binary = filepath.Join(dir, "lethe")
	build := exec.Command("go", "build", "-o", binary, "../../cmd/lethe")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "build lethe: %v\n%s", err, out)
		return 1
	}
	flag.Parse()
	if runtime.GOMAXPROCS(0) < 6 { // the cases wait for leases and deadlines most of their time
		if err := flag.Set("test.parallel", "6"); err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
	}
	return m.Run()
}

// patience is how long anything may take that has to happen: longer than the slowest machine needs, for no test is about time.
const patience = 3 * time.Minute

// rounds is how often a case strikes: a few times, unless LETHE_FAULT_ROUNDS says how often.
func rounds(t testing.TB, few int) int {
	t.Helper()
	text := os.Getenv("LETHE_FAULT_ROUNDS")
	if text == "" {
		return few
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 {
		t.Fatalf("LETHE_FAULT_ROUNDS is %q: give a number of rounds from 1", text)
	}
	return n
}

// newRandom gives a source of chance whose seed stands in the test's log. LETHE_FAULT_SEED chooses it: the same seed strikes at
// the same places, as far as the machine lets it.
func newRandom(t testing.TB) *rand.Rand {
	t.Helper()
	seed := uint64(time.Now().UnixNano())
	if text := os.Getenv("LETHE_FAULT_SEED"); text != "" {
		var err error
		if seed, err = strconv.ParseUint(text, 10, 64); err != nil {
			t.Fatalf("LETHE_FAULT_SEED is %q: give a number", text)
		}
	}
	t.Logf("LETHE_FAULT_SEED=%d", seed)
	return rand.New(rand.NewPCG(seed, seed))
}

// eventually polls until done reports true, and fails the test when that takes longer than anything may.
func eventually(t testing.TB, what string, done func() bool) {
	t.Helper()
	began := time.Now()
	for !done() {
		took := time.Since(began)
		if took > patience {
			t.Fatalf("not within %s: %s", patience, what)
		}
		time.Sleep(min(max(5*time.Millisecond, took/50), 50*time.Millisecond)) // what takes longer is looked for less often
	}
}
