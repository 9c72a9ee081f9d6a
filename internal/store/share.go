package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"

	"github.com/lethe-cloud/lethe/internal/fleet"
	"github.com/lethe-cloud/lethe/internal/phone"
)

const memberColumns = "image_id, project_id, status, created_at, updated_at"

// CustomImages gives a page of the project's own images and of those shared with it that it has not rejected, created last first,
// and how many match in all.
func (s *Store) CustomImages(ctx context.Context, f fleet.CustomImageFilter) ([]phone.CustomImage, int, error) {
	var w where
	switch {
	case f.Own && !f.Shared:
		w.add("i.project_id = ?", f.Project)
	case f.Shared && !f.Own:
		w.add("m.status <> 'rejected'")
	default:
		w.add("(i.project_id = ? OR m.status <> 'rejected')", f.Project)
	}
	w.text("i.id", string(f.ID))
	w.text("i.name", f.Name)
	w.text("i.project_id", string(f.Source))
	if !f.CreatedFrom.IsZero() {
		w.add("i.created_at >= ?", micros(f.CreatedFrom))
	}
	if !f.CreatedTo.IsZero() {
		w.add("i.created_at <= ?", micros(f.CreatedTo))
	}
	from := ` FROM images i JOIN projects p ON p.id = i.project_id LEFT JOIN image_members m ON m.image_id = i.id AND m.project_id = ?` + w.String()
	args := append([]any{f.Project}, w.args...)
	var found []phone.CustomImage
	var total int
	err := s.view(ctx, func(t *tx) error {
		if err := t.row(ctx, `SELECT count(*)`+from, args...).Scan(&total); err != nil {
			return err
		}
		var err error
		found, err = all(ctx, t, scanCustomImage, `SELECT `+columns("i", imageColumns)+`, p.account_id, coalesce(m.status, '')`+from+
			` ORDER BY i.created_at DESC, i.id LIMIT ? OFFSET ?`, append(args, page(f.Offset, f.Limit)...)...)
		return err
	})
	if err != nil {
		return nil, 0, err
	}
	return found, total, nil
}

func scanCustomImage(row scanner) (phone.CustomImage, error) {
	var r imageRow
	var c phone.CustomImage
	err := row.Scan(append(r.into(), &c.Account, &c.Member)...)
	c.Image = r.image()
	return c, err
}

// DeleteImage removes an image of the project, with its members and what hosts resolved it to. One that a phone or an unfinished job
// of any project has is Precondition with ReasonImageInUse. No reset can come to need it meanwhile: accepting one locks the image.
func (s *Store) DeleteImage(ctx context.Context, project phone.ProjectID, id phone.ImageID) error {
	return s.tx(ctx, func(t *tx) error {
		if _, err := t.ownImage(ctx, project, id, t.lockRemoval); err != nil {
			return err
		}
		used, err := t.imagesInUse(ctx, []phone.ImageID{id})
		switch {
		case err != nil:
			return err
		case used:
			return phone.Errorf(phone.Precondition, phone.ReasonImageInUse,
				"the image is in use: reset the phones that have it to another one, or wait for the jobs that need it")
		}
		if _, err := t.exec(ctx, `DELETE FROM host_images WHERE image_id = ?`, id); err != nil {
			return fmt.Errorf("forget the image on hosts: %w", err)
		}
		_, err = t.exec(ctx, `DELETE FROM images WHERE id = ?`, id)
		return err
	})
}

// imagesInUse says whether a phone or an unfinished job of any project has one of the images.
func (t *tx) imagesInUse(ctx context.Context, images []phone.ImageID) (bool, error) {
	ids := list(t.dialect, images)
	var used int
	err := t.row(ctx, `SELECT 1 FROM phones WHERE `+t.in("image_id")+` UNION ALL
		SELECT 1 FROM jobs WHERE stage NOT IN ('ended', 'working') AND (`+t.in("image_id")+` OR `+t.in("prior_image")+`) LIMIT 1`, ids, ids, ids).Scan(&used)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return false, fmt.Errorf("look who uses the images: %w", err)
	}
	return err == nil, nil
}

