package iam

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/lethe-cloud/lethe/internal/account"
	"github.com/lethe-cloud/lethe/internal/signature"
)

// TestTokenBody holds the whole answer against the IAM API reference's example.
func TestTokenBody(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	project := w.boss.Projects[0]
	user := userOf("boss", bossPassword, "acme")
	common := fmt.Sprintf(`"expires_at":"2026-05-07T07:08:09.123456Z","issued_at":"2026-05-06T07:08:09.123456Z","methods":["password"],
		"roles":[{"id":"0","name":"te_admin"}],
		"user":{"domain":{"id":%q,"name":"acme"},"id":%q,"name":"boss","password_expires_at":""}`, w.boss.Account.ID, w.boss.User.ID)
	domain := fmt.Sprintf(`{"id":%q,"name":"acme"}`, w.boss.Account.ID)
	iamService := `{"endpoints":[{"id":"ID","interface":"public","region":"*","region_id":"*","url":"http://iam.example:8774/v3"}],"id":"ID","name":"iam","type":"iam"}`
	cphService := `{"endpoints":[{"id":"ID","interface":"public","region":"local-1","region_id":"local-1","url":"http://iam.example:8774/v1/` +
		project.ID + `"}],"id":"ID","name":"cph","type":"cph"}`
	tests := []struct{ name, query, scope, want string }{
		{"project, no catalog", "?nocatalog=true", `{"project":{"name":"local-1"}}`,
			fmt.Sprintf(`{"token":{"catalog":[],"project":{"domain":%s,"id":%q,"name":"local-1"},%s}}`, domain, project.ID, common)},
		{"project", "", `{"project":{"name":"local-1"}}`,
			fmt.Sprintf(`{"token":{"catalog":[%s,%s],"project":{"domain":%s,"id":%q,"name":"local-1"},%s}}`, iamService, cphService, domain, project.ID, common)},
		{"domain", "", `{"domain":{"name":"acme"}}`, fmt.Sprintf(`{"token":{"catalog":[%s],"domain":%s,%s}}`, iamService, domain, common)},
		{"no scope, bare nocatalog", "?nocatalog", "", fmt.Sprintf(`{"token":{"catalog":[],"domain":%s,%s}}`, domain, common)},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			out := w.post(tt.query, tokenBodyOf(user, tt.scope))
			if out.Code != http.StatusCreated {
				t.Fatalf("status %d: %s", out.Code, out.Body)
			}
			checkHeaders(t, out)
			if got := out.Header().Get("Cache-Control"); got != "no-store" {
				t.Errorf("Cache-Control is %q", got)
			}
			text := out.Header().Get("X-Subject-Token")
			body := regexp.MustCompile(`("id":)"[0-9a-f]{32}"(,"(?:interface|name":"(?:iam|cph)","type))`).ReplaceAll(out.Body.Bytes(), []byte(`$1"ID"$2`))
			same(t, tt.want, body)

			r := httptest.NewRequest("GET", "http://iam.example:8774/v3/auth/tokens"+tt.query, nil)
			r.Header.Set("X-Auth-Token", text)
			r.Header.Set("X-Subject-Token", text)
			shown := w.send(r)
			if shown.Code != http.StatusOK || shown.Header().Get("X-Subject-Token") != text {
				t.Fatalf("the token shown: status %d, X-Subject-Token %q", shown.Code, shown.Header().Get("X-Subject-Token"))
			}
			same(t, out.Body.String(), shown.Body.Bytes())
		})
	}
}

