package client

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"
)

// Error is a call that the installation refused, or failed at.
type Error struct {
	Status int // HTTP
	// Code is a native code (invalid, not_found ...), or one of the Cloud Phone Host API (CPS.0004, APIGW.0301).
	Code      string
	Msg       string
	RequestID string
	Reason    string // a stable sub-code of the native API, if any
	Field     string // the field that the message is about, if any
}

// Error gives the message, the code, and the id under which the server's log has the call.
func (e *Error) Error() string {
	msg := strings.TrimSuffix(e.Msg, ".") + " (" + e.Code
	if e.RequestID != "" {
		msg += ", request " + e.RequestID
	}
	return msg + ")"
}

// Temporary reports whether the same call may succeed a little later.
func (e *Error) Temporary() bool {
	return e.Status == http.StatusServiceUnavailable || e.Status == http.StatusBadGateway || e.Status == http.StatusGatewayTimeout ||
		e.Status == http.StatusTooManyRequests
}

func errorFrom(response *http.Response, body []byte) error {
	var wire struct {
		RequestID string `json:"request_id"`
		Code      string `json:"error_code"`
		Msg       string `json:"error_msg"`
		Reason    string `json:"reason"`
		Field     string `json:"field"`
	}
	e := &Error{Status: response.StatusCode, RequestID: response.Header.Get("X-Request-Id")}
	if json.Unmarshal(body, &wire) != nil || wire.Code == "" {
		e.Code, e.Msg = fmt.Sprintf("HTTP %d", response.StatusCode), "the answer is not one of lethe's: is this the right endpoint?"
		return e
	}
	e.Code, e.Msg, e.Reason, e.Field = wire.Code, wire.Msg, wire.Reason, wire.Field
	if e.RequestID == "" {
		e.RequestID = wire.RequestID
	}
	return e
}

// UnreachableError is a call that nothing answered. Whether the installation did what was asked is then not known.
type UnreachableError struct {
	Endpoint string
	Err      error
}

// Error gives one sentence with the cure.
func (e *UnreachableError) Error() string {
	var untrusted *tls.CertificateVerificationError
	if errors.As(e.Err, &untrusted) {
		return fmt.Sprintf("the certificate of %s is not trusted (%s): set SSL_CERT_FILE to a file with its authority's certificate", e.Endpoint, untrusted.Err)
	}
	return fmt.Sprintf("nothing answers at %s (%s): start it with lethe serve, or correct the endpoint", e.Endpoint, e.why())
}

// Unwrap gives the cause.
func (e *UnreachableError) Unwrap() error { return e.Err }

// why is the cause without the address and the method that net/http repeats.
func (e *UnreachableError) why() string {
	var op *net.OpError
	if errors.As(e.Err, &op) {
		return op.Err.Error()
	}
	if errors.Is(e.Err, context.DeadlineExceeded) {
		return "no answer within " + callTimeout.String()
	}
	err := e.Err
	for next := errors.Unwrap(err); next != nil; next = errors.Unwrap(err) {
		err = next
	}
	return err.Error()
}

// unreachable tells a call that its caller gave up from one that nothing answered.
func (c *Client) unreachable(ctx context.Context, err error) error {
	if errors.Is(context.Cause(ctx), context.Canceled) {
		return context.Canceled
	}
	return &UnreachableError{Endpoint: c.endpoint, Err: err}
}

// temporary reports whether a call that failed so may be tried again: it changed nothing, or only looked.
func temporary(err error) bool {
	var refused *Error
	var unreachable *UnreachableError
	return errors.As(err, &unreachable) || errors.As(err, &refused) && refused.Temporary()
}
