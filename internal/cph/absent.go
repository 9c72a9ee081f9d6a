package cph

import (
	"encoding/json"

	"github.com/lethe-cloud/lethe/internal/fleet"
	"github.com/lethe-cloud/lethe/internal/phone"
)

// absentRoutes are what a fleet on its owner's machines does not have: bandwidth that somebody shapes, encode servers, orders,
// volumes with a size of their own. Lists are empty. What would change something is validated like everything else and then refused,
// with the reference's code and a sentence: nothing here answers success for what did not happen.
func (h *Handler) absentRoutes() []route {
	const (
		noBandwidth = "no driver shapes traffic, so there is no bandwidth"
		noEncoders  = "there are no encode servers"
		noOrders    = "nothing is bought here: an operator adds machines with lethe server add"
		noBare      = "a machine without phones is nothing that lethe runs: servers of the pool come with their phones"
		noEvents    = "nobody plans events on the operator's machines"
		empty       = ": the list is empty"
		noShare     = "servers mount no shared file system: what a phone mounts of its host stands in the server's template"
		noPorts     = "phones publish adb alone, no application ports"
	)
	return []route{
		{"ShowBandwidthDetail", "GET " + base + "/bandwidths", fleet.ActionBandwidthsList, Partly, noBandwidth + empty, h.listBandwidths},
		{"UpdateBandwidth", "PUT " + base + "/bandwidths/{band_width_id}", fleet.ActionBandwidthsUpdate, Refused, noBandwidth, h.updateBandwidth},
		{"ListEncodeServers", "GET " + base + "/encode-servers", fleet.ActionEncodersList, Partly, noEncoders + empty, h.listEncoders},
		{"RestartEncodeServer", "POST " + base + "/encode-servers/batch-restart", fleet.ActionEncodersRestart, Refused, noEncoders, h.restartEncoders},
		{"ChangeCloudPhoneServerModel", "POST " + base + "/servers/change-server-model", fleet.ActionServersChangeType, Refused, noOrders, h.changeModel},
		{"CreateCloudPhoneSingleServer", "POST /v2.1/{project_id}/cloud-phone/servers", fleet.ActionServersCreate, Refused, noBare, h.orderMachine},
		{"ImportTraffic", "POST " + base + "/phones-traffic", fleet.ActionPhonesTraffic, Refused,
			"traffic goes straight to every phone, and there is no encode server to route it to", h.importTraffic},
		{"ExpandPhoneDataVolumeSize", "POST " + base + "/phones/expand-volume", fleet.ActionPhonesExpand, Refused,
			"phones share their server's disk: a volume has no size of its own", h.expandVolume},
		{"AttachShareFilesystem", "POST /v1/{project_id}/servers/attach-share-filesystem", fleet.ActionServersAttach, Refused, noShare, h.mountShare},
		{"DetachShareFilesystem", "POST /v1/{project_id}/servers/detach-share-filesystem", fleet.ActionServersDetach, Refused, noShare, h.mountShare},
		{"ListAccessInfos", "GET " + base + "/access-infos", fleet.ActionServersGet, Partly, noPorts + empty, h.listPorts},
		{"PutAccessInfos", "PUT " + base + "/access-infos", fleet.ActionServersAccess, Refused, noPorts, h.addPorts},
		{"DeleteAccessInfos", "DELETE " + base + "/access-infos", fleet.ActionServersAccess, Refused, noPorts, h.removePorts},
		{"ListScheduledEvents", "GET " + base + "/scheduled-events", fleet.ActionEventsList, Partly, noEvents + empty, h.listEvents},
		{"AuthorizeScheduledEvent", "POST " + base + "/scheduled-events/{event_id}/authorize", fleet.ActionEventsUpdate, Refused, noEvents, h.updateEvent},
		{"UpdateScheduledEvent", "PUT " + base + "/scheduled-events/{event_id}", fleet.ActionEventsUpdate, Refused, noEvents, h.updateEvent},
	}
}

// refuse is an error of this edge alone; msg says why and, where there is one, the way.
func refuse(code phone.Code, reason phone.Reason, field, msg string) error {
	return &phone.Error{Code: code, Reason: reason, Field: field, Msg: msg}
}

