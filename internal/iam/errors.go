package iam

import (
	"encoding/json"
	"errors"
	"net/http"
	"strconv"

	"github.com/lethe-cloud/lethe/internal/phone"
)

// form is how a route writes its errors. IAM has two (IAM API reference, the pages of the calls): the token calls answer as
// Keystone does, the others with an error code.
type form int

const (
	keystoneForm form = iota // {"error":{"code":401,"message":"...","title":"Unauthorized"}}
	codeForm                 // {"error_code":"IAM.0001","error_msg":"..."}, and request_id as the gateway has it
)

type keystoneError struct {
	Error struct {
		Code    int    `json:"code"`
		Message string `json:"message"`
		Title   string `json:"title"`
	} `json:"error"`
}

type codeError struct {
	RequestID string `json:"request_id"`
	Code      string `json:"error_code"`
	Msg       string `json:"error_msg"`
}

// answer is one row of the table: what an error looks like on the wire.
type answer struct {
	status int
	code   string // codeForm
	text   string // "": the error's own message
}

const (
	textUnauthenticated = "The request you have made requires authentication."
	textInternal        = "An unexpected error prevented the server from fulfilling your request."
)

// answerOf maps an error: the causes of Unauthenticated first, then the code. Texts and codes are those of IAM's error code
// table and of the token calls' pages; the gateway answers for a signature, whatever service lies behind it.
func answerOf(err error, f form) answer {
	switch {
	case errors.Is(err, errPassword), errors.Is(err, errLocked):
		return answer{status: http.StatusUnauthorized, code: "IAM.0001"}
	case errors.Is(err, errSignature) && f == codeForm:
		return answer{status: http.StatusUnauthorized, code: "APIGW.0301"}
	case phone.ReasonOf(err) == phone.ReasonTokenExpired && f == codeForm:
		return answer{http.StatusUnauthorized, "IAM.0066", "The token has expired."}
	case errors.Is(err, errToken) && f == codeForm:
		return answer{http.StatusUnauthorized, "IAM.0067", "Invalid token."}
	}
	switch phone.CodeOf(err) {
	case phone.Invalid:
		if f == codeForm {
			return answer{http.StatusBadRequest, "IAM.0011", "Request body is invalid."}
		}
		return answer{http.StatusBadRequest, "", "The request body is invalid"}
	case phone.Unauthenticated:
		return answer{http.StatusUnauthorized, "IAM.0001", textUnauthenticated}
	case phone.Forbidden:
		return answer{http.StatusForbidden, "IAM.0002", "You are not authorized to perform the requested action."}
	case phone.NotFound:
		return answer{status: http.StatusNotFound, code: "IAM.0004"}
	case phone.Conflict, phone.Precondition:
		return answer{http.StatusConflict, "IAM.0005", "The request conflicts with what is there."}
	case phone.Exhausted:
		// The gateway in front of every service counts calls, so this is its code.
		return answer{http.StatusTooManyRequests, "APIGW.0308", "The throttling threshold has been reached."}
	case phone.Unsupported:
		return answer{http.StatusNotImplemented, "IAM.0006", "This is not supported."}
	case phone.Unavailable:
		return answer{http.StatusServiceUnavailable, "IAM.0006", "The service is unavailable for now, try again."}
	}
	return answer{http.StatusInternalServerError, "IAM.0006", textInternal}
}

// writeError answers with an error and gives the status. Nothing but a message that is made to be shown is shown.
func writeError(w http.ResponseWriter, requestID string, err error, f form) int {
	a := answerOf(err, f)
	if seconds, wait := phone.RetryAfter(err); wait {
		w.Header().Set("Retry-After", strconv.Itoa(seconds))
	}
	if shown := (*phone.Error)(nil); a.text == "" && errors.As(err, &shown) {
		a.text = shown.Msg
	}
	if f == codeForm {
		return writeJSON(w, a.status, codeError{RequestID: requestID, Code: a.code, Msg: a.text})
	}
	var out keystoneError
	out.Error.Code, out.Error.Message, out.Error.Title = a.status, a.text, http.StatusText(a.status)
	return writeJSON(w, a.status, out)
}

// writeJSON encodes before it writes the header, so that a value which cannot be encoded is still answered as an error.
func writeJSON(w http.ResponseWriter, status int, body any) int {
	text, err := json.Marshal(body)
	if err != nil {
		status, text = http.StatusInternalServerError, []byte(`{"error_code":"IAM.0006","error_msg":"`+textInternal+`"}`)
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = w.Write(text) // the client is gone: nobody is left to tell
	return status
}
