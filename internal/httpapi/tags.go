package httpapi

import (
	"net/http"

	"github.com/lethe-cloud/lethe/api"
	"github.com/lethe-cloud/lethe/internal/phone"
)

func (a *API) serverTags(c *call) error {
	project, err := c.project()
	if err != nil {
		return err
	}
	tags, err := a.Fleet.ServerTags(c.Context(), c.caller, project, c.serverID())
	if err != nil {
		return err
	}
	return c.answer(http.StatusOK, api.Tags{Tags: each(tags, func(t phone.Tag) api.Tag { return api.Tag(t) })})
}

// setServerTags leaves the keys that are not named as they are.
func (a *API) setServerTags(c *call) error {
	var in api.Tags
	if err := c.decode(&in); err != nil {
		return err
	}
	project, err := c.project()
	if err != nil {
		return err
	}
	return c.done(a.Fleet.AddTags(c.Context(), c.caller, project, c.serverID(), each(in.Tags, func(t api.Tag) phone.Tag { return phone.Tag(t) })))
}

func (a *API) deleteServerTag(c *call) error {
	project, err := c.project()
	if err != nil {
		return err
	}
	return c.done(a.Fleet.RemoveTags(c.Context(), c.caller, project, c.serverID(), []phone.Tag{{Key: c.PathValue("tag_key")}}))
}

func (c *call) serverID() phone.ServerID { return phone.ServerID(c.PathValue("server_id")) }
