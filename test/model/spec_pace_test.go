package model

import (
	"encoding/json"

	"github.com/lethe-cloud/lethe/internal/phone"
)

// How fast the jobs of a paced request are let go, and when it stops: by docs/operations.md, in words of its own.

// specPace is a pace; -1 is no rule.
type specPace struct {
	First, AtOnce, Stop int
}

var noPace = specPace{-1, -1, -1}

type specStop struct {
	At                         int64
	Failed, Ended, Of, Percent int
}

func paceOf(p *phone.Pace) specPace {
	of := noPace
	if p == nil {
		return of
	}
	for _, f := range []struct {
		to   *int
		from *int
	}{{&of.First, p.First}, {&of.AtOnce, p.AtOnce}, {&of.Stop, p.StopPercent}} {
		if f.from != nil {
			*f.to = *f.from
		}
	}
	return of
}

// readPace and readStop read what a request's row has; "" is none.
func readPace(text string) (specPace, error) {
	if text == "" {
		return noPace, nil
	}
	var p phone.Pace
	err := json.Unmarshal([]byte(text), &p)
	return paceOf(&p), err
}

func readStop(text string) (specStop, error) {
	if text == "" {
		return specStop{}, nil
	}
	var s phone.PaceStop
	err := json.Unmarshal([]byte(text), &s)
	return specStop{s.At.UnixMicro(), s.Failed, s.Ended, s.Of, s.Percent}, err
}

// tally is how the jobs of a request stand; what was cancelled counts nowhere.
type tally struct {
	held, open, ended, failed int // open: let go, and unfinished
	untouched                 int // of the open ones: queued or preparing
}

func (t *tally) add(p phone.Phase) {
	switch p {
	case phone.PhaseHeld:
		t.held++
	case phone.PhaseFailed:
		t.failed++
		t.ended++
	case phone.PhaseSucceeded:
		t.ended++
	case phone.PhaseCancelled:
	default:
		t.open++
		if p == phone.PhaseQueued || p == phone.PhasePreparing {
			t.untouched++
		}
	}
}

// canary is how many must have ended before any other is let go: fewer where there are not so many.
func (t tally) canary(p specPace) int {
	return max(0, min(p.First, t.ended+t.open+t.held))
}

// tooMany reports whether so many have failed that the request stops, and of how many that is a part.
func (t tally) tooMany(p specPace) (of int, stops bool) {
	of = max(t.ended, t.canary(p))
	return of, p.Stop >= 0 && t.failed*100 > p.Stop*of
}

// room reports whether one more may be let go.
func (t tally) room(p specPace) bool {
	canary := t.canary(p)
	return t.held > 0 && (p.AtOnce < 0 || t.open < p.AtOnce) && (t.ended >= canary || t.ended+t.open < canary)
}

// over reports whether the pace has nothing to say any more: nothing is held, and nothing could be stopped.
func (t tally) over(p specPace) bool {
	return t.held == 0 && (p.Stop < 0 || t.untouched == 0)
}

func (s *spec) tallyOf(id phone.RequestID) (t tally) {
	for _, j := range s.jobs {
		if j.Request == id {
			t.add(j.Phase)
		}
	}
	return t
}

// letGo puts into the queue what the pace has room for, and gives the servers of that.
func (s *spec) letGo(id phone.RequestID) map[phone.ServerID]bool {
	on := map[phone.ServerID]bool{}
	for _, j := range s.inOrder(func(j *specJob) bool { return j.Request == id && j.Phase == phone.PhaseHeld }) {
		if !s.tallyOf(id).room(s.requests[id].Pace) {
			break
		}
		j.Phase = phone.PhaseQueued
		on[j.Server] = true
	}
	return on
}

// keepPaces looks at requests, in the order of their ids, and gives how many jobs that set going.
func (s *spec) keepPaces(ids []phone.RequestID) int {
	before := s.attempts()
	for _, id := range ids {
		s.keepPace(id)
	}
	return s.attempts() - before
}

func (s *spec) keepPace(id phone.RequestID) {
	r := s.requests[id]
	if r == nil || !r.Pacing {
		return
	}
	t := s.tallyOf(id)
	if t.over(r.Pace) {
		r.Pacing = false
		return
	}
	if of, stops := t.tooMany(r.Pace); stops {
		r.Pacing, r.Stopped = false, specStop{s.wall(), t.failed, t.ended, of, r.Pace.Stop}
		s.giveBack(s.inOrder(func(j *specJob) bool { return j.Request == id && cancellable(j.Phase) }), phone.ReasonRequestStopped)
		return
	}
	on := s.letGo(id)
	r.Pacing = !s.tallyOf(id).over(r.Pace)
	for _, server := range sorted(on) {
		s.admit(server)
	}
}

// outOfPace gives the requests that something has to be done about.
func (s *spec) outOfPace() (ids []phone.RequestID) {
	for _, id := range sorted(s.requests) {
		r := s.requests[id]
		if !r.Pacing {
			continue
		}
		t := s.tallyOf(id)
		if _, stops := t.tooMany(r.Pace); stops || t.over(r.Pace) || t.room(r.Pace) {
			ids = append(ids, id)
		}
	}
	return ids
}

// giveBack cancels jobs that have touched no phone: their phones are what they were, and what waited behind them goes on.
func (s *spec) giveBack(jobs []*specJob, reason phone.Reason) {
	servers := map[phone.ServerID]bool{}
	for _, j := range jobs {
		s.end(j, phone.PhaseCancelled, reason)
		if task(j.Kind) {
			continue
		}
		p := s.phones[j.Phone]
		p.Status, p.Updated = j.PriorStatus, s.wall()
		if j.Kind == phone.KindCreate {
			p.Status = phone.StatusCreateFailed
		}
		servers[j.Server] = true
	}
	for _, server := range sorted(servers) {
		s.admit(server)
	}
}

func cancellable(p phone.Phase) bool {
	return p == phone.PhaseHeld || p == phone.PhaseQueued || p == phone.PhasePreparing
}

// mayCancel is it of a job: also a task whose turn has not come can be.
func mayCancel(j *specJob) bool {
	return cancellable(j.Phase) || j.Phase == phone.PhaseWorking && j.Attempt == 0
}

// pacedEnds mirrors what a store remembers of paced requests of which a job has ended.
type pacedEnds struct {
	woken    chan struct{}
	requests map[phone.RequestID]bool
}

func newPacedEnds() *pacedEnds {
	return &pacedEnds{woken: make(chan struct{}, 1), requests: map[phone.RequestID]bool{}}
}

func (p *pacedEnds) add(id phone.RequestID) {
	p.requests[id] = true
	p.wake()
}

func (p *pacedEnds) wake() {
	select {
	case p.woken <- struct{}{}:
	default:
	}
}

// take gives the requests. What has ended since a caller was woken is among them, and wakes nobody again.
func (p *pacedEnds) take() []phone.RequestID {
	select {
	case <-p.woken:
	default:
	}
	ids := sorted(p.requests)
	clear(p.requests)
	return ids
}
