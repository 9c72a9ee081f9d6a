package main

import (
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/lethe-cloud/lethe/client"
	"github.com/lethe-cloud/lethe/internal/phone"
)

// The exit codes. lethe phone exec besides exits with the code of the phone's command.
const (
	exitOK     = 0
	exitFailed = 1 // what was asked for did not happen, or not for every phone
	exitUsage  = 2 // a wrong flag, argument or setting: nothing was started
)

// usageError is a wrong flag, argument or setting.
type usageError struct{ err error }

func (e usageError) Error() string { return e.err.Error() }
func (e usageError) Unwrap() error { return e.err }

func usagef(format string, args ...any) error { return usageError{fmt.Errorf(format, args...)} }

// exitError ends the process with a code when everything there is to say has been said.
type exitError int

func (e exitError) Error() string { return fmt.Sprintf("exit %d", int(e)) }

// exitCode is the process's exit code for what run returned.
func exitCode(err error) int {
	var usage usageError
	var exit exitError
	var refused *client.Error
	switch {
	case err == nil:
		return exitOK
	case errors.As(err, &exit):
		return int(exit)
	case errors.As(err, &usage), errors.As(err, &refused) && refused.Code == string(phone.Invalid):
		return exitUsage // the server found what was wrong with the command line
	}
	return exitFailed
}

// printError writes an error as one line, unless it says nothing.
func printError(env *environment, err error) {
	var exit exitError
	if err == nil || errors.As(err, &exit) {
		return
	}
	fmt.Fprintln(env.stderr, "lethe: "+strings.ReplaceAll(strings.TrimSpace(err.Error()), "\n", " "))
}

// usageErrors makes every complaint of cobra about flags and arguments of cmd and its subcommands a usageError.
func usageErrors(cmd *cobra.Command) {
	cmd.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return usageError{err} })
	walk(cmd, func(c *cobra.Command) {
		if c.Name() == "help" { // cobra's: it takes the words of a command
			return
		}
		args := c.Args
		if args == nil && !c.HasSubCommands() {
			args = cobra.NoArgs
		}
		if args != nil {
			c.Args = func(c *cobra.Command, given []string) error {
				if err := args(c, given); err != nil {
					return usageError{err}
				}
				return nil
			}
		}
	})
}

func walk(cmd *cobra.Command, visit func(*cobra.Command)) {
	visit(cmd)
	for _, sub := range cmd.Commands() {
		walk(sub, visit)
	}
}
