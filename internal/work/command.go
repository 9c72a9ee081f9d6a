package work

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/lethe-cloud/lethe/internal/driver"
	"github.com/lethe-cloud/lethe/internal/phone"
)

// doTask does a task in the phone as it runs. What it ends with is saved: nothing of it is a step that a later attempt goes on from.
func (t *task) doTask() error {
	if err := t.runs(); err != nil {
		return err
	}
	end, err := t.taskEnd()
	if err != nil {
		return err
	}
	return t.endTask(end)
}

func (t *task) taskEnd() (phone.TaskEnd, error) {
	switch t.Job.Kind {
	case phone.KindUninstall:
		return t.uninstall()
	case phone.KindPush:
		return t.push()
	case phone.KindInstall:
		return t.install()
	case phone.KindExport:
		return t.export()
	case phone.KindImport:
		return t.importData()
	default:
		return t.shell()
	}
}

func (t *task) endTask(end phone.TaskEnd) error {
	return t.save(func(ctx context.Context) error { return t.engine.Store.EndTask(ctx, t.Fence, end) })
}

// runs waits for the host and looks whether the phone runs on it.
func (t *task) runs() error {
	instance, err := t.inspect(t.ref())
	if phone.CodeOf(err) == phone.NotFound || err == nil && !instance.Running {
		return phone.Errorf(phone.Precondition, phone.ReasonPhoneNotRunning, "the phone does not run on server %s any more", t.Server.Name)
	}
	return err
}

// shell runs a command once. Nobody knows what it does, so one that may have run already is not run a second time: an attempt that finds it
// begun by another, or that has no answer, says so.
func (t *task) shell() (phone.TaskEnd, error) {
	if t.Job.Again() {
		return phone.TaskEnd{}, phone.Errorf(phone.Unavailable, phone.ReasonTaskUnknown, "the command may have run: the process that began it has gone away")
	}
	result, err := t.execTask(driver.Command{Args: []string{"sh", "-c", t.Task.Command}})
	switch {
	case t.dropped() != nil:
		return phone.TaskEnd{}, t.dropped()
	case phone.CodeOf(err) == phone.Unavailable || phone.CodeOf(err) == phone.Internal:
		return phone.TaskEnd{}, &phone.Error{
			Code: phone.Unavailable, Reason: phone.ReasonTaskUnknown, Err: err,
			Msg: "the command may have run: server " + t.Server.Name + " did not say how it ended: " + said(err),
		}
	case err != nil:
		return phone.TaskEnd{}, err
	}
	return t.ended("the command", result), nil
}

// uninstall removes an app. One that an earlier attempt has removed is as it should be.
func (t *task) uninstall() (phone.TaskEnd, error) {
	var result driver.Result
	look, gone := t.Job.Again(), false
	err := t.call("uninstall the app", func(context.Context) error {
		if look {
			there, err := t.installed(t.Task.Package)
			if gone = err == nil && !there; err != nil || gone {
				return err
			}
		}
		var err error
		result, err = t.execTask(driver.Command{Args: []string{"pm", "uninstall", t.Task.Package}})
		look = look || err != nil // it may be gone: every further try looks
		return err
	})
	if err != nil {
		return phone.TaskEnd{}, err
	}
	if gone {
		return phone.TaskEnd{Output: "Success"}, nil
	}
	return t.ended("pm uninstall", result), nil
}

// installed looks whether the phone has a package of that name. `pm path` of one that is not there says nothing and ends with 1; anything else
// says that the package manager does not answer.
func (t *task) installed(name string) (bool, error) {
	result, err := t.execTask(driver.Command{Args: []string{"pm", "path", name}})
	if err != nil {
		return false, err
	}
	switch {
	case result.ExitCode == 0 && strings.Contains(string(result.Stdout), "package:"):
		return true, nil
	case result.ExitCode == 1 && len(result.Stdout)+len(result.Stderr) == 0:
		return false, nil
	}
	return false, phone.Errorf(phone.Internal, phone.ReasonHostFailed, "the phone's package manager does not say whether the app is there: exit code %d: %s", result.ExitCode, output(result))
}

// taskGrace is how long a host may take to say how a command ended, besides the command's own time.
const taskGrace = 10 * time.Second

// execTask makes one call of a program in the phone. Its time limit ends the program in the phone, and a host that does not answer by then
// is one that does not answer.
func (t *task) execTask(command driver.Command) (driver.Result, error) {
	if err := t.stillHeld(t.hard); err != nil { // the host may have been away for long, or the process paused, since the phone was looked at
		t.lost = t.lost || phone.ReasonOf(err) == phone.ReasonFenced
		return driver.Result{}, err
	}
	ctx, cancel := context.WithTimeout(t.hard, t.engine.TaskTimeout+taskGrace)
	defer cancel()
	command.TimeLimit = t.engine.TaskTimeout
	command.MaxOutput = phone.MaxOutput
	result, err := t.host.Exec(ctx, t.ref(), command)
	switch code := phone.CodeOf(err); {
	case err == nil && result.Expired:
		return result, phone.Errorf(phone.Precondition, phone.ReasonTaskExpired, "%s was ended in the phone after %s", command.Args[0], t.engine.TaskTimeout)
	case code == phone.NotFound || code == phone.Precondition:
		return result, &phone.Error{Code: phone.Precondition, Reason: phone.ReasonPhoneNotRunning, Msg: "the phone does not run on server " + t.Server.Name + " any more", Err: err}
	case err != nil && errors.Is(err, context.DeadlineExceeded) && t.hard.Err() == nil:
		return result, &phone.Error{Code: phone.Precondition, Reason: phone.ReasonTaskExpired, Err: err, Msg: command.Args[0] + " did not end within its time"}
	}
	return result, err
}

// ended is how a program's end ends its task.
func (t *task) ended(what string, result driver.Result) phone.TaskEnd {
	end := phone.TaskEnd{Output: output(result)}
	if result.ExitCode != 0 {
		failure := t.failure(phone.Errorf(phone.Precondition, phone.ReasonCommandFailed, "%s ended with exit code %d", what, result.ExitCode))
		end.Failure = &failure
	}
	return end
}

// output is what a program wrote, without the line ends after it: stdout, then stderr, each as far as it was kept.
func output(r driver.Result) string {
	text := strings.ToValidUTF8(string(r.Stdout)+string(r.Stderr), "�")
	text = strings.ReplaceAll(text, "\x00", "�") // PostgreSQL's text has none
	if len(text) > phone.MaxOutput {
		text = strings.ToValidUTF8(text[:phone.MaxOutput], "")
	}
	return strings.TrimRight(text, "\r\n")
}
