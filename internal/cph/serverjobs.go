package cph

import (
	"bytes"
	"encoding/json"
	"maps"

	"github.com/lethe-cloud/lethe/internal/fleet"
	"github.com/lethe-cloud/lethe/internal/phone"
)

// serverJob is one server's share of a call about servers [SDK model_server_job.go]: a job, or why there is none.
type serverJob struct {
	ServerID string      `json:"server_id"`
	JobID    phone.JobID `json:"job_id,omitempty"`
	Code     string      `json:"error_code,omitempty"`
	Msg      string      `json:"error_msg,omitempty"`
}

type serverJobs struct {
	RequestID phone.RequestID `json:"request_id"`
	Jobs      []serverJob     `json:"jobs"`
}

// oneJob is the answer of a call that has one job, whatever the number of servers.
type oneJob struct {
	RequestID phone.RequestID `json:"request_id"`
	ServerID  string          `json:"server_id,omitempty"`
	JobID     phone.JobID     `json:"job_id"`
}

// serverIDs reads the one field of these calls.
func (c *call) serverIDs(most int) ([]string, error) {
	var in struct {
		ServerIDs json.RawMessage `json:"server_ids"`
	}
	if err := c.decode(&in, nil); err != nil {
		return nil, err
	}
	return ids("server_ids", in.ServerIDs, most, reasonServerIDs, reasonNoServerIDs, reasonTooManyServers)
}

// restartServers is POST servers/batch-restart. As in every batch, each element is refused by itself.
func (h *Handler) restartServers(c *call) (any, error) {
	servers, err := c.serverIDs(fleet.MaxRestartServers)
	if err != nil {
		return nil, err
	}
	id, outcomes, err := h.Fleet.RestartServers(c.Context(), c.caller, fleet.ServersCall{Request: c.id, Project: c.project, Servers: servers})
	if err != nil {
		return nil, err
	}
	return c.acceptedServers(id, outcomes, restartLine), nil
}

// acceptedServers is accepted for a call about servers; lines gives the codes that the call has.
func (c *call) acceptedServers(id phone.RequestID, outcomes []phone.ServerOutcome, lines func(*phone.Error) line) serverJobs {
	c.id = id
	out := serverJobs{RequestID: id, Jobs: make([]serverJob, len(outcomes))}
	for i, o := range outcomes {
		out.Jobs[i] = serverJob{ServerID: cut(o.ServerID, maxPhoneID), JobID: o.Job}
		if o.Err != nil {
			line := lines(o.Err)
			out.Jobs[i].Code, out.Jobs[i].Msg = line.code, line.sentence(o.Err)
		}
	}
	return out
}

// restartLine is lineOf with the codes that the reference has for this call alone.
func restartLine(err *phone.Error) line {
	switch err.Reason {
	case phone.ReasonServerNotFound:
		return byReason[reasonNoServer]
	case phone.ReasonServerBusy, phone.ReasonServerNotReady:
		return byReason[reasonNoRestart]
	}
	return lineOf(err)
}

// deleteServers is DELETE /v2 servers. The answer has one job for all of the servers, so that one that cannot be deleted refuses them all.
func (h *Handler) deleteServers(c *call) (any, error) {
	servers, err := c.serverIDs(fleet.MaxDeleteServers)
	if err != nil {
		return nil, err
	}
	id, job, err := h.Fleet.DeleteServers(c.Context(), c.caller, fleet.ServersCall{Request: c.id, Project: c.project, Servers: servers})
	if err != nil {
		return nil, err
	}
	c.id = id
	return oneJob{RequestID: id, JobID: job}, nil
}

// phonesSpec is what calls that make all phones of servers have in common. The zone, the network and the bandwidth are the host's own: they
// are not looked at.
type phonesSpec struct {
	PhoneModel  string          `json:"phone_model_name"`
	Image       string          `json:"image_id"`
	Keypair     string          `json:"keypair_name"`
	Ports       json.RawMessage `json:"ports"`
	PhoneVolume json.RawMessage `json:"phone_data_volume"`
	ShareVolume json.RawMessage `json:"server_share_data_volume"`
	Property    string          `json:"property"`
}

