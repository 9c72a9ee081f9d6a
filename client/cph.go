package client

import (
	"context"
	"iter"
	"net/url"

	"github.com/lethe-cloud/lethe/api"
)

// MaxBatch is how many phones one batch call takes, unless the installation was set to take others.
const MaxBatch = 1000

// Reset is the body of batch-reset, as the Cloud Phone Host API has it.
type Reset struct {
	ImageID string       `json:"image_id,omitempty"` // "": each phone's present image
	Phones  []ResetPhone `json:"phones"`
	// IdempotencyKey makes the call repeatable for 24 hours: the same key with the same call is answered as the first time. It has 1
	// to 128 printable ASCII characters; "" is none.
	IdempotencyKey string `json:"-"`
	// Pace is how fast the phones are reset, and when to stop. The Cloud Phone Host API has no word for it: such a reset goes through
	// the native API, and errors have its codes.
	Pace *api.Pace `json:"-"`
	// Rollback keeps each phone's old life until the new one is verified, and brings it back when that fails. It goes the same way.
	Rollback bool `json:"-"`
}

// ResetPhone is one element of a batch reset.
type ResetPhone struct {
	PhoneID string `json:"phone_id"`
	// Property is a JSON object as text, "" for none.
	Property string `json:"property,omitempty"`
	// FactoryReset clears the property history first.
	FactoryReset bool `json:"factory_reset_enabled,omitempty"`
}

// Restart is the body of batch-restart, as the Cloud Phone Host API has it.
type Restart struct {
	ImageID string         `json:"image_id,omitempty"` // "": each phone's present image
	Phones  []RestartPhone `json:"phones"`
	// IdempotencyKey is as in Reset.
	IdempotencyKey string `json:"-"`
}

// RestartPhone is one element of a batch restart.
type RestartPhone struct {
	PhoneID string `json:"phone_id"`
	// Property is a JSON object as text, "" for none; the phone keeps its other properties.
	Property string `json:"property,omitempty"`
}

// Accepted is the answer of a batch call: one element per element of the call, in its order.
type Accepted struct {
	RequestID string     `json:"request_id"`
	Jobs      []PhoneJob `json:"jobs"`
}

// PhoneJob is one element's share: a job, or an error.
type PhoneJob struct {
	PhoneID   string `json:"phone_id"`
	JobID     string `json:"job_id,omitempty"`
	ErrorCode string `json:"error_code,omitempty"`
	ErrorMsg  string `json:"error_msg,omitempty"`
}

// Job is a job in the words of the Cloud Phone Host API.
type Job struct {
	JobID      string `json:"job_id"`
	PhoneID    string `json:"phone_id"`
	ServerID   string `json:"server_id"`
	BeginTime  string `json:"begin_time"`
	EndTime    string `json:"end_time"`
	Status     int    `json:"status"` // 1 running, 2 success, -1 failed
	ErrorCode  string `json:"error_code"`
	ErrorMsg   string `json:"error_msg"`
	ExecuteMsg string `json:"execute_msg"`
}

// The states of a Job.
const (
	JobRunning = 1
	JobSuccess = 2
	JobFailed  = -1
)

// PhoneDetail is what the Cloud Phone Host API's detail says of a phone beyond the native API.
type PhoneDetail struct {
	Property    string       `json:"property"`
	AccessInfos []AccessInfo `json:"access_infos"`
}

// AccessInfo is one way to reach a phone.
type AccessInfo struct {
	Type       string `json:"type"`
	PhoneIP    string `json:"phone_ip,omitempty"`
	ListenPort int    `json:"listen_port,omitempty"`
	ServerIP   string `json:"server_ip,omitempty"`
	PublicIP   string `json:"public_ip,omitempty"`
	AccessPort int    `json:"access_port,omitempty"`
}

// ResetPhones resets at most MaxBatch phones. A phone that is refused is an element with an error; an error of the call refuses
// them all.
func (c *Client) ResetPhones(ctx context.Context, in Reset) (Accepted, error) {
	var out Accepted
	if in.Pace != nil || in.Rollback {
		return c.resetNative(ctx, in)
	}
	return out, c.callOnce(ctx, in.IdempotencyKey, cphPath(c.project, "phones/batch-reset"), in, &out)
}

// StopPhones stops at most MaxBatch phones, which keep their data. key makes the call repeatable, as Reset.IdempotencyKey does; "" does
// not. The answer is as that of ResetPhones.
func (c *Client) StopPhones(ctx context.Context, phones []string, key string) (Accepted, error) {
	var out Accepted
	in := struct {
		PhoneIDs []string `json:"phone_ids"`
	}{phones}
	return out, c.callOnce(ctx, key, cphPath(c.project, "phones/batch-stop"), in, &out)
}

