package model

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/lethe-cloud/lethe/internal/phone"
	"github.com/lethe-cloud/lethe/internal/work"
)

// gatedStore is a process's work.Store: each call stops at a gate, is done by the real store and, at that moment, by the reference.
type gatedStore struct {
	*life
	real work.Store
}

// call makes one call; spec does it in the reference and says what it should have answered.
func (s gatedStore) call(ctx context.Context, name, about string, real func(context.Context) error, spec func() outcome) error {
	g := &gate{life: s.life, name: name, about: about, ctx: ctx}
	return g.call(func() error {
		err := real(context.WithoutCancel(ctx))
		s.world.tracef("    %s", said(err))
		if want := spec(); outcomeOf(err) != want {
			s.world.fail("%s answers %v (%v), and should %v", g, outcomeOf(err), err, want)
		}
		return err
	})
}

func (s gatedStore) Claim(ctx context.Context, d phone.Delivery, replica phone.ReplicaID) (a phone.Assignment, err error) {
	err = s.call(ctx, "claim", s.world.nameOf(d), func(ctx context.Context) (err error) {
		a, err = s.real.Claim(ctx, d, replica)
		return err
	}, func() outcome { return s.world.spec.claim(d, replica, s.incarnation) })
	if err != nil {
		return phone.Assignment{}, err
	}
	return a, nil
}

func (s gatedStore) fenced(ctx context.Context, name string, f phone.Fence, real func(context.Context) error, spec func() outcome) error {
	return s.call(ctx, name, s.world.nameOf(phone.Delivery{Job: f.Job, Attempt: f.Attempt}), real, spec)
}

func (s gatedStore) Prepared(ctx context.Context, f phone.Fence, identity phone.ImageIdentity) error {
	return s.fenced(ctx, "prepared", f, func(ctx context.Context) error { return s.real.Prepared(ctx, f, identity) },
		func() outcome { return s.world.spec.prepared(f) })
}

func (s gatedStore) Advance(ctx context.Context, f phone.Fence, to phone.Phase) error {
	return s.fenced(ctx, "advance to "+string(to), f, func(ctx context.Context) error { return s.real.Advance(ctx, f, to) },
		func() outcome {
			s.world.checkRoom(f, to)
			return s.world.spec.advance(f, to)
		})
}

func (s gatedStore) Erased(ctx context.Context, f phone.Fence, volumes []phone.ErasedVolume, lookedFor time.Time) error {
	return s.fenced(ctx, "erased", f, func(ctx context.Context) error { return s.real.Erased(ctx, f, volumes, lookedFor) },
		func() outcome { return s.world.spec.erased(f) })
}

func (s gatedStore) Finish(ctx context.Context, f phone.Fence, receipt phone.Receipt) error {
	return s.fenced(ctx, "finish", f, func(ctx context.Context) error { return s.real.Finish(ctx, f, receipt) }, func() outcome {
		answer := s.world.spec.finish(f)
		if answer == done {
			s.world.checkFinished(f.Job, receipt)
		}
		return s.ended(f, answer)
	})
}

func (s gatedStore) EndTask(ctx context.Context, f phone.Fence, end phone.TaskEnd) error {
	return s.fenced(ctx, "end the task", f, func(ctx context.Context) error { return s.real.EndTask(ctx, f, end) }, func() outcome {
		answer := s.world.spec.endTask(f, end)
		if answer == done {
			s.world.checkTask(s.world.spec.jobs[f.Job], end)
		}
		return answer
	})
}

func (s gatedStore) Holds(ctx context.Context, f phone.Fence) (held bool, err error) {
	err = s.fenced(ctx, "hold", f, func(ctx context.Context) (err error) {
		held, err = s.real.Holds(ctx, f)
		return err
	}, func() outcome {
		if want := s.world.spec.fenced(f) != nil; held != want {
			s.world.fail("%s holds its job: %v, and should: %v", s.world.nameOf(phone.Delivery{Job: f.Job, Attempt: f.Attempt}), held, want)
		}
		return done
	})
	return held && err == nil, err
}

func (s gatedStore) Fail(ctx context.Context, f phone.Fence, failure phone.Failure) error {
	return s.fenced(ctx, "fail "+string(failure.Reason), f, func(ctx context.Context) error { return s.real.Fail(ctx, f, failure) },
		func() outcome { return s.ended(f, s.world.spec.fail(f, failure)) })
}

func (s gatedStore) Restore(ctx context.Context, f phone.Fence, failure phone.Failure) error {
	return s.fenced(ctx, "restore "+string(failure.Reason), f, func(ctx context.Context) error { return s.real.Restore(ctx, f, failure) },
		func() outcome {
			answer := s.world.spec.restore(f, failure)
			if full := s.world.told[f.Job]; answer == done && failure.Reason == phone.ReasonNoSpace && !full {
				s.world.fail("rollback: %s has no space, and its host says that it has", s.world.nameOfJob(f.Job))
			}
			return answer
		})
}

