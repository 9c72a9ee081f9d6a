package model

import (
	"strings"

	"github.com/lethe-cloud/lethe/internal/driver"
	"github.com/lethe-cloud/lethe/internal/phone"
)

// What must be true of old lives, whatever the reference says: they are destroyed only by the job that may, and when it may; and a phone
// that was rolled back has its own.

func priorOf(j *specJob) driver.Ref { return driver.Ref{Phone: j.Phone, Generation: j.Prior} }

// things is what a host has of one phone.
type things struct {
	volumes map[string]driver.Ref
	all     map[string]driver.Ref // instances
	running map[string]driver.Ref
}

func (m *machine) of(id phone.ID) things {
	m.mu.Lock()
	defer m.mu.Unlock()
	t := things{volumes: map[string]driver.Ref{}, all: map[string]driver.Ref{}, running: map[string]driver.Ref{}}
	if id == "" {
		return t
	}
	m.pass()
	for name, v := range m.volumes {
		if v.ref.Phone == id {
			t.volumes[name] = v.ref
		}
	}
	for name, i := range m.instances {
		if i.spec.Phone == id {
			t.all[name] = i.spec.Ref
			if i.running {
				t.running[name] = i.spec.Ref
			}
		}
	}
	return t
}

// checkDone holds what a call of a host has just ended against what the phone's job may end at this moment. A worker that has lost its job
// may be late: what it ended is noted, and excused.
func (w *world) checkDone(g *gate, m *machine, id phone.ID, pass string, before things) {
	now := m.of(id)
	for _, kind := range []struct {
		name        string
		before, now map[string]driver.Ref
		may         func(*specJob, phone.Generation) bool
	}{
		{"destroys the volume of", before.volumes, now.volumes, mayDestroy},
		{"removes the instance of", before.all, now.all, mayRemove},
		{"stops the instance of", before.running, now.running, mayStop},
	} {
		for _, name := range sorted(kind.before) {
			ref := kind.before[name]
			if _, there := kind.now[name]; there {
				continue
			}
			if m.late {
				m.lost[name] = "a late call ended it"
				if i := m.instances[name]; i != nil {
					i.ended = "a late call ended it"
				}
				continue
			}
			p, j := w.spec.phones[id], w.spec.unfinished(id)
			if pass != "" { // it removes what is over, also beside a job that began after it had asked
				if p == nil || ref.Generation == p.Generation || j != nil && ref.Generation >= j.Target {
					w.fail("%s %s %s, which is not over", g, kind.name, w.nameOfRef(ref))
				}
				continue
			}
			if j == nil || !kind.may(j, ref.Generation) {
				w.fail("%s %s %s, and its job may not do so now", g, kind.name, w.nameOfRef(ref))
			}
		}
	}
}

// mayDestroy, mayRemove and mayStop say what the worker of a job may do to a life of its phone. Before `verifying` a job with the
// rollback policy only stops the old one, and from `restoring` on it does nothing more to it.
func mayDestroy(j *specJob, g phone.Generation) bool {
	return mayRemove(j, g) && j.Phase != phone.PhaseRemoving
}

func mayRemove(j *specJob, g phone.Generation) bool {
	switch {
	case j.Kind == phone.KindDelete:
		return j.Phase == phone.PhaseDeleting
	case j.Kind != phone.KindReset:
		return false
	case j.Phase == phone.PhaseRestoring:
		return j.Prior < g && g <= j.Target
	case j.Rollback:
		return j.Phase == phone.PhaseVerifying && g < j.Target
	}
	return g < j.Target && (inSlot(j.Phase) || j.Phase == phone.PhaseVerifying)
}

func mayStop(j *specJob, g phone.Generation) bool {
	switch {
	case mayRemove(j, g): // with it
		return true
	case j.Kind == phone.KindStop && j.Phase == phone.PhaseStopping, j.Kind == phone.KindRestart && j.Phase == phone.PhaseRemoving:
		return g == j.Target
	case j.Rollback && j.Phase == phone.PhaseRemoving:
		return g < j.Target
	case j.Phase == phone.PhaseRestoring: // what could not be brought back does not go on booting without a slot
		return g == j.Prior || g == j.Target
	}
	return g == j.Target && (j.Phase == phone.PhaseCreating || j.Phase == phone.PhaseBooting)
}

// checkRoom: beside an old life a new one is made only on a host that has said that it has room.
func (w *world) checkRoom(f phone.Fence, to phone.Phase) {
	j := w.spec.fenced(f)
	if j == nil || !j.Rollback || j.Phase != phone.PhaseRemoving || to != phone.PhaseCreating {
		return
	}
	m := w.machineOf(j.Server)
	full, asked := w.told[j.ID]
	old := m.instances[instanceName(priorOf(j))] != nil && m.volumes[volumeName(priorOf(j))] != nil
	if old && (full || !asked) { // where there is nothing to go back to, none is kept, whatever an earlier attempt was told
		w.fail("rollback: %s goes on without room for a second volume; its host was asked: %v", w.nameOfJob(j.ID), asked)
	}
}

