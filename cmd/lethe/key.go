package main

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/lethe-cloud/lethe/api"
	"github.com/lethe-cloud/lethe/client"
)

func newKeyCommand(env *environment) *cobra.Command {
	return group("key", "Give users access keys, and take them away", newKeyAddCommand(env), newKeyListCommand(env), newKeySetCommand(env), newKeyDeleteCommand(env))
}

func newKeyAddCommand(env *environment) *cobra.Command {
	var save saveFlag
	cmd := &cobra.Command{
		Use:               "add USER",
		Short:             "Give a user a further access key, and show its secret this once",
		Long:              "Give a user a further access key, and show its secret: it is shown this once and cannot be had again. A user has at most two keys, so\nthat one can be replaced while the other is in use.",
		Example:           "  lethe key add ci --save ci-new.json",
		Args:              exactArgs(1),
		ValidArgsFunction: once(completeUsers(env)),
		PreRunE:           func(*cobra.Command, []string) error { return save.check() },
		RunE: does(env, func(ctx context.Context, c *client.Client, args []string) error {
			key, err := c.AddKey(ctx, args[0])
			if err != nil {
				return err
			}
			added := api.AddedUser{User: api.User{UserName: args[0]}, AccessKey: key.AccessKey.AccessKey, SecretKey: key.SecretKey}
			if err := save.user(env, added); err != nil {
				return err
			}
			return env.print(key, func() table {
				return pairs(append([]string{"ACCESS KEY", key.AccessKey.AccessKey}, save.secrets("SECRET KEY", key.SecretKey)...)...)
			})
		}),
	}
	save.register(cmd)
	return cmd
}

func newKeyListCommand(env *environment) *cobra.Command {
	return &cobra.Command{
		Use: "list USER", Aliases: []string{"ls"},
		Short:             "List a user's access keys, without their secrets",
		Args:              exactArgs(1),
		ValidArgsFunction: once(completeUsers(env)),
		RunE: does(env, func(ctx context.Context, c *client.Client, args []string) error {
			keys, err := c.Keys(ctx, args[0])
			if err != nil {
				return err
			}
			return env.print(keys, func() table {
				t := table{header: []string{"ACCESS KEY", "ENABLED", "CREATED"}}
				for _, key := range keys {
					t.rows = append(t.rows, []string{key.AccessKey, yesOrNo(key.Enabled), moment(key.CreateTime)})
				}
				return t
			})
		}),
	}
}

func newKeySetCommand(env *environment) *cobra.Command {
	var enable, disable bool
	cmd := &cobra.Command{
		Use:               "set USER KEY --disable | --enable",
		Short:             "Take an access key out of use, or put it back; the user's tokens die at once",
		Args:              exactArgs(2),
		ValidArgsFunction: completeUserAndKey(env),
		PreRunE:           func(cmd *cobra.Command, _ []string) error { return oneOf(cmd, "enable", "disable") },
		RunE: does(env, func(ctx context.Context, c *client.Client, args []string) error {
			if err := c.SetKeyEnabled(ctx, args[0], args[1], enable); err != nil {
				return err
			}
			return env.say("access key %s is %s", args[1], map[bool]string{true: "enabled", false: "disabled"}[enable])
		}),
	}
	cmd.Flags().BoolVar(&enable, "enable", false, "let it sign calls again")
	cmd.Flags().BoolVar(&disable, "disable", false, "let it sign nothing")
	return cmd
}

func newKeyDeleteCommand(env *environment) *cobra.Command {
	return &cobra.Command{
		Use:               "delete USER KEY",
		Short:             "Delete an access key; the user's tokens die at once",
		Args:              exactArgs(2),
		ValidArgsFunction: completeUserAndKey(env),
		RunE: does(env, func(ctx context.Context, c *client.Client, args []string) error {
			if err := c.DeleteKey(ctx, args[0], args[1]); err != nil {
				return err
			}
			return env.say("access key %s is deleted", args[1])
		}),
	}
}

// completeUserAndKey completes a user, then one of its keys.
func completeUserAndKey(env *environment) completion {
	return func(cmd *cobra.Command, args []string, prefix string) ([]string, cobra.ShellCompDirective) {
		switch len(args) {
		case 0:
			return completeUsers(env)(cmd, args, prefix)
		case 1:
			list := func(c *client.Client, ctx context.Context) ([]api.AccessKey, error) { return c.Keys(ctx, args[0]) }
			return completeAll(env, list, func(k api.AccessKey) string { return k.AccessKey })(cmd, args, prefix)
		}
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
}
