// Package client calls a lethe installation: its native API, and those calls of the Cloud Phone Host API that an operator
// needs. Every call is signed with an access key. Errors are *Error (the installation refused or failed) or *UnreachableError
// (nothing answered).
package client

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/lethe-cloud/lethe/internal/signature"
)

// Config is what a Client needs.
type Config struct {
	Endpoint  string // http://127.0.0.1:8774
	AccessKey string
	SecretKey string
	ProjectID string
	// HTTP makes the calls; nil: a client of its own.
	HTTP *http.Client
	// Poll is how often the progress of a request that is waited for is looked at; 0 means a second.
	Poll time.Duration
	// Now is the clock that signatures and patience use; nil: time.Now.
	Now func() time.Time
}

// Client calls one installation for one project. It is safe for concurrent use.
type Client struct {
	endpoint  string // without a trailing slash
	accessKey string
	secretKey string
	project   string
	http      *http.Client
	poll      time.Duration
	now       func() time.Time
}

// New makes a client; it sends nothing. The error names the setting that is wrong.
func New(c Config) (*Client, error) {
	endpoint, err := url.Parse(c.Endpoint)
	switch {
	case c.Endpoint == "":
		return nil, errors.New("the credentials name no endpoint")
	case err != nil || endpoint.Host == "" || endpoint.Scheme != "http" && endpoint.Scheme != "https" || endpoint.RawQuery != "":
		return nil, fmt.Errorf("the endpoint %q is not a URL like http://127.0.0.1:8774", c.Endpoint)
	case c.AccessKey == "" || c.SecretKey == "":
		return nil, errors.New("the credentials have no access_key or no secret_key")
	case c.ProjectID == "":
		return nil, errors.New("the credentials name no project_id")
	}
	client := &Client{
		endpoint: strings.TrimRight(c.Endpoint, "/"), accessKey: c.AccessKey, secretKey: c.SecretKey, project: c.ProjectID,
		http: c.HTTP, poll: c.Poll, now: c.Now,
	}
	if client.http == nil {
		client.http = &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	}
	if client.poll == 0 {
		client.poll = time.Second
	}
	if client.now == nil {
		client.now = time.Now
	}
	return client, nil
}

// Endpoint is the installation that the client calls.
func (c *Client) Endpoint() string { return c.endpoint }

// Project is the project that the client calls for.
func (c *Client) Project() string { return c.project }

const (
	// callTimeout ends a call that nothing answers; running a program in a phone has no such limit.
	callTimeout = time.Minute
	// maxAnswer is more than any answer has.
	maxAnswer = 64 << 20
)

func (c *Client) get(ctx context.Context, path string, query url.Values, out any) error {
	return c.call(ctx, http.MethodGet, path, query, nil, out)
}

// call sends one call and waits at most callTimeout for its answer.
func (c *Client) call(ctx context.Context, method, path string, query url.Values, in, out any) error {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	return c.send(ctx, method, path, query, in, out)
}

// callOnce posts under an idempotency key, unless that is "".
func (c *Client) callOnce(ctx context.Context, key, path string, in, out any) error {
	header := http.Header{}
	if key != "" {
		header.Set("Idempotency-Key", key)
	}
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	return c.sendWith(ctx, header, http.MethodPost, path, nil, in, out)
}

// send signs and sends one call, and decodes its answer into out. path is already escaped.
func (c *Client) send(ctx context.Context, method, path string, query url.Values, in, out any) error {
	return c.sendWith(ctx, nil, method, path, query, in, out)
}

// sendWith is send with further headers; they are signed too.
func (c *Client) sendWith(ctx context.Context, header http.Header, method, path string, query url.Values, in, out any) error {
	request, err := c.request(ctx, header, method, path, query, in)
	if err != nil {
		return err
	}
	response, err := c.http.Do(request)
	if err != nil {
		return c.unreachable(ctx, err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(io.LimitReader(response.Body, maxAnswer))
	if err != nil {
		return c.unreachable(ctx, err)
	}
	if response.StatusCode >= http.StatusMultipleChoices { // a signature does not survive being sent elsewhere
		return errorFrom(response, body)
	}
	if err := json.Unmarshal(body, out); err != nil {
		return fmt.Errorf("%s did not answer %s %s as lethe does: %w", c.endpoint, method, path, err)
	}
	return nil
}

func (c *Client) request(ctx context.Context, header http.Header, method, path string, query url.Values, in any) (*http.Request, error) {
	var body []byte
	if in != nil {
		var err error
		if body, err = json.Marshal(in); err != nil {
			return nil, fmt.Errorf("encode the call: %w", err)
		}
	}
	address := c.endpoint + path
	if len(query) > 0 {
		address += "?" + query.Encode()
	}
	request, err := http.NewRequestWithContext(ctx, method, address, bytes.NewReader(body))
	if err != nil {
		return nil, fmt.Errorf("make the call: %w", err)
	}
	maps.Copy(request.Header, header)
	request.Header.Set("User-Agent", "lethe-client")
	request.Header.Set("X-Project-Id", c.project)
	if in != nil {
		request.Header.Set("Content-Type", "application/json")
	}
	signature.Sign(request, body, signature.Key{ID: c.accessKey, Secret: c.secretKey}, c.now())
	return request, nil
}
