package faults

import (
	"context"
	"database/sql"
	"fmt"
	"strings"
	"sync"
	"time"
)

// watcher looks at the database from outside, all the time: each look is one statement and so one state of it.
type watcher struct {
	cancel context.CancelFunc
	ended  chan struct{}

	mu         sync.Mutex
	looks      int
	held       map[string]int  // by server: the most boot slots that were held at once
	open       map[string]int  // by paced request: the most jobs that were let go and unfinished at once
	owners     map[string]bool // every replica that was seen to own a job
	violations map[string]int  // sentence to how often it was so
}

func startWatcher(db *sql.DB, database string) *watcher {
	query := strings.ReplaceAll(watched, "PACE", "CAST(r.pace AS jsonb)")
	if database == embedded {
		query = strings.ReplaceAll(watched, "PACE", "r.pace")
	}
	ctx, cancel := context.WithCancel(context.Background())
	w := &watcher{cancel: cancel, ended: make(chan struct{}), held: map[string]int{}, open: map[string]int{}, owners: map[string]bool{}, violations: map[string]int{}}
	go func() {
		defer close(w.ended)
		for ctx.Err() == nil {
			began := time.Now()
			w.look(ctx, db, query)
			select {
			case <-ctx.Done():
			case <-time.After(max(3*time.Millisecond, 9*time.Since(began))): // a tenth of the time: whom it watches has the processors
			}
		}
	}()
	return w
}

func (w *watcher) stop() {
	w.cancel()
	<-w.ended
}

// watched is one look: for each server its slots, and beside that each phone whose state must not be. PACE stands for a request's pace
// as the database at hand reads JSON.
const watched = `SELECT 'slots', s.id, s.max_concurrent_boots, (SELECT count(*) FROM jobs j WHERE j.server_id = s.id AND j.phase IN ('removing', 'creating', 'booting', 'restoring')) FROM servers s
	UNION ALL
	SELECT 'owner', j.owner, 0, count(*) FROM jobs j WHERE j.owner IS NOT NULL GROUP BY j.owner
	UNION ALL
	SELECT 'I1: a phone in a transitional status has not exactly one unfinished job', p.id, p.status, 0 FROM phones p
		WHERE p.status IN (1, 3, 4, 7) AND (SELECT count(*) FROM jobs j WHERE j.phone_id = p.id AND j.ended_at IS NULL) <> 1
	UNION ALL
	SELECT 'I1: a phone in a settled status has an unfinished job', p.id, p.status, 0 FROM phones p
		WHERE p.status NOT IN (1, 3, 4, 7) AND EXISTS (SELECT 1 FROM jobs j WHERE j.phone_id = p.id AND j.ended_at IS NULL AND j.kind <> 'update' AND j.phase <> 'working')
	UNION ALL
	SELECT 'I1: a task is at work in a phone that does not run the life that it was accepted in', p.id, p.status, 0 FROM phones p
		JOIN jobs j ON j.phone_id = p.id AND j.phase = 'working' WHERE p.status <> 2 OR p.generation <> j.target
	UNION ALL
	SELECT 'I6: a phone runs a generation whose job has not succeeded', p.id, p.status, p.generation FROM phones p
		WHERE p.status = 2 AND NOT EXISTS (SELECT 1 FROM jobs j WHERE j.phone_id = p.id AND j.target = p.generation AND j.phase = 'succeeded')
	UNION ALL
	SELECT 'I2: a phone is there although its deletion has succeeded', p.id, p.status, 0 FROM phones p
		WHERE EXISTS (SELECT 1 FROM jobs j WHERE j.phone_id = p.id AND j.kind = 'delete' AND j.phase = 'succeeded')
	UNION ALL
	SELECT 'I2: a phone is not there although no deletion of it has succeeded', j.phone_id, 0, 0 FROM jobs j
		WHERE NOT EXISTS (SELECT 1 FROM phones p WHERE p.id = j.phone_id)
		AND NOT EXISTS (SELECT 1 FROM jobs d WHERE d.phone_id = j.phone_id AND d.kind = 'delete' AND d.phase = 'succeeded')
	UNION ALL
	SELECT 'I1: a server at work has not exactly one unfinished job of its own', s.id, 0, 0 FROM servers s
		WHERE (SELECT count(*) FROM server_jobs j WHERE j.server_id = s.id AND j.ended_at IS NULL AND j.kind = s.doing) <> CASE s.doing WHEN '' THEN 0 ELSE 1 END
	UNION ALL
	SELECT 'I6: the job of a server has ended before the jobs of its phones', s.id, 0, 0 FROM server_jobs s
		WHERE s.ended_at IS NOT NULL AND EXISTS (SELECT 1 FROM jobs j WHERE j.request_id = s.request_id AND j.server_id = s.server_id AND j.ended_at IS NULL)
	UNION ALL
	SELECT 'pace: more jobs of a request are under way than it allows', r.id, CAST(PACE ->> 'at_once' AS INTEGER), count(*) FROM requests r
		JOIN jobs j ON j.request_id = r.id WHERE j.ended_at IS NULL AND j.phase <> 'held' AND PACE ->> 'at_once' IS NOT NULL
		GROUP BY r.id, r.pace HAVING count(*) > CAST(PACE ->> 'at_once' AS INTEGER)
	UNION ALL
	SELECT 'pace: others were let go before the canary had ended', r.id, CAST(PACE ->> 'first' AS INTEGER), count(*) FROM requests r
		JOIN jobs j ON j.request_id = r.id WHERE j.phase NOT IN ('held', 'cancelled') AND PACE ->> 'first' IS NOT NULL GROUP BY r.id, r.pace
		HAVING count(*) > CAST(PACE ->> 'first' AS INTEGER) AND count(*) FILTER (WHERE j.phase IN ('succeeded', 'failed')) < CAST(PACE ->> 'first' AS INTEGER)
	UNION ALL
	SELECT 'pace: a job is held, and nobody looks at it any more', j.id, 0, 0 FROM jobs j JOIN requests r ON r.id = j.request_id
		WHERE j.phase = 'held' AND NOT r.pacing
	UNION ALL
	SELECT 'open', j.request_id, 0, count(*) FROM jobs j WHERE j.ended_at IS NULL AND j.phase <> 'held' AND j.paced GROUP BY j.request_id`

