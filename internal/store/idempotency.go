package store

import (
	"context"
	"crypto/subtle"
	"fmt"
	"strings"

	"github.com/lethe-cloud/lethe/internal/audit"
	"github.com/lethe-cloud/lethe/internal/fleet"
	"github.com/lethe-cloud/lethe/internal/phone"
)

// AcceptResetOnce is AcceptReset under a key, in the same transaction: a key that stands for a request already gives that
// request's id and outcomes again and changes nothing, or is Conflict with ReasonKeyReused when the hash is another. Of
// concurrent calls with one key one is accepted and the others get its answer. A call that fails leaves the key free.
func (s *Store) AcceptResetOnce(ctx context.Context, in fleet.AcceptReset, key fleet.IdempotencyKey) (phone.RequestID, []phone.Outcome, error) {
	return s.acceptOnce(ctx, in.Request, key, func(t *tx) ([]phone.Outcome, error) { return t.acceptReset(ctx, in) })
}

// acceptOnce runs accept in a transaction, unless the key stands for an accepted request already. The key's row comes before
// every other lock.
func (s *Store) acceptOnce(ctx context.Context, r phone.Request, key fleet.IdempotencyKey, accept func(*tx) ([]phone.Outcome, error)) (phone.RequestID, []phone.Outcome, error) {
	var id phone.RequestID
	var outcomes []phone.Outcome
	err := s.tx(ctx, func(t *tx) error {
		ours, err := t.takeKey(ctx, r, key)
		if err != nil {
			return err
		}
		if !ours {
			id, outcomes, err = t.answerOf(ctx, r, key)
			audit.From(ctx).Replay(string(id))
			return err
		}
		id = r.ID
		if outcomes, err = accept(t); err != nil {
			return err
		}
		return t.saveAnswer(ctx, r, key, outcomes)
	})
	if err != nil {
		return "", nil, err
	}
	return id, outcomes, nil
}

// takeKey makes the key stand for this request, if it stands for none or has expired. It waits for another transaction that is
// taking the same key.
func (t *tx) takeKey(ctx context.Context, r phone.Request, key fleet.IdempotencyKey) (ours bool, err error) {
	n, err := t.exec(ctx, `INSERT INTO idempotency_keys (project_id, user_id, key, hash, request_id, outcomes, expires_at) VALUES (?, ?, ?, ?, ?, '', ?)
		ON CONFLICT (project_id, user_id, key) DO UPDATE SET hash = excluded.hash, request_id = excluded.request_id, outcomes = '',
		expires_at = excluded.expires_at WHERE idempotency_keys.expires_at <= ?`,
		r.Project, r.Caller, key.Key, key.Hash[:], r.ID, micros(key.Expires), t.at)
	if err != nil {
		return false, fmt.Errorf("take the idempotency key: %w", err)
	}
	return n == 1, nil
}

// answerOf gives what the key stands for.
func (t *tx) answerOf(ctx context.Context, r phone.Request, key fleet.IdempotencyKey) (phone.RequestID, []phone.Outcome, error) {
	var id phone.RequestID
	var hash []byte
	var text string
	err := t.row(ctx, `SELECT request_id, hash, outcomes FROM idempotency_keys WHERE project_id = ? AND user_id = ? AND key = ?`,
		r.Project, r.Caller, key.Key).Scan(&id, &hash, &text)
	if err != nil {
		return "", nil, fmt.Errorf("read what the idempotency key stands for: %w", err)
	}
	if subtle.ConstantTimeCompare(hash, key.Hash[:]) != 1 {
		return "", nil, &phone.Error{
			Code: phone.Conflict, Reason: phone.ReasonKeyReused, Field: "Idempotency-Key",
			Msg: "this Idempotency-Key was used for another request within the last 24 hours: use a new key, or send the first request again as it was",
		}
	}
	var kept []keptOutcome
	if err := fromJSON(text, &kept); err != nil {
		return "", nil, err
	}
	outcomes := make([]phone.Outcome, len(kept))
	for i, k := range kept {
		outcomes[i] = k.outcome()
	}
	return id, outcomes, nil
}

func (t *tx) saveAnswer(ctx context.Context, r phone.Request, key fleet.IdempotencyKey, outcomes []phone.Outcome) error {
	kept := make([]keptOutcome, len(outcomes))
	for i, o := range outcomes {
		kept[i] = keep(o)
	}
	n, err := t.exec(ctx, `UPDATE idempotency_keys SET outcomes = ? WHERE project_id = ? AND user_id = ? AND key = ?`, asJSON(kept), r.Project, r.Caller, key.Key)
	if err != nil {
		return fmt.Errorf("keep the answer: %w", err)
	}
	return expect(n, 1, "idempotency keys")
}

// keptOutcome is an outcome as the table has it: without the cause of an error, which is for the log of the first call.
type keptOutcome struct {
	PhoneID string       `json:"phone_id"`
	Server  string       `json:"server_id,omitempty"`
	Job     phone.JobID  `json:"job_id,omitempty"`
	Code    phone.Code   `json:"code,omitempty"`
	Reason  phone.Reason `json:"reason,omitempty"`
	Field   string       `json:"field,omitempty"`
	Msg     string       `json:"msg,omitempty"`
}

// maxKept bounds, in bytes, what is kept of a text that a caller made up. Edges repeat no more than that of it either.
const maxKept = 256

func keep(o phone.Outcome) keptOutcome {
	k := keptOutcome{PhoneID: cut(o.PhoneID), Server: cut(o.ServerID), Job: o.Job}
	if e := o.Err; e != nil {
		k.Code, k.Reason, k.Field, k.Msg = e.Code, e.Reason, cut(e.Field), e.Msg
	}
	return k
}

func cut(text string) string {
	if len(text) <= maxKept {
		return text
	}
	return strings.ToValidUTF8(text[:maxKept], "")
}

func (k keptOutcome) outcome() phone.Outcome {
	o := phone.Outcome{PhoneID: k.PhoneID, ServerID: k.Server, Job: k.Job}
	if k.Code != "" {
		o.Err = &phone.Error{Code: k.Code, Reason: k.Reason, Field: k.Field, Msg: k.Msg}
	}
	return o
}

// expiredKeys is how many expired keys one sweep deletes at most, so that it holds nobody up.
const expiredKeys = 1000

func (t *tx) deleteExpiredKeys(ctx context.Context) error {
	_, err := t.exec(ctx, `DELETE FROM idempotency_keys WHERE (project_id, user_id, key) IN
		(SELECT project_id, user_id, key FROM idempotency_keys WHERE expires_at <= ? ORDER BY expires_at LIMIT ?) AND expires_at <= ?`, t.at, expiredKeys, t.at)
	if err != nil {
		return fmt.Errorf("delete expired idempotency keys: %w", err)
	}
	return nil
}
