package main

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/lethe-cloud/lethe/client"
)

func newPhoneRenameCommand(env *environment) *cobra.Command {
	return &cobra.Command{
		Use:               "rename PHONE NEW-NAME",
		Short:             "Give a phone another name; its id stays, and the phone itself is told with its next life",
		Example:           "  lethe phone rename edge-0001 front-desk",
		Args:              exactArgs(2),
		ValidArgsFunction: once(completePhones(env)),
		RunE: does(env, func(ctx context.Context, c *client.Client, args []string) error {
			id, err := resolvePhone(ctx, c, args[0])
			if err != nil {
				return err
			}
			if err := c.RenamePhone(ctx, id, args[1]); err != nil {
				return err
			}
			return env.say("phone %s is called %s now", args[0], args[1])
		}),
	}
}

func newServerRenameCommand(env *environment) *cobra.Command {
	return &cobra.Command{
		Use:               "rename SERVER NEW-NAME",
		Short:             "Give a server another name; its id stays, and its phones keep their names",
		Example:           "  lethe server rename edge rack-7",
		Args:              exactArgs(2),
		ValidArgsFunction: once(completeServers(env)),
		RunE: does(env, func(ctx context.Context, c *client.Client, args []string) error {
			id, err := resolveServer(ctx, c, args[0])
			if err != nil {
				return err
			}
			if err := c.RenameServer(ctx, id, args[1]); err != nil {
				return err
			}
			return env.say("server %s is called %s now", args[0], args[1])
		}),
	}
}
