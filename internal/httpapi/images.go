package httpapi

import (
	"net/http"

	"github.com/lethe-cloud/lethe/api"
	"github.com/lethe-cloud/lethe/internal/fleet"
	"github.com/lethe-cloud/lethe/internal/phone"
)

func (a *API) addImage(c *call) error {
	var in api.AddImage
	if err := c.decode(&in); err != nil {
		return err
	}
	project, err := c.project()
	if err != nil {
		return err
	}
	image, err := a.Fleet.AddImage(c.Context(), c.caller, fleet.NewImage{
		Project: project, Name: in.ImageName, Label: in.ImageLabel, OSName: in.OSName, Reference: in.Reference,
	})
	if err != nil {
		return err
	}
	return c.answer(http.StatusOK, imageOut(image))
}

func (a *API) images(c *call) error {
	project, err := c.project()
	if err != nil {
		return err
	}
	images, err := a.Fleet.Images(c.Context(), c.caller, fleet.ImageFilter{Project: project, Name: c.query.Get("image_name")})
	if err != nil {
		return err
	}
	return c.answer(http.StatusOK, api.Images{Images: each(images, imageOut), Count: len(images)})
}

func imageOut(i phone.Image) api.Image {
	public := 1
	if i.Project != "" {
		public = 2
	}
	return api.Image{
		ImageID: string(i.ID), ImageName: i.Name, ImageLabel: i.Label, OSName: i.OSName, IsPublic: public, Reference: i.Reference,
		CreateTime: i.CreatedAt.UTC(),
	}
}
