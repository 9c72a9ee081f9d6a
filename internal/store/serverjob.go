package store

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/lethe-cloud/lethe/internal/audit"
	"github.com/lethe-cloud/lethe/internal/fleet"
	"github.com/lethe-cloud/lethe/internal/phone"
)

// AcceptServers reads the servers with all of their phones, decides with phone.DecideServers, and does to the accepted ones' phones what
// AcceptReset, AcceptRestart, AcceptDelete or AcceptUpdate do; each accepted server gets a job of its own, or all of them share one. What is
// to share one is accepted as a whole or not at all: then no request is written. A server that no phone got a job of ends its job at once.
// With an update the servers get their key pairs.
func (s *Store) AcceptServers(ctx context.Context, in fleet.AcceptServers) ([]phone.ServerOutcome, error) {
	var outcomes []phone.ServerOutcome
	err := s.tx(ctx, func(t *tx) error {
		decide := phone.RestartServer
		switch in.Request.Kind {
		case phone.KindDelete:
			decide = phone.DeleteServer
		case phone.KindReset:
			image, err := t.visibleImage(ctx, in.Request.Project, in.Image)
			if err != nil {
				return err
			}
			decide = phone.ChangeServer(image, in.Properties, in.Check)
		case phone.KindUpdate:
			decide = phone.UpdateKeypair(in.Keypairs, in.CheckKeys)
		}
		targets, err := t.lockServerTargets(ctx, in.Request.Project, in.Servers)
		if err != nil {
			return err
		}
		var accepted []phone.AcceptedServer
		accepted, outcomes = phone.DecideServers(in.Servers, targets, decide)
		if in.Whole {
			for _, o := range outcomes {
				if o.Err != nil {
					return o.Err
				}
			}
		}
		return t.saveServers(ctx, in, accepted, outcomes)
	})
	if err != nil {
		return nil, err
	}
	return outcomes, nil
}

// lockServerTargets locks the named servers of the project, and then all of their phones.
func (t *tx) lockServerTargets(ctx context.Context, project phone.ProjectID, servers []string) (map[phone.ServerID]phone.ServerTarget, error) {
	found, err := all(ctx, t, scanServer, `SELECT `+serverColumns+` FROM servers WHERE `+t.in("id")+` AND project_id || '' = ? ORDER BY id`+t.lock, list(t.dialect, servers), project)
	if err != nil {
		return nil, fmt.Errorf("lock servers: %w", err)
	}
	targets := make(map[phone.ServerID]phone.ServerTarget, len(found))
	ids := make([]phone.ServerID, len(found))
	for i, server := range found {
		ids[i], targets[server.ID] = server.ID, phone.ServerTarget{Server: server}
	}
	phones, err := all(ctx, t, scanTarget, `SELECT `+targetColumns+` FROM phones WHERE `+t.in("server_id")+` ORDER BY id`+t.lock, list(t.dialect, ids))
	if err != nil {
		return nil, fmt.Errorf("lock phones: %w", err)
	}
	all := make([]phone.ID, len(phones))
	for i, p := range phones {
		all[i] = p.ID
	}
	busy, err := t.busy(ctx, all)
	if err != nil {
		return nil, err
	}
	for _, p := range phones {
		p.Project = project
		target := targets[p.Server]
		target.Phones = append(target.Phones, phone.ResetTarget{
			Phone: p, ServerStatus: target.Server.Status, ServerLabel: target.Server.ImageLabel, Driver: target.Server.Driver, Busy: busy[p.ID],
		})
		targets[p.Server] = target
	}
	return targets, nil
}

// serverJobInsert is a server's job as saveServers hands it to the database.
type serverJobInsert struct {
	ID     phone.JobID    `json:"id"`
	Server phone.ServerID `json:"server_id"`
	Phones int            `json:"phones"`
	Order  int            `json:"ord"`
	// Attempt is 0 of a job about the server's shared storage, and nil of others.
	Attempt *int `json:"attempt"`
}

