package httpapi

import (
	"encoding/json"
	"fmt"

	"github.com/lethe-cloud/lethe/api"
	"github.com/lethe-cloud/lethe/internal/fleet"
	"github.com/lethe-cloud/lethe/internal/phone"
)

// resetPhones answers with the id of the accepted request, in the header too; under a key that was used before, the first one's.
func (a *API) resetPhones(c *call) error {
	if err := c.fewPhones(a.Fleet.MaxBatch()); err != nil {
		return err
	}
	var in api.ResetPhones
	if err := c.decode(&in); err != nil {
		return err
	}
	project, err := c.project()
	if err != nil {
		return err
	}
	reset := resetIn(in)
	reset.Request, reset.Project, reset.Key = c.requestID, project, c.idempotencyKey()
	request, outcomes, err := a.Fleet.ResetPhones(c.Context(), c.caller, reset)
	if err != nil {
		return err
	}
	return c.accepted(request, outcomes)
}

// restartPhones answers as resetPhones does.
func (a *API) restartPhones(c *call) error {
	if err := c.fewPhones(a.Fleet.MaxBatch()); err != nil {
		return err
	}
	var in api.RestartPhones
	if err := c.decode(&in); err != nil {
		return err
	}
	project, err := c.project()
	if err != nil {
		return err
	}
	request, outcomes, err := a.Fleet.RestartPhones(c.Context(), c.caller, fleet.RestartPhones{
		Request: c.requestID, Project: project, Key: c.idempotencyKey(), Image: in.ImageID,
		Phones: each(in.Phones, func(p api.RestartPhone) fleet.ResetPhone {
			return fleet.ResetPhone{ID: p.PhoneID, Property: p.Property}
		}),
	})
	if err != nil {
		return err
	}
	return c.accepted(request, outcomes)
}

func resetIn(in api.ResetPhones) fleet.ResetPhones {
	return fleet.ResetPhones{Image: in.ImageID, Pace: paceIn(in.Pace), Rollback: in.Rollback, Phones: each(in.Phones, func(p api.ResetPhone) fleet.ResetPhone {
		return fleet.ResetPhone{ID: p.PhoneID, Property: p.Property, Factory: p.FactoryReset}
	})}
}

func paceIn(in *api.Pace) *phone.Pace {
	if in == nil {
		return nil
	}
	return &phone.Pace{First: in.First, AtOnce: in.AtOnce, StopPercent: in.StopPercent}
}

// fewPhones counts the elements before they are read, so that millions of empty ones cost no memory. What is wrong with the body
// otherwise is for decode to say.
func (c *call) fewPhones(most int) error {
	var in struct {
		Phones []struct{} `json:"phones"`
	}
	if json.Unmarshal(c.body, &in) == nil && len(in.Phones) > most {
		return &phone.Error{
			Code: phone.Exhausted, Reason: phone.ReasonPhonesTooMany, Field: "phones",
			Msg: fmt.Sprintf("phones has %d elements, at most %d are taken in one call: send several", len(in.Phones), most),
		}
	}
	return nil
}
