package main

import (
	"bufio"
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/lethe-cloud/lethe/api"
	"github.com/lethe-cloud/lethe/internal/config"
	"github.com/lethe-cloud/lethe/internal/iam"
)

// realServer is the whole application on a fresh data folder, with the command line's way into it.
type realServer struct {
	*server
	t           *testing.T
	credentials iam.Credentials
	log         *lockedBuffer
}

func newRealServer(t *testing.T, change ...func(*config.Config)) *realServer {
	t.Helper()
	cfg := testConfig(t)
	for _, f := range change {
		f(&cfg)
	}
	r := &realServer{t: t, log: &lockedBuffer{}}
	env := newEnvironment(noEnvironment, strings.NewReader(""), r.log, r.log)
	var err error
	if r.server, err = startServer(t.Context(), cfg, newLogger(env, cfg), newBuilder(ownBinary)); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := r.Stop(t.Context()); err != nil && t.Context().Err() == nil {
			t.Errorf("Stop: %v", err)
		}
	})
	if r.credentials, err = iam.ReadCredentials(r.Credentials); err != nil {
		t.Fatal(err)
	}
	return r
}

func (r *realServer) run(args ...string) ran {
	return runCommand(r.t.Context(), noEnvironment, "", append(args, "--credentials", r.Credentials)...)
}

// as runs a command with another user's access key.
func (r *realServer) as(key, secret string, args ...string) ran {
	env := map[string]string{"LETHE_ENDPOINT": r.URL, "LETHE_ACCESS_KEY": key, "LETHE_SECRET_KEY": secret, "LETHE_PROJECT_ID": r.credentials.ProjectID}
	return runCommand(r.t.Context(), func(name string) string { return env[name] }, "", args...)
}

// login asks for a token and gives the answer; its body is closed.
func (r *realServer) login(user, password string) *http.Response {
	r.t.Helper()
	body := `{"auth":{"identity":{"methods":["password"],"password":{"user":{"name":"` + user + `","password":"` + password + `","domain":{"name":"lethe"}}}},
		"scope":{"project":{"id":"` + r.credentials.ProjectID + `"}}}}`
	res, err := http.Post(r.URL+"/v3/auth/tokens", "application/json", strings.NewReader(body))
	if err != nil {
		r.t.Fatal(err)
	}
	res.Body.Close()
	return res
}

