package httpapi

import (
	"net/http"
	"strings"

	"github.com/lethe-cloud/lethe/api"
	"github.com/lethe-cloud/lethe/internal/fleet"
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

// retryRequest answers with the id of the accepted request, in the header too; under a key that was used before, the first one's.
func (a *API) retryRequest(c *call) error {
	project, err := c.bare()
	if err != nil {
		return err
	}
	request, outcomes, err := a.Fleet.RetryRequest(c.Context(), c.caller, fleet.RetryRequest{
		Request: c.requestID, Project: project, Of: phone.RequestID(c.PathValue("request_id")), Key: c.idempotencyKey(),
	})
	if err != nil {
		return err
	}
	return c.accepted(request, outcomes)
}

// accepted answers with the id of the request that was accepted.
func (c *call) accepted(request phone.RequestID, outcomes []phone.Outcome) error {
	c.setRequest(request)
	return c.answer(http.StatusOK, api.Accepted{RequestID: string(request), Jobs: each(outcomes, acceptedOut)})
}

func acceptedOut(o phone.Outcome) api.AcceptedJob {
	out := api.AcceptedJob{PhoneID: o.PhoneID, JobID: string(o.Job)}
	if e := o.Err; e != nil {
		out.Code, out.Msg, out.Reason, out.Field = string(e.Code), e.Msg, string(e.Reason), e.Field
	}
	return out
}

// idempotencyKey reads the key of a repeatable call, nil without one. A header that stands twice gives what no key may be.
func (c *call) idempotencyKey() *string {
	values := c.Header.Values("Idempotency-Key")
	if len(values) == 0 {
		return nil
	}
	key := strings.Join(values, "\n")
	return &key
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
