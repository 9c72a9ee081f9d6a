package store

import (
	"context"
	"fmt"

	"github.com/lethe-cloud/lethe/internal/phone"
)

// Died makes running phones abnormal (-7) whose instances were found ended or gone, and gives those that it made so. A phone that
// is not as it was when that was found (another status or life, or changed at all since) is left alone.
func (s *Store) Died(ctx context.Context, server phone.ServerID, deaths []phone.Death) ([]phone.ID, error) {
	if len(deaths) == 0 {
		return nil, nil
	}
	var died []phone.ID
	err := s.tx(ctx, func(t *tx) error {
		found, err := t.lockDead(ctx, server, deaths)
		if err != nil {
			return err
		}
		died, err = t.markDead(ctx, found)
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
	return found, nil
}

func (t *tx) markDead(ctx context.Context, dead []deadPhone) ([]phone.ID, error) {
	if len(dead) == 0 {
		return nil, nil
	}
	type row struct {
		ID    phone.ID `json:"id"`
		Cause string   `json:"cause"`
	}
	rows, ids, counts := make([]row, len(dead)), make([]phone.ID, len(dead)), tally{}
	for i, d := range dead {
		rows[i], ids[i] = row{ID: d.ID, Cause: d.Death.Cause}, d.ID
		counts.add(d.Project, phone.StatusRunning, -1)
		counts.add(d.Project, phone.StatusAbnormal, 1)
	}
	n, err := t.exec(ctx, `UPDATE phones SET status = ?, cause = v.cause, updated_at = ? FROM `+t.records("id text", "cause text")+
		` WHERE phones.id = v.id AND phones.status = ?`, phone.StatusAbnormal, t.at, asJSON(rows), phone.StatusRunning)
	if err != nil {
		return nil, fmt.Errorf("mark phones: %w", err)
	}
	if err := expect(n, len(dead), "phones"); err != nil {
		return nil, err
	}
	return ids, t.saveTally(ctx, counts)
}
