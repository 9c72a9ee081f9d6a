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
	example    string
	send       func(ctx context.Context, c *client.Client, phones []string, with powerWith) (client.Accepted, error)
}

// powerWith is what a command sends besides the phones.
type powerWith struct {
	image    string // its id
	property string
	key      string
}

func newPhoneStopCommand(env *environment) *cobra.Command {
	cmd, _ := newPowerCommand(env, power{word: "stop", done: "stopped", send: sendStop}, "Stop phones; they keep their data",
		`Stop phones, each named by its id or its name. A phone keeps its data, its image and its properties, and stays stopped until
lethe phone restart or lethe reset. What runs in it is not asked first. Exits with 1 when a phone was refused or, with --wait, failed.`)
	return cmd
}

func sendStop(ctx context.Context, c *client.Client, phones []string, with powerWith) (client.Accepted, error) {
	return c.StopPhones(ctx, phones, with.key)
}

func newPhoneRestartCommand(env *environment) *cobra.Command {
	cmd, f := newPowerCommand(env, power{word: "restart", done: "restarted", send: sendRestart, example: `
  lethe phone restart --server edge --image android12-patched --property ro.product.model=X --wait`},
		"Start phones again, after a stop where they run; they keep their data",
		`Start phones again, each named by its id or its name: those that run after a stop, and those that are stopped or have died. A phone
keeps its data, and its image and its properties, unless --image or --property say otherwise: then its instance is made anew on the
same data. The image must have the Android that the phone has. A restart that fails leaves the data, and what the phone had: the next
one brings that back. Phones wait for a boot slot of their server. Exits with 1 when a phone was refused or, with --wait, failed.`)
	flags := cmd.Flags()
	flags.StringVar(&f.image, "image", "", "the `image` to boot from now on (name or id); default: each phone's present one")
	flags.StringArrayVar(&f.properties, "property", nil, "a property to set, `key=value`; may be given many times")
	completeFlag(cmd, "image", completeImages(env))
	completeFlag(cmd, "property", completeProperties)
	return cmd
}

func sendRestart(ctx context.Context, c *client.Client, phones []string, with powerWith) (client.Accepted, error) {
	in := client.Restart{ImageID: with.image, IdempotencyKey: with.key, Phones: make([]client.RestartPhone, len(phones))}
	for i, id := range phones {
		in.Phones[i] = client.RestartPhone{PhoneID: id, Property: with.property}
	}
	return c.RestartPhones(ctx, in)
}

func newPowerCommand(env *environment, p power, short, long string) (*cobra.Command, *resetFlags) {
	f := &resetFlags{word: p.word}
	cmd := &cobra.Command{
		Use:   p.word + " PHONE... | --all | --server NAME",
		Short: short,
		Long:  long,
		Example: fmt.Sprintf(`  lethe phone %[1]s edge-0001 edge-0002 --wait
  lethe phone %[1]s --server edge`, p.word) + p.example,
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
	return cmd, f
}

func (p power) run(ctx context.Context, env *environment, f *resetFlags, args []string) error {
	c, err := env.client()
	if err != nil {
		return err
	}
	with := powerWith{}
	if with.property, err = f.property(); err != nil {
		return err
	}
	if f.image != "" {
		if with.image, err = resolveImage(ctx, c, f.image); err != nil {
			return err
		}
	}
	phones, err := f.phones(ctx, c, args)
	if err != nil {
		return err
	}
	results, err := sendInBatches(phones, client.MaxBatch, f.key, func(ids []string, key string) (client.Accepted, error) {
		with.key = key
		return p.send(ctx, c, ids, with)
	})
	for i := range results {
		results[i].done = p.done
	}
	return env.followResets(ctx, c, results, f.wait, err)
}
