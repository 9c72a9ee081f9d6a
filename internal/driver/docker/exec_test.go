package docker

import (
	"bytes"
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/lethe-cloud/lethe/internal/driver"
	"github.com/lethe-cloud/lethe/internal/phone"
)

// What watches a command is a shell's program, and the test phone's shell forks no part of itself: here a shell that does runs it, as the
// leader of a session, which is how Docker starts it.
func TestWatchedByAShellThatForks(t *testing.T) {
	t.Parallel()
	shell, err := exec.LookPath("sh")
	if err != nil {
		t.Skip("there is no sh on this machine")
	}
	for name, tt := range map[string]struct {
		script string
		code   int
		stdout string
	}{
		"ends by itself":                 {script: `cat; echo "$1"; exit 3`, code: 3, stdout: "input\nargument with  spaces\n"},
		"is killed":                      {script: "echo begun; sleep 600; echo on", code: -1, stdout: "begun\n"},
		"what it started is killed":      {script: "(sleep 600; true) & echo begun; wait", code: -1, stdout: "begun\n"},
		"what it left behind is killed":  {script: "sleep 600 & echo begun", stdout: "begun\n"},
		"what ignores signals is killed": {script: "trap '' TERM INT HUP; echo begun; sleep 600; sleep 600", code: -1, stdout: "begun\n"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			args := withTimeLimit(driver.Command{
				Args: []string{shell, "-c", tt.script, "sh", "argument with  spaces"}, TimeLimit: 200 * time.Millisecond,
			}).Args
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			cmd := exec.CommandContext(ctx, args[0], args[1:]...)
			cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
			cmd.Stdin = strings.NewReader("input\n")
			out, err := os.Create(filepath.Join(t.TempDir(), "out")) // a file, so that nobody waits for what was left behind
			if err != nil {
				t.Fatal(err)
			}
			defer out.Close()
			cmd.Stdout = out
			err = cmd.Run()
			if exit := (*exec.ExitError)(nil); err != nil && !errors.As(err, &exit) || ctx.Err() != nil {
				t.Fatalf("%v, %v", err, ctx.Err())
			}
			text, err := os.ReadFile(out.Name())
			if err != nil {
				t.Fatal(err)
			}
			if code := cmd.ProcessState.ExitCode(); code != tt.code || string(text) != tt.stdout {
				t.Errorf("exit code %d, output %q; want %d, %q", code, text, tt.code, tt.stdout)
			}
			for errors.Is(syscall.Kill(-cmd.Process.Pid, 0), nil) { // until its process group is empty
				if ctx.Err() != nil {
					t.Fatal("a process of the group goes on")
				}
				time.Sleep(5 * time.Millisecond) // between two polls
			}
		})
	}
}

// programs gives the command lines of all that runs in a phone, but for its first process and what looks.
func (w *world) programs(ref driver.Ref) []string {
	w.t.Helper()
	var all []string
	for _, pid := range strings.Fields(w.run(ref, "ls", "/proc")) {
		if n, err := strconv.Atoi(pid); err != nil || n == 1 {
			continue
		}
		result, err := w.d.Exec(w.ctx, ref, driver.Command{Args: []string{"cat", "/proc/" + pid + "/cmdline"}})
		w.must(err)
		if line := string(bytes.ReplaceAll(result.Stdout, []byte{0}, []byte(" "))); line != "" {
			all = append(all, line)
		}
	}
	return all
}

// alone polls until nothing runs in the phone but its first process.
func (w *world) alone(ref driver.Ref) {
	w.t.Helper()
	deadline := time.Now().Add(time.Minute)
	for left := w.programs(ref); len(left) > 0; left = w.programs(ref) {
		if time.Now().After(deadline) {
			w.t.Fatalf("still in the phone: %q", left)
		}
		time.Sleep(20 * time.Millisecond) // between two polls
	}
}

// A command whose time is over is ended in the phone, with what it has started: also when lethe has gone away before.
func TestNothingOutlivesItsTime(t *testing.T) {
	t.Parallel()
	w := newWorld(t, fastBoot)
	spec := w.spec()
	w.boot(spec)
	w.alone(spec.Ref)
	const deep = "echo begun; sh -c 'sleep 600; true'; echo on"

	result, err := w.d.Exec(w.ctx, spec.Ref, driver.Command{Args: []string{"sh", "-c", deep}, TimeLimit: 500 * time.Millisecond})
	w.must(err)
	if !result.Expired || result.ExitCode != killed || string(result.Stdout) != "begun\n" {
		t.Errorf("%+v, output %q", result, result.Stdout)
	}
	w.alone(spec.Ref)

	ctx, cancel := context.WithTimeout(w.ctx, 3*time.Second)
	defer cancel()
	_, err = w.d.Exec(ctx, spec.Ref, driver.Command{Args: []string{"sh", "-c", deep}, TimeLimit: 6 * time.Second})
	if phone.CodeOf(err) != phone.Unavailable || !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("left early: %v", err)
	}
	w.alone(spec.Ref)

	if result, err = w.d.Exec(w.ctx, spec.Ref, driver.Command{Args: []string{"nonsense"}, TimeLimit: time.Second}); err != nil || result.ExitCode != 127 {
		t.Errorf("a program that is not there: %+v, %q, %v", result, result.Stderr, err)
	}
	w.alone(spec.Ref)
}
