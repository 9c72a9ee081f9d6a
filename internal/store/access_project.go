package store

import (
	"context"
	"fmt"
	"slices"

	"github.com/lethe-cloud/lethe/internal/account"
	"github.com/lethe-cloud/lethe/internal/phone"
)

// AddProject writes a project.
func (s *Store) AddProject(ctx context.Context, p account.Project) error {
	return s.change(ctx, p.Account, func(t *tx) error {
		if err := t.withinQuota(ctx, account.MaxProjects, "projects", `SELECT count(*) FROM projects WHERE account_id = ?`, p.Account); err != nil {
			return err
		}
		return t.insertProject(ctx, p)
	})
}

// Projects gives the account's projects by name.
func (s *Store) Projects(ctx context.Context, accountID string) ([]account.Project, error) {
	return readAll(ctx, s, scanProject, `SELECT `+projectColumns+` FROM projects WHERE account_id = ? ORDER BY name`, accountID)
}

// UnknownProjects gives those of the ids that no project has.
func (s *Store) UnknownProjects(ctx context.Context, ids []phone.ProjectID) ([]phone.ProjectID, error) {
	known, err := readAll(ctx, s, one[phone.ProjectID], `SELECT id FROM projects WHERE `+s.in("id"), list(s.dialect, ids))
	if err != nil {
		return nil, err
	}
	return slices.DeleteFunc(slices.Clone(ids), func(id phone.ProjectID) bool { return slices.Contains(known, id) }), nil
}

// RenameProject gives a project another name. Conditions of policies go by the name, so that all tokens of the account's users
// are dead.
func (s *Store) RenameProject(ctx context.Context, accountID, name, to string) error {
	return s.change(ctx, accountID, func(t *tx) error {
		id, err := t.projectID(ctx, accountID, name)
		if err != nil || name == to {
			return err
		}
		if _, err := t.exec(ctx, `UPDATE projects SET name = ? WHERE id = ?`, to, id); err != nil {
			return err
		}
		return t.outdate(ctx, `account_id = ?`, accountID)
	})
}

// DeleteProject removes a project that has neither servers nor phones nor buckets.
func (s *Store) DeleteProject(ctx context.Context, accountID, name string) error {
	return s.change(ctx, accountID, func(t *tx) error {
		id, err := t.projectID(ctx, accountID, name)
		if err != nil {
			return err
		}
		if err := t.lockForRemoval(ctx, "projects", id); err != nil { // nobody adds a server in the meantime
			return err
		}
		projects := []string{id}
		if err := t.empty(ctx, projects, "the project has servers, phones or buckets: delete those first"); err != nil {
			return err
		}
		if err := t.outdate(ctx, withGrant("project_id"), id, id); err != nil {
			return err
		}
		if _, err := t.exec(ctx, `DELETE FROM grants WHERE project_id = ?`, id); err != nil {
			return fmt.Errorf("remove the grants on the project: %w", err)
		}
		return t.deleteProjects(ctx, projects)
	})
}

// empty refuses projects in which there is a server, a phone or a bucket.
func (t *tx) empty(ctx context.Context, projects []string, refusal string) error {
	var n int
	ids := list(t.dialect, projects)
	err := t.row(ctx, `SELECT (SELECT count(*) FROM servers WHERE `+t.in("project_id")+`) + (SELECT count(*) FROM phones WHERE `+t.in("project_id")+`)
		+ (SELECT count(*) FROM buckets WHERE `+t.in("project_id")+`)`, ids, ids, ids).Scan(&n)
	if err != nil {
		return fmt.Errorf("look for servers, phones and buckets: %w", err)
	}
	if n > 0 {
		return phone.Errorf(phone.Precondition, "", "%s", refusal)
	}
	return nil
}

// deleteProjects removes projects without servers and phones, and on which nothing is granted any more. Images go with them, unless
// a phone or an unfinished job elsewhere has one that was shared.
func (t *tx) deleteProjects(ctx context.Context, projects []string) error {
	ids := list(t.dialect, projects)
	images, err := all(ctx, t, one[phone.ImageID], `SELECT id FROM images WHERE `+t.in("project_id")+` ORDER BY id`+t.lockRemoval, ids)
	if err != nil {
		return fmt.Errorf("lock the images: %w", err)
	}
	used, err := t.imagesInUse(ctx, images)
	switch {
	case err != nil:
		return err
	case used:
		return phone.Errorf(phone.Precondition, phone.ReasonImageInUse,
			"phones of another project have an image that is shared with it: they must be reset to another one first")
	}
	if _, err := t.exec(ctx, `DELETE FROM host_images WHERE `+t.in("image_id"), list(t.dialect, images)); err != nil {
		return fmt.Errorf("forget the images on hosts: %w", err)
	}
	removed, err := all(ctx, t, func(row scanner) (auditPhone, error) { // those of phones that were deleted
		var p auditPhone
		err := row.Scan(&p.Request, &p.Phone, &p.Result)
		return p, err
	}, `DELETE FROM jobs WHERE request_id IN (SELECT r.id FROM requests r WHERE `+t.in("r.project_id")+`) RETURNING request_id, phone_id, phase`, ids)
	if err != nil {
		return fmt.Errorf("remove the project's jobs: %w", err)
	}
	if err := t.keepResults(ctx, removed); err != nil {
		return err
	}
	for _, statement := range []string{
		`DELETE FROM server_jobs WHERE ` + t.in("project_id"),
		`DELETE FROM idempotency_keys WHERE ` + t.in("project_id"),
		`DELETE FROM requests WHERE ` + t.in("project_id"),
		`DELETE FROM phone_counts WHERE ` + t.in("project_id"),
		`DELETE FROM images WHERE ` + t.in("project_id"),
		`DELETE FROM projects WHERE ` + t.in("id"),
	} {
		if _, err := t.exec(ctx, statement, ids); err != nil {
			return fmt.Errorf("remove the project: %w", err)
		}
	}
	return nil
}
