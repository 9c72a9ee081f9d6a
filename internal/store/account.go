package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"github.com/lethe-cloud/lethe/internal/account"
	"github.com/lethe-cloud/lethe/internal/phone"
)

const (
	accountColumns = "id, name, operator, own_hosts, created_at"
	projectColumns = "id, account_id, name, created_at"
	userColumns    = "id, account_id, name, password_hash, owner, disabled, policies, epoch, created_at"
	keyColumns     = "id, secret, user_id, disabled, created_at"
	tokenColumns   = "hash, user_id, epoch, project_id, issued_at, expires_at"
)

// Bootstrap writes the installation's first account with its projects, its owner and the owner's access key (if that has an
// id), when there is no account yet; else it changes nothing. Of several replicas that start at once, one does it.
func (s *Store) Bootstrap(ctx context.Context, who account.Identity, key account.AccessKey) (created bool, err error) {
	err = s.tx(ctx, func(t *tx) error {
		created = false
		if err := t.lockInstallation(ctx); err != nil {
			return err
		}
		var accounts int
		if err := t.row(ctx, `SELECT count(*) FROM accounts`).Scan(&accounts); err != nil || accounts > 0 {
			return err
		}
		created = true
		return t.insertAccount(ctx, who, key)
	})
	return created && err == nil, err
}

// insertAccount writes an account with its projects, its owner and the owner's access key.
func (t *tx) insertAccount(ctx context.Context, who account.Identity, key account.AccessKey) error {
	a := who.Account
	_, err := t.exec(ctx, `INSERT INTO accounts (`+accountColumns+`) VALUES (?, ?, ?, ?, ?)`, a.ID, a.Name, a.Operator, a.OwnHosts, micros(a.CreatedAt))
	if err != nil {
		return fmt.Errorf("write the account: %w", err)
	}
	for _, p := range who.Projects {
		if err := t.insertProject(ctx, p); err != nil {
			return err
		}
	}
	return t.insertUser(ctx, who.User, key)
}

func (t *tx) insertProject(ctx context.Context, p account.Project) error {
	_, err := t.exec(ctx, `INSERT INTO projects (`+projectColumns+`) VALUES (?, ?, ?, ?)`, p.ID, p.Account, p.Name, micros(p.CreatedAt))
	if err != nil {
		return fmt.Errorf("write the project: %w", err)
	}
	return nil
}

func (t *tx) insertUser(ctx context.Context, u account.User, key account.AccessKey) error {
	_, err := t.exec(ctx, `INSERT INTO users (`+userColumns+`) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)`,
		u.ID, u.Account, u.Name, u.PasswordHash, u.Owner, u.Disabled, policiesJSON(u.Policies), u.Epoch, micros(u.CreatedAt))
	if err != nil {
		return fmt.Errorf("write the user: %w", err)
	}
	if key.ID == "" {
		return nil
	}
	return t.insertKey(ctx, u.ID, key)
}

func (t *tx) insertKey(ctx context.Context, userID string, key account.AccessKey) error {
	secret, err := t.sealed(key)
	if err != nil {
		return err
	}
	_, err = t.exec(ctx, `INSERT INTO access_keys (`+keyColumns+`) VALUES (?, ?, ?, ?, ?)`, key.ID, secret, userID, key.Disabled, micros(key.CreatedAt))
	if err != nil {
		return fmt.Errorf("write the access key: %w", err)
	}
	return nil
}

// policiesJSON writes no policies as an empty list.
func policiesJSON(p []account.Policy) string {
	if p == nil {
		return "[]"
	}
	return asJSON(p)
}

func noUser(err error) error {
	return &phone.Error{Code: phone.NotFound, Msg: "there is no such user", Err: err}
}

// UserByName gives a user with its account and that account's projects. The account is given by its name or its id; no such
// account or user is NotFound.
func (s *Store) UserByName(ctx context.Context, accountNameOrID, user string) (account.Identity, error) {
	var who account.Identity
	err := s.view(ctx, func(t *tx) error {
		var id string
		err := t.row(ctx, `SELECT u.id FROM users u JOIN accounts a ON a.id = u.account_id WHERE (a.name = ? OR a.id = ?) AND u.name = ?
			ORDER BY CASE WHEN a.name = ? THEN 0 ELSE 1 END LIMIT 1`, accountNameOrID, accountNameOrID, user, accountNameOrID).Scan(&id)
		if err != nil {
			return missingUser(err)
		}
		who, err = t.identity(ctx, id)
		return err
	})
	return who, err
}

// UserByID gives a user with its account and that account's projects, or NotFound.
func (s *Store) UserByID(ctx context.Context, userID string) (account.Identity, error) {
	var who account.Identity
	err := s.view(ctx, func(t *tx) error {
		var err error
		who, err = t.identity(ctx, userID)
		return err
	})
	return who, err
}

func missingUser(err error) error {
	if errors.Is(err, sql.ErrNoRows) {
		return noUser(err)
	}
	return err
}

