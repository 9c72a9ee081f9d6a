package model

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/lethe-cloud/lethe/internal/driver"
	"github.com/lethe-cloud/lethe/internal/phone"
	"github.com/lethe-cloud/lethe/internal/store"
	"github.com/lethe-cloud/lethe/internal/work"
)

// The engine's settings in the model: short enough that leases, sweeps and deadlines all matter in one seed.
const (
	leaseTTL     = 10 * time.Second
	sweepEvery   = 1700 * time.Millisecond
	unclaimed    = 8 * time.Second
	hostDeadline = 30 * time.Second
	bootTimeout  = 20 * time.Second
	stopGrace    = 3 * time.Second
	grace        = 3 * time.Second
)

// replica is a data folder: an id that outlives its processes.
type replica struct {
	name  string
	id    phone.ReplicaID
	lives int
	life  *life // nil: no process serves it
}

// life is one process of a replica, from its start to its end.
type life struct {
	world   *world
	replica *replica
	number  int
	store   *store.Store
	engine  *work.Engine
	ctx     context.Context
	stop    context.CancelFunc
	wg      sync.WaitGroup // of the engine and the passes
	ended   chan struct{}  // closed: the engine's Run has returned, with err
	err     error

	dead, paused, stopping bool
	released               bool  // it has given its jobs and its lease back
	incarnation            int64 // that it registered last
	process                string
	passes                 int

	// As the engine should believe in it: when the lease was renewed last, by the monotonic clock.
	leaseMu sync.Mutex
	renewed time.Time

	paced     *pacedEnds
	deliverTo func(context.Context, phone.Delivery) // nil: the engine takes no deliveries
	deliverIn context.Context
	handling  map[phone.Delivery]bool
	delivered sync.WaitGroup
}

func (l *life) String() string { return fmt.Sprintf("%s.%d", l.replica.name, l.number) }

// start begins a new process of the replica.
func (w *world) start(r *replica) error {
	real, err := w.open()
	if err != nil {
		return fmt.Errorf("open the database: %w", err)
	}
	r.lives++
	l := &life{world: w, replica: r, number: r.lives, store: real, ended: make(chan struct{}), handling: map[phone.Delivery]bool{}, paced: newPacedEnds()}
	l.ctx, l.stop = context.WithCancel(context.Background())
	l.engine = work.New(work.Config{
		Store: gatedStore{life: l, real: w.wrong.store(w, real)}, Queue: queue{l}, Hosts: hosts{l}, Replica: r.id, Logger: w.log, Now: w.now,
		Workers: 100, LeaseTTL: leaseTTL * max(1, w.wrong.inLease), SweepEvery: sweepEvery, Unclaimed: unclaimed, HostDeadline: hostDeadline,
		ReconcileGrace: grace, RestartDead: true, StopGrace: stopGrace,
	})
	r.life = l
	w.lives = append(w.lives, l)
	l.wg.Go(func() {
		defer w.handOver()
		defer close(l.ended)
		l.err = l.engine.Run(l.ctx)
	})
	w.rest()
	return nil
}

// kill ends the process as SIGKILL does: whatever waits at a gate ends there, except calls that were on their way already.
func (w *world) kill(l *life, onTheirWay func(*gate) bool) {
	w.gates.mu.Lock()
	l.dead, l.paused = true, false
	w.gates.mu.Unlock()
	for _, g := range w.atGates() {
		switch {
		case g.life != l:
		case !g.answer && onTheirWay(g):
			w.let(g, lands)
		default:
			w.let(g, dies)
		}
	}
	l.stop()
	w.rest()
	l.replica.life = nil
}

// bury closes what processes that are gone have left open. It reports whether none is left that is still ending.
func (w *world) bury() (all bool) {
	all = true
	for _, l := range w.lives {
		if l.store == nil || !l.dead {
			continue
		}
		select {
		case <-l.ended:
		default:
			all = false
			continue
		}
		if l.passes > 0 {
			all = false
			continue
		}
		if err := l.store.Close(); err != nil {
			w.fail("close the database of %s: %v", l, err)
		}
		l.store = nil
	}
	return all
}

// leaseOver reports whether the engine must have stopped to believe in its lease.
func (l *life) leaseOver() bool {
	l.leaseMu.Lock()
	defer l.leaseMu.Unlock()
	return !time.Now().Before(l.renewed.Add(leaseTTL - leaseTTL/5))
}

