package cph

import (
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/lethe-cloud/lethe/internal/phone"
)

// query reads a call's query parameters. Ones that are not known are ignored, an empty one counts as absent, and of one that
// stands several times the first counts.
type query struct{ url.Values }

func (c *call) query() query { return query{c.URL.Query()} }

func errQuery(reason phone.Reason, field, format string, args ...any) error {
	return &phone.Error{Code: phone.Invalid, Reason: reason, Field: field, Msg: field + " " + fmt.Sprintf(format, args...)}
}

// page reads offset and limit: 0 and 100 when absent; limit is 1 to max, offset fits into the 32 bits that clients count with.
func (q query) page(max int) (offset, limit int, err error) {
	if offset, err = q.number("offset", 0, 0, 1<<31-1); err != nil {
		return 0, 0, err
	}
	limit, err = q.number("limit", 100, 1, max)
	return offset, limit, err
}

func (q query) number(name string, absent, min, max int) (int, error) {
	value := q.Get(name)
	if value == "" {
		return absent, nil
	}
	n, err := strconv.Atoi(value)
	if err != nil || n < min || n > max {
		return 0, errQuery(phone.ReasonPageInvalid, name, "must be a whole number from %d to %d", min, max)
	}
	return n, nil
}

// part reads a part of a name; what no name can have in it is refused before any database sees it.
func (q query) part(name string, reason phone.Reason) (string, error) {
	value := q.Get(name)
	control := func(r rune) bool { return r < ' ' || r == 0x7f }
	if len(value) > 260 || !utf8.ValidString(value) || strings.ContainsFunc(value, control) {
		return "", errQuery(reason, name, "cannot be part of any name")
	}
	return value, nil
}

// choice reads one of a few words; "" when absent.
func (q query) choice(name string, reason phone.Reason, words ...string) (string, error) {
	value := q.Get(name)
	if value == "" {
		return "", nil
	}
	for _, word := range words {
		if strings.EqualFold(value, word) {
			return word, nil
		}
	}
	return "", errQuery(reason, name, "must be one of %s", strings.Join(words, ", "))
}

// moment reads a time stamp; zero when absent. The reference says no unit: a value of 12 digits and more is milliseconds, as in
// other calls of the API, a shorter one seconds.
func (q query) moment(name string) (time.Time, error) {
	value := q.Get(name)
	if value == "" {
		return time.Time{}, nil
	}
	n, err := strconv.ParseInt(value, 10, 64)
	switch {
	case err != nil || n < 0 || n > 253402300799999: // the end of the year 9999
		return time.Time{}, errQuery(reasonTime, name, "must be a time stamp")
	case n < 1e11:
		return time.Unix(n, 0), nil
	}
	return time.UnixMilli(n), nil
}
