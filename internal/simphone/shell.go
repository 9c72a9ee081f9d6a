package simphone

import (
	"context"
	"errors"
	"strconv"
	"strings"
	"time"

	"mvdan.cc/sh/v3/interp"
	"mvdan.cc/sh/v3/syntax"
)

// shell is `sh -c COMMAND [NAME [ARG...]]`, in the language of Android's shell. Unlike that one it forks no part of itself: a list in the
// background ends with the shell, but for programs that it has started by then.
func shell(c call) int {
	if len(c.args) < 2 || c.args[0] != "-c" {
		c.fail("usage: sh -c COMMAND [NAME [ARG...]]")
		return 2
	}
	parsed, err := syntax.NewParser(syntax.Variant(syntax.LangMirBSDKorn)).Parse(strings.NewReader(c.args[1]), "")
	if err != nil {
		c.fail("sh: %v", err)
		return 1 // as mksh does
	}
	runner, err := interp.New(interp.StdIO(c.stdin, c.stdout, c.stderr), interp.CallHandler(killByProgram),
		interp.Params(append([]string{"--"}, c.args[min(3, len(c.args)):]...)...))
	if err != nil {
		return c.fail("sh: %v", err)
	}
	err = runner.Run(context.Background(), parsed)
	var status interp.ExitStatus
	switch {
	case errors.As(err, &status):
		return int(status)
	case err != nil:
		return c.fail("sh: %v", err)
	}
	return 0
}

// killByProgram lets the phone's program do what the interpreter has no builtin for.
func killByProgram(ctx context.Context, args []string) ([]string, error) {
	if args[0] != "kill" {
		return args, nil
	}
	at := interp.HandlerCtx(ctx)
	path, err := interp.LookPathDir(at.Dir, at.Env, args[0])
	if err != nil {
		return args, nil
	}
	return append([]string{path}, args[1:]...), nil
}

// sleep waits for a number of seconds, with or without a fraction.
func sleep(c call) int {
	if len(c.args) != 1 {
		return c.fail("usage: sleep SECONDS")
	}
	seconds, err := strconv.ParseFloat(c.args[0], 64)
	if err != nil || !(seconds >= 0 && seconds < 1<<32) {
		return c.fail("sleep: bad number '%s'", c.args[0])
	}
	time.Sleep(time.Duration(seconds * float64(time.Second)))
	return 0
}

// kill is `kill -9 PID...`: SIGKILL to processes, or to the group of a number below zero.
func kill(c call) int {
	if len(c.args) < 2 || c.args[0] != "-9" {
		return c.fail("usage: kill -9 PID...")
	}
	code := 0
	for _, arg := range c.args[1:] {
		pid, err := strconv.Atoi(arg)
		if err == nil {
			err = killProcess(pid)
		}
		if err != nil {
			code = c.fail("kill: %s: %v", arg, err)
		}
	}
	return code
}
