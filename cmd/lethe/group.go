package main

import (
	"context"
	"strings"

	"github.com/spf13/cobra"

	"github.com/lethe-cloud/lethe/api"
	"github.com/lethe-cloud/lethe/client"
)

func newGroupCommand(env *environment) *cobra.Command {
	return group("group", "Give policies to users together", newGroupAddCommand(env), newGroupListCommand(env), newGroupShowCommand(env),
		newGroupSetCommand(env), newGroupDeleteCommand(env))
}

func newGroupAddCommand(env *environment) *cobra.Command {
	return &cobra.Command{
		Use:     "add NAME",
		Short:   "Add a group",
		Example: "  lethe group add testers\n  lethe group set testers --add-user ann,bob\n  lethe policy attach \"CPH ReadOnlyAccess\" --group testers",
		Args:    exactArgs(1),
		RunE: does(env, func(ctx context.Context, c *client.Client, args []string) error {
			added, err := c.AddGroup(ctx, args[0])
			if err != nil {
				return err
			}
			return env.print(added, func() table { return pairs("GROUP ID", added.GroupID, "NAME", added.GroupName) })
		}),
	}
}

func newGroupListCommand(env *environment) *cobra.Command {
	return &cobra.Command{
		Use: "list", Aliases: []string{"ls"},
		Short: "List the account's groups",
		Args:  exactArgs(0),
		RunE: does(env, func(ctx context.Context, c *client.Client, _ []string) error {
			groups, err := c.Groups(ctx)
			if err != nil {
				return err
			}
			return env.print(groups, func() table {
				t := table{header: []string{"GROUP ID", "NAME", "CREATED"}}
				for _, g := range groups {
					t.rows = append(t.rows, []string{g.GroupID, g.GroupName, moment(g.CreateTime)})
				}
				return t
			})
		}),
	}
}

func newGroupShowCommand(env *environment) *cobra.Command {
	return &cobra.Command{
		Use:               "show NAME",
		Short:             "Show a group with its users and its policies",
		Args:              exactArgs(1),
		ValidArgsFunction: once(completeGroups(env)),
		RunE: does(env, func(ctx context.Context, c *client.Client, args []string) error {
			found, err := c.Group(ctx, args[0])
			if err != nil {
				return err
			}
			return env.print(found, func() table { return groupDetailTable(found) })
		}),
	}
}

func groupDetailTable(g api.GroupDetail) table {
	t := pairs("GROUP ID", g.GroupID, "NAME", g.GroupName, "CREATED", moment(g.CreateTime), "USERS", dash(strings.Join(g.Users, ", ")))
	for i := range g.Grants {
		g.Grants[i].GroupName = "" // each is by this group
	}
	t.rows = append(t.rows, grantRows(g.Grants)...)
	return t
}

func newGroupSetCommand(env *environment) *cobra.Command {
	var add, remove []string
	cmd := &cobra.Command{
		Use:   "set NAME --add-user USER... --remove-user USER...",
		Short: "Put users into a group, or take them out; their tokens die at once",
		Long: "Put users into a group, or take them out: one after the other, so that what comes before a user that is refused is done. Either way\n" +
			"the tokens of the user are dead from then on.",
		Args:              exactArgs(1),
		ValidArgsFunction: once(completeGroups(env)),
		PreRunE: func(*cobra.Command, []string) error {
			if len(add)+len(remove) == 0 {
				return usagef("name a user: --add-user USER, or --remove-user USER")
			}
			return nil
		},
		RunE: does(env, func(ctx context.Context, c *client.Client, args []string) error {
			for _, user := range add {
				if err := c.AddToGroup(ctx, args[0], user); err != nil {
					return err
				}
			}
			for _, user := range remove {
				if err := c.RemoveFromGroup(ctx, args[0], user); err != nil {
					return err
				}
			}
			return env.say("group %s: %d put in, %d taken out", args[0], len(add), len(remove))
		}),
	}
	cmd.Flags().StringSliceVar(&add, "add-user", nil, "put this `user` in; may be given many times")
	cmd.Flags().StringSliceVar(&remove, "remove-user", nil, "take this `user` out; may be given many times")
	completeFlag(cmd, "add-user", completeUsers(env))
	completeFlag(cmd, "remove-user", completeUsers(env))
	return cmd
}

func newGroupDeleteCommand(env *environment) *cobra.Command {
	return &cobra.Command{
		Use:               "delete NAME",
		Short:             "Delete a group; its users stay, and lose what it gave them",
		Args:              exactArgs(1),
		ValidArgsFunction: once(completeGroups(env)),
		RunE: does(env, func(ctx context.Context, c *client.Client, args []string) error {
			if err := c.DeleteGroup(ctx, args[0]); err != nil {
				return err
			}
			return env.say("group %s is deleted", args[0])
		}),
	}
}
