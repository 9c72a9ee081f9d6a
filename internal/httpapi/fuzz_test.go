package httpapi

import (
	"net/http/httptest"
	"testing"

	"github.com/lethe-cloud/lethe/api"
)

// FuzzBodies decodes every kind of body that the API takes.
func FuzzBodies(f *testing.F) {
	f.Add([]byte(`{"image_name":"a","reference":"b"}`))
	f.Add([]byte(`{"args":["sh","-c","id"],"stdin":"YQ==","max_output":1}`))
	f.Add([]byte(`{"user_name":"a","policies":[{"Version":"1.1","Statement":[{"Effect":"Allow","Action":["cph:*"]}]}]}`))
	f.Add([]byte(`{"apply":true}`))
	f.Fuzz(func(_ *testing.T, body []byte) {
		c := &call{body: body}
		for _, into := range []any{&api.AddServer{}, &api.AddImage{}, &api.Exec{}, &api.AddUser{}, &api.SetPolicies{}, &api.Reconcile{}} {
			_ = c.decode(into)
		}
	})
}

// FuzzAuditQuery reads what a caller writes into the query of the audit trail.
func FuzzAuditQuery(f *testing.F) {
	f.Add("1777863721500000-7", "2026-01-02T03:04:05Z")
	f.Add("-", "9999-99-99")
	f.Fuzz(func(t *testing.T, mark, at string) {
		if m, err := markIn(mark); err == nil && mark != "" {
			if again, err := markIn(markOut(m)); m.Seq != 0 && (err != nil || again != m) {
				t.Errorf("%q is %v, and written again %v, %v", mark, m, again, err)
			}
		}
		c := &call{Request: httptest.NewRequest("GET", "/", nil), query: map[string][]string{"from": {at}}}
		if got, err := c.moment("from"); err == nil && at != "" && (got.Year() < 1969 || got.Year() > 10000) {
			t.Errorf("%q is %v", at, got)
		}
	})
}
