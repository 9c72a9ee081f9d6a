package phone_test

import (
	"testing"

	"github.com/lethe-cloud/lethe/internal/phone"
)

func TestStand(t *testing.T) {
	t.Parallel()
	running := phone.Hosted{Status: phone.StatusRunning, Generation: 3, LastGeneration: 5}
	failed := phone.Hosted{Status: phone.StatusResetFailed, Generation: 3, LastGeneration: 5}
	uncreated := phone.Hosted{Status: phone.StatusCreateFailed, Generation: 0, LastGeneration: 2}
	busy := phone.Hosted{Status: phone.StatusResetting, Generation: 3, LastGeneration: 5, Busy: true}
	for _, tt := range []struct {
		name  string
		phone phone.Hosted
		life  phone.Generation
		want  phone.Standing
	}{
		{"the life that runs", running, 3, phone.StandingExpected},
		{"an earlier life", running, 2, phone.StandingOrphan},
		{"a life that never came to run", running, 4, phone.StandingOrphan},
		{"the last one that never came to run", running, 5, phone.StandingOrphan},
		{"a life above all", running, 6, phone.StandingQuarantined},
		{"the old life of a failed reset", failed, 3, phone.StandingExpected},
		{"the new life of a failed reset", failed, 5, phone.StandingExpected},
		{"between the two", failed, 4, phone.StandingOrphan},
		{"below both", failed, 1, phone.StandingOrphan},
		{"the life of a failed creation", uncreated, 2, phone.StandingExpected},
		{"the one before", uncreated, 1, phone.StandingOrphan},
		{"an earlier life of a phone at work", busy, 2, phone.StandingUnsettled},
		{"the life that runs of a phone at work", busy, 3, phone.StandingUnsettled},
		{"the life in progress", busy, 5, phone.StandingUnsettled},
		{"above all of a phone at work", busy, 6, phone.StandingQuarantined},
	} {
		if got := tt.phone.Stand(tt.life); got != tt.want {
			t.Errorf("%s is %s, want %s", tt.name, got, tt.want)
		}
	}
	// Every status has a verdict about its own life, and no status lets it be an orphan.
	for _, status := range phone.Statuses() {
		if got := (phone.Hosted{Status: status, Generation: 1, LastGeneration: 1}).Stand(1); got == phone.StandingOrphan || got == phone.StandingQuarantined {
			t.Errorf("the life of a phone that is %s is %s", status, got)
		}
	}
}