func TestTokenScopes(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	acme, first, second := w.boss.Account.ID, w.boss.Projects[0].ID, w.boss.Projects[1].ID
	notFound := func(what string) string {
		return `{"error":{"code":404,"message":"Could not find ` + what + `.","title":"Not Found"}}`
	}
	tests := []struct {
		name, user, scope string
		project           string // "": the account
		refused           string
	}{
		{name: "project by name", scope: `{"project":{"name":"local-2"}}`, project: second},
		{name: "project by id", scope: `{"project":{"id":"` + first + `"}}`, project: first},
		{name: "project by both", scope: `{"project":{"id":"` + first + `","name":"local-1"}}`, project: first},
		{name: "project by both, not one", scope: `{"project":{"id":"` + first + `","name":"local-2"}}`, refused: notFound("project: " + first)},
		{name: "project and its domain's name", scope: `{"project":{"name":"local-1","domain":{"name":"acme"}}}`, project: first},
		{name: "project and its domain's id", scope: `{"project":{"name":"local-1","domain":{"id":"` + acme + `"}}}`, project: first},
		{name: "project of another domain", scope: `{"project":{"name":"local-1","domain":{"name":"other"}}}`, refused: notFound("project: local-1")},
		{name: "no such project", scope: `{"project":{"name":"cn-north-4"}}`, refused: notFound("project: cn-north-4")},
		{name: "another account's project", scope: `{"project":{"id":"` + w.stranger.Projects[0].ID + `"}}`,
			refused: notFound("project: " + w.stranger.Projects[0].ID)},
		{name: "domain by name", scope: `{"domain":{"name":"acme"}}`},
		{name: "domain by id", scope: `{"domain":{"id":"` + acme + `"}}`},
		{name: "another domain", scope: `{"domain":{"name":"other"}}`, refused: notFound("domain: other")},
		{name: "both: the project wins", scope: `{"domain":{"name":"acme"},"project":{"name":"local-1"}}`, project: first},
		{name: "both, the domain wrong: the project wins", scope: `{"domain":{"name":"other"},"project":{"name":"local-1"}}`, project: first},
		{name: "none"},
		{name: "empty", scope: `{}`},
		{name: "null", scope: `null`},
		{name: "null project", scope: `{"project":null}`},
		{name: "unknown scope", scope: `{"OS-TRUST:trust":{"id":"1"}}`},

		{name: "user by id", user: `{"id":"` + w.boss.User.ID + `","password":"` + bossPassword + `"}`},
		{name: "user by id, with its account", user: `{"id":"` + w.boss.User.ID + `","password":"` + bossPassword + `","domain":{"name":"acme"}}`},
		{name: "user by id and name", user: `{"id":"` + w.boss.User.ID + `","name":"boss","password":"` + bossPassword + `"}`},
		{name: "user by name and the account's id", user: `{"name":"boss","password":"` + bossPassword + `","domain":{"id":"` + acme + `"}}`},
		{name: "user by name and the account's id and name", user: `{"name":"boss","password":"` + bossPassword + `","domain":{"id":"` + acme + `","name":"acme"}}`},
		{name: "keys that nobody knows", user: `{"name":"boss","password":"` + bossPassword + `","domain":{"name":"acme","x":1},"enabled":true}`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if tt.user == "" {
				tt.user = userOf("boss", bossPassword, "acme")
			}
			out := w.post("", tokenBodyOf(tt.user, tt.scope))
			checkHeaders(t, out)
			if tt.refused != "" {
				if out.Code != http.StatusNotFound || out.Header().Get("X-Subject-Token") != "" {
					t.Errorf("status %d, X-Subject-Token %q, want 404 and none", out.Code, out.Header().Get("X-Subject-Token"))
				}
				same(t, tt.refused, out.Body.Bytes())
				return
			}
			if out.Code != http.StatusCreated {
				t.Fatalf("status %d: %s", out.Code, out.Body)
			}
			caller, err := w.Authenticate(withToken(out.Header().Get("X-Subject-Token")), nil)
			if err != nil || caller.Scope != tt.project || caller.User.ID != w.boss.User.ID {
				t.Errorf("the token is of user %s with scope %q, %v; want %s with %q", caller.User.ID, caller.Scope, err, w.boss.User.ID, tt.project)
			}
		})
	}
}

const (
	answer400 = `{"error":{"code":400,"message":"The request body is invalid","title":"Bad Request"}}`
	answer401 = `{"error":{"code":401,"message":"The username or password is wrong.","title":"Unauthorized"}}`
	answerOut = `{"error":{"code":401,"message":"The request you have made requires authentication.","title":"Unauthorized"}}`
	answerLoc = `{"error":{"code":401,"message":"The account is locked.","title":"Unauthorized"}}`
	answer403 = `{"error":{"code":403,"message":"You are not authorized to perform the requested action.","title":"Forbidden"}}`
	answer404 = `{"error":{"code":404,"message":"X-Subject-Token is invalid in the request","title":"Not Found"}}`
)

