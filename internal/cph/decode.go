package cph

import (
	"encoding/json"
	"errors"
	"fmt"

	"github.com/lethe-cloud/lethe/internal/fleet"
	"github.com/lethe-cloud/lethe/internal/phone"
	"github.com/lethe-cloud/lethe/internal/strictjson"
)

// Fields that no struct has are skipped: a newer SDK may send more. A field whose name differs only in its case is refused:
// skipping it would reset a phone otherwise than its caller meant. So is a key that stands twice.
var bodyRules = strictjson.Options{MaxDepth: 32, AllowUnknown: true}

// resetRequest is the body of a batch reset. Its parts are read by themselves: what is wrong with the image, with the list and
// with one property are three different errors.
type resetRequest struct {
	ImageID json.RawMessage `json:"image_id"`
	Phones  json.RawMessage `json:"phones"`
}

// resetPhone is one element of its list. phone_id must be a string; property is a string that holds JSON; null is absent.
type resetPhone struct {
	PhoneID  *string         `json:"phone_id"`
	Property json.RawMessage `json:"property"`
	Factory  bool            `json:"factory_reset_enabled"`
}

// decodeReset reads the body of a batch reset with at most max phones. Errors refuse the whole request; a property that is no
// string refuses its element alone, like every other thing that is wrong with a property.
func decodeReset(body []byte, max int) (fleet.ResetPhones, error) {
	var in resetRequest
	if err := strictjson.Unmarshal(body, &in, bodyRules); err != nil {
		return fleet.ResetPhones{}, errBody("", err)
	}
	elements, err := decodePhones(in.Phones, max)
	if err != nil {
		return fleet.ResetPhones{}, err
	}
	image, ok := text(in.ImageID)
	if !ok {
		return fleet.ResetPhones{}, &phone.Error{
			Code: phone.Invalid, Reason: phone.ReasonImageInvalid, Field: "image_id", Msg: "image_id must be a string",
		}
	}
	out := fleet.ResetPhones{Image: image, Phones: make([]fleet.ResetPhone, len(elements))}
	for i, element := range elements {
		if element == nil {
			return fleet.ResetPhones{}, errPhones("phones[%d] must be an object, not null", i)
		}
		if element.PhoneID == nil {
			return fleet.ResetPhones{}, errPhones("phones[%d].phone_id is missing", i)
		}
		out.Phones[i] = fleet.ResetPhone{ID: *element.PhoneID, Factory: element.Factory}
		if out.Phones[i].Property, ok = text(element.Property); !ok {
			out.Phones[i].Property = string(element.Property)
			out.Phones[i].Err = phone.Errorf(phone.Invalid, phone.ReasonPropertyInvalid, "property must be a string")
		}
	}
	return out, nil
}

// decodePhones reads the list. It is counted before it is read, so that millions of empty elements cost no memory.
func decodePhones(list json.RawMessage, max int) ([]*resetPhone, error) {
	switch {
	case list == nil || string(list) == "null":
		return nil, errPhones("phones is missing")
	case list[0] != '[':
		return nil, errPhones("phones must be a list")
	case longer(list, max):
		return nil, phone.Errorf(phone.Exhausted, phone.ReasonPhonesTooMany, "phones has more than %d elements", max)
	}
	var elements []*resetPhone
	if err := strictjson.Unmarshal(list, &elements, bodyRules); err != nil {
		return nil, errBody("phones", err)
	}
	return elements, nil
}

// longer reports whether a valid JSON list has more than max elements: it counts the commas between them.
func longer(list json.RawMessage, max int) bool {
	depth, commas, quoted := 0, 0, false
	for i := 0; i < len(list); i++ {
		switch c := list[i]; {
		case quoted && c == '\\':
			i++
		case c == '"':
			quoted = !quoted
		case quoted:
		case c == '[' || c == '{':
			depth++
		case c == ']' || c == '}':
			depth--
		case c == ',' && depth == 1:
			if commas++; commas == max {
				return true
			}
		}
	}
	return false
}

// text reads a string; nothing, null and "" are the same.
func text(raw json.RawMessage) (string, bool) {
	if raw == nil {
		return "", true
	}
	var s *string
	if json.Unmarshal(raw, &s) != nil {
		return "", false
	}
	if s == nil {
		return "", true
	}
	return *s, true
}

func errPhones(format string, args ...any) error {
	return phone.Errorf(phone.Invalid, phone.ReasonPhonesInvalid, format, args...)
}

// errBody says what is wrong with a body and where. Within a part of it the place is the path alone: lines and columns would
// count from that part's beginning.
func errBody(part string, err error) error {
	var wrong *strictjson.Error
	if !errors.As(err, &wrong) {
		return fmt.Errorf("decode body: %w", err)
	}
	if part == "" {
		return errPhones("%s", wrong.Error())
	}
	return &phone.Error{Code: phone.Invalid, Reason: phone.ReasonPhonesInvalid, Field: part + wrong.Path, Msg: part + wrong.Path + " " + wrong.Msg}
}
