package work_test

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/lethe-cloud/lethe/internal/driver"
	"github.com/lethe-cloud/lethe/internal/fleet"
	"github.com/lethe-cloud/lethe/internal/phone"
)

// task gives phones something to do; each must take it.
func (b *bench) task(kind phone.Kind, task phone.Task, phones ...phone.Phone) phone.RequestID {
	b.t.Helper()
	in := fleet.AcceptTask{}
	in.Request = phone.Request{ID: phone.NewID[phone.RequestID](), Project: b.project, Kind: kind, Caller: "test", CreatedAt: time.Now(), Task: &task}
	for _, p := range phones {
		in.Items = append(in.Items, phone.ResetItem{PhoneID: string(p.ID)})
	}
	_, outcomes, err := b.store.AcceptTask(b.t.Context(), in)
	if err != nil {
		b.t.Fatal(err)
	}
	for _, o := range outcomes {
		if o.Err != nil {
			b.t.Fatalf("phone %s refused: %v", o.PhoneID, o.Err)
		}
	}
	return in.Request.ID
}

func (b *bench) ran(i int) (ran []string) {
	b.host.set(b.ref(i, 1), func(i *memoryInstance) { ran = slices.Clone(i.ran) })
	return ran
}

// A command runs once in each phone, and what it said is kept, as text that every database takes.
func TestShell(t *testing.T) {
	t.Parallel()
	b := newBench(t, 2, 2)
	b.start()
	b.created()
	b.host.set(b.ref(1, 1), func(i *memoryInstance) { i.exit = 3 })
	jobs := b.await(b.task(phone.KindShell, phone.Task{Command: "id"}, b.phones...), "ended", ended)
	if j := jobs[0]; j.Phase != phone.PhaseSucceeded || j.Output != "ran id\n\ufffd\ufffd" || j.Failure != nil {
		t.Errorf("it is %s and said %q: %+v", j.Phase, j.Output, j.Failure)
	}
	if j := jobs[1]; j.Phase != phone.PhaseFailed || j.Failure.Reason != phone.ReasonCommandFailed || !strings.Contains(j.Failure.Msg, "exit code 3") || !strings.HasPrefix(j.Output, "ran id") {
		t.Errorf("one with an exit code is %s and said %q: %+v", j.Phase, j.Output, j.Failure)
	}
	for i := range b.phones {
		if ran := b.ran(i); !slices.Equal(ran, []string{"id"}) || b.phone(b.phones[i].ID).Status != phone.StatusRunning {
			t.Errorf("phone %d has run %q", i, ran)
		}
	}
}

// A command that may have run is not run again, and says so: not after its answer was lost, and not by the next process.
func TestShellIsNotRepeated(t *testing.T) {
	t.Parallel()
	for name, cut := range map[string]bool{"the answer is lost": false, "the process ends": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t, 1, 1)
			b.config.StopGrace = time.Millisecond
			stop := b.start()
			b.created()
			reached := make(chan struct{}, 10)
			b.host.onCall(func(ctx context.Context, call string, ref driver.Ref) error {
				if call != "exec sh" {
					return nil
				}
				b.host.set(ref, func(i *memoryInstance) { i.ran = append(i.ran, "id") })
				reached <- struct{}{}
				if cut {
					<-ctx.Done()
				}
				return phone.Errorf(phone.Unavailable, "", "the answer was lost")
			})
			request := b.task(phone.KindShell, phone.Task{Command: "id"}, b.phones...)
			<-reached
			if cut {
				stop()
				b.host.onCall(func(context.Context, string, driver.Ref) error { return nil })
				b.start()
			}
			j := b.await(request, "ended", ended)[0]
			if j.Phase != phone.PhaseFailed || j.Failure.Reason != phone.ReasonTaskUnknown || !strings.Contains(j.Failure.Msg, "may have run") || (j.Attempt > 1) != cut {
				t.Errorf("attempt %d: %s %+v", j.Attempt, j.Phase, j.Failure)
			}
			if ran := b.ran(0); len(ran) != 1 {
				t.Errorf("it ran %d times", len(ran))
			}
		})
	}
}

// An app is gone after its uninstall, also when the answer was lost; one that is not there is what the package manager says.
func TestUninstall(t *testing.T) {
	t.Parallel()
	b := newBench(t, 1, 1)
	b.start()
	b.created()
	install := func() {
		b.host.set(b.ref(0, 1), func(i *memoryInstance) { i.packages, i.ran = map[string]bool{"com.example.app": true}, nil })
	}
	app := phone.Task{Package: "com.example.app"}
	install()
	if j := b.await(b.task(phone.KindUninstall, app, b.phones...), "ended", ended)[0]; j.Phase != phone.PhaseSucceeded || j.Output != "Success" {
		t.Errorf("%s %q %+v", j.Phase, j.Output, j.Failure)
	}
	if j := b.await(b.task(phone.KindUninstall, app, b.phones...), "ended", ended)[0]; j.Phase != phone.PhaseFailed || j.Failure.Reason != phone.ReasonCommandFailed || !strings.Contains(j.Output, "DELETE_FAILED") {
		t.Errorf("of an app that is not there: %s %q %+v", j.Phase, j.Output, j.Failure)
	}
	install()
	lost := false
	b.host.onCall(func(_ context.Context, call string, ref driver.Ref) error {
		if call == "exec pm" && !lost {
			lost = true
			b.host.set(ref, func(i *memoryInstance) { delete(i.packages, "com.example.app") })
			return phone.Errorf(phone.Unavailable, "", "the answer was lost")
		}
		return nil
	})
	if j := b.await(b.task(phone.KindUninstall, app, b.phones...), "ended", ended)[0]; j.Phase != phone.PhaseSucceeded {
		t.Errorf("whose answer was lost: %s %+v", j.Phase, j.Failure)
	}
	if ran := b.ran(0); !slices.Equal(ran, []string{"pm path com.example.app"}) {
		t.Errorf("the phone ran %q", ran)
	}
}

// A reset ends the tasks of its phone, whose worker then changes nothing; a phone that does not run fails its task by that name.
func TestTaskEndsWithItsLife(t *testing.T) {
	t.Parallel()
	b := newBench(t, 2, 2)
	b.start()
	b.created()
	reached, leave := make(chan struct{}, 10), make(chan struct{})
	b.host.onCall(func(_ context.Context, call string, _ driver.Ref) error {
		if call == "exec sh" {
			reached <- struct{}{}
			<-leave
		}
		return nil
	})
	request := b.task(phone.KindShell, phone.Task{Command: "id"}, b.phones[0])
	<-reached
	reset := b.reset(b.phones[:1], nil)
	if j := b.await(request, "ended", ended)[0]; j.Phase != phone.PhaseFailed || j.Failure.Reason != phone.ReasonTaskEnded {
		t.Errorf("the task: %s %+v", j.Phase, j.Failure)
	}
	close(leave)
	b.succeeded(reset)
	b.host.set(b.ref(1, 1), func(i *memoryInstance) { i.running, i.booted = false, false })
	if j := b.await(b.task(phone.KindShell, phone.Task{Command: "id"}, b.phones[1]), "ended", ended)[0]; j.Failure == nil || j.Failure.Reason != phone.ReasonPhoneNotRunning {
		t.Errorf("in a phone that does not run: %s %+v", j.Phase, j.Failure)
	}
}