func TestTokenWrongUser(t *testing.T) {
	t.Parallel()
	for name, user := range map[string]string{
		"wrong password":                   userOf("boss", "boss", "acme"),
		"empty password":                   userOf("boss", "", "acme"),
		"password with more behind it":     userOf("boss", bossPassword+"x", "acme"),
		"another user's password":          userOf("robot", bossPassword, "acme"),
		"no such user":                     userOf("nobody", bossPassword, "acme"),
		"no such account":                  userOf("boss", bossPassword, "nowhere"),
		"user's name in another case":      userOf("Boss", bossPassword, "acme"),
		"user of another account":          userOf("robot", robotPassword, "other"),
		"no such id":                       `{"id":"` + account.NewID() + `","password":"x"}`,
		"the name as the id":               `{"id":"boss","password":"` + bossPassword + `"}`,
		"a very long password":             userOf("boss", strings.Repeat("x", 2000), "acme"),
		"a name that could be SQL":         userOf("boss' OR '1'='1", bossPassword, "acme"),
		"the account's name as its id":     `{"name":"boss","password":"` + bossPassword + `","domain":{"id":"acme"}}`,
		"the id of one, the name of other": `{"id":"ID","name":"robot","password":"` + bossPassword + `"}`,
		"the id with another account":      `{"id":"ID","password":"` + bossPassword + `","domain":{"name":"other"}}`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			out := w.post("", tokenBodyOf(strings.ReplaceAll(user, "ID", w.boss.User.ID), ""))
			checkHeaders(t, out)
			if out.Code != http.StatusUnauthorized || out.Header().Get("X-Subject-Token") != "" {
				t.Errorf("status %d, want 401", out.Code)
			}
			same(t, answer401, out.Body.Bytes())
			if len(w.store.tokens) != 0 {
				t.Error("a token was kept")
			}
		})
	}
}

// TestDecoyIsNobodysPassword: who does not exist cannot log in, not even with what the decoy was made from.
func TestDecoyIsNobodysPassword(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.decoyHash = cheapHash("the decoy's")
	out := w.post("", tokenBodyOf(userOf("nobody", "the decoy's", "acme"), ""))
	if out.Code != http.StatusUnauthorized || len(w.store.tokens) != 0 {
		t.Errorf("status %d, %d tokens", out.Code, len(w.store.tokens))
	}
	w.decoySecret = "the decoy's"
	r := httptest.NewRequest("GET", "/v3/projects", nil)
	signature.Sign(r, nil, signature.Key{ID: "AKNOBODY", Secret: "the decoy's"}, w.clock.now())
	if out := w.send(r); out.Code != http.StatusUnauthorized {
		t.Errorf("signed with the decoy: status %d", out.Code)
	}
}

func TestTokenBadBody(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	good := userOf("boss", bossPassword, "acme")
	deep := func(n int) string { return strings.Repeat("[", n) + strings.Repeat("]", n) }
	bodies := map[string]string{
		"empty":                 "",
		"white space":           " \n",
		"null":                  "null",
		"a list":                "[]",
		"a string":              `"auth"`,
		"truncated":             tokenBodyOf(good, "")[:50],
		"two values":            tokenBodyOf(good, "") + "{}",
		"not JSON":              "auth=1",
		"not UTF-8":             tokenBodyOf(userOf("boss", "\xff\xfe", "acme"), "") + "\xff",
		"invalid UTF-8 inside":  strings.Replace(tokenBodyOf(good, ""), "boss", "bo\xc3ss", 1),
		"half a surrogate":      strings.Replace(tokenBodyOf(good, ""), "boss", `\ud800`, 1),
		"nested deeply":         deep(60_000/2) + "",
		"nested deeply inside":  `{"auth":{"x":` + deep(10_000) + `}}`,
		"over the limit":        strings.Replace(tokenBodyOf(good, ""), bossPassword, strings.Repeat("x", maxBody), 1),
		"over the limit, space": tokenBodyOf(good, "") + strings.Repeat(" ", maxBody),
		"no auth":               `{}`,
		"auth null":             `{"auth":null}`,
		"auth a list":           `{"auth":[]}`,
		"auth in capitals":      strings.Replace(tokenBodyOf(good, ""), "auth", "Auth", 1),
		"auth twice":            `{"auth":{},` + tokenBodyOf(good, "")[1:],
		"no identity":           `{"auth":{"scope":{}}}`,
		"no methods":            `{"auth":{"identity":{"password":{"user":` + good + `}}}}`,
		"methods a string":      strings.Replace(tokenBodyOf(good, ""), `["password"]`, `"password"`, 1),
		"methods empty":         strings.Replace(tokenBodyOf(good, ""), `["password"]`, `[]`, 1),
		"methods token":         strings.Replace(tokenBodyOf(good, ""), `["password"]`, `["token"]`, 1),
		"methods with totp":     strings.Replace(tokenBodyOf(good, ""), `["password"]`, `["password","totp"]`, 1),
		"methods of numbers":    strings.Replace(tokenBodyOf(good, ""), `["password"]`, `[1]`, 1),
		"no password method":    `{"auth":{"identity":{"methods":["password"]}}}`,
		"no user":               `{"auth":{"identity":{"methods":["password"],"password":{}}}}`,
		"user a string":         tokenBodyOf(`"boss"`, ""),
		"user empty":            tokenBodyOf(`{}`, ""),
		"no name":               tokenBodyOf(`{"password":"x","domain":{"name":"acme"}}`, ""),
		"name a number":         tokenBodyOf(`{"name":7,"password":"x","domain":{"name":"acme"}}`, ""),
		"no password":           tokenBodyOf(`{"name":"boss","domain":{"name":"acme"}}`, ""),
		"password null":         tokenBodyOf(`{"name":"boss","password":null,"domain":{"name":"acme"}}`, ""),
		"password a number":     tokenBodyOf(`{"name":"boss","password":1,"domain":{"name":"acme"}}`, ""),
		"password twice":        tokenBodyOf(`{"name":"boss","password":"x","password":"y","domain":{"name":"acme"}}`, ""),
		"no domain":             tokenBodyOf(`{"name":"boss","password":"x"}`, ""),
		"domain empty":          tokenBodyOf(`{"name":"boss","password":"x","domain":{}}`, ""),
		"domain a string":       tokenBodyOf(`{"name":"boss","password":"x","domain":"acme"}`, ""),
		"name with a NUL":       tokenBodyOf(`{"name":"boss\u0000","password":"x","domain":{"name":"acme"}}`, ""),
		"id too long":           tokenBodyOf(`{"id":"`+strings.Repeat("a", 257)+`","password":"x"}`, ""),
		"scope a string":        tokenBodyOf(good, `"unscoped"`),
		"scope a list":          tokenBodyOf(good, `[]`),
		"project a string":      tokenBodyOf(good, `{"project":"local-1"}`),
		"project empty":         tokenBodyOf(good, `{"project":{}}`),
		"project's name a list": tokenBodyOf(good, `{"project":{"name":["local-1"]}}`),
		"domain scope empty":    tokenBodyOf(good, `{"domain":{"name":""}}`),
		"project twice":         tokenBodyOf(good, `{"project":{"name":"local-1"},"project":{"name":"local-2"}}`),
	}
	for name, body := range bodies {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			out := w.post("", body)
			checkHeaders(t, out)
			if out.Code != http.StatusBadRequest {
				t.Errorf("status %d, want 400", out.Code)
			}
			same(t, answer400, out.Body.Bytes())
		})
	}
}

