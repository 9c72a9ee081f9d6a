package model

import (
	"strings"

	"github.com/lethe-cloud/lethe/internal/driver"
	"github.com/lethe-cloud/lethe/internal/phone"
)

// What must be true of tasks and of deleted phones, whatever the reference says.

// checkDeleted: of a phone that was deleted its host has nothing but what a late call of a worker that had lost its job made, or somebody planted,
// so nothing of it runs, and nothing has its adb port.
func (w *world) checkDeleted(m *machine) {
	if len(w.spec.deleted) == 0 {
		return
	}
	for _, name := range sorted(m.instances) {
		i := m.instances[name]
		if _, deleted := w.spec.deleted[i.spec.Phone]; deleted && i.excused == "" {
			w.fail("phone %s was deleted, and its host has the instance of %s, which runs: %v", w.names[i.spec.Phone], w.nameOfRef(i.spec.Ref), i.running)
		}
	}
	for _, name := range sorted(m.volumes) {
		v := m.volumes[name]
		if _, deleted := w.spec.deleted[v.ref.Phone]; deleted && !v.late {
			w.fail("phone %s was deleted, and its host has the volume of %s", w.names[v.ref.Phone], w.nameOfRef(v.ref))
		}
	}
}

// checkRan: a command is run once at most, by the job that is to, and in no other life than that in which it was accepted.
func (w *world) checkRan(m *machine) {
	for _, r := range m.newly {
		of := w.spec.inOrder(func(j *specJob) bool { return j.Phone == r.ref.Phone && w.commands[j.Request] == r.command })
		switch {
		case len(of) == 0 && w.prunedCommands(r.command):
		case len(of) != 1:
			w.fail("%q was run in %s, and %d jobs are to run it", r.command, w.nameOfRef(r.ref), len(of))
		case of[0].Target != r.ref.Generation:
			w.fail("task %s was run in %s, and was accepted in generation %d", w.nameOfJob(of[0].ID), w.nameOfRef(r.ref), of[0].Target)
		}
		if m.ran[r]++; m.ran[r] > 1 {
			w.fail("%q was run %d times in %s", r.command, m.ran[r], w.nameOfRef(r.ref))
		}
	}
	m.newly = nil
}

// prunedCommands reports whether no job of the command's request is left.
func (w *world) prunedCommands(command string) bool {
	for request, c := range w.commands {
		if c == command {
			return len(w.spec.inOrder(func(j *specJob) bool { return j.Request == request })) == 0
		}
	}
	return false
}

// checkTask is what must be true when a task says how it ended: a command that ended has been run, and an app that was uninstalled is gone.
func (w *world) checkTask(j *specJob, end phone.TaskEnd) {
	m, ref := w.machineOf(j.Server), driver.Ref{Phone: j.Phone, Generation: j.Target}
	m.mu.Lock()
	defer m.mu.Unlock()
	w.checkRan(m)
	command := w.commands[j.Request]
	ran := m.ran[ran{ref, command}]
	said := end.Failure == nil || end.Failure.Reason == phone.ReasonCommandFailed
	switch v := m.volumes[volumeName(ref)]; {
	case j.Kind == phone.KindShell && said && ran != 1:
		w.fail("task %s says how its command ended, which was run %d times", w.nameOfJob(j.ID), ran)
	case j.Kind == phone.KindShell && said && (end.Failure == nil) != strings.HasPrefix(command, "note "):
		w.fail("task %s ended with %+v, and its command is %q", w.nameOfJob(j.ID), end.Failure, command)
	case j.Kind == phone.KindUninstall && end.Failure == nil && v != nil && v.files[appFile] != nil:
		w.fail("task %s has uninstalled an app that is still there", w.nameOfJob(j.ID))
	}
}
