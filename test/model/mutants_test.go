package model

import (
	"context"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/lethe-cloud/lethe/internal/driver"
	"github.com/lethe-cloud/lethe/internal/fleet"
	"github.com/lethe-cloud/lethe/internal/phone"
	"github.com/lethe-cloud/lethe/internal/work"
)

// mutantSeeds is within how many seeds each mutant must be found out.
const mutantSeeds = 100

// The model finds what it is there to find: each of these breaks one promise, and a seed says which.
func TestMutants(t *testing.T) {
	if !withMutants {
		t.Skip("the race detector is on: without it this takes seconds")
	}
	template := newTemplate(t)
	for _, m := range mutants() {
		t.Run(m.name, func(t *testing.T) {
			for seed := uint64(1); seed <= mutantSeeds; seed++ {
				err := runSeed(t, template, seed, steps, m.mutant).err
				switch {
				case err == nil:
				case !strings.Contains(err.Error(), m.says):
					t.Fatalf("seed %d says %v, and nothing of %q", seed, err, m.says)
				default:
					t.Logf("found out by seed %d: %.200s", seed, err)
					return
				}
			}
			t.Errorf("not found out in %d seeds", mutantSeeds)
		})
	}
}

// brokenStore is a work.Store of which some methods are replaced.
type brokenStore struct {
	work.Store
	w       *world
	claim   func(context.Context, phone.Delivery, phone.ReplicaID) (phone.Assignment, error)
	fenced  func(context.Context, phone.Fence) phone.Fence
	finish  func(context.Context, phone.Fence, phone.Receipt) error
	erased  func() error
	sweep   func() (int, error)
	recover func() (int, error)
	beat    func(context.Context, phone.ReplicaID, time.Duration) error
	rolled  func(context.Context, phone.Fence, phone.Failure) error
	ends    func() error                                                     // around the end of a task
	paced   func(ctx context.Context, keep func() (int, error)) (int, error) // around whatever lets jobs go
}

func (b brokenStore) Restore(ctx context.Context, f phone.Fence, failure phone.Failure) error {
	return b.Store.Restore(ctx, b.fence(ctx, f), failure)
}

func (b brokenStore) RolledBack(ctx context.Context, f phone.Fence, failure phone.Failure) error {
	if b.rolled != nil {
		return b.rolled(ctx, f, failure)
	}
	return b.Store.RolledBack(ctx, b.fence(ctx, f), failure)
}

func (b brokenStore) Pace(ctx context.Context) (int, error) {
	if b.paced != nil {
		return b.paced(ctx, func() (int, error) { return b.Store.Pace(ctx) })
	}
	return b.Store.Pace(ctx)
}

// instead keeps the paces that have a rule as if that had another value.
func (b brokenStore) instead(rule string, value int) func(context.Context, func() (int, error)) (int, error) {
	return func(ctx context.Context, keep func() (int, error)) (int, error) {
		b.w.move(`UPDATE requests SET pace = json_set(pace, '$.was', pace ->> ('$.' || ?1), '$.' || ?1, ?2) WHERE pace ->> ('$.' || ?1) IS NOT NULL`, rule, value)
		n, err := keep()
		b.w.move(`UPDATE requests SET pace = json_remove(json_set(pace, '$.' || ?1, pace ->> '$.was'), '$.was') WHERE pace ->> '$.was' IS NOT NULL`, rule)
		return n, err
	}
}

func (b brokenStore) Claim(ctx context.Context, d phone.Delivery, r phone.ReplicaID) (phone.Assignment, error) {
	if b.claim != nil {
		return b.claim(ctx, d, r)
	}
	return b.Store.Claim(ctx, d, r)
}

func (b brokenStore) fence(ctx context.Context, f phone.Fence) phone.Fence {
	if b.fenced != nil {
		return b.fenced(ctx, f)
	}
	return f
}

func (b brokenStore) EndTask(ctx context.Context, f phone.Fence, end phone.TaskEnd) error {
	if b.ends != nil {
		return b.ends()
	}
	return b.Store.EndTask(ctx, b.fence(ctx, f), end)
}

