package cph

import (
	"encoding/json"

	"github.com/lethe-cloud/lethe/internal/fleet"
	"github.com/lethe-cloud/lethe/internal/phone"
)

// taskBody is the body of commands, whose operations share one path and are told apart by command. phone_ids wins over server_ids.
type taskBody struct {
	Command   string          `json:"command"`
	Content   string          `json:"content"`
	PhoneIDs  json.RawMessage `json:"phone_ids"`
	ServerIDs json.RawMessage `json:"server_ids"`
}

// runCommand is POST phones/commands. It is repeatable as a reset is.
func (h *Handler) runCommand(c *call) (any, error) {
	var body taskBody
	err := c.decode(&body, map[string]phone.Reason{"command": phone.ReasonCommandInvalid, "content": phone.ReasonContentInvalid})
	if err != nil {
		return nil, err
	}
	in := fleet.RunTask{Request: c.id, Project: c.project, Key: idempotencyKey(c.Header)}
	switch body.Command {
	case "shell":
		in.Kind = phone.KindShell
		in.Task.Command, err = shellWords(body.Content)
	case "uninstall":
		in.Kind = phone.KindUninstall
		in.Task.Package = body.Content
	default:
		err = errQuery(phone.ReasonCommandInvalid, "command", "must be shell or uninstall")
	}
	if err != nil {
		return nil, err
	}
	if !absent(body.PhoneIDs) || absent(body.ServerIDs) {
		in.Phones, err = ids("phone_ids", body.PhoneIDs, h.Fleet.MaxBatch(), reasonPhoneIDs, reasonNoPhoneIDs, phone.ReasonPhonesTooMany)
	} else {
		in.Servers, err = ids("server_ids", body.ServerIDs, maxServers, reasonServerIDs, reasonNoServerIDs, reasonTooManyServers)
	}
	if err != nil {
		return nil, err
	}
	id, outcomes, err := h.Fleet.RunTask(c.Context(), c.caller, in)
	if err != nil {
		return nil, err
	}
	return c.accepted(id, outcomes), nil
}
