package model

import (
	"context"
	"fmt"
	"time"

	"github.com/lethe-cloud/lethe/internal/driver"
	"github.com/lethe-cloud/lethe/internal/fleet"
	"github.com/lethe-cloud/lethe/internal/phone"
)

// run does as many actions as the seed's mood says, lifts all faults, and waits until everything has ended. Then it resets every phone
// with the rollback policy, of which most fail, has them all do something while some are deleted, and resets what is left: whatever has
// happened, that must succeed.
func (w *world) run() error {
	mood := w.mood
	for _, part := range []func() error{
		func() error { return w.act(mood.steps) }, w.lift, func() error { return w.settle("after the faults") },
		w.rollbackRound, func() error { return w.taskRound(mood) }, w.lastRound,
	} {
		if err := part(); err != nil {
			return err
		}
	}
	return nil
}

// act does as many actions as that.
func (w *world) act(n int) error {
	for range n {
		a := w.drawAction()
		a.do(w)
		w.tick()
		if err := w.check(); err != nil {
			return err
		}
	}
	return nil
}

// taskRound runs commands in all phones and deletes some of them, while everything else goes on as hard as the seed is: as with rollback, too few
// phones run before that.
func (w *world) taskRound(hard mood) error {
	w.tracef("--- every phone has something to do, and some are deleted")
	w.calm, w.mood = false, hard
	for range 2 {
		w.doAll(phone.KindShell, phone.Task{Command: w.drawCommand()})
		w.putApps()
		w.doAll(phone.KindUninstall, phone.Task{Package: app})
		if err := w.act(taskSteps); err != nil {
			return err
		}
		w.deleteSome()
		if err := w.act(taskSteps); err != nil {
			return err
		}
	}
	if err := w.lift(); err != nil {
		return err
	}
	return w.settle("after the round of tasks")
}

const taskSteps = 15

// rollbackRound resets what there is with the rollback policy, while most new lives do not boot, and some old ones do not either. Seeds are
// mostly over before so many phones run that this would come about by itself.
func (w *world) rollbackRound() error {
	w.tracef("--- every phone is reset with the rollback policy")
	w.calm, w.mood.boots = false, 0.25
	for _, project := range w.projects {
		in := fleet.ResetPhones{Project: project, Rollback: true, Pace: w.drawPace()}
		for _, p := range w.spec.sortedPhones() {
			if p.Project == project {
				in.Phones = append(in.Phones, fleet.ResetPhone{ID: string(p.ID), Property: pick(w.rng, propertyTexts)})
			}
		}
		if len(in.Phones) > 0 { // all of them may be deleted
			w.sendReset(in)
		}
	}
	err := w.settle("after the round with the rollback policy")
	w.calm, w.mood.boots = true, 0
	return err
}

// tick lets a moment pass, another one each time: no two timers that were set in different steps are due at the same moment, so the
// order in which they go off is the seed's.
func (w *world) tick() {
	time.Sleep(time.Duration(1 + w.rng.IntN(1000)))
	w.rest()
}

// lift ends every fault. One replica that is dead may stay so: the others must finish its work.
func (w *world) lift() error {
	w.tracef("--- all faults are lifted")
	w.calm = true
	w.mood = mood{steps: w.mood.steps, engines: w.mood.engines}
	for _, endpoint := range sorted(w.machines) {
		m := w.machines[endpoint]
		m.mu.Lock()
		m.away, m.full = false, false
		clear(m.pinned)
		clear(m.missing)
		m.mu.Unlock()
	}
	for _, p := range w.planted {
		p.machine.uproot(p.kind, p.ref)
	}
	w.planted = nil
	alive := 0
	for _, r := range w.replicas {
		if r.life != nil && !r.life.stopping {
			r.life.paused = false
			alive++
		}
	}
	for _, r := range w.replicas {
		if r.life != nil && r.life.stopping {
			r.life.paused = false
			continue
		}
		if r.life == nil && (alive == 0 || w.rng.IntN(2) == 0) {
			if err := w.start(r); err != nil {
				return err
			}
			alive++
		}
	}
	if alive > 0 {
		return w.check()
	}
	// All that there is is stopping: once it has stopped it starts again.
	if err := w.until("the replicas have stopped", func() bool { return w.replicas[0].life == nil }); err != nil {
		return err
	}
	return w.start(w.replicas[0])
}

