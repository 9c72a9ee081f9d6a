package main

import (
	"context"
	"time"

	"github.com/spf13/cobra"

	"github.com/lethe-cloud/lethe/client"
)

// benchOptions is what lethe bench was asked for.
type benchOptions struct {
	phones, rounds, batch int
	json                  bool

	// A temporary installation.
	servers, boots, files int
	bootTime              time.Duration
	database              string
	hosts                 string // "": below the installation's own folder

	// The caller's own.
	own    bool
	server string
	yes    bool
}

const (
	benchPhones = 200 // of a temporary installation
	benchProbes = 3   // phones that are reset one at a time, to know how long one holds a boot slot alone
)

// localFlags are of a temporary installation alone.
var localFlags = []string{"servers", "concurrent-boots", "boot-time", "data-files", "database", "hosts"}

func (o *benchOptions) check(changed func(string) bool) error {
	o.own = o.server != "" || o.yes || changed("credentials")
	switch {
	case changed("server") && o.server == "":
		return usagef("--server is empty")
	case o.phones < 0 || o.phones > 1_000_000 || changed("phones") && o.phones == 0:
		return usagef("--phones is %d: choose 1 to 1000000", o.phones)
	case o.rounds < 1:
		return usagef("--rounds is %d: choose 1 or more", o.rounds)
	case o.batch < 0 || o.batch > client.MaxBatch:
		return usagef("--batch is %d: choose 1 to %d, or leave it out", o.batch, client.MaxBatch)
	}
	if o.own {
		for _, flag := range localFlags {
			if changed(flag) {
				return usagef("--%s is for a temporary installation: leave it out, or leave out --server, --credentials and --yes", flag)
			}
		}
		return nil
	}
	if o.phones == 0 {
		o.phones = benchPhones
	}
	switch {
	case o.servers < 1 || o.servers > o.phones:
		return usagef("--servers is %d: choose 1 to the number of phones, %d", o.servers, o.phones)
	case o.boots < 1:
		return usagef("--concurrent-boots is %d: choose 1 or more", o.boots)
	case o.files < 0 || o.files > 10_000:
		return usagef("--data-files is %d: choose 0 to 10000", o.files)
	case o.bootTime < time.Millisecond || o.bootTime > time.Hour:
		return usagef("--boot-time is %s: choose 1ms to 1h", o.bootTime)
	}
	return nil
}

func newBenchCommand(env *environment) *cobra.Command {
	var o benchOptions
	cmd := &cobra.Command{
		Use:   "bench",
		Short: "Measure resets: latency, throughput, every phase, and how well boot slots are used",
		Long: `Measure batch resets over the real API and print the figures.

Without --server, --credentials or --yes it measures this machine: it starts a complete lethe on loopback in a temporary
folder, with simulated phones that take --boot-time to boot, and takes it away afterwards. With --database postgres://... it
makes a database of its own on that server, and drops it afterwards. It also says how large the database became and how much
memory this process took at most, server and measurement together.

Simulated phones are real files below TMPDIR: about 10 and --data-files for each. For a very large fleet choose --data-files 0, and
with --hosts a file system in memory, which needs room for 10 million files and some 15 GB for a million phones: then what is measured
is lethe, with its database where it was, and not how fast a disk makes and removes files.

With --server NAME, --credentials FILE or --yes it measures the caller's own fleet: the running phones of one server, or of
the whole project, or the first --phones of them. They are reset, which destroys all their data, so it asks for --yes.

First a few phones are reset one at a time: T is how long one holds a boot slot when nothing else runs. Then all phones are
reset --rounds times, in calls of --batch phones. The makespan, from the first call to the last finished job, is set against
the ideal: the longest ceil(phones / boot slots) x T of all servers.`,
		Example: "  lethe bench\n  lethe bench --phones 1000 --servers 10 --concurrent-boots 20 --boot-time 1s\n  lethe bench --phones 1000000 --servers 2000 --data-files 0 --rounds 1 --hosts /dev/shm\n  lethe bench --database postgres://lethe@localhost/postgres --json\n  lethe bench --credentials ./data/credentials.json --server edge --phones 20 --yes",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := o.check(func(flag string) bool { return cmd.Flags().Changed(flag) }); err != nil {
				return err
			}
			return runBench(cmd.Context(), env, o)
		},
	}
	flags := cmd.Flags()
	flags.IntVar(&o.phones, "phones", 0, "`number` of phones (default 200; of the own fleet all that run)")
	flags.IntVar(&o.rounds, "rounds", 3, "how many times all phones are reset")
	flags.IntVar(&o.batch, "batch", 0, "phones in one call (default a tenth of them, at most 1000)")
	flags.IntVar(&o.servers, "servers", 4, "simulated servers they are spread over")
	flags.IntVar(&o.boots, "concurrent-boots", 10, "phones that may boot at once, per simulated server")
	flags.DurationVar(&o.bootTime, "boot-time", 500*time.Millisecond, "how long one simulated phone takes to boot")
	flags.IntVar(&o.files, "data-files", 24, "files that a simulated phone's first boot writes")
	flags.StringVar(&o.database, "database", "sqlite", "sqlite, or the postgres:// `URL` of a server on which a database may be made")
	flags.StringVar(&o.hosts, "hosts", "", "existing `folder` below which the simulated phones' files lie (default TMPDIR)")
	flags.StringVar(&env.credentials, "credentials", "", "measure the installation that this credentials `file` names")
	flags.StringVar(&o.server, "server", "", "measure the phones of this `server` of the own fleet (name or id)")
	flags.BoolVar(&o.yes, "yes", false, "measure the own fleet: yes, all data of its phones may be destroyed")
	flags.BoolVar(&o.json, "json", false, "print one JSON object instead of the table")
	completeFlag(cmd, "server", completeServers(env))
	return cmd
}

// runBench measures one of the two and prints what it found.
func runBench(ctx context.Context, env *environment, o benchOptions) error {
	var report benchReport
	var err error
	if o.own {
		report, err = benchOwn(ctx, env, o)
	} else {
		report, err = benchTemporary(ctx, env, o)
	}
	if err != nil {
		return err
	}
	if o.json {
		err = writeJSON(env.stdout, report)
	} else {
		err = report.writeTable(env.stdout)
	}
	if err == nil && report.Failed > 0 {
		return exitError(exitFailed) // each was complained of
	}
	return err
}
