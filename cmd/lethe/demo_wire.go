package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"

	"github.com/lethe-cloud/lethe/api"
)

// wire calls a lethe as any client of the Cloud Phone Host API would: plain HTTP, with a token from IAM.
type wire struct {
	credentials api.Credentials
	token       string
}

// authenticate takes a token for the project from the IAM endpoint.
func (w *wire) authenticate(ctx context.Context) error {
	c := w.credentials
	type m = map[string]any
	in := m{"auth": m{
		"identity": m{"methods": []string{"password"}, "password": m{"user": m{"name": c.User, "password": c.Password, "domain": m{"name": c.Account}}}},
		"scope":    m{"project": m{"name": c.Project}},
	}}
	header, err := w.call(ctx, http.MethodPost, "/v3/auth/tokens?nocatalog=true", in, nil)
	if err != nil {
		return err
	}
	w.token = header.Get("X-Subject-Token")
	return nil
}

// wireReset is the body of batch-reset; wirePhone is one of its elements.
type wireReset struct {
	ImageID string      `json:"image_id,omitempty"`
	Phones  []wirePhone `json:"phones"`
}

type wirePhone struct {
	PhoneID  string `json:"phone_id"`
	Property string `json:"property,omitempty"`
}

// wireAnswer is what batch-reset answers; an element has a job or an error.
type wireAnswer struct {
	RequestID string `json:"request_id"`
	Jobs      []struct {
		PhoneID   string `json:"phone_id"`
		JobID     string `json:"job_id"`
		ErrorCode string `json:"error_code"`
		ErrorMsg  string `json:"error_msg"`
	} `json:"jobs"`
}

func (w *wire) batchReset(ctx context.Context, in wireReset) (wireAnswer, error) {
	var out wireAnswer
	_, err := w.call(ctx, http.MethodPost, "/v1/"+w.credentials.ProjectID+"/cloud-phone/phones/batch-reset", in, &out)
	return out, err
}

// wireJob is one job as the CPH API tells it.
type wireJob struct {
	JobID      string `json:"job_id"`
	PhoneID    string `json:"phone_id"`
	Status     int    `json:"status"`
	ErrorCode  string `json:"error_code"`
	ErrorMsg   string `json:"error_msg"`
	ExecuteMsg string `json:"execute_msg"`
}

// jobs gives all jobs of a request, page by page.
func (w *wire) jobs(ctx context.Context, request string) ([]wireJob, error) {
	var all []wireJob
	for {
		var page struct {
			Jobs []wireJob `json:"jobs"`
		}
		path := fmt.Sprintf("/v1/%s/cloud-phone/jobs?request_id=%s&limit=100&offset=%d", w.credentials.ProjectID, request, len(all))
		if _, err := w.call(ctx, http.MethodGet, path, nil, &page); err != nil {
			return nil, err
		}
		if len(page.Jobs) == 0 {
			return all, nil
		}
		all = append(all, page.Jobs...)
	}
}

func (w *wire) call(ctx context.Context, method, path string, in, out any) (http.Header, error) {
	var body io.Reader
	if in != nil {
		raw, err := json.Marshal(in)
		if err != nil {
			return nil, err
		}
		body = bytes.NewReader(raw)
	}
	req, err := http.NewRequestWithContext(ctx, method, w.credentials.Endpoint+path, body)
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", "application/json")
	if w.token != "" {
		req.Header.Set("X-Auth-Token", w.token)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, err
	}
	defer res.Body.Close()
	raw, err := io.ReadAll(res.Body)
	if err != nil {
		return nil, err
	}
	if res.StatusCode >= http.StatusBadRequest {
		return nil, fmt.Errorf("%s %s: %s %s", method, path, res.Status, raw)
	}
	if out == nil {
		return res.Header, nil
	}
	return res.Header, json.Unmarshal(raw, out)
}
