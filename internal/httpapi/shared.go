package httpapi

import (
	"github.com/lethe-cloud/lethe/api"
	"github.com/lethe-cloud/lethe/internal/fleet"
	"github.com/lethe-cloud/lethe/internal/phone"
)

// pushSharedFiles unpacks an archive in the shared storage of a server.
func (a *API) pushSharedFiles(c *call) error { return a.pushShared(c, phone.KindSharePush) }

// pushSharedApp does it in the folder of an app, in place of what is there of it.
func (a *API) pushSharedApp(c *call) error { return a.pushShared(c, phone.KindAppPush) }

func (a *API) pushShared(c *call, kind phone.Kind) error {
	var in api.PushShared
	if err := c.decode(&in); err != nil {
		return err
	}
	object, refused := phone.ShareObject(in.BucketName, in.ObjectPath)
	if refused != nil {
		return refused
	}
	return a.shareTask(c, kind, phone.Task{Package: c.PathValue("package_name"), Objects: []phone.Object{object}}, c.project)
}

// deleteSharedFiles deletes files and folders.
func (a *API) deleteSharedFiles(c *call) error {
	var in api.DeleteSharedFiles
	if err := c.decode(&in); err != nil {
		return err
	}
	return a.shareTask(c, phone.KindShareDelete, phone.Task{Share: &phone.ShareTask{Paths: in.FilePaths}}, c.project)
}

// deleteSharedApp deletes the folder of an app.
func (a *API) deleteSharedApp(c *call) error {
	return a.shareTask(c, phone.KindAppDelete, phone.Task{Package: c.PathValue("package_name")}, c.bare)
}

// listSharedFiles lists a folder: the request's progress has the list when its job has ended.
func (a *API) listSharedFiles(c *call) error {
	offset, err := c.integer("offset", 0, 0, 1<<31-1)
	if err != nil {
		return err
	}
	limit, err := c.integer("limit", phone.MaxShareFiles, 1, phone.MaxShareFiles)
	if err != nil {
		return err
	}
	return a.shareTask(c, phone.KindShareList, phone.Task{Share: &phone.ShareTask{Path: c.query.Get("path"), Offset: offset, Limit: limit}}, c.project)
}

// shareTask lets the use case do it on the one server that the path names.
func (a *API) shareTask(c *call, kind phone.Kind, task phone.Task, project func() (phone.ProjectID, error)) error {
	in, err := project()
	if err != nil {
		return err
	}
	request, outcomes, err := a.Fleet.RunShareTask(c.Context(), c.caller, fleet.ShareCall{
		Request: c.requestID, Project: in, Kind: kind, Task: task, Servers: []string{c.PathValue("server_id")},
	})
	switch {
	case err != nil:
		return err
	case outcomes[0].Err != nil:
		return outcomes[0].Err
	}
	return c.acceptedServer(request, outcomes[0].Job)
}