// TestBodyThatBreaksOff: a client that promises more than it sends gets an answer, not a panic.
func TestBodyThatBreaksOff(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	out := w.send(httptest.NewRequest("POST", "/v3/auth/tokens", io.MultiReader(strings.NewReader(`{"auth":`), brokenReader{})))
	if out.Code != http.StatusBadRequest {
		t.Errorf("status %d, want 400", out.Code)
	}
	same(t, answer400, out.Body.Bytes())
}

type brokenReader struct{}

func (brokenReader) Read([]byte) (int, error) { return 0, io.ErrUnexpectedEOF }

func TestTokenLockOut(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	const here, elsewhere = "192.0.2.1:1000", "198.51.100.7:1000"
	send := func(user, remote string) (int, string) {
		r := httptest.NewRequest("POST", "/v3/auth/tokens", strings.NewReader(tokenBodyOf(user, "")))
		r.RemoteAddr = remote
		out := w.send(r)
		return out.Code, out.Body.String()
	}
	expect := func(what, user, remote string, status int, body string) {
		t.Helper()
		code, got := send(user, remote)
		if code != status || body != "" && got != body {
			t.Errorf("%s: %d %s, want %d %s", what, code, got, status, body)
		}
	}
	good := userOf("boss", bossPassword, "acme")
	byID := `{"id":"` + w.boss.User.ID + `","password":"` + bossPassword + `"}`
	for i := range 4 {
		expect(fmt.Sprint("wrong password ", i), userOf("boss", "x", "acme"), here, 401, answer401)
	}
	expect("wrong by id, from another port", `{"id":"`+w.boss.User.ID+`","password":"x"}`, "192.0.2.1:2000", 401, answer401)
	expect("locked, though right", good, here, 401, answerLoc)
	expect("locked by id too", byID, here, 401, answerLoc)
	expect("from elsewhere", good, elsewhere, 201, "")
	expect("another user from here", userOf("robot", robotPassword, "acme"), here, 201, "")
	expect("the same name of another account", userOf("boss", bossPassword, "other"), here, 201, "")

	for range 5 {
		expect("nobody", userOf("nobody", "x", "acme"), here, 401, answer401)
	}
	expect("nobody is locked like somebody", userOf("nobody", "x", "acme"), here, 401, answerLoc)

	w.clock.add(15 * time.Minute)
	expect("after 15 minutes", good, here, 201, "")
	expect("nobody, after 15 minutes", userOf("nobody", "x", "acme"), here, 401, answer401)
}

