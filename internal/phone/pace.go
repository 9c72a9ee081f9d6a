package phone

import (
	"fmt"
	"time"
)

// Pace is how fast the jobs of a request are let go, and when it stops. Jobs that the pace does not let go yet are held. A nil field
// is no rule.
type Pace struct {
	// First is the canary: how many phones must have ended before any other is let go.
	First *int `json:"first,omitempty"`
	// AtOnce is how many of the request's jobs may be let go and unfinished at the same time, over all servers and replicas.
	AtOnce *int `json:"at_once,omitempty"`
	// StopPercent stops the request when more than so many percent of the phones that have ended failed; 0: with the first that fails.
	// While fewer than First have ended, First is what the percentage is of: then it stops when the canary can no longer pass.
	StopPercent *int `json:"stop_percent,omitempty"`
}

// Check refuses a pace that cannot be kept, naming the field and the cure; nil is none, and fine.
func (p *Pace) Check() error {
	if p == nil {
		return nil
	}
	for _, f := range []struct {
		name        string
		value       *int
		least, most int
		without     string
	}{
		{"first", p.First, 1, maxPace, "there is no canary"},
		{"at_once", p.AtOnce, 1, maxPace, "all are let go at once"},
		{"stop_percent", p.StopPercent, 0, 100, "nothing stops it"},
	} {
		if f.value != nil && (*f.value < f.least || *f.value > f.most) {
			return &Error{
				Code: Invalid, Reason: ReasonPaceInvalid, Field: "pace." + f.name,
				Msg: fmt.Sprintf("pace.%s must be %d to %d; without it %s", f.name, f.least, f.most, f.without),
			}
		}
	}
	return nil
}

// maxPace is above every batch, and keeps sums small.
const maxPace = 1_000_000

// Empty reports whether the pace has no rule at all.
func (p *Pace) Empty() bool {
	return p == nil || p.First == nil && p.AtOnce == nil && p.StopPercent == nil
}

// PaceCount is how a paced request's jobs stand. Cancelled ones count nowhere: they say nothing about the others.
type PaceCount struct {
	Held      int
	Waiting   int // let go, and their phones untouched: queued or preparing
	Working   int // let go, and too far on to be cancelled
	Succeeded int
	Failed    int
}

// CountPace counts a request's jobs by their phases.
func CountPace(byPhase map[Phase]int) PaceCount {
	var c PaceCount
	for phase, n := range byPhase {
		switch {
		case phase == PhaseHeld:
			c.Held += n
		case phase.Cancellable():
			c.Waiting += n
		case phase == PhaseSucceeded:
			c.Succeeded += n
		case phase == PhaseFailed:
			c.Failed += n
		case !phase.Final():
			c.Working += n
		}
	}
	return c
}

// PaceStep is what a request's pace asks for now.
type PaceStep struct {
	Release int       // so many of the oldest held jobs
	Stop    *PaceStop // everything that has touched no phone is cancelled; nothing is released
	Over    bool      // nothing is held or could be stopped any more: the pace need not be looked at again
}

// Wait reports whether there is nothing to do until another job has ended.
func (s PaceStep) Wait() bool { return s.Release == 0 && s.Stop == nil && !s.Over }

// DecidePace decides how a paced request goes on. What is let go never makes more than AtOnce unfinished, and nothing beyond the
// first First is let go before so many have ended, in success or failure: the place of a cancelled one is taken by another.
func DecidePace(p Pace, c PaceCount) PaceStep {
	ended, open := c.Succeeded+c.Failed, c.Waiting+c.Working
	if c.Held == 0 && (c.Waiting == 0 || p.StopPercent == nil) {
		return PaceStep{Over: true}
	}
	canary := 0
	if p.First != nil {
		canary = min(*p.First, ended+open+c.Held)
	}
	of := max(ended, canary)
	if p.StopPercent != nil && c.Failed*100 > *p.StopPercent*of {
		return PaceStep{Stop: &PaceStop{Failed: c.Failed, Ended: ended, Of: of, Percent: *p.StopPercent}}
	}
	release := c.Held
	if ended < canary {
		release = min(release, canary-ended-open)
	}
	if p.AtOnce != nil {
		release = min(release, *p.AtOnce-open)
	}
	return PaceStep{Release: max(0, release)}
}

// PaceStop is how and when a paced request was stopped.
type PaceStop struct {
	At      time.Time `json:"at"`
	Failed  int       `json:"failed"`
	Ended   int       `json:"ended"`   // in success or failure, the failed among them
	Of      int       `json:"of"`      // what the percentage is of: Ended, or the canary's size
	Percent int       `json:"percent"` // what the request allows
}

// Sentence says why.
func (s PaceStop) Sentence() string {
	of := fmt.Sprint(s.Of)
	if s.Ended < s.Of {
		of = "the first " + of
	}
	return fmt.Sprintf("%d of %s phones failed, more than the %d %% that the request allows.", s.Failed, of, s.Percent)
}

// Failure is what the jobs say of themselves that the stop has cancelled.
func (s PaceStop) Failure() Failure {
	return Failure{
		Reason: ReasonRequestStopped, Msg: "The request was stopped: " + s.Sentence(),
		Detail: "Nothing was done to this phone: it is what it was before, with all its data. " + s.Cure(),
	}
}

// Cure says what to do about it.
func (PaceStop) Cure() string {
	return "See why phones failed and mend that; then lethe request retry resets those that failed and those that were not reached, at the same pace."
}
