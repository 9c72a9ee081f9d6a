// Package work does what was accepted: it takes delivered jobs through their steps on the hosts, saves every step, and goes on
// where an earlier process or attempt stopped. The database's job row is the truth; a delivery only says that it is time to
// look at it. Every write carries a fence (job, attempt, replica), so a worker that lost its job changes nothing more.
package work

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/lethe-cloud/lethe/internal/phone"
)

// Config is what an Engine needs. Zero durations get the defaults named beside them.
type Config struct {
	Store   Store
	Queue   Queue
	Hosts   Hosts
	Objects Objects // nil: there is no bucket
	// Keypairs are those that servers have; a job that needs one that is not among them fails.
	Keypairs []phone.Keypair

	Replica phone.ReplicaID
	Logger  *slog.Logger
	Now     func() time.Time

	Workers      int           // deliveries worked at once, at least the sum of all boot slots; 10,000
	TaskWorkers  int           // tasks worked at once, beside those; 10,000
	LeaseTTL     time.Duration // a replica that has not renewed for this long may be taken over; 10 s
	SweepEvery   time.Duration // how often what was missed is admitted; 1 s
	Unclaimed    time.Duration // a delivery that nobody claimed for this long is repeated; 30 s
	HostDeadline time.Duration // how long a step waits for a host that does not answer; 10 min
	TaskTimeout  time.Duration // how long a task may work in its phone; 10 min
	EraseTimeout time.Duration // how long the shared storage of a server that goes may take to be destroyed; 1 h
	// TransferTimeout is how long one attempt at the export or import of a phone's data may take in all; 2 h.
	TransferTimeout time.Duration
	JobRetention    time.Duration // how long a finished job is kept, at least; 0 keeps all for ever
	// AuditRetention is how long an event of the audit trail is kept, at least; 0 keeps all for ever.
	AuditRetention time.Duration
	PruneEvery     time.Duration // how often what is older is looked for; 1 h
	// ReconcileEvery is how often each server's host is compared with the database; 0 is never. An orphan is removed when it has been
	// seen for ReconcileGrace (1 h), and more than once.
	ReconcileEvery time.Duration
	ReconcileGrace time.Duration
	// RestartDead starts phones again that died by themselves; without it they stay abnormal.
	RestartDead bool
	StopGrace   time.Duration // how long a driver call in flight may go on after a stop was asked for; 8 s
}

// Engine works jobs in this process.
type Engine struct {
	Config
	state state
}

// New makes an engine; it does nothing until Run.
func New(c Config) *Engine {
	c.Workers = orDefault(c.Workers, 10_000)
	c.TaskWorkers = orDefault(c.TaskWorkers, 10_000)
	c.LeaseTTL = orDefault(c.LeaseTTL, 10*time.Second)
	c.SweepEvery = orDefault(c.SweepEvery, time.Second)
	c.Unclaimed = orDefault(c.Unclaimed, 30*time.Second)
	c.HostDeadline = orDefault(c.HostDeadline, 10*time.Minute)
	c.TaskTimeout = orDefault(c.TaskTimeout, 10*time.Minute)
	c.EraseTimeout = orDefault(c.EraseTimeout, time.Hour)
	c.TransferTimeout = orDefault(c.TransferTimeout, 2*time.Hour)
	c.PruneEvery = orDefault(c.PruneEvery, time.Hour)
	c.ReconcileGrace = orDefault(c.ReconcileGrace, time.Hour)
	c.StopGrace = orDefault(c.StopGrace, 8*time.Second)
	if c.Now == nil {
		c.Now = time.Now
	}
	return &Engine{Config: c}
}

func orDefault[T comparable](v, otherwise T) T {
	var zero T
	if v == zero {
		return otherwise
	}
	return v
}

var errLeaseLost = errors.New("the replica's lease ran out")

// Run works until ctx ends; then running jobs stop at their next step boundary and are given back, so that the next process,
// or another replica, goes on with them. When the lease is lost (the process was paused, or the database was away for too
// long) everything in flight is dropped and Run starts over with a new lease.
func (e *Engine) Run(ctx context.Context) error {
	for {
		err := e.runLease(ctx)
		switch {
		case ctx.Err() != nil && errors.Is(err, errLeaseLost):
			return nil // nothing is ours to give back any more
		case ctx.Err() != nil:
			return e.release(ctx)
		case errors.Is(err, errLeaseLost):
			e.Logger.Warn("lease lost: its jobs are dropped here and taken over", "replica", e.Replica)
		case phone.CodeOf(err) == phone.Unavailable: // between two calls: the next start waits for it
			e.Logger.Warn("the database went away: starting over", "replica", e.Replica, "err", err)
		case err != nil:
			return err
		}
	}
}

