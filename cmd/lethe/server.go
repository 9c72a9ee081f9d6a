package main

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/lethe-cloud/lethe/api"
	"github.com/lethe-cloud/lethe/client"
	"github.com/lethe-cloud/lethe/internal/phone"
)

func newServerCommand(env *environment) *cobra.Command {
	return group("server", "Add servers with their phones, look at them, restart, change and delete them",
		newServerAddCommand(env), newServerCreateCommand(env), newServerListCommand(env), newServerShowCommand(env), newServerRenameCommand(env),
		newServerTagCommand(env), newServerDriftCommand(env), newServerReconcileCommand(env), newServerRestartCommand(env), newServerChangeCommand(env), newServerDeleteCommand(env),
		newServerFilesCommand(env), newServerAppsCommand(env))
}

type serverAddFlags struct {
	in          api.AddServer
	image       string
	bootTimeout time.Duration
	bootTime    time.Duration
	faults      string
	template    string
	wait        bool
}

func newServerAddCommand(env *environment) *cobra.Command {
	var f serverAddFlags
	cmd := &cobra.Command{
		Use:   "add --name NAME --driver simulated|docker --phones K --image NAME",
		Short: "Add a server and create its phones",
		Long: `Add a server and create its phones, NAME-0001 and so on, each by a job of its own.

--template is a TOML file with the driver's settings, whose keys docs/drivers.md lists; --faults is one for a simulated server
with rules such as

  [[faults]]
  phone = "edge-0003"
  operation = "boot"
  effect = "never"`,
		Example: `  lethe server add --name edge --driver simulated --phones 20 --image android12 --boot-time 2s --wait
  lethe server add --name rack1 --driver docker --endpoint unix:///var/run/docker.sock --phones 40 --image android12 --template redroid.toml`,
		RunE: func(cmd *cobra.Command, _ []string) error { return f.run(cmd, env) },
	}
	flags := cmd.Flags()
	flags.StringVar(&f.in.ServerName, "name", "", "the server's `name`")
	flags.StringVar(&f.in.Driver, "driver", "", "what runs its phones: `simulated|docker`")
	flags.StringVar(&f.in.Endpoint, "endpoint", "", "where its host is: unix:///... or tcp://... `URL` (default: the driver's)")
	flags.IntVar(&f.in.PhoneCount, "phones", 0, "how many phones it gets")
	flags.StringVar(&f.image, "image", "", "the `image` that they boot (name or id)")
	flags.IntVar(&f.in.MaxConcurrentBoots, "concurrent-boots", 0, "how many phones may boot at once (default: the installation's)")
	flags.DurationVar(&f.bootTimeout, "boot-timeout", 0, "how long a boot may take (default: the installation's)")
	flags.IntVar(&f.in.PortBase, "port-base", 0, "adb port of its first phone (default: the first free range)")
	flags.StringVar(&f.in.PhoneModelName, "phone-model", "", "phone `model` of the installation's configuration, whose limits and screen its phones get")
	flags.DurationVar(&f.bootTime, "boot-time", 0, "how long a boot takes, on a simulated server (default: the driver's)")
	flags.StringVar(&f.faults, "faults", "", "scripted faults of a simulated server, a TOML `file`")
	flags.StringVar(&f.template, "template", "", "the driver's settings, a TOML `file`")
	flags.BoolVar(&f.wait, "wait", false, "wait until its phones have been created, and show the progress")
	require(cmd, "name", "driver", "phones", "image")
	completeFlag(cmd, "driver", completeWords("simulated", "docker"))
	completeFlag(cmd, "image", completeImages(env))
	return cmd
}

// check refuses what no server could take; the rest is for the server to say.
func (f *serverAddFlags) check(cmd *cobra.Command) error {
	changed := cmd.Flags().Changed
	simulated := f.in.Driver == "simulated"
	switch {
	case !simulated && f.in.Driver != "docker":
		return usagef("--driver %q: choose simulated or docker", f.in.Driver)
	case f.in.PhoneCount < 1:
		return usagef("--phones %d: a server has at least one phone", f.in.PhoneCount)
	case changed("concurrent-boots") && f.in.MaxConcurrentBoots < 1:
		return usagef("--concurrent-boots %d: at least one phone must be able to boot", f.in.MaxConcurrentBoots)
	case changed("boot-timeout") && f.bootTimeout < time.Second:
		return usagef("--boot-timeout %s: give at least a second", f.bootTimeout)
	case changed("port-base") && (f.in.PortBase < 1024 || f.in.PortBase > 65535):
		return usagef("--port-base %d: give a port from 1024 to 65535", f.in.PortBase)
	case f.bootTime < 0:
		return usagef("--boot-time %s is negative", f.bootTime)
	case !simulated && changed("boot-time"):
		return usagef("--boot-time is for simulated servers: a %s server takes the time it takes", f.in.Driver)
	case !simulated && changed("faults"):
		return usagef("--faults is for simulated servers")
	}
	f.in.BootTimeoutMS = f.bootTimeout.Milliseconds()
	return nil
}

