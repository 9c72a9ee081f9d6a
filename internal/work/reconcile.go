package work

import (
	"context"
	"fmt"
	"math/rand/v2"
	"runtime/debug"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/lethe-cloud/lethe/internal/driver"
	"github.com/lethe-cloud/lethe/internal/phone"
)

const (
	// watchers is how many servers one replica compares with their hosts at once.
	watchers = 4
	// passTTL is how long a server belongs to one pass; passTime, which is shorter, is how long a pass may take. What it did not
	// get to is the next one's.
	passTTL  = 10 * time.Minute
	passTime = 8 * time.Minute
	// hostPatience is how long a host may take to say who it is.
	hostPatience = 15 * time.Second
	// sightingsNeeded is in how many passes an orphan must have been seen before it is removed.
	sightingsNeeded = 2
)

// reconcile compares every normal server's host with the database, again and again until ctx ends. All replicas share the work.
func (e *Engine) reconcile(ctx context.Context) error {
	if e.ReconcileEvery <= 0 {
		return nil
	}
	group, ctx := errgroup.WithContext(ctx)
	for range watchers {
		group.Go(func() error {
			for {
				switch server, due, err := e.nextServer(ctx); {
				case ctx.Err() != nil:
					return ctx.Err()
				case err != nil:
					e.Logger.Warn("no server could be taken to compare with its host", "err", err)
				case due:
					e.watch(ctx, server)
					continue
				}
				if !pause(ctx, jittered(min(e.ReconcileEvery/10, 5*time.Second))) {
					return ctx.Err()
				}
			}
		})
	}
	return group.Wait()
}

// jittered is d, give or take a tenth, so that what began together does not stay together.
func jittered(d time.Duration) time.Duration { return d*9/10 + rand.N(d/5+1) }

// claimed is a server that a pass has.
type claimed struct {
	phone.Server
	pass string
}

func (e *Engine) nextServer(ctx context.Context) (claimed, bool, error) {
	c := claimed{pass: phone.NewID[string]()}
	var due bool
	var err error
	c.Server, due, err = e.Store.DueServer(ctx, c.pass, jittered(e.ReconcileEvery), passTTL)
	return c, due, err
}

// watch makes one pass over a server that is due. A host that does not answer is the next pass's.
func (e *Engine) watch(ctx context.Context, server claimed) {
	defer e.unclaim(ctx, server)
	log := e.Logger.With("server_id", server.ID, "driver", server.Driver)
	drift, err := e.pass(ctx, server.Server, false)
	switch {
	case ctx.Err() != nil:
	case err != nil:
		log.Warn("the host could not be compared with the database: nothing was done", "err", err)
	case len(drift.Findings) > 0:
		kinds := map[phone.DriftKind]int{}
		for _, f := range drift.Findings {
			kinds[f.Kind]++
		}
		log.Warn("the host differs from the database", "findings", kinds, "held", drift.Held)
	}
}

func (e *Engine) unclaim(ctx context.Context, server claimed) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	if err := e.Store.ReleaseServer(ctx, server.pass, server.ID); err != nil {
		e.Logger.Warn("a server stays claimed until its claim runs out", "server_id", server.ID, "err", err)
	}
}

// Reconcile compares a server's host with the database and, unless it is a dry run, makes a whole pass now: orphans are counted,
// and those that are due are removed. It is Precondition on a server that is not normal, Conflict while another pass has the
// server, and Unavailable while the host does not answer.
func (e *Engine) Reconcile(ctx context.Context, server phone.Server, dryRun bool) (phone.Drift, error) {
	if dryRun {
		return e.pass(ctx, server, true)
	}
	if server.Status != phone.ServerNormal {
		return phone.Drift{}, phone.Errorf(phone.Precondition, phone.ReasonServerNotReady, "the server is %s: only a normal one is put in order", server.Status)
	}
	c := claimed{server, phone.NewID[string]()}
	if err := e.Store.ClaimServer(ctx, c.pass, c.ID, passTTL); err != nil {
		return phone.Drift{}, err
	}
	defer e.unclaim(ctx, c)
	return e.pass(ctx, server, false)
}

