package iam

import (
	"bytes"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/lethe-cloud/lethe/internal/account"
	"github.com/lethe-cloud/lethe/internal/phone"
	"github.com/lethe-cloud/lethe/internal/signature"
)

// send serves one request.
func (w *world) send(r *http.Request) *httptest.ResponseRecorder {
	mux := http.NewServeMux()
	w.Routes(mux)
	out := httptest.NewRecorder()
	mux.ServeHTTP(out, r)
	return out
}

func (w *world) post(query, body string) *httptest.ResponseRecorder {
	r := httptest.NewRequest("POST", "http://iam.example:8774/v3/auth/tokens"+query, strings.NewReader(body))
	r.Header.Set("Content-Type", "application/json;charset=utf8")
	return w.send(r)
}

func tokenBodyOf(user, scope string) string {
	if scope != "" {
		scope = `,"scope":` + scope
	}
	return `{"auth":{"identity":{"methods":["password"],"password":{"user":` + user + `}}` + scope + `}}`
}

func userOf(name, password, domain string) string {
	return fmt.Sprintf(`{"name":%q,"password":%q,"domain":{"name":%q}}`, name, password, domain)
}

// same compares a JSON body with another, written as text.
func same(t *testing.T, want string, got []byte) {
	t.Helper()
	var a, b any
	if err := json.Unmarshal([]byte(want), &a); err != nil {
		t.Fatalf("the test's own JSON %s: %v", want, err)
	}
	if err := json.Unmarshal(got, &b); err != nil {
		t.Fatalf("the answer is no JSON: %q", got)
	}
	if diff := cmp.Diff(a, b); diff != "" {
		t.Errorf("the body (-want +got):\n%s", diff)
	}
}

var hex32 = regexp.MustCompile(`^[0-9a-f]{32}$`)

func checkHeaders(t *testing.T, out *httptest.ResponseRecorder) {
	t.Helper()
	if id := out.Header().Get("X-Request-Id"); !hex32.MatchString(id) {
		t.Errorf("X-Request-Id is %q", id)
	}
	if got := out.Header().Get("Content-Type"); got != "application/json" {
		t.Errorf("Content-Type is %q", got)
	}
}

func TestProjects(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	acme, p1, p2 := w.robot.Account.ID, w.robot.Projects[0], w.robot.Projects[1]
	project := func(p account.Project) string {
		return fmt.Sprintf(`{"domain_id":%q,"is_domain":false,"parent_id":%q,"name":%q,"description":"",
			"links":{"next":null,"previous":null,"self":"http://h/v3/projects/%s"},"id":%q,"enabled":true}`, acme, acme, p.Name, p.ID, p.ID)
	}
	list := func(path string, projects ...account.Project) string {
		var each []string
		for _, p := range projects {
			each = append(each, project(p))
		}
		return fmt.Sprintf(`{"projects":[%s],"links":{"next":null,"previous":null,"self":"http://h%s"}}`, strings.Join(each, ","), path)
	}
	notFound := func(id string) string {
		return `{"request_id":"ID","error_code":"IAM.0004","error_msg":"Could not find project: ` + id + `."}`
	}
	foreign := w.stranger.Projects[0].ID
	tests := []struct {
		path   string
		status int
		want   string
	}{
		{"/v3/projects", 200, list("/v3/projects", p1, p2)},
		{"/v3/projects?name=local-1", 200, list("/v3/projects", p1)},
		{"/v3/projects?name=", 200, list("/v3/projects", p1, p2)},
		{"/v3/projects?name=LOCAL-1", 200, list("/v3/projects")},
		{"/v3/projects?name=cn-north-4", 200, list("/v3/projects")},
		{"/v3/projects?domain_id=" + acme, 200, list("/v3/projects", p1, p2)},
		{"/v3/projects?domain_id=" + w.stranger.Account.ID, 200, list("/v3/projects")},
		{"/v3/projects?parent_id=" + acme + "&name=local-2", 200, list("/v3/projects", p2)},
		{"/v3/projects?enabled=true&is_domain=", 200, list("/v3/projects", p1, p2)},
		{"/v3/projects?enabled=0", 200, list("/v3/projects")},
		{"/v3/projects?is_domain=True", 200, list("/v3/projects")},
		{"/v3/auth/projects", 200, list("/v3/auth/projects", p2)}, // those in which the user may do anything
		{"/v3/projects/" + p1.ID, 200, `{"project":` + project(p1) + `}`},
		{"/v3/projects/" + foreign, 404, notFound(foreign)},
		{"/v3/projects/local-1", 404, notFound("local-1")},
		{"/v3/auth/domains", 200, fmt.Sprintf(`{"domains":[{"description":"","enabled":true,"id":%q,"name":"acme","links":{"self":"http://h/v3/domains/%s"}}],
			"links":{"next":null,"previous":null,"self":"http://h/v3/auth/domains"}}`, acme, acme)},
	}
	for _, tt := range tests {
		for _, mode := range []string{"signed", "project token", "account token"} {
			t.Run(tt.path+" "+mode, func(t *testing.T) {
				t.Parallel()
				r := httptest.NewRequest("GET", "http://h"+tt.path, nil)
				switch mode {
				case "signed":
					signature.Sign(r, nil, signature.Key{ID: w.robotKey.ID, Secret: w.robotKey.Secret}, w.clock.now())
				case "project token":
					r.Header.Set("X-Auth-Token", w.token(t, w.robot, p2.ID))
				default:
					r.Header.Set("X-Auth-Token", w.token(t, w.robot, ""))
				}
				out := w.send(r)
				checkHeaders(t, out)
				if out.Code != tt.status {
					t.Errorf("status %d, want %d", out.Code, tt.status)
				}
				same(t, strings.ReplaceAll(tt.want, `"ID"`, `"`+out.Header().Get("X-Request-Id")+`"`), out.Body.Bytes())
			})
		}
	}
}

