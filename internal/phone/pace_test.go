package phone_test

import (
	"errors"
	"math/rand/v2"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/lethe-cloud/lethe/internal/phone"
)

func TestDecidePace(t *testing.T) {
	t.Parallel()
	type count = phone.PaceCount
	stop := func(failed, ended, of, percent int) phone.PaceStep {
		return phone.PaceStep{Stop: &phone.PaceStop{Failed: failed, Ended: ended, Of: of, Percent: percent}}
	}
	release := func(n int) phone.PaceStep { return phone.PaceStep{Release: n} }
	wait, over := phone.PaceStep{}, phone.PaceStep{Over: true}
	canary := phone.Pace{First: new(3)}
	slow := phone.Pace{AtOnce: new(2)}
	strict := phone.Pace{StopPercent: new(0)}
	all := phone.Pace{First: new(5), AtOnce: new(2), StopPercent: new(20)}
	tests := []struct {
		name string
		pace phone.Pace
		jobs count
		want phone.PaceStep
	}{
		{"the canary first", canary, count{Held: 10}, release(3)},
		{"the canary is under way", canary, count{Held: 7, Waiting: 1, Working: 1, Succeeded: 1}, wait},
		{"a canary job was cancelled: another takes its place", canary, count{Held: 7, Working: 2}, release(1)},
		{"the canary has ended", canary, count{Held: 7, Succeeded: 3}, release(7)},
		{"a failed canary is no reason to stop without a rule", canary, count{Held: 7, Failed: 3}, release(7)},
		{"a canary of more than all", canary, count{Held: 2}, release(2)},
		{"a canary of one that is left", canary, count{Held: 1, Succeeded: 1}, release(1)},
		{"everything was let go", canary, count{Waiting: 4, Working: 2, Succeeded: 4}, over},

		{"so many at once", slow, count{Held: 5}, release(2)},
		{"one has ended", slow, count{Held: 3, Working: 1, Failed: 1}, release(1)},
		{"none has ended", slow, count{Held: 3, Waiting: 1, Working: 1}, wait},
		{"more are open than allowed", slow, count{Held: 3, Working: 5}, wait},
		{"the last", slow, count{Held: 1, Working: 1, Succeeded: 3}, release(1)},

		{"no rule holds, all go at once", strict, count{Held: 5}, release(5)},
		{"nothing is held, but could be stopped", strict, count{Waiting: 5}, wait},
		{"the first failure", strict, count{Waiting: 3, Working: 1, Failed: 1}, stop(1, 1, 1, 0)},
		{"the first failure, of many", strict, count{Waiting: 3, Succeeded: 90, Failed: 1}, stop(1, 91, 91, 0)},
		{"nothing is left to stop", strict, count{Working: 3, Failed: 2}, over},
		{"all may fail", phone.Pace{StopPercent: new(100), AtOnce: new(1)}, count{Held: 1, Failed: 9}, release(1)},

		{"the canary at most so many at once", all, count{Held: 20}, release(2)},
		{"the canary goes on after one failure of five", all, count{Held: 18, Working: 1, Failed: 1}, release(1)},
		{"two of the first five can no longer pass", all, count{Held: 16, Working: 1, Succeeded: 1, Failed: 2}, stop(2, 3, 5, 20)},
		{"exactly what is allowed", all, count{Held: 15, Succeeded: 4, Failed: 1}, release(2)},
		{"and more than that", all, count{Held: 9, Working: 2, Succeeded: 7, Failed: 2}, stop(2, 9, 9, 20)},
		{"the last of the canary is bounded by the canary", all, count{Held: 15, Succeeded: 3, Working: 1}, release(1)},
		{"a canary of fewer than it asks for", all, count{Held: 1, Waiting: 1, Failed: 1}, stop(1, 1, 3, 20)},
		{"cancelled jobs say nothing", all, count{Held: 1, Succeeded: 4, Failed: 1}, release(1)},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got := phone.DecidePace(tt.pace, tt.jobs)
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Error(diff)
			}
			if nothing := got.Release == 0 && got.Stop == nil && !got.Over; got.Wait() != nothing {
				t.Errorf("Wait is %v", got.Wait())
			}
		})
	}
}

