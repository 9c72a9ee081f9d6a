package store

import (
	"context"
	"fmt"

	"github.com/lethe-cloud/lethe/internal/fleet"
	"github.com/lethe-cloud/lethe/internal/phone"
)

// AcceptStop reads the phones, decides with phone.DecideStop, makes the accepted ones 7 (stopping), writes the request and its jobs and
// sets all of them going, for a stop needs no boot slot. With a key it is as AcceptResetOnce.
func (s *Store) AcceptStop(ctx context.Context, in fleet.AcceptPower) (phone.RequestID, []phone.Outcome, error) {
	return s.acceptPower(ctx, in, phone.DecideStop)
}

// AcceptRestart reads the phones and the image, decides with phone.DecideRestart, makes the accepted ones 4 (restarting), writes the request
// and its jobs, and admits what has a slot. An image that is none, or none for this project, is as in AcceptReset. With a key it is as
// AcceptResetOnce.
func (s *Store) AcceptRestart(ctx context.Context, in fleet.AcceptRestart) (phone.RequestID, []phone.Outcome, error) {
	return s.accept(ctx, in.Request, in.Key, func(t *tx) ([]phone.Outcome, error) {
		image, err := t.namedImage(ctx, in.Request.Project, in.Image)
		if err != nil {
			return nil, err
		}
		targets, err := t.resetTargets(ctx, in.Request.Project, in.Items)
		if err == nil && image != nil {
			err = t.readSystems(ctx, targets)
		}
		if err != nil {
			return nil, err
		}
		accepted, outcomes, err := phone.DecideRestart(in.Items, targets, image, in.Check)
		if err != nil {
			return nil, err
		}
		return t.saveAccepted(ctx, in.Request, accepted, outcomes)
	})
}

// readSystems fills in which Android the phones have.
func (t *tx) readSystems(ctx context.Context, targets map[phone.ID]phone.ResetTarget) error {
	images := make([]phone.ImageID, 0, len(targets))
	for _, target := range targets {
		images = append(images, target.Phone.Image)
	}
	systems := map[phone.ImageID]string{}
	err := t.each(ctx, func(row scanner) error {
		var id phone.ImageID
		var system string
		err := row.Scan(&id, &system)
		systems[id] = system
		return err
	}, `SELECT id, os_name FROM images WHERE `+t.in("id"), list(t.dialect, images))
	if err != nil {
		return fmt.Errorf("read the phones' images: %w", err)
	}
	for id, target := range targets {
		target.System = systems[target.Phone.Image]
		targets[id] = target
	}
	return nil
}

// AcceptDelete reads the phones, decides with phone.DecideDelete, makes the accepted ones 7 (stopping), writes the request and its jobs and
// sets all of them going, for a deletion needs no boot slot. With a key it is as AcceptResetOnce.
func (s *Store) AcceptDelete(ctx context.Context, in fleet.AcceptPower) (phone.RequestID, []phone.Outcome, error) {
	return s.acceptPower(ctx, in, phone.DecideDelete)
}

type decidePower func([]phone.ResetItem, map[phone.ID]phone.ResetTarget) ([]phone.Accepted, []phone.Outcome)

func (s *Store) acceptPower(ctx context.Context, in fleet.AcceptPower, decide decidePower) (phone.RequestID, []phone.Outcome, error) {
	accept := func(t *tx) ([]phone.Outcome, error) {
		targets, err := t.resetTargets(ctx, in.Request.Project, in.Items)
		if err != nil {
			return nil, err
		}
		accepted, outcomes := decide(in.Items, targets)
		return t.saveAccepted(ctx, in.Request, accepted, outcomes)
	}
	return s.accept(ctx, in.Request, in.Key, accept)
}

// accept runs accept in one transaction, under a key where there is one.
func (s *Store) accept(ctx context.Context, r phone.Request, key *fleet.IdempotencyKey, accept func(*tx) ([]phone.Outcome, error)) (phone.RequestID, []phone.Outcome, error) {
	if key != nil {
		return s.acceptOnce(ctx, r, *key, accept)
	}
	var outcomes []phone.Outcome
	err := s.tx(ctx, func(t *tx) error {
		var err error
		outcomes, err = accept(t)
		return err
	})
	if err != nil {
		return "", nil, err
	}
	return r.ID, outcomes, nil
}

// AcceptUpdate reads the phones, decides with phone.DecideUpdate, writes the request and its jobs and sets all of them going. The phones
// keep their status. With a key it is as AcceptResetOnce.
func (s *Store) AcceptUpdate(ctx context.Context, in fleet.AcceptUpdate) (phone.RequestID, []phone.Outcome, error) {
	return s.acceptPower(ctx, in.AcceptPower, func(items []phone.ResetItem, targets map[phone.ID]phone.ResetTarget) ([]phone.Accepted, []phone.Outcome) {
		return phone.DecideUpdate(items, targets, in.Check)
	})
}

// setAtOnce sets jobs going that were queued in this transaction: no slot is to be waited for.
func (t *tx) setAtOnce(ctx context.Context, phase phone.Phase, jobs []jobInsert) error {
	ids := make([]phone.JobID, len(jobs))
	for i, j := range jobs {
		ids[i] = j.ID
	}
	err := t.setGoing(ctx, ids, `phase = ?, stopping_at = CASE WHEN ? = 'stopping' THEN CAST(? AS BIGINT) END, deleting_at = CASE WHEN ? = 'deleting' THEN CAST(? AS BIGINT) END,
		verifying_at = CASE WHEN ? = 'verifying' THEN CAST(? AS BIGINT) END`, phase, phase, t.at, phase, t.at, phase, t.at)
	if err != nil {
		return fmt.Errorf("set jobs going: %w", err)
	}
	return nil
}