// ownImage reads an image that is the project's own, and locks it when lock says so.
func (t *tx) ownImage(ctx context.Context, project phone.ProjectID, id phone.ImageID, lock string) (phone.Image, error) {
	image, err := scanImage(t.row(ctx, `SELECT `+imageColumns+` FROM images WHERE id = ? AND project_id = ?`+lock, id, project))
	if errors.Is(err, sql.ErrNoRows) {
		return image, errNoImage(id)
	}
	return image, err
}

func errNoImage(id phone.ImageID) error {
	return phone.Errorf(phone.NotFound, phone.ReasonImageNotFound, "there is no image %s", id)
}

// ImageMembers gives the members of the project's image by the time of sharing; to one that it is shared with, itself alone.
func (s *Store) ImageMembers(ctx context.Context, project phone.ProjectID, id phone.ImageID) ([]phone.ImageMember, error) {
	var members []phone.ImageMember
	err := s.view(ctx, func(t *tx) error {
		var err error
		if members, err = t.members(ctx, id); err != nil {
			return err
		}
		if _, err = t.ownImage(ctx, project, id, ""); err == nil || phone.ReasonOf(err) != phone.ReasonImageNotFound {
			return err
		}
		members = slices.DeleteFunc(members, func(m phone.ImageMember) bool { return m.Project != project })
		if len(members) == 0 {
			return errNoImage(id)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return members, nil
}

func (t *tx) members(ctx context.Context, id phone.ImageID) ([]phone.ImageMember, error) {
	return all(ctx, t, func(row scanner) (phone.ImageMember, error) {
		var m phone.ImageMember
		var created, updated int64
		err := row.Scan(&m.Image, &m.Project, &m.Status, &created, &updated)
		m.CreatedAt, m.UpdatedAt = timeOf(created), timeOf(updated)
		return m, err
	}, `SELECT `+memberColumns+` FROM image_members WHERE image_id = ? ORDER BY created_at, project_id`, id)
}

// ShareImage shares the project's image with one more project, decided by phone.DecideShare.
func (s *Store) ShareImage(ctx context.Context, project phone.ProjectID, id phone.ImageID, with phone.ProjectID) error {
	return s.tx(ctx, func(t *tx) error {
		image, err := t.ownImage(ctx, project, id, t.lock) // one after the other, so that none goes over the limit
		if err != nil {
			return err
		}
		members, err := t.members(ctx, id)
		if err != nil {
			return err
		}
		var known bool
		if err := t.row(ctx, `SELECT EXISTS (SELECT 1 FROM projects WHERE id = ?)`, with).Scan(&known); err != nil {
			return err
		}
		m, refused := phone.DecideShare(image, members, with, known, timeOf(t.at))
		if refused != nil {
			return refused
		}
		_, err = t.exec(ctx, `INSERT INTO image_members (`+memberColumns+`) VALUES (?, ?, ?, ?, ?)
			ON CONFLICT (image_id, project_id) DO UPDATE SET status = excluded.status, updated_at = excluded.updated_at`,
			m.Image, m.Project, m.Status, micros(m.CreatedAt), micros(m.UpdatedAt))
		return err
	})
}

// AnswerShare sets the project's own status as a member; an image that is not shared with it is NotFound with ReasonImageNotFound.
func (s *Store) AnswerShare(ctx context.Context, project phone.ProjectID, id phone.ImageID, status phone.MemberStatus) error {
	return s.tx(ctx, func(t *tx) error {
		n, err := t.exec(ctx, `UPDATE image_members SET status = ?, updated_at = ? WHERE image_id = ? AND project_id = ?`, status, t.at, id, project)
		if err == nil && n == 0 {
			return errNoImage(id)
		}
		return err
	})
}

// UnshareImage ends the sharing with a member, as the image's project or as that member. To others there is no such image.
func (s *Store) UnshareImage(ctx context.Context, project phone.ProjectID, id phone.ImageID, member phone.ProjectID) error {
	return s.tx(ctx, func(t *tx) error {
		missing := errNoImage(id)
		if _, err := t.ownImage(ctx, project, id, ""); err == nil {
			missing = phone.Errorf(phone.NotFound, phone.ReasonMemberNotFound, "the image is not shared with this project")
		} else if phone.ReasonOf(err) != phone.ReasonImageNotFound || member != project {
			return err
		}
		n, err := t.exec(ctx, `DELETE FROM image_members WHERE image_id = ? AND project_id = ?`, id, member)
		if err == nil && n == 0 {
			return missing
		}
		return err
	})
}
