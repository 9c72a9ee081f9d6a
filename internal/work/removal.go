package work

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/lethe-cloud/lethe/internal/driver"
	"github.com/lethe-cloud/lethe/internal/phone"
)

// removers is how many servers that are to go one replica works at once. One that has a large shared storage takes long.
const removers = 100

// removeServers looks at the hosts of servers that are to be deleted and have no phones any more, again and again until the process stops. Of
// each one replica does, for a shared storage is destroyed on the way. First it ends what waits to be done with the shared storages of servers that go.
func (e *Engine) removeServers(at attempt) error {
	return claiming(at, e.SweepEvery, removers, func(held []phone.ServerID, most int) []phone.Emptied {
		_, err := e.Store.EndShares(at.stop, phone.Failure{
			Reason: phone.ReasonServerBusy, Msg: "the server is being deleted", Detail: shareCures[phone.ReasonServerBusy],
		})
		if err != nil && at.stop.Err() == nil {
			e.Logger.Warn("what waits for shared storages of servers that are to be deleted could not be ended: trying again", "err", err)
		}
		claimed, err := e.Store.ClaimEmptied(at.stop, e.Replica, held, most)
		if err != nil && at.stop.Err() == nil {
			e.Logger.Warn("the servers that are to be deleted could not be claimed: trying again", "err", err)
		}
		return claimed
	}, func(s phone.Emptied) phone.ServerID { return s.Server.ID }, func(s phone.Emptied) { e.removeServer(at, s) })
}

// removal is one attempt at letting a server go of which its host has nothing any more. It borrows from task what is the same for all work on a
// host.
type removal struct {
	task
	emptied phone.Emptied
}

// removeServer lets the server go, or keeps it, with its data, for somebody to look at. A host that does not answer is asked again, until
// host_deadline.
func (e *Engine) removeServer(at attempt, emptied phone.Emptied) {
	t := &removal{emptied: emptied, task: task{
		engine: e, attempt: at,
		Assignment: phone.Assignment{Server: emptied.Server, Fence: emptied.Fence, Job: phone.Job{ID: emptied.Fence.Job, Server: emptied.Server.ID, Kind: phone.KindDelete}},
		log:        e.Logger.With("job_id", emptied.Fence.Job, "attempt", emptied.Fence.Attempt, "server_id", emptied.Server.ID, "driver", emptied.Server.Driver),
		patience:   e.hostTry(),
	}}
	began := time.Now()
	var receipt *phone.ServerReceipt
	err := t.guarded(func() (err error) { receipt, err = t.empty(); return err })
	if err == nil || t.failed(err) {
		err = t.end(receipt, err)
	}
	switch {
	case err == nil:
		t.log.Info("attempt ended", "kind", t.Job.Kind, "took", time.Since(began).Round(time.Millisecond))
	case errors.Is(err, errStopped), phone.ReasonOf(err) == phone.ReasonFenced, t.dropped() != nil:
		t.log.Info("attempt left its job to another", "why", err)
	default:
		t.log.Error("attempt could not save the deletion of its server", "err", err)
	}
}

// errPostponed says that an attempt came no further now, and why.
type errPostponed struct {
	error
	away bool // the host does not answer
}

func (e errPostponed) Unwrap() error { return e.error }

// end saves what an attempt has come to.
func (t *removal) end(receipt *phone.ServerReceipt, err error) error {
	var later errPostponed
	if errors.As(err, &later) {
		t.log.Warn("a server that is to be deleted is looked at again later", "err", err)
		return t.save(func(ctx context.Context) error {
			return t.engine.Store.PostponeRemoval(ctx, t.emptied, t.engine.hostPause(), later.away)
		})
	}
	var failure *phone.Failure
	if err != nil {
		failure = t.removalFailure(err)
		t.log.Warn("a server is kept", "reason", failure.Reason, "msg", failure.Msg, "err", err)
	}
	return t.save(func(ctx context.Context) error { return t.engine.Store.RemoveServer(ctx, t.emptied, failure, receipt) })
}

// removalCures are cures of failures of a server's deletion.
var removalCures = map[phone.Reason]string{
	phone.ReasonHostGone:    "bring the server back, then delete it again",
	phone.ReasonEraseFailed: "the shared storage may still be on the host, in part or as a whole: mend what the cause names, then delete the server again",
	phone.ReasonServerNotEmpty: "lethe server drift says what is left (a restored backup?); an orphan goes by itself, and the rest is yours to remove on the host; " +
		"then delete the server again",
}

// removalFailure puts an error into the words of a server's deletion: those of drivers may be for phones.
func (t *removal) removalFailure(err error) *phone.Failure {
	const deleteAgain = "delete the server again"
	f := failureOf(err)
	cure, known := removalCures[f.Reason]
	if f.Detail = cure; !known {
		f.Detail = "mend the host as the cause and the server's log for this job say, then " + deleteAgain
	}
	f.Msg = strings.ReplaceAll(f.Msg, again, deleteAgain)
	if f.Reason == phone.ReasonHostGone {
		f.Msg = fmt.Sprintf("All phones are deleted, but the host of server %s did not answer for %s: nobody knows what is left on it.", t.Server.Name, t.engine.HostDeadline)
	}
	return &f
}

