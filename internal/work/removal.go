package work

import (
	"context"
	"fmt"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/lethe-cloud/lethe/internal/driver"
	"github.com/lethe-cloud/lethe/internal/phone"
)

// removers is how many hosts of servers that are to go are looked at at once.
const removers = 8

// removeServers looks at the hosts of servers that are to be deleted and have no phones any more, again and again until ctx ends. Every
// replica does: looking changes nothing but a shared storage, which is destroyed by two as by one, and what they find out at once, one of them
// saves.
func (e *Engine) removeServers(ctx context.Context) error {
	for pause(ctx, e.SweepEvery) {
		emptied, err := e.Store.EmptiedServers(ctx)
		if err != nil {
			if ctx.Err() == nil {
				e.Logger.Warn("the servers that are to be deleted could not be read", "err", err)
			}
			continue
		}
		group, groupCtx := errgroup.WithContext(ctx)
		group.SetLimit(removers)
		for _, server := range emptied {
			group.Go(func() error {
				e.removeServer(groupCtx, server)
				return nil
			})
		}
		_ = group.Wait() // none of them fails
	}
	return ctx.Err()
}

// removeServer lets a server go of which its host has nothing any more. One that has is kept, with its data, for somebody to look at;
// a host that does not answer is asked again, until host_deadline.
func (e *Engine) removeServer(ctx context.Context, emptied phone.Emptied) {
	log := e.Logger.With("server_id", emptied.Server.ID, "driver", emptied.Server.Driver, "job_id", emptied.Job)
	objects, share, lookedAt, err := e.whatIsLeft(ctx, emptied.Server)
	var failure *phone.Failure
	var receipt *phone.ServerReceipt
	switch {
	case ctx.Err() != nil:
		return
	case phone.CodeOf(err) == phone.Unavailable && e.Now().Sub(emptied.At) < e.HostDeadline:
		log.Info("the host of a server that is to be deleted does not answer: waiting for it", "err", err)
		return
	case phone.CodeOf(err) == phone.Unavailable:
		failure = &phone.Failure{
			Reason: phone.ReasonHostGone, Detail: "bring the server back, then delete it again",
			Msg: fmt.Sprintf("All phones are deleted, but the host of server %s did not answer for %s: nobody knows what is left on it.", emptied.Server.Name, e.HostDeadline),
		}
	case err != nil:
		f := failureOf(err)
		f.Detail = "mend the host, then delete the server again"
		failure = &f
	case len(objects) > 0:
		failure = leftOver(emptied.Server, objects)
	default:
		receipt = &phone.ServerReceipt{LookedFor: lookedAt, Share: share}
	}
	if failure != nil {
		log.Warn("a server is kept", "reason", failure.Reason, "msg", failure.Msg)
	}
	if err := e.Store.RemoveServer(ctx, emptied, failure, receipt); err != nil && ctx.Err() == nil {
		log.Warn("the deletion of a server could not be saved: trying again", "err", err)
	}
}

// whatIsLeft asks the host for everything that it has of the server, and says when. When that is the shared storage alone, it destroys that and
// asks again: what else is left may use it.
func (e *Engine) whatIsLeft(ctx context.Context, server phone.Server) (objects []driver.Object, share *phone.ErasedShare, lookedAt time.Time, err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("panic while the host of server %s was looked at: %v", server.Name, r)
		}
	}()
	host, err := e.Hosts.Driver(ctx, server)
	if err != nil {
		return nil, nil, time.Time{}, err
	}
	if objects, lookedAt, err = e.listed(ctx, host); err != nil || len(objects) == 0 {
		return objects, nil, lookedAt, err
	}
	sharer, can := host.(driver.Sharer)
	if !can || slices.ContainsFunc(objects, func(o driver.Object) bool { return o.Kind != driver.ObjectShare }) {
		return objects, nil, lookedAt, nil
	}
	erasing, cancel := context.WithTimeout(ctx, e.HostDeadline)
	defer cancel()
	if share, err = sharer.EraseShare(erasing); err != nil {
		return nil, nil, time.Time{}, err
	}
	objects, lookedAt, err = e.listed(ctx, host)
	return objects, share, lookedAt, err
}

func (e *Engine) listed(ctx context.Context, host driver.Driver) ([]driver.Object, time.Time, error) {
	ctx, cancel := context.WithTimeout(ctx, hostPatience)
	defer cancel()
	lookedAt := e.Now()
	objects, err := host.List(ctx)
	return objects, lookedAt, err
}

func leftOver(server phone.Server, objects []driver.Object) *phone.Failure {
	first := objects[0]
	return &phone.Failure{
		Reason: phone.ReasonServerNotEmpty,
		Msg:    fmt.Sprintf("All phones are deleted, but the host of server %s still has %d things of it, such as %s %s.", server.Name, len(objects), first.Kind, first.Name),
		Detail: "lethe server drift says what they are (a restored backup?); an orphan goes by itself, and the rest is yours to remove on the host; then delete the server again",
	}
}