func (s gatedStore) RolledBack(ctx context.Context, f phone.Fence, failure phone.Failure) error {
	return s.fenced(ctx, "rolled back "+string(failure.Reason), f, func(ctx context.Context) error { return s.real.RolledBack(ctx, f, failure) },
		func() outcome {
			if j := s.world.spec.fenced(f); j != nil && j.Phase == phone.PhaseRestoring {
				s.world.checkRolledBack(j, failure)
			}
			return s.ended(f, s.world.spec.rolledBack(f, failure))
		})
}

// ended notes that the pace of a job's request has to be looked at.
func (s gatedStore) ended(f phone.Fence, answer outcome) outcome {
	if j := s.world.spec.jobs[f.Job]; answer == done && s.world.spec.requests[j.Request].Pace != noPace {
		s.paced.add(j.Request)
	}
	return answer
}

// Pace waits for the same as the real store does, and stops at its gate before the requests are looked at.
func (s gatedStore) Pace(ctx context.Context) (n int, err error) {
	if ctx.Err() != nil {
		return 0, ctx.Err()
	}
	select {
	case <-ctx.Done():
		return 0, ctx.Err()
	case <-s.paced.woken:
	}
	looked := false
	defer func() {
		if !looked { // the real store does not know of this call
			s.paced.wake()
		}
	}()
	err = s.call(ctx, "pace", "", func(ctx context.Context) (err error) {
		looked = true
		ctx, cancel := context.WithTimeout(ctx, time.Nanosecond) // it has been woken already
		defer cancel()
		n, err = s.real.Pace(ctx)
		return err
	}, func() outcome {
		if want := s.world.spec.keepPaces(s.paced.take()); n != want {
			s.world.fail("keeping the pace set %d jobs going, and should %d", n, want)
		}
		return done
	})
	return n, err
}

func (s gatedStore) Sweep(ctx context.Context, unclaimed time.Duration) (n int, err error) {
	err = s.call(ctx, "sweep", "", func(ctx context.Context) (err error) {
		n, err = s.real.Sweep(ctx, unclaimed)
		return err
	}, func() outcome {
		if want := s.world.spec.sweep(unclaimed); n != want {
			s.world.fail("a sweep set %d jobs going, and should %d", n, want)
		}
		return done
	})
	return n, err
}

func (s gatedStore) Register(ctx context.Context, replica phone.ReplicaID, ttl time.Duration) error {
	s.renew(time.Now())
	ttl = min(ttl, leaseTTL)
	return s.call(ctx, "register", "", func(ctx context.Context) error { return s.real.Register(ctx, replica, ttl) }, func() outcome {
		var err error
		if s.process, s.incarnation, err = s.world.registered(replica); err != nil {
			s.world.fail("read the lease: %v", err)
		}
		s.world.spec.register(replica, s.process, ttl)
		return done
	})
}

func (s gatedStore) Heartbeat(ctx context.Context, replica phone.ReplicaID, ttl time.Duration) error {
	sent, ttl := time.Now(), min(ttl, leaseTTL)
	err := s.call(ctx, "heartbeat", "", func(ctx context.Context) error { return s.real.Heartbeat(ctx, replica, ttl) },
		func() outcome { return s.world.spec.heartbeat(replica, s.incarnation, ttl) })
	if err == nil && !s.leaseOver() {
		s.renew(sent)
	}
	return err
}

func (s gatedStore) Recover(ctx context.Context, replica phone.ReplicaID) (n int, err error) {
	err = s.call(ctx, "recover", "", func(ctx context.Context) (err error) {
		n, err = s.real.Recover(ctx, replica)
		return err
	}, func() outcome {
		if want := s.world.spec.recover(replica, s.incarnation); n != want {
			s.world.fail("%d jobs were recovered, and should %d", n, want)
		}
		return done
	})
	return n, err
}

func (s gatedStore) Release(ctx context.Context, replica phone.ReplicaID) error {
	return s.call(ctx, "release", "", func(ctx context.Context) error { return s.real.Release(ctx, replica) }, func() outcome {
		s.released = true
		s.world.spec.release(replica, s.incarnation)
		return done
	})
}

// The model prunes by itself, and lets callers ask for passes: the engine's own loops draw their times from a source that no seed sets.

func (s gatedStore) PruneJobs(ctx context.Context, before time.Time, after phone.Mark, most int) (phone.Pruned, error) {
	return s.real.PruneJobs(ctx, before, after, most)
}

func (s gatedStore) PruneRequests(ctx context.Context, before time.Time, after phone.Mark, most int) (phone.Pruned, error) {
	return s.real.PruneRequests(ctx, before, after, most)
}

func (s gatedStore) PruneAudit(ctx context.Context, before time.Time, most int) (int, error) {
	return s.real.PruneAudit(ctx, before, most)
}

// No history deletes a server.
func (s gatedStore) ClaimEmptied(context.Context, phone.ReplicaID, []phone.ServerID, int) ([]phone.Emptied, error) {
	return nil, nil
}

func (s gatedStore) HoldsRemoval(context.Context, phone.Emptied) (bool, error) {
	panic("the reference deletes no server")
}

func (s gatedStore) SaveErasing(context.Context, phone.Emptied, phone.ShareErasure) error {
	panic("the reference deletes no server")
}