func (w *watcher) look(ctx context.Context, db *sql.DB, query string) {
	rows, err := db.QueryContext(ctx, query)
	if err != nil {
		return // the database is away, which may be what the test is about
	}
	defer rows.Close()
	type line struct {
		what, id string
		a, b     int
	}
	var lines []line
	for rows.Next() {
		var l line
		if err := rows.Scan(&l.what, &l.id, &l.a, &l.b); err != nil {
			return
		}
		lines = append(lines, l)
	}
	if rows.Err() != nil {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.looks++
	for _, l := range lines {
		switch l.what {
		case "slots":
			w.held[l.id] = max(w.held[l.id], l.b)
			if l.b > l.a {
				w.violations[fmt.Sprintf("server %s: %d boot slots are held of %d", l.id, l.b, l.a)]++
			}
		case "open":
			w.open[l.id] = max(w.open[l.id], l.b)
		case "owner":
			w.owners[l.id] = true
		default:
			w.violations[fmt.Sprintf("%s: %s (%d, %d)", l.what, l.id, l.a, l.b)]++
		}
	}
}

// saw gives what was seen so far.
func (w *watcher) saw() (looks int, owners map[string]bool, held map[string]int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	owners, held = map[string]bool{}, map[string]int{}
	for id := range w.owners {
		owners[id] = true
	}
	for id, n := range w.held {
		held[id] = n
	}
	return w.looks, owners, held
}

// sawOpen gives how many jobs of a paced request were seen let go and unfinished at once, at most.
func (w *watcher) sawOpen(request string) int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.open[request]
}
