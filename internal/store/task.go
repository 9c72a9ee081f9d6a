package store

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"github.com/lethe-cloud/lethe/internal/audit"
	"github.com/lethe-cloud/lethe/internal/fleet"
	"github.com/lethe-cloud/lethe/internal/phone"
)

// AcceptTask reads the phones, decides with phone.DecideTask, and for an export with phone.OneObjectEach, writes the request, with the task, and its
// jobs, and sets going what has its turn. The phones are not changed. With a key it is as AcceptResetOnce.
func (s *Store) AcceptTask(ctx context.Context, in fleet.AcceptTask) (phone.RequestID, []phone.Outcome, error) {
	return s.accept(ctx, in.Request, in.Key, func(t *tx) ([]phone.Outcome, error) { return t.acceptTask(ctx, in) })
}

func (t *tx) acceptTask(ctx context.Context, in fleet.AcceptTask) ([]phone.Outcome, error) {
	items, err := t.refuseSecondExports(ctx, in)
	if err != nil {
		return nil, err
	}
	targets, err := t.resetTargets(ctx, in.Request.Project, items)
	if err != nil {
		return nil, err
	}
	accepted, outcomes := phone.DecideTask(items, targets)
	if in.Request.Kind == phone.KindExport && in.Tasks != nil {
		accepted = phone.OneObjectEach(accepted, outcomes, in.Tasks)
	}
	outcomes = append(outcomes, in.Refused...)
	in.Request.Refused = len(outcomes) - len(accepted)
	audit.From(ctx).Note(string(in.Request.ID), taskChanges(accepted, outcomes))
	if err := t.insertRequest(ctx, in.Request, false); err != nil {
		return nil, err
	}
	if len(accepted) == 0 {
		return outcomes, nil
	}
	jobs, servers := make([]jobInsert, len(accepted)), map[phone.ServerID]bool{}
	for i, a := range accepted {
		jobs[i] = jobOn(a.Phone, i)
		if in.Tasks != nil {
			jobs[i].Payload = asJSON(in.Tasks[a.Index])
		}
		outcomes[a.Index].Job = jobs[i].ID
		servers[a.Phone.Server] = true
	}
	if err := t.wantUnchanged(ctx, accepted); err != nil {
		return nil, err
	}
	if err := t.insertJobs(ctx, in.Request, jobs, len(jobs)); err != nil {
		return nil, err
	}
	return outcomes, t.startTasks(ctx, slices.Sorted(maps.Keys(servers)))
}

// refuseSecondExports gives the items of a task. Of an export, those have an error whose object an unfinished export of the project writes: the second
// would have the checksum of the first beside it for a while, or for good. A project's calls that export are accepted one after the other.
func (t *tx) refuseSecondExports(ctx context.Context, in fleet.AcceptTask) ([]phone.ResetItem, error) {
	if in.Request.Kind != phone.KindExport {
		return in.Items, nil
	}
	if _, err := t.exec(ctx, `SELECT id FROM projects WHERE id = ?`+t.lock, in.Request.Project); err != nil {
		return nil, fmt.Errorf("lock the project: %w", err)
	}
	written := map[phone.Object]bool{}
	err := t.each(ctx, func(row scanner) error {
		var payload string
		var task phone.Task
		if err := row.Scan(&payload); err != nil {
			return err
		}
		err := fromJSON(payload, &task)
		for _, object := range task.Objects {
			written[object] = true
		}
		return err
	}, `SELECT coalesce(nullif(j.payload, ''), r.payload) FROM jobs j JOIN requests r ON r.id = j.request_id
		WHERE j.stage = 'working' AND j.kind = 'export' AND j.project_id || '' = ?`, in.Request.Project)
	if err != nil {
		return nil, fmt.Errorf("read unfinished exports: %w", err)
	}
	items := slices.Clone(in.Items)
	for i := range items {
		task := in.Request.Task
		if in.Tasks != nil {
			task = &in.Tasks[i]
		}
		if items[i].Err == nil && task != nil && len(task.Objects) > 0 && written[task.Objects[0]] {
			items[i].Err = &phone.Error{
				Code: phone.Conflict, Reason: phone.ReasonObjectInvalid, Field: "object_path",
				Msg: "an export to " + task.Objects[0].String() + " has not ended: wait for its end, or name another object",
			}
		}
	}
	return items, nil
}

