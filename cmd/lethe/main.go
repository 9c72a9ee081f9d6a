// Command lethe is a cloud phone host that its users run themselves. One binary is the server (lethe serve), the CLI that
// calls it, and a demonstration that needs nothing else (lethe demo).
//
// Exit codes: 0 done; 1 what was asked for did not happen; 2 a wrong flag, argument or setting, and nothing was started.
package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/lethe-cloud/lethe/internal/driver/docker"
	"github.com/lethe-cloud/lethe/internal/emptydir"
	"github.com/lethe-cloud/lethe/internal/sharedir"
	"github.com/lethe-cloud/lethe/internal/simphone"
)

// phoneCommand makes this program the stand-in phone of lethe demo --driver docker: the first process of a container, whose
// commands (getprop and so on) are links to it. It is not for people.
const phoneCommand = "simphone"

func main() {
	if simphone.Applet(os.Args[0]) || len(os.Args) > 1 && os.Args[1] == phoneCommand {
		os.Exit(simphone.Main(os.Args, os.Stdin, os.Stdout, os.Stderr))
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // the first signal asks to end, a second one kills
	err := run(ctx, os.Args[1:], os.Getenv, os.Stdin, os.Stdout, os.Stderr)
	stop()
	os.Exit(exitCode(err))
}

// run is the program without the process around it: it has said on stderr whatever its error says.
func run(ctx context.Context, args []string, getenv func(string) string, stdin io.Reader, stdout, stderr io.Writer) error {
	if len(args) > 0 && args[0] == docker.HelperCommand {
		return runHelper(args[1:], stdout, stderr)
	}
	env := newEnvironment(getenv, stdin, stdout, stderr)
	root := newRoot(env, newBuilder(ownBinary))
	root.SetArgs(args)
	err := root.ExecuteContext(ctx)
	printError(env, err)
	return err
}

// runHelper is this binary's other life: the docker driver loads it into a host and runs it in a container that sees only the
// volumes to empty, or a shared storage. It destroys whatever it is given, so it does nothing when it was not started as a container's first process
// (or by Docker's own init, which daemons can be told to put first).
func runHelper(directories []string, stdout, stderr io.Writer) error {
	if os.Getpid() != 1 && os.Getppid() != 1 {
		err := usagef("%s is lethe's own, for its helper containers: it runs only as a container's first process", docker.HelperCommand)
		fmt.Fprintln(stderr, "lethe: "+err.Error())
		return err
	}
	do := emptydir.Main
	if sharedir.Is(directories) {
		do = sharedir.Main
	}
	if code := do(directories, stdout, stderr); code != 0 {
		return exitError(code)
	}
	return nil
}

// newRoot puts all commands together; serve gets what builds its application.
func newRoot(env *environment, build builder) *cobra.Command {
	root := group("lethe", "A cloud phone host that you run yourself, with the CPH API")
	root.Long = root.Short + ".\n\nExit codes: 0 done; 1 what was asked for did not happen; 2 a wrong flag, argument or setting, and nothing was started."
	root.AddCommand(newDemoCommand(env), newBenchCommand(env), newServeCommand(env, build), newKeyFileCommand(env))
	root.AddCommand(clientCommands(env)...)
	root.SetIn(env.stdin)
	root.SetOut(env.stdout)
	root.SetErr(env.stderr)
	root.SilenceErrors = true // run prints the error, as one sentence
	root.SilenceUsage = true
	root.InitDefaultCompletionCmd()
	walk(root, func(cmd *cobra.Command) {
		if !cmd.Runnable() { // cobra would show the help of cmd for any word after it, as if all were well
			cmd.RunE = func(cmd *cobra.Command, _ []string) error { return cmd.Help() }
		}
	})
	usageErrors(root)
	return root
}
