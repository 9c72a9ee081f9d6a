package httpapi

import (
	"net/http"

	"github.com/lethe-cloud/lethe/api"
	"github.com/lethe-cloud/lethe/internal/phone"
)

func (a *API) cancelJob(c *call) error {
	id := phone.JobID(c.PathValue("job_id"))
	project, err := c.bare()
	if err != nil {
		return err
	}
	out, err := a.Fleet.CancelJob(c.Context(), c.caller, project, id)
	if err != nil {
		return err
	}
	return c.answer(http.StatusOK, api.Cancelled{JobID: string(id), Cancelled: out.Cancelled, Finishing: out.Finishing, Ended: out.Ended})
}

func (a *API) cancelRequest(c *call) error {
	id := phone.RequestID(c.PathValue("request_id"))
	project, err := c.bare()
	if err != nil {
		return err
	}
	out, err := a.Fleet.CancelRequest(c.Context(), c.caller, project, id)
	if err != nil {
		return err
	}
	return c.answer(http.StatusOK, api.Cancelled{RequestID: string(id), Cancelled: out.Cancelled, Finishing: out.Finishing, Ended: out.Ended})
}

// bare gives the project of a call that says all in its path: a body is none, or an empty object.
func (c *call) bare() (phone.ProjectID, error) {
	if len(c.body) > 0 {
		if err := c.decode(&struct{}{}); err != nil {
			return "", err
		}
	}
	return c.project()
}