func (b brokenStore) Advance(ctx context.Context, f phone.Fence, to phone.Phase) error {
	return b.Store.Advance(ctx, b.fence(ctx, f), to)
}

func (b brokenStore) Fail(ctx context.Context, f phone.Fence, failure phone.Failure) error {
	return b.Store.Fail(ctx, b.fence(ctx, f), failure)
}

func (b brokenStore) Erased(ctx context.Context, f phone.Fence, volumes []phone.ErasedVolume, at time.Time) error {
	if b.erased != nil {
		return b.erased()
	}
	return b.Store.Erased(ctx, b.fence(ctx, f), volumes, at)
}

func (b brokenStore) Finish(ctx context.Context, f phone.Fence, r phone.Receipt) error {
	if b.finish != nil {
		return b.finish(ctx, f, r)
	}
	return b.Store.Finish(ctx, b.fence(ctx, f), r)
}

func (b brokenStore) Sweep(ctx context.Context, d time.Duration) (int, error) {
	if b.sweep != nil {
		return b.sweep()
	}
	if b.paced != nil {
		return b.paced(ctx, func() (int, error) { return b.Store.Sweep(ctx, d) })
	}
	return b.Store.Sweep(ctx, d)
}

func (b brokenStore) Recover(ctx context.Context, r phone.ReplicaID) (int, error) {
	if b.recover != nil {
		return b.recover()
	}
	return b.Store.Recover(ctx, r)
}

func (b brokenStore) Heartbeat(ctx context.Context, r phone.ReplicaID, ttl time.Duration) error {
	if b.beat != nil {
		return b.beat(ctx, r, ttl)
	}
	return b.Store.Heartbeat(ctx, r, ttl)
}

// inStore makes a mutant of a store.
func inStore(breakIt func(*brokenStore)) mutant {
	return mutant{inStore: func(w *world, real work.Store) work.Store {
		b := brokenStore{Store: real, w: w}
		breakIt(&b)
		return b
	}}
}

// brokenCalls is a fleet.Store of which some methods are replaced.
type brokenCalls struct {
	fleet.Store
	w        *world
	keyless  bool
	careless bool
	tooLate  bool
	hasty    bool
}

func (b brokenCalls) AcceptReset(ctx context.Context, in fleet.AcceptReset) ([]phone.Outcome, error) {
	if b.careless { // it does not look at what the phones are
		_, _ = b.w.db.ExecContext(ctx, `UPDATE phones SET status = 2 WHERE status = 3 AND NOT EXISTS (SELECT 1 FROM jobs j WHERE j.phone_id = phones.id AND j.stage <> 'ended' AND j.stage <> 'queued')`)
	}
	if pace := in.Request.Pace; b.hasty && pace != nil && pace.First != nil { // it does not hold what the canary is for
		with, without := *pace, *pace
		without.First, in.Request.Pace = nil, &without
		outcomes, err := b.Store.AcceptReset(ctx, in)
		text, _ := json.Marshal(with)
		_, _ = b.w.db.ExecContext(ctx, `UPDATE requests SET pace = ? WHERE id = ?`, string(text), in.Request.ID)
		b.w.version = 0
		return outcomes, err
	}
	return b.Store.AcceptReset(ctx, in)
}

func (b brokenCalls) AcceptResetOnce(ctx context.Context, in fleet.AcceptReset, key fleet.IdempotencyKey) (phone.RequestID, []phone.Outcome, error) {
	if b.keyless {
		outcomes, err := b.Store.AcceptReset(ctx, in)
		return in.Request.ID, outcomes, err
	}
	return b.Store.AcceptResetOnce(ctx, in, key)
}

func (b brokenCalls) Cancel(ctx context.Context, in fleet.CancelJobs) (phone.Cancellation, error) {
	c, err := b.Store.Cancel(ctx, in)
	if b.tooLate && c.Finishing > 0 { // it ends jobs that hold a slot
		_, _ = b.w.db.ExecContext(ctx, `UPDATE jobs SET phase = 'cancelled', owner = NULL, incarnation = NULL, delivered_at = NULL, ended_at = created_at
			WHERE stage <> 'ended' AND (id = ? OR request_id = ?)`, in.Job, in.Request)
	}
	return c, err
}

