package main

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/lethe-cloud/lethe/client"
)

// power is one of the two commands that take phones as lethe reset does, and keep their data.
type power struct {
	word, done string
	send       func(c *client.Client, ctx context.Context, phones []string, key string) (client.Accepted, error)
}

func newPhoneStopCommand(env *environment) *cobra.Command {
	return newPowerCommand(env, power{"stop", "stopped", (*client.Client).StopPhones}, "Stop phones; they keep their data",
		`Stop phones, each named by its id or its name. A phone keeps its data, its image and its properties, and stays stopped until
lethe phone restart or lethe reset. What runs in it is not asked first. Exits with 1 when a phone was refused or, with --wait, failed.`)
}

func newPhoneRestartCommand(env *environment) *cobra.Command {
	return newPowerCommand(env, power{"restart", "restarted", (*client.Client).RestartPhones}, "Start phones again, after a stop where they run; they keep their data",
		`Start phones again, each named by its id or its name: those that run after a stop, and those that are stopped or have died. A phone
keeps its data, its image and its properties. It waits for a boot slot of its server. Exits with 1 when a phone was refused or, with
--wait, failed.`)
}

func newPowerCommand(env *environment, p power, short, long string) *cobra.Command {
	f := resetFlags{word: p.word}
	cmd := &cobra.Command{
		Use:   p.word + " PHONE... | --all | --server NAME",
		Short: short,
		Long:  long,
		Example: fmt.Sprintf(`  lethe phone %[1]s edge-0001 edge-0002 --wait
  lethe phone %[1]s --server edge`, p.word),
		Args:              f.args,
		ValidArgsFunction: completePhones(env),
		RunE:              func(cmd *cobra.Command, args []string) error { return p.run(cmd.Context(), env, f, args) },
	}
	flags := cmd.Flags()
	flags.BoolVar(&f.all, "all", false, "every phone of the project")
	flags.StringVar(&f.server, "server", "", "every phone of this `server` (name or id)")
	flags.BoolVar(&f.wait, "wait", false, "wait until every job has ended, and show the progress")
	flags.StringVar(&f.key, "idempotency-key", "", "a `key` that makes the command repeatable for 24 hours")
	completeFlag(cmd, "server", completeServers(env))
	return cmd
}

func (p power) run(ctx context.Context, env *environment, f resetFlags, args []string) error {
	c, err := env.client()
	if err != nil {
		return err
	}
	phones, err := f.phones(ctx, c, args)
	if err != nil {
		return err
	}
	results, err := sendInBatches(phones, client.MaxBatch, f.key, func(ids []string, key string) (client.Accepted, error) {
		return p.send(c, ctx, ids, key)
	})
	for i := range results {
		results[i].done = p.done
	}
	return env.followResets(ctx, c, results, f.wait, err)
}
