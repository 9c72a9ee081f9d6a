package faults

import (
	"bytes"
	"errors"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"syscall"
	"testing"
	"time"
)

// postgres is a PostgreSQL of one test's own, which it may break.
type postgres struct {
	t        testing.TB
	programs string // folder of its programs
	home     string
	owner    *syscall.Credential
	port     int      // of 127.0.0.1, where it listens besides its socket; 0: nowhere
	more     []string // environment
	log      bytes.Buffer
	cmd      *exec.Cmd
	url      string
}

// newPostgres makes a cluster in a folder of its own and starts it, with what the options set.
func newPostgres(t testing.TB, options ...func(*postgres)) *postgres {
	t.Helper()
	p := &postgres{t: t, programs: postgresPrograms(t)}
	var err error
	// Not the test's own folder: that is closed to the user that PostgreSQL runs as, and its path too long for a socket.
	if p.home, err = os.MkdirTemp("", "lethe-pg-"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if p.cmd != nil {
			p.end(syscall.SIGQUIT)
		}
		if t.Failed() {
			t.Logf("log of PostgreSQL:\n%s", p.log.String())
		}
		if err := os.RemoveAll(p.home); err != nil {
			t.Error(err)
		}
	})
	if err := p.own(); err != nil {
		t.Fatal(err)
	}
	for _, set := range options {
		set(p)
	}
	data := filepath.Join(p.home, "data")
	initdb := p.command("initdb", "-D", data, "-U", "postgres", "--auth=trust", "-E", "UTF8", "--locale=C", "--no-sync")
	if out, err := initdb.CombinedOutput(); err != nil {
		t.Fatalf("initdb: %v\n%s", err, out)
	}
	p.url = (&url.URL{Scheme: "postgres", User: url.User("postgres"), Path: "/postgres", RawQuery: "host=" + p.home + "&port=" + p.socketPort()}).String()
	p.start()
	return p
}

// postgresPrograms finds the server's programs, which Debian keeps out of PATH.
func postgresPrograms(t testing.TB) string {
	t.Helper()
	if path, err := exec.LookPath("initdb"); err == nil {
		if real, err := filepath.EvalSymlinks(path); err == nil {
			return filepath.Dir(real)
		}
	}
	found, _ := filepath.Glob("/usr/lib/postgresql/*/bin/initdb") // the pattern is a good one
	if len(found) == 0 {
		const missing = "needs the programs of a PostgreSQL server (initdb): install postgresql, or run the tests with `make test`"
		if os.Getenv("CI") == "true" {
			t.Fatal(missing)
		}
		t.Skip(missing)
	}
	slices.Sort(found)
	return filepath.Dir(found[len(found)-1])
}

// own gives the folder to whom PostgreSQL runs as: it refuses root.
func (p *postgres) own() error {
	if os.Geteuid() != 0 {
		return nil
	}
	account, err := user.Lookup("postgres")
	if err != nil {
		if account, err = user.Lookup("nobody"); err != nil {
			return fmt.Errorf("PostgreSQL needs a user other than root: %w", err)
		}
	}
	uid, uidErr := strconv.ParseUint(account.Uid, 10, 32)
	gid, gidErr := strconv.ParseUint(account.Gid, 10, 32)
	if err := errors.Join(uidErr, gidErr); err != nil {
		return err
	}
	p.owner = &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
	return os.Chown(p.home, int(uid), int(gid))
}

func (p *postgres) command(program string, args ...string) *exec.Cmd {
	cmd := exec.Command(filepath.Join(p.programs, program), args...)
	cmd.Dir = "/"
	cmd.Env = append(append(os.Environ(), "LC_ALL=C"), p.more...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: p.owner, Pdeathsig: syscall.SIGQUIT}
	return cmd
}

// start starts the server, which may have to recover first, and waits until it answers.
func (p *postgres) start() {
	p.t.Helper()
	p.cmd = p.command("postgres", "-D", filepath.Join(p.home, "data"), "-k", p.home, "-p", p.socketPort(), "-c", "max_connections=200", "-c", "listen_addresses="+p.listens())
	p.cmd.Stdout, p.cmd.Stderr = &p.log, &p.log
	if err := p.cmd.Start(); err != nil {
		p.t.Fatal(err)
	}
	eventually(p.t, "PostgreSQL answers", func() bool {
		return p.command("pg_isready", "-q", "-h", p.home, "-p", p.socketPort()).Run() == nil
	})
}

// socketPort names the socket, and is the port where it listens on a port.
func (p *postgres) socketPort() string {
	if p.port == 0 {
		return "5432"
	}
	return strconv.Itoa(p.port)
}

func (p *postgres) listens() string {
	if p.port == 0 {
		return ""
	}
	return "127.0.0.1"
}

// crash ends the server and all its sessions at once, without a checkpoint: what was committed is in its log alone.
func (p *postgres) crash() {
	p.t.Helper()
	p.end(syscall.SIGQUIT)
}

func (p *postgres) end(s syscall.Signal) {
	p.t.Helper()
	if err := p.cmd.Process.Signal(s); err != nil {
		p.t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = p.cmd.Wait() // not 0 after a crash
	}()
	select {
	case <-ended:
	case <-time.After(patience):
		p.t.Fatalf("PostgreSQL has not ended after %s", patience)
	}
	p.cmd = nil
}