// pass looks and, unless it is a dry run, acts. A driver that panics fails the pass and not the process, as it does with a job.
func (e *Engine) pass(ctx context.Context, server phone.Server, dryRun bool) (drift phone.Drift, err error) {
	defer func() {
		if r := recover(); r != nil {
			e.Logger.Error("panic", "server_id", server.ID, "panic", r, "stack", string(debug.Stack()))
			err = fmt.Errorf("panic while the host of server %s was compared: %v", server.Name, r)
		}
	}()
	ctx, cancel := context.WithTimeout(ctx, passTime)
	defer cancel()
	p := &passing{engine: e, server: server}
	if err := p.look(ctx); err != nil {
		return phone.Drift{}, err
	}
	p.drift.DryRun = dryRun
	if err := p.remember(ctx); err != nil {
		return phone.Drift{}, err
	}
	if dryRun || p.drift.Held != "" {
		return p.drift, nil
	}
	if err := p.notice(ctx); err != nil {
		return p.drift, err
	}
	return p.drift, p.act(ctx)
}

// passing is one pass over one server.
type passing struct {
	engine *Engine
	server phone.Server
	host   driver.Driver
	known  map[phone.ID]phone.Hosted
	drift  phone.Drift
}

// look lists the host between two looks at the database. A host that is not healthy is an error: then nothing is known, and
// nothing may be concluded.
func (p *passing) look(ctx context.Context) error {
	var err error
	if p.host, err = p.engine.Hosts.Driver(ctx, p.server); err != nil {
		return fmt.Errorf("open server %s: %w", p.server.Name, err)
	}
	asking, cancel := context.WithTimeout(ctx, hostPatience)
	_, err = p.host.Info(asking)
	cancel()
	if err != nil {
		return fmt.Errorf("ask the host of server %s: %w", p.server.Name, err)
	}
	before, err := p.engine.Store.Hosting(ctx, p.server.ID)
	if err != nil {
		return err
	}
	lookedAt := p.engine.Now()
	objects, err := p.host.List(ctx)
	if err != nil {
		return fmt.Errorf("list what is on the host of server %s: %w", p.server.Name, err)
	}
	after, err := p.engine.Store.Hosting(ctx, p.server.ID)
	if err != nil {
		return err
	}
	p.known = settled(before, after)
	p.drift = compare(objects, p.known)
	p.drift.Server, p.drift.LookedAt = p.server.ID, lookedAt
	if after.Preparing {
		p.drift.Held = heldByImage
	}
	return nil
}

const heldByImage = "a job is bringing an image to this host: nothing is removed until that has ended"

// remember puts what earlier passes have seen to the orphans, and, in a pass that may act, counts this sighting.
func (p *passing) remember(ctx context.Context) error {
	earlier, err := p.engine.Store.Sightings(ctx, p.server.ID)
	if err != nil {
		return err
	}
	known := make(map[thing]phone.Sighting, len(earlier))
	for _, s := range earlier {
		known[thing{s.Object, driver.Ref{Phone: s.Phone, Generation: s.Generation}}] = s
	}
	counts := !p.drift.DryRun && p.drift.Held == ""
	var now []phone.Sighting
	for i := range p.drift.Findings {
		f := &p.drift.Findings[i]
		if f.Kind != phone.DriftOrphan {
			continue
		}
		s, seen := known[thing{f.Object, refOf(*f)}]
		if !seen {
			s = phone.Sighting{Object: f.Object, Phone: f.Phone, Generation: f.Generation, FirstSeen: p.drift.LookedAt}
		}
		if counts {
			s.Seen++
		}
		if seen || counts {
			f.FirstSeen, f.Seen = s.FirstSeen, s.Seen
		}
		if p.drift.DryRun {
			next := *f
			next.Seen++
			if seen && p.due(next) {
				f.Done = "would be removed"
			}
		}
		now = append(now, s)
	}
	if !counts || len(now)+len(earlier) == 0 {
		return nil
	}
	return p.engine.Store.SaveSightings(ctx, p.server.ID, now)
}

func refOf(f phone.Finding) driver.Ref { return driver.Ref{Phone: f.Phone, Generation: f.Generation} }
