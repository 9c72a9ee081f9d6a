package docker

import (
	"cmp"
	"context"
	"io"
	"strconv"
	"time"

	"github.com/moby/moby/api/pkg/stdcopy"
	"github.com/moby/moby/client"

	"github.com/lethe-cloud/lethe/internal/driver"
	"github.com/lethe-cloud/lethe/internal/phone"
)

// defaultOutput bounds a command's stdout and stderr when it names no bound, in bytes.
const defaultOutput = 64 << 10

// killed is the exit code of a program that SIGKILL ended.
const killed = 128 + 9

// watched runs its arguments from the second on, and after as many seconds as the first says kills what is left of them. Docker cannot
// end a program that it has started in a container, so the phone's own shell has to. Docker makes each program the leader of a
// session and so of a process group, whose number is the shell's and stays the program's; the watcher is in the group and keeps that
// number from being given to anybody else. What it kills last is itself.
const watched = `(sleep "$1"; kill -9 -$$ || kill -9 $$) </dev/null >/dev/null 2>&1 & shift; exec "$@"`

// withTimeLimit gives the command as the phone is to run it.
func withTimeLimit(command driver.Command) driver.Command {
	if command.TimeLimit > 0 {
		seconds := strconv.FormatFloat(command.TimeLimit.Seconds(), 'f', -1, 64)
		command.Args = append([]string{"sh", "-c", watched, "sh", seconds}, command.Args...)
	}
	return command
}

// Exec runs a command as root. When ctx ends, the call returns and the program goes on inside the phone, until its TimeLimit.
func (d *Driver) Exec(ctx context.Context, ref driver.Ref, command driver.Command) (driver.Result, error) {
	found, err := d.find(ctx, ref)
	if err != nil {
		return driver.Result{}, err
	}
	if !found.State.Running {
		return driver.Result{}, errNotRunning(nil)
	}
	limit := cmp.Or(command.MaxOutput, defaultOutput)
	stdout, stderr := bounded{limit: limit}, bounded{limit: limit}
	started := time.Now()
	exec, err := d.host.stream(ctx, found.ID, withTimeLimit(command), &stdout, &stderr)
	if err != nil {
		return driver.Result{}, err
	}
	code, err := d.host.exitCode(ctx, exec)
	if err != nil {
		return driver.Result{}, err
	}
	return driver.Result{
		ExitCode: code, Stdout: stdout.kept, Stderr: stderr.kept, Truncated: stdout.cut || stderr.cut,
		Expired: command.TimeLimit > 0 && code == killed && time.Since(started) >= command.TimeLimit,
	}, nil
}

func errNotRunning(cause error) error {
	return &phone.Error{Code: phone.Precondition, Reason: phone.ReasonPhoneNotRunning, Msg: "the phone does not run", Err: cause}
}

// stream runs a program in a container until it closes its output, and gives the exec's id. The error is Precondition when the
// container does not run.
func (h *host) stream(ctx context.Context, id string, command driver.Command, stdout, stderr io.Writer) (string, error) {
	made, err := h.api.ExecCreate(ctx, id, client.ExecCreateOptions{
		Cmd: command.Args, AttachStdin: len(command.Stdin) > 0, AttachStdout: true, AttachStderr: true,
	})
	if err != nil {
		if err = classify("run a command in the phone", err); isConflict(err) {
			return "", errNotRunning(err)
		}
		return "", err
	}
	attached, err := h.api.ExecAttach(ctx, made.ID, client.ExecAttachOptions{})
	if err != nil {
		return "", h.whyNotAttached(ctx, id, err)
	}
	defer attached.Close()
	return made.ID, classify("run a command in the phone", talk(ctx, attached.HijackedResponse, command.Stdin, stdout, stderr))
}

// talk feeds a program's input and reads its two outputs to their end.
func talk(ctx context.Context, with client.HijackedResponse, stdin []byte, stdout, stderr io.Writer) error {
	defer context.AfterFunc(ctx, with.Close)() // wakes whoever reads or writes
	fed := make(chan struct{})
	go func() {
		defer close(fed)
		if len(stdin) > 0 {
			_, _ = with.Conn.Write(stdin) // a program may end without reading all of it: its exit code tells
		}
		_ = with.CloseWrite()
	}()
	_, err := stdcopy.StdCopy(stdout, stderr, with.Reader)
	with.Close()
	<-fed
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return err
}

// whyNotAttached finds out why a command could not be started: the client keeps nothing of the daemon's answer to a request
// to upgrade but its number.
func (h *host) whyNotAttached(ctx context.Context, id string, cause error) error {
	err := classify("run a command in the phone", cause)
	if phone.CodeOf(err) == phone.Unavailable {
		return err
	}
	found, lookErr := h.inspect(ctx, id)
	if lookErr != nil {
		return lookErr
	}
	if !found.State.Running {
		return errNotRunning(err)
	}
	return err
}

// exitCode waits until the daemon knows how a command ended, which it learns a moment after the output's end.
func (h *host) exitCode(ctx context.Context, exec string) (int, error) {
	for wait := time.Millisecond; ; wait = min(2*wait, 100*time.Millisecond) {
		ended, err := h.api.ExecInspect(ctx, exec, client.ExecInspectOptions{})
		if err != nil {
			if err = classify("ask how a command ended", err); isNotFound(err) { // the container was removed meanwhile
				return 0, errNotRunning(err)
			}
			return 0, err
		}
		if !ended.Running {
			return ended.ExitCode, nil
		}
		if err := pause(ctx, wait); err != nil {
			return 0, classify("wait for a command's end", err)
		}
	}
}

// bounded keeps the beginning of what is written to it.
type bounded struct {
	limit int
	kept  []byte
	cut   bool
}

func (b *bounded) Write(p []byte) (int, error) {
	room := min(b.limit-len(b.kept), len(p))
	b.kept = append(b.kept, p[:room]...)
	b.cut = b.cut || room < len(p)
	return len(p), nil
}