// patience is how long, by the bubble's clock, everything may take to end: a host's deadline, a boot's, a few leases, and room.
const patience = 10 * time.Minute

func (w *world) settle(when string) error {
	err := w.until("I2: every job has ended "+when, func() bool {
		for _, j := range w.spec.jobs {
			if !final(j.Phase) {
				return false
			}
		}
		return !w.atWork()
	})
	if err != nil {
		return err
	}
	return w.check()
}

// atWork reports whether anything but the endless loops of the engines is under way.
func (w *world) atWork() bool {
	for _, l := range w.lives {
		if !l.dead && (len(l.handling) > 0 || l.passes > 0 || l.stopping && l.store != nil) {
			return true
		}
	}
	for _, process := range w.spec.queue {
		if process == "" {
			return true
		}
	}
	return false
}

// until lets everything go on, in an order that the seed draws, until something is so.
func (w *world) until(what string, so func() bool) error {
	for began := time.Now(); !so(); {
		if time.Since(began) > patience {
			return fmt.Errorf("not within %s: %s\n%s", patience, what, w.unended())
		}
		open := w.atGates()
		switch {
		case len(open) > 0:
			g := open[w.rng.IntN(len(open))]
			w.let(g, w.judge(g))
		case w.handOne():
		default:
			time.Sleep(time.Duration(100+w.rng.IntN(100)) * time.Millisecond)
			w.rest()
		}
		w.sayStopped()
		w.tick()
		if err := w.check(); err != nil {
			return err
		}
	}
	return nil
}

func (w *world) unended() (text string) {
	for _, j := range w.spec.inOrder(func(j *specJob) bool { return !final(j.Phase) }) {
		text += fmt.Sprintf("%s is %s, erase %s, attempt %d, owner %q, delivered %d\n", w.nameOfJob(j.ID), j.Phase, j.Erase, j.Attempt, j.Owner, j.Delivered)
	}
	for _, l := range w.lives {
		if !l.dead && l.store != nil {
			text += fmt.Sprintf("%s: stopping %v, paused %v, passes %d, handling %d\n", l, l.stopping, l.paused, l.passes, len(l.handling))
		}
	}
	return text
}

// sayStopped notes processes that were told to stop and have.
func (w *world) sayStopped() {
	for _, r := range w.replicas {
		l := r.life
		if l == nil {
			continue
		}
		select {
		case <-l.ended:
		default:
			continue
		}
		w.tracef("%s has stopped: %v", l, l.err)
		if !w.mayEnd(l) {
			w.fail("%s ended by itself: %v", l, l.err)
		}
		w.kill(l, func(*gate) bool { return false }) // with what is left of it: passes that callers asked for
	}
	w.bury()
}

// mayEnd: a process ends when it was told to, or when the database failed while it took up its work; it says so when that kept it from
// giving its jobs back.
func (w *world) mayEnd(l *life) bool {
	code := phone.CodeOf(l.err)
	return l.stopping && (code == "" || code == phone.Unavailable) || code == phone.Internal
}

// lastRound resets all phones, looks at what the hosts have, puts them in order, and stops the replicas.
func (w *world) lastRound() error {
	w.tracef("--- every phone is reset once more")
	for _, p := range w.spec.sortedPhones() {
		if busy(p.Status) {
			return fmt.Errorf("I2: phone %s is left in status %d", w.names[p.ID], p.Status)
		}
	}
	for _, project := range w.projects {
		in := fleet.ResetPhones{Project: project, Rollback: w.rng.IntN(2) == 0, Pace: w.drawPace()}
		for _, p := range w.spec.sortedPhones() {
			if p.Project == project {
				in.Phones = append(in.Phones, fleet.ResetPhone{ID: string(p.ID), Property: `{"ro.product.model":"last"}`})
			}
		}
		if len(in.Phones) > 0 { // all of them may be deleted
			w.sendReset(in)
		}
	}
	if err := w.settle("after the last reset"); err != nil {
		return err
	}
	for _, p := range w.spec.sortedPhones() {
		if err := w.checkReset(p); err != nil {
			return err
		}
	}
	if err := w.tidy(); err != nil {
		return err
	}
	return w.stopAll()
}

