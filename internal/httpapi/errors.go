package httpapi

import (
	"errors"
	"net/http"

	"github.com/lethe-cloud/lethe/api"
	"github.com/lethe-cloud/lethe/internal/phone"
	"github.com/lethe-cloud/lethe/internal/strictjson"
)

// reasonBodyTooLarge is this edge's own: HTTP has a status for it.
const reasonBodyTooLarge phone.Reason = "body_too_large"

// statuses is the HTTP status of each code: the one table of this edge.
var statuses = map[phone.Code]int{
	phone.Invalid:         http.StatusBadRequest,
	phone.Unauthenticated: http.StatusUnauthorized,
	phone.Forbidden:       http.StatusForbidden,
	phone.NotFound:        http.StatusNotFound,
	phone.Conflict:        http.StatusConflict,
	phone.Precondition:    http.StatusConflict,
	phone.Exhausted:       http.StatusConflict, // what passes by itself is 429: clients send it again
	phone.Unsupported:     http.StatusNotImplemented,
	phone.Unavailable:     http.StatusServiceUnavailable,
	phone.Internal:        http.StatusInternalServerError,
}

func statusOf(err error) int {
	switch phone.ReasonOf(err) {
	case reasonBodyTooLarge, phone.ReasonObjectTooLarge:
		return http.StatusRequestEntityTooLarge
	case phone.ReasonPhonesTooMany:
		return http.StatusBadRequest
	case phone.ReasonStoreFull:
		return http.StatusInsufficientStorage
	}
	if _, passes := phone.RetryAfter(err); passes {
		return http.StatusTooManyRequests
	}
	if status, ok := statuses[phone.CodeOf(err)]; ok {
		return status
	}
	return http.StatusInternalServerError
}

// errorOut is what the caller sees of an error: of an internal one nothing but the call's id.
func errorOut(requestID phone.RequestID, err error) api.Error {
	out := api.Error{RequestID: string(requestID), Code: string(phone.Internal), Msg: "internal error: the server's log has the cause under this request_id"}
	var e *phone.Error
	if statusOf(err) == http.StatusInternalServerError || !errors.As(err, &e) {
		return out
	}
	return api.Error{RequestID: string(requestID), Code: string(e.Code), Msg: e.Msg, Reason: string(e.Reason), Field: e.Field}
}

// bodyError turns a refused body into the domain's words.
func bodyError(err error) error {
	var refused *strictjson.Error
	if !errors.As(err, &refused) {
		return err
	}
	out := &phone.Error{Code: phone.Invalid, Field: refused.Path, Msg: refused.Error(), Err: refused.Err}
	if refused.Kind == strictjson.TooLarge {
		out.Reason = reasonBodyTooLarge
	}
	return out
}
