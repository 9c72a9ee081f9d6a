package main

import (
	"context"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"syscall"
	"time"
)

// postgres is a running PostgreSQL that listens on a unix socket only.
type postgres struct {
	process *process
	url     string // of its superuser, who needs no password
}

// startPostgres makes a new cluster in the folder and starts it; what it gives must be stopped, with an error too.
func startPostgres(ctx context.Context, in *folder, programs programs, durable bool) (*postgres, error) {
	owner, err := postgresUser()
	if err != nil {
		return nil, err
	}
	home, err := in.sub("pg", owner)
	if err != nil {
		return nil, err
	}
	data := filepath.Join(home, "data")
	initdb := exec.CommandContext(ctx, programs.initdb, "-D", data, "-U", "postgres", "--auth=trust", "-E", "UTF8", "--locale=C", "--no-sync")
	initdb.Dir = "/"
	initdb.Env = append(os.Environ(), "LC_ALL=C")
	initdb.SysProcAttr = &syscall.SysProcAttr{Credential: owner}
	initdb.WaitDelay = 5 * time.Second
	if output, err := initdb.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("%s: %w\n%s", programs.initdb, err, tail(string(output), 15))
	}
	args := []string{"-D", data, "-k", home, "-p", "5432", "-c", "listen_addresses=", "-c", "max_connections=400"}
	if !durable {
		args = append(args, "-c", "fsync=off", "-c", "full_page_writes=off")
	}
	p := &postgres{url: (&url.URL{
		Scheme: "postgres", User: url.User("postgres"), Path: "/postgres", RawQuery: "host=" + home + "&port=5432",
	}).String()}
	// SIGINT is PostgreSQL's "fast shutdown": it ends the sessions that are open.
	if p.process, err = startProcess(filepath.Join(in.path, "postgres.log"), syscall.SIGINT, owner, programs.postgres, args...); err != nil {
		return nil, err
	}
	err = p.process.ready(ctx, func(ctx context.Context) bool {
		return exec.CommandContext(ctx, programs.pgIsReady, "-q", "-h", home, "-p", "5432").Run() == nil
	})
	return p, err
}

func (p *postgres) stop() error { return p.process.stop(syscall.SIGINT) }

// postgresUser is whom PostgreSQL runs as: it refuses root. nil is the user of this process.
func postgresUser() (*syscall.Credential, error) {
	if os.Geteuid() != 0 {
		return nil, nil
	}
	account, err := user.Lookup("postgres")
	if err != nil {
		if account, err = user.Lookup("nobody"); err != nil {
			return nil, fmt.Errorf("PostgreSQL needs a user other than root: %w", err)
		}
	}
	uid, err := strconv.ParseUint(account.Uid, 10, 32)
	if err != nil {
		return nil, err
	}
	gid, err := strconv.ParseUint(account.Gid, 10, 32)
	if err != nil {
		return nil, err
	}
	return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}, nil
}
