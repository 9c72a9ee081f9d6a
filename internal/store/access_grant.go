package store

import (
	"context"
	"fmt"
	"strings"

	"github.com/lethe-cloud/lethe/internal/account"
	"github.com/lethe-cloud/lethe/internal/fleet"
	"github.com/lethe-cloud/lethe/internal/phone"
)

// AddGroup writes a group.
func (s *Store) AddGroup(ctx context.Context, g account.Group) error {
	return s.change(ctx, g.Account, func(t *tx) error {
		if err := t.withinQuota(ctx, account.MaxGroups, "groups", `SELECT count(*) FROM user_groups WHERE account_id = ?`, g.Account); err != nil {
			return err
		}
		_, err := t.exec(ctx, `INSERT INTO user_groups (`+groupColumns+`) VALUES (?, ?, ?, ?)`, g.ID, g.Account, g.Name, micros(g.CreatedAt))
		return err
	})
}

const groupColumns = "id, account_id, name, created_at"

func scanGroup(row scanner) (account.Group, error) {
	var g account.Group
	var created int64
	err := row.Scan(&g.ID, &g.Account, &g.Name, &created)
	g.CreatedAt = timeOf(created)
	return g, err
}

// Groups gives the account's groups by name.
func (s *Store) Groups(ctx context.Context, accountID string) ([]account.Group, error) {
	return readAll(ctx, s, scanGroup, `SELECT `+groupColumns+` FROM user_groups WHERE account_id = ? ORDER BY name`, accountID)
}

// Group gives a group with its members and what was granted to it.
func (s *Store) Group(ctx context.Context, accountID, name string) (fleet.GroupDetail, error) {
	var detail fleet.GroupDetail
	err := s.view(ctx, func(t *tx) error {
		id, err := t.groupID(ctx, accountID, name)
		if err != nil {
			return err
		}
		if detail.Group, err = scanGroup(t.row(ctx, `SELECT `+groupColumns+` FROM user_groups WHERE id = ?`, id)); err != nil {
			return err
		}
		detail.Users, err = all(ctx, t, one[string], `SELECT u.name FROM group_members m JOIN users u ON u.id = m.user_id WHERE m.group_id = ? ORDER BY u.name`, id)
		if err != nil {
			return err
		}
		detail.Grants, err = t.attachments(ctx, `g.group_id = ?`, id)
		return err
	})
	return detail, err
}

// DeleteGroup removes a group with its memberships and its grants.
func (s *Store) DeleteGroup(ctx context.Context, accountID, name string) error {
	return s.change(ctx, accountID, func(t *tx) error {
		id, err := t.groupID(ctx, accountID, name)
		if err != nil {
			return err
		}
		if err := t.outdate(ctx, membersOf, id); err != nil {
			return err
		}
		for _, statement := range []string{
			`DELETE FROM group_members WHERE group_id = ?`, `DELETE FROM grants WHERE group_id = ?`, `DELETE FROM user_groups WHERE id = ?`,
		} {
			if _, err := t.exec(ctx, statement, id); err != nil {
				return fmt.Errorf("remove the group: %w", err)
			}
		}
		return nil
	})
}

const membersOf = `id IN (SELECT user_id FROM group_members WHERE group_id = ?)`

// SetMember puts a user into a group, or takes it out.
func (s *Store) SetMember(ctx context.Context, accountID, group, user string, member bool) error {
	return s.changeUser(ctx, accountID, user, func(t *tx, userID string) error {
		groupID, err := t.groupID(ctx, accountID, group)
		if err != nil {
			return err
		}
		statement := `DELETE FROM group_members WHERE user_id = ? AND group_id = ?`
		if member {
			statement = `INSERT INTO group_members (user_id, group_id) VALUES (?, ?) ON CONFLICT (user_id, group_id) DO NOTHING`
		}
		n, err := t.exec(ctx, statement, userID, groupID)
		if err != nil || n == 0 {
			return err
		}
		if member {
			err := t.withinQuota(ctx, account.MaxGroupsOf+1, "groups of the user", `SELECT count(*) FROM group_members WHERE user_id = ?`, userID)
			if err != nil {
				return err
			}
		}
		return t.outdate(ctx, `id = ?`, userID)
	})
}

// AddPolicy writes a policy of an account.
func (s *Store) AddPolicy(ctx context.Context, p account.NamedPolicy) error {
	return s.change(ctx, p.Account, func(t *tx) error {
		if err := t.withinQuota(ctx, account.MaxPolicies, "policies", `SELECT count(*) FROM policies WHERE account_id = ?`, p.Account); err != nil {
			return err
		}
		_, err := t.exec(ctx, `INSERT INTO policies (`+policyColumns+`) VALUES (?, ?, ?, ?, ?, ?)`,
			p.ID, p.Account, p.Policy.Name, document(p.Policy), micros(p.CreatedAt), micros(p.UpdatedAt))
		return err
	})
}

const policyColumns = "id, account_id, name, document, created_at, updated_at"

// document is a policy as it is kept: its name has a column of its own.
func document(p account.Policy) string {
	p.Name = ""
	return asJSON(p)
}

func scanPolicy(row scanner) (account.NamedPolicy, error) {
	var p account.NamedPolicy
	var name, document string
	var created, updated int64
	if err := row.Scan(&p.ID, &p.Account, &name, &document, &created, &updated); err != nil {
		return p, err
	}
	p.CreatedAt, p.UpdatedAt = timeOf(created), timeOf(updated)
	err := fromJSON(document, &p.Policy)
	p.Policy.Name = name
	return p, err
}

