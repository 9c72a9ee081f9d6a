package store

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	"github.com/lethe-cloud/lethe/internal/phone"
)

// boots is one normal server's boot slots.
type boots struct {
	free int
	held map[phone.ProjectID]int
}

// lane is the queue of one server, project and image. Jobs of a lane become admissible together, when their image's identity
// on that server's host is known, and leave it oldest first.
type lane struct {
	server    phone.ServerID
	image     phone.ImageID
	prepared  bool // the identity is known
	preparing bool // a job is bringing the image to the host
}

// candidate is one of a lane's oldest jobs.
type candidate struct {
	phone.Admission
	lane
}

// admit sets going what can be on these servers, which the caller has locked: jobs whose image is there, as far as there are
// free slots, and one job for each image that has yet to be brought. Everything that can free a slot or lengthen a queue
// calls it in the same transaction.
func (t *tx) admit(ctx context.Context, servers []phone.ServerID) error {
	slots, prepare, err := t.admissible(ctx, servers)
	if err != nil {
		return err
	}
	if len(slots) > 0 {
		err := t.setGoing(ctx, slots, `phase = CASE kind WHEN 'create' THEN 'creating' WHEN 'start' THEN 'booting' ELSE 'removing' END,
			creating_at = CASE kind WHEN 'create' THEN ? ELSE creating_at END, booting_at = CASE kind WHEN 'start' THEN ? ELSE booting_at END,
			removing_at = CASE WHEN kind IN ('create', 'start') THEN removing_at ELSE ? END`, t.at, t.at, t.at)
		if err != nil {
			return fmt.Errorf("admit: %w", err)
		}
	}
	if len(prepare) > 0 {
		if err := t.setGoing(ctx, prepare, `phase = 'preparing', preparing_at = ?`, t.at); err != nil {
			return fmt.Errorf("dispatch images: %w", err)
		}
	}
	return nil
}

// setGoing takes queued jobs out of the queue and delivers them. The || ” keeps the database from reading the whole queue to
// find them.
func (t *tx) setGoing(ctx context.Context, jobs []phone.JobID, set string, args ...any) error {
	query := `UPDATE jobs SET attempt = attempt + 1, delivered_at = ` + t.clock + `, started_at = coalesce(started_at, ?), ` + set + `
		WHERE ` + t.in("id") + ` AND stage || '' = 'queued' RETURNING id, attempt`
	going, err := all(ctx, t, sentTo(jobQueue), query, append(append([]any{t.at}, args...), list(t.dialect, jobs))...)
	if err != nil {
		return err
	}
	t.deliveries = append(t.deliveries, going...)
	return expect(int64(len(going)), len(jobs), "queued jobs")
}

// sentTo scans deliveries that go into one queue.
func sentTo(queue string) func(scanner) (sent, error) {
	return func(row scanner) (sent, error) {
		d, err := scanDelivery(row)
		return sent{d, queue}, err
	}
}

func scanDelivery(row scanner) (phone.Delivery, error) {
	var d phone.Delivery
	err := row.Scan(&d.Job, &d.Attempt)
	return d, err
}

// admissible decides: which jobs get a slot, and which bring an image.
func (t *tx) admissible(ctx context.Context, servers []phone.ServerID) (slots, prepare []phone.JobID, err error) {
	if len(servers) == 0 {
		return nil, nil, nil
	}
	normal, err := t.boots(ctx, servers)
	if err != nil || len(normal) == 0 {
		return nil, nil, err
	}
	waiting, err := t.queueHeads(ctx, normal)
	if err != nil {
		return nil, nil, err
	}
	byServer := map[phone.ServerID][]phone.Admission{}
	bringing := map[[2]string]bool{}
	for _, c := range waiting {
		if c.prepared {
			byServer[c.server] = append(byServer[c.server], c.Admission)
			continue
		}
		if key := [2]string{string(c.server), string(c.image)}; !c.preparing && !bringing[key] {
			bringing[key] = true
			prepare = append(prepare, c.Job)
		}
	}
	for server, jobs := range byServer {
		b := normal[server]
		for _, picked := range phone.PickAdmissions(b.free, b.held, jobs) {
			slots = append(slots, picked.Job)
		}
	}
	return slots, prepare, nil
}

// boots counts the slots of those of the servers that are normal.
func (t *tx) boots(ctx context.Context, servers []phone.ServerID) (map[phone.ServerID]*boots, error) {
	found := make(map[phone.ServerID]*boots, len(servers))
	err := t.each(ctx, func(row scanner) error {
		var (
			server  phone.ServerID
			most, n int
			project *string
		)
		if err := row.Scan(&server, &most, &project, &n); err != nil {
			return err
		}
		b := found[server]
		if b == nil {
			b = &boots{free: most, held: map[phone.ProjectID]int{}}
			found[server] = b
		}
		if project != nil {
			b.held[phone.ProjectID(*project)] = n
			b.free = max(0, b.free-n)
		}
		return nil
	}, `SELECT s.id, s.max_concurrent_boots, j.project_id, count(j.seq) FROM servers s LEFT JOIN jobs j ON j.server_id = s.id AND j.stage = 'slot'
		WHERE `+t.in("s.id")+` AND s.status = ? GROUP BY s.id, s.max_concurrent_boots, j.project_id`, list(t.dialect, servers), phone.ServerNormal)
	if err != nil {
		return nil, fmt.Errorf("count boot slots: %w", err)
	}
	return found, nil
}

