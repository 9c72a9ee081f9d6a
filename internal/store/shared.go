package store

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/lethe-cloud/lethe/internal/audit"
	"github.com/lethe-cloud/lethe/internal/fleet"
	"github.com/lethe-cloud/lethe/internal/phone"
)

// AcceptShare reads the servers, decides with phone.DecideShareTask, and writes the request, with what is to be done, and a job for each
// accepted server. Neither the servers nor their phones are changed.
func (s *Store) AcceptShare(ctx context.Context, in fleet.AcceptShare) ([]phone.ServerOutcome, error) {
	var outcomes []phone.ServerOutcome
	err := s.tx(ctx, func(t *tx) error {
		servers, waiting, err := t.lockShares(ctx, in.Request.Project, in.Servers)
		if err != nil {
			return err
		}
		var accepted []int
		accepted, outcomes = phone.DecideShareTask(in.Servers, servers, waiting, in.Lacks)
		request := in.Request
		request.Refused = len(outcomes) - len(accepted)
		if err := t.insertRequest(ctx, request, false); err != nil {
			return err
		}
		names := make([]phone.AcceptedServer, len(accepted))
		rows := make([]serverJobInsert, len(accepted))
		zero := 0
		for i, at := range accepted {
			rows[i] = serverJobInsert{ID: phone.NewID[phone.JobID](), Server: phone.ServerID(outcomes[at].ServerID), Order: i, Attempt: &zero}
			names[i].Server, outcomes[at].Job = rows[i].Server, rows[i].ID
		}
		audit.From(ctx).About(serverNames(names))
		if len(rows) == 0 {
			return nil
		}
		return t.insertServerJobs(ctx, request, rows)
	})
	if err != nil {
		return nil, err
	}
	return outcomes, nil
}

// lockShares locks the named servers of the project, and counts the unfinished jobs about their shared storages.
func (t *tx) lockShares(ctx context.Context, project phone.ProjectID, ids []string) (map[phone.ServerID]phone.Server, map[phone.ServerID]int, error) {
	found, err := all(ctx, t, scanServer, `SELECT `+serverColumns+` FROM servers WHERE `+t.in("id")+` AND project_id || '' = ? ORDER BY id`+t.lock, list(t.dialect, ids), project)
	if err != nil {
		return nil, nil, fmt.Errorf("lock servers: %w", err)
	}
	servers, waiting := make(map[phone.ServerID]phone.Server, len(found)), map[phone.ServerID]int{}
	for _, server := range found {
		servers[server.ID] = server
	}
	err = t.each(ctx, func(row scanner) error {
		var id phone.ServerID
		var n int
		err := row.Scan(&id, &n)
		waiting[id] = n
		return err
	}, `SELECT server_id, count(*) FROM server_jobs WHERE `+t.in("server_id")+` AND ended_at IS NULL AND attempt IS NOT NULL GROUP BY server_id`, list(t.dialect, ids))
	if err != nil {
		return nil, nil, fmt.Errorf("count the jobs about shared storages: %w", err)
	}
	return servers, waiting, nil
}

// unowned is the condition that nobody works on a server's job s: nobody ever did, it was given back, or whoever did has no lease any more.
const unowned = `(s.owner IS NULL OR NOT EXISTS (SELECT 1 FROM replicas r WHERE r.id = s.owner AND r.incarnation = s.incarnation AND r.expires_at > 0))`

// free is the condition that a server's job s is due, and unowned, or owned by this start of a replica, which says that it does not work on it.
// Its arguments are those of freeArgs.
func (d dialect) free(column string) string {
	return `coalesce(s.due_at, 0) NOT BETWEEN ? AND ? AND (` + unowned + ` OR s.owner = ? AND (s.incarnation <> ? OR NOT (` + d.in(column) + `)))`
}

// longestWait is how long what was given back may wait. What is due later was given back by a process whose clock was ahead, and is due.
const longestWait = time.Minute

// freeArgs are the arguments of free: what is not due yet, the replica, its incarnation, and what it works on, as the column has it.
func freeArgs[T ~string](d dialect, now int64, replica phone.ReplicaID, incarnation int64, held []T) []any {
	if held == nil {
		held = []T{}
	}
	return []any{now + 1, now + longestWait.Microseconds(), replica, incarnation, list(d, held)}
}

// dueAt is when what is given back now is due.
func (t *tx) dueAt(wait time.Duration) int64 { return t.at + min(wait, longestWait).Microseconds() }

// claimable is the condition that a job s about a shared storage is the oldest unfinished one of its server, and free. Its arguments are
// freeArgs with the jobs held.
func (d dialect) claimable() string {
	return `s.ended_at IS NULL AND s.attempt IS NOT NULL
		AND NOT EXISTS (SELECT 1 FROM server_jobs e WHERE e.server_id = s.server_id AND e.ended_at IS NULL AND e.attempt IS NOT NULL AND e.seq < s.seq) AND ` + d.free("s.id")
}

