package main

import (
	"context"
	"strings"

	"github.com/spf13/cobra"

	"github.com/lethe-cloud/lethe/api"
	"github.com/lethe-cloud/lethe/client"
)

func newServerTagCommand(env *environment) *cobra.Command {
	return group("tag", "Hang words on servers, and list and take them off", newServerTagSetCommand(env), newServerTagListCommand(env), newServerTagDeleteCommand(env))
}

func newServerTagSetCommand(env *environment) *cobra.Command {
	return &cobra.Command{
		Use:               "set SERVER KEY=VALUE...",
		Short:             "Give a server tags; a key that it has gets the new value, the others stay",
		Example:           "  lethe server tag set edge team=qa rack=7",
		Args:              serverAnd("KEY=VALUE"),
		ValidArgsFunction: once(completeServers(env)),
		RunE: does(env, func(ctx context.Context, c *client.Client, args []string) error {
			tags := make([]api.Tag, len(args)-1)
			for i, pair := range args[1:] {
				key, value, ok := strings.Cut(pair, "=")
				if !ok || key == "" {
					return usagef("%q is not KEY=VALUE", pair)
				}
				tags[i] = api.Tag{Key: key, Value: value}
			}
			id, err := resolveServer(ctx, c, args[0])
			if err != nil {
				return err
			}
			if err := c.SetServerTags(ctx, id, tags...); err != nil {
				return err
			}
			return env.say("server %s has %d tag(s) set", args[0], len(tags))
		}),
	}
}

func newServerTagListCommand(env *environment) *cobra.Command {
	return &cobra.Command{
		Use:               "list SERVER",
		Aliases:           []string{"ls"},
		Short:             "List a server's tags by key",
		Args:              exactArgs(1),
		ValidArgsFunction: once(completeServers(env)),
		RunE: does(env, func(ctx context.Context, c *client.Client, args []string) error {
			id, err := resolveServer(ctx, c, args[0])
			if err != nil {
				return err
			}
			tags, err := c.ServerTags(ctx, id)
			if err != nil {
				return err
			}
			return env.print(tags, func() table {
				t := table{header: []string{"KEY", "VALUE"}}
				for _, tag := range tags {
					t.rows = append(t.rows, []string{tag.Key, tag.Value})
				}
				return t
			})
		}),
	}
}

func newServerTagDeleteCommand(env *environment) *cobra.Command {
	return &cobra.Command{
		Use:               "delete SERVER KEY...",
		Short:             "Take tags from a server, whatever their values; a key that it does not have is no error",
		Args:              serverAnd("KEY"),
		ValidArgsFunction: once(completeServers(env)),
		RunE: does(env, func(ctx context.Context, c *client.Client, args []string) error {
			id, err := resolveServer(ctx, c, args[0])
			if err != nil {
				return err
			}
			for _, key := range args[1:] {
				if err := c.DeleteServerTag(ctx, id, key); err != nil {
					return err
				}
			}
			return env.say("the tags are gone from server %s", args[0])
		}),
	}
}

// serverAnd wants a server, and something after it.
func serverAnd(what string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) < 2 {
			return usagef("%s takes a server and at least one %s: %s", cmd.CommandPath(), what, cmd.UseLine())
		}
		return nil
	}
}
