package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// folderPattern names the temporary folder of one copy of this command; whoever holds the lock in it uses it.
const folderPattern = "lethe-services-"

// services are the running services of this copy.
type services struct {
	folder   *folder
	postgres *postgres
	docker   *docker
	given    []string // variables for the program
}

func (s *services) environment() []string { return s.given }

// start starts what is needed, as far as it can; what it gives must be stopped, with an error too. A *missingError says what
// this user cannot have; the rest runs.
func start(ctx context.Context, need needs, say func(string, ...any)) (*services, error) {
	s := &services{}
	if !need.postgres && !need.docker {
		return s, nil
	}
	began := time.Now()
	// The services get a signal when the thread that started them ends, so this one must not end before the process.
	runtime.LockOSThread()

	unlock, err := machineLock(ctx)
	if err != nil {
		return s, err
	}
	defer unlock()
	sweep(say)
	programs, missing, err := find(ctx, need, say)
	if err != nil {
		return s, err
	}
	if s.folder, err = newFolder(); err != nil {
		return s, err
	}
	if programs.initdb != "" {
		if s.postgres, err = startPostgres(ctx, s.folder, programs, need.durable); err != nil {
			return s, err
		}
		s.given = append(s.given, postgresVariable+"="+s.postgres.url)
		say("PostgreSQL answers at %s", s.postgres.url)
	}
	if programs.dockerd != "" {
		if s.docker, err = startDocker(ctx, s.folder, programs, need.durable, say); err != nil {
			return s, err
		}
		s.given = append(s.given, dockerVariable+"="+s.docker.address)
		say("Docker answers at %s", s.docker.address)
	}
	if missing != nil {
		return s, missing
	}
	say("ready after %s", time.Since(began).Round(100*time.Millisecond))
	return s, nil
}

// stop ends the services and removes everything they left on the machine.
func (s *services) stop() error {
	var errs []error
	if s.docker != nil {
		errs = append(errs, s.docker.stop())
	}
	if s.postgres != nil {
		errs = append(errs, s.postgres.stop())
	}
	if s.folder != nil {
		errs = append(errs, s.folder.remove())
	}
	return errors.Join(errs...)
}

// interruptible makes the program end together with this one: signals go to its whole process group, unless a terminal is
// at hand, which sends its own to everybody in the foreground.
func interruptible(cmd *exec.Cmd) {
	group := true
	if _, err := unix.IoctlGetTermios(int(os.Stdin.Fd()), unix.TCGETS); err == nil {
		group = false
	}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: group, Pdeathsig: syscall.SIGTERM}
	cmd.Cancel = func() error {
		pid := cmd.Process.Pid
		if group {
			pid = -pid
		}
		return syscall.Kill(pid, syscall.SIGTERM)
	}
}

// machineLock lets one copy at a time install packages, choose a network and clean up after dead copies.
func machineLock(ctx context.Context) (unlock func(), err error) {
	path := filepath.Join(os.TempDir(), fmt.Sprintf("%slock-%d", folderPattern, os.Geteuid()))
	file, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	for {
		err = syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		if err == nil {
			return func() { _ = file.Close() }, nil
		}
		if !errors.Is(err, syscall.EWOULDBLOCK) {
			return nil, errors.Join(fmt.Errorf("lock %s: %w", path, err), file.Close())
		}
		if err := pause(ctx); err != nil {
			return nil, errors.Join(err, file.Close())
		}
	}
}

// pause waits a moment between two looks.
func pause(ctx context.Context) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(50 * time.Millisecond):
		return nil
	}
}

// process is one started service.
type process struct {
	name string
	cmd  *exec.Cmd
	log  string
	done chan struct{} // closed when it has ended
	err  error         // how, once done is closed
}

// startProcess starts a service whose output goes to a log file. It gets dies when this process is killed.
func startProcess(logPath string, dies syscall.Signal, user *syscall.Credential, path string, args ...string) (*process, error) {
	log, err := os.Create(logPath)
	if err != nil {
		return nil, err
	}
	defer log.Close()
	p := &process{name: filepath.Base(path), cmd: exec.Command(path, args...), log: logPath, done: make(chan struct{})}
	p.cmd.Stdout, p.cmd.Stderr = log, log
	p.cmd.Dir = "/"
	p.cmd.Env = append(os.Environ(), "PATH="+searchPath(), "LC_ALL=C")
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: dies, Credential: user}
	if err := p.cmd.Start(); err != nil {
		return nil, fmt.Errorf("start %s: %w", path, err)
	}
	go func() {
		p.err = p.cmd.Wait()
		close(p.done)
	}()
	return p, nil
}

// ready waits until answers says yes.
func (p *process) ready(ctx context.Context, answers func(context.Context) bool) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	for !answers(ctx) {
		select {
		case <-p.done:
			return fmt.Errorf("%s ended before it answered (%v); its last words:\n%s", p.name, p.err, lastLines(p.log, 15))
		default:
		}
		if err := pause(ctx); err != nil {
			return fmt.Errorf("%s did not answer (%w); its last words:\n%s", p.name, err, lastLines(p.log, 15))
		}
	}
	return nil
}

// stop asks the process to end and kills it when it has not within 20 seconds.
func (p *process) stop(ask syscall.Signal) error {
	_ = p.cmd.Process.Signal(ask) // an error means that it has ended already
	select {
	case <-p.done:
		return nil
	case <-time.After(20 * time.Second):
	}
	if err := p.cmd.Process.Kill(); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("kill %s: %w", p.name, err)
	}
	<-p.done
	return nil
}

// lastLines gives the end of a log for an error message.
func lastLines(path string, n int) string {
	content, err := os.ReadFile(path)
	if err != nil {
		return err.Error()
	}
	lines := strings.Split(strings.TrimSpace(string(content)), "\n")
	return strings.Join(lines[max(0, len(lines)-n):], "\n")
}
