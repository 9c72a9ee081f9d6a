package cph

import (
	"errors"

	"github.com/lethe-cloud/lethe/internal/phone"
)

// renamePhone is PUT phones/{phone_id}.
func (h *Handler) renamePhone(c *call) (any, error) {
	var in struct {
		Name string `json:"phone_name"`
	}
	if err := c.decode(&in, map[string]phone.Reason{"phone_name": reasonPhoneName}); err != nil {
		return nil, err
	}
	return done{c.id}, h.Fleet.RenamePhone(c.Context(), c.caller, c.project, phone.ID(c.PathValue("phone_id")), in.Name)
}

// renameServer is PUT servers/{server_id}.
func (h *Handler) renameServer(c *call) (any, error) {
	var in struct {
		Name string `json:"server_name"`
	}
	if err := c.decode(&in, map[string]phone.Reason{"server_name": reasonServerName}); err != nil {
		return nil, err
	}
	err := h.Fleet.RenameServer(c.Context(), c.caller, c.project, phone.ServerID(c.PathValue("server_id")), in.Name)
	return done{c.id}, renamed(err, map[phone.Reason]phone.Reason{
		phone.ReasonNameInvalid: reasonServerName, phone.ReasonNameTaken: reasonServerNameTaken,
	})
}

// renamed gives err another reason where the domain's means something else on this route.
func renamed(err error, reasons map[phone.Reason]phone.Reason) error {
	var e *phone.Error
	if !errors.As(err, &e) || reasons[e.Reason] == "" {
		return err
	}
	other := *e
	other.Reason = reasons[e.Reason]
	return &other
}