// RestartPhones starts at most MaxBatch phones again, after a stop where they run: with their data, and with the image and the properties
// that were given, or else their own. The answer is as that of ResetPhones.
func (c *Client) RestartPhones(ctx context.Context, in Restart) (Accepted, error) {
	var out Accepted
	return out, c.callOnce(ctx, in.IdempotencyKey, cphPath(c.project, "phones/batch-restart"), in, &out)
}

// RunTask does something in at most MaxBatch phones that run: command is shell, uninstall, push, install or install-multiple, content what it is about, as the Cloud Phone Host
// API has them. key and the answer are as those of StopPhones.
func (c *Client) RunTask(ctx context.Context, command, content string, phones []string, key string) (Accepted, error) {
	in := struct {
		Command  string   `json:"command"`
		Content  string   `json:"content"`
		PhoneIDs []string `json:"phone_ids"`
	}{command, content, phones}
	var out Accepted
	return out, c.callOnce(ctx, key, cphPath(c.project, "phones/commands"), in, &out)
}

// PhoneExport is a phone whose data is exported into an object.
type PhoneExport struct {
	PhoneID      string   `json:"phone_id"`
	IncludeFiles []string `json:"include_files"`
	ExcludeFiles []string `json:"exclude_files,omitempty"`
	BucketName   string   `json:"bucket_name"`
	ObjectPath   string   `json:"object_path"`
}

// PhoneImport is a phone into which an object is imported.
type PhoneImport struct {
	PhoneID    string `json:"phone_id"`
	BucketName string `json:"bucket_name"`
	ObjectPath string `json:"object_path"`
}

// ExportPhones writes data of at most MaxBatch phones that run into objects. key and the answer are as those of StopPhones.
func (c *Client) ExportPhones(ctx context.Context, phones []PhoneExport, key string) (Accepted, error) {
	in := struct {
		Infos []PhoneExport `json:"storage_infos"`
	}{phones}
	var out Accepted
	return out, c.callOnce(ctx, key, cphPath(c.project, "phones/batch-storage"), in, &out)
}

// ImportPhones puts what objects have into at most MaxBatch phones that run. key and the answer are as those of StopPhones.
func (c *Client) ImportPhones(ctx context.Context, phones []PhoneImport, key string) (Accepted, error) {
	in := struct {
		Infos []PhoneImport `json:"restore_infos"`
	}{phones}
	var out Accepted
	return out, c.callOnce(ctx, key, cphPath(c.project, "phones/batch-restore"), in, &out)
}

// resetNative is ResetPhones for what the Cloud Phone Host API cannot say.
func (c *Client) resetNative(ctx context.Context, in Reset) (Accepted, error) {
	body := api.ResetPhones{ImageID: in.ImageID, Phones: make([]api.ResetPhone, len(in.Phones)), Pace: in.Pace, Rollback: in.Rollback}
	for i, p := range in.Phones {
		body.Phones[i] = api.ResetPhone(p)
	}
	answer, err := c.BatchReset(ctx, body, in.IdempotencyKey)
	return acceptedNative(answer), err
}

// acceptedNative puts an answer of the native API into the words of the other one.
func acceptedNative(answer api.Accepted) Accepted {
	out := Accepted{RequestID: answer.RequestID, Jobs: make([]PhoneJob, len(answer.Jobs))}
	for i, j := range answer.Jobs {
		out.Jobs[i] = PhoneJob{PhoneID: j.PhoneID, JobID: j.JobID, ErrorCode: j.Code, ErrorMsg: j.Msg}
	}
	return out
}

// PhoneDetail gives a phone's property text and how to reach it.
func (c *Client) PhoneDetail(ctx context.Context, id string) (PhoneDetail, error) {
	var out PhoneDetail
	return out, c.get(ctx, cphPath(c.project, "phones/"+url.PathEscape(id)), nil, &out)
}

// RequestJobs goes through the jobs of one request in the order of the call.
func (c *Client) RequestJobs(ctx context.Context, id string) iter.Seq2[Job, error] {
	const size = 100 // the most that the Cloud Phone Host API gives
	return pages(size, func(j Job) string { return j.JobID }, func(offset int) ([]Job, error) {
		var out struct {
			Jobs []Job `json:"jobs"`
		}
		return out.Jobs, c.get(ctx, cphPath(c.project, "jobs"), withPage(query("request_id", id), offset, size), &out)
	})
}

// pages goes through a list of the Cloud Phone Host API, which has no cursors, until a page is not full. What was added meanwhile
// moves the rest down the list: an element that was seen is not given again.
func pages[T any](size int, id func(T) string, fetch func(offset int) ([]T, error)) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		seen := map[string]bool{}
		for offset := 0; ; offset += size {
			page, err := fetch(offset)
			if err != nil {
				var none T
				yield(none, err)
				return
			}
			for _, element := range page {
				if seen[id(element)] {
					continue
				}
				seen[id(element)] = true
				if !yield(element, nil) {
					return
				}
			}
			if len(page) < size {
				return
			}
		}
	}
}
