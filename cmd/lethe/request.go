package main

import (
	"cmp"
	"context"
	"fmt"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/lethe-cloud/lethe/api"
	"github.com/lethe-cloud/lethe/client"
)

func newRequestCommand(env *environment) *cobra.Command {
	return group("request", "Follow an accepted call as a whole, cancel it, or retry what failed",
		newRequestShowCommand(env), newRequestWaitCommand(env), newRequestCancelCommand(env), newRequestRetryCommand(env))
}

func newRequestShowCommand(env *environment) *cobra.Command {
	return &cobra.Command{
		Use:   "show REQUEST",
		Short: "Show how far a request is",
		Args:  exactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := env.client()
			if err != nil {
				return err
			}
			progress, err := c.Request(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			return env.print(progress, func() table { return progressTable(progress) })
		},
	}
}

func newRequestWaitCommand(env *environment) *cobra.Command {
	return &cobra.Command{
		Use:   "wait REQUEST",
		Short: "Wait until a request has finished, and show the progress",
		Long: `Wait until no job of a request is unfinished. Exits with 1 when a job failed or was cancelled; each is named on stderr with its code,
the cause and the cure. Those that were not reached because too many others failed are named in one line.`,
		Args: exactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := env.client()
			if err != nil {
				return err
			}
			failed, err := env.waitFor(cmd.Context(), c, args[0])
			if err != nil {
				return err
			}
			progress, err := c.Request(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			for _, job := range failed {
				if job.notReached {
					continue // one line was said of all of them
				}
				env.complain(cmp.Or(job.PhoneID, job.ServerID), job.ErrorCode, job.ErrorMsg, job.ExecuteMsg)
			}
			if err := env.print(progress, func() table { return progressTable(progress) }); err != nil {
				return err
			}
			if len(failed) > 0 {
				return exitError(exitFailed) // each was complained of
			}
			return nil
		},
	}
}

func progressTable(p api.Progress) table {
	phases := make([]string, len(p.Phases))
	for i, phase := range p.Phases {
		phases[i] = fmt.Sprintf("%s %d", phase.Phase, phase.Count)
	}
	rows := []string{
		"REQUEST ID", p.RequestID, "KIND", p.Kind, "CREATED", moment(p.CreateTime), "JOBS", strconv.Itoa(p.Total), "REFUSED", strconv.Itoa(p.Refused),
		"PHASES", dash(strings.Join(phases, ", ")), "ERASED", strconv.Itoa(p.Erased), "FINISHED", strconv.FormatBool(p.Finished),
	}
	for _, server := range p.Servers {
		rows = append(rows, "SERVER "+server.ServerID, serverJobText(server))
	}
	if p.Pace != nil {
		rows = append(rows, "PACE", paceText(*p.Pace))
	}
	if p.Stopped != nil {
		rows = append(rows, "STOPPED", moment(p.Stopped.Time)+": "+p.Stopped.Msg+" "+p.Stopped.Detail)
	}
	return pairs(rows...)
}

// serverJobText says how the job of one server stands.
func serverJobText(j api.ServerJob) string {
	switch {
	case j.Failure != nil:
		return fmt.Sprintf("failed: %s: %s", strings.TrimSuffix(j.Failure.Msg, "."), j.Failure.Detail)
	case j.EndTime.IsZero() && j.Phones == 0:
		return "running"
	case j.Output != "":
		return j.Output
	case j.Listing != nil:
		return fmt.Sprintf("listed %d of the %d files and folders of %s", len(j.Listing.Files), j.Listing.Total, j.Listing.Path)
	case j.EndTime.IsZero():
		return fmt.Sprintf("running, %d phones", j.Phones)
	case !j.LookedForAt.IsZero():
		return fmt.Sprintf("deleted, %d phones%s; its host had nothing of it any more at %s", j.Phones, erasedShareText(j.Share), moment(j.LookedForAt))
	}
	return fmt.Sprintf("done, %d phones", j.Phones)
}

// erasedShareText says what of a deleted server's shared storage was destroyed.
func erasedShareText(s *api.ErasedShare) string {
	switch {
	case s == nil:
		return ""
	case s.Partial:
		return fmt.Sprintf(" and the shared storage %s (in several attempts, not all of which are counted: at least %d files, %d bytes)", s.Name, s.Files, s.Bytes)
	}
	return fmt.Sprintf(" and the shared storage %s (%d files, %d bytes)", s.Name, s.Files, s.Bytes)
}

func newRequestCancelCommand(env *environment) *cobra.Command {
	return &cobra.Command{
		Use:   "cancel REQUEST",
		Short: "Cancel the jobs of a request on whose phones nothing has been done yet",
		Long: `Cancel those jobs of a request that are held, queued or preparing: their phones are what they were before, with all their data. Jobs
that hold a boot slot, or had one, go on to their end; the answer says how many.`,
		Args: exactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := env.client()
			if err != nil {
				return err
			}
			out, err := c.CancelRequest(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			return env.print(out, func() table { return cancelledTable(out) })
		},
	}
}

func newRequestRetryCommand(env *environment) *cobra.Command {
	var key string
	var wait bool
	cmd := &cobra.Command{
		Use:   "retry REQUEST",
		Short: "Do once more what failed in a request, or was cancelled",
		Long: `Do once more, in a new request and at the same pace, what this request asked for, to the phones whose latest job is a failed or
cancelled one of it: a reset to the same image and exactly the same properties, which destroys all their data, or a deletion, or a stop or a restart,
which do not. Phones that anything else was asked of since, or that are at work, are not touched. Exits with 1 when there is nothing to
retry, when a phone was refused or, with --wait, failed.`,
		Args: exactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if cmd.Flags().Changed("idempotency-key") && !keyFits(key) {
				return errKeyFlag
			}
			return retryRequest(cmd.Context(), env, args[0], key, wait)
		},
	}
	cmd.Flags().StringVar(&key, "idempotency-key", "", "a `key` that makes the command repeatable for 24 hours: given again, it shows what came of the first")
	cmd.Flags().BoolVar(&wait, "wait", false, "wait until every job has ended, and show the progress")
	return cmd
}

func retryRequest(ctx context.Context, env *environment, request, key string, wait bool) error {
	c, err := env.client()
	if err != nil {
		return err
	}
	answer, err := c.RetryRequest(ctx, request, key)
	if err != nil {
		return err
	}
	results := make([]resetResult, len(answer.Jobs))
	for i, job := range answer.Jobs {
		results[i] = resetResult{PhoneID: job.PhoneID, RequestID: answer.RequestID, JobID: job.JobID, ErrorCode: job.Code, ErrorMsg: job.Msg, done: "done"}
		if job.JobID != "" {
			results[i].Status = client.JobRunning
		}
	}
	return env.followResets(ctx, c, results, wait, nil)
}
