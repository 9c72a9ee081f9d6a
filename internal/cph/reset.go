package cph

import (
	"net/http"
	"strings"

	"github.com/lethe-cloud/lethe/internal/phone"
)

// phoneJob is one element of the answer to a batch call: a job, or the error that refused the phone. phone_id is always there,
// as the caller wrote it: the Terraform provider looks for it on refused elements too.
type phoneJob struct {
	PhoneID  string      `json:"phone_id"`
	ServerID string      `json:"server_id,omitempty"` // of an element about a server that is refused; its phone_id is ""
	JobID    phone.JobID `json:"job_id,omitempty"`
	Code     string      `json:"error_code,omitempty"`
	Msg      string      `json:"error_msg,omitempty"`
}

type phoneJobs struct {
	RequestID phone.RequestID `json:"request_id"`
	Jobs      []phoneJob      `json:"jobs"`
}

// maxPhoneID bounds how much of a phone_id is repeated: ids have 32 bytes, so what is longer is cut from a refused one.
const maxPhoneID = 256

// resetPhones is POST batch-reset. Repeated under its Idempotency-Key it is answered as the first time: under the id of the
// request that was accepted then.
func (h *Handler) resetPhones(c *call) (any, error) {
	in, err := decodeReset(c.body, h.Fleet.MaxBatch())
	if err != nil {
		return nil, err
	}
	in.Request, in.Project, in.Key = c.id, c.project, idempotencyKey(c.Header)
	accepted, outcomes, err := h.Fleet.ResetPhones(c.Context(), c.caller, in)
	if err != nil {
		return nil, err
	}
	return c.accepted(accepted, outcomes), nil
}

// accepted is the answer to a batch that was accepted under the id: under a repeated key, the first one's.
func (c *call) accepted(id phone.RequestID, outcomes []phone.Outcome) phoneJobs {
	c.id = id
	out := phoneJobs{RequestID: c.id, Jobs: make([]phoneJob, len(outcomes))}
	for i, o := range outcomes {
		out.Jobs[i] = phoneJobOut(o)
	}
	return out
}

// idempotencyKey reads the key of a repeatable call, nil without one. A header that stands twice gives what no key may be.
func idempotencyKey(header http.Header) *string {
	values := header.Values("Idempotency-Key")
	if len(values) == 0 {
		return nil
	}
	key := strings.Join(values, "\n")
	return &key
}

func phoneJobOut(o phone.Outcome) phoneJob {
	out := phoneJob{PhoneID: cut(o.PhoneID, maxPhoneID), ServerID: cut(o.ServerID, maxPhoneID), JobID: o.Job}
	if o.Err != nil {
		line := lineOf(o.Err)
		out.Code, out.Msg = line.code, line.sentence(o.Err)
	}
	return out
}
