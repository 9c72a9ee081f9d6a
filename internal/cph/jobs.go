package cph

import (
	"strings"

	"github.com/lethe-cloud/lethe/internal/phone"
)

// job is one job; node_id is the expired name of server_id [SDK model_job.go]. The reference's list has "" where a job has no error,
// its single job null.
type job struct {
	PhoneID   string  `json:"phone_id,omitempty"` // none: the job of a server
	ServerID  string  `json:"server_id"`
	NodeID    string  `json:"node_id"`
	ID        string  `json:"job_id"`
	BeginTime string  `json:"begin_time"`
	EndTime   *string `json:"end_time"` // null while it runs
	Status    int     `json:"status"`
	Code      string  `json:"error_code"`
	Msg       string  `json:"error_msg"`
	Executed  string  `json:"execute_msg"`
}

type jobList struct {
	RequestID phone.RequestID `json:"request_id"` // of this query, as in every other answer
	Jobs      []job           `json:"jobs"`
}

// jobDetail is one job by itself [SDK model_show_job_response.go].
type jobDetail struct {
	RequestID phone.RequestID `json:"request_id"`
	ID        string          `json:"job_id"`
	PhoneID   string          `json:"phone_id,omitempty"`
	ServerID  string          `json:"server_id,omitempty"` // none: one job of several servers
	BeginTime string          `json:"begin_time"`
	EndTime   *string         `json:"end_time"`
	Status    int             `json:"status"`
	Code      *string         `json:"error_code"`
	Msg       *string         `json:"error_msg"`
	Executed  *string         `json:"execute_msg"`
}

// maxRequestIDs is how many requests one query may name [SDK model_list_jobs_request.go].
const maxRequestIDs = 20

// listJobs is GET jobs, by request_id or request_ids.
func (h *Handler) listJobs(c *call) (any, error) {
	q := c.query()
	ids, err := q.requestIDs()
	if err != nil {
		return nil, err
	}
	offset, limit, err := q.page(100)
	if err != nil {
		return nil, err
	}
	servers, jobs, err := h.Fleet.RequestJobs(c.Context(), c.caller, c.project, ids, offset, limit)
	out := jobList{RequestID: c.id, Jobs: []job{}}
	for _, j := range servers {
		out.Jobs = append(out.Jobs, serverJobOut(j))
	}
	for _, j := range jobs {
		out.Jobs = append(out.Jobs, jobOut(j))
	}
	return out, err
}

// requestIDs reads which requests are asked for: request_ids wins when both are given, a repeated id counts once.
func (q query) requestIDs() ([]phone.RequestID, error) {
	given := q.Get("request_ids")
	if given == "" {
		given = q.Get("request_id")
	}
	var ids []phone.RequestID
	seen := map[string]bool{"": true}
	for id := range strings.SplitSeq(given, ",") {
		if id = strings.TrimSpace(id); !seen[id] {
			seen[id] = true
			ids = append(ids, phone.RequestID(id))
		}
	}
	switch {
	case len(ids) == 0:
		return nil, errQuery(reasonNoRequestID, "request_id", "is missing: name request_id or request_ids")
	case len(ids) > maxRequestIDs:
		return nil, errQuery(reasonRequestIDs, "request_ids", "names %d requests, at most %d are taken", len(ids), maxRequestIDs)
	}
	return ids, nil
}

// showJob is GET jobs/{job_id}.
func (h *Handler) showJob(c *call) (any, error) {
	out, err := h.job(c, phone.JobID(c.PathValue("job_id")))
	if err != nil {
		return nil, err
	}
	detail := jobDetail{
		RequestID: c.id, ID: out.ID, PhoneID: out.PhoneID, ServerID: out.ServerID, BeginTime: out.BeginTime, EndTime: out.EndTime, Status: out.Status,
	}
	if out.Code != "" {
		detail.Code, detail.Msg = &out.Code, &out.Msg
	}
	if out.Code != "" || out.Executed != "" {
		detail.Executed = &out.Executed
	}
	return detail, nil
}

// job gives a job of a phone or, where there is none of that id, of a server.
func (h *Handler) job(c *call, id phone.JobID) (job, error) {
	j, err := h.Fleet.Job(c.Context(), c.caller, c.project, id)
	if err == nil {
		return jobOut(j), nil
	}
	if phone.CodeOf(err) != phone.NotFound {
		return job{}, err
	}
	s, err := h.Fleet.ServerJob(c.Context(), c.caller, c.project, id)
	return serverJobOut(s), err
}

// serverJobOut is jobOut for the job of a server.
func serverJobOut(j phone.ServerJob) job {
	out := job{ServerID: string(j.Server), NodeID: string(j.Server), ID: string(j.ID), BeginTime: timeOut(j.CreatedAt), Status: int(j.Status())}
	if !j.EndedAt.IsZero() {
		end := timeOut(j.EndedAt)
		out.EndTime = &end
	}
	if j.Status() == phone.JobFailed {
		out.Code, out.Msg, out.Executed = failureOut(phone.Job{Phase: phone.PhaseFailed, Failure: j.Failure})
		return out
	}
	if out.Executed = cut(j.Output, maxExecuteMsg); j.Listing != nil {
		out.Executed = listingOut(*j.Listing)
	}
	return out
}

// maxExecuteMsg is the most that execute_msg may have, in bytes [SDK model_job.go].
const maxExecuteMsg = 1024

// jobOut begins a job with its acceptance: the API has no waiting state, it calls a job running from then on.
func jobOut(j phone.Job) job {
	out := job{
		PhoneID: string(j.Phone), ServerID: string(j.Server), NodeID: string(j.Server), ID: string(j.ID),
		BeginTime: timeOut(j.CreatedAt), Status: int(j.Phase.Status()),
	}
	if j.Phase.Final() && !j.EndedAt.IsZero() {
		end := timeOut(j.EndedAt)
		out.EndTime = &end
	}
	if j.Phase.Status() == phone.JobFailed {
		out.Code, out.Msg, out.Executed = failureOut(j)
	}
	if j.Output != "" { // of a task: its own words say more than any advice
		out.Executed = cut(j.Output, maxExecuteMsg)
	}
	return out
}

// failureOut gives the code of a failure's reason, its cause, and its particulars with the cure.
func failureOut(j phone.Job) (code, msg, executed string) {
	failure := phone.Failure{}
	if j.Failure != nil {
		failure = *j.Failure
	}
	if failure.Reason == "" && j.Phase == phone.PhaseCancelled {
		failure.Reason = phone.ReasonCancelled
	}
	line := lineOfFailure(failure.Reason)
	if failure.Msg == "" {
		failure.Msg = line.sentence(nil)
	}
	return line.code, failure.Msg, cut(failure.Detail, maxExecuteMsg)
}
