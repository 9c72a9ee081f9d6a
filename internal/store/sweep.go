package store

import (
	"context"
	"fmt"
	"time"

	"github.com/lethe-cloud/lethe/internal/phone"
)

// Sweep admits whatever could be admitted and was not, on the next sweptServers servers that have a queue, and gives new deliveries to the jobs of replicas whose
// lease has expired, and to jobs whose delivery nobody claimed for longer than unclaimed, unless it still waits in the queue.
// It ends the jobs of servers whose phones' jobs have ended, keeps the pace of paced requests, deletes expired idempotency keys, and shortens what a clock that was set back has lengthened.
// It returns how many jobs it set going. Each of these is a transaction of its own, for they lock in different orders.
func (s *Store) Sweep(ctx context.Context, unclaimed time.Duration) (int, error) {
	m, err := s.missed(ctx, unclaimed)
	if err != nil {
		return 0, err
	}
	var going int
	for _, part := range []struct {
		needed bool
		do     func(*tx) error
	}{
		{m.setBack, func(t *tx) error { return t.setBack(ctx, s.longestLease()) }},
		{m.leases, func(t *tx) error { return t.takeOver(ctx, "") }},
		{len(m.servers) > 0, func(t *tx) error { return t.admitMissed(ctx, m.servers) }},
		{len(m.turns) > 0, func(t *tx) error { return t.startMissedTasks(ctx, m.turns) }},
		{m.overdue, func(t *tx) error { return t.redeliverLost(ctx, unclaimed) }},
		{m.counts > maxCountRows, func(t *tx) error { return t.foldCounts(ctx) }},
		{m.keys, func(t *tx) error { return t.deleteExpiredKeys(ctx) }},
		{len(m.idle) > 0, func(t *tx) error { return t.endServerJobs(ctx, m.idle) }},
	} {
		if !part.needed {
			continue
		}
		var n int
		err := s.tx(ctx, func(t *tx) error {
			err := part.do(t)
			n = len(t.deliveries)
			return err
		})
		if err != nil {
			return going, err
		}
		going += n
	}
	n, err := s.keepPaces(ctx, m.paced)
	return going + n, err
}

func (t *tx) admitMissed(ctx context.Context, servers []phone.ServerID) error {
	if err := t.lockServers(ctx, servers); err != nil {
		return err
	}
	return t.admit(ctx, servers)
}

func (t *tx) lockServers(ctx context.Context, servers []phone.ServerID) error {
	if _, err := t.exec(ctx, `SELECT id FROM servers WHERE `+t.in("id")+` ORDER BY id`+t.lock, list(t.dialect, servers)); err != nil {
		return fmt.Errorf("lock servers: %w", err)
	}
	return nil
}

// missed is what there is to sweep.
type missed struct {
	servers []phone.ServerID // on which something is admissible
	turns   []phone.ServerID // on which a task waits that may run
	setBack bool             // the clock, since a lease or a delivery was written
	leases  bool             // that have expired, or jobs whose owner has none
	overdue bool             // deliveries
	counts  int              // rows of phone counts
	keys    bool             // idempotency keys that have expired
	paced   []phone.RequestID
	idle    []phone.ServerID // with a job whose phones' jobs have ended
}

// sweptServers is on how many servers a sweep looks for what could be admitted. What frees a slot or lengthens a queue admits in its own
// transaction, so there is something to find only when that went wrong; looking through the queues of thousands of servers each second was
// more than half of what the process did.
const sweptServers = 200

// nextToSweep gives the next servers with a queue, after those of the sweep before, and from the first one on when there are no more.
func (t *tx) nextToSweep(ctx context.Context) ([]phone.ServerID, error) {
	t.mu.Lock()
	after := t.sweptTo
	t.mu.Unlock()
	waiting, err := all(ctx, t, one[phone.ServerID], `WITH RECURSIVE waiting (id, n) AS (
			SELECT (SELECT min(server_id) FROM jobs WHERE stage = 'queued' AND server_id > ?), 1
			UNION ALL
			SELECT (SELECT min(server_id) FROM jobs WHERE stage = 'queued' AND server_id > waiting.id), n + 1 FROM waiting WHERE waiting.id IS NOT NULL AND n < ?
		) SELECT id FROM waiting WHERE id IS NOT NULL`, after, sweptServers)
	if err != nil {
		return nil, fmt.Errorf("find servers with a queue: %w", err)
	}
	after = ""
	if len(waiting) == sweptServers {
		after = waiting[len(waiting)-1]
	}
	t.mu.Lock()
	t.sweptTo = after
	t.mu.Unlock()
	return waiting, nil
}