func TestAuditTrail(t *testing.T) {
	t.Parallel()
	r := newRealServer(t)
	r.login("admin", "not the password").Body.Close()
	if res := r.login("admin", r.credentials.Password); res.StatusCode != http.StatusCreated {
		t.Fatal(res.Status)
	}
	r.run("image", "add", "--name", "a", "--reference", "a").must(t, 0)
	r.run("server", "add", "--name", "rack", "--driver", "simulated", "--phones", "2", "--image", "a", "--boot-time", "10ms", "--wait").must(t, 0)
	user := jsonOf[api.AddedUser](t, r.run("user", "add", "ci", "--allow", "cph:phones:list", "-o", "json").must(t, 0))
	r.as(user.AccessKey, user.SecretKey, "server", "list").must(t, 1)
	r.as(user.AccessKey, user.SecretKey, "audit", "list").must(t, 1)
	r.run("reset", "--server", "rack", "--property", "com.cph.mainkeys=1", "--wait").must(t, 0)
	phones := jsonOf[[]api.Phone](t, r.run("phone", "list", "-o", "json").must(t, 0))
	runCommand(t.Context(), noEnvironment, "", "phone", "exec", "--credentials", r.Credentials, phones[0].PhoneID, "--", "getprop", "ro.build.id")
	r.run("user", "policy", "ci", "--none").must(t, 0)

	var got []string
	exported := r.run("audit", "export").must(t, 0).stdout
	for lines := bufio.NewScanner(strings.NewReader(exported)); lines.Scan(); {
		var e api.AuditEvent
		if err := json.Unmarshal(lines.Bytes(), &e); err != nil {
			t.Fatalf("a line is no JSON: %v\n%s", err, lines.Text())
		}
		if e.Source != "127.0.0.1" || e.RequestID == "" || e.Time.IsZero() || e.UserAgent == "" {
			t.Errorf("incomplete: %+v", e)
		}
		got = append(got, strings.TrimSpace(e.UserName+" "+e.Trace+" "+e.Result+" "+e.Code))
	}
	want := []string{
		"admin login refused unauthenticated", "admin login accepted", "admin createImage accepted", "admin createCloudPhoneServer accepted",
		"admin createUser accepted", "ci accessDenied refused forbidden", "ci accessDenied refused forbidden", "admin resetCloudPhone accepted",
		"admin runCommand accepted", "admin setUserPolicies accepted",
	}
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("the trail is\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	for _, secret := range []string{r.credentials.Password, r.credentials.SecretKey, user.SecretKey, user.Password} {
		if strings.Contains(exported, secret) {
			t.Errorf("the trail has %q in it", secret)
		}
	}
	resets := jsonOf[[]api.AuditEvent](t, r.run("audit", "list", "--trace", "resetCloudPhone", "--phone", phones[1].PhoneID, "--since", "1h", "-o", "json").must(t, 0))
	if len(resets) != 1 || len(resets[0].Changes) != 1 {
		t.Fatalf("resets of a phone: %+v", resets)
	}
	c := resets[0].Changes[0]
	if strings.Join(c.PhoneIDs, " ") != phones[1].PhoneID || strings.Join(c.NewPropertyKeys, " ") != "com.cph.mainkeys" || c.Result != "succeeded" || c.NewImageID == "" || c.OldImageID != c.NewImageID {
		t.Errorf("the reset of a phone: %+v", c)
	}
	if resets[0].AccessKey != r.credentials.AccessKey {
		t.Errorf("made with access key %q, want %q", resets[0].AccessKey, r.credentials.AccessKey)
	}
	execs := jsonOf[[]api.AuditEvent](t, r.run("audit", "list", "--phone", phones[0].PhoneID, "--trace", "runCommand", "-o", "json").must(t, 0))
	if len(execs) != 1 || execs[0].Target != phones[0].PhoneID {
		t.Errorf("what was run in a phone: %+v", execs)
	}
	contains(t, r.run("audit", "list", "--limit", "3").must(t, 0).stdout, "setUserPolicies", "runCommand", "USER")
	contains(t, r.run("audit", "list", "--result", "odd").must(t, 2).stderr, "result must be accepted, refused or failed")
	contains(t, r.run("audit", "list", "--since", "yesterday").must(t, 2).stderr, "--since")
	contains(t, r.run("audit", "list", "--phone", "x").must(t, 2).stderr, "phone_id")
}

// Every edge refuses a caller who makes too many calls, and says when to come again.
func TestRateLimitAtEveryEdge(t *testing.T) {
	t.Parallel()
	r := newRealServer(t, func(c *config.Config) { c.RateLimit = 1 })
	token := r.login("admin", r.credentials.Password).Header.Get("X-Subject-Token")
	project := r.credentials.ProjectID
	for path, code := range map[string]string{
		"/v1/" + project + "/cloud-phone/phones": "APIGW.0308", "/lethe/v1/phones": "exhausted", "/v3/projects": "APIGW.0308",
	} {
		refused := false
		for range 200 {
			request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, r.URL+path, nil)
			if err != nil {
				t.Fatal(err)
			}
			request.Header.Set("X-Auth-Token", token)
			res, err := http.DefaultClient.Do(request)
			if err != nil {
				t.Fatal(err)
			}
			var body struct {
				Code string `json:"error_code"`
			}
			err = json.NewDecoder(res.Body).Decode(&body)
			res.Body.Close()
			if res.StatusCode == http.StatusOK {
				continue
			}
			if refused = true; err != nil || res.StatusCode != http.StatusTooManyRequests || body.Code != code || res.Header.Get("Retry-After") != "1" {
				t.Errorf("%s: %s %q, Retry-After %q (%v); want 429 %s and 1", path, res.Status, body.Code, res.Header.Get("Retry-After"), err, code)
			}
			break
		}
		if !refused {
			t.Errorf("%s: 200 calls in a row were all answered", path)
		}
	}
}