// The candidates are read lane by lane along jobs_queue_idx, stepping from one lane to the next, so that the cost grows with
// the lanes and not with the queued jobs: per lane the server's oldest jobs, as many as the second argument says, whether the
// image's identity is known, and whether a job is preparing it: counts of at most one row, because of an EXISTS PostgreSQL, which cannot
// know how few lanes there are, makes a hash of the images of all servers. The first argument lists the servers. SQLite has no LATERAL,
// and steps along the lanes' oldest jobs instead; of (project_id, image_id) > (?, ?) it takes only the project to the index, and would read all
// queued jobs of the lane, so it is asked in two steps.
const (
	postgresCandidates = `WITH RECURSIVE lane AS (
			SELECT x.* FROM servers s CROSS JOIN LATERAL (SELECT q.server_id, q.project_id, q.image_id FROM jobs q
				WHERE q.server_id = s.id AND q.stage = 'queued' ORDER BY q.project_id, q.image_id LIMIT 1) x WHERE s.id = ANY(?::text[])
			UNION ALL
			SELECT x.* FROM lane l CROSS JOIN LATERAL (SELECT q.server_id, q.project_id, q.image_id FROM jobs q
				WHERE q.server_id = l.server_id AND q.stage = 'queued' AND (q.project_id, q.image_id) > (l.project_id, l.image_id)
				ORDER BY q.project_id, q.image_id LIMIT 1) x
		) SELECT c.id, c.seq, l.project_id, l.server_id, l.image_id,` + laneState + `
		FROM lane l CROSS JOIN LATERAL (SELECT q.id, q.seq FROM jobs q WHERE q.server_id = l.server_id AND q.project_id = l.project_id
			AND q.image_id = l.image_id AND q.stage = 'queued' ORDER BY q.seq LIMIT ?) c`

	sqliteCandidates = `WITH RECURSIVE head (seq) AS (
			SELECT (SELECT q.seq FROM jobs q WHERE q.server_id = s.id AND q.stage = 'queued' ORDER BY q.project_id, q.image_id, q.seq LIMIT 1)
			FROM servers s WHERE s.id IN (SELECT value FROM json_each(?))
			UNION ALL
			SELECT coalesce(
				(SELECT q.seq FROM jobs q WHERE q.server_id = j.server_id AND q.stage = 'queued' AND q.project_id = j.project_id AND q.image_id > j.image_id
					ORDER BY q.image_id, q.seq LIMIT 1),
				(SELECT q.seq FROM jobs q WHERE q.server_id = j.server_id AND q.stage = 'queued' AND q.project_id > j.project_id
					ORDER BY q.project_id, q.image_id, q.seq LIMIT 1))
			FROM head JOIN jobs j ON j.seq = head.seq
		) SELECT c.id, c.seq, l.project_id, l.server_id, l.image_id,` + laneState + `
		FROM head JOIN jobs l ON l.seq = head.seq JOIN jobs c ON c.seq IN (SELECT q.seq FROM jobs q WHERE q.server_id = l.server_id
			AND q.project_id = l.project_id AND q.image_id = l.image_id AND q.stage = 'queued' ORDER BY q.seq LIMIT ?)`

	laneState = `
		(SELECT count(*) FROM host_images i WHERE i.server_id = l.server_id AND i.image_id = l.image_id) > 0,
		(SELECT count(*) FROM jobs p WHERE p.server_id = l.server_id AND p.image_id = l.image_id AND p.stage = 'preparing') > 0`
)

// queueHeads gives, in the order of acceptance, each lane's oldest jobs: at least as many as its server has free slots, and
// at least one.
func (t *tx) queueHeads(ctx context.Context, servers map[phone.ServerID]*boots) ([]candidate, error) {
	most := 1
	ids := make([]phone.ServerID, 0, len(servers))
	for id, b := range servers {
		most = max(most, b.free)
		ids = append(ids, id)
	}
	slices.Sort(ids)
	found, err := all(ctx, t, func(row scanner) (candidate, error) {
		var c candidate
		err := row.Scan(&c.Job, &c.Seq, &c.Project, &c.server, &c.image, &c.prepared, &c.preparing)
		return c, err
	}, t.candidates, list(t.dialect, ids), most)
	if err != nil {
		return nil, fmt.Errorf("look through the queues: %w", err)
	}
	slices.SortFunc(found, func(a, b candidate) int { return cmp.Compare(a.Seq, b.Seq) })
	return found, nil
}

// redeliver gives jobs that had been set going new deliveries: whoever works on them is fenced off.
func (t *tx) redeliver(ctx context.Context, jobs []phone.JobID) error {
	if len(jobs) == 0 {
		return nil
	}
	again, err := all(ctx, t, func(row scanner) (sent, error) {
		d := sent{queue: jobQueue}
		var task bool
		err := row.Scan(&d.Job, &d.Attempt, &task)
		if task {
			d.queue = taskQueue
		}
		return d, err
	}, `UPDATE jobs SET attempt = attempt + 1, owner = NULL, incarnation = NULL, delivered_at = `+t.clock+`
		WHERE `+t.in("id")+` AND stage || '' NOT IN ('held', 'queued', 'ended') RETURNING id, attempt, stage = 'working'`, list(t.dialect, jobs))
	if err != nil {
		return fmt.Errorf("deliver again: %w", err)
	}
	t.deliveries = append(t.deliveries, again...)
	return expect(int64(len(again)), len(jobs), "jobs")
}