// TestListsUnauthenticated: what the gateway would refuse it answers in its words, what IAM would, in IAM's.
func TestListsUnauthenticated(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name    string
		prepare func(t *testing.T, w *world, r *http.Request)
		code    string
		msg     string
	}{
		{"nothing", func(*testing.T, *world, *http.Request) {}, "IAM.0001", "The request you have made requires authentication."},
		{"wrong token", func(_ *testing.T, _ *world, r *http.Request) { r.Header.Set("X-Auth-Token", "x") }, "IAM.0067", "Invalid token."},
		{"expired token", func(t *testing.T, w *world, r *http.Request) {
			r.Header.Set("X-Auth-Token", w.token(t, w.boss, ""))
			w.clock.add(TokenLifetime)
		}, "IAM.0066", "The token has expired."},
		{"wrong key", func(_ *testing.T, w *world, r *http.Request) {
			signature.Sign(r, nil, signature.Key{ID: w.key.ID, Secret: "x"}, w.clock.now())
		}, "APIGW.0301", "Incorrect IAM authentication information: verify aksk signature fail"},
		{"unknown key", func(_ *testing.T, w *world, r *http.Request) {
			signature.Sign(r, nil, signature.Key{ID: "AKNOBODY", Secret: "x"}, w.clock.now())
		}, "APIGW.0301", "Incorrect IAM authentication information: verify aksk signature fail"},
	}
	for _, path := range []string{"/v3/projects", "/v3/projects/x", "/v3/auth/projects", "/v3/auth/domains"} {
		for _, tt := range tests {
			t.Run(path+" "+tt.name, func(t *testing.T) {
				t.Parallel()
				w := newWorld(t)
				r := httptest.NewRequest("GET", path, nil)
				tt.prepare(t, w, r)
				out := w.send(r)
				checkHeaders(t, out)
				if out.Code != http.StatusUnauthorized {
					t.Errorf("status %d, want 401", out.Code)
				}
				same(t, fmt.Sprintf(`{"request_id":%q,"error_code":%q,"error_msg":%q}`, out.Header().Get("X-Request-Id"), tt.code, tt.msg), out.Body.Bytes())
			})
		}
	}
}

func TestListBodyOverLimit(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	r := httptest.NewRequest("GET", "/v3/projects", strings.NewReader(strings.Repeat("x", maxBody+1)))
	r.Header.Set("X-Auth-Token", w.token(t, w.boss, ""))
	out := w.send(r)
	if out.Code != http.StatusBadRequest {
		t.Errorf("status %d, want 400", out.Code)
	}
	same(t, fmt.Sprintf(`{"request_id":%q,"error_code":"IAM.0011","error_msg":"Request body is invalid."}`, out.Header().Get("X-Request-Id")), out.Body.Bytes())
}

func TestBaseURL(t *testing.T) {
	t.Parallel()
	over := func(configured string, tlsState *tls.ConnectionState) string {
		r := httptest.NewRequest("GET", "http://asked.example:1/v3/projects", nil)
		r.TLS = tlsState
		r.Header.Set("X-Forwarded-Host", "evil.example")
		return New(Config{BaseURL: configured}).base(r)
	}
	for _, tt := range []struct{ got, want string }{
		{over("", nil), "http://asked.example:1"},
		{over("", &tls.ConnectionState{}), "https://asked.example:1"},
		{over("https://phones.example/", nil), "https://phones.example"},
	} {
		if tt.got != tt.want {
			t.Errorf("base = %q, want %q", tt.got, tt.want)
		}
	}
}

