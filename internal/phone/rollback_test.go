package phone_test

import (
	"testing"
	"time"

	"github.com/lethe-cloud/lethe/internal/phone"
)

func TestMayTurnBack(t *testing.T) {
	t.Parallel()
	want := map[phone.Phase]bool{
		phone.PhasePreparing: true, phone.PhaseRemoving: true, phone.PhaseCreating: true, phone.PhaseBooting: true, phone.PhaseRestoring: true,
	}
	for _, phase := range phone.Phases() {
		if got := (phone.Job{Phase: phase, Rollback: true}).MayTurnBack(); got != want[phase] {
			t.Errorf("a job with the policy may turn back while it is %s: %t", phase, got)
		}
		if (phone.Job{Phase: phase}).MayTurnBack() {
			t.Errorf("a job without the policy may turn back while it is %s", phase)
		}
	}
}

func TestBringsBack(t *testing.T) {
	t.Parallel()
	for _, status := range phone.Statuses() {
		if got := (phone.Job{PriorStatus: status}).BringsBack(); got != (status == phone.StatusRunning) {
			t.Errorf("a phone that was %s is started: %t", status, got)
		}
	}
}

func TestFirstInSlot(t *testing.T) {
	t.Parallel()
	at := time.Unix(1, 0)
	for name, c := range map[string]struct {
		job  phone.Job
		want bool
	}{
		"admitted":                           {phone.Job{Phase: phone.PhaseRemoving, Attempt: 1}, true},
		"delivered again":                    {phone.Job{Phase: phone.PhaseRemoving, Attempt: 2}, false},
		"admitted after preparing":           {phone.Job{Phase: phone.PhaseRemoving, Attempt: 2, PhaseAt: map[phone.Phase]time.Time{phone.PhasePreparing: at}}, true},
		"delivered again after preparing":    {phone.Job{Phase: phone.PhaseRemoving, Attempt: 3, PhaseAt: map[phone.Phase]time.Time{phone.PhasePreparing: at}}, false},
		"never prepared, with the zero time": {phone.Job{Phase: phone.PhaseRemoving, Attempt: 2, PhaseAt: map[phone.Phase]time.Time{phone.PhasePreparing: {}}}, false},
		"preparing":                          {phone.Job{Phase: phone.PhasePreparing, Attempt: 1}, false},
	} {
		if got := c.job.FirstInSlot(); got != c.want {
			t.Errorf("%s: %t", name, got)
		}
	}
}

func TestHoldsBoth(t *testing.T) {
	t.Parallel()
	const mib = 1 << 20
	for _, tt := range []struct {
		used, free int64
		want       bool
	}{
		{0, 0, false},
		{0, 64*mib - 1, false},
		{0, 64 * mib, true},
		{1000 * mib, 1000 * mib, false},
		{1000 * mib, 1164*mib - 1, false},
		{1000 * mib, 1164 * mib, true},
	} {
		if got := (phone.Space{Used: tt.used, Free: tt.free}).HoldsBoth(); got != tt.want {
			t.Errorf("%d bytes free hold a second volume of %d: %t", tt.free, tt.used, got)
		}
	}
}
