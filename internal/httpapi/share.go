package httpapi

import (
	"net/http"

	"github.com/lethe-cloud/lethe/api"
	"github.com/lethe-cloud/lethe/internal/fleet"
	"github.com/lethe-cloud/lethe/internal/phone"
)

// sharedImages lists what other projects have shared with this one, also what it has not accepted: else nobody knew what there is to accept.
func (a *API) sharedImages(c *call) error {
	project, err := c.project()
	if err != nil {
		return err
	}
	filter := fleet.CustomImageFilter{Project: project, Shared: true}
	if filter.Offset, filter.Limit, err = c.page(); err != nil {
		return err
	}
	images, count, err := a.Fleet.CustomImages(c.Context(), c.caller, filter)
	if err != nil {
		return err
	}
	return c.answer(http.StatusOK, api.SharedImages{Count: count, Images: each(images, func(i phone.CustomImage) api.SharedImage {
		return api.SharedImage{
			ImageID: string(i.ID), ImageName: i.Name, ImageLabel: i.Label, OSName: i.OSName, SourceProjectID: string(i.Project), Status: string(i.Member),
		}
	})})
}

func (a *API) imageMembers(c *call) error {
	project, err := c.project()
	if err != nil {
		return err
	}
	members, err := a.Fleet.ImageMembers(c.Context(), c.caller, project, c.imageID())
	if err != nil {
		return err
	}
	return c.answer(http.StatusOK, api.ImageMembers{Members: each(members, func(m phone.ImageMember) api.ImageMember {
		return api.ImageMember{ProjectID: string(m.Project), Status: string(m.Status), CreateTime: m.CreatedAt.UTC(), UpdateTime: m.UpdatedAt.UTC()}
	})})
}

func (a *API) shareImage(c *call) error {
	project, err := c.project()
	if err != nil {
		return err
	}
	return c.done(a.Fleet.ShareImage(c.Context(), c.caller, project, c.imageID(), c.memberID()))
}

func (a *API) unshareImage(c *call) error {
	project, err := c.project()
	if err != nil {
		return err
	}
	return c.done(a.Fleet.UnshareImage(c.Context(), c.caller, project, c.imageID(), c.memberID()))
}

// answerImage is of the project that the image was shared with.
func (a *API) answerImage(c *call) error {
	var in api.AnswerImage
	if err := c.decode(&in); err != nil {
		return err
	}
	project, err := c.project()
	if err != nil {
		return err
	}
	return c.done(a.Fleet.AnswerShare(c.Context(), c.caller, project, c.imageID(), phone.MemberStatus(in.Status)))
}

func (c *call) imageID() phone.ImageID { return phone.ImageID(c.PathValue("image_id")) }

func (c *call) memberID() phone.ProjectID { return phone.ProjectID(c.PathValue("member_id")) }
