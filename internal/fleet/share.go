package fleet

import (
	"context"
	"time"

	"github.com/lethe-cloud/lethe/internal/account"
	"github.com/lethe-cloud/lethe/internal/phone"
)

// ImageStore keeps images and with whom they are shared. An image that is not the project's own is NotFound with
// ReasonImageNotFound, also a public one: nobody deletes or shares that.
type ImageStore interface {
	AddImage(ctx context.Context, image phone.Image) error
	// Images gives those the project may use: its own, the public ones and the shared ones that it has accepted, newest first.
	Images(ctx context.Context, filter ImageFilter) ([]phone.Image, error)
	// CustomImages gives a page of the project's own images and of those shared with it that it has not rejected, newest first, and
	// how many match in all.
	CustomImages(ctx context.Context, filter CustomImageFilter) ([]phone.CustomImage, int, error)
	// DeleteImage removes an image, with its members. One that a phone or an unfinished job of any project has is Precondition with
	// ReasonImageInUse.
	DeleteImage(ctx context.Context, project phone.ProjectID, id phone.ImageID) error
	// ImageMembers gives the members of the project's image by the time of sharing; to one that it is shared with, itself alone.
	ImageMembers(ctx context.Context, project phone.ProjectID, id phone.ImageID) ([]phone.ImageMember, error)
	// ShareImage shares it with one more project, decided by phone.DecideShare.
	ShareImage(ctx context.Context, project phone.ProjectID, id phone.ImageID, with phone.ProjectID) error
	// AnswerShare sets the project's own status as a member; not shared with it is NotFound with ReasonImageNotFound.
	AnswerShare(ctx context.Context, project phone.ProjectID, id phone.ImageID, status phone.MemberStatus) error
	// UnshareImage ends the sharing with a member, as the image's project or as that member. No such member is NotFound with
	// ReasonMemberNotFound. Phones that boot the image keep it.
	UnshareImage(ctx context.Context, project phone.ProjectID, id phone.ImageID, member phone.ProjectID) error
}

// CustomImageFilter chooses images that are no public ones; zero fields choose nothing.
type CustomImageFilter struct {
	Project phone.ProjectID
	// Own and Shared leave the other kind out; both false is both kinds.
	Own, Shared bool
	ID          phone.ImageID
	Name        string          // the whole name
	Source      phone.ProjectID // whose image it is
	CreatedFrom time.Time       // inclusive, as CreatedTo
	CreatedTo   time.Time
	Offset      int
	Limit       int
}

// CustomImages gives one page of the project's own images and of those shared with it, and how many the filter chooses in all.
func (s *Service) CustomImages(ctx context.Context, caller account.Caller, filter CustomImageFilter) ([]phone.CustomImage, int, error) {
	if err := Authorise(caller, filter.Project, ActionImagesList); err != nil {
		return nil, 0, err
	}
	if err := checkSearch("image_name", filter.Name); err != nil {
		return nil, 0, err
	}
	if filter.ID != "" && !phone.ValidID(filter.ID) {
		return nil, 0, errImageID
	}
	if filter.Source != "" && !phone.ValidID(filter.Source) {
		return nil, 0, &phone.Error{
			Code: phone.Invalid, Reason: phone.ReasonMemberInvalid, Field: "src_project_id", Msg: "src_project_id is not the id of a project",
		}
	}
	var err error
	if filter.Limit, err = page(filter.Offset, filter.Limit); err != nil {
		return nil, 0, err
	}
	return s.store.CustomImages(ctx, filter)
}

var errImageID = phone.Errorf(phone.Invalid, phone.ReasonImageInvalid, "image_id is not 32 lower-case hex digits")

// DeleteImage removes an image of the project that nothing uses any more.
func (s *Service) DeleteImage(ctx context.Context, caller account.Caller, project phone.ProjectID, id phone.ImageID) error {
	if err := Authorise(caller, project, ActionImagesDelete); err != nil {
		return err
	}
	if !phone.ValidID(id) {
		return errImageID
	}
	return s.store.DeleteImage(ctx, project, id)
}

// ImageMembers gives with whom the project's image is shared; a project that it is shared with learns of itself alone.
func (s *Service) ImageMembers(ctx context.Context, caller account.Caller, project phone.ProjectID, id phone.ImageID) ([]phone.ImageMember, error) {
	if err := Authorise(caller, project, ActionImagesListMembers); err != nil {
		return nil, err
	}
	if !phone.ValidID(id) {
		return nil, errImageID
	}
	return s.store.ImageMembers(ctx, project, id)
}

// ShareImage offers the project's image to another project, of any account, which may use it once it has accepted.
func (s *Service) ShareImage(ctx context.Context, caller account.Caller, project phone.ProjectID, id phone.ImageID, with phone.ProjectID) error {
	if err := Authorise(caller, project, ActionImagesShare); err != nil {
		return err
	}
	if !phone.ValidID(id) {
		return errImageID
	}
	return s.store.ShareImage(ctx, project, id, with)
}

// AnswerShare accepts or rejects an image that was shared with the project. Rejecting one that was accepted takes it back; phones
// that boot it keep it.
func (s *Service) AnswerShare(ctx context.Context, caller account.Caller, project phone.ProjectID, id phone.ImageID, status phone.MemberStatus) error {
	if err := Authorise(caller, project, ActionImagesAcceptShared); err != nil {
		return err
	}
	if !phone.ValidID(id) {
		return errImageID
	}
	if status != phone.MemberAccepted && status != phone.MemberRejected {
		return &phone.Error{Code: phone.Invalid, Reason: phone.ReasonMemberStatus, Field: "status", Msg: "status must be accepted or rejected"}
	}
	return s.store.AnswerShare(ctx, project, id, status)
}

// UnshareImage ends the sharing of an image with a project. The image's project may do that, and the member for itself.
func (s *Service) UnshareImage(ctx context.Context, caller account.Caller, project phone.ProjectID, id phone.ImageID, member phone.ProjectID) error {
	if err := Authorise(caller, project, ActionImagesShare); err != nil {
		return err
	}
	if !phone.ValidID(id) {
		return errImageID
	}
	return s.store.UnshareImage(ctx, project, id, member)
}