// TestEveryCodeHasAnAnswer walks every kind of error through both forms.
func TestEveryCodeHasAnAnswer(t *testing.T) {
	t.Parallel()
	errs := map[string]error{"no phone error": io.ErrUnexpectedEOF, "wrong password": unauthenticated(errPassword, "x"), "locked": unauthenticated(errLocked, "x"),
		"signature": unauthenticated(errSignature, "x"), "token": unauthenticated(errToken, "x"), "none": unauthenticated(errNoCredentials, "x")}
	for _, code := range phone.Codes() {
		errs[string(code)] = phone.Errorf(code, "", "to be shown")
	}
	for name, err := range errs {
		for _, f := range []form{keystoneForm, codeForm} {
			out := httptest.NewRecorder()
			status := writeError(out, "request", fmt.Errorf("in this call, from 10.1.2.3: %w", err), f)
			if status != out.Code || status < 400 || status == 500 && name != "internal" && name != "no phone error" {
				t.Errorf("%s: status %d, recorded %d", name, status, out.Code)
			}
			if strings.Contains(out.Body.String(), "10.1.2.3") {
				t.Errorf("%s: the cause is shown: %s", name, out.Body)
			}
			var body struct {
				Error     struct{ Code, Message, Title any }
				RequestID string `json:"request_id"`
				ErrorCode string `json:"error_code"`
				ErrorMsg  string `json:"error_msg"`
			}
			if err := json.Unmarshal(out.Body.Bytes(), &body); err != nil {
				t.Fatal(err)
			}
			switch {
			case f == codeForm && (body.RequestID != "request" || body.ErrorCode == "" || body.ErrorMsg == ""),
				f == keystoneForm && (body.Error.Code != float64(status) || body.Error.Message == "" || body.Error.Title != http.StatusText(status)):
				t.Errorf("%s: %s", name, out.Body)
			}
		}
	}
}

// TestPanicIsAnswered: a bug is a 500 with a request id, not a connection that ends.
func TestPanicIsAnswered(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	out := httptest.NewRecorder()
	w.handle(codeForm, func(*http.Request, []byte) (reply, error) { panic("10.1.2.3") }).ServeHTTP(out, httptest.NewRequest("GET", "/", nil))
	checkHeaders(t, out)
	if out.Code != 500 || strings.Contains(out.Body.String(), "10.1.2.3") {
		t.Errorf("status %d: %s", out.Code, out.Body)
	}
	out = httptest.NewRecorder()
	w.handle(codeForm, func(*http.Request, []byte) (reply, error) { return reply{status: 200, body: func() {}}, nil }).
		ServeHTTP(out, httptest.NewRequest("GET", "/", nil))
	if out.Code != 500 {
		t.Errorf("what cannot be encoded is answered with status %d: %s", out.Code, out.Body)
	}
}

func TestRequestID(t *testing.T) {
	t.Parallel()
	var inside []string
	h := WithRequestID(WithRequestID(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		inside = append(inside, RequestID(r.Context()))
	})))
	r := httptest.NewRequest("GET", "/", nil)
	r.Header.Set("X-Request-Id", "forged\nlevel=ERROR")
	for range 2 {
		out := httptest.NewRecorder()
		h.ServeHTTP(out, r)
		if got := out.Result().Header.Values("X-Request-Id"); len(got) != 1 || got[0] != inside[len(inside)-1] || !hex32.MatchString(got[0]) {
			t.Errorf("X-Request-Id is %q, the context has %q", got, inside[len(inside)-1])
		}
	}
	if inside[0] == inside[1] {
		t.Error("two requests have one id")
	}
	if RequestID(t.Context()) != "" {
		t.Error("a context of no request has an id")
	}
}

// TestNothingSecretIsLogged runs every kind of call and looks for every secret in what was logged.
func TestNothingSecretIsLogged(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	var log bytes.Buffer
	w.log = slog.New(slog.NewJSONHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))

	const typed = "a-password-that-someone-typed"
	issued := w.post("", tokenBodyOf(userOf("boss", bossPassword, "acme"), "")).Header().Get("X-Subject-Token")
	w.post("?password="+typed, tokenBodyOf(userOf("boss", typed, "acme"), ""))
	w.post("", tokenBodyOf(userOf(typed, typed, "acme"), ""))
	w.post("", `{"auth":{"`+typed+`":{"`+typed+`":1,"`+typed+`":2}}}`)
	w.post("", `{"auth":{"identity":{"methods":["`+typed+`"],"password":{"user":{"name":["`+typed+`"]}}}}}`)
	for _, token := range []string{issued, typed} {
		r := httptest.NewRequest("GET", "/v3/auth/tokens", nil)
		r.Header.Set("X-Auth-Token", token)
		r.Header.Set("X-Subject-Token", typed)
		w.send(r)
	}
	r := httptest.NewRequest("GET", "/v3/projects", nil)
	signature.Sign(r, nil, signature.Key{ID: w.key.ID, Secret: w.key.Secret}, w.clock.now())
	w.send(r)
	r.Header.Set("Authorization", r.Header.Get("Authorization")+typed)
	w.send(r)

	for _, secret := range []string{issued, typed, bossPassword, w.key.Secret, w.boss.User.PasswordHash, w.decoySecret} {
		if secret == "" || strings.Contains(log.String(), secret) {
			t.Errorf("%q was logged:\n%s", secret, log.String())
		}
	}
	if n := strings.Count(log.String(), `"request_id"`); n != 9 {
		t.Errorf("%d lines with a request id for 9 requests:\n%s", n, log.String())
	}
}