// taskChanges is what the audit trail says of a decided task: what it does stands with the request.
func taskChanges(accepted []phone.Accepted, outcomes []phone.Outcome) []audit.Change {
	changes := make([]audit.Change, 0, len(outcomes))
	for _, a := range accepted {
		changes = append(changes, audit.Change{Phones: []string{string(a.Phone.ID)}})
	}
	for _, o := range outcomes {
		if o.Err != nil && o.PhoneID != "" {
			changes = append(changes, audit.Change{Phones: []string{cut(o.PhoneID)}, Refused: refusal(o.Err)})
		}
	}
	return audit.Group(changes)
}

// defaultTasks is how many tasks run at once on one server, where the configuration does not say.
const defaultTasks = 16

// waitingTask is one of a server's tasks whose turn has not come.
type waitingTask struct {
	job    phone.JobID
	server phone.ServerID
}

// The tasks that wait on each server, the oldest first, as many as the second argument says; the first lists the servers. SQLite has no LATERAL.
const (
	postgresTasks = `SELECT c.id, s.id FROM servers s CROSS JOIN LATERAL (SELECT q.id, q.seq FROM jobs q WHERE q.server_id = s.id AND q.stage = 'working'
		AND q.attempt = 0 ORDER BY q.seq LIMIT ?) c WHERE s.id = ANY(?::text[]) ORDER BY c.seq`

	sqliteTasks = `SELECT c.id, s.id FROM servers s JOIN jobs c ON c.seq IN (SELECT q.seq FROM jobs q WHERE q.server_id = s.id AND q.stage = 'working'
		AND q.attempt = 0 ORDER BY q.seq LIMIT ?) WHERE s.id IN (SELECT value FROM json_each(?)) ORDER BY c.seq`
)

// startTasks sets going the tasks whose turn it is on these servers, which the caller has locked. Everything that ends a task or adds one
// calls it in the same transaction; what was missed the sweep finds.
func (t *tx) startTasks(ctx context.Context, servers []phone.ServerID) error {
	if len(servers) == 0 {
		return nil
	}
	waiting, err := all(ctx, t, func(row scanner) (waitingTask, error) {
		var w waitingTask
		err := row.Scan(&w.job, &w.server)
		return w, err
	}, t.waitingTasks, t.tasks, list(t.dialect, servers))
	if err != nil {
		return fmt.Errorf("look for waiting tasks: %w", err)
	}
	if len(waiting) == 0 {
		return nil
	}
	free, err := t.freeTasks(ctx, servers)
	if err != nil {
		return err
	}
	var going []phone.JobID
	for _, w := range waiting {
		if free[w.server] > 0 {
			free[w.server]--
			going = append(going, w.job)
		}
	}
	if len(going) == 0 {
		return nil
	}
	begun, err := all(ctx, t, sentTo(taskQueue), `UPDATE jobs SET attempt = 1, delivered_at = `+t.clock+`, started_at = ?, working_at = ?
		WHERE `+t.in("id")+` AND stage || '' = 'working' AND attempt = 0 RETURNING id, attempt`, t.at, t.at, list(t.dialect, going))
	if err != nil {
		return fmt.Errorf("set tasks going: %w", err)
	}
	t.deliveries = append(t.deliveries, begun...)
	return expect(int64(len(begun)), len(going), "tasks")
}

// freeTasks says how many more tasks may run on each of the servers.
func (t *tx) freeTasks(ctx context.Context, servers []phone.ServerID) (map[phone.ServerID]int, error) {
	free := make(map[phone.ServerID]int, len(servers))
	for _, id := range servers {
		free[id] = t.tasks
	}
	err := t.each(ctx, func(row scanner) error {
		var id phone.ServerID
		var n int
		err := row.Scan(&id, &n)
		free[id] -= n
		return err
	}, `SELECT server_id, count(*) FROM jobs WHERE `+t.in("server_id")+` AND stage = 'working' AND attempt > 0 GROUP BY server_id`, list(t.dialect, servers))
	if err != nil {
		return nil, fmt.Errorf("count tasks: %w", err)
	}
	return free, nil
}