func (l *life) renew(sent time.Time) {
	l.leaseMu.Lock()
	defer l.leaseMu.Unlock()
	l.renewed = sent
}

// queue is a life's work.Queue: the deliveries that stand in River's table, handed out when the seed says so. What River itself does
// besides (polling, notifications, batches of completions) has goroutines and clocks of its own and is no part of the model.
type queue struct{ *life }

func (q queue) Deliver(ctx context.Context, _, _ int, handle func(context.Context, phone.Delivery)) error {
	q.deliverIn, q.deliverTo = ctx, handle
	<-ctx.Done()
	q.deliverTo = nil
	q.world.handOver()
	q.delivered.Wait()
	return nil
}

// hand gives a delivery to the life's engine. Afterwards it is taken out of the table, or put back when the process was told to stop.
func (w *world) hand(l *life, d phone.Delivery, stale bool) {
	l.handling[d] = true
	handle, ctx := l.deliverTo, l.deliverIn
	l.delivered.Go(func() {
		defer w.handOver()
		handle(ctx, d)
		if !stale {
			g := &gate{life: l, name: "complete", about: w.nameOf(d), ctx: context.Background()}
			_ = g.call(func() error { w.complete(d, ctx.Err() != nil); return nil })
		}
		delete(l.handling, d)
	})
	w.rest()
}

// hosts gives the life's drivers.
type hosts struct{ *life }

type inPass struct{}

func (h hosts) Driver(ctx context.Context, server phone.Server) (driver.Driver, error) {
	m, known := h.world.machines[server.Endpoint]
	if !known {
		return nil, phone.Errorf(phone.Invalid, "", "there is no host %s", server.Endpoint)
	}
	pass, _ := ctx.Value(inPass{}).(string)
	real := h.world.wrong.driver(h.world, handle{m, h.world.owner(server.ID)})
	return faultable{real, func(ctx context.Context, name string, ref driver.Ref, real func() error) error {
		return h.hostCall(ctx, server, m, pass, name, ref, real)
	}}, nil
}

func (h hosts) Rules(string) driver.PropertyRules { return rules }

func (h hosts) hostCall(ctx context.Context, server phone.Server, m *machine, pass, name string, ref driver.Ref, real func() error) error {
	w := h.world
	g := &gate{life: h.life, name: name, host: server.Name, ctx: ctx, about: w.nameOfRef(ref)}
	if pass != "" {
		g.about = "in " + pass + " " + g.about
	} else if ctx.Err() == nil && h.leaseOver() && !h.dead {
		w.fail("I3: %s begins, and its lease has been over since %s", g, time.Since(h.renewed)-leaseTTL*4/5)
	}
	defer func() {
		if r := recover(); r != nil {
			m.excuse(ref, "the driver panicked")
			panic(r)
		}
	}()
	err := g.call(func() error {
		m.mu.Lock()
		m.late = pass == "" && !w.works(h.life, ref, name)
		m.mu.Unlock()
		before := m.of(ref.Phone)
		err := real()
		w.tracef("    %s", said(err))
		w.checkDone(g, m, ref.Phone, pass, before)
		if j := w.spec.unfinished(ref.Phone); name == "space" && err == nil && !m.late {
			w.told[j.ID] = m.full
		}
		return err
	})
	if err != nil && (name == "stop" || m.away) {
		m.excuse(ref, name+" failed")
	}
	return err
}

// works reports whether a call is one of the worker that has the phone's job at this moment.
func (w *world) works(l *life, ref driver.Ref, name string) bool {
	if ref.Phone == "" {
		return true
	}
	j := w.spec.unfinished(ref.Phone)
	if j == nil || j.Owner != l.replica.id || j.Incarnation != l.incarnation {
		return false
	}
	return j.Target == ref.Generation || ref.Generation < j.Target && (name == "remove" || name == "stop" || name == "space" || j.Phase == phone.PhaseRestoring)
}

// excuse says why an instance may boot without a boot slot from now on.
func (m *machine) excuse(ref driver.Ref, why string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if i := m.instances[instanceName(ref)]; i != nil && i.excused == "" {
		i.excused = why
	}
}

func said(err error) string {
	if err == nil {
		return "ok"
	}
	o := outcomeOf(err)
	return fmt.Sprintf("%s %s: %v", o.Code, o.Reason, err)
}
