package main

import (
	"context"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/lethe-cloud/lethe/api"
	"github.com/lethe-cloud/lethe/client"
)

func newPoolCommand(env *environment) *cobra.Command {
	return group("pool", "Look at the hosts that servers can be created on", newPoolListCommand(env))
}

func newPoolListCommand(env *environment) *cobra.Command {
	return &cobra.Command{
		Use: "list", Aliases: []string{"ls"},
		Short: "List the hosts of the installation's pool that the account may take, and say which are free; to the first account all of them",
		Args:  exactArgs(0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := env.client()
			if err != nil {
				return err
			}
			hosts, err := c.PoolHosts(cmd.Context())
			if err != nil {
				return err
			}
			return env.print(hosts, func() table { return poolTable(hosts) })
		},
	}
}

func poolTable(hosts []api.PoolHost) table {
	t := table{header: []string{"SERVER MODEL", "PHONES", "KEY PAIR", "FREE", "NAME", "DRIVER", "ENDPOINT", "ACCOUNTS"}}
	for _, h := range hosts {
		t.rows = append(t.rows, []string{
			h.ServerModelName, strconv.Itoa(h.PhoneCount), dash(h.Keypair), yesOrNo(h.Free), dash(h.Name), dash(h.Driver), dash(h.Endpoint), dash(strings.Join(h.Accounts, ",")),
		})
	}
	return t
}

type serverCreateFlags struct {
	in    api.CreateServers
	reset resetFlags // image and properties, as lethe reset takes them
	wait  bool
}

func newServerCreateCommand(env *environment) *cobra.Command {
	f := serverCreateFlags{reset: resetFlags{word: "create"}}
	cmd := &cobra.Command{
		Use:   "create --name NAME --server-model MODEL --image NAME",
		Short: "Take hosts of the installation's pool as servers, and create their phones",
		Long: `Take hosts of the installation's pool as servers, and create their phones, each by a job of its own. lethe pool list shows what there is.
A host that does not answer is passed over. Either all of the servers are created or none. A host is given back by lethe server delete.
To add a server on a host of one's own: lethe server add.`,
		Example: `  lethe server create --name shop --server-model rack.small --image android12 --wait
  lethe server create --name farm --count 3 --server-model rack.small --image android12 --property ro.product.model=X`,
		Args: exactArgs(0),
		RunE: func(cmd *cobra.Command, _ []string) error { return f.run(cmd.Context(), env) },
	}
	flags := cmd.Flags()
	flags.StringVar(&f.in.ServerName, "name", "", "the server's `name`; of several NAME-0001 and so on")
	flags.StringVar(&f.in.ServerModelName, "server-model", "", "what the hosts must be: a server `model` of the pool")
	flags.StringVar(&f.in.PhoneModelName, "phone-model", "", "the phone `model`, whose limits and screen the phones get (default lethe.cp.standard)")
	flags.StringVar(&f.reset.image, "image", "", "the `image` that the phones boot (name or id)")
	flags.IntVar(&f.in.Count, "count", 1, "how many servers, at most 10")
	flags.StringVar(&f.in.Keypair, "keypair", "", "the `key pair` that the hosts must have (default: any)")
	flags.StringArrayVar(&f.reset.properties, "property", nil, "a property that the phones get, `key=value`; may be given many times")
	flags.BoolVar(&f.wait, "wait", false, "wait until the phones have been created, and show the progress")
	require(cmd, "name", "server-model", "image")
	completeFlag(cmd, "image", completeImages(env))
	completeFlag(cmd, "property", completeProperties)
	return cmd
}

func (f *serverCreateFlags) run(ctx context.Context, env *environment) error {
	if f.in.Count < 1 {
		return usagef("--count %d: create at least one server", f.in.Count)
	}
	c, err := env.client()
	if err != nil {
		return err
	}
	if f.in.ImageID, f.in.Property, err = f.reset.life(ctx, c); err != nil {
		return err
	}
	created, err := c.CreateServers(ctx, f.in)
	if err != nil {
		return err
	}
	return env.followServer(ctx, c, created.RequestID, f.wait)
}

// life gives the image, by its id, and the properties that the flags name.
func (f *resetFlags) life(ctx context.Context, c *client.Client) (image, property string, err error) {
	if property, err = f.property(); err != nil {
		return "", "", err
	}
	image, err = resolveImage(ctx, c, f.image)
	return image, property, err
}

func newServerChangeCommand(env *environment) *cobra.Command {
	f := resetFlags{word: "change"}
	var yes, wait bool
	cmd := &cobra.Command{
		Use:   "change SERVER --image NAME",
		Short: "Make all phones of a server anew with another image; no data is kept",
		Long: `Make all phones of a server anew with another image, as lethe reset --factory does; no data is kept. All of the phones are
accepted or none: while something is at work on one of them the server cannot be changed. The phones have the given properties and no
others. Until the last one has ended the server is "creating". Exits with 1 when, with --wait, a phone could not be made.`,
		Example: `  lethe server change edge --image android13 --property ro.product.model=X --yes --wait`,
		Args:    exactArgs(1), ValidArgsFunction: once(completeServers(env)),
		RunE: func(cmd *cobra.Command, args []string) error {
			if !yes {
				return usagef("this destroys the data of all phones of server %s: give --yes if that is what you want", args[0])
			}
			c, id, err := env.serverNamed(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			var in api.ChangeServer
			if in.ImageID, in.Property, err = f.life(cmd.Context(), c); err != nil {
				return err
			}
			accepted, err := c.ChangeServer(cmd.Context(), id, in)
			if err != nil {
				return err
			}
			return env.followServer(cmd.Context(), c, accepted.RequestID, wait)
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&f.image, "image", "", "the `image` that the phones boot from now on (name or id)")
	flags.StringArrayVar(&f.properties, "property", nil, "a property that the phones have from now on, `key=value`; may be given many times")
	flags.BoolVar(&yes, "yes", false, "yes, all data of the server's phones may be destroyed")
	flags.BoolVar(&wait, "wait", false, "wait until every phone has been made anew, and show the progress")
	require(cmd, "image")
	completeFlag(cmd, "image", completeImages(env))
	completeFlag(cmd, "property", completeProperties)
	return cmd
}
