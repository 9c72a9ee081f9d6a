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

// AcceptRestart reads the phones, decides with phone.DecideRestart, makes the accepted ones 4 (restarting), writes the request and its
// jobs, and admits what has a slot. With a key it is as AcceptResetOnce.
func (s *Store) AcceptRestart(ctx context.Context, in fleet.AcceptPower) (phone.RequestID, []phone.Outcome, error) {
	return s.acceptPower(ctx, in, phone.DecideRestart)
}

// AcceptDelete reads the phones, decides with phone.DecideDelete, makes the accepted ones 7 (stopping), writes the request and its jobs and
// sets all of them going, for a deletion needs no boot slot. With a key it is as AcceptResetOnce.
func (s *Store) AcceptDelete(ctx context.Context, in fleet.AcceptPower) (phone.RequestID, []phone.Outcome, error) {
	return s.acceptPower(ctx, in, phone.DecideDelete)
}

type decidePower func([]phone.ResetItem, map[phone.ID]phone.ResetTarget) ([]phone.Accepted, []phone.Outcome)

func (s *Store) acceptPower(ctx context.Context, in fleet.AcceptPower, decide decidePower) (phone.RequestID, []phone.Outcome, error) {
	accept := func(t *tx) ([]phone.Outcome, error) {
		targets, err := t.lockResetTargets(ctx, in.Request.Project, in.Items)
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
		return phone.DecideUpdate(items, targets, in.Settable, in.Check)
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
