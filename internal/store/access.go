package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"github.com/lethe-cloud/lethe/internal/account"
	"github.com/lethe-cloud/lethe/internal/fleet"
	"github.com/lethe-cloud/lethe/internal/phone"
)

// AddAccount writes an account with its projects, its owner and the owner's access key.
func (s *Store) AddAccount(ctx context.Context, who account.Identity, key account.AccessKey) error {
	return s.tx(ctx, func(t *tx) error { return t.insertAccount(ctx, who, key) })
}

// Accounts gives all accounts by name.
func (s *Store) Accounts(ctx context.Context) ([]account.Account, error) {
	return readAll(ctx, s, scanAccount, `SELECT `+accountColumns+` FROM accounts ORDER BY name`)
}

// SetOwnHosts says whether an account may add servers.
func (s *Store) SetOwnHosts(ctx context.Context, name string, may bool) error {
	return s.tx(ctx, func(t *tx) error {
		n, err := t.exec(ctx, `UPDATE accounts SET own_hosts = ? WHERE name = ?`, may, name)
		if err == nil && n == 0 {
			return fleet.NoSuch("account")
		}
		return err
	})
}

// DeleteAccount removes an account with everything in it.
func (s *Store) DeleteAccount(ctx context.Context, name string) error {
	return s.tx(ctx, func(t *tx) error {
		a, err := scanAccount(t.row(ctx, `SELECT `+accountColumns+` FROM accounts WHERE name = ?`+t.lockRemoval, name))
		switch {
		case errors.Is(err, sql.ErrNoRows):
			return fleet.NoSuch("account")
		case err != nil:
			return err
		case a.Operator:
			return phone.Errorf(phone.Precondition, "", "the account %s operates the installation: it cannot be deleted", name)
		}
		projects, err := all(ctx, t, one[string], `SELECT id FROM projects WHERE account_id = ? ORDER BY id`+t.lockRemoval, a.ID)
		if err != nil {
			return err
		}
		if err := t.empty(ctx, projects, "the account has a project with servers, phones or buckets: delete those first"); err != nil {
			return err
		}
		const users = ` IN (SELECT id FROM users WHERE account_id = ?)`
		for _, statement := range []string{
			`DELETE FROM tokens WHERE user_id` + users,
			`DELETE FROM access_keys WHERE user_id` + users,
			`DELETE FROM group_members WHERE user_id` + users,
			`DELETE FROM grants WHERE user_id` + users,
			`DELETE FROM grants WHERE group_id IN (SELECT id FROM user_groups WHERE account_id = ?)`,
			`DELETE FROM user_groups WHERE account_id = ?`,
			`DELETE FROM policies WHERE account_id = ?`,
			`DELETE FROM users WHERE account_id = ?`,
		} {
			if _, err := t.exec(ctx, statement, a.ID); err != nil {
				return fmt.Errorf("remove what the account has: %w", err)
			}
		}
		if err := t.deleteProjects(ctx, projects); err != nil {
			return err
		}
		_, err = t.exec(ctx, `DELETE FROM accounts WHERE id = ?`, a.ID)
		return err
	})
}

// change runs fn after it has locked the account: of two changes to who may do what in one account, one follows the other.
func (s *Store) change(ctx context.Context, accountID string, fn func(*tx) error) error {
	return s.tx(ctx, func(t *tx) error {
		if err := t.lockAccount(ctx, accountID); err != nil {
			return err
		}
		return fn(t)
	})
}

func (t *tx) lockAccount(ctx context.Context, accountID string) error {
	var id string
	err := t.row(ctx, `SELECT id FROM accounts WHERE id = ?`+t.lock, accountID).Scan(&id)
	if errors.Is(err, sql.ErrNoRows) {
		return phone.Errorf(phone.Precondition, "", "the account does not exist any more")
	}
	return err
}

// withinQuota refuses one more than most; query counts what there is.
func (t *tx) withinQuota(ctx context.Context, most int, what, query string, args ...any) error {
	var n int
	if err := t.row(ctx, query, args...).Scan(&n); err != nil {
		return fmt.Errorf("count: %w", err)
	}
	if n >= most {
		return phone.Errorf(phone.Exhausted, "", "there are %d %s already, which is as many as there may be: delete one first", n, what)
	}
	return nil
}

// idOf finds the id of what has a name in the account.
func (t *tx) idOf(ctx context.Context, kind, table, accountID, name string) (string, error) {
	var id string
	err := t.row(ctx, `SELECT id FROM `+table+` WHERE account_id = ? AND name = ?`, accountID, name).Scan(&id)
	if errors.Is(err, sql.ErrNoRows) {
		return "", fleet.NoSuch(kind)
	}
	return id, err
}

func (t *tx) projectID(ctx context.Context, accountID, name string) (string, error) {
	return t.idOf(ctx, "project", "projects", accountID, name)
}

func (t *tx) userID(ctx context.Context, accountID, name string) (string, error) {
	return t.idOf(ctx, "user", "users", accountID, name)
}

func (t *tx) groupID(ctx context.Context, accountID, name string) (string, error) {
	return t.idOf(ctx, "group", "user_groups", accountID, name)
}

func (t *tx) policyID(ctx context.Context, accountID, name string) (string, error) {
	return t.idOf(ctx, "policy", "policies", accountID, name)
}

// outdate raises the epoch of the users that the condition names: every token that they have is dead.
func (t *tx) outdate(ctx context.Context, condition string, args ...any) error {
	if _, err := t.exec(ctx, `UPDATE users SET epoch = epoch + 1 WHERE `+condition, args...); err != nil {
		return fmt.Errorf("outdate tokens: %w", err)
	}
	return nil
}

// withGrant is a condition for outdate: the users that have a grant with this in a column, by themselves or by a group. Its
// argument is wanted twice.
func withGrant(column string) string {
	return `id IN (SELECT user_id FROM grants WHERE user_id IS NOT NULL AND ` + column + ` = ?
		UNION SELECT m.user_id FROM grants g JOIN group_members m ON m.group_id = g.group_id WHERE g.` + column + ` = ?)`
}

// lockForRemoval locks a row of a table that is about to be removed.
func (t *tx) lockForRemoval(ctx context.Context, table, id string) error {
	var locked string
	if err := t.row(ctx, `SELECT id FROM `+table+` WHERE id = ?`+t.lockRemoval, id).Scan(&locked); err != nil {
		return fmt.Errorf("lock what is to be removed: %w", err)
	}
	return nil
}