// checkReset: the phone's last reset succeeded, and its life runs, with its own data and properties.
func (w *world) checkReset(p *specPhone) error {
	m, ref := w.machineOf(p.Server), driver.Ref{Phone: p.ID, Generation: p.Generation}
	i, v := m.instances[instanceName(ref)], m.volumes[volumeName(ref)]
	switch {
	case p.Status != phone.StatusRunning || p.Generation != p.Last:
		job := w.spec.inOrder(func(j *specJob) bool { return j.Phone == p.ID && j.Target == p.Last })
		return fmt.Errorf("phone %s is in status %d with generation %d of %d after its last reset: %+v", w.names[p.ID], p.Status, p.Generation, p.Last, *job[len(job)-1])
	case i == nil || !i.booted() || v == nil:
		return fmt.Errorf("phone %s is in status 2, and its host has the instance %+v and the volume %+v", w.names[p.ID], i, v)
	case string(v.files[lifeMark]) != markOf(ref) || i.props["ro.product.model"] != "last":
		return fmt.Errorf("phone %s has the data of %q and the model %q", w.names[p.ID], v.files[lifeMark], i.props["ro.product.model"])
	}
	return nil
}

// tidy makes passes until what is over has been seen for the grace period. Then each host has exactly the present lives.
func (w *world) tidy() error {
	for range 3 {
		for _, s := range w.servers {
			w.beginPass(w.lively(), s, false)
		}
		if err := w.settle("after a pass"); err != nil {
			return err
		}
		began := time.Now()
		if err := w.until("the grace is over", func() bool { return time.Since(began) > grace }); err != nil {
			return err
		}
	}
	for _, endpoint := range sorted(w.machines) {
		m := w.machines[endpoint]
		for _, name := range sorted(m.instances) {
			if ref := m.instances[name].spec.Ref; w.isOver(ref) {
				return fmt.Errorf("after the passes the instance of %s is still on the host", w.nameOfRef(ref))
			}
		}
		for _, name := range sorted(m.volumes) {
			if ref := m.volumes[name].ref; w.isOver(ref) {
				return fmt.Errorf("after the passes the volume of %s is still on the host", w.nameOfRef(ref))
			}
		}
	}
	return nil
}

// isOver reports whether a life must not be on its host any more after the passes. What a late call made of a phone that was deleted goes as
// long as the deletion's job is kept; afterwards nobody knows what it is.
func (w *world) isOver(ref driver.Ref) bool {
	if p := w.spec.phones[ref.Phone]; p != nil {
		return p.Generation != ref.Generation
	}
	return len(w.spec.inOrder(func(j *specJob) bool { return j.Phone == ref.Phone && j.Kind == phone.KindDelete })) > 0
}

// stopAll stops the replicas in order: each has given its lease back and has no job.
func (w *world) stopAll() error {
	for _, r := range w.replicas {
		if r.life != nil {
			w.tracef("%s is told to stop", r.life)
			r.life.stopping = true
			r.life.stop()
			w.rest()
		}
	}
	err := w.until("the replicas have stopped", func() bool {
		for _, r := range w.replicas {
			if r.life != nil {
				return false
			}
		}
		return true
	})
	if err != nil {
		return err
	}
	for _, l := range w.lives {
		// One whose lease ran out while it stopped has nothing to give back; the row may last longer by a database's clock that was set back.
		lease := w.spec.replicas[l.replica.id]
		if l.stopping && l.released && lease.Incarnation == l.incarnation && lease.Expires > 0 {
			return fmt.Errorf("replica %s has stopped and has a lease", l)
		}
	}
	var counted, phones int
	err = w.db.QueryRowContext(context.Background(), `SELECT (SELECT sum(n) FROM phone_counts WHERE status = 2), (SELECT count(*) FROM phones WHERE status = 2)`).Scan(&counted, &phones)
	if err != nil || counted != phones {
		return fmt.Errorf("%d phones run, and %d are counted: %v", phones, counted, err)
	}
	return w.check()
}
