package model

import (
	"cmp"
	"context"
	"fmt"
	"runtime"
	"slices"
	"sync"
	"time"

	"github.com/lethe-cloud/lethe/internal/phone"
)

// Every call that a replica makes of the database, the queue or a host stops at a gate, and goes on when the seed says so. Between two
// gates only what one verdict woke is at work, so the order of all effects is the seed's.

// gate is one call that waits.
type gate struct {
	life    *life
	name    string // what is called
	about   string // of which job or life
	host    string // the machine's name, "" for the database
	ctx     context.Context
	answer  bool // the call was done, and its answer waits
	since   time.Time
	arrival int
	lost    error // what it answers when the seed has it fail
	goOn    chan verdict
}

// verdict is what becomes of a call.
type verdict int

const (
	goOn   verdict = iota // it is done and answers
	linger                // it is done, and its answer waits at a gate of its own
	fails                 // it is not done and answers with an error
	loses                 // it is done and answers with an error
	panics                // it is not done, and the driver panics
	late                  // its context has ended: it is done all the same, and answers with the context's error
	ended                 // its context has ended: it is not done
	lands                 // the process is dead, and the call was on its way: it is done and nobody hears of it
	dies                  // the process is dead
)

var verdictNames = [...]string{"", " (its answer waits)", " fails", " is done and fails", " panics", " lands after its context", " is given up", " lands after the kill", " dies"}

// gates are the calls that wait.
type gates struct {
	mu       sync.Mutex
	waiting  []*gate
	arrivals int
}

// wait stops a call until it gets its verdict. A dead process's goroutine ends here, and does nothing more.
func (g *gate) wait() verdict {
	w := g.life.world
	w.gates.mu.Lock()
	if g.life.dead {
		w.gates.mu.Unlock()
		runtime.Goexit()
	}
	w.gates.arrivals++
	g.arrival, g.since, g.goOn = w.gates.arrivals, time.Now(), make(chan verdict)
	w.gates.waiting = append(w.gates.waiting, g)
	w.gates.mu.Unlock()
	v := <-g.goOn
	if v == dies {
		runtime.Goexit()
	}
	return v
}

func (g *gate) String() string {
	name := g.life.String() + " " + g.name
	if g.about != "" {
		name += " " + g.about
	}
	if g.answer {
		name += ": the answer"
	}
	return name
}

// atGates gives the calls that wait and whose process is not paused, in an order that is the same in every run of a seed.
func (w *world) atGates() []*gate {
	w.gates.mu.Lock()
	defer w.gates.mu.Unlock()
	open := slices.DeleteFunc(slices.Clone(w.gates.waiting), func(g *gate) bool { return g.life.paused })
	slices.SortFunc(open, func(a, b *gate) int {
		return cmp.Or(a.since.Compare(b.since), cmp.Compare(a.String(), b.String()), cmp.Compare(a.arrival, b.arrival))
	})
	return open
}

// let gives a call its verdict and returns when everything waits again.
func (w *world) let(g *gate, v verdict) {
	w.tracef("%s%s", g, verdictNames[v])
	w.gates.mu.Lock()
	w.gates.waiting = slices.DeleteFunc(w.gates.waiting, func(other *gate) bool { return other == g })
	w.gates.mu.Unlock()
	if v == fails || v == loses {
		g.lost = w.lostAnswer(g.host != "")
	}
	g.goOn <- v
	w.rest()
}

// call takes one call through its gate; do does it.
func (g *gate) call(do func() error) error {
	if g.ctx.Err() != nil {
		return g.gaveUp()
	}
	v := g.wait()
	switch v {
	case fails:
		return g.lost
	case ended:
		return g.gaveUp()
	case panics:
		panic("the driver panics, as the seed wants it")
	}
	err := do()
	switch v {
	case lands:
		runtime.Goexit()
	case loses:
		return g.lost
	case late:
		return g.gaveUp()
	case linger:
		g.answer = true
		switch g.wait() {
		case loses:
			return g.lost
		case late, ended:
			return g.gaveUp()
		case lands:
			runtime.Goexit()
		}
	}
	return err
}

// gaveUp is how a call ends whose context did.
func (g *gate) gaveUp() error {
	if g.host != "" {
		return &phone.Error{Code: phone.Unavailable, Msg: "the call was given up", Err: g.ctx.Err()}
	}
	return g.ctx.Err()
}

// judge draws what becomes of a call.
func (w *world) judge(g *gate) verdict {
	p := w.rng.Float64()
	switch {
	case g.answer && g.ctx.Err() != nil:
		return late
	case g.answer && p < w.mood.faults:
		return loses
	case g.answer:
		return goOn
	case g.ctx.Err() != nil && p < 0.3:
		return late
	case g.ctx.Err() != nil:
		return ended
	case p < w.mood.lingers:
		return linger
	case g.name == "complete": // the queue's own: a fault of it is a kill
		return goOn
	case p < w.mood.lingers+w.mood.faults:
		return loses
	case p < w.mood.lingers+2*w.mood.faults:
		return fails
	case g.host != "" && p < w.mood.lingers+2.1*w.mood.faults:
		return panics
	}
	return goOn
}

// lostAnswer draws the error of a call that fails.
func (w *world) lostAnswer(host bool) error {
	code := phone.Unavailable
	if w.rng.IntN(3) == 0 {
		code = phone.Internal
	}
	if host {
		return phone.Errorf(code, "", "the seed wants the host to fail")
	}
	return phone.Errorf(code, "", "the seed wants the database to fail")
}

func (w *world) tracef(format string, args ...any) {
	w.trace = append(w.trace, fmt.Sprintf("%12s  ", time.Since(w.began))+fmt.Sprintf(format, args...))
}
