// Command services runs a program with the services that lethe's tests need: a PostgreSQL and a Docker daemon of their own,
// in a temporary folder, started before the program and gone after it.
//
//	go run ./test/services -- go test ./...
//
// The program finds them in LETHE_TEST_POSTGRES (a base URL of a superuser) and LETHE_TEST_DOCKER (a daemon's address). What
// those variables name already is used as it is. On Debian, as root, missing packages are installed. Who is not root and has
// no services gets the program without them, and a sentence that says so; where CI is true that is an error instead.
//
// The exit code is the program's; 2 is a wrong call and 3 a service that could not be started.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"strings"
	"syscall"
	"time"
)

const (
	postgresVariable = "LETHE_TEST_POSTGRES"
	dockerVariable   = "LETHE_TEST_DOCKER"
)

// Exit codes of the command's own.
const (
	exitUsage       = 2
	exitUnavailable = 3
)

func main() { os.Exit(run(os.Args[1:], os.Stderr)) }

// needs says which services are to be started.
type needs struct {
	postgres bool
	docker   bool
	durable  bool // both wait for the disk, as they do in earnest
}

func run(args []string, stderr io.Writer) int {
	say := func(format string, a ...any) { fmt.Fprintf(stderr, "services: "+format+"\n", a...) }
	flags := flag.NewFlagSet("services", flag.ContinueOnError)
	flags.SetOutput(stderr)
	durable := flags.Bool("durable", false, "let PostgreSQL and Docker wait for the disk, as they do in earnest; without it a power cut loses their data, which no test needs")
	if err := flags.Parse(args); err != nil {
		return exitUsage
	}
	if flags.NArg() == 0 {
		say("name the program to run: go run ./test/services -- go test ./...")
		return exitUsage
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	defer stop()
	ctx = untilOrphaned(ctx)

	need := needs{postgres: os.Getenv(postgresVariable) == "", docker: os.Getenv(dockerVariable) == "", durable: *durable}
	services, err := start(ctx, need, say)
	var missing *missingError
	switch {
	case errors.As(err, &missing) && os.Getenv("CI") != "true":
		say("%v; the tests that need them are skipped", err)
	case err != nil:
		say("%v", errors.Join(err, services.stop()))
		return exitUnavailable
	}
	code := command(ctx, flags.Args(), services.environment(), say)
	if err := services.stop(); err != nil {
		say("clean up: %v", err)
		if code == 0 {
			code = exitUnavailable
		}
	}
	return code
}

// missingError is what this user cannot have here.
type missingError struct{ reason string }

func (e *missingError) Error() string { return e.reason }

// command runs the program to its end and gives its exit code. When ctx ends the program is told to end too, and killed when
// it has not after 20 seconds.
func command(ctx context.Context, argv, environment []string, say func(string, ...any)) int {
	cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
	cmd.Env = append(os.Environ(), environment...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	interruptible(cmd)
	cmd.WaitDelay = 20 * time.Second
	err := cmd.Run()
	var exit *exec.ExitError
	switch {
	case err == nil:
		return 0
	case errors.As(err, &exit) && exit.ExitCode() > 0:
		return exit.ExitCode()
	case ctx.Err() != nil:
		say("interrupted: %s ended by a signal", strings.Join(argv, " "))
		return 128 + int(syscall.SIGTERM)
	}
	say("%v", err)
	return exitUnavailable
}

// untilOrphaned ends ctx also when the process that started this one is gone: `go run` and make die of a signal without
// passing it on.
func untilOrphaned(ctx context.Context) context.Context {
	ctx, cancel := context.WithCancel(ctx)
	parent := os.Getppid()
	go func() {
		defer cancel()
		ticker := time.NewTicker(500 * time.Millisecond)
		defer ticker.Stop()
		for os.Getppid() == parent {
			select {
			case <-ctx.Done():
				return
			case <-ticker.C:
			}
		}
	}()
	return ctx
}
