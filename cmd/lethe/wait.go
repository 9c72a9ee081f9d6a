package main

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/lethe-cloud/lethe/api"
	"github.com/lethe-cloud/lethe/client"
	"github.com/lethe-cloud/lethe/internal/phone"
)

// failedJob is a job that failed or was cancelled, with the code of the Cloud Phone Host API.
type failedJob struct {
	client.Job
	notReached bool // its request was stopped before anything was done to its phone
}

// waitFor shows the progress of requests on stderr until none of their jobs is unfinished, says which of them were stopped, and
// gives the jobs that failed.
func (e *environment) waitFor(ctx context.Context, c *client.Client, requestIDs ...string) ([]failedJob, error) {
	if len(requestIDs) == 0 {
		return nil, nil
	}
	shown := newProgress(e.stderr, isTerminal(e.stderr))
	all, err := c.WaitRequests(ctx, requestIDs, func(all []api.Progress) {
		phases, total, erased := sum(all)
		shown.Update(phases, total, erased)
	})
	shown.Done()
	if errors.Is(err, context.Canceled) {
		return nil, fmt.Errorf("no longer waiting, but the work goes on: follow it with lethe request wait %s", requestIDs[0])
	}
	var failed []failedJob
	for i, id := range requestIDs {
		if err != nil {
			return nil, err
		}
		var of []failedJob
		if of, err = failedJobs(ctx, c, id, all[i].Stopped != nil); err == nil {
			e.sayStopped(all[i], of)
		}
		failed = append(failed, of...)
	}
	return failed, err
}

// failedJobs gives the failed jobs of a request that has finished. Only the native API tells those apart that were not reached.
func failedJobs(ctx context.Context, c *client.Client, request string, stopped bool) ([]failedJob, error) {
	jobs, err := client.Collect(c.RequestJobs(ctx, request), 0)
	if err != nil {
		return nil, err
	}
	notReached := map[string]bool{}
	if stopped {
		native, err := client.Collect(c.Jobs(ctx, client.JobFilter{RequestID: request}), 0)
		if err != nil {
			return nil, err
		}
		for _, job := range native {
			notReached[job.JobID] = job.Failure != nil && job.Failure.Reason == string(phone.ReasonRequestStopped)
		}
	}
	var failed []failedJob
	for _, job := range jobs {
		if job.Status == client.JobFailed {
			failed = append(failed, failedJob{job, notReached[job.JobID]})
		}
	}
	return failed, nil
}

// sayStopped writes one line about a request that its pace has stopped.
func (e *environment) sayStopped(p api.Progress, failed []failedJob) {
	if p.Stopped == nil {
		return
	}
	untouched := 0
	for _, job := range failed {
		if job.notReached {
			untouched++
		}
	}
	fmt.Fprintf(e.stderr, "request %s was stopped: %s %d phones were not reached and are what they were before. %s\n",
		p.RequestID, p.Stopped.Msg, untouched, p.Stopped.Detail)
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
func (e *environment) complain(name, code, msg, cure string) {
	msg = strings.TrimSuffix(msg, ".")
	switch {
	case strings.HasPrefix(cure, msg): // it says it all again
		msg = cure
	case cure != "":
		msg += ": " + cure
	}
	line := fmt.Sprintf("%s: %s %s", name, code, msg)
	fmt.Fprintln(e.stderr, strings.ReplaceAll(line, "\n", " "))
}
