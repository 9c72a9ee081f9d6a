package store

import (
	"context"
	"database/sql"
	"errors"

	"github.com/lethe-cloud/lethe/internal/fleet"
	"github.com/lethe-cloud/lethe/internal/phone"
)

// Job gives one of the project's jobs, or NotFound with ReasonJobNotFound.
func (s *Store) Job(ctx context.Context, project phone.ProjectID, id phone.JobID) (phone.Job, error) {
	return readOne(ctx, s, phone.ReasonJobNotFound, scanJob, `SELECT `+jobColumns+` FROM jobs WHERE id = ? AND project_id = ?`, id, project)
}

// Jobs gives jobs in the order of acceptance, or the other way round.
func (s *Store) Jobs(ctx context.Context, f fleet.JobFilter) ([]phone.Job, error) {
	w := s.whereJobs(f)
	return readAll(ctx, s, scanJob, `SELECT `+jobColumns+` FROM jobs`+w.String()+` ORDER BY `+jobOrder(f)+` LIMIT ? OFFSET ?`,
		append(w.args, page(f.Offset, f.Limit)...)...)
}

// JobsAfter gives the jobs that follow a place, in the order of Jobs, and where the next page begins.
func (s *Store) JobsAfter(ctx context.Context, f fleet.JobFilter, after fleet.Place) ([]phone.Job, *fleet.Place, error) {
	w := s.whereJobs(f)
	switch {
	case after.Order == 0:
	case f.Newest:
		w.add("seq < ?", after.Order)
	default:
		w.add("seq > ?", after.Order)
	}
	var places []fleet.Place
	jobs, err := readAll(ctx, s, func(row scanner) (phone.Job, error) {
		var r jobRow
		var p fleet.Place
		if err := row.Scan(append(r.into(), &p.Order)...); err != nil {
			return phone.Job{}, err
		}
		places = append(places, p)
		return r.job()
	}, `SELECT `+jobColumns+`, seq FROM jobs`+w.String()+` ORDER BY `+jobOrder(f)+` LIMIT ?`, append(w.args, f.Limit+1)...)
	if err != nil || len(jobs) <= f.Limit {
		return jobs, nil, err
	}
	return jobs[:f.Limit], &places[f.Limit-1], nil
}

func (s *Store) whereJobs(f fleet.JobFilter) where {
	var w where
	w.project(f.Project, len(f.Requests) > 0 || f.Phone != "" || f.Server != "")
	if len(f.Requests) > 0 {
		w.add(s.in("request_id"), list(s.dialect, f.Requests))
	}
	w.text("phone_id", string(f.Phone))
	w.text("server_id", string(f.Server))
	return w
}

func jobOrder(f fleet.JobFilter) string {
	if f.Newest {
		return "seq DESC"
	}
	return "seq"
}

// Request gives one of the project's requests, or NotFound with ReasonRequestNotFound.
func (s *Store) Request(ctx context.Context, project phone.ProjectID, id phone.RequestID) (phone.Request, error) {
	return readOne(ctx, s, phone.ReasonRequestNotFound, scanRequest, `SELECT `+requestColumns+` FROM requests WHERE id = ? AND project_id = ?`, id, project)
}

// Unfinished reports whether a request has an unfinished job. Jobs are worked in about the order of acceptance, so the last one is
// looked at first and most often says it; the || ” keeps the database to the request's own index.
func (s *Store) Unfinished(ctx context.Context, id phone.RequestID) (bool, error) {
	found, err := readAll(ctx, s, one[int], `SELECT 1 FROM jobs WHERE request_id = ? AND stage || '' <> 'ended' ORDER BY request_id DESC, seq DESC LIMIT 1`, id)
	if err != nil || len(found) > 0 {
		return len(found) > 0, err
	}
	found, err = readAll(ctx, s, one[int], `SELECT 1 FROM server_jobs WHERE request_id = ? AND ended_at IS NULL LIMIT 1`, id)
	return len(found) > 0, err
}

// Progress counts the jobs of one of the project's requests, or is NotFound with ReasonRequestNotFound.
func (s *Store) Progress(ctx context.Context, project phone.ProjectID, id phone.RequestID) (phone.Progress, error) {
	p := phone.Progress{ByPhase: map[phone.Phase]int{}, Finished: true}
	err := s.view(ctx, func(t *tx) error {
		var err error
		p.Request, err = scanRequest(t.row(ctx, `SELECT `+requestColumns+` FROM requests WHERE id = ? AND project_id = ?`, id, project))
		if errors.Is(err, sql.ErrNoRows) {
			return phone.Errorf(phone.NotFound, phone.ReasonRequestNotFound, "there is no request with this id")
		}
		if err != nil {
			return err
		}
		p.Servers, err = all(ctx, t, scanServerJob, `SELECT `+serverJobColumns+` FROM server_jobs WHERE request_id = ? ORDER BY seq`, id)
		if err != nil {
			return err
		}
		for _, j := range p.Servers {
			p.Finished = p.Finished && j.Status() != phone.JobRunning
		}
		return t.each(ctx, func(row scanner) error {
			var phase phone.Phase
			var n, erased int
			if err := row.Scan(&phase, &n, &erased); err != nil {
				return err
			}
			p.Total += n
			p.ByPhase[phase] = n
			p.Erased += erased
			p.Finished = p.Finished && phase.Final()
			return nil
		}, `SELECT phase, count(*), count(CASE WHEN erase = 'done' THEN 1 END) FROM jobs WHERE request_id = ? GROUP BY phase`, id)
	})
	if err != nil {
		return phone.Progress{}, err
	}
	return p, nil
}
