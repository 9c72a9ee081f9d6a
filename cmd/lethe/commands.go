package main

import (
	"strings"

	"github.com/spf13/cobra"
)

// clientCommands gives every command that calls a running server; run adds them beside serve and demo.
func clientCommands(env *environment) []*cobra.Command {
	return []*cobra.Command{
		env.clientFlags(newServerCommand(env)),
		env.clientFlags(newPoolCommand(env)),
		env.clientFlags(newImageCommand(env)),
		env.clientFlags(newPhoneCommand(env)),
		env.clientFlags(newResetCommand(env)),
		env.clientFlags(newRequestCommand(env)),
		env.clientFlags(newJobCommand(env)),
		env.clientFlags(newBucketCommand(env)),
		env.clientFlags(newObjectCommand(env)),
		env.clientFlags(newAccountCommand(env)),
		env.clientFlags(newProjectCommand(env)),
		env.clientFlags(newUserCommand(env)),
		env.clientFlags(newKeyCommand(env)),
		env.clientFlags(newGroupCommand(env)),
		env.clientFlags(newPolicyCommand(env)),
		env.clientFlags(newReplicaCommand(env)),
		env.clientFlags(newAuditCommand(env)),
		newVersionCommand(env),
	}
}

// group makes a command that only holds others: alone it shows its help, with a word it does not know it is an error.
func group(use, short string, subcommands ...*cobra.Command) *cobra.Command {
	cmd := &cobra.Command{
		Use: use, Short: short,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) > 0 {
				return usagef("%s has no command %q: %s", cmd.CommandPath(), args[0], instead(cmd, args[0]))
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(subcommands...)
	return cmd
}

// instead names the commands that a word may have meant.
func instead(cmd *cobra.Command, word string) string {
	cmd.SuggestionsMinimumDistance = 2
	if like := cmd.SuggestionsFor(word); len(like) > 0 {
		return "did you mean " + strings.Join(like, " or ") + "?"
	}
	return "see " + cmd.CommandPath() + " --help"
}

// require makes flags ones that must be given, and not as "".
func require(cmd *cobra.Command, flags ...string) {
	cmd.PreRunE = func(cmd *cobra.Command, _ []string) error {
		for _, flag := range flags {
			switch f := cmd.Flag(flag); {
			case !f.Changed:
				return usagef("--%s is missing: %s", flag, cmd.UseLine())
			case f.Value.String() == "":
				return usagef("--%s is empty", flag)
			}
		}
		return nil
	}
}

// exactArgs is cobra.ExactArgs with a sentence that shows how the command is written.
func exactArgs(n int) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) != n {
			return usagef("%s takes %d argument(s), not %d: %s", cmd.CommandPath(), n, len(args), cmd.UseLine())
		}
		return nil
	}
}

// nonNegative refuses a number below 0 before anything is asked of a server.
func nonNegative(cmd *cobra.Command, flag string) {
	cmd.PreRunE = func(cmd *cobra.Command, _ []string) error {
		if n, err := cmd.Flags().GetInt(flag); err != nil || n < 0 {
			return usagef("--%s %d is negative", flag, n)
		}
		return nil
	}
}
