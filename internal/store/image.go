package store

import (
	"context"

	"github.com/lethe-cloud/lethe/internal/fleet"
	"github.com/lethe-cloud/lethe/internal/phone"
)

// AddImage writes an image. A name that the project, or the installation for a public image, has already is Conflict with
// ReasonNameTaken.
func (s *Store) AddImage(ctx context.Context, i phone.Image) error {
	return s.tx(ctx, func(t *tx) error {
		_, err := t.exec(ctx, `INSERT INTO images (`+imageColumns+`) VALUES (?, ?, ?, ?, ?, ?, ?)`,
			i.ID, i.Name, i.Project, i.Label, i.OSName, i.Reference, micros(i.CreatedAt))
		return err
	})
}

// Images gives the images that the project may use, its own and the public ones, created last first.
func (s *Store) Images(ctx context.Context, f fleet.ImageFilter) ([]phone.Image, error) {
	var w where
	w.add("project_id IN (?, '')", f.Project)
	w.text("id", string(f.ID))
	w.text("name", f.Name)
	return readAll(ctx, s, scanImage, `SELECT `+imageColumns+` FROM images`+w.String()+` ORDER BY created_at DESC, id`, w.args...)
}