func (t *tx) identity(ctx context.Context, userID string) (account.Identity, error) {
	var who account.Identity
	var err error
	if who.User, err = scanUser(t.row(ctx, `SELECT `+userColumns+` FROM users WHERE id = ?`, userID)); err != nil {
		return who, missingUser(err)
	}
	if who.Account, err = scanAccount(t.row(ctx, `SELECT `+accountColumns+` FROM accounts WHERE id = ?`, who.User.Account)); err != nil {
		return who, err
	}
	who.Projects, err = all(ctx, t, scanProject, `SELECT `+projectColumns+` FROM projects WHERE account_id = ? ORDER BY name`, who.Account.ID)
	if err != nil || who.User.Owner {
		return who, err
	}
	who.Grants, err = all(ctx, t, scanGrant, `SELECT coalesce(g.project_id, ''), g.system_policy, p.name, p.document
		FROM grants g LEFT JOIN policies p ON p.id = g.policy_id
		WHERE g.user_id = ? OR g.group_id IN (SELECT group_id FROM group_members WHERE user_id = ?) ORDER BY g.id`, userID, userID)
	return who, err
}

// scanGrant reads a policy that counts for somebody. A system policy that this version does not know allows nothing and denies
// nothing, since there is none that denies.
func scanGrant(row scanner) (account.Grant, error) {
	var g account.Grant
	var system, name, document *string
	if err := row.Scan(&g.Project, &system, &name, &document); err != nil {
		return g, err
	}
	if system != nil {
		known, _ := account.SystemPolicy(*system)
		g.Policy = known.Policy
		return g, nil
	}
	err := fromJSON(*document, &g.Policy)
	g.Policy.Name = *name
	return g, err
}

// AccessKey gives an access key and whose it is, or NotFound.
func (s *Store) AccessKey(ctx context.Context, ak string) (account.AccessKey, account.Identity, error) {
	var key account.AccessKey
	var who account.Identity
	err := s.view(ctx, func(t *tx) error {
		var created int64
		err := t.row(ctx, `SELECT `+keyColumns+` FROM access_keys WHERE id = ?`, ak).Scan(&key.ID, &key.Secret, &key.User, &key.Disabled, &created)
		if errors.Is(err, sql.ErrNoRows) {
			return &phone.Error{Code: phone.NotFound, Msg: "there is no such access key", Err: err}
		}
		if err != nil {
			return err
		}
		key.CreatedAt = timeOf(created)
		if key, err = t.unsealed(key); err != nil {
			return err
		}
		who, err = t.identity(ctx, key.User)
		return err
	})
	return key, who, err
}

// InsertToken keeps an issued token.
func (s *Store) InsertToken(ctx context.Context, token account.Token) error {
	return s.tx(ctx, func(t *tx) error {
		_, err := t.exec(ctx, `INSERT INTO tokens (`+tokenColumns+`) VALUES (?, ?, ?, ?, ?, ?)`,
			token.Hash[:], token.User, token.Epoch, token.Project, micros(token.IssuedAt), micros(token.ExpiresAt))
		return err
	})
}

// Token gives a token and whose it is, or NotFound. Whether it is expired, or its epoch is no longer the user's, is the
// caller's to see.
func (s *Store) Token(ctx context.Context, hash [32]byte) (account.Token, account.Identity, error) {
	var token account.Token
	var who account.Identity
	err := s.view(ctx, func(t *tx) error {
		var issued, expires int64
		var kept []byte
		err := t.row(ctx, `SELECT `+tokenColumns+` FROM tokens WHERE hash = ?`, hash[:]).Scan(&kept, &token.User, &token.Epoch, &token.Project, &issued, &expires)
		if errors.Is(err, sql.ErrNoRows) {
			return &phone.Error{Code: phone.NotFound, Msg: "there is no such token", Err: err}
		}
		if err != nil {
			return err
		}
		copy(token.Hash[:], kept)
		token.IssuedAt, token.ExpiresAt = timeOf(issued), timeOf(expires)
		who, err = t.identity(ctx, token.User)
		return err
	})
	return token, who, err
}

// DeleteExpiredTokens removes expired tokens and says how many there were.
func (s *Store) DeleteExpiredTokens(ctx context.Context) (int, error) {
	var n int64
	err := s.tx(ctx, func(t *tx) error {
		var err error
		n, err = t.exec(ctx, `DELETE FROM tokens WHERE expires_at <= ?`, t.at)
		return err
	})
	return int(n), err
}

func scanAccount(row scanner) (account.Account, error) {
	var a account.Account
	var created int64
	err := row.Scan(&a.ID, &a.Name, &a.Operator, &a.OwnHosts, &created)
	a.CreatedAt = timeOf(created)
	return a, err
}

func scanUser(row scanner) (account.User, error) {
	var u account.User
	var policies string
	var created int64
	if err := row.Scan(&u.ID, &u.Account, &u.Name, &u.PasswordHash, &u.Owner, &u.Disabled, &policies, &u.Epoch, &created); err != nil {
		return u, err
	}
	u.CreatedAt = timeOf(created)
	err := fromJSON(policies, &u.Policies)
	return u, err
}

func scanProject(row scanner) (account.Project, error) {
	var p account.Project
	var created int64
	err := row.Scan(&p.ID, &p.Account, &p.Name, &created)
	p.CreatedAt = timeOf(created)
	return p, err
}