// serversWithTasks gives the servers on which a task waits.
const serversWithTasks = `WITH RECURSIVE waiting (id) AS (
		SELECT (SELECT min(server_id) FROM jobs WHERE stage = 'working' AND attempt = 0)
		UNION ALL
		SELECT (SELECT min(server_id) FROM jobs WHERE stage = 'working' AND attempt = 0 AND server_id > waiting.id) FROM waiting WHERE waiting.id IS NOT NULL
	) SELECT id FROM waiting WHERE id IS NOT NULL`

// serversWithTurns gives those of the servers with waiting tasks on which another one may run.
func (t *tx) serversWithTurns(ctx context.Context) ([]phone.ServerID, error) {
	servers, err := all(ctx, t, one[phone.ServerID], serversWithTasks)
	if err != nil || len(servers) == 0 {
		return nil, err
	}
	free, err := t.freeTasks(ctx, servers)
	return slices.DeleteFunc(servers, func(id phone.ServerID) bool { return free[id] <= 0 }), err
}

func (t *tx) startMissedTasks(ctx context.Context, servers []phone.ServerID) error {
	if err := t.lockServers(ctx, servers); err != nil {
		return err
	}
	return t.startTasks(ctx, servers)
}

// endTasks ends, as failed, the unfinished tasks of those of the phones that have any, for a job of another kind. The phones were claimed, and
// their servers are locked. Whoever works on one of the tasks is fenced off.
func (t *tx) endTasks(ctx context.Context, phones []phone.ID, by phone.Kind) error {
	phones = slices.DeleteFunc(phones, func(id phone.ID) bool { return t.atWork[id] == 0 })
	if len(phones) == 0 {
		return nil
	}
	var tasks []phone.JobID
	servers := map[phone.ServerID]bool{}
	err := t.each(ctx, func(row scanner) error {
		var id phone.JobID
		var server phone.ServerID
		err := row.Scan(&id, &server)
		tasks = append(tasks, id)
		servers[server] = true
		return err
	}, `SELECT id, server_id FROM jobs WHERE `+t.in("phone_id")+` AND stage = 'working' ORDER BY id`+t.lock, list(t.dialect, phones))
	if err != nil {
		return fmt.Errorf("lock tasks: %w", err)
	}
	n, err := t.exec(ctx, `UPDATE jobs SET phase = 'failed', owner = NULL, incarnation = NULL, delivered_at = NULL, ended_at = ?,
		failure = CASE WHEN attempt = 0 THEN ? ELSE ? END WHERE `+t.in("id"),
		t.at, asJSON(phone.EndedByAnother(by, false)), asJSON(phone.EndedByAnother(by, true)), list(t.dialect, tasks))
	if err != nil {
		return fmt.Errorf("end tasks: %w", err)
	}
	if err := expect(n, len(tasks), "tasks"); err != nil {
		return err
	}
	return t.startTasks(ctx, slices.Sorted(maps.Keys(servers)))
}

// EndTask ends a task, in success where its end has no failure, keeps what its program said, and sets going what has its turn after it.
func (s *Store) EndTask(ctx context.Context, fence phone.Fence, end phone.TaskEnd) error {
	return s.step(ctx, &step{kind: stepEndTask, fence: fence, end: end})
}

// Holds reports whether the job is unfinished and still the fence's.
func (s *Store) Holds(ctx context.Context, fence phone.Fence) (bool, error) {
	found, err := readAll(ctx, s, one[int], `SELECT 1 FROM jobs WHERE id = ? AND attempt = ? AND owner = ?`, fence.Job, fence.Attempt, fence.Replica)
	return len(found) > 0, err
}

// endTask is the step's effect on its job.
func (j *stepJob) endTask(end phone.TaskEnd) error {
	if !j.kind.Task() {
		return j.refuse("ended as a task")
	}
	j.output = end.Output
	if end.Failure == nil {
		j.end(phone.PhaseSucceeded)
		return nil
	}
	j.fail(*end.Failure)
	j.end(phone.PhaseFailed)
	return nil
}
