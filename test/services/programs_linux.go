package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// programs are the paths of what is run; "" is what is not needed, or cannot be had.
type programs struct {
	initdb, postgres, pgIsReady string
	dockerd, containerd         string
}

// searchPath is PATH with the folders of system programs, which many users do not have in it.
func searchPath() string {
	path := filepath.SplitList(os.Getenv("PATH"))
	for _, dir := range []string{"/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin"} {
		if !slices.Contains(path, dir) {
			path = append(path, dir)
		}
	}
	return strings.Join(path, string(filepath.ListSeparator))
}

// lookUp gives the path of a program, or "".
func lookUp(name string, more ...string) string {
	for _, dir := range append(filepath.SplitList(searchPath()), more...) {
		path := filepath.Join(dir, name)
		if info, err := os.Stat(path); err == nil && info.Mode().IsRegular() && info.Mode()&0o111 != 0 {
			return path
		}
	}
	return ""
}

// postgresFolders are where Debian keeps the server's programs, the newest version first.
func postgresFolders() []string {
	dirs, _ := filepath.Glob("/usr/lib/postgresql/*/bin") // the pattern is a good one
	slices.SortFunc(dirs, func(a, b string) int { return len(b) - len(a) + strings.Compare(b, a) })
	return dirs
}

func findPostgres(p *programs) bool {
	folders := postgresFolders()
	initdb := lookUp("initdb", folders...)
	if initdb == "" {
		return false
	}
	beside := filepath.Dir(initdb) // all of one version
	if real, err := filepath.EvalSymlinks(initdb); err == nil {
		beside = filepath.Dir(real)
	}
	p.initdb, p.postgres, p.pgIsReady = initdb, filepath.Join(beside, "postgres"), filepath.Join(beside, "pg_isready")
	return true
}

// findClock looks for the library that sets one process's clock, where Debian keeps it.
func findClock() bool {
	found, _ := filepath.Glob("/usr/lib/*/faketime/libfaketimeMT.so.1") // the pattern is a good one
	return len(found) > 0
}

func findDocker(p *programs) bool {
	p.dockerd, p.containerd = lookUp("dockerd"), lookUp("containerd")
	if p.dockerd == "" || p.containerd == "" || lookUp("runc") == "" {
		p.dockerd, p.containerd = "", ""
		return false
	}
	return true
}

// find looks for the programs and installs what is missing, when it may. What cannot be had is the *missingError; programs
// holds the rest.
func find(ctx context.Context, need needs, say func(string, ...any)) (programs, *missingError, error) {
	var found programs
	packages := wanting(&found, need)
	if len(packages) > 0 && os.Geteuid() == 0 {
		if lookUp("apt-get") == "" {
			return found, nil, fmt.Errorf("%s is not installed and there is no apt-get to install it: install it, or set %s and %s",
				strings.Join(packages, " and "), postgresVariable, dockerVariable)
		}
		if err := install(ctx, packages, say); err != nil {
			return found, nil, err
		}
		if packages = wanting(&found, need); len(packages) > 0 {
			return found, nil, fmt.Errorf("%s was installed and its programs are still not found", strings.Join(packages, " and "))
		}
	}
	var lacks []string
	if need.postgres && found.initdb == "" {
		lacks = append(lacks, "PostgreSQL is not installed (or set "+postgresVariable+")")
	}
	if need.docker && os.Geteuid() != 0 {
		found.dockerd, found.containerd = "", ""
		lacks = append(lacks, "only root can start a Docker daemon (or set "+dockerVariable+")")
	}
	if len(lacks) > 0 {
		return found, &missingError{strings.Join(lacks, " and ")}, nil
	}
	return found, nil, nil
}

// wanting gives the packages whose programs are needed and not there.
func wanting(p *programs, need needs) []string {
	var packages []string
	if need.postgres && !findPostgres(p) {
		packages = append(packages, "postgresql")
	}
	if need.postgres && !findClock() && lookUp("apt-get") != "" { // for the tests that set PostgreSQL's clock; elsewhere they are skipped
		packages = append(packages, "libfaketime")
	}
	if need.docker && !findDocker(p) {
		packages = append(packages, "docker.io")
	}
	return packages
}

// install installs Debian packages and starts none of the services in them.
func install(ctx context.Context, packages []string, say func(string, ...any)) error {
	say("installing %s", strings.Join(packages, " and "))
	restore, err := forbidServiceStarts()
	if err != nil {
		return err
	}
	err = aptGet(ctx, "update")
	if err == nil {
		err = aptGet(ctx, append([]string{"install", "--yes", "--no-install-recommends", "-o", "Dpkg::Options::=--force-confold"}, packages...)...)
	}
	return errors.Join(err, restore())
}

// aptGet runs apt-get once more when it fails: mirrors do at times.
func aptGet(ctx context.Context, args ...string) error {
	var err error
	for range 2 {
		cmd := exec.CommandContext(ctx, "apt-get", append([]string{"-q", "-o", "DPkg::Lock::Timeout=300", "-o", "Acquire::Retries=3"}, args...)...)
		cmd.Env = append(os.Environ(), "DEBIAN_FRONTEND=noninteractive", "PATH="+searchPath())
		cmd.WaitDelay = 5 * time.Second
		var output []byte
		if output, err = cmd.CombinedOutput(); err == nil {
			return nil
		}
		err = fmt.Errorf("apt-get %s: %w\n%s", strings.Join(args, " "), err, tail(string(output), 15))
		if ctx.Err() != nil {
			return err
		}
	}
	return err
}

// policyFile is asked by Debian's packages whether they may start their services (invoke-rc.d(8)): 101 says no.
const policyFile = "/usr/sbin/policy-rc.d"

// forbidServiceStarts keeps the packages' own services from being started, where something would start them. A policy that
// is there already stays as it is.
func forbidServiceStarts() (restore func() error, err error) {
	nothing := func() error { return nil }
	if _, err := os.Stat("/run/systemd/system"); err != nil {
		return nothing, nil
	}
	file, err := os.OpenFile(policyFile, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o755)
	if errors.Is(err, fs.ErrExist) {
		return nothing, nil
	}
	if err != nil {
		return nil, err
	}
	_, err = file.WriteString("#!/bin/sh\nexit 101\n")
	if err = errors.Join(err, file.Close()); err != nil {
		return nil, errors.Join(err, os.Remove(policyFile))
	}
	return func() error { return os.Remove(policyFile) }, nil
}

func tail(text string, n int) string {
	lines := strings.Split(strings.TrimSpace(text), "\n")
	return strings.Join(lines[max(0, len(lines)-n):], "\n")
}
