package simulated

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/lethe-cloud/lethe/internal/driver"
	"github.com/lethe-cloud/lethe/internal/phone"
)

// defaultOutput is the bound of stdout and stderr when a command names none.
const defaultOutput = 64 << 10

// Exec runs one of the programs that a simulated phone has: getprop, setprop, pm, tee, cat, ls, mkdir, rm and sleep, or sh -c with
// one of them. The files they see are those of the phone's volume, below /data; nothing else of the machine is within reach.
func (d *Driver) Exec(ctx context.Context, ref driver.Ref, command driver.Command) (driver.Result, error) {
	if err := wantRef(ref); err != nil {
		return driver.Result{}, err
	}
	if len(command.Args) == 0 {
		return driver.Result{}, phone.Errorf(phone.Invalid, "", "the command is empty: name a program")
	}
	program, args := programs(command.Args)
	command.Args = args
	who := d.about(ref)
	who.writes = program.writes
	return call(ctx, d, OpExec, who, func() (driver.Result, error) {
		if program.writes {
			// What writes excludes the other calls on the phone, so that an erasure never meets a file that is being made.
			unlock, err := d.lockPhone(ctx, ref.Phone, false)
			if errors.Is(err, fs.ErrNotExist) {
				return driver.Result{}, notFound(ref)
			}
			if err != nil {
				return driver.Result{}, err
			}
			defer unlock()
		}
		return d.exec(ctx, ref, program, command)
	})
}

func (d *Driver) exec(ctx context.Context, ref driver.Ref, p program, command driver.Command) (driver.Result, error) {
	i, owner, err := d.readInstance(ref)
	if err != nil {
		return driver.Result{}, err
	}
	if owner != ours {
		return driver.Result{}, notFound(ref)
	}
	if !i.running(d.now()) {
		return driver.Result{}, phone.Errorf(phone.Precondition, "", "the instance %s does not run: start it", instanceName(ref))
	}
	data, err := os.OpenRoot(d.volumePath(i.volumeLabel()))
	if errors.Is(err, fs.ErrNotExist) {
		return driver.Result{}, noVolume(ref)
	}
	if err != nil {
		return driver.Result{}, err
	}
	share, err := d.shareOf(i)
	if err != nil {
		return driver.Result{}, errors.Join(err, data.Close())
	}
	if share != nil {
		defer func() { _ = share.Close() }() // it was only read
	}
	bound := command.MaxOutput
	if bound <= 0 {
		bound = defaultOutput
	}
	limited, cancel := withTimeLimit(ctx, command.TimeLimit)
	defer cancel()
	s := &shell{
		ctx: limited, d: d, instance: i, data: data, share: share, args: command.Args[1:], stdin: bytes.NewReader(command.Stdin),
		stdout: bounded{left: bound}, stderr: bounded{left: bound},
	}
	code, err := p.run(s)
	expired := err != nil && ctx.Err() == nil && errors.Is(err, limited.Err())
	if expired {
		code, err = killed, nil
	}
	if err = errors.Join(err, data.Close()); err != nil {
		return driver.Result{}, fmt.Errorf("run %s: %w", command.Args[0], err)
	}
	return driver.Result{
		ExitCode: code, Stdout: s.stdout.bytes, Stderr: s.stderr.bytes, Truncated: s.stdout.full || s.stderr.full, Expired: expired,
	}, nil
}

// withTimeLimit gives the context of a program that may run for so long; 0 is for ever.
func withTimeLimit(ctx context.Context, limit time.Duration) (context.Context, context.CancelFunc) {
	if limit <= 0 {
		return context.WithCancel(ctx)
	}
	return context.WithTimeout(ctx, limit)
}

// shell is one program at work.
type shell struct {
	ctx            context.Context
	d              *Driver
	instance       *instance
	data           *os.Root // the phone's /data
	share          *os.Root // the shared storage, where the instance has it; nil: it has none, or nothing is in it
	args           []string // without the program's name
	stdin          io.Reader
	stdout, stderr bounded
}

// program is one that a phone has. run gives the exit code; its error is the host's failure, not the program's.
type program struct {
	writes bool
	run    func(*shell) (int, error)
}

// programs finds what a command line runs, and gives the line of the program itself: without the shell in front of it.
func programs(args []string) (program, []string) {
	name := args[0]
	if filepath.Base(name) == "sh" {
		return shellProgram(args)
	}
	return named(args), args
}

func named(words []string) program {
	name := words[0]
	switch filepath.Base(name) {
	case "getprop":
		return program{run: getprop}
	case "setprop":
		return program{writes: true, run: setprop}
	case "pm":
		return program{writes: len(words) > 1 && (words[1] == "uninstall" || strings.HasPrefix(words[1], "install")), run: pm}
	case "tee":
		return program{writes: true, run: tee}
	case "cat":
		return program{run: cat}
	case "ls":
		return program{run: ls}
	case "mkdir":
		return program{writes: true, run: mkdir}
	case "rm":
		return program{writes: true, run: rm}
	case "sleep":
		return program{run: sleep}
	}
	return program{run: func(s *shell) (int, error) {
		return s.fail(127, "%s: inaccessible or not found", name)
	}}
}

// shellProgram is sh -c WORDS: of a shell's language a simulated phone knows words alone, and says so of everything else.
func shellProgram(args []string) (program, []string) {
	fails := func(format string, of ...any) (program, []string) {
		return program{run: func(s *shell) (int, error) { return s.fail(2, format, of...) }}, args
	}
	if len(args) != 3 || args[1] != "-c" {
		return fails("sh: usage: sh -c COMMAND")
	}
	if at := strings.IndexAny(args[2], "|&;<>()$`\\\"'*?[]#~=%{}!\n"); at >= 0 {
		return fails("sh: a simulated phone's shell knows words alone, not %q", args[2][at:at+1])
	}
	words := strings.Fields(args[2])
	if len(words) == 0 {
		return program{run: func(*shell) (int, error) { return 0, nil }}, args
	}
	if filepath.Base(words[0]) == "sh" {
		return fails("sh: a simulated phone's shell starts no other")
	}
	return named(words), words
}

// sleep waits for some seconds.
func sleep(s *shell) (int, error) {
	if len(s.args) != 1 {
		return s.fail(1, "sleep: usage: sleep SECONDS")
	}
	seconds, err := strconv.ParseFloat(s.args[0], 64)
	if err != nil || !(seconds >= 0 && seconds <= maxSleep) {
		return s.fail(1, "sleep: invalid number '%s'", s.args[0])
	}
	timer := time.NewTimer(time.Duration(seconds * float64(time.Second)))
	defer timer.Stop()
	select {
	case <-timer.C:
		return 0, nil
	case <-s.ctx.Done():
		return 0, s.ctx.Err()
	}
}

// maxSleep is the longest sleep, in seconds: a century.
const maxSleep = 100 * 365 * 24 * 3600

// fail says something on the standard error and gives the exit code.
func (s *shell) fail(code int, format string, args ...any) (int, error) {
	_, err := fmt.Fprintf(&s.stderr, format+"\n", args...)
	return code, err
}

func (s *shell) say(format string, args ...any) error {
	_, err := fmt.Fprintf(&s.stdout, format, args...)
	return err
}

// bounded keeps the beginning of what is written to it and notes whether there was more.
type bounded struct {
	bytes []byte
	left  int
	full  bool
}

func (b *bounded) Write(p []byte) (int, error) {
	kept := min(len(p), b.left)
	b.bytes = append(b.bytes, p[:kept]...)
	b.left -= kept
	b.full = b.full || kept < len(p)
	return len(p), nil
}
