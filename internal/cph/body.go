package cph

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/lethe-cloud/lethe/internal/phone"
	"github.com/lethe-cloud/lethe/internal/strictjson"
)

// decode reads the body into a struct. A field that has the wrong type is an error with its own reason, where fields names one, and
// so with the code that the reference has for that parameter; whatever else is wrong with the body is no CPS error.
func (c *call) decode(into any, fields map[string]phone.Reason) error {
	err := strictjson.Unmarshal(c.body, into, bodyRules)
	if err == nil {
		return nil
	}
	var wrong *strictjson.Error
	if !errors.As(err, &wrong) {
		return fmt.Errorf("decode body: %w", err)
	}
	name, _, _ := strings.Cut(wrong.Path, ".")
	name, _, _ = strings.Cut(name, "[")
	if reason, ok := fields[name]; ok && wrong.Kind == strictjson.Type {
		return &phone.Error{Code: phone.Invalid, Reason: reason, Field: wrong.Path, Msg: wrong.Error()}
	}
	return &phone.Error{Code: phone.Invalid, Reason: reasonBody, Field: wrong.Path, Msg: "The body is not as it must be: " + wrong.Error()}
}

// ids reads a list of ids that has 1 to max elements; what is wrong with it has these reasons. It is counted before it is read.
func ids(field string, list json.RawMessage, max int, invalid, empty, tooMany phone.Reason) ([]string, error) {
	bad := func(code phone.Code, reason phone.Reason, format string, args ...any) error {
		return &phone.Error{Code: code, Reason: reason, Field: field, Msg: field + " " + fmt.Sprintf(format, args...)}
	}
	if list == nil || string(list) == "null" {
		return nil, bad(phone.Invalid, empty, "is missing")
	}
	if list[0] != '[' {
		return nil, bad(phone.Invalid, invalid, "must be a list")
	}
	if longer(list, max) {
		return nil, bad(phone.Exhausted, tooMany, "has more than %d elements", max)
	}
	var out []*string
	if err := json.Unmarshal(list, &out); err != nil {
		return nil, bad(phone.Invalid, invalid, "must be a list of strings")
	}
	all := make([]string, len(out))
	for i, id := range out {
		if id == nil {
			return nil, bad(phone.Invalid, invalid, "must be a list of strings")
		}
		all[i] = *id
	}
	if len(all) == 0 {
		return nil, bad(phone.Invalid, empty, "is empty")
	}
	return all, nil
}

// done is the body of an answer that says nothing but that it was done.
type done struct {
	RequestID phone.RequestID `json:"request_id"`
}

// noContent is what a handler gives for a 204.
type noContent struct{}
