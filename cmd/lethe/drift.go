package main

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/lethe-cloud/lethe/api"
)

func newServerDriftCommand(env *environment) *cobra.Command {
	return &cobra.Command{
		Use:   "drift SERVER",
		Short: "Show how a server's host differs from the database; nothing is changed",
		Long: `Show how a server's host differs from the database; nothing is changed.

  orphan       something of a life that is over: removed by the server after a grace period
  quarantined  something of a life or a phone that the database does not know (a restored backup?): never touched
  missing      a running phone lacks its instance or its volume
  dead         a running phone's instance does not run
  running      a stopped phone's instance runs

What does not carry this installation's label is neither listed nor touched.`,
		Args:              exactArgs(1),
		ValidArgsFunction: once(completeServers(env)),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, id, err := env.serverNamed(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			drift, err := c.Drift(cmd.Context(), id)
			if err != nil {
				return err
			}
			return env.printDrift(drift)
		},
	}
}

func newServerReconcileCommand(env *environment) *cobra.Command {
	var dryRun bool
	cmd := &cobra.Command{
		Use:   "reconcile SERVER [--dry-run=false]",
		Short: "Put a server's host in order now, instead of waiting for the next pass",
		Long: `Put a server's host in order now, instead of waiting for the next pass.

With --dry-run, the default, it only shows what would be done. The rules are those of every pass: an orphan must have been seen
for the grace period, and in more than one pass; nothing is touched while a job is at work on its phone.`,
		Args:              exactArgs(1),
		ValidArgsFunction: once(completeServers(env)),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, id, err := env.serverNamed(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			drift, err := c.Reconcile(cmd.Context(), id, api.Reconcile{Apply: !dryRun})
			if err != nil {
				return err
			}
			return env.printDrift(drift)
		},
	}
	cmd.Flags().BoolVar(&dryRun, "dry-run", true, "only show what would be done")
	return cmd
}

func (e *environment) printDrift(drift api.Drift) error {
	fmt.Fprintf(e.stderr, "%d objects on the host, %d phones of which %d are being worked on: %d differences\n",
		drift.ObjectCount, drift.PhoneCount, drift.BusyCount, len(drift.Findings))
	if drift.Held != "" {
		fmt.Fprintln(e.stderr, drift.Held)
	}
	return e.print(drift, func() table { return driftTable(drift.Findings) })
}

func driftTable(findings []api.DriftFinding) table {
	t := table{header: []string{"KIND", "OBJECT", "PHONE", "GENERATION", "NAME", "SEEN SINCE", "DONE", "DETAIL"}}
	for _, f := range findings {
		name := f.PhoneName
		if name == "" {
			name = f.PhoneID
		}
		t.rows = append(t.rows, []string{
			f.Kind, f.Object, name, strconv.FormatInt(f.Generation, 10), dash(f.Name), moment(f.FirstSeenTime), dash(f.Done), strings.Join(strings.Fields(f.Detail), " "),
		})
	}
	return t
}