// saveServers writes what was decided: the request, the phones' jobs and the servers' own.
func (t *tx) saveServers(ctx context.Context, in fleet.AcceptServers, servers []phone.AcceptedServer, outcomes []phone.ServerOutcome) error {
	in.Request.Refused = len(outcomes) - len(servers)
	audit.From(ctx).About(serverNames(servers))
	var accepted []phone.Accepted
	rows := make([]serverJobInsert, len(servers))
	shared := phone.NewID[phone.JobID]()
	for i, s := range servers {
		rows[i] = serverJobInsert{ID: shared, Server: s.Server, Phones: len(s.Phones), Order: i}
		if !in.Whole {
			rows[i].ID = phone.NewID[phone.JobID]()
		}
		outcomes[s.Index].Job = rows[i].ID
		for _, a := range s.Phones {
			a.Index = len(accepted)
			accepted = append(accepted, a)
		}
	}
	if _, err := t.saveAccepted(ctx, in.Request, accepted, make([]phone.Outcome, len(accepted))); err != nil || len(rows) == 0 {
		return err
	}
	if err := t.insertServerJobs(ctx, in.Request, rows); err != nil {
		return err
	}
	ids := make([]phone.ServerID, len(servers))
	var idle []phone.ServerID
	for i, s := range servers {
		if ids[i] = s.Server; len(s.Phones) == 0 {
			idle = append(idle, s.Server)
		}
	}
	n, err := t.exec(ctx, `UPDATE servers SET doing = ?, updated_at = ? WHERE `+t.in("id")+` AND doing IN ('', 'failed')`, in.Request.Kind, t.at, list(t.dialect, ids))
	if err != nil {
		return fmt.Errorf("claim servers: %w", err)
	}
	if err := expect(n, len(ids), "servers"); err != nil {
		return err
	}
	if in.Request.Kind == phone.KindUpdate {
		if err := t.saveKeypairs(ctx, ids, in.Keypairs); err != nil {
			return err
		}
	}
	return t.endServerJobs(ctx, idle)
}

// saveKeypairs gives servers other key pairs: what is made of their phones from now on has these.
func (t *tx) saveKeypairs(ctx context.Context, servers []phone.ServerID, choices map[phone.ServerID]phone.KeypairChoice) error {
	type row struct {
		ID      phone.ServerID `json:"id"`
		Keypair string         `json:"keypair"`
	}
	rows := make([]row, len(servers))
	for i, id := range servers {
		rows[i] = row{id, choices[id].Name}
	}
	n, err := t.exec(ctx, `UPDATE servers SET keypair = v.keypair FROM `+t.records("id text", "keypair text")+` WHERE servers.id = v.id`, asJSON(rows))
	if err != nil {
		return fmt.Errorf("save the servers' key pairs: %w", err)
	}
	return expect(n, len(rows), "servers")
}

func (t *tx) insertServerJobs(ctx context.Context, r phone.Request, rows []serverJobInsert) error {
	n, err := t.exec(ctx, `INSERT INTO server_jobs (id, request_id, project_id, server_id, kind, phones, created_at, attempt)
		SELECT v.id, ?, ?, v.server_id, ?, v.phones, ?, v.attempt FROM `+t.records("id text", "server_id text", "phones bigint", "ord bigint", "attempt bigint")+` WHERE true ORDER BY v.ord`,
		r.ID, r.Project, r.Kind, micros(r.CreatedAt), asJSON(rows))
	if err != nil {
		return fmt.Errorf("write the servers' jobs: %w", err)
	}
	return expect(n, len(rows), "servers' jobs")
}

// serverNames is what the audit trail calls the servers of one call.
func serverNames(servers []phone.AcceptedServer) string {
	names := make([]string, len(servers))
	for i, s := range servers {
		names[i] = string(s.Server)
	}
	return strings.Join(names, ",")
}

// idleServers gives the servers with an unfinished job none of whose phones' jobs is unfinished. Of each it looks through the phones for one
// that has such a job, which most have until the last have ended.
func (t *tx) idleServers(ctx context.Context) ([]phone.ServerID, error) {
	return all(ctx, t, one[phone.ServerID], `SELECT s.server_id FROM server_jobs s WHERE s.ended_at IS NULL AND s.emptied_at IS NULL AND s.attempt IS NULL
		AND NOT EXISTS (SELECT 1 FROM phones p JOIN jobs j ON j.phone_id = p.id AND j.stage NOT IN ('ended', 'working')
			WHERE p.server_id = s.server_id AND j.request_id = s.request_id) ORDER BY s.server_id`)
}

// serverEnd is how the phones' jobs of a server's job have ended.
type serverEnd struct {
	job        phone.ServerJob
	unfinished int
	bad        int
	first      *phone.Failure // of the first bad one
}