func inCalls(breakIt func(*brokenCalls)) mutant {
	return mutant{inCalls: func(w *world, real fleet.Store) fleet.Store {
		b := brokenCalls{Store: real, w: w}
		breakIt(&b)
		return b
	}}
}

// brokenDriver is a driver of which some methods are replaced.
type brokenDriver struct {
	driver.Driver
	machine *machine
	erase   func(context.Context, phone.ID, phone.Generation) (driver.Erasure, error)
	ensure  func(context.Context, driver.Spec) (driver.Instance, error)
	list    func(context.Context) ([]driver.Object, error)
	inspect func(context.Context, driver.Ref) (driver.Instance, error)
	stop    func(context.Context, driver.Ref) error
	start   func(context.Context, driver.Ref) error
	exec    func(context.Context, driver.Ref, driver.Command) (driver.Result, error)
	discard func(context.Context, driver.Ref) error
}

func (b brokenDriver) Start(ctx context.Context, ref driver.Ref) error {
	if b.start != nil {
		return b.start(ctx, ref)
	}
	return b.Driver.Start(ctx, ref)
}

func (b brokenDriver) Exec(ctx context.Context, ref driver.Ref, command driver.Command) (driver.Result, error) {
	if b.exec != nil {
		return b.exec(ctx, ref, command)
	}
	return b.Driver.Exec(ctx, ref, command)
}

func (b brokenDriver) Discard(ctx context.Context, ref driver.Ref) error {
	if b.discard != nil {
		return b.discard(ctx, ref)
	}
	return b.Driver.Discard(ctx, ref)
}

func (b brokenDriver) Space(ctx context.Context, ref driver.Ref) (phone.Space, error) {
	return b.Driver.(driver.Measurer).Space(ctx, ref)
}

func (b brokenDriver) Erase(ctx context.Context, id phone.ID, below phone.Generation) (driver.Erasure, error) {
	if b.erase != nil {
		return b.erase(ctx, id, below)
	}
	return b.Driver.Erase(ctx, id, below)
}

func (b brokenDriver) Ensure(ctx context.Context, spec driver.Spec) (driver.Instance, error) {
	if b.ensure != nil {
		return b.ensure(ctx, spec)
	}
	return b.Driver.Ensure(ctx, spec)
}

func (b brokenDriver) List(ctx context.Context) ([]driver.Object, error) {
	if b.list != nil {
		return b.list(ctx)
	}
	return b.Driver.List(ctx)
}

func (b brokenDriver) Inspect(ctx context.Context, ref driver.Ref) (driver.Instance, error) {
	if b.inspect != nil {
		return b.inspect(ctx, ref)
	}
	return b.Driver.Inspect(ctx, ref)
}

func (b brokenDriver) Stop(ctx context.Context, ref driver.Ref) error {
	if b.stop != nil {
		return b.stop(ctx, ref)
	}
	return b.Driver.Stop(ctx, ref)
}

func inDriver(breakIt func(*brokenDriver)) mutant {
	return mutant{inDriver: func(_ *world, real driver.Driver) driver.Driver {
		b := brokenDriver{Driver: real, machine: real.(handle).machine}
		breakIt(&b)
		return b
	}}
}

// named is a mutant and what the model must say of it.
type named struct {
	name, says string
	mutant
}

