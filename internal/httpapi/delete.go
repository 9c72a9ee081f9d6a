package httpapi

import (
	"fmt"
	"net/http"

	"github.com/lethe-cloud/lethe/api"
	"github.com/lethe-cloud/lethe/internal/fleet"
	"github.com/lethe-cloud/lethe/internal/phone"
)

// deletePhones answers with the id of the accepted request, in the header too; under a key that was used before, the first one's.
func (a *API) deletePhones(c *call) error {
	var in api.DeletePhones
	if err := c.decode(&in); err != nil {
		return err
	}
	project, err := c.project()
	if err != nil {
		return err
	}
	if len(in.PhoneIDs) > a.Fleet.MaxBatch() {
		return &phone.Error{
			Code: phone.Exhausted, Reason: phone.ReasonPhonesTooMany, Field: "phone_ids",
			Msg: fmt.Sprintf("phone_ids has %d elements, at most %d are taken in one call: send several", len(in.PhoneIDs), a.Fleet.MaxBatch()),
		}
	}
	request, outcomes, err := a.Fleet.DeletePhones(c.Context(), c.caller, fleet.DeletePhones{
		Request: c.requestID, Project: project, Phones: in.PhoneIDs, Key: c.idempotencyKey(),
	})
	if err != nil {
		return err
	}
	return c.accepted(request, outcomes)
}

// restartServer restarts all phones of a server that may be restarted.
func (a *API) restartServer(c *call) error {
	project, err := c.bare()
	if err != nil {
		return err
	}
	request, outcomes, err := a.Fleet.RestartServers(c.Context(), c.caller, c.thisServer(project))
	switch {
	case err != nil:
		return err
	case outcomes[0].Err != nil:
		return outcomes[0].Err
	}
	return c.acceptedServer(request, outcomes[0].Job)
}

// deleteServer deletes all phones of a server, and then the server.
func (a *API) deleteServer(c *call) error {
	project, err := c.bare()
	if err != nil {
		return err
	}
	request, job, err := a.Fleet.DeleteServers(c.Context(), c.caller, c.thisServer(project))
	if err != nil {
		return err
	}
	return c.acceptedServer(request, job)
}

// abandonServer forgets a server whose host does not answer.
func (a *API) abandonServer(c *call) error {
	project, err := c.bare()
	if err != nil {
		return err
	}
	id := c.PathValue("server_id")
	phones, err := a.Fleet.AbandonServer(c.Context(), c.caller, project, phone.ServerID(id))
	if err != nil {
		return err
	}
	return c.answer(http.StatusOK, api.AbandonedServer{ServerID: id, Phones: phones})
}

// thisServer is a call about the one server that the path names.
func (c *call) thisServer(project phone.ProjectID) fleet.ServersCall {
	return fleet.ServersCall{Request: c.requestID, Project: project, Servers: []string{c.PathValue("server_id")}}
}

// acceptedServer answers with the id of the request that was accepted, in the header too.
func (c *call) acceptedServer(request phone.RequestID, job phone.JobID) error {
	c.setRequest(request)
	return c.answer(http.StatusOK, api.AcceptedServer{RequestID: string(request), JobID: string(job)})
}

// setRequest gives the call the id of the request that was accepted.
func (c *call) setRequest(request phone.RequestID) {
	c.requestID = request
	c.w.Header().Set("X-Request-Id", string(request))
}
