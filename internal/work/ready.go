package work

import (
	"sync"

	"github.com/lethe-cloud/lethe/internal/phone"
)

// state is what an Engine knows of itself.
type state struct {
	mu         sync.Mutex
	lease      *lease // nil: none yet, fenced, or stopped
	delivering bool
}

func (s *state) begin(l *lease) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.lease = l
}

func (s *state) end() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.lease, s.delivering = nil, false
}

// delivers notes that work comes in under the lease, until the function that it gives is called.
func (s *state) delivers(l *lease) (done func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.delivering = s.lease == l
	return func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.delivering = false
	}
}

// Ready fails, with Unavailable and a sentence for operators, unless this replica holds its lease and work is delivered to it.
func (e *Engine) Ready() error {
	e.state.mu.Lock()
	defer e.state.mu.Unlock()
	switch s := &e.state; {
	case s.lease == nil:
		return phone.Errorf(phone.Unavailable, "", "this replica holds no lease: it is starting or stopping, or it lost its lease and registers again as soon as the database answers")
	case s.lease.over():
		return phone.Errorf(phone.Unavailable, "", "this replica's lease has run out, so it has stopped its work: the database does not take its heartbeats")
	case !s.delivering:
		return phone.Errorf(phone.Unavailable, "", "no work is delivered to this replica: it is starting or stopping")
	}
	return nil
}
