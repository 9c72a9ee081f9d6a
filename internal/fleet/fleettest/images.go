package fleettest

import (
	"context"
	"slices"

	"github.com/lethe-cloud/lethe/internal/fleet"
	"github.com/lethe-cloud/lethe/internal/phone"
)

// usable reports whether a project may use an image.
func (s *Store) usable(i phone.Image, project phone.ProjectID) bool {
	return i.Project == "" || i.Project == project || s.member(i.ID, project).Status == phone.MemberAccepted
}

func (s *Store) member(image phone.ImageID, project phone.ProjectID) phone.ImageMember {
	found := choose(s.members, func(o phone.ImageMember) bool { return o.Image == image && o.Project == project })
	if len(found) == 0 {
		return phone.ImageMember{}
	}
	return found[0]
}

// CustomImages implements fleet.ImageStore. It knows no accounts.
func (s *Store) CustomImages(ctx context.Context, f fleet.CustomImageFilter) ([]phone.CustomImage, int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.begin(ctx); err != nil {
		return nil, 0, err
	}
	var found []phone.CustomImage
	for _, i := range s.images {
		m := s.member(i.ID, f.Project)
		own := i.Project == f.Project
		shared := m.Status == phone.MemberPending || m.Status == phone.MemberAccepted
		if !own && !shared || f.Own && !f.Shared && !own || f.Shared && !f.Own && !shared {
			continue
		}
		if f.ID != "" && i.ID != f.ID || f.Name != "" && i.Name != f.Name || f.Source != "" && i.Project != f.Source ||
			!f.CreatedFrom.IsZero() && i.CreatedAt.Before(f.CreatedFrom) || !f.CreatedTo.IsZero() && i.CreatedAt.After(f.CreatedTo) {
			continue
		}
		found = append(found, phone.CustomImage{Image: i, Member: m.Status})
	}
	slices.SortStableFunc(found, func(a, b phone.CustomImage) int { return b.CreatedAt.Compare(a.CreatedAt) })
	return cutOut(found, f.Offset, f.Limit), len(found), nil
}

// DeleteImage implements fleet.ImageStore.
func (s *Store) DeleteImage(ctx context.Context, project phone.ProjectID, id phone.ImageID) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.begin(ctx); err != nil {
		return err
	}
	if _, err := s.ownImage(project, id); err != nil {
		return err
	}
	has := func(p phone.Phone) bool { return p.Image == id }
	needs := func(j phone.Job) bool { return !j.Phase.Final() && (j.Image == id || j.PriorImage == id) }
	if slices.ContainsFunc(s.phones, has) || slices.ContainsFunc(s.jobs, needs) {
		return phone.Errorf(phone.Precondition, phone.ReasonImageInUse, "the image is in use")
	}
	s.images = slices.DeleteFunc(s.images, func(o phone.Image) bool { return o.ID == id })
	s.members = slices.DeleteFunc(s.members, func(o phone.ImageMember) bool { return o.Image == id })
	return nil
}

func (s *Store) ownImage(project phone.ProjectID, id phone.ImageID) (phone.Image, error) {
	return one(s.images, phone.ReasonImageNotFound, func(o phone.Image) bool { return o.ID == id && o.Project == project })
}

// ImageMembers implements fleet.ImageStore.
func (s *Store) ImageMembers(ctx context.Context, project phone.ProjectID, id phone.ImageID) ([]phone.ImageMember, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.begin(ctx); err != nil {
		return nil, err
	}
	_, missing := s.ownImage(project, id)
	members := choose(s.members, func(o phone.ImageMember) bool { return o.Image == id && (missing == nil || o.Project == project) })
	if missing != nil && len(members) == 0 {
		return nil, missing
	}
	return members, nil
}

// ShareImage implements fleet.ImageStore. A project exists when something belongs to it.
func (s *Store) ShareImage(ctx context.Context, project phone.ProjectID, id phone.ImageID, with phone.ProjectID) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.begin(ctx); err != nil {
		return err
	}
	image, err := s.ownImage(project, id)
	if err != nil {
		return err
	}
	known := slices.ContainsFunc(s.servers, func(o phone.Server) bool { return o.Project == with })
	members := choose(s.members, func(o phone.ImageMember) bool { return o.Image == id })
	m, refused := phone.DecideShare(image, members, with, known, image.CreatedAt)
	if refused != nil {
		return refused
	}
	s.members = put(s.members, m, func(o phone.ImageMember) bool { return o.Image == m.Image && o.Project == m.Project })
	return nil
}

// AnswerShare implements fleet.ImageStore.
func (s *Store) AnswerShare(ctx context.Context, project phone.ProjectID, id phone.ImageID, status phone.MemberStatus) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.begin(ctx); err != nil {
		return err
	}
	m := s.member(id, project)
	if m.Image == "" {
		return phone.Errorf(phone.NotFound, phone.ReasonImageNotFound, "the image is not shared with the project")
	}
	m.Status = status
	s.members = put(s.members, m, func(o phone.ImageMember) bool { return o.Image == m.Image && o.Project == m.Project })
	return nil
}

// UnshareImage implements fleet.ImageStore.
func (s *Store) UnshareImage(ctx context.Context, project phone.ProjectID, id phone.ImageID, member phone.ProjectID) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.begin(ctx); err != nil {
		return err
	}
	_, missing := s.ownImage(project, id)
	switch {
	case missing != nil && (member != project || s.member(id, member).Image == ""):
		return missing
	case s.member(id, member).Image == "":
		return phone.Errorf(phone.NotFound, phone.ReasonMemberNotFound, "the image is not shared with this project")
	}
	s.members = slices.DeleteFunc(s.members, func(o phone.ImageMember) bool { return o.Image == id && o.Project == member })
	return nil
}