type bandwidthList struct {
	RequestID  phone.RequestID `json:"request_id"`
	BandWidths []struct{}      `json:"band_widths"`
}

// listBandwidths is GET bandwidths.
func (h *Handler) listBandwidths(c *call) (any, error) {
	if _, _, err := c.query().page(100); err != nil {
		return nil, err
	}
	return bandwidthList{c.id, []struct{}{}}, nil
}

// updateBandwidth is PUT bandwidths/{band_width_id}.
func (h *Handler) updateBandwidth(c *call) (any, error) {
	var in struct {
		Size int32 `json:"band_width_size"`
	}
	if err := c.decode(&in, map[string]phone.Reason{"band_width_size": reasonBandwidthSize}); err != nil {
		return nil, err
	}
	if in.Size < 1 {
		return nil, errQuery(reasonBandwidthSize, "band_width_size", "must be a whole number of Mbit/s from 1")
	}
	return nil, refuse(phone.NotFound, reasonNoBandwidth, "band_width_id", "The traffic of phones is not shaped here.")
}

type encoderList struct {
	RequestID phone.RequestID `json:"request_id"`
	Encoders  []struct{}      `json:"encode_servers"`
}

// listEncoders is GET encode-servers.
func (h *Handler) listEncoders(c *call) (any, error) {
	q := c.query()
	if _, _, err := q.page(100); err != nil {
		return nil, err
	}
	if _, err := q.choice("type", reasonType, "0", "1"); err != nil {
		return nil, err
	}
	if _, err := q.choice("status", reasonStatus, "0", "1", "2", "3", "4", "5", "100", "1014"); err != nil {
		return nil, err
	}
	if id := q.Get("server_id"); id != "" && !phone.ValidID(id) {
		return nil, errQuery(phone.ReasonServerInvalid, "server_id", "is not 32 lower-case hex digits")
	}
	return encoderList{c.id, []struct{}{}}, nil
}

// encoderJob is one element of an answer about encode servers [SDK model_encode_server_job.go].
type encoderJob struct {
	EncoderID string `json:"encode_server_id"`
	Code      string `json:"error_code"`
	Msg       string `json:"error_msg"`
}

type encoderJobs struct {
	RequestID phone.RequestID `json:"request_id"`
	Jobs      []encoderJob    `json:"jobs"`
}

// restartEncoders is POST encode-servers/batch-restart: as in every batch, each element is refused by itself.
func (h *Handler) restartEncoders(c *call) (any, error) {
	var in struct {
		IDs json.RawMessage `json:"encode_server_ids"`
	}
	if err := c.decode(&in, nil); err != nil {
		return nil, err
	}
	all, err := ids("encode_server_ids", in.IDs, maxServers, reasonEncoders, reasonEncoders, reasonEncoders)
	if err != nil {
		return nil, err
	}
	out := encoderJobs{RequestID: c.id, Jobs: make([]encoderJob, len(all))}
	for i, id := range all {
		err := refuse(phone.NotFound, reasonNoEncoder, "encode_server_ids", "This installation has none.")
		if !phone.ValidID(id) {
			err = refuse(phone.Invalid, reasonEncoder, "encode_server_ids", "")
		}
		line := lineOf(err)
		out.Jobs[i] = encoderJob{cut(id, maxPhoneID), line.code, line.sentence(err)}
	}
	return out, nil
}

// maxServers is how many servers one batch may name [SDK model_restart_cloud_phone_server_request_body.go].
const maxServers = 100

const bought = "Nothing is bought here: an operator adds servers of the model that is wanted with lethe server add."

// changeModel is POST servers/change-server-model.
func (h *Handler) changeModel(c *call) (any, error) {
	var in struct {
		Server      string `json:"server_id"`
		ServerModel string `json:"server_model_name"`
		PhoneModel  string `json:"phone_model_name"`
	}
	err := c.decode(&in, map[string]phone.Reason{
		"server_id": phone.ReasonServerInvalid, "server_model_name": reasonServerModel, "phone_model_name": reasonPhoneModel,
	})
	switch {
	case err != nil:
		return nil, err
	case !phone.ValidID(in.Server):
		return nil, refuse(phone.Invalid, phone.ReasonServerInvalid, "server_id", "server_id is not 32 lower-case hex digits")
	case in.ServerModel == "":
		return nil, refuse(phone.Invalid, reasonNoServerModel, "server_model_name", "server_model_name is empty")
	case in.PhoneModel == "":
		return nil, refuse(phone.Invalid, reasonNoPhoneModel, "phone_model_name", "phone_model_name is empty")
	}
	return nil, refuse(phone.Unsupported, reasonOrder, "", bought)
}

