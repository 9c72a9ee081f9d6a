package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"

	"github.com/lethe-cloud/lethe/internal/phone"
)

// A request with a pace has jobs that are held: accepted like all, and not in any queue. What lets them go is a transaction of
// its own, which locks the request's row before anything else, and so counts what no other one is letting go. It runs when a job
// of the request has ended, in the process that saved the end; Sweep runs it where that was missed.

// Pace waits until jobs of paced requests have ended through this Store, and then lets go, or stops, what their requests' pace asks
// for. It returns how many jobs were set going; what an error kept it from, the next Sweep of any replica does.
func (s *Store) Pace(ctx context.Context) (int, error) {
	select {
	case <-ctx.Done():
		return 0, ctx.Err()
	case <-s.paced.woken:
	}
	return s.keepPaces(ctx, s.paced.take())
}

// keepPaces looks at each of the requests in a transaction of its own, for each locks servers after its request.
func (s *Store) keepPaces(ctx context.Context, requests []phone.RequestID) (int, error) {
	var going int
	for _, id := range requests {
		var n int
		err := s.tx(ctx, func(t *tx) error {
			err := t.keepPace(ctx, id)
			n = len(t.deliveries)
			return err
		})
		if err != nil {
			return going, fmt.Errorf("keep the pace of request %s: %w", id, err)
		}
		going += n
	}
	return going, nil
}

func (t *tx) keepPace(ctx context.Context, id phone.RequestID) error {
	var text string
	err := t.row(ctx, `SELECT pace FROM requests WHERE id = ? AND pacing`+t.lock, id).Scan(&text)
	if errors.Is(err, sql.ErrNoRows) {
		return nil // over
	}
	if err != nil {
		return fmt.Errorf("lock the request: %w", err)
	}
	var pace phone.Pace
	if err := fromJSON(text, &pace); err != nil {
		return err
	}
	count, err := t.countPace(ctx, id)
	if err != nil {
		return err
	}
	step := phone.DecidePace(pace, count)
	switch {
	case step.Stop != nil:
		return t.stopRequest(ctx, id, *step.Stop)
	case step.Release > 0:
		if err := t.release(ctx, id, step.Release); err != nil {
			return err
		}
		count.Held, count.Waiting = count.Held-step.Release, count.Waiting+step.Release
		step = phone.DecidePace(pace, count)
	}
	if step.Over {
		_, err = t.exec(ctx, `UPDATE requests SET pacing = false WHERE id = ?`, id)
	}
	return err
}

func (t *tx) countPace(ctx context.Context, id phone.RequestID) (phone.PaceCount, error) {
	byPhase := map[phone.Phase]int{}
	err := t.each(ctx, func(row scanner) error {
		var phase phone.Phase
		var n int
		err := row.Scan(&phase, &n)
		byPhase[phase] = n
		return err
	}, `SELECT phase, count(*) FROM jobs WHERE request_id = ? GROUP BY phase`, id)
	if err != nil {
		return phone.PaceCount{}, fmt.Errorf("count the request's jobs: %w", err)
	}
	return phone.CountPace(byPhase), nil
}

// release puts the oldest n held jobs of a request, whose row is locked, into the queue and admits. It puts fewer there when some
// of them were cancelled at the same moment: whoever did that wakes Pace again.
func (t *tx) release(ctx context.Context, id phone.RequestID, n int) error {
	var jobs []phone.JobID
	on := map[phone.ServerID]bool{}
	err := t.each(ctx, func(row scanner) error {
		var job phone.JobID
		var server phone.ServerID
		err := row.Scan(&job, &server)
		jobs, on[server] = append(jobs, job), true
		return err
	}, `SELECT id, server_id FROM jobs WHERE request_id = ? AND stage = 'held' ORDER BY request_id, seq LIMIT ?`, id, n)
	if err != nil {
		return fmt.Errorf("find held jobs: %w", err)
	}
	servers := slices.Sorted(maps.Keys(on))
	if err := t.lockServers(ctx, servers); err != nil {
		return err
	}
	// The || '' keeps the database from reading all that is held to find them.
	_, err = t.exec(ctx, `UPDATE jobs SET phase = 'queued', queued_at = ? WHERE `+t.in("id")+` AND stage || '' = 'held'`, t.at, list(t.dialect, jobs))
	if err != nil {
		return fmt.Errorf("let jobs go: %w", err)
	}
	return t.admit(ctx, servers)
}

// stopRequest cancels whatever of a request, whose row is locked, has touched no phone.
func (t *tx) stopRequest(ctx context.Context, id phone.RequestID, stop phone.PaceStop) error {
	stop.At = timeOf(t.at)
	if _, err := t.cancelJobs(ctx, `request_id = ?`, string(id), stop.Failure()); err != nil {
		return err
	}
	_, err := t.exec(ctx, `UPDATE requests SET pacing = false, stopped = ? WHERE id = ?`, asJSON(stop), id)
	if err != nil {
		return fmt.Errorf("stop the request: %w", err)
	}
	return nil
}

// outOfPace gives the paced requests, of any project, that something has to be done about. Most often there are none.
func (t *tx) outOfPace(ctx context.Context) ([]phone.RequestID, error) {
	paces, phases := map[phone.RequestID]phone.Pace{}, map[phone.RequestID]map[phone.Phase]int{}
	err := t.each(ctx, func(row scanner) error {
		var id phone.RequestID
		var text string
		var phase phone.Phase
		var n int
		if err := row.Scan(&id, &text, &phase, &n); err != nil {
			return err
		}
		if phases[id] == nil {
			phases[id] = map[phone.Phase]int{}
		}
		phases[id][phase] = n
		var pace phone.Pace
		err := fromJSON(text, &pace)
		paces[id] = pace
		return err
	}, `SELECT requests.id, requests.pace, j.phase, count(*) FROM requests JOIN jobs j ON j.request_id = requests.id WHERE requests.pacing
		GROUP BY requests.id, requests.pace, j.phase`)
	if err != nil {
		return nil, fmt.Errorf("find paced requests: %w", err)
	}
	var out []phone.RequestID
	for _, id := range slices.Sorted(maps.Keys(paces)) {
		if !phone.DecidePace(paces[id], phone.CountPace(phases[id])).Wait() {
			out = append(out, id)
		}
	}
	return out, nil
}

// pacedEnds collects the requests whose pace has to be looked at.
type pacedEnds struct {
	woken chan struct{}

	mu       sync.Mutex
	requests map[phone.RequestID]bool
}

func newPacedEnds() *pacedEnds {
	return &pacedEnds{woken: make(chan struct{}, 1), requests: map[phone.RequestID]bool{}}
}

// add never waits.
func (p *pacedEnds) add(requests ...phone.RequestID) {
	if len(requests) == 0 {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, id := range requests {
		p.requests[id] = true
	}
	select {
	case p.woken <- struct{}{}:
	default:
	}
}

func (p *pacedEnds) take() []phone.RequestID {
	p.mu.Lock()
	defer p.mu.Unlock()
	all := slices.Sorted(maps.Keys(p.requests))
	clear(p.requests)
	return all
}