func (f *serverAddFlags) run(cmd *cobra.Command, env *environment) error {
	if err := f.check(cmd); err != nil {
		return err
	}
	var err error
	if f.in.Config, err = f.config(cmd.Flags().Changed("boot-time")); err != nil {
		return err
	}
	c, err := env.client()
	if err != nil {
		return err
	}
	if f.in.ImageID, err = resolveImage(cmd.Context(), c, f.image); err != nil {
		return err
	}
	added, err := c.AddServer(cmd.Context(), f.in)
	if err != nil {
		return err
	}
	fmt.Fprintf(env.stderr, "%d phones are being created (request %s)\n", f.in.PhoneCount, added.RequestID)
	if err := env.print(added, func() table { return serverTable(added.Server) }); err != nil {
		return err
	}
	if f.wait {
		return env.waitForPhones(cmd.Context(), c, added)
	}
	return nil
}

// waitForPhones waits for the phones of a new server, and complains of each that could not be created.
func (e *environment) waitForPhones(ctx context.Context, c *client.Client, added api.AddedServer) error {
	failed, err := e.waitFor(ctx, c, added.RequestID)
	if err != nil || len(failed) == 0 {
		return err
	}
	names := map[string]string{}
	for p, err := range c.Phones(ctx, client.PhoneFilter{ServerID: added.ServerID}) {
		if err != nil {
			return err
		}
		names[p.PhoneID] = p.PhoneName
	}
	for _, job := range failed {
		e.complain(names[job.PhoneID]+" ("+job.PhoneID+")", job.ErrorCode, job.ErrorMsg, job.ExecuteMsg)
	}
	return fmt.Errorf("%d of %d phones could not be created", len(failed), added.PhoneCount)
}

func newServerListCommand(env *environment) *cobra.Command {
	var filter client.ServerFilter
	cmd := &cobra.Command{
		Use: "list", Aliases: []string{"ls"},
		Short: "List the project's servers, newest first",
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := env.client()
			if err != nil {
				return err
			}
			servers, err := client.Collect(c.Servers(cmd.Context(), filter), 0)
			if err != nil {
				return err
			}
			return env.print(servers, func() table { return serverTable(servers...) })
		},
	}
	cmd.Flags().StringVar(&filter.Name, "name", "", "only those with this `part` in their name")
	return cmd
}

func newServerShowCommand(env *environment) *cobra.Command {
	return &cobra.Command{
		Use:               "show SERVER",
		Short:             "Show one server with its boot slots and its phones by status",
		Args:              exactArgs(1),
		ValidArgsFunction: once(completeServers(env)),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, id, err := env.serverNamed(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			server, err := c.Server(cmd.Context(), id)
			if err != nil {
				return err
			}
			return env.print(server, func() table { return serverDetail(server) })
		},
	}
}

func serverTable(servers ...api.Server) table {
	t := table{header: []string{"SERVER ID", "NAME", "DRIVER", "STATUS", "PHONES", "BOOTS", "IMAGE LABEL", "ENDPOINT"}}
	for _, s := range servers {
		t.rows = append(t.rows, []string{
			s.ServerID, s.ServerName, s.Driver, phone.ServerStatus(s.Status).String(), strconv.Itoa(s.PhoneCount),
			strconv.Itoa(s.MaxConcurrentBoots), s.ImageLabel, s.Endpoint,
		})
	}
	return t
}

func serverDetail(s api.Server) table {
	var phones []string
	for _, in := range s.Phones {
		phones = append(phones, fmt.Sprintf("%d %s", in.Count, phone.Status(in.Status)))
	}
	slots := "-"
	if s.Slots != nil {
		slots = fmt.Sprintf("%d of %d in use", s.Slots.Held, s.Slots.Total)
	}
	return pairs(
		"SERVER ID", s.ServerID, "NAME", s.ServerName, "DRIVER", s.Driver, "ENDPOINT", s.Endpoint,
		"STATUS", phone.ServerStatus(s.Status).String(), "BOOT SLOTS", slots,
		"BOOT TIMEOUT", (time.Duration(s.BootTimeoutMS) * time.Millisecond).String(),
		"PHONES", fmt.Sprintf("%d: %s", s.PhoneCount, dash(strings.Join(phones, ", "))),
		"ADB PORTS", fmt.Sprintf("%d-%d", s.PortBase, s.PortBase+s.PhoneCount-1),
		"IMAGE LABEL", s.ImageLabel, "SERVER MODEL", s.ServerModelName, "PHONE MODEL", s.PhoneModelName,
		"POOL HOST", dash(s.PoolHost), "KEY PAIR", dash(s.Keypair), "CONFIG", dash(string(s.Config)), "CREATED", moment(s.CreateTime),
	)
}

// serverNamed gives a client and the id of the server with that name or id.
func (e *environment) serverNamed(ctx context.Context, name string) (*client.Client, string, error) {
	c, err := e.client()
	if err != nil {
		return nil, "", err
	}
	id, err := resolveServer(ctx, c, name)
	return c, id, err
}
