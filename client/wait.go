package client

import (
	"context"
	"time"

	"github.com/lethe-cloud/lethe/api"
)

// patience is how long waiting goes on while nothing answers: longer than an installation needs to restart.
const patience = 30 * time.Second

// WaitRequest looks at a request until none of its jobs is unfinished, or ctx ends. It calls progress (which may be nil) after
// every look, and rides out an installation that restarts.
func (c *Client) WaitRequest(ctx context.Context, id string, progress func(api.Progress)) (api.Progress, error) {
	all, err := c.WaitRequests(ctx, []string{id}, func(all []api.Progress) {
		if progress != nil {
			progress(all[0])
		}
	})
	if err != nil {
		return api.Progress{}, err
	}
	return all[0], nil
}

// WaitRequests is WaitRequest for several requests: progress gets the state of all of them, in the order of ids.
func (c *Client) WaitRequests(ctx context.Context, ids []string, progress func([]api.Progress)) ([]api.Progress, error) {
	all := make([]api.Progress, len(ids))
	pause := c.poll / 8
	answered := c.now()
	for {
		unfinished, err := c.look(ctx, ids, all)
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
		if err := sleep(ctx, pause); err != nil {
			return nil, err
		}
		pause = min(c.poll, pause*5/4+time.Millisecond)
	}
}

// look brings the state of the unfinished requests up to date and counts those that still are.
func (c *Client) look(ctx context.Context, ids []string, all []api.Progress) (unfinished int, err error) {
	for i, id := range ids {
		if all[i].Finished {
			continue
		}
		if all[i], err = c.Request(ctx, id); err != nil {
			return 0, err
		}
		if !all[i].Finished {
			unfinished++
		}
	}
	return unfinished, nil
}

func sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}