func TestTokenWithoutDatabase(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.store.fail(errDown)
	out := w.post("", tokenBodyOf(userOf("boss", bossPassword, "acme"), ""))
	if out.Code != http.StatusServiceUnavailable || strings.Contains(out.Body.String(), "10.1.2.3") {
		t.Errorf("status %d: %s", out.Code, out.Body)
	}
	w.store.fail(fmt.Errorf("a bug at 10.1.2.3"))
	out = w.post("", tokenBodyOf(userOf("boss", bossPassword, "acme"), ""))
	if out.Code != http.StatusInternalServerError {
		t.Errorf("status %d: %s", out.Code, out.Body)
	}
	same(t, `{"error":{"code":500,"message":"An unexpected error prevented the server from fulfilling your request.","title":"Internal Server Error"}}`,
		out.Body.Bytes())
	w.store.fail(nil)
	w.store.change(w.boss.User.ID, func(u *account.Identity) { u.User.PasswordHash = "$2a$10$of-some-other-kind" })
	if out = w.post("", tokenBodyOf(userOf("boss", bossPassword, "acme"), "")); out.Code != http.StatusInternalServerError {
		t.Errorf("a stored hash that cannot be used: status %d", out.Code)
	}
}

func TestShowToken(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	boss, robot, stranger := w.token(t, w.boss, ""), w.token(t, w.robot, w.robot.Projects[0].ID), w.token(t, w.stranger, "")
	tests := []struct {
		name, auth string
		subject    []string
		status     int
		body       string
	}{
		{"the account looks at its user's", boss, []string{robot}, 200, ""},
		{"a user at his own", robot, []string{robot}, 200, ""},
		{"a user at the account's", robot, []string{boss}, 403, answer403},
		{"the account at another's", boss, []string{stranger}, 404, answer404},
		{"a user at another account's", robot, []string{stranger}, 404, answer404},
		{"one that is none", boss, []string{"x"}, 404, answer404},
		{"an empty one", boss, []string{""}, 404, answer404},
		{"none", boss, nil, 404, answer404},
		{"two", boss, []string{robot, boss}, 404, answer404},
		{"without a token", "", []string{boss}, 401, answerOut},
		{"with a wrong token", "x", []string{boss}, 401, answerOut},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			r := httptest.NewRequest("GET", "/v3/auth/tokens", nil)
			if tt.auth != "" {
				r.Header.Set("X-Auth-Token", tt.auth)
			}
			r.Header["X-Subject-Token"] = tt.subject
			out := w.send(r)
			checkHeaders(t, out)
			if out.Code != tt.status {
				t.Errorf("status %d, want %d", out.Code, tt.status)
			}
			if tt.body != "" {
				same(t, tt.body, out.Body.Bytes())
			} else if out.Header().Get("X-Subject-Token") != tt.subject[0] || !strings.Contains(out.Body.String(), w.robot.User.ID) {
				t.Errorf("X-Subject-Token %q: %s", out.Header().Get("X-Subject-Token"), out.Body)
			}
			if out.Code != 200 && out.Header().Get("X-Subject-Token") != "" {
				t.Error("a refused answer carries a token")
			}
		})
	}
	t.Run("one that is expired", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t)
		old := w.token(t, w.robot, "")
		w.clock.add(TokenLifetime)
		r := httptest.NewRequest("GET", "/v3/auth/tokens", nil)
		r.Header.Set("X-Auth-Token", w.token(t, w.boss, ""))
		r.Header.Set("X-Subject-Token", old)
		out := w.send(r)
		if out.Code != 404 {
			t.Errorf("status %d, want 404", out.Code)
		}
		same(t, answer404, out.Body.Bytes())
	})
}

func TestRoles(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.store.change(w.robot.User.ID, func(u *account.Identity) {
		u.User.Policies = []account.Policy{{Name: "CPH ReadOnly"}, {}, {Name: "resetter"}}
	})
	out := w.post("?nocatalog=1", tokenBodyOf(userOf("robot", robotPassword, "acme"), ""))
	var got tokenOut
	if err := json.Unmarshal(out.Body.Bytes(), &got); err != nil {
		t.Fatal(err)
	}
	want := []namedOut{{ID: "0", Name: "CPH ReadOnly"}, {ID: "0", Name: "resetter"}}
	if diff := cmp.Diff(want, got.Token.Roles); diff != "" {
		t.Errorf("roles (-want +got):\n%s", diff)
	}
}
