package store

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/lethe-cloud/lethe/internal/account"
	"github.com/lethe-cloud/lethe/internal/phone"
	"github.com/lethe-cloud/lethe/internal/seal"
)

// checkText is what installation.key_check says when it is opened; it is sealed for the installation's own id.
const checkText = "lethe"

// sealStep is how many access keys one transaction seals.
const sealStep = 500

// sealed gives a secret key as the table keeps it.
func (s *Store) sealed(k account.AccessKey) (string, error) {
	if s.keys.Empty() {
		return "", errors.New("the store was opened without the installation's key")
	}
	return s.keys.Seal(keyOwner(k.ID), k.Secret), nil
}

// unsealed gives an access key with its secret as it is used. One that another key has sealed is Unavailable: this process was
// given an old key file.
func (s *Store) unsealed(k account.AccessKey) (account.AccessKey, error) {
	secret, err := s.keys.Open(keyOwner(k.ID), k.Secret)
	switch {
	case errors.Is(err, seal.ErrForeign):
		return account.AccessKey{}, &phone.Error{
			Code: phone.Unavailable, Msg: "this replica does not have the key that access keys are encrypted with: give it the installation's key file", Err: err,
		}
	case err != nil:
		return account.AccessKey{}, fmt.Errorf("open access key %s: %w", k.ID, err)
	}
	k.Secret = secret
	return k, nil
}

func keyOwner(accessKey string) string { return "access_key\x00" + accessKey }

// useKeys holds the keys against the database, and sees to it that nothing there is plain, or sealed with another key than the
// first. A database that belongs to another key is Precondition with ReasonKeyForeign, and nothing is changed.
func (s *Store) useKeys(ctx context.Context, keys seal.Keys) error {
	if keys.Empty() {
		return nil
	}
	s.keys = keys
	if err := s.tx(ctx, func(t *tx) error { return t.checkKeys(ctx) }); err != nil {
		return err
	}
	if !s.postgres {
		// What is overwritten must not stay in the file: neither in pages that are free now nor in the log.
		if _, err := s.write.ExecContext(ctx, `PRAGMA secure_delete = ON`); err != nil {
			return fmt.Errorf("seal access keys: %w", err)
		}
	}
	total := 0
	for after := ""; ; {
		next, n, err := s.sealSome(ctx, after)
		if err != nil {
			return fmt.Errorf("seal access keys: %w", err)
		}
		if total += n; next == "" {
			break
		}
		after = next
	}
	if total > 0 {
		s.log.Info("access keys encrypted with the installation's key", "access_keys", total, "key", keys.ID())
	}
	if s.postgres {
		return nil
	}
	if total > 0 {
		if _, err := s.write.ExecContext(ctx, `PRAGMA wal_checkpoint(TRUNCATE)`); err != nil {
			return fmt.Errorf("seal access keys: %w", err)
		}
	}
	_, err := s.write.ExecContext(ctx, `PRAGMA secure_delete = OFF`)
	return err
}

func (t *tx) checkKeys(ctx context.Context) error {
	if err := t.lockInstallation(ctx); err != nil {
		return err
	}
	var id, check string
	if err := t.row(ctx, `SELECT id, key_check FROM installation`).Scan(&id, &check); err != nil {
		return err
	}
	owner := "installation\x00" + id
	if check != "" {
		if text, err := t.keys.Open(owner, check); err != nil || text != checkText {
			return &phone.Error{
				Code: phone.Precondition, Reason: phone.ReasonKeyForeign,
				Msg: "the key file is not this installation's: its access keys are encrypted with another key. Every replica needs the same key file: copy it from the data folder of one that works, or from its backup",
				Err: err,
			}
		}
	}
	if strings.HasPrefix(check, t.keys.Prefix()) {
		return nil
	}
	_, err := t.exec(ctx, `UPDATE installation SET key_check = ?`, t.keys.Seal(owner, checkText))
	return err
}

// sealSome looks at the access keys whose ids follow after, and seals those that are plain, or sealed with a key that is not the
// first. It gives the last id that it looked at, "" at the end, and how many it sealed.
func (s *Store) sealSome(ctx context.Context, after string) (next string, n int, err error) {
	type row struct {
		ID     string `json:"id"`
		Secret string `json:"secret"`
	}
	err = s.tx(ctx, func(t *tx) error {
		var rows []row
		seen := 0
		next = ""
		err := t.each(ctx, func(r scanner) error {
			var k account.AccessKey
			if err := r.Scan(&k.ID, &k.Secret); err != nil {
				return err
			}
			if seen++; seen == sealStep {
				next = k.ID
			}
			if strings.HasPrefix(k.Secret, t.keys.Prefix()) {
				return nil
			}
			if seal.Sealed(k.Secret) {
				var err error
				if k, err = t.unsealed(k); err != nil {
					return err
				}
			}
			text, err := t.sealed(k)
			rows = append(rows, row{ID: k.ID, Secret: text})
			return err
		}, `SELECT id, secret FROM access_keys WHERE id > ? ORDER BY id LIMIT ?`+t.lock, after, sealStep)
		if n = len(rows); err != nil || n == 0 {
			return err
		}
		_, err = t.exec(ctx, `UPDATE access_keys SET secret = v.secret FROM `+t.records("id text", "secret text")+` WHERE access_keys.id = v.id`, asJSON(rows))
		return err
	})
	return next, n, err
}
