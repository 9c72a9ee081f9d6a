package main

import (
	"context"
	"strings"

	"github.com/spf13/cobra"

	"github.com/lethe-cloud/lethe/api"
	"github.com/lethe-cloud/lethe/client"
)

func newAccountCommand(env *environment) *cobra.Command {
	return group("account", "Let several accounts share the installation; for the first account only",
		newAccountAddCommand(env), newAccountListCommand(env), newAccountShowCommand(env), newAccountSetCommand(env), newAccountDeleteCommand(env))
}

func newAccountAddCommand(env *environment) *cobra.Command {
	var in api.AddAccount
	var save saveFlag
	cmd := &cobra.Command{
		Use:   "add NAME",
		Short: "Add an account with a project and an owner, and show the owner's secrets this once",
		Long: "Add an account with one project and an owner, who may do all in it, and show the owner's password and access key: they are shown this\n" +
			"once and cannot be had again. Accounts see nothing of each other.",
		Example: "  lethe account add acme --save acme.json\n  lethe project list --credentials acme.json",
		Args:    exactArgs(1),
		PreRunE: func(*cobra.Command, []string) error { return save.check() },
		RunE: does(env, func(ctx context.Context, c *client.Client, args []string) error {
			in.AccountName = args[0]
			added, err := c.AddAccount(ctx, in)
			if err != nil {
				return err
			}
			err = save.write(env, api.Credentials{
				Endpoint: c.Endpoint(), Region: added.Project.ProjectName, Account: added.AccountName, AccountID: added.AccountID,
				User: added.Owner.UserName, Password: added.Owner.Password, Project: added.Project.ProjectName, ProjectID: added.Project.ProjectID,
				AccessKey: added.Owner.AccessKey, SecretKey: added.Owner.SecretKey,
			})
			if err != nil {
				return err
			}
			return env.print(added, func() table {
				return pairs(append([]string{
					"ACCOUNT ID", added.AccountID, "NAME", added.AccountName, "PROJECT", added.Project.ProjectName, "PROJECT ID", added.Project.ProjectID,
					"OWNER", added.Owner.UserName,
				}, save.secrets("PASSWORD", added.Owner.Password, "ACCESS KEY", added.Owner.AccessKey, "SECRET KEY", added.Owner.SecretKey)...)...)
			})
		}),
	}
	cmd.Flags().StringVar(&in.UserName, "owner", "", "the owner's user `name` (default admin)")
	cmd.Flags().StringVar(&in.ProjectName, "project", "", "the first project's `name` (default: the installation's region)")
	cmd.Flags().BoolVar(&in.OwnHosts, "own-hosts", false, ownHosts)
	save.register(cmd)
	return cmd
}

const ownHosts = "let it add servers on hosts that it names; who may do that may name the machine that lethe runs on"

func newAccountSetCommand(env *environment) *cobra.Command {
	var own, none bool
	cmd := &cobra.Command{
		Use:               "set NAME --own-hosts | --no-own-hosts",
		Short:             "Let an account add servers on hosts that it names, or not; servers that it has stay",
		Args:              exactArgs(1),
		ValidArgsFunction: once(completeAccounts(env)),
		PreRunE:           func(cmd *cobra.Command, _ []string) error { return oneOf(cmd, "own-hosts", "no-own-hosts") },
		RunE: does(env, func(ctx context.Context, c *client.Client, args []string) error {
			if err := c.SetOwnHosts(ctx, args[0], own); err != nil {
				return err
			}
			return env.say("account %s may add %s", args[0], map[bool]string{true: "servers", false: "no servers"}[own])
		}),
	}
	cmd.Flags().BoolVar(&own, "own-hosts", false, ownHosts)
	cmd.Flags().BoolVar(&none, "no-own-hosts", false, "let it add no servers")
	return cmd
}

func newAccountListCommand(env *environment) *cobra.Command {
	return &cobra.Command{
		Use: "list", Aliases: []string{"ls"},
		Short: "List the installation's accounts",
		Args:  exactArgs(0),
		RunE: does(env, func(ctx context.Context, c *client.Client, _ []string) error {
			accounts, err := c.Accounts(ctx)
			if err != nil {
				return err
			}
			return env.print(accounts, func() table {
				t := table{header: []string{"ACCOUNT ID", "NAME", "OPERATOR", "OWN HOSTS", "CREATED"}}
				for _, a := range accounts {
					t.rows = append(t.rows, []string{a.AccountID, a.AccountName, yesOrNo(a.Operator), yesOrNo(a.OwnHosts), moment(a.CreateTime)})
				}
				return t
			})
		}),
	}
}

func newAccountShowCommand(env *environment) *cobra.Command {
	return &cobra.Command{
		Use:               "show NAME",
		Short:             "Show an account and the names of its projects",
		Args:              exactArgs(1),
		ValidArgsFunction: once(completeAccounts(env)),
		RunE: does(env, func(ctx context.Context, c *client.Client, args []string) error {
			found, err := c.Account(ctx, args[0])
			if err != nil {
				return err
			}
			return env.print(found, func() table {
				names := make([]string, len(found.Projects))
				for i, p := range found.Projects {
					names[i] = p.ProjectName
				}
				return pairs("ACCOUNT ID", found.AccountID, "NAME", found.AccountName, "OPERATOR", yesOrNo(found.Operator), "OWN HOSTS", yesOrNo(found.OwnHosts),
					"CREATED", moment(found.CreateTime), "PROJECTS", dash(strings.Join(names, ", ")))
			})
		}),
	}
}

func newAccountDeleteCommand(env *environment) *cobra.Command {
	return &cobra.Command{
		Use:               "delete NAME",
		Short:             "Delete an account with its users, projects and policies; refused while it has a server or a phone",
		Args:              exactArgs(1),
		ValidArgsFunction: once(completeAccounts(env)),
		RunE: does(env, func(ctx context.Context, c *client.Client, args []string) error {
			if err := c.DeleteAccount(ctx, args[0]); err != nil {
				return err
			}
			return env.say("account %s is deleted", args[0])
		}),
	}
}
