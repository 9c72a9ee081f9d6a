package store

import (
	"context"
	"fmt"

	"github.com/lethe-cloud/lethe/internal/account"
	"github.com/lethe-cloud/lethe/internal/fleet"
)

// AddUser writes a user and its access key, if that has an id.
func (s *Store) AddUser(ctx context.Context, user account.User, key account.AccessKey) error {
	return s.change(ctx, user.Account, func(t *tx) error {
		if err := t.withinQuota(ctx, account.MaxUsers, "users", `SELECT count(*) FROM users WHERE account_id = ?`, user.Account); err != nil {
			return err
		}
		return t.insertUser(ctx, user, key)
	})
}

// Users gives the account's users by name.
func (s *Store) Users(ctx context.Context, accountID string) ([]account.User, error) {
	return readAll(ctx, s, scanUser, `SELECT `+userColumns+` FROM users WHERE account_id = ? ORDER BY name`, accountID)
}

// User gives a user with its groups and with what was granted to it and to them.
func (s *Store) User(ctx context.Context, accountID, name string) (fleet.UserDetail, error) {
	var detail fleet.UserDetail
	err := s.view(ctx, func(t *tx) error {
		var err error
		detail.User, err = scanUser(t.row(ctx, `SELECT `+userColumns+` FROM users WHERE account_id = ? AND name = ?`, accountID, name))
		if err != nil {
			return missingUser(err)
		}
		detail.Groups, err = all(ctx, t, one[string], `SELECT g.name FROM group_members m JOIN user_groups g ON g.id = m.group_id
			WHERE m.user_id = ? ORDER BY g.name`, detail.User.ID)
		if err != nil {
			return err
		}
		detail.Grants, err = t.attachments(ctx, `g.user_id = ? OR g.group_id IN (SELECT group_id FROM group_members WHERE user_id = ?)`,
			detail.User.ID, detail.User.ID)
		return err
	})
	return detail, err
}

// changeUser changes a user by its name.
func (s *Store) changeUser(ctx context.Context, accountID, name string, fn func(t *tx, userID string) error) error {
	return s.change(ctx, accountID, func(t *tx) error {
		id, err := t.userID(ctx, accountID, name)
		if err != nil {
			return err
		}
		return fn(t, id)
	})
}

// SetPolicies replaces a user's own policies.
func (s *Store) SetPolicies(ctx context.Context, accountID, name string, policies []account.Policy) error {
	return s.changeUser(ctx, accountID, name, func(t *tx, id string) error {
		_, err := t.exec(ctx, `UPDATE users SET policies = ?, epoch = epoch + 1 WHERE id = ?`, policiesJSON(policies), id)
		return err
	})
}

// SetPassword replaces the hash of a user's password.
func (s *Store) SetPassword(ctx context.Context, accountID, name, hash string) error {
	return s.changeUser(ctx, accountID, name, func(t *tx, id string) error {
		_, err := t.exec(ctx, `UPDATE users SET password_hash = ?, epoch = epoch + 1 WHERE id = ?`, hash, id)
		return err
	})
}

// SetUserDisabled lets nobody call as a user, or lets it call again.
func (s *Store) SetUserDisabled(ctx context.Context, accountID, name string, disabled bool) error {
	return s.changeUser(ctx, accountID, name, func(t *tx, id string) error {
		_, err := t.exec(ctx, `UPDATE users SET disabled = ?, epoch = epoch + 1 WHERE id = ?`, disabled, id)
		return err
	})
}

// DeleteUser removes a user with its keys, tokens, memberships and grants.
func (s *Store) DeleteUser(ctx context.Context, accountID, name string) error {
	return s.changeUser(ctx, accountID, name, func(t *tx, id string) error {
		if err := t.lockForRemoval(ctx, "users", id); err != nil { // nobody gives it a token in the meantime
			return err
		}
		for _, table := range []string{"tokens", "access_keys", "group_members", "grants"} {
			if _, err := t.exec(ctx, `DELETE FROM `+table+` WHERE user_id = ?`, id); err != nil {
				return fmt.Errorf("remove what the user has: %w", err)
			}
		}
		_, err := t.exec(ctx, `DELETE FROM users WHERE id = ?`, id)
		return err
	})
}

// AddKey gives a user a further access key.
func (s *Store) AddKey(ctx context.Context, accountID, user string, key account.AccessKey) error {
	return s.changeUser(ctx, accountID, user, func(t *tx, id string) error {
		err := t.withinQuota(ctx, account.MaxKeys, "access keys of the user", `SELECT count(*) FROM access_keys WHERE user_id = ?`, id)
		if err != nil {
			return err
		}
		return t.insertKey(ctx, id, key)
	})
}

// Keys gives a user's access keys without their secrets, the oldest first.
func (s *Store) Keys(ctx context.Context, accountID, user string) ([]account.AccessKey, error) {
	var keys []account.AccessKey
	err := s.view(ctx, func(t *tx) error {
		id, err := t.userID(ctx, accountID, user)
		if err != nil {
			return err
		}
		keys, err = all(ctx, t, scanKey, `SELECT id, user_id, disabled, created_at FROM access_keys WHERE user_id = ? ORDER BY created_at, id`, id)
		return err
	})
	return keys, err
}

func scanKey(row scanner) (account.AccessKey, error) {
	var key account.AccessKey
	var created int64
	err := row.Scan(&key.ID, &key.User, &key.Disabled, &created)
	key.CreatedAt = timeOf(created)
	return key, err
}

// SetKeyDisabled takes an access key out of use, or puts it back.
func (s *Store) SetKeyDisabled(ctx context.Context, accountID, user, key string, disabled bool) error {
	return s.changeKey(ctx, accountID, user, `UPDATE access_keys SET disabled = ? WHERE id = ? AND user_id = ?`, disabled, key)
}

// DeleteKey removes an access key.
func (s *Store) DeleteKey(ctx context.Context, accountID, user, key string) error {
	return s.changeKey(ctx, accountID, user, `DELETE FROM access_keys WHERE id = ? AND user_id = ?`, key)
}

func (s *Store) changeKey(ctx context.Context, accountID, user, statement string, args ...any) error {
	return s.changeUser(ctx, accountID, user, func(t *tx, id string) error {
		n, err := t.exec(ctx, statement, append(args[:len(args):len(args)], id)...)
		if err != nil {
			return err
		}
		if n == 0 {
			return fleet.NoSuch("access key")
		}
		return t.outdate(ctx, `id = ?`, id)
	})
}
