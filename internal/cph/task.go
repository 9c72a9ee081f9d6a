package cph

import (
	"encoding/json"
	"strings"

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

// maxObjects bounds the content of install-multiple, in bytes [SDK model_install_apk_request_body.go].
const maxObjects = 8100

// contentObjects reads the objects that a command names, with spaces between them.
func contentObjects(content string, most int) ([]phone.Object, error) {
	names := strings.Fields(content)
	switch {
	case len(content) > maxObjects:
		return nil, errQuery(phone.ReasonContentInvalid, "content", "has more than %d bytes", maxObjects)
	case len(names) == 0:
		return nil, errQuery(phone.ReasonContentInvalid, "content", "is empty: write obs://BUCKET/PATH")
	case len(names) > most:
		return nil, errQuery(phone.ReasonContentInvalid, "content", "names %d objects, at most %d are taken", len(names), most)
	}
	objects := make([]phone.Object, len(names))
	for i, name := range names {
		o, err := phone.ParseObject(name)
		if err != nil {
			return nil, err
		}
		objects[i] = o
	}
	return objects, nil
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
	case "push":
		in.Kind = phone.KindPush
		in.Task.Objects, err = contentObjects(body.Content, 1)
	case "install":
		in.Kind = phone.KindInstall
		in.Task.Objects, err = contentObjects(body.Content, 1)
	case "install-multiple":
		in.Kind = phone.KindInstall
		in.Task.Objects, err = contentObjects(body.Content, phone.MaxAPKs)
	default:
		err = errQuery(phone.ReasonCommandInvalid, "command", "must be shell, push, install, install-multiple or uninstall")
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
