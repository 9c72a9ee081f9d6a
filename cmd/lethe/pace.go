package main

import (
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/lethe-cloud/lethe/api"
	"github.com/lethe-cloud/lethe/client"
	"github.com/lethe-cloud/lethe/internal/phone"
)

// paceFlags is how fast phones are reset.
type paceFlags struct {
	first, atOnce, stopAbove int

	pace *api.Pace // after check; nil: none of them was given
}

func (f *paceFlags) add(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.IntVar(&f.first, "first", 0, "let `N` phones go first, and the others when these have ended")
	flags.IntVar(&f.atOnce, "at-once", 0, "never more than `M` phones at the same time, over all servers")
	flags.IntVar(&f.stopAbove, "stop-above", 0, "stop when more than `P` percent of the phones that have ended failed; 0: with the first that fails")
}

// check reads the flags that were given, by the server's own rules.
func (f *paceFlags) check(cmd *cobra.Command) error {
	var pace phone.Pace
	given := map[string]**int{"first": &pace.First, "at-once": &pace.AtOnce, "stop-above": &pace.StopPercent}
	for name, value := range map[string]int{"first": f.first, "at-once": f.atOnce, "stop-above": f.stopAbove} {
		if cmd.Flags().Changed(name) {
			*given[name] = &value
		}
	}
	var refused *phone.Error
	if err := pace.Check(); errors.As(err, &refused) {
		flag := map[string]string{"pace.first": "--first", "pace.at_once": "--at-once", "pace.stop_percent": "--stop-above"}[refused.Field]
		return usagef("%s", strings.Replace(refused.Msg, refused.Field, flag, 1))
	}
	if !pace.Empty() {
		f.pace = &api.Pace{First: pace.First, AtOnce: pace.AtOnce, StopPercent: pace.StopPercent}
	}
	return nil
}

// tooManyForPace adds the cure that the server does not know: it was told to send several calls, and each would have its own pace.
func tooManyForPace(err error, pace *api.Pace) error {
	var refused *client.Error
	if pace == nil || !errors.As(err, &refused) || refused.Reason != string(phone.ReasonPhonesTooMany) {
		return err
	}
	return usagef("%w; a reset at a pace is one call: name fewer phones, as with --server, or raise max_batch of the installation", err)
}

// paceText is "first 5, at once 20, stop above 10 %".
func paceText(p api.Pace) string {
	var parts []string
	if p.First != nil {
		parts = append(parts, fmt.Sprintf("first %d", *p.First))
	}
	if p.AtOnce != nil {
		parts = append(parts, fmt.Sprintf("at once %d", *p.AtOnce))
	}
	if p.StopPercent != nil {
		parts = append(parts, fmt.Sprintf("stop above %d %%", *p.StopPercent))
	}
	return strings.Join(parts, ", ")
}
