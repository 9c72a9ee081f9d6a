package main

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/lethe-cloud/lethe/api"
	"github.com/lethe-cloud/lethe/client"
)

func newJobCommand(env *environment) *cobra.Command {
	return group("job", "Look at jobs: where they stand, how they failed, and the receipts; cancel them",
		newJobListCommand(env), newJobShowCommand(env), newJobCancelCommand(env))
}

func newJobListCommand(env *environment) *cobra.Command {
	var filter client.JobFilter
	var server, phoneName string
	var limit int
	cmd := &cobra.Command{
		Use: "list", Aliases: []string{"ls"},
		Short: "List jobs, newest first; those of one request in the order of the call",
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := env.client()
			if err != nil {
				return err
			}
			if server != "" {
				if filter.ServerID, err = resolveServer(cmd.Context(), c, server); err != nil {
					return err
				}
			}
			if phoneName != "" {
				if filter.PhoneID, err = resolvePhone(cmd.Context(), c, phoneName); err != nil {
					return err
				}
			}
			jobs, err := client.Collect(c.Jobs(cmd.Context(), filter), limit)
			if err != nil {
				return err
			}
			return env.print(jobs, func() table { return jobTable(jobs) })
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&filter.RequestID, "request", "", "only those of this `request`")
	flags.StringVar(&phoneName, "phone", "", "only those of this `phone` (name or id)")
	flags.StringVar(&server, "server", "", "only those of this `server` (name or id)")
	flags.IntVar(&limit, "limit", 0, "at most so many (default: all)")
	completeFlag(cmd, "server", completeServers(env))
	completeFlag(cmd, "phone", completePhones(env))
	nonNegative(cmd, "limit")
	return cmd
}

func jobTable(jobs []api.Job) table {
	t := table{header: []string{"JOB ID", "KIND", "PHONE ID", "PHASE", "ERASE", "GENERATION", "CREATED", "TOOK", "CAUSE"}}
	for _, j := range jobs {
		cause := "-"
		if j.Failure != nil {
			cause = j.Failure.Reason
		}
		t.rows = append(t.rows, []string{
			j.JobID, j.Kind, j.PhoneID, j.Phase, j.Erase, strconv.FormatInt(j.Generation, 10), moment(j.CreateTime), took(j), cause,
		})
	}
	return t
}

// took is how long the work on a finished job took, without its time in the queue.
func took(j api.Job) string {
	if j.BeginTime.IsZero() || j.EndTime.IsZero() {
		return "-"
	}
	return j.EndTime.Sub(j.BeginTime).Round(time.Millisecond).String()
}

func newJobShowCommand(env *environment) *cobra.Command {
	return &cobra.Command{
		Use:   "show JOB",
		Short: "Show one job: its phases, and its receipt or why it failed",
		Args:  exactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := env.client()
			if err != nil {
				return err
			}
			job, err := c.Job(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			return env.print(job, func() table { return jobDetail(job) })
		},
	}
}

func newJobCancelCommand(env *environment) *cobra.Command {
	return &cobra.Command{
		Use:   "cancel JOB",
		Short: "Cancel one job on whose phone nothing has been done yet",
		Long: `Cancel one job that is queued or preparing: its phone is what it was before, with all its data. A job that holds a boot slot, or
had one, goes on to its end, and so does a task that has begun. Exits with 1 when the job was not cancelled.`,
		Args: exactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := env.client()
			if err != nil {
				return err
			}
			out, err := c.CancelJob(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			if err := env.print(out, func() table { return cancelledTable(out) }); err != nil {
				return err
			}
			switch {
			case out.Finishing > 0:
				return errors.New("the job holds a boot slot already, or had one, or has begun: it goes on to its end")
			case out.Cancelled == 0:
				return errors.New("the job had ended before: see lethe job show " + args[0])
			}
			return nil
		},
	}
}

func cancelledTable(c api.Cancelled) table {
	return table{
		header: []string{"CANCELLED", "FINISHING", "ENDED BEFORE"},
		rows:   [][]string{{strconv.Itoa(c.Cancelled), strconv.Itoa(c.Finishing), strconv.Itoa(c.Ended)}},
	}
}

func jobDetail(j api.Job) table {
	t := pairs(
		"JOB ID", j.JobID, "REQUEST ID", j.RequestID, "KIND", j.Kind, "PHONE ID", j.PhoneID, "SERVER ID", j.ServerID,
		"PHASE", j.Phase, "ERASE", j.Erase, "GENERATION", fmt.Sprintf("%d (was %d)", j.Generation, j.PriorGeneration), "IMAGE ID", j.ImageID,
		"ROLLBACK", rollbackWord(j), "PROPERTIES", dash(strings.Join(j.PropertyKeys, " ")), "ATTEMPT", strconv.Itoa(j.Attempt), "CREATED", moment(j.CreateTime), "TOOK", took(j),
	)
	for _, phase := range j.Phases {
		t.rows = append(t.rows, []string{phase.Phase, "after " + phase.BeginTime.Sub(j.CreateTime).Round(time.Millisecond).String()})
	}
	if j.Output != "" {
		t.rows = append(t.rows, []string{"OUTPUT", strings.ReplaceAll(j.Output, "\n", " | ")})
	}
	if f := j.Failure; f != nil {
		t.rows = append(t.rows, pairs("CAUSE", f.Reason+": "+f.Msg, "CURE", dash(strings.ReplaceAll(f.Detail, "\n", " "))).rows...)
	}
	if j.Receipt != nil {
		t.rows = append(t.rows, receiptRows(*j.Receipt)...)
	}
	return t
}

func rollbackWord(j api.Job) string {
	switch {
	case j.RolledBack:
		return fmt.Sprintf("rolled back to life %d", j.PriorGeneration)
	case j.Rollback:
		return "asked for"
	}
	return "no"
}

func receiptRows(r api.Receipt) [][]string {
	rows := pairs("INSTANCE", r.Instance, "VOLUME", r.Volume, "IMAGE", r.ImageIdentity.ID).rows
	for _, v := range r.Erased {
		gone := "STILL THERE"
		if v.Gone {
			gone = "gone"
		}
		rows = append(rows, []string{"ERASED", fmt.Sprintf("%s (generation %d, %d files, %d bytes): %s", v.Name, v.Generation, v.Files, v.Bytes, gone)})
	}
	if !r.LookedForAt.IsZero() {
		rows = append(rows, []string{"LOOKED FOR", moment(r.LookedForAt)})
	}
	for _, p := range r.Properties {
		rows = append(rows, []string{"PROPERTY", p.Key + ": " + p.Effect})
	}
	return rows
}