// empty asks the host for everything that it has of the server. When that is the shared storage alone, it destroys that and asks again: what else
// is left may use it.
func (t *removal) empty() (*phone.ServerReceipt, error) {
	ctx, release := t.whileHeld()
	defer release()
	objects, lookedAt, err := t.listed(ctx)
	if err != nil {
		return nil, t.lost(ctx, err)
	}
	if len(objects) > 0 {
		if err := t.mayErase(objects); err != nil {
			return nil, err
		}
		if err := t.eraseShare(ctx, objects[0].Name); err != nil {
			return nil, t.lost(ctx, err)
		}
		if objects, lookedAt, err = t.listed(ctx); err != nil {
			return nil, t.lost(ctx, err)
		}
		if len(objects) > 0 {
			return nil, phone.Errorf(phone.Internal, phone.ReasonEraseFailed, "The shared storage %s of server %s was destroyed, and the host has %d things of the server again.",
				t.emptied.Erasing.Name, t.Server.Name, len(objects))
		}
	}
	receipt := &phone.ServerReceipt{LookedFor: lookedAt}
	if t.emptied.Erasing != nil {
		receipt.Share = &t.emptied.Erasing.ErasedShare
	}
	return receipt, nil
}

// whileHeld gives a context that ends with the lease, and soon after the deletion has become somebody else's, or has ended.
func (t *removal) whileHeld() (context.Context, func()) {
	return watched(t.hard, func(ctx context.Context) error {
		if held, err := t.engine.Store.HoldsRemoval(ctx, t.emptied); err == nil && !held {
			return errNotHeld()
		}
		return nil // where the database does not answer, the next look will tell
	})
}

// lost makes of an error that came because the deletion is not this attempt's any more, one that says so.
func (t *removal) lost(ctx context.Context, err error) error {
	if cause := context.Cause(ctx); cause != nil {
		return cause
	}
	return err
}

// listed asks the host for all that it has of the server, and says when.
func (t *removal) listed(ctx context.Context) (objects []driver.Object, lookedAt time.Time, err error) {
	t.host, err = t.open()
	if err == nil {
		err = t.call("list what is left", func(context.Context) error {
			if cause := context.Cause(ctx); cause != nil {
				return final(cause)
			}
			asking, cancel := context.WithTimeout(ctx, hostPatience)
			defer cancel()
			lookedAt = t.engine.Now()
			objects, err = t.host.List(asking)
			return err
		})
	}
	if phone.CodeOf(err) == phone.Unavailable && !t.engine.gone(t.emptied.Away) {
		return nil, time.Time{}, errPostponed{err, true}
	}
	return objects, lookedAt, err
}

// mayErase says why nothing is destroyed: something else than the shared storage is left.
func (t *removal) mayErase(objects []driver.Object) error {
	others := slices.DeleteFunc(slices.Clone(objects), func(o driver.Object) bool { return o.Kind == driver.ObjectShare })
	if len(others) > 0 {
		return phone.Errorf(phone.Precondition, phone.ReasonServerNotEmpty, "All phones are deleted, but the host of server %s still has %d things of it, such as %s %s.",
			t.Server.Name, len(others), others[0].Kind, others[0].Name)
	}
	if _, can := t.host.(driver.Sharer); !can {
		return phone.Errorf(phone.Unsupported, phone.ReasonEraseFailed, "The driver of server %s cannot destroy its shared storage %s.", t.Server.Name, objects[0].Name)
	}
	return nil
}

// eraseShare destroys the shared storage. What is about to be destroyed is saved before, and what was destroyed after: whoever goes on finds
// nothing to count any more. A host that lists what it has and does not get to the end is tried for EraseTimeout.
func (t *removal) eraseShare(ctx context.Context, name string) error {
	if t.stop.Err() != nil {
		return errStopped
	}
	whole := t.emptied.Erasing == nil || !t.emptied.Erasing.Partial
	if err := t.saveErasing(t.emptied.Erasing.Begin(name, t.engine.Now())); err != nil {
		return err
	}
	limited, cancel := context.WithTimeout(ctx, t.engine.EraseTimeout)
	defer cancel()
	var erased *phone.ErasedShare
	err := t.call("destroy the shared storage", func(context.Context) (err error) {
		if limited.Err() != nil {
			return final(context.Cause(limited))
		}
		if erased, err = t.host.(driver.Sharer).EraseShare(limited); err != nil {
			whole = false // a try that failed may have destroyed something
		}
		return err
	})
	switch {
	case err == nil:
		return t.saveErasing(t.emptied.Erasing.End(erased, whole))
	case ctx.Err() != nil || t.dropped() != nil || errors.Is(err, errStopped):
		return err
	case limited.Err() != nil, phone.CodeOf(err) == phone.Unavailable && t.engine.Now().Sub(t.emptied.Erasing.BegunAt) >= t.engine.EraseTimeout:
		return &phone.Error{
			Code: phone.Precondition, Reason: phone.ReasonEraseFailed, Err: err,
			Msg: fmt.Sprintf("The shared storage %s of server %s could not be destroyed within %s.", name, t.Server.Name, t.engine.EraseTimeout),
		}
	case phone.CodeOf(err) == phone.Unavailable:
		return errPostponed{err, false}
	}
	return err
}

func (t *removal) saveErasing(erasing phone.ShareErasure) error {
	t.emptied.Erasing, t.emptied.Away = &erasing, time.Time{} // it has just answered
	return t.save(func(ctx context.Context) error { return t.engine.Store.SaveErasing(ctx, t.emptied, erasing) })
}
