package store

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/lethe-cloud/lethe/internal/phone"
)

const (
	// maxStarts in startsWithin: a phone that has died so often is not started again, for the next start would not help it either.
	maxStarts    = 3
	startsWithin = time.Hour
)

// Died makes running phones abnormal (-7) whose instances were found ended or gone, and gives those that it made so. A phone that
// is not as it was when that was found (another status or life, or changed at all since) is left alone. Those that are to be
// started again get a job each, under one request, and have the status of that (4) from then on; what has a slot is admitted.
func (s *Store) Died(ctx context.Context, server phone.ServerID, deaths []phone.Death) ([]phone.Died, error) {
	if len(deaths) == 0 {
		return nil, nil
	}
	var died []phone.Died
	err := s.tx(ctx, func(t *tx) error {
		if _, err := t.exec(ctx, `SELECT id FROM servers WHERE id = ?`+t.lock, server); err != nil {
			return fmt.Errorf("lock the server: %w", err)
		}
		dead, err := t.lockDead(ctx, server, deaths)
		if err != nil || len(dead) == 0 {
			died = nil
			return err
		}
		if err := t.tooOften(ctx, dead); err != nil {
			return err
		}
		if err := t.markDead(ctx, dead); err != nil {
			return err
		}
		ids := make([]phone.ID, len(dead))
		for i, d := range dead {
			ids[i] = d.ID
		}
		if err := t.endTasks(ctx, ids, phone.KindStart); err != nil {
			return err
		}
		died, err = t.startDead(ctx, server, dead)
		return err
	})
	if err != nil {
		return nil, err
	}
	return died, nil
}

// deadPhone is a phone that has died, and how.
type deadPhone struct {
	phone.Phone
	phone.Death
}

// lockDead locks the phones and gives those that are still what they were when they were found dead, in the order of their ids.
func (t *tx) lockDead(ctx context.Context, server phone.ServerID, deaths []phone.Death) ([]deadPhone, error) {
	ids := make([]phone.ID, len(deaths))
	of := make(map[phone.ID]phone.Death, len(deaths))
	for i, d := range deaths {
		ids[i], of[d.Phone] = d.Phone, d
	}
	var found []deadPhone
	err := t.each(ctx, func(row scanner) error {
		p, err := scanPhone(row)
		if d := of[p.ID]; p.Generation == d.Generation && p.UpdatedAt.Equal(d.UpdatedAt) {
			found = append(found, deadPhone{p, d})
		}
		return err
	}, `SELECT `+phoneColumns+` FROM phones WHERE `+t.in("id")+` AND server_id = ? AND status = ? ORDER BY id`+t.lock, list(t.dialect, ids), server, phone.StatusRunning)
	if err != nil {
		return nil, fmt.Errorf("lock phones: %w", err)
	}
	busy, err := t.busy(ctx, ids) // a job that keeps the status may be at work
	if err != nil {
		return nil, err
	}
	return slices.DeleteFunc(found, func(d deadPhone) bool { return busy[d.ID] }), nil
}

// tooOften takes the start from phones that were started again too often.
func (t *tx) tooOften(ctx context.Context, dead []deadPhone) error {
	ids := make([]phone.ID, len(dead))
	for i, d := range dead {
		ids[i] = d.ID
	}
	starts := map[phone.ID]int{}
	err := t.each(ctx, func(row scanner) error {
		var id phone.ID
		var n int
		err := row.Scan(&id, &n)
		starts[id] = n
		return err
	}, `SELECT phone_id, count(*) FROM jobs WHERE `+t.in("phone_id")+` AND kind = 'start' AND created_at > ? GROUP BY phone_id`,
		list(t.dialect, ids), t.at-startsWithin.Microseconds())
	if err != nil {
		return fmt.Errorf("count starts: %w", err)
	}
	for i := range dead {
		if d := &dead[i]; d.Start && starts[d.ID] >= maxStarts {
			d.Start = false
			d.Death.Cause = fmt.Sprintf("it was started again %d times within %s and is left as it is: reset the phone; %s", maxStarts, startsWithin, d.Death.Cause)
		}
	}
	return nil
}

func (t *tx) markDead(ctx context.Context, dead []deadPhone) error {
	type row struct {
		ID    phone.ID `json:"id"`
		Cause string   `json:"cause"`
	}
	rows, counts := make([]row, len(dead)), tally{}
	for i, d := range dead {
		rows[i] = row{ID: d.ID, Cause: d.Death.Cause}
		counts.add(d.Project, phone.StatusRunning, -1)
		counts.add(d.Project, phone.StatusAbnormal, 1)
	}
	n, err := t.exec(ctx, `UPDATE phones SET status = ?, cause = v.cause, updated_at = ? FROM `+t.records("id text", "cause text")+
		` WHERE phones.id = v.id AND phones.status = ?`, phone.StatusAbnormal, t.at, asJSON(rows), phone.StatusRunning)
	if err != nil {
		return fmt.Errorf("mark phones: %w", err)
	}
	if err := expect(n, len(dead), "phones"); err != nil {
		return err
	}
	return t.saveTally(ctx, counts)
}

// startDead gives the phones that are to be started again their jobs. They are abnormal already: that is their prior status.
func (t *tx) startDead(ctx context.Context, server phone.ServerID, dead []deadPhone) ([]phone.Died, error) {
	died := make([]phone.Died, len(dead))
	var jobs []jobInsert
	var ids []phone.ID
	counts := tally{}
	for i, d := range dead {
		died[i] = phone.Died{Phone: d.ID, Cause: d.Death.Cause}
		if !d.Start {
			continue
		}
		job := jobOn(d.Phone, len(jobs))
		job.PriorStatus = phone.StatusAbnormal
		died[i].Job = job.ID
		jobs = append(jobs, job)
		ids = append(ids, d.ID)
		counts.add(d.Project, phone.StatusAbnormal, -1)
		counts.add(d.Project, phone.StatusRestarting, 1)
	}
	if len(jobs) == 0 {
		return died, nil
	}
	request := phone.Request{ID: phone.NewID[phone.RequestID](), Project: dead[0].Project, Kind: phone.KindStart, Caller: startCaller, CreatedAt: timeOf(t.at)}
	if err := t.insertRequest(ctx, request, false); err != nil {
		return nil, err
	}
	if err := t.insertJobs(ctx, request, jobs, len(jobs)); err != nil {
		return nil, err
	}
	n, err := t.exec(ctx, `UPDATE phones SET status = ? WHERE `+t.in("id")+` AND status = ?`, phone.StatusRestarting, list(t.dialect, ids), phone.StatusAbnormal)
	if err != nil {
		return nil, fmt.Errorf("claim phones: %w", err)
	}
	if err := expect(n, len(jobs), "phones"); err != nil {
		return nil, err
	}
	if err := t.saveTally(ctx, counts); err != nil {
		return nil, err
	}
	return died, t.admit(ctx, []phone.ServerID{server})
}

// startCaller stands for a user in requests that nobody made.
const startCaller = "lethe"
