package client

import (
	"context"
	"time"

	"github.com/lethe-cloud/lethe/api"
)

// patience is how long waiting goes on while nothing answers: longer than an installation needs to restart.
const patience = 30 * time.Second

// longWait is how long one call waits where nobody wants to see the progress.
const longWait = 30 * time.Second

// WaitRequest waits until no job of a request is unfinished, or ctx ends. The installation answers when the request has finished,
// so nothing is asked in vain; it calls progress (which may be nil) at first, about every Config.Poll, and at the end, and rides
// out an installation that restarts.
func (c *Client) WaitRequest(ctx context.Context, id string, progress func(api.Progress)) (api.Progress, error) {
	var each func([]api.Progress)
	if progress != nil {
		each = func(all []api.Progress) { progress(all[0]) }
	}
	all, err := c.WaitRequests(ctx, []string{id}, each)
	if err != nil {
		return api.Progress{}, err
	}
	return all[0], nil
}

// WaitRequests is WaitRequest for several requests: progress gets the state of all of them, in the order of ids.
func (c *Client) WaitRequests(ctx context.Context, ids []string, progress func([]api.Progress)) ([]api.Progress, error) {
	all := make([]api.Progress, len(ids))
	pause, wait := c.poll/8, time.Duration(0) // the first look answers at once
	answered := c.now()
	for {
		began := time.Now()
		unfinished, err := c.look(ctx, ids, all, wait)
		switch {
		case ctx.Err() != nil:
			return nil, ctx.Err()
		case err == nil:
			answered = c.now()
			if progress != nil {
				progress(all)
			}
			if unfinished == 0 {
				return all, nil
			}
		case !temporary(err) || c.now().Sub(answered) > patience:
			return nil, err
		}
		if wait = longWait; progress != nil {
			wait = min(c.poll, longWait)
		}
		// An installation that stops, or fails, answers without having waited.
		if err := sleep(ctx, pause-time.Since(began)); err != nil {
			return nil, err
		}
		pause = min(c.poll, pause*5/4+time.Millisecond)
	}
}

// look brings the state of the unfinished requests up to date and counts those that still are. It waits for the first of them.
func (c *Client) look(ctx context.Context, ids []string, all []api.Progress, wait time.Duration) (unfinished int, err error) {
	for i, id := range ids {
		if all[i].Finished {
			continue
		}
		seen, err := c.requestWithin(ctx, id, wait)
		if err != nil {
			return 0, err
		}
		all[i], wait = seen, 0
		if !all[i].Finished {
			unfinished++
		}
	}
	return unfinished, nil
}

func sleep(ctx context.Context, d time.Duration) error {
	if d <= 0 {
		return ctx.Err()
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}
