// Package model runs the real store, engine and use cases against a reference of the fleet, under a scheduler that a seed drives:
// which call goes on, fails or lands late, which process dies, what callers ask, what the clocks do. Everything is held against the
// reference and the invariants after each step, and a seed does the same each time.
//
// `go test` runs a few seeds; LETHE_MODEL_SEEDS says how many, for `make model`, and LETHE_MODEL_SEED runs one, with its whole trace.
package model

import (
	"fmt"
	"os"
	"strconv"
	"testing"
	"time"
)

// steps is how long a seed is, give or take a half.
const steps = 300

func number(t *testing.T, name string, otherwise uint64) uint64 {
	t.Helper()
	text := os.Getenv(name)
	if text == "" {
		return otherwise
	}
	n, err := strconv.ParseUint(text, 10, 64)
	if err != nil {
		t.Fatalf("%s=%q is no number", name, text)
	}
	return n
}

// TestModel runs seeds until one fails, or all have passed.
func TestModel(t *testing.T) {
	template := newTemplate(t)
	first, seeds := number(t, "LETHE_MODEL_FIRST", 1), number(t, "LETHE_MODEL_SEEDS", defaultSeeds)
	one := os.Getenv("LETHE_MODEL_SEED") != ""
	if one {
		first, seeds = number(t, "LETHE_MODEL_SEED", 1), 1
	}
	began, lines := time.Now(), 0
	for seed := first; seed < first+seeds; seed++ {
		r := runSeed(t, template, seed, steps, mutant{})
		lines += r.steps
		if one {
			fmt.Println(lastLines(r.trace, len(r.trace)))
		}
		if r.err != nil {
			t.Fatalf("seed %d: %v\n\nthe last of its trace:\n%s\n\nrun it again with\n\tLETHE_MODEL_SEED=%d go test -run TestModel ./test/model",
				seed, r.err, lastLines(r.trace, 60), seed)
		}
	}
	t.Logf("%d seeds, %d lines of trace, in %s", seeds, lines, time.Since(began).Round(time.Millisecond))
}
