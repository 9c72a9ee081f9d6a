package iam

import (
	"encoding/json"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"github.com/lethe-cloud/lethe/internal/phone"
)

func TestDecodeLogin(t *testing.T) {
	t.Parallel()
	// The IAM API reference's own example.
	got, err := decodeLogin([]byte(`{
		"auth": {
			"identity": {
				"methods": ["password"],
				"password": {"user": {"domain": {"name": "IAMDomain"}, "name": "IAMUser", "password": "IAMPassword"}}
			},
			"scope": {"project": {"name": "cn-north-1"}, "domain": {"id": "d78cbac186b744899480f25bd022f468"}}
		}
	}`))
	if err != nil {
		t.Fatal(err)
	}
	want := login{
		user: reference{Name: "IAMUser"}, domain: reference{Name: "IAMDomain"}, password: "IAMPassword",
		scope: scope{project: reference{Name: "cn-north-1"}, domain: reference{ID: "d78cbac186b744899480f25bd022f468"}},
	}
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(login{}, scope{})); diff != "" {
		t.Errorf("decodeLogin (-want +got):\n%s", diff)
	}
}

// TestDecodeLoginSaysWhere: the answer is IAM's own sentence, so the log has to say what was wrong.
func TestDecodeLoginSaysWhere(t *testing.T) {
	t.Parallel()
	for body, want := range map[string]string{
		"{":           "syntax at line 1, column 2",
		"{}":          "auth is missing",
		`{"auth":{}}`: "auth.identity is missing",
		`{"auth":{"identity":{"methods":["token"]}}}`:                       `auth.identity.methods must be ["password"]`,
		tokenBodyOf(`{"password":"hunter2"}`, ""):                           "auth.identity.password.user needs a name or an id",
		tokenBodyOf(`{"id":"x","password":7}`, ""):                          "type at line 1, column ",
		tokenBodyOf(`{"id":"x","password":"a"}`, `[]`):                      "type at line 1, column ",
		tokenBodyOf(`{"name":"x","password":"a"}`, `{}`):                    "auth.identity.password.user.domain needs a name or an id",
		tokenBodyOf(`{"id":"x\n","password":"a"}`, `{}`):                    "control character",
		tokenBodyOf(`{"id":"x","id":"hunter2"}`, `{}`):                      "duplicate at line 1, column ",
		tokenBodyOf(`{"id":"x"}`, `{"project":{}}`):                         "auth.identity.password.user.password is missing",
		tokenBodyOf(`{"id":"x","password":"a"}`, `{"project":{"name":""}}`): "auth.scope.project needs a name or an id",
	} {
		_, err := decodeLogin([]byte(body))
		if phone.CodeOf(err) != phone.Invalid || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("decodeLogin(%s) = %v, want invalid: %s", body, err, want)
		}
	}
}

// FuzzDecodeLogin gives the decoder anything. What it takes must be JSON, and complete; what it refuses must be Invalid.
func FuzzDecodeLogin(f *testing.F) {
	f.Add([]byte(tokenBodyOf(userOf("boss", "secret", "acme"), `{"project":{"name":"local-1"}}`)))
	f.Add([]byte(tokenBodyOf(`{"id":"1","password":""}`, `{"domain":{"id":"x"},"project":null}`)))
	f.Add([]byte(tokenBodyOf(`{"id":"1","password":"","password":""}`, "")))
	f.Add([]byte(`{"auth":{"identity":{"methods":["password"],"password":{"user":{"ID":"1","password":"x"}}}}}`))
	f.Add([]byte("{\"auth\":\"\xff\"}"))
	f.Add([]byte(strings.Repeat("[", 100)))
	f.Fuzz(func(t *testing.T, body []byte) {
		in, err := decodeLogin(body)
		if err != nil {
			if phone.CodeOf(err) != phone.Invalid {
				t.Fatalf("decodeLogin(%q) = %v, want invalid", body, err)
			}
			return
		}
		if !json.Valid(body) || !utf8.Valid(body) {
			t.Fatalf("%q is not JSON, but was taken", body)
		}
		if !in.user.given() || in.user.ID == "" && !in.domain.given() {
			t.Fatalf("%q was taken, but names nobody: %+v", body, in)
		}
		for _, s := range []string{in.user.ID, in.user.Name, in.domain.ID, in.domain.Name, in.scope.project.ID, in.scope.project.Name} {
			if strings.ContainsRune(s, 0) || len(s) > maxReference {
				t.Fatalf("%q was taken with the name %q", body, s)
			}
		}
	})
}