func (s gatedStore) PostponeRemoval(context.Context, phone.Emptied, time.Duration, bool) error {
	panic("the reference deletes no server")
}

func (s gatedStore) RemoveServer(context.Context, phone.Emptied, *phone.Failure, *phone.ServerReceipt) error {
	panic("the reference deletes no server")
}

// No history does anything with a shared storage.
func (s gatedStore) ClaimShares(context.Context, phone.ReplicaID, []phone.JobID, int) ([]phone.ServerTask, error) {
	return nil, nil
}

func (s gatedStore) HoldsShare(context.Context, phone.Fence) (held, deleting bool, err error) {
	panic("the reference has no shared storages")
}

func (s gatedStore) EndShare(context.Context, phone.Fence, phone.ShareEnd) error {
	panic("the reference has no shared storages")
}

func (s gatedStore) PostponeShare(context.Context, phone.Fence, time.Duration) error {
	panic("the reference has no shared storages")
}

func (s gatedStore) EndShares(context.Context, phone.Failure) (int, error) { return 0, nil }

func (s gatedStore) DueServer(ctx context.Context, pass string, every, ttl time.Duration) (phone.Server, bool, error) {
	return s.real.DueServer(ctx, pass, every, ttl)
}

func (s gatedStore) ClaimServer(ctx context.Context, pass string, server phone.ServerID, ttl time.Duration) error {
	return s.call(ctx, "claim the server", s.world.nameOfServer(server), func(ctx context.Context) error { return s.real.ClaimServer(ctx, pass, server, ttl) },
		func() outcome { return s.world.spec.claimServer(pass, server, ttl) })
}

func (s gatedStore) ReleaseServer(ctx context.Context, pass string, server phone.ServerID) error {
	return s.call(ctx, "release the server", s.world.nameOfServer(server), func(ctx context.Context) error { return s.real.ReleaseServer(ctx, pass, server) }, func() outcome {
		s.world.spec.releaseServer(pass, server)
		return done
	})
}

func (s gatedStore) Hosting(ctx context.Context, server phone.ServerID, only ...phone.ID) (h phone.Hosting, err error) {
	err = s.call(ctx, "hosting", s.world.nameOfServer(server), func(ctx context.Context) (err error) {
		h, err = s.real.Hosting(ctx, server, only...)
		return err
	}, func() outcome {
		for _, hosted := range h.Phones {
			if hosted.Deleted {
				if last, gone := s.world.spec.deleted[hosted.Phone]; !gone || last != hosted.LastGeneration {
					s.world.fail("phone %s is said to be deleted, with lives up to %d", s.world.names[hosted.Phone], hosted.LastGeneration)
				}
				continue
			}
			p := s.world.spec.phones[hosted.Phone]
			hosted.Name = ""
			want := phone.Hosted{Phone: p.ID, Status: p.Status, Generation: p.Generation, LastGeneration: p.Last, Busy: s.world.spec.unfinished(p.ID) != nil, UpdatedAt: time.UnixMicro(p.Updated).UTC()}
			if diff := cmp.Diff(want, hosted); diff != "" {
				s.world.fail("what should be on a host (-want +got):\n%s", diff)
			}
		}
		return done
	})
	return h, err
}

func (s gatedStore) Died(ctx context.Context, server phone.ServerID, deaths []phone.Death) (died []phone.Died, err error) {
	if len(deaths) == 0 {
		return nil, nil
	}
	deaths = slices.Clone(deaths)
	err = s.call(ctx, "died", s.world.nameOfServer(server), func(ctx context.Context) (err error) {
		died, err = s.real.Died(ctx, server, deaths)
		return err
	}, func() outcome {
		s.world.checkDead(server, died)
		if err := s.world.spec.died(server, deaths, died); err != nil {
			s.world.fail("phones that died: %v", err)
		}
		return done
	})
	return died, err
}

func (s gatedStore) Sightings(ctx context.Context, server phone.ServerID) (seen []phone.Sighting, err error) {
	err = s.call(ctx, "sightings", s.world.nameOfServer(server), func(ctx context.Context) (err error) {
		seen, err = s.real.Sightings(ctx, server)
		return err
	}, func() outcome {
		if got, want := fmt.Sprint(keyed(seen)), fmt.Sprint(keyed(s.world.spec.seen[server])); got != want {
			s.world.fail("sightings are %s, and should be %s", got, want)
		}
		return done
	})
	return seen, err
}

func (s gatedStore) SaveSightings(ctx context.Context, server phone.ServerID, seen []phone.Sighting) error {
	return s.call(ctx, "save sightings", s.world.nameOfServer(server), func(ctx context.Context) error { return s.real.SaveSightings(ctx, server, seen) }, func() outcome {
		s.world.spec.seen[server] = slices.Clone(seen)
		return done
	})
}

// keyed orders sightings by what they are of.
func keyed(seen []phone.Sighting) []string {
	texts := make([]string, len(seen))
	for i, v := range seen {
		texts[i] = fmt.Sprintln(v.Object, v.Phone, v.Generation, v.FirstSeen.UnixMicro(), v.Seen)
	}
	slices.Sort(texts)
	return texts
}