// specReasons are the reasons of fields that have the wrong type.
func specReasons(more map[string]phone.Reason) map[string]phone.Reason {
	reasons := map[string]phone.Reason{
		"phone_model_name": reasonPhoneModel, "image_id": phone.ReasonImageInvalid, "keypair_name": phone.ReasonNoKeypair, "property": phone.ReasonPropertyInvalid,
	}
	maps.Copy(reasons, more)
	return reasons
}

// refused is why phones like this cannot be made: something is missing, or a caller would miss what it asks for.
func (in phonesSpec) refused() error {
	given := func(raw json.RawMessage) bool {
		raw = bytes.TrimSpace(raw)
		return len(raw) > 0 && string(raw) != "null" && string(raw) != "[]"
	}
	switch {
	case in.PhoneModel == "":
		return refuse(phone.Invalid, reasonNoPhoneModel, "phone_model_name", "phone_model_name is empty")
	case in.Image == "":
		return refuse(phone.Invalid, reasonNoImage, "image_id", "image_id is empty")
	case given(in.Ports):
		return refuse(phone.Unsupported, reasonPorts, "ports", "")
	case given(in.PhoneVolume), given(in.ShareVolume):
		return refuse(phone.Unsupported, reasonNotHere, "", "Phones share their server's disk: leave phone_data_volume and server_share_data_volume out.")
	}
	return nil
}

// order is the answer of a call that the cloud makes an order of. Nothing is ordered here, so the order is the request.
type order struct {
	RequestID phone.RequestID  `json:"request_id"`
	OrderID   string           `json:"order_id"`
	ProductID string           `json:"product_id"`
	ServerIDs []phone.ServerID `json:"server_ids"`
}

// createServers is POST /v2 servers [SDK model_create_net2_cloud_phone_server_request_body.go].
func (h *Handler) createServers(c *call) (any, error) {
	var in struct {
		phonesSpec
		Name        string `json:"server_name"`
		ServerModel string `json:"server_model_name"`
		Count       int32  `json:"count"`
	}
	err := c.decode(&in, specReasons(map[string]phone.Reason{"server_name": reasonServerName, "server_model_name": reasonServerModel, "count": reasonCount}))
	switch {
	case err != nil:
		return nil, err
	case in.Name == "":
		return nil, refuse(phone.Invalid, reasonServerName, "server_name", "server_name is empty")
	case in.ServerModel == "":
		return nil, refuse(phone.Invalid, reasonNoServerModel, "server_model_name", "server_model_name is empty")
	case in.Count < 1 || in.Count > fleet.MaxCreateServers:
		return nil, refuse(phone.Invalid, reasonCount, "count", "count must be 1 to 10")
	}
	if err := in.refused(); err != nil {
		return nil, err
	}
	id, servers, err := h.Fleet.CreateServers(c.Context(), c.caller, fleet.CreateServers{
		Request: c.id, Project: c.project, Name: in.Name, ServerModel: in.ServerModel, PhoneModel: in.PhoneModel, Image: in.Image, Count: int(in.Count), Keypair: in.Keypair, Property: in.Property,
	})
	if err != nil {
		return nil, renamed(err, map[phone.Reason]phone.Reason{phone.ReasonNameInvalid: reasonServerName, phone.ReasonNameTaken: reasonServerNameTaken})
	}
	c.id = id
	return order{RequestID: id, OrderID: string(id), ServerIDs: servers}, nil
}

// changeServer is POST /v2 servers/{server_id}/change [SDK model_change_cloud_phone_server_request_body.go].
func (h *Handler) changeServer(c *call) (any, error) {
	var in phonesSpec
	if err := c.decode(&in, specReasons(nil)); err != nil {
		return nil, err
	}
	if err := in.refused(); err != nil {
		return nil, err
	}
	id, job, err := h.Fleet.ChangeServer(c.Context(), c.caller, fleet.ChangeServer{
		Request: c.id, Project: c.project, Server: phone.ServerID(c.PathValue("server_id")), Image: in.Image, PhoneModel: in.PhoneModel, Keypair: in.Keypair, Property: in.Property,
	})
	if err != nil {
		return nil, err
	}
	c.id = id
	return oneJob{RequestID: id, ServerID: c.PathValue("server_id"), JobID: job}, nil
}