func mutants() []named {
	return []named{
		{"a store that ignores fences", "should {conflict fenced}", inStore(func(b *brokenStore) {
			b.fenced = func(ctx context.Context, f phone.Fence) phone.Fence {
				_ = b.w.db.QueryRowContext(ctx, `SELECT attempt, owner FROM jobs WHERE id = ? AND owner IS NOT NULL`, f.Job).Scan(&f.Attempt, &f.Replica)
				return f
			}
		})},
		{"a store that forgets a success", "differs from the reference", inStore(func(b *brokenStore) {
			b.finish = func(context.Context, phone.Fence, phone.Receipt) error { return nil }
		})},
		{"a store that forgets an erasure", "differs from the reference", inStore(func(b *brokenStore) { b.erased = func() error { return nil } })},
		{"a store that shows success before it is one", "I6: ", inStore(func(b *brokenStore) {
			b.claim = func(ctx context.Context, d phone.Delivery, r phone.ReplicaID) (phone.Assignment, error) {
				_, _ = b.w.db.ExecContext(ctx, `UPDATE phones SET status = 2, generation = last_generation WHERE id = (SELECT phone_id FROM jobs WHERE id = ? AND phase = 'booting')`, d.Job)
				b.w.version = 0
				return b.Store.Claim(ctx, d, r)
			}
		})},
		{"a sweep that finds nothing", "differs from the reference", inStore(func(b *brokenStore) { b.sweep = func() (int, error) { return 0, nil } })},
		{"a start that takes nothing over", "0 jobs were recovered", inStore(func(b *brokenStore) { b.recover = func() (int, error) { return 0, nil } })},
		{"a heartbeat that never says that it is over", "heartbeat answers { }", inStore(func(b *brokenStore) {
			b.beat = func(ctx context.Context, r phone.ReplicaID, ttl time.Duration) error {
				_ = b.Store.Heartbeat(ctx, r, ttl)
				return nil
			}
		})},
		{"an admission that ignores slots", "hold boot slots", mutant{inServer: func(w *world, s phone.Server) {
			w.move(`UPDATE servers SET max_concurrent_boots = max_concurrent_boots + 1 WHERE id = ?`, s.ID)
		}}},
		{"calls that ignore keys", "", inCalls(func(b *brokenCalls) { b.keyless = true })},
		{"calls that accept busy phones", "", inCalls(func(b *brokenCalls) { b.careless = true })},
		{"a cancel that comes too late", "", inCalls(func(b *brokenCalls) { b.tooLate = true })},
		{"a driver that erases nothing", "is still there", inDriver(func(b *brokenDriver) {
			b.erase = func(_ context.Context, _ phone.ID, below phone.Generation) (driver.Erasure, error) {
				return driver.Erasure{LookedFor: time.Now(), Volumes: []phone.ErasedVolume{{Name: "v", Generation: below - 1, Gone: true}}}, nil
			}
		})},
		{"a driver that destroys nothing of what is deleted", "is still there", mutant{inDriver: func(w *world, real driver.Driver) driver.Driver {
			return brokenDriver{Driver: real, erase: func(ctx context.Context, id phone.ID, below phone.Generation) (driver.Erasure, error) {
				if j := w.spec.unfinished(id); j == nil || j.Kind != phone.KindDelete {
					return real.Erase(ctx, id, below)
				}
				return driver.Erasure{LookedFor: time.Now(), Volumes: []phone.ErasedVolume{{Name: "v", Generation: below - 1, Gone: true}}}, nil
			}}
		}}},
		{"a driver that uninstalls nothing", "that is still there", inDriver(func(b *brokenDriver) {
			b.exec = func(ctx context.Context, ref driver.Ref, command driver.Command) (driver.Result, error) {
				if len(command.Args) > 1 && command.Args[1] == "uninstall" {
					return driver.Result{}, nil
				}
				return b.Driver.Exec(ctx, ref, command)
			}
		})},
		{"a store that forgets how a task ended", "differs from the reference", inStore(func(b *brokenStore) { b.ends = func() error { return nil } })},
		{"a store that forgets that a command has begun", " times in ", inStore(func(b *brokenStore) {
			b.claim = func(ctx context.Context, d phone.Delivery, r phone.ReplicaID) (phone.Assignment, error) {
				a, err := b.Store.Claim(ctx, d, r)
				a.Job.Begun = a.Job.Attempt
				return a, err
			}
		})},
		{"more tasks at once than a server may have", "differs from the reference", mutant{inTasks: 1}},
		{"a driver that erases too much", "", inDriver(func(b *brokenDriver) {
			b.erase = func(ctx context.Context, id phone.ID, below phone.Generation) (driver.Erasure, error) {
				return b.Driver.Erase(ctx, id, below+1)
			}
		})},
		{"a driver that uses a volume again", "the data of another life", inDriver(func(b *brokenDriver) {
			b.ensure = func(ctx context.Context, spec driver.Spec) (driver.Instance, error) {
				i, err := b.Driver.Ensure(ctx, spec)
				old := volumeName(driver.Ref{Phone: spec.Phone, Generation: spec.Generation - 1})
				if v := b.machine.volumes[old]; err == nil && v != nil {
					b.machine.volumes[volumeName(spec.Ref)].files = v.files
				}
				return i, err
			}
		})},
		{"a driver that takes every boot for done", "", inDriver(func(b *brokenDriver) {
			b.inspect = func(ctx context.Context, ref driver.Ref) (driver.Instance, error) {
				i, err := b.Driver.Inspect(ctx, ref)
				i.Booted = i.Running
				return i, err
			}
		})},
		{"a driver that does not stop what failed", "", inDriver(func(b *brokenDriver) { b.stop = func(context.Context, driver.Ref) error { return nil } })},
		{"a driver that takes others' things for its own", "I4: ", inDriver(func(b *brokenDriver) {
			b.ensure = func(ctx context.Context, spec driver.Spec) (driver.Instance, error) {
				b.machine.mu.Lock()
				own := b.Driver.(handle).owner
				if v := b.machine.volumes[volumeName(spec.Ref)]; v != nil && v.owner != own {
					delete(b.machine.volumes, volumeName(spec.Ref))
				}
				if i := b.machine.instances[instanceName(spec.Ref)]; i != nil && i.owner != own {
					delete(b.machine.instances, instanceName(spec.Ref))
				}
				b.machine.mu.Unlock()
				return b.Driver.Ensure(ctx, spec)
			}
		})},
		{"a pace that ignores how many may be let go at once", "pace: ", inStore(func(b *brokenStore) { b.paced = b.instead("at_once", 1000) })},
		{"a pace that waits for one phone only", "differs from the reference", inStore(func(b *brokenStore) { b.paced = b.instead("first", 1) })},
		{"a pace that never stops", "differs from the reference", inStore(func(b *brokenStore) { b.paced = b.instead("stop_percent", 100) })},
		{"an acceptance that holds nothing back for the canary", "pace", inCalls(func(b *brokenCalls) { b.hasty = true })},
		{"a driver that destroys what it stops", "destroys the volume of", inDriver(func(b *brokenDriver) {
			b.stop = func(ctx context.Context, ref driver.Ref) error {
				err := b.Driver.Stop(ctx, ref)
				b.machine.mu.Lock()
				defer b.machine.mu.Unlock()
				if v := b.machine.volumes[volumeName(ref)]; err == nil && v != nil && v.owner == b.Driver.(handle).owner {
					delete(b.machine.volumes, volumeName(ref))
				}
				return err
			}
		})},
		{"a driver that leaves the life that failed", "which failed, is still there", inDriver(func(b *brokenDriver) {
			b.discard = func(context.Context, driver.Ref) error { return nil }
		})},
		{"a driver that starts an old life with a new volume", "is not what it was", inDriver(func(b *brokenDriver) {
			b.start = func(ctx context.Context, ref driver.Ref) error {
				b.machine.mu.Lock()
				v, i := b.machine.volumes[volumeName(ref)], b.machine.instances[instanceName(ref)]
				if v != nil && i != nil && i.exited {
					b.machine.volumes[volumeName(ref)] = &volume{owner: v.owner, ref: v.ref, job: v.job, files: map[string][]byte{}}
				}
				b.machine.mu.Unlock()
				return b.Driver.Start(ctx, ref)
			}
		})},
		{"a store that forgets that a phone was rolled back", "differs from the reference", inStore(func(b *brokenStore) {
			b.rolled = func(ctx context.Context, f phone.Fence, failure phone.Failure) error {
				return b.Store.Fail(ctx, f, failure)
			}
		})},
		{"an engine that believes in its lease for too long", "I3: ", mutant{inStore: nil, inLease: 4}},
	}
}