// Whatever the rules and however jobs end or are cancelled, a paced request comes to its end, within its bounds.
func TestPacesEnd(t *testing.T) {
	t.Parallel()
	for range 3000 {
		var pace phone.Pace
		if rand.IntN(2) == 0 {
			pace.First = new(1 + rand.IntN(8))
		}
		if rand.IntN(2) == 0 {
			pace.AtOnce = new(1 + rand.IntN(4))
		}
		if rand.IntN(2) == 0 {
			pace.StopPercent = new(rand.IntN(101))
		}
		total := 1 + rand.IntN(20)
		first := total
		if pace.First != nil {
			first = min(first, *pace.First)
		}
		c := phone.PaceCount{Held: total}
		for steps := 0; ; steps++ {
			step := phone.DecidePace(pace, c)
			if step.Stop != nil {
				if pace.StopPercent == nil || c.Failed == 0 || c.Held+c.Waiting == 0 {
					t.Fatalf("%+v of %+v stops", c, pace)
				}
				break
			}
			if step.Over {
				break
			}
			c.Held, c.Waiting = c.Held-step.Release, c.Waiting+step.Release
			open, ended := c.Waiting+c.Working, c.Succeeded+c.Failed
			if c.Held < 0 || pace.AtOnce != nil && open > *pace.AtOnce || ended < first && c.Held > 0 && open+ended > first {
				t.Fatalf("%+v is not within %+v", c, pace)
			}
			if step.Wait() && open == 0 || steps > 200 {
				t.Fatalf("%+v of %+v waits for nothing", c, pace)
			}
			endOne(&c)
		}
	}
}

// endOne lets one open job get on.
func endOne(c *phone.PaceCount) {
	switch {
	case c.Waiting > 0 && rand.IntN(8) == 0: // somebody cancels it
		c.Waiting--
	case c.Waiting > 0:
		c.Waiting, c.Working = c.Waiting-1, c.Working+1
		fallthrough
	case c.Working > 0:
		c.Working--
		if rand.IntN(4) == 0 {
			c.Failed++
		} else {
			c.Succeeded++
		}
	}
}

func TestCountPace(t *testing.T) {
	t.Parallel()
	byPhase := map[phone.Phase]int{}
	for i, phase := range phone.Phases() {
		byPhase[phase] = 1 << i
	}
	of := func(phases ...phone.Phase) (n int) {
		for _, p := range phases {
			n += byPhase[p]
		}
		return n
	}
	want := phone.PaceCount{
		Held: of(phone.PhaseHeld), Waiting: of(phone.PhaseQueued, phone.PhasePreparing),
		Working:   of(phone.PhaseStopping, phone.PhaseDeleting, phone.PhaseWorking, phone.PhaseRemoving, phone.PhaseCreating, phone.PhaseBooting, phone.PhaseVerifying, phone.PhaseRestoring),
		Succeeded: of(phone.PhaseSucceeded), Failed: of(phone.PhaseFailed),
	}
	if diff := cmp.Diff(want, phone.CountPace(byPhase)); diff != "" {
		t.Error(diff)
	}
}

func TestPaceCheck(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, field string
		pace        *phone.Pace
		empty       bool
	}{
		{"none", "", nil, true},
		{"no rule", "", &phone.Pace{}, true},
		{"all rules", "", &phone.Pace{First: new(1), AtOnce: new(1), StopPercent: new(0)}, false},
		{"the most", "", &phone.Pace{First: new(1_000_000), AtOnce: new(1_000_000), StopPercent: new(100)}, false},
		{"a canary of none", "pace.first", &phone.Pace{First: new(0)}, false},
		{"a canary of too many", "pace.first", &phone.Pace{First: new(1_000_001)}, false},
		{"none at once", "pace.at_once", &phone.Pace{AtOnce: new(0)}, false},
		{"less than none at once", "pace.at_once", &phone.Pace{AtOnce: new(-1)}, false},
		{"a negative share", "pace.stop_percent", &phone.Pace{StopPercent: new(-1)}, false},
		{"more than all", "pace.stop_percent", &phone.Pace{StopPercent: new(101)}, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if tt.pace.Empty() != tt.empty {
				t.Errorf("Empty is %v", tt.pace.Empty())
			}
			err := tt.pace.Check()
			var e *phone.Error
			switch {
			case tt.field == "" && err != nil:
				t.Error(err)
			case tt.field != "" && (!errors.As(err, &e) || e.Code != phone.Invalid || e.Reason != phone.ReasonPaceInvalid || e.Field != tt.field):
				t.Errorf("error %v", err)
			}
		})
	}
}

func TestPaceStop(t *testing.T) {
	t.Parallel()
	for want, stop := range map[string]phone.PaceStop{
		"3 of 10 phones failed, more than the 20 % that the request allows.":           {Failed: 3, Ended: 10, Of: 10, Percent: 20},
		"3 of the first 10 phones failed, more than the 20 % that the request allows.": {Failed: 3, Ended: 4, Of: 10, Percent: 20},
	} {
		if got := stop.Sentence(); got != want {
			t.Errorf("%q, want %q", got, want)
		}
		if f := stop.Failure(); f.Reason != phone.ReasonRequestStopped || f.Msg != "The request was stopped: "+want || f.Detail == "" {
			t.Errorf("%+v", f)
		}
	}
}
