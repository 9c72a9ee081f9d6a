package cph

import (
	"net/url"
	"testing"
	"unicode/utf8"
)

func FuzzQuery(f *testing.F) {
	f.Add("offset=1&limit=2&phone_name=a&status=x&create_since=1")
	f.Add("offset=-1&limit=99999999999999999999")
	f.Add("phone_name=%00%ff&create_since=253402300800000")
	f.Fuzz(func(t *testing.T, text string) {
		values, _ := url.ParseQuery(text)
		q := query{values}
		if offset, limit, err := q.page(200); err == nil && (offset < 0 || limit < 1 || limit > 200) {
			t.Errorf("page %d %d", offset, limit)
		}
		if name, err := q.part("phone_name", reasonPhoneName); err == nil && (!utf8.ValidString(name) || len(name) > 260) {
			t.Errorf("name %q", name)
		}
		if at, err := q.moment("create_since"); err == nil && (at.Year() < 1 || at.Year() > 9999) {
			t.Errorf("time %v", at)
		}
		if word, err := q.choice("status", reasonStatus, "a", "b"); err == nil && word != "" && word != "a" && word != "b" {
			t.Errorf("word %q", word)
		}
	})
}
