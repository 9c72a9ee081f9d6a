package main

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/lethe-cloud/lethe/api"
)

func newRequestCommand(env *environment) *cobra.Command {
	return group("request", "Follow an accepted call as a whole, and cancel it", newRequestShowCommand(env), newRequestCancelCommand(env))
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

func progressTable(p api.Progress) table {
	phases := make([]string, len(p.Phases))
	for i, phase := range p.Phases {
		phases[i] = fmt.Sprintf("%s %d", phase.Phase, phase.Count)
	}
	return pairs(
		"REQUEST ID", p.RequestID, "KIND", p.Kind, "CREATED", moment(p.CreateTime), "JOBS", strconv.Itoa(p.Total), "REFUSED", strconv.Itoa(p.Refused),
		"PHASES", dash(strings.Join(phases, ", ")), "ERASED", strconv.Itoa(p.Erased), "FINISHED", strconv.FormatBool(p.Finished),
	)
}

func newRequestCancelCommand(env *environment) *cobra.Command {
	return &cobra.Command{
		Use:   "cancel REQUEST",
		Short: "Cancel the jobs of a request on whose phones nothing has been done yet",
		Long: `Cancel those jobs of a request that are queued or preparing: their phones are what they were before, with all their data. Jobs
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