// runLease registers the replica, takes its old jobs over and works until ctx ends or the lease is lost. The lease is renewed
// until the last job has left.
func (e *Engine) runLease(ctx context.Context) error {
	lease := newLease(e.LeaseTTL)
	if err := e.retryStore(ctx, func() error { lease.renewed(time.Now()); return e.Store.Register(ctx, e.Replica, e.LeaseTTL) }); err != nil {
		return fmt.Errorf("register replica: %w", err)
	}
	if err := e.retryStore(ctx, func() error { return e.recover(ctx) }); err != nil {
		return fmt.Errorf("recover jobs: %w", err)
	}

	// hard ends driver calls in flight: at once when the lease is lost, and some time after a stop was asked for.
	e.state.begin(lease)
	defer e.state.end()
	hard, drop := context.WithCancelCause(context.WithoutCancel(ctx))
	defer drop(nil)
	forget := context.AfterFunc(ctx, func() {
		timer := time.AfterFunc(e.StopGrace, func() { drop(context.Canceled) })
		context.AfterFunc(hard, func() { timer.Stop() })
	})
	defer forget()

	renewing, delivered := context.WithCancel(context.WithoutCancel(ctx))
	defer delivered()
	group, groupCtx := errgroup.WithContext(ctx)
	group.Go(func() error {
		err := e.heartbeat(renewing, lease)
		if err != nil {
			e.state.end()
			drop(err)
		}
		return err
	})
	group.Go(func() error { return e.sweep(groupCtx) })
	group.Go(func() error { return e.pace(groupCtx) })
	group.Go(func() error { return e.prune(groupCtx) })
	group.Go(func() error { return e.pruneAudit(groupCtx) })
	group.Go(func() error { return e.reconcile(groupCtx) })
	var working sync.WaitGroup // what works jobs under the lease, which is renewed for as long as one of them does
	working.Add(3)
	group.Go(func() error {
		working.Wait()
		delivered()
		return nil
	})
	group.Go(func() error {
		defer working.Done()
		return e.removeServers(attempt{stop: groupCtx, hard: hard, lease: lease})
	})
	group.Go(func() error {
		defer working.Done()
		return e.workShares(attempt{stop: groupCtx, hard: hard, lease: lease})
	})
	group.Go(func() error {
		defer working.Done()
		defer e.state.delivers(lease)()
		return e.Queue.Deliver(groupCtx, e.Workers, e.TaskWorkers, func(stop context.Context, d phone.Delivery) {
			e.work(attempt{stop: stop, hard: hard, lease: lease}, d)
		})
	})
	return group.Wait()
}

func (e *Engine) release(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	if err := e.Store.Release(ctx, e.Replica); err != nil {
		return fmt.Errorf("give the running jobs back: %w", err)
	}
	return nil
}

func (e *Engine) recover(ctx context.Context) error {
	n, err := e.Store.Recover(ctx, e.Replica)
	if n > 0 {
		e.Logger.Info("jobs taken over", "replica", e.Replica, "jobs", n)
	}
	return err
}

// heartbeat renews the lease well before it runs out, until ctx ends. It ends with errLeaseLost when it could not.
func (e *Engine) heartbeat(ctx context.Context, lease *lease) error {
	tick := time.NewTicker(e.LeaseTTL / 5)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		sent := time.Now()
		callCtx, cancel := context.WithDeadline(ctx, lease.end())
		err := e.Store.Heartbeat(callCtx, e.Replica, e.LeaseTTL)
		cancel()
		switch {
		case err == nil && !lease.over():
			lease.renewed(sent)
		case lease.over(), phone.ReasonOf(err) == phone.ReasonFenced:
			return errLeaseLost
		case ctx.Err() == nil:
			e.Logger.Warn("heartbeat failed", "replica", e.Replica, "err", err)
		}
	}
}

// sweep admits what was missed and takes over what dead replicas left.
func (e *Engine) sweep(ctx context.Context) error {
	tick := time.NewTicker(e.SweepEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}
		n, err := e.Store.Sweep(ctx, e.Unclaimed)
		if err != nil && ctx.Err() == nil {
			e.Logger.Warn("sweep failed", "err", err)
		}
		if n > 0 {
			e.Logger.Info("jobs set going by the sweep", "jobs", n)
		}
	}
}

// pace lets the next jobs of paced requests go as soon as others have ended in this process.
func (e *Engine) pace(ctx context.Context) error {
	for {
		n, err := e.Store.Pace(ctx)
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case err != nil: // comes only after something has ended, so this is no busy loop
			e.Logger.Warn("the next jobs of a paced request were not let go: the sweep will", "err", err)
		case n > 0:
			e.Logger.Debug("jobs let go by the pace of their request", "jobs", n)
		}
	}
}

// retryStore repeats a call while the database does not answer.
func (e *Engine) retryStore(ctx context.Context, call func() error) error {
	wait := newBackoff(50*time.Millisecond, 2*time.Second)
	for {
		err := call()
		if phone.CodeOf(err) != phone.Unavailable {
			return err
		}
		if ctx.Err() != nil {
			return err
		}
		e.Logger.Warn("the database does not answer", "err", err)
		if !wait.sleep(ctx) {
			return err
		}
	}
}