// missed looks for it without locking anything, for most sweeps find nothing.
func (s *Store) missed(ctx context.Context, unclaimed time.Duration) (missed, error) {
	var m missed
	future := ahead(s.longestLease())
	err := s.view(ctx, func(t *tx) error {
		waiting, err := t.nextToSweep(ctx)
		if err != nil {
			return err
		}
		if m.servers, err = t.serversWithWork(ctx, waiting); err != nil {
			return err
		}
		if m.turns, err = t.serversWithTurns(ctx); err != nil {
			return err
		}
		if m.paced, err = t.outOfPace(ctx); err != nil {
			return err
		}
		if m.idle, err = t.idleServers(ctx); err != nil {
			return fmt.Errorf("find servers whose job can end: %w", err)
		}
		return t.row(ctx, `SELECT CAST(? AS BIGINT) > 0 AND (EXISTS (SELECT 1 FROM replicas WHERE expires_at > `+t.clock+` + ?) OR EXISTS (SELECT 1 FROM jobs WHERE delivered_at > `+t.clock+` + ?)),
			EXISTS (SELECT 1 FROM replicas WHERE expires_at > 0 AND expires_at <= `+t.clock+`) OR EXISTS (SELECT 1 FROM jobs WHERE owner IS NOT NULL AND `+abandoned+`),
			EXISTS (SELECT 1 FROM jobs WHERE delivered_at <= `+t.clock+` - ?),
			(SELECT count(*) FROM phone_counts),
			EXISTS (SELECT 1 FROM idempotency_keys WHERE expires_at <= ?)`, future, future, future, unclaimed.Microseconds(), micros(s.now())).Scan(&m.setBack, &m.leases, &m.overdue, &m.counts, &m.keys)
	})
	return m, err
}

// serversWithWork gives those of the servers on which something is admissible.
func (t *tx) serversWithWork(ctx context.Context, servers []phone.ServerID) ([]phone.ServerID, error) {
	slots, prepare, err := t.admissible(ctx, servers)
	if err != nil || len(slots)+len(prepare) == 0 {
		return nil, err
	}
	return all(ctx, t, one[phone.ServerID], `SELECT DISTINCT server_id FROM jobs WHERE `+t.in("id")+` ORDER BY server_id`, list(t.dialect, append(slots, prepare...)))
}

// redeliverLost gives new deliveries to jobs whose delivery is overdue and no longer in the queue: a process fetched it and
// died or was stopped before it claimed.
func (t *tx) redeliverLost(ctx context.Context, unclaimed time.Duration) error {
	waiting := map[phone.Delivery]bool{}
	err := t.each(ctx, func(row scanner) error {
		d, err := scanDelivery(row)
		waiting[d] = true
		return err
	}, `SELECT args ->> 'job_id', CAST(args ->> 'attempt' AS BIGINT) FROM river_job WHERE state = 'available' AND kind = ?`, delivery{}.Kind())
	if err != nil {
		return fmt.Errorf("read the queue: %w", err)
	}
	var lost []phone.JobID
	err = t.each(ctx, func(row scanner) error {
		d, err := scanDelivery(row)
		if !waiting[d] {
			lost = append(lost, d.Job)
		}
		return err
	}, `SELECT id, attempt FROM jobs WHERE delivered_at <= `+t.clock+` - ? ORDER BY id`+t.lock, unclaimed.Microseconds())
	if err != nil {
		return fmt.Errorf("find lost deliveries: %w", err)
	}
	return t.redeliver(ctx, lost)
}
