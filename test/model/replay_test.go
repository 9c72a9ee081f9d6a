package model

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

// A seed does the same each time: the same calls at the same moments, with the same answers. What a failing seed prints can be run again.
func TestReplay(t *testing.T) {
	template := newTemplate(t)
	for seed := range number(t, "LETHE_MODEL_REPLAYS", defaultReplays) {
		seed += 1_000_001
		first := runSeed(t, template, seed, steps, mutant{})
		second := runSeed(t, template, seed, steps, mutant{})
		if first.err != nil {
			t.Errorf("seed %d: %v", seed, first.err)
		}
		if diff := cmp.Diff(first.trace, second.trace); diff != "" {
			t.Fatalf("seed %d does not do the same twice (-first +second):\n%s", seed, diff)
		}
	}
}
