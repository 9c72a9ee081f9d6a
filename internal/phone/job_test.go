package phone_test

import (
	"maps"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/lethe-cloud/lethe/internal/phone"
)

func TestPhase(t *testing.T) {
	t.Parallel()
	tests := []struct {
		phase  phone.Phase
		final  bool
		slot   bool
		status phone.JobStatus
	}{
		{phone.PhaseHeld, false, false, 1},
		{phone.PhaseQueued, false, false, 1},
		{phone.PhasePreparing, false, false, 1},
		{phone.PhaseStopping, false, false, 1},
		{phone.PhaseWorking, false, false, 1},
		{phone.PhaseRemoving, false, true, 1},
		{phone.PhaseCreating, false, true, 1},
		{phone.PhaseBooting, false, true, 1},
		{phone.PhaseVerifying, false, false, 1},
		{phone.PhaseRestoring, false, true, 1},
		{phone.PhaseSucceeded, true, false, 2},
		{phone.PhaseFailed, true, false, -1},
		{phone.PhaseCancelled, true, false, -1},
	}
	for i, tt := range tests {
		if got := tt.phase; got.Final() != tt.final || got.HoldsSlot() != tt.slot || got.Status() != tt.status {
			t.Errorf("%s: final %t, holds a slot %t, status %d; want %t, %t, %d", got, got.Final(), got.HoldsSlot(), got.Status(), tt.final, tt.slot, tt.status)
		}
		for j, other := range tests {
			if tt.phase.Before(other.phase) != (i < j) {
				t.Errorf("%s before %s: %t", tt.phase, other.phase, tt.phase.Before(other.phase))
			}
		}
	}
}

func TestKind(t *testing.T) {
	t.Parallel()
	if phone.KindCreate.Doing() != 1 || phone.KindCreate.Failed() != -8 || phone.KindReset.Doing() != 3 || phone.KindReset.Failed() != -5 {
		t.Error("a kind of job leaves its phone in another status than the CPH API's")
	}
	if phone.KindStop.Doing() != 7 || phone.KindStop.Done() != 8 || phone.KindStop.Failed() != -9 || phone.KindRestart.Doing() != 4 || phone.KindRestart.Done() != 2 || phone.KindRestart.Failed() != -6 {
		t.Error("a stop or a restart leaves its phone in another status than the CPH API's")
	}
	for _, kind := range phone.Kinds() {
		if kind.KeepsStatus() {
			continue
		}
		if !kind.Doing().Transitional() || kind.Done().Transitional() || kind.Failed().Transitional() {
			t.Errorf("the statuses of a %s: %s, then %s or %s", kind, kind.Doing(), kind.Done(), kind.Failed())
		}
	}
}

func TestPickAdmissions(t *testing.T) {
	t.Parallel()
	a := func(seq int64) phone.Admission { return phone.Admission{Job: phone.JobID('a'), Project: "a", Seq: seq} }
	b := func(seq int64) phone.Admission { return phone.Admission{Job: phone.JobID('b'), Project: "b", Seq: seq} }
	tests := map[string]struct {
		free       int
		held       map[phone.ProjectID]int
		candidates []phone.Admission
		want       []phone.Admission
	}{
		"no slot":           {0, nil, []phone.Admission{a(1)}, nil},
		"less than nothing": {-2, nil, []phone.Admission{a(1)}, nil},
		"nobody waits":      {3, nil, nil, nil},
		"oldest first":      {2, nil, []phone.Admission{a(1), a(2), a(3)}, []phone.Admission{a(1), a(2)}},
		"more slots":        {9, nil, []phone.Admission{a(1), b(2)}, []phone.Admission{a(1), b(2)}},
		"turn by turn":      {4, nil, []phone.Admission{a(1), a(2), a(3), b(4), b(5)}, []phone.Admission{a(1), b(4), a(2), b(5)}},
		"fewest held first": {2, map[phone.ProjectID]int{"a": 2}, []phone.Admission{a(1), b(8), b(9)}, []phone.Admission{b(8), b(9)}},
		"held, then turns":  {3, map[phone.ProjectID]int{"a": 1}, []phone.Admission{a(1), a(2), b(8), b(9)}, []phone.Admission{b(8), a(1), b(9)}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			before := maps.Clone(tt.held)
			if diff := cmp.Diff(tt.want, phone.PickAdmissions(tt.free, tt.held, tt.candidates)); diff != "" {
				t.Error(diff)
			}
			if diff := cmp.Diff(before, tt.held); diff != "" {
				t.Errorf("the caller's counts were changed: %s", diff)
			}
		})
	}
}

func TestCancelled(t *testing.T) {
	t.Parallel()
	for _, phase := range phone.Phases() {
		if got, want := phase.Cancellable(), phase == phone.PhaseHeld || phase == phone.PhaseQueued || phase == phone.PhasePreparing; got != want {
			t.Errorf("a job that is %s is cancellable: %t", phase, got)
		}
	}
	if got := (phone.Job{Kind: phone.KindReset, PriorStatus: phone.StatusStopped}).WhenCancelled(); got != phone.StatusStopped {
		t.Errorf("a stopped phone whose reset is cancelled is %s", got)
	}
	if got := (phone.Job{Kind: phone.KindCreate, PriorStatus: phone.StatusCreating}).WhenCancelled(); got != phone.StatusCreateFailed {
		t.Errorf("a phone whose creation is cancelled is %s", got)
	}
}
