package main

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/lethe-cloud/lethe/api"
	"github.com/lethe-cloud/lethe/client"
)

// waitFor shows the progress of requests on stderr until none of their jobs is unfinished, and gives the jobs that failed, with
// the codes of the Cloud Phone Host API.
func (e *environment) waitFor(ctx context.Context, c *client.Client, requestIDs ...string) ([]client.Job, error) {
	if len(requestIDs) == 0 {
		return nil, nil
	}
	shown := newProgress(e.stderr, isTerminal(e.stderr))
	_, err := c.WaitRequests(ctx, requestIDs, func(all []api.Progress) {
		phases, total, erased := sum(all)
		shown.Update(phases, total, erased)
	})
	shown.Done()
	if errors.Is(err, context.Canceled) {
		return nil, fmt.Errorf("no longer waiting, but the work goes on: follow it with lethe request wait %s", requestIDs[0])
	}
	var failed []client.Job
	for _, id := range requestIDs {
		if err != nil {
			return nil, err
		}
		var jobs []client.Job
		jobs, err = client.Collect(c.RequestJobs(ctx, id), 0)
		for _, job := range jobs {
			if job.Status == client.JobFailed {
				failed = append(failed, job)
			}
		}
	}
	return failed, err
}

func sum(all []api.Progress) (phases map[string]int, total, erased int) {
	phases = map[string]int{}
	for _, p := range all {
		total += p.Total
		erased += p.Erased
		for _, phase := range p.Phases {
			phases[phase.Phase] += phase.Count
		}
	}
	return phases, total, erased
}

// complain writes one line about a phone that was refused or failed: its code, what happened and the cure.
func (e *environment) complain(phone, code, msg, cure string) {
	msg = strings.TrimSuffix(msg, ".")
	switch {
	case strings.HasPrefix(cure, msg): // it says it all again
		msg = cure
	case cure != "":
		msg += ": " + cure
	}
	line := fmt.Sprintf("%s: %s %s", phone, code, msg)
	fmt.Fprintln(e.stderr, strings.ReplaceAll(line, "\n", " "))
}
