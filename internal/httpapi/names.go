package httpapi

import (
	"github.com/lethe-cloud/lethe/api"
	"github.com/lethe-cloud/lethe/internal/phone"
)

func (a *API) renamePhone(c *call) error {
	var in api.RenamePhone
	if err := c.decode(&in); err != nil {
		return err
	}
	project, err := c.project()
	if err != nil {
		return err
	}
	return c.done(a.Fleet.RenamePhone(c.Context(), c.caller, project, phone.ID(c.PathValue("phone_id")), in.PhoneName))
}

func (a *API) renameServer(c *call) error {
	var in api.RenameServer
	if err := c.decode(&in); err != nil {
		return err
	}
	project, err := c.project()
	if err != nil {
		return err
	}
	return c.done(a.Fleet.RenameServer(c.Context(), c.caller, project, phone.ServerID(c.PathValue("server_id")), in.ServerName))
}

func (a *API) deleteImage(c *call) error {
	project, err := c.project()
	if err != nil {
		return err
	}
	return c.done(a.Fleet.DeleteImage(c.Context(), c.caller, project, phone.ImageID(c.PathValue("image_id"))))
}
