package cph

import (
	"encoding/json"

	"github.com/lethe-cloud/lethe/internal/fleet"
	"github.com/lethe-cloud/lethe/internal/phone"
)

// stopPhones is POST batch-stop. It is repeatable as a reset is.
func (h *Handler) stopPhones(c *call) (any, error) {
	var in struct {
		PhoneIDs json.RawMessage `json:"phone_ids"`
	}
	if err := c.decode(&in, nil); err != nil {
		return nil, err
	}
	phones, err := ids("phone_ids", in.PhoneIDs, h.Fleet.MaxBatch(), reasonPhoneIDs, reasonNoPhoneIDs, phone.ReasonPhonesTooMany)
	if err != nil {
		return nil, err
	}
	id, outcomes, err := h.Fleet.StopPhones(c.Context(), c.caller, fleet.StopPhones{
		Request: c.id, Project: c.project, Phones: phones, Key: idempotencyKey(c.Header),
	})
	if err != nil {
		return nil, err
	}
	return c.accepted(id, outcomes), nil
}

// restartPhones is POST batch-restart. It is repeatable as a reset is.
func (h *Handler) restartPhones(c *call) (any, error) {
	in, err := decodeReset(c.body, h.Fleet.MaxBatch())
	if err != nil {
		return nil, err
	}
	id, outcomes, err := h.Fleet.RestartPhones(c.Context(), c.caller, fleet.RestartPhones{
		Request: c.id, Project: c.project, Image: in.Image, Phones: in.Phones, Key: idempotencyKey(c.Header),
	})
	if err != nil {
		return nil, err
	}
	return c.accepted(id, outcomes), nil
}

// updateProperties is POST batch-update-property. It is repeatable as a reset is.
func (h *Handler) updateProperties(c *call) (any, error) {
	in, err := decodeReset(c.body, h.Fleet.MaxBatch())
	if err != nil {
		return nil, err
	}
	id, outcomes, err := h.Fleet.UpdateProperties(c.Context(), c.caller, fleet.UpdateProperties{
		Request: c.id, Project: c.project, Phones: in.Phones, Key: idempotencyKey(c.Header),
	})
	if err != nil {
		return nil, err
	}
	return c.accepted(id, outcomes), nil
}