// checkRolledBack is what must be true when a job says that it has brought the old life back: instance and volume are there, with their
// data; what ran runs, with its properties; and of the lives after it nothing is left, unless the job says so.
func (w *world) checkRolledBack(j *specJob, failure phone.Failure) {
	m, ref := w.machineOf(j.Server), priorOf(j)
	m.mu.Lock()
	defer m.mu.Unlock()
	m.pass()
	i, v := m.instances[instanceName(ref)], m.volumes[volumeName(ref)]
	switch {
	case v == nil && m.lost[volumeName(ref)] == "", i == nil && m.lost[instanceName(ref)] == "":
		w.fail("rollback: %s was rolled back to %s, of which the instance is there: %v, and the volume: %v", w.nameOfJob(j.ID), w.nameOfRef(ref), i != nil, v != nil)
	case v != nil && (v != w.kept[j.ID] || !v.intact()):
		w.fail("rollback: %s was rolled back, and the data of %s is not what it was", w.nameOfJob(j.ID), w.nameOfRef(ref))
	case i == nil || j.PriorStatus != phone.StatusRunning:
	case !i.booted() && i.ended == "" && i.excused == "":
		w.fail("rollback: %s was rolled back, and %s does not run", w.nameOfJob(j.ID), w.nameOfRef(ref))
	case i.running && i.excused == "":
		p := w.spec.phones[j.Phone]
		for key, value := range propertiesOf(p.Properties) {
			older := rules.Timing(key) == driver.AtCreation && made(i.spec) != rules.Made(p.Image, propertiesOf(p.Properties)) // the value waits for the next boot
			if rules.Timing(key) != driver.Recorded && !older && i.props[key] != value {
				w.fail("rollback: %s was rolled back, and property %s of %s is %q", w.nameOfJob(j.ID), key, w.nameOfRef(ref), i.props[key])
			}
		}
	}
	if strings.Contains(failure.Detail, "something is left on the server") {
		return
	}
	after := j.Prior
	if strings.Contains(failure.Detail, "nothing was done to the phone") { // what an earlier job has left, and said so, is left
		after = j.Target - 1
	}
	for _, name := range sorted(m.volumes) {
		if v := m.volumes[name]; v.ref.Phone == j.Phone && v.ref.Generation > after && v.ref.Generation <= j.Target && !v.late {
			w.fail("rollback: %s was rolled back, and the volume of %s, which failed, is still there", w.nameOfJob(j.ID), w.nameOfRef(v.ref))
		}
	}
	for _, name := range sorted(m.instances) {
		if i := m.instances[name]; i.spec.Phone == j.Phone && i.spec.Generation > after && i.spec.Generation <= j.Target && i.excused == "" {
			w.fail("rollback: %s was rolled back, and the instance of %s, which failed, is still there", w.nameOfJob(j.ID), w.nameOfRef(i.spec.Ref))
		}
	}
}

// checkGivenBack: a phone whose job was cancelled or rolled back is what it was, and nothing of its data was recorded as erased.
func (w *world) checkGivenBack(was, is specJob) {
	if was.Phase == phone.PhaseVerifying && is.Phase == phone.PhaseRestoring {
		w.fail("rollback: %s turns back after the point of no return", w.nameOfJob(is.ID))
	}
	if is.Rollback && is.Erase == phone.EraseDone && (cancellable(is.Phase) || inSlot(is.Phase) || is.RolledBack) {
		w.fail("rollback: %s has erased the old life, and is %s, rolled back: %v", w.nameOfJob(is.ID), is.Phase, is.RolledBack)
	}
	if was.ID == "" || final(was.Phase) || task(is.Kind) || is.Phase != phone.PhaseCancelled && !is.RolledBack {
		return
	}
	status := is.PriorStatus
	if is.Kind == phone.KindCreate {
		status = phone.StatusCreateFailed
	}
	if p := w.rows.Phones[is.Phone]; p.Status != status || p.Generation != is.Prior || p.Image != is.PriorImage {
		w.fail("job %s ended as %s without a success, and its phone is not what it was: %+v", w.nameOfJob(is.ID), is.Phase, p)
	}
}

// checkPorts: two lives of a phone have one adb port, so they never run at the same time.
func (w *world) checkPorts(m *machine) {
	at := map[phone.ID]driver.Ref{}
	for _, name := range sorted(m.instances) {
		i := m.instances[name]
		if !i.running || i.excused != "" {
			continue
		}
		if other, twice := at[i.spec.Phone]; twice {
			w.fail("the instances of %s and %s run at the same time", w.nameOfRef(other), w.nameOfRef(i.spec.Ref))
		}
		at[i.spec.Phone] = i.spec.Ref
	}
}

// checkDead: what is found dead died by itself or by somebody's hand, or was stopped by a late call of a worker that had lost its job;
// never by what the engine does on purpose.
func (w *world) checkDead(server phone.ServerID, died []phone.Died) {
	m := w.machineOf(server)
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, d := range died {
		ref := driver.Ref{Phone: d.Phone, Generation: w.spec.phones[d.Phone].Generation}
		switch i := m.instances[instanceName(ref)]; {
		case i == nil && m.lost[instanceName(ref)] == "", i != nil && i.ended == "" && i.excused == "":
			w.fail("%s is found dead, and nobody knows why", w.nameOfRef(ref))
		}
	}
}
