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

// usable is the condition that a project, named twice, may use an image: it is its own, a public one, or one that was shared with it
// and that it has accepted.
const usable = `(project_id IN (?, '') OR id IN (SELECT image_id FROM image_members WHERE project_id = ? AND status = 'accepted'))`

// Images gives the images that the project may use, created last first.
func (s *Store) Images(ctx context.Context, f fleet.ImageFilter) ([]phone.Image, error) {
	var w where
	w.add(usable, f.Project, f.Project)
	w.text("id", string(f.ID))
	w.text("name", f.Name)
	return readAll(ctx, s, scanImage, `SELECT `+imageColumns+` FROM images`+w.String()+` ORDER BY created_at DESC, id`, w.args...)
}
