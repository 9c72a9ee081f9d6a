package fleet

import (
	"fmt"
	"regexp"
	"strings"
	"unicode/utf8"

	"github.com/lethe-cloud/lethe/internal/phone"
)

// givenName is the CPH API's rule for names: letters, digits, Chinese, _ and -, at most 60 characters when it is given (the
// 65 that it shows leave room for the number that a phone's name ends in).
var givenName = regexp.MustCompile(`^[\p{Han}A-Za-z0-9_-]{1,60}$`)

const maxPhoneName = 65 // characters

// checkName refuses a name that is against the rule.
func checkName(field, name string) error {
	if givenName.MatchString(name) {
		return nil
	}
	return &phone.Error{
		Code: phone.Invalid, Reason: phone.ReasonNameInvalid, Field: field,
		Msg: field + " must be 1 to 60 letters, digits, Chinese characters, _ or -",
	}
}

// phoneName is the n-th phone's name on its server, counted from 1.
func phoneName(server string, n int) string { return fmt.Sprintf("%s-%04d", server, n) }

// checkText refuses a text that is empty, longer than max bytes, not UTF-8, or that has control characters in it.
func checkText(field, text string, max int) error {
	if text != "" && searchable(text, max) {
		return nil
	}
	return &phone.Error{
		Code: phone.Invalid, Reason: phone.ReasonNameInvalid, Field: field,
		Msg: fmt.Sprintf("%s must be 1 to %d bytes of text without control characters", field, max),
	}
}

// checkSearch refuses a part of a name that no name can have and no database need see.
func checkSearch(field, text string) error {
	if searchable(text, 4*maxPhoneName) {
		return nil
	}
	return &phone.Error{
		Code: phone.Invalid, Reason: phone.ReasonNameInvalid, Field: field, Msg: field + " cannot be part of any name",
	}
}

func searchable(text string, max int) bool {
	control := func(r rune) bool { return r < ' ' || r == 0x7f }
	return len(text) <= max && utf8.ValidString(text) && !strings.ContainsFunc(text, control)
}