// ClaimShares makes the replica the owner of up to most jobs about shared storages that nobody works on, the oldest of each server, besides
// those that it works on already (held): first those that could have been claimed longest. It looks before it writes, since most of the time there is none.
func (s *Store) ClaimShares(ctx context.Context, replica phone.ReplicaID, held []phone.JobID, most int) ([]phone.ServerTask, error) {
	incarnation := s.incarnation(replica)
	if most < 1 || incarnation == 0 {
		return nil, nil
	}
	free, err := readAll(ctx, s, one[phone.JobID], `SELECT s.id FROM server_jobs s WHERE `+s.claimable()+` ORDER BY coalesce(s.due_at, s.created_at), s.seq LIMIT ?`,
		append(freeArgs(s.dialect, micros(s.now()), replica, incarnation, held), most)...)
	if err != nil || len(free) == 0 {
		return nil, err
	}
	var tasks []phone.ServerTask
	err = s.tx(ctx, func(t *tx) error {
		tasks = nil
		locked, err := all(ctx, t, one[phone.JobID], `SELECT s.id FROM server_jobs s WHERE `+t.in("s.id")+` AND `+t.claimable()+` ORDER BY s.id`+t.skipLocked,
			append([]any{list(t.dialect, free)}, freeArgs(t.dialect, t.at, replica, incarnation, held)...)...)
		if err != nil || len(locked) == 0 {
			return err
		}
		n, err := t.exec(ctx, `UPDATE server_jobs SET owner = ?, incarnation = ?, attempt = attempt + 1 WHERE `+t.in("id"), replica, incarnation, list(t.dialect, locked))
		if err != nil {
			return fmt.Errorf("claim jobs about shared storages: %w", err)
		}
		if err := expect(n, len(locked), "servers' jobs"); err != nil {
			return err
		}
		tasks, err = all(ctx, t, scanServerTask, `SELECT `+columns("j", serverJobColumns)+`, j.attempt, j.away_at, `+columns("s", serverColumns)+`, r.payload FROM server_jobs j
			JOIN servers s ON s.id = j.server_id JOIN requests r ON r.id = j.request_id WHERE `+t.in("j.id")+` ORDER BY j.seq`, list(t.dialect, locked))
		for i := range tasks {
			tasks[i].Fence.Replica = replica
		}
		return err
	})
	return tasks, err
}

func scanServerTask(row scanner) (phone.ServerTask, error) {
	var (
		task    phone.ServerTask
		j       serverJobRow
		s       serverRow
		payload string
		away    *int64
	)
	err := row.Scan(slices.Concat(j.into(), []any{&task.Fence.Attempt, &away}, s.into(), []any{&payload})...)
	if err != nil {
		return task, err
	}
	if away != nil {
		task.Away = timeOf(*away)
	}
	if task.Job, err = j.job(); err != nil {
		return task, err
	}
	task.Server, task.Fence.Job = s.server(), task.Job.ID
	if payload == "" {
		return task, nil
	}
	return task, fromJSON(payload, &task.Task)
}

// fencedShare is the condition that a job j of a server is unfinished and still the fence's; its arguments are those of fenceArgs.
const fencedShare = `j.id = ? AND j.owner = ? AND j.incarnation = ? AND j.attempt = ? AND j.ended_at IS NULL`

func (s *Store) fenceArgs(f phone.Fence) []any {
	return []any{f.Job, f.Replica, s.incarnation(f.Replica), f.Attempt}
}

// HoldsShare reports whether the job is unfinished and still the fence's, and whether its server is to be deleted.
func (s *Store) HoldsShare(ctx context.Context, f phone.Fence) (held, deleting bool, err error) {
	doing, err := readAll(ctx, s, one[phone.Kind], `SELECT s.doing FROM server_jobs j JOIN servers s ON s.id = j.server_id WHERE `+fencedShare, s.fenceArgs(f)...)
	return len(doing) > 0, slices.Contains(doing, phone.KindDelete), err
}

// EndShare ends the job, in success where its end has no failure.
func (s *Store) EndShare(ctx context.Context, f phone.Fence, end phone.ShareEnd) error {
	output := end.Output
	if end.Listing != nil {
		output = asJSON(end.Listing)
	}
	return s.fenced(ctx, "end a job about a shared storage", `UPDATE server_jobs AS j SET ended_at = ?, output = ?, failure = ?, owner = NULL, incarnation = NULL WHERE `+fencedShare,
		func(t *tx) []any { return append([]any{t.at, output, optionalJSON(end.Failure)}, s.fenceArgs(f)...) })
}

// EndShares ends, with the failure, the jobs about shared storages that nobody works on and whose servers are to be deleted, and says how many. It
// looks before it writes.
func (s *Store) EndShares(ctx context.Context, failure phone.Failure) (int, error) {
	const waiting = `s.ended_at IS NULL AND s.attempt IS NOT NULL AND ` + unowned + ` AND EXISTS (SELECT 1 FROM servers v WHERE v.id = s.server_id AND v.doing = 'delete')`
	there, err := readAll(ctx, s, one[int], `SELECT 1 FROM server_jobs s WHERE `+waiting+` LIMIT 1`)
	if err != nil || len(there) == 0 {
		return 0, err
	}
	var ended int
	err = s.tx(ctx, func(t *tx) error {
		ended = 0
		jobs, err := all(ctx, t, one[phone.JobID], `SELECT s.id FROM server_jobs s WHERE `+waiting+` ORDER BY s.id`+t.skipLocked)
		if err != nil || len(jobs) == 0 {
			return err
		}
		n, err := t.exec(ctx, `UPDATE server_jobs SET ended_at = ?, failure = ?, owner = NULL, incarnation = NULL WHERE `+t.in("id"), t.at, asJSON(failure), list(t.dialect, jobs))
		if err != nil {
			return fmt.Errorf("end jobs about shared storages: %w", err)
		}
		ended = len(jobs)
		return expect(n, len(jobs), "servers' jobs")
	})
	return ended, err
}