// endServerJobs ends the unfinished jobs of these servers, as far as no job of their phones is unfinished. That of a deletion of which
// nothing failed does not end with it: its host is looked at first.
func (t *tx) endServerJobs(ctx context.Context, servers []phone.ServerID) error {
	if len(servers) == 0 {
		return nil
	}
	if err := t.lockServers(ctx, servers); err != nil {
		return err
	}
	jobs, err := all(ctx, t, scanServerJob, `SELECT `+serverJobColumns+` FROM server_jobs WHERE `+t.in("server_id")+` AND ended_at IS NULL AND emptied_at IS NULL AND attempt IS NULL ORDER BY server_id`+t.lock,
		list(t.dialect, servers))
	if err != nil {
		return fmt.Errorf("lock the servers' jobs: %w", err)
	}
	ends, err := t.serverEnds(ctx, jobs)
	if err != nil {
		return err
	}
	for _, end := range ends {
		switch failure := phone.ServerFailure(end.job.Kind, end.job.Phones, end.bad, end.first); {
		case end.unfinished > 0:
		case failure == nil && end.job.Kind == phone.KindDelete:
			_, err = t.exec(ctx, `UPDATE server_jobs SET emptied_at = ? WHERE id = ? AND server_id = ?`, t.at, end.job.ID, end.job.Server)
		default:
			err = t.endServerJob(ctx, end.job, failure, nil)
		}
		if err != nil {
			return fmt.Errorf("end a server's job: %w", err)
		}
	}
	return nil
}

// endServerJob ends one job, and with it what is being done with its server.
func (t *tx) endServerJob(ctx context.Context, job phone.ServerJob, failure *phone.Failure, receipt *phone.ServerReceipt) error {
	n, err := t.exec(ctx, `UPDATE server_jobs SET ended_at = ?, failure = ?, receipt = ?, owner = NULL, incarnation = NULL WHERE id = ? AND server_id = ? AND ended_at IS NULL`,
		t.at, optionalJSON(failure), optionalJSON(receipt), job.ID, job.Server)
	if err == nil {
		err = expect(n, 1, "servers' jobs")
	}
	if err != nil {
		return err
	}
	_, err = t.exec(ctx, `UPDATE servers SET doing = ?, updated_at = ? WHERE id = ?`, phone.AfterServerJob(job.Kind, failure != nil), t.at, job.Server)
	return err
}

// optionalJSON writes nil as NULL.
func optionalJSON[T any](v *T) *string {
	if v == nil {
		return nil
	}
	text := asJSON(v)
	return &text
}

// serverEnds counts the phones' jobs of the servers' jobs, which are locked, and reads the first failure of each.
func (t *tx) serverEnds(ctx context.Context, jobs []phone.ServerJob) ([]serverEnd, error) {
	type place struct {
		request phone.RequestID
		server  phone.ServerID
	}
	requests := map[phone.RequestID]bool{}
	for _, j := range jobs {
		requests[j.Request] = true
	}
	if len(jobs) == 0 {
		return nil, nil
	}
	type first struct {
		Seq int64 `json:"seq"`
	}
	counted, at := map[place]serverEnd{}, map[int64]place{}
	var firsts []first
	err := t.each(ctx, func(row scanner) error {
		var p place
		var end serverEnd
		var seq *int64
		err := row.Scan(&p.request, &p.server, &end.unfinished, &end.bad, &seq)
		if counted[p] = end; seq != nil {
			at[*seq], firsts = p, append(firsts, first{*seq})
		}
		return err
	}, `SELECT request_id, server_id, count(CASE WHEN stage <> 'ended' THEN 1 END), count(CASE WHEN phase IN ('failed', 'cancelled') THEN 1 END),
		min(CASE WHEN phase IN ('failed', 'cancelled') THEN seq END) FROM jobs WHERE `+t.in("request_id")+` GROUP BY request_id, server_id`,
		list(t.dialect, slices.Sorted(maps.Keys(requests))))
	if err != nil {
		return nil, fmt.Errorf("count the phones' jobs: %w", err)
	}
	if len(firsts) == 0 {
		firsts = []first{}
	}
	err = t.each(ctx, func(row scanner) error {
		var seq int64
		var failure *string
		if err := row.Scan(&seq, &failure); err != nil || failure == nil {
			return err
		}
		end := counted[at[seq]]
		err := fromJSON(*failure, &end.first)
		counted[at[seq]] = end
		return err
	}, `SELECT j.seq, j.failure FROM `+t.records("seq bigint")+` JOIN jobs j ON j.seq = v.seq`, asJSON(firsts))
	if err != nil {
		return nil, fmt.Errorf("read the phones' jobs: %w", err)
	}
	ends := make([]serverEnd, len(jobs))
	for i, j := range jobs {
		ends[i] = counted[place{j.Request, j.Server}]
		ends[i].job = j
	}
	return ends, nil
}

