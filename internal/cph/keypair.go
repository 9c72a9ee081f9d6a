package cph

import (
	"encoding/json"
	"fmt"

	"github.com/lethe-cloud/lethe/internal/fleet"
	"github.com/lethe-cloud/lethe/internal/phone"
	"github.com/lethe-cloud/lethe/internal/strictjson"
)

// updateKeypair is PUT servers/open-access [SDK model_update_keypair_request_body.go]. As in every batch, each element is refused by itself.
func (h *Handler) updateKeypair(c *call) (any, error) {
	var in struct {
		Servers json.RawMessage `json:"servers"`
	}
	if err := c.decode(&in, nil); err != nil {
		return nil, err
	}
	servers, err := serverKeypairs(in.Servers)
	if err != nil {
		return nil, err
	}
	id, outcomes, err := h.Fleet.UpdateKeypair(c.Context(), c.caller, fleet.UpdateKeypair{Request: c.id, Project: c.project, Servers: servers})
	if err != nil {
		return nil, err
	}
	return c.acceptedServers(id, outcomes, keypairLine), nil
}

// serverKeypairs reads the list, which is counted before it is read [SDK model_server_keypair.go].
func serverKeypairs(list json.RawMessage) ([]fleet.ServerKeypair, error) {
	bad := func(code phone.Code, reason phone.Reason, format string, args ...any) error {
		return &phone.Error{Code: code, Reason: reason, Field: "servers", Msg: "servers" + fmt.Sprintf(format, args...)}
	}
	switch {
	case list == nil || string(list) == "null":
		return nil, bad(phone.Invalid, reasonNoServers, " is missing")
	case list[0] != '[':
		return nil, bad(phone.Invalid, reasonServers, " must be a list")
	case longer(list, fleet.MaxKeypairServers):
		return nil, bad(phone.Exhausted, reasonTooManyServers, " has more than %d elements", fleet.MaxKeypairServers)
	}
	var elements []*struct {
		Server  string `json:"server_id"`
		Keypair string `json:"keypair_name"`
	}
	if err := strictjson.Unmarshal(list, &elements, bodyRules); err != nil {
		return nil, bad(phone.Invalid, reasonServers, ": %s", err)
	}
	servers := make([]fleet.ServerKeypair, len(elements))
	for i, e := range elements {
		if e == nil {
			return nil, bad(phone.Invalid, reasonServers, "[%d] must be an object, not null", i)
		}
		servers[i] = fleet.ServerKeypair{Server: e.Server, Keypair: e.Keypair}
	}
	if len(servers) == 0 {
		return nil, bad(phone.Invalid, reasonNoServers, " is empty")
	}
	return servers, nil
}

// keypairLine is lineOf with the codes that the reference has for this call alone.
func keypairLine(err *phone.Error) line {
	switch err.Reason {
	case phone.ReasonServerNotFound:
		return byReason[phone.ReasonServerInvalid]
	case phone.ReasonServerBusy, phone.ReasonServerNotReady:
		return byReason[reasonKeypairServer]
	}
	return lineOf(err)
}
