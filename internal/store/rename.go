package store

import (
	"context"

	"github.com/lethe-cloud/lethe/internal/phone"
)

// RenamePhone gives one of the project's phones another name. A name that the project has already is Conflict with
// ReasonNameTaken, no such phone NotFound with ReasonPhoneNotFound.
func (s *Store) RenamePhone(ctx context.Context, project phone.ProjectID, id phone.ID, name string) error {
	return s.rename(ctx, `phones`, phone.ReasonPhoneNotFound, project, string(id), name)
}

// RenameServer is RenamePhone for a server.
func (s *Store) RenameServer(ctx context.Context, project phone.ProjectID, id phone.ServerID, name string) error {
	return s.rename(ctx, `servers`, phone.ReasonServerNotFound, project, string(id), name)
}

func (s *Store) rename(ctx context.Context, table string, missing phone.Reason, project phone.ProjectID, id, name string) error {
	return s.tx(ctx, func(t *tx) error {
		n, err := t.exec(ctx, `UPDATE `+table+` SET name = ?, updated_at = ? WHERE id = ? AND project_id || '' = ?`, name, t.at, id, project)
		if err == nil && n == 0 {
			return phone.Errorf(phone.NotFound, missing, "there is none with this id")
		}
		return err
	})
}