// ServerJobs gives the jobs of servers of some of the project's requests, in the order of acceptance.
func (s *Store) ServerJobs(ctx context.Context, project phone.ProjectID, requests []phone.RequestID) ([]phone.ServerJob, error) {
	return readAll(ctx, s, scanServerJob, `SELECT `+serverJobColumns+` FROM server_jobs WHERE `+s.in("request_id")+` AND project_id || '' = ? ORDER BY seq`, list(s.dialect, requests), project)
}

// ServerJob gives the project's jobs of servers that have this id, of which there are several where a call shares one, or NotFound with
// ReasonJobNotFound.
func (s *Store) ServerJob(ctx context.Context, project phone.ProjectID, id phone.JobID) ([]phone.ServerJob, error) {
	found, err := readAll(ctx, s, scanServerJob, `SELECT `+serverJobColumns+` FROM server_jobs WHERE id = ? AND project_id || '' = ? ORDER BY seq`, id, project)
	if err == nil && len(found) == 0 {
		return nil, phone.Errorf(phone.NotFound, phone.ReasonJobNotFound, "there is none with this id")
	}
	return found, err
}

// deleteServer removes a server without phones, and what hangs on it; its tags go by themselves.
func (t *tx) deleteServer(ctx context.Context, id phone.ServerID) error {
	for _, statement := range []string{
		`DELETE FROM host_images WHERE server_id = ?`, `DELETE FROM orphans WHERE server_id = ?`, `DELETE FROM server_watches WHERE server_id = ?`, `DELETE FROM servers WHERE id = ?`,
	} {
		if _, err := t.exec(ctx, statement, id); err != nil {
			return fmt.Errorf("remove the server: %w", err)
		}
	}
	return nil
}

// AbandonServer removes a server and its phones without a look at its host. What is unfinished on them ends as failed, with this failure;
// finished jobs stay. It says how many phones there were. A server that is not the project's is NotFound with ReasonServerNotFound.
func (s *Store) AbandonServer(ctx context.Context, project phone.ProjectID, id phone.ServerID, failure phone.Failure) (int, error) {
	var phones []phone.Phone
	err := s.tx(ctx, func(t *tx) error {
		if err := t.mustHave(ctx, `servers`, phone.ReasonServerNotFound, string(id), project); err != nil {
			return err
		}
		if _, err := t.exec(ctx, `SELECT id FROM servers WHERE id = ?`+t.lockRemoval, id); err != nil {
			return fmt.Errorf("lock the server: %w", err)
		}
		var err error
		if phones, err = all(ctx, t, scanPhone, `SELECT `+phoneColumns+` FROM phones WHERE server_id = ? ORDER BY id`+t.lockRemoval, id); err != nil {
			return fmt.Errorf("lock the phones: %w", err)
		}
		return t.abandon(ctx, id, phones, failure)
	})
	if err != nil {
		return 0, err
	}
	return len(phones), nil
}

func (t *tx) abandon(ctx context.Context, id phone.ServerID, phones []phone.Phone, failure phone.Failure) error {
	counts, forgotten := tally{}, audit.Change{}
	for _, p := range phones {
		counts.add(p.Project, p.Status, -1)
		forgotten.Phones = append(forgotten.Phones, string(p.ID))
	}
	if len(phones) > 0 {
		audit.From(ctx).Note("", []audit.Change{forgotten})
	}
	_, err := t.exec(ctx, `UPDATE jobs SET phase = 'failed', owner = NULL, incarnation = NULL, delivered_at = NULL, ended_at = ?, failure = ?
		WHERE phone_id IN (SELECT p.id FROM phones p WHERE p.server_id = ?) AND stage <> 'ended'`, t.at, asJSON(failure), id)
	if err != nil {
		return fmt.Errorf("end the jobs: %w", err)
	}
	if _, err := t.exec(ctx, `UPDATE server_jobs SET ended_at = ?, failure = ? WHERE server_id = ? AND ended_at IS NULL`, t.at, asJSON(failure), id); err != nil {
		return fmt.Errorf("end the server's job: %w", err)
	}
	if _, err := t.exec(ctx, `DELETE FROM phones WHERE server_id = ?`, id); err != nil {
		return fmt.Errorf("remove the phones: %w", err)
	}
	if err := t.saveTally(ctx, counts); err != nil {
		return err
	}
	return t.deleteServer(ctx, id)
}
