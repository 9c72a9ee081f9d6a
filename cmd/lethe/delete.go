package main

import (
	"cmp"
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/lethe-cloud/lethe/client"
)

func newPhoneDeleteCommand(env *environment) *cobra.Command {
	f := resetFlags{word: "delete"}
	var yes bool
	cmd := &cobra.Command{
		Use:   "delete PHONE... | --all | --server NAME",
		Short: "Destroy phones for good, with all their data",
		Long: `Destroy phones for good, each named by its id or its name: their instances and the volumes of all their lives are destroyed and looked
for on the server, and then there is no such phone any more. Its name and its port are free. A phone whose deletion failed can only
be deleted again, or reset. Exits with 1 when a phone was refused or, with --wait, could not be deleted.`,
		Example: `  lethe phone delete edge-0001 edge-0002 --yes --wait
  lethe phone delete --server edge --yes`,
		Args:              f.args,
		ValidArgsFunction: completePhones(env),
		RunE: func(cmd *cobra.Command, args []string) error {
			return deletePhones(cmd.Context(), env, f, args, yes)
		},
	}
	flags := cmd.Flags()
	flags.BoolVar(&f.all, "all", false, "every phone of the project")
	flags.StringVar(&f.server, "server", "", "every phone of this `server` (name or id), which stays without phones")
	flags.BoolVar(&yes, "yes", false, "yes, all data of these phones may be destroyed, and the phones too")
	flags.BoolVar(&f.wait, "wait", false, "wait until every job has ended, and show the progress")
	flags.StringVar(&f.key, "idempotency-key", "", "a `key` that makes the command repeatable for 24 hours")
	completeFlag(cmd, "server", completeServers(env))
	return cmd
}

func deletePhones(ctx context.Context, env *environment, f resetFlags, args []string, yes bool) error {
	c, err := env.client()
	if err != nil {
		return err
	}
	phones, err := f.phones(ctx, c, args)
	if err != nil {
		return err
	}
	if !yes {
		return usagef("this destroys %d phones with all their data, for good: give --yes if that is what you want", len(phones))
	}
	results, err := sendInBatches(phones, client.MaxBatch, f.key, func(ids []string, key string) (client.Accepted, error) {
		return c.DeletePhones(ctx, ids, key)
	})
	for i := range results {
		results[i].done = "deleted"
	}
	return env.followResets(ctx, c, results, f.wait, err)
}

func newServerRestartCommand(env *environment) *cobra.Command {
	var wait bool
	cmd := &cobra.Command{
		Use:   "restart SERVER",
		Short: "Restart all phones of a server that may be restarted; they keep their data",
		Long: `Restart all phones of a server that may be restarted, through its boot slots; they keep their data. Phones that something is at work
on are left alone, and so are those that have no life to be started. Until the last one has ended the server is "starting". Exits with
1 when, with --wait, a phone could not be restarted.`,
		Args:              exactArgs(1),
		ValidArgsFunction: once(completeServers(env)),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, id, err := env.serverNamed(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			accepted, err := c.RestartServer(cmd.Context(), id)
			if err != nil {
				return err
			}
			return env.followServer(cmd.Context(), c, accepted.RequestID, wait)
		},
	}
	cmd.Flags().BoolVar(&wait, "wait", false, "wait until every phone has been restarted, and show the progress")
	return cmd
}

func newServerDeleteCommand(env *environment) *cobra.Command {
	var yes, wait, abandon bool
	cmd := &cobra.Command{
		Use:   "delete SERVER",
		Short: "Destroy all phones of a server for good, and then remove the server",
		Long: `Destroy all phones of a server for good, as lethe phone delete does, and then remove the server, once its host was asked for everything
that it has of it and had nothing. A phone that cannot be destroyed, or anything that is left on the host, keeps the server.

--abandon is for a host that will not come back: it forgets the server and its phones at once. Nothing on the host is destroyed, and
lethe refuses while the host answers.`,
		Example: `  lethe server delete edge --yes --wait
  lethe server delete burnt-down --abandon --yes`,
		Args:              exactArgs(1),
		ValidArgsFunction: once(completeServers(env)),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, id, err := env.serverNamed(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			switch {
			case !yes && abandon:
				return usagef("this forgets server %s with all its phones and leaves their data on its host: give --yes if that is what you want", args[0])
			case !yes:
				return usagef("this destroys server %s with all its phones and their data, for good: give --yes if that is what you want", args[0])
			case abandon:
				return env.abandonServer(cmd.Context(), c, id)
			}
			accepted, err := c.DeleteServer(cmd.Context(), id)
			if err != nil {
				return err
			}
			return env.followServer(cmd.Context(), c, accepted.RequestID, wait)
		},
	}
	flags := cmd.Flags()
	flags.BoolVar(&yes, "yes", false, "yes, the server's phones may be destroyed with all their data")
	flags.BoolVar(&wait, "wait", false, "wait until the server is gone, and show the progress")
	flags.BoolVar(&abandon, "abandon", false, "forget a server whose host does not answer; nothing on the host is destroyed")
	return cmd
}

func (e *environment) abandonServer(ctx context.Context, c *client.Client, id string) error {
	out, err := c.AbandonServer(ctx, id)
	if err != nil {
		return err
	}
	fmt.Fprintf(e.stderr, "%d phones were forgotten with the server; nothing on its host was destroyed\n", out.Phones)
	return e.print(out, func() table { return pairs("SERVER ID", out.ServerID, "PHONES FORGOTTEN", fmt.Sprint(out.Phones)) })
}

// followServer tells what was accepted, waits for its end when asked to, and complains of what failed.
func (e *environment) followServer(ctx context.Context, c *client.Client, request string, wait bool) error {
	fmt.Fprintf(e.stderr, "accepted (request %s)\n", request)
	var failed []failedJob
	if wait {
		var err error
		if failed, err = e.waitFor(ctx, c, request); err != nil {
			return err
		}
	}
	progress, err := c.Request(ctx, request)
	if err != nil {
		return err
	}
	for _, job := range failed {
		e.complain(cmp.Or(job.PhoneID, job.ServerID), job.ErrorCode, job.ErrorMsg, job.ExecuteMsg)
	}
	if err := e.print(progress, func() table { return progressTable(progress) }); err != nil {
		return err
	}
	if len(failed) > 0 {
		return exitError(exitFailed) // each was complained of
	}
	return nil
}