// orderMachine is POST /v2.1 servers: a machine without phones.
func (h *Handler) orderMachine(c *call) (any, error) {
	var in struct {
		Name  string `json:"server_name"`
		Model string `json:"server_model_name"`
		Count int32  `json:"count"`
	}
	err := c.decode(&in, map[string]phone.Reason{"server_name": reasonServerName, "server_model_name": reasonServerModel, "count": reasonCount})
	switch {
	case err != nil:
		return nil, err
	case in.Name == "":
		return nil, refuse(phone.Invalid, reasonServerName, "server_name", "server_name is empty")
	case in.Model == "":
		return nil, refuse(phone.Invalid, reasonNoServerModel, "server_model_name", "server_model_name is empty")
	case in.Count < 1 || in.Count > 10:
		return nil, refuse(phone.Invalid, reasonCount, "count", "count must be 1 to 10")
	}
	return nil, refuse(phone.Unsupported, reasonOrder, "", "lethe runs no machines without phones: servers of the pool come with their phones.")
}

// maxTraffic is how many phones one call may route [SDK model_import_traffic_request_body.go].
const maxTraffic = 100

// importTraffic is POST phones-traffic.
func (h *Handler) importTraffic(c *call) (any, error) {
	var in struct {
		Type     string          `json:"traffic_type"`
		PhoneIDs json.RawMessage `json:"phone_ids"`
	}
	if err := c.decode(&in, map[string]phone.Reason{"traffic_type": reasonType}); err != nil {
		return nil, err
	}
	if in.Type != "direct" && in.Type != "routing" {
		return nil, errQuery(reasonType, "traffic_type", "must be direct or routing")
	}
	if _, err := ids("phone_ids", in.PhoneIDs, maxTraffic, reasonPhoneIDs, reasonNoPhoneIDs, phone.ReasonPhonesTooMany); err != nil {
		return nil, err
	}
	return nil, refuse(phone.Unsupported, reasonNoEncoder, "traffic_type", "Traffic goes straight to every phone, and nothing else is there to route it to.")
}

// expandVolume is POST phones/expand-volume.
func (h *Handler) expandVolume(c *call) (any, error) {
	var in struct {
		Phones []struct {
			PhoneID string `json:"phone_id"`
			Size    int32  `json:"new_size"`
		} `json:"phones"`
	}
	if err := c.decode(&in, map[string]phone.Reason{"phones": phone.ReasonPhonesInvalid}); err != nil {
		return nil, err
	}
	if len(in.Phones) == 0 {
		return nil, errPhones("phones is empty")
	}
	for i, p := range in.Phones {
		if !phone.ValidID(p.PhoneID) {
			return nil, errPhones("phones[%d].phone_id is not 32 lower-case hex digits", i)
		}
		if p.Size < 1 || p.Size > 32_768 {
			return nil, errPhones("phones[%d].new_size must be 1 to 32768 GiB", i)
		}
	}
	return nil, refuse(phone.Unsupported, reasonNotHere, "", "Phones share their server's disk: their volumes have no size of their own.")
}

// maxShareServers is how many servers may mount a file system in one call [SDK e51941f model_attach_share_filesystem_request_body.go].
const maxShareServers = 20