// Policies gives the account's policies by name.
func (s *Store) Policies(ctx context.Context, accountID string) ([]account.NamedPolicy, error) {
	return readAll(ctx, s, scanPolicy, `SELECT `+policyColumns+` FROM policies WHERE account_id = ? ORDER BY name`, accountID)
}

// ReplacePolicy replaces what a policy says.
func (s *Store) ReplacePolicy(ctx context.Context, accountID, name string, policy account.Policy) error {
	return s.change(ctx, accountID, func(t *tx) error {
		id, err := t.policyID(ctx, accountID, name)
		if err != nil {
			return err
		}
		if _, err := t.exec(ctx, `UPDATE policies SET document = ?, updated_at = ? WHERE id = ?`, document(policy), t.at, id); err != nil {
			return err
		}
		return t.outdate(ctx, withGrant("policy_id"), id, id)
	})
}

// DeletePolicy removes a policy that nobody has.
func (s *Store) DeletePolicy(ctx context.Context, accountID, name string) error {
	return s.change(ctx, accountID, func(t *tx) error {
		id, err := t.policyID(ctx, accountID, name)
		if err != nil {
			return err
		}
		var granted int
		if err := t.row(ctx, `SELECT count(*) FROM grants WHERE policy_id = ?`, id).Scan(&granted); err != nil {
			return err
		}
		if granted > 0 {
			return phone.Errorf(phone.Precondition, "", "the policy %s is attached in %d places: detach it first", name, granted)
		}
		_, err = t.exec(ctx, `DELETE FROM policies WHERE id = ?`, id)
		return err
	})
}

// attachments reads grants by a condition on g.
func (t *tx) attachments(ctx context.Context, condition string, args ...any) ([]account.Attachment, error) {
	return all(ctx, t, scanAttachment, `SELECT coalesce(u.name, ''), coalesce(ug.name, ''), coalesce(p.name, g.system_policy), coalesce(pr.name, '')
		FROM grants g LEFT JOIN users u ON u.id = g.user_id LEFT JOIN user_groups ug ON ug.id = g.group_id
		LEFT JOIN policies p ON p.id = g.policy_id LEFT JOIN projects pr ON pr.id = g.project_id WHERE `+condition+` ORDER BY 1, 2, 3, 4`, args...)
}

func scanAttachment(row scanner) (account.Attachment, error) {
	var a account.Attachment
	err := row.Scan(&a.User, &a.Group, &a.Policy, &a.Project)
	return a, err
}

// grant is an attachment with the ids of what it names; what it does not name is nil.
type grant struct {
	user, group, policy, system, project *string
}

func (g grant) values() []any { return []any{g.user, g.group, g.policy, g.system, g.project} }

// resolve finds what an attachment names.
func (t *tx) resolve(ctx context.Context, accountID string, in account.Attachment) (grant, error) {
	var g grant
	find := func(to **string, id func(context.Context, string, string) (string, error), name string) error {
		found, err := id(ctx, accountID, name)
		*to = &found
		return err
	}
	holder := func() error { return find(&g.user, t.userID, in.User) }
	if in.Group != "" {
		holder = func() error { return find(&g.group, t.groupID, in.Group) }
	}
	if err := holder(); err != nil {
		return g, err
	}
	if in.Project != "" {
		if err := find(&g.project, t.projectID, in.Project); err != nil {
			return g, err
		}
	}
	if _, ok := account.SystemPolicy(in.Policy); ok {
		g.system = &in.Policy
		return g, nil
	}
	return g, find(&g.policy, t.policyID, in.Policy)
}

// outdateHolder makes the tokens of the users that have the grant dead.
func (t *tx) outdateHolder(ctx context.Context, g grant) error {
	if g.group != nil {
		return t.outdate(ctx, membersOf, *g.group)
	}
	return t.outdate(ctx, `id = ?`, *g.user)
}

// Attach grants a policy.
func (s *Store) Attach(ctx context.Context, accountID string, in account.Attachment) error {
	return s.change(ctx, accountID, func(t *tx) error {
		g, err := t.resolve(ctx, accountID, in)
		if err != nil {
			return err
		}
		n, err := t.exec(ctx, `INSERT INTO grants (id, user_id, group_id, policy_id, system_policy, project_id) VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING`,
			append([]any{phone.NewID[string]()}, g.values()...)...)
		if err != nil || n == 0 {
			return err
		}
		column, holder := "user_id", g.user
		if g.group != nil {
			column, holder = "group_id", g.group
		}
		if err := t.withinQuota(ctx, account.MaxGrants+1, "policies attached to it", `SELECT count(*) FROM grants WHERE `+column+` = ?`, *holder); err != nil {
			return err
		}
		return t.outdateHolder(ctx, g)
	})
}

// Detach takes a granted policy back.
func (s *Store) Detach(ctx context.Context, accountID string, in account.Attachment) error {
	return s.change(ctx, accountID, func(t *tx) error {
		g, err := t.resolve(ctx, accountID, in)
		if err != nil {
			return err
		}
		conditions, args := make([]string, 0, 5), make([]any, 0, 5)
		for i, column := range []string{"user_id", "group_id", "policy_id", "system_policy", "project_id"} {
			value := g.values()[i].(*string)
			if value == nil {
				conditions = append(conditions, column+` IS NULL`)
				continue
			}
			conditions, args = append(conditions, column+` = ?`), append(args, *value)
		}
		n, err := t.exec(ctx, `DELETE FROM grants WHERE `+strings.Join(conditions, ` AND `), args...)
		if err != nil {
			return err
		}
		if n == 0 {
			return fleet.NoSuch("grant of the policy")
		}
		return t.outdateHolder(ctx, g)
	})
}
