package model

import (
	"time"

	"github.com/lethe-cloud/lethe/internal/driver"
	"github.com/lethe-cloud/lethe/internal/fleet"
	"github.com/lethe-cloud/lethe/internal/phone"
	"github.com/lethe-cloud/lethe/internal/work"
)

// mutant is something that is wrong with an installation. The zero mutant is nothing.
type mutant struct {
	inStore  func(*world, work.Store) work.Store
	inCalls  func(*world, fleet.Store) fleet.Store
	inDriver func(*world, driver.Driver) driver.Driver
	inServer func(*world, phone.Server)
	inTasks  int           // how many more tasks than it may a server has at work at once
	inLease  time.Duration // how many times as long as it is an engine holds its lease to be; 0 is once
}

func (m mutant) store(w *world, real work.Store) work.Store {
	if m.inStore == nil {
		return real
	}
	return m.inStore(w, real)
}

func (m mutant) calls(w *world, real fleet.Store) fleet.Store {
	if m.inCalls == nil {
		return real
	}
	return m.inCalls(w, real)
}

func (m mutant) driver(w *world, real driver.Driver) driver.Driver {
	if m.inDriver == nil {
		return real
	}
	return m.inDriver(w, real)
}

func (m mutant) setUp(w *world, server phone.Server) {
	if m.inServer != nil {
		m.inServer(w, server)
	}
}
