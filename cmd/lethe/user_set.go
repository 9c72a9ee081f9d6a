package main

import (
	"bufio"
	"context"
	"errors"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/lethe-cloud/lethe/api"
	"github.com/lethe-cloud/lethe/client"
)

func newUserShowCommand(env *environment) *cobra.Command {
	return &cobra.Command{
		Use:               "show NAME",
		Short:             "Show a user with its groups, and every policy that counts for it",
		Args:              exactArgs(1),
		ValidArgsFunction: once(completeUsers(env)),
		RunE: does(env, func(ctx context.Context, c *client.Client, args []string) error {
			user, err := c.User(ctx, args[0])
			if err != nil {
				return err
			}
			return env.print(user, func() table {
				own := policyWords(user.Policies)
				if user.Owner {
					own = "all (the account itself)"
				}
				t := pairs("USER ID", user.UserID, "NAME", user.UserName, "ENABLED", yesOrNo(user.Enabled), "CREATED", moment(user.CreateTime),
					"GROUPS", dash(strings.Join(user.Groups, ", ")), "OWN POLICIES", own)
				t.rows = append(t.rows, grantRows(user.Grants)...)
				return t
			})
		}),
	}
}

// grantRows shows what was granted: a line each.
func grantRows(grants []api.Grant) [][]string {
	rows := make([][]string, len(grants))
	for i, g := range grants {
		words := g.PolicyName
		if g.ProjectName != "" {
			words += ", in project " + g.ProjectName
		}
		if g.GroupName != "" {
			words += ", by group " + g.GroupName
		}
		rows[i] = []string{"GRANT", words}
	}
	return rows
}

func newUserSetCommand(env *environment) *cobra.Command {
	var enable, disable, reset, stdin bool
	cmd := &cobra.Command{
		Use:   "set NAME --disable | --enable | --reset-password | --password-stdin",
		Short: "Disable a user, enable it, or give it another password; its tokens die at once",
		Long: "Disable a user, so that nobody can call as it, enable it again, or give it another password: one that the server makes and that is\n" +
			"shown this once, or the first line of standard input. Either way every token that it has is dead from then on.",
		Example:           "  lethe user set ci --disable\n  lethe user set ci --password-stdin < new-password",
		Args:              exactArgs(1),
		ValidArgsFunction: once(completeUsers(env)),
		PreRunE: func(cmd *cobra.Command, _ []string) error {
			return oneOf(cmd, "enable", "disable", "reset-password", "password-stdin")
		},
		RunE: does(env, func(ctx context.Context, c *client.Client, args []string) error {
			switch name := args[0]; {
			case enable || disable:
				if err := c.SetUserEnabled(ctx, name, enable); err != nil {
					return err
				}
				return env.say("user %s is %s", name, map[bool]string{true: "enabled", false: "disabled"}[enable])
			case stdin:
				lines, err := readLines(env.stdin, 1)
				if err != nil {
					return err
				}
				if _, err := c.ResetPassword(ctx, name, lines[0]); err != nil {
					return err
				}
				return env.say("user %s has another password", name)
			}
			out, err := c.ResetPassword(ctx, args[0], "")
			if err != nil {
				return err
			}
			return env.print(out, func() table { return pairs("NAME", out.UserName, "PASSWORD", out.Password) })
		}),
	}
	flags := cmd.Flags()
	flags.BoolVar(&enable, "enable", false, "let it call again")
	flags.BoolVar(&disable, "disable", false, "let nobody call as it")
	flags.BoolVar(&reset, "reset-password", false, "give it a password that is made now, and show it")
	flags.BoolVar(&stdin, "password-stdin", false, "give it the password on the first line of standard input")
	return cmd
}

func newUserPasswordCommand(env *environment) *cobra.Command {
	return &cobra.Command{
		Use:   "password",
		Short: "Change one's own password",
		Long: "Change the password of the user whose credentials are used. The present and the new one are read from standard input, a line each.\n" +
			"It needs no permission; every token that the user has is dead from then on. A password in a credentials file is not changed there.",
		Example: "  lethe user password < old-and-new",
		Args:    exactArgs(0),
		RunE: does(env, func(ctx context.Context, c *client.Client, _ []string) error {
			lines, err := readLines(env.stdin, 2)
			if err != nil {
				return err
			}
			if err := c.ChangePassword(ctx, api.ChangePassword{OriginalPassword: lines[0], Password: lines[1]}); err != nil {
				return err
			}
			return env.say("the password is changed")
		}),
	}
}

// readLines reads the first lines of standard input, of which none may be empty.
func readLines(in io.Reader, n int) ([]string, error) {
	scanner := bufio.NewScanner(in)
	var lines []string
	for len(lines) < n && scanner.Scan() {
		lines = append(lines, strings.TrimSuffix(scanner.Text(), "\r"))
	}
	switch err := scanner.Err(); {
	case errors.Is(err, bufio.ErrTooLong):
		return nil, usagef("a line of standard input is too long for a password")
	case err != nil:
		return nil, err
	case len(lines) < n || lines[n-1] == "":
		return nil, usagef("standard input must have %d line(s), each a password", n)
	}
	return lines, nil
}

func newUserDeleteCommand(env *environment) *cobra.Command {
	return &cobra.Command{
		Use:               "delete NAME",
		Short:             "Delete a user; its tokens and access keys die at once",
		Args:              exactArgs(1),
		ValidArgsFunction: once(completeUsers(env)),
		RunE: does(env, func(ctx context.Context, c *client.Client, args []string) error {
			if err := c.DeleteUser(ctx, args[0]); err != nil {
				return err
			}
			return env.say("user %s is deleted", args[0])
		}),
	}
}