// mountShare is POST servers/attach-share-filesystem and servers/detach-share-filesystem; path is the first one's alone.
func (h *Handler) mountShare(c *call) (any, error) {
	var in struct {
		Type    string          `json:"type"`
		ID      string          `json:"id"`
		Servers json.RawMessage `json:"server_ids"`
		Path    string          `json:"path"`
	}
	err := c.decode(&in, map[string]phone.Reason{"type": reasonType, "path": reasonPath})
	switch {
	case err != nil:
		return nil, err
	case in.Type != "sfs_turbo":
		return nil, errQuery(reasonType, "type", "must be sfs_turbo")
	case in.ID == "":
		return nil, errQuery(reasonBody, "id", "is empty: name a file system")
	case in.Path != "" && (in.Path[0] != '/' || len(in.Path) > 1024):
		return nil, errQuery(reasonPath, "path", "must begin with / and have at most 1024 bytes")
	}
	all, err := ids("server_ids", in.Servers, maxShareServers, reasonServerIDs, reasonNoServerIDs, reasonTooManyServers)
	if err != nil {
		return nil, err
	}
	for _, id := range all {
		if !phone.ValidID(id) {
			return nil, errQuery(reasonServerIDs, "server_ids", "has an element that is not 32 lower-case hex digits")
		}
	}
	return nil, refuse(phone.Unsupported, reasonNoShare, "server_ids", "What phones mount of their host stands in the server's template.")
}

type portList struct {
	RequestID phone.RequestID `json:"request_id"`
	ServerID  phone.ServerID  `json:"server_id"`
	Ports     []struct{}      `json:"ports"` // adb is none of them: the reference lists applications' ports
}

// listPorts is GET access-infos.
func (h *Handler) listPorts(c *call) (any, error) {
	id := phone.ServerID(c.query().Get("server_id"))
	if !phone.ValidID(id) {
		return nil, errQuery(phone.ReasonServerInvalid, "server_id", "is not 32 lower-case hex digits")
	}
	server, err := h.Fleet.Server(c.Context(), c.caller, c.project, id)
	return portList{c.id, server.ID, []struct{}{}}, err
}

// portsRequest is the body of PUT and DELETE access-infos.
type portsRequest struct {
	Servers json.RawMessage `json:"server_ids"`
	Ports   []struct {
		Name       string `json:"name"`
		Listen     *int32 `json:"listen_port"`
		Accessible string `json:"internet_accessible"`
	} `json:"ports"`
}

func (c *call) ports() (portsRequest, error) {
	var in portsRequest
	if err := c.decode(&in, map[string]phone.Reason{"ports": reasonPorts}); err != nil {
		return in, err
	}
	if _, err := ids("server_ids", in.Servers, maxServers, reasonServerIDs, reasonNoServerIDs, reasonTooManyServers); err != nil {
		return in, err
	}
	if len(in.Ports) == 0 {
		return in, errQuery(reasonPorts, "ports", "is empty")
	}
	return in, nil
}

// addPorts is PUT access-infos.
func (h *Handler) addPorts(c *call) (any, error) {
	in, err := c.ports()
	if err != nil {
		return nil, err
	}
	for _, p := range in.Ports {
		switch {
		case p.Name == "" || len(p.Name) > 16:
			return nil, errQuery(reasonPortName, "name", "must have 1 to 16 bytes")
		case p.Listen == nil || *p.Listen < 0 || *p.Listen > 65535:
			return nil, errQuery(reasonListenPort, "listen_port", "must be 0 to 65535")
		case p.Accessible != "true" && p.Accessible != "false":
			return nil, errQuery(reasonAccessible, "internet_accessible", "must be true or false")
		}
	}
	return nil, refuse(phone.Unsupported, reasonNotHere, "ports", "Phones publish their adb port alone: what listens in a phone is reached through adb forward.")
}

// removePorts is DELETE access-infos: every name that it can be given is one that no server has.
func (h *Handler) removePorts(c *call) (any, error) {
	if _, err := c.ports(); err != nil {
		return nil, err
	}
	return nil, refuse(phone.NotFound, reasonPortName, "ports", "no server has a port of this name")
}

type eventList struct {
	RequestID phone.RequestID `json:"request_id"`
	Count     int             `json:"count"`
	Events    []struct{}      `json:"scheduled_events"`
}

// listEvents is GET scheduled-events.
func (h *Handler) listEvents(c *call) (any, error) {
	if _, _, err := c.query().page(100); err != nil {
		return nil, err
	}
	return eventList{RequestID: c.id, Events: []struct{}{}}, nil
}

// updateEvent is PUT scheduled-events/{event_id}, and POST to its authorize.
func (h *Handler) updateEvent(c *call) (any, error) {
	var in struct{}
	if err := c.decode(&in, nil); err != nil {
		return nil, err
	}
	return nil, refuse(phone.NotFound, reasonNoEvent, "event_id", "There is no such event.")
}
