package cph_test

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/lethe-cloud/lethe/internal/account"
	"github.com/lethe-cloud/lethe/internal/cph"
	"github.com/lethe-cloud/lethe/internal/fleet"
	"github.com/lethe-cloud/lethe/internal/phone"
)

func newRequest(method, target, body string) *http.Request {
	return httptest.NewRequest(method, target, strings.NewReader(body))
}

// everyRoute is one right call per route, with the action that it needs.
var everyRoute = []struct{ method, path, action, body string }{
	{"POST", "/phones/batch-reset", "cph:phones:reset", `{"phones":[{"phone_id":"x"}]}`},
	{"GET", "/phones", "cph:phones:list", ""},
	{"GET", "/phones/" + string(firstID), "cph:phones:get", ""},
	{"PUT", "/phones/" + string(firstID), "cph:phones:updateName", `{"phone_name":"new"}`},
	{"POST", "/phones/batch-connection", "cph:phones:connect", `{"phone_ids":["` + string(firstID) + `"],"client_type":"ANDROID"}`},
	{"PUT", "/servers/" + string(serverID), "cph:servers:updateName", `{"server_name":"new"}`},
	{"GET", "/access-infos?server_id=" + string(serverID), "cph:servers:get", ""},
	{"GET", "/images", "cph:images:list", ""},
	{"GET", "/servers", "cph:servers:list", ""},
	{"GET", "/servers/" + string(serverID), "cph:servers:get", ""},
	{"GET", "/phone-images", "cph:images:list", ""},
	{"GET", "/jobs?request_id=" + string(knownRequest), "cph:jobs:list", ""},
	{"GET", "/jobs/" + string(knownJob), "cph:jobs:get", ""},
}

const (
	knownRequest phone.RequestID = "6837531fd3f54550927b930180a706bf"
	knownJob     phone.JobID     = "1564567b8bab40f34711234cb80d0123"
)

func (b *bundle) withJob(job phone.Job) *bundle {
	job.ID, job.Request, job.Project, job.Phone, job.Server = knownJob, knownRequest, project, firstID, serverID
	b.store.Put(job, phone.Request{ID: knownRequest, Project: project})
	return b
}

// Who may not, on every route: the answer is the same, whatever the body, and nothing was asked of the store.
func TestCredentials(t *testing.T) {
	t.Parallel()
	const (
		forbidden = "No permission to request resources."
		incorrect = "Incorrect IAM authentication information: "
	)
	for _, route := range everyRoute {
		t.Run(route.method+" "+route.path, func(t *testing.T) {
			t.Parallel()
			b := newBundle(t).withJob(phone.Job{Phase: phone.PhaseSucceeded})
			for _, body := range []string{route.body, "nonsense"} {
				call := func(token string) answer { return b.do(route.method, base+route.path, token, body) }
				call("").refused(t, 401, "APIGW.0301", incorrect+"x-auth-token not found")
				call("wrong").refused(t, 401, "APIGW.0301", incorrect+"decrypt token fail")
				call("expired").refused(t, 401, "APIGW.0307", "The token must be updated.")
				call("guessing").refused(t, 429, "APIGW.0308", "The throttling threshold has been reached.")
				call("domain").refused(t, 403, "CPS.0001", forbidden)
				call("cph:other:action").refused(t, 403, "CPS.0001", forbidden)
				theirs := strings.Replace(base, string(project), string(other), 1)
				b.do(route.method, theirs+route.path, "owner", body).refused(t, 403, "CPS.0001", forbidden)
				b.do(route.method, "/v1/nonsense%00/cloud-phone"+route.path, "owner", body).refused(t, 403, "CPS.0001", forbidden)
			}
			if b.store.Calls() != 0 {
				t.Error("the store was asked for a caller who may not")
			}
			if got := b.do(route.method, base+route.path, route.action, route.body); got.status != 200 {
				t.Errorf("with %s alone: %d %s", route.action, got.status, got.body)
			}
			if got := b.do(route.method, base+route.path, "owner", route.body); got.status != 200 {
				t.Errorf("owner: %d %s", got.status, got.body)
			}
		})
	}
}

// Naming an image needs a permission more, and only then.
func TestImagePermission(t *testing.T) {
	t.Parallel()
	body := `{"image_id":"` + string(newImage) + `","phones":[{"phone_id":"` + string(firstID) + `"}]}`
	b := newBundle(t)
	b.do("POST", base+"/phones/batch-reset", "cph:phones:reset", body).refused(t, 403, "CPS.0001", "No permission to request resources.")
	b.do("POST", base+"/phones/batch-reset", "cph:phones:reset ims:images:get", body).jobs(t)
}

// A signature covers the body to its last byte, the line feed at its end included.
func TestSignedBody(t *testing.T) {
	t.Parallel()
	sign := func(r *http.Request, body string) *http.Request {
		sum := sha256.Sum256([]byte(body))
		r.Header.Set("Authorization", "SDK-HMAC-SHA256 "+hex.EncodeToString(sum[:]))
		return r
	}
	body := `{"phones":[{"phone_id":"` + string(firstID) + `"}]}` + "\n"
	b := newBundle(t)
	b.send(sign(newRequest("GET", base+"/phones", ""), "")).is(t, phonesGolden)
	if jobs := b.send(sign(newRequest("POST", base+"/phones/batch-reset", body), body)).jobs(t); jobs[0]["job_id"] == "" {
		t.Errorf("jobs %v", jobs)
	}
	b.send(sign(newRequest("POST", base+"/phones/batch-reset", body), strings.TrimSpace(body))).
		refused(t, 401, "APIGW.0301", "Incorrect IAM authentication information: verify aksk signature fail")
}

func TestUnknownRoutes(t *testing.T) {
	t.Parallel()
	b := newBundle(t)
	for _, tt := range []struct{ method, path string }{
		{"GET", "/"},
		{"GET", "/v1"},
		{"GET", base},
		{"GET", base + "/phones/"},
		{"GET", base + "/phones/" + string(firstID) + "/more"},
		{"GET", base + "/jobs/"},
		{"GET", "/v2/" + string(project) + "/cloud-phone/phones"},
		{"GET", base + "/phones/batch-reset/x"},
		{"PUT", base + "/phones/" + string(firstID) + "/name"},
		{"GET", "/v1/" + string(project) + "/cph-phone/tags"},
		{"DELETE", base + "/servers"},
		{"POST", base + "/phones"},
		{"PATCH", base + "/phones/batch-reset"},
		{"OPTIONS", base + "/phones"},
		{"GET", "/v1//cloud-phone/phones"},
		{"POST", base + "//phones/batch-reset"},
		{"POST", base + "/servers/../phones/batch-reset"},
		{"GET", base + "/./phones"},
		{"GET", base + "/phones/..%2Fservers"},
		{"BREW", base + "/phones"},
	} {
		got := b.do(tt.method, tt.path, "owner", "")
		if got.header.Get("Location") != "" {
			t.Errorf("%s %s is sent on to %s", tt.method, tt.path, got.header.Get("Location"))
		}
		got.refused(t, 404, "APIGW.0101", "The API does not exist or has not been published in the environment.")
	}
	if got := b.get("/phones/batch-reset"); got.status != 404 {
		t.Errorf("GET batch-reset is a phone of that name: %d", got.status)
	} else {
		got.refused(t, 404, "CPS.0005", "Phone is not found.")
	}
}

// Failures of ours show nothing of what failed; the log has it.
func TestOurFailures(t *testing.T) {
	t.Parallel()
	const cause = "disk sda3 is full of secrets"
	for _, route := range everyRoute {
		t.Run(route.method+" "+route.path, func(t *testing.T) {
			t.Parallel()
			b := newBundle(t).withJob(phone.Job{Phase: phone.PhaseSucceeded})
			call := func(token string) answer { return b.do(route.method, base+route.path, token, route.body) }
			for _, tt := range []struct {
				err    error
				status int
				code   string
				msg    string
			}{
				{errors.New(cause), 500, "CPS.0003", "Service internal error."},
				{fmt.Errorf("read: %w", &phone.Error{Code: phone.Internal, Msg: cause}), 500, "CPS.0003", "Service internal error."},
				{phone.Errorf(phone.Internal, phone.ReasonPhoneNotFound, cause), 500, "CPS.0003", "Service internal error."},
				{phone.Errorf(phone.Unavailable, phone.ReasonHostGone, cause), 503, "CPS.0042", "System busy."},
			} {
				b.store.Fail(tt.err)
				call("owner").refused(t, tt.status, tt.code, tt.msg)
			}
			b.store.Fail(nil)
			call("broken").refused(t, 500, "CPS.0003", "Service internal error.")
			call("no database").refused(t, 503, "CPS.0042", "System busy.")
			if n := strings.Count(b.log.String(), cause); n != 4 || !strings.Contains(b.log.String(), "secret of the inside") {
				t.Errorf("the cause is in the log %d times: %s", n, b.log)
			}
		})
	}
}

// panicking stands for a bug.
type panicking struct{ cph.Fleet }

func (panicking) MaxBatch() int { panic("a bug") }

func TestPanic(t *testing.T) {
	t.Parallel()
	b := newBundle(t, func(c *cph.Config) { c.Fleet, c.MaxConcurrent = panicking{}, 1 })
	for range 2 { // the second is let in: the first one left
		b.reset(`{}`).refused(t, 500, "CPS.0003", "Service internal error.")
	}
	if !strings.Contains(b.log.String(), "a bug") || !strings.Contains(b.log.String(), "call_test.go") {
		t.Errorf("the log does not say where: %s", b.log)
	}
}

// One line per request, with what operators need and nothing of what tenants sent.
func TestLog(t *testing.T) {
	t.Parallel()
	b := newBundle(t)
	got := b.do("POST", base+"/phones/batch-reset?secret=query", "owner", `{"phones":[{"phone_id":"`+string(firstID)+`","property":"{\"sys.prop.writephonenum\":\"13666666666\"}"},{"phone_id":"secret","property":"{\"secret\":1}"}]}`)
	b.do("GET", base+"/phones/secret", "owner", "")
	b.do("GET", "/secret", "", "")
	var lines []map[string]any
	for scanner := bufio.NewScanner(strings.NewReader(b.log.String())); scanner.Scan(); {
		var line map[string]any
		if err := json.Unmarshal(scanner.Bytes(), &line); err != nil {
			t.Fatal(err)
		}
		lines = append(lines, line)
	}
	if len(lines) != 3 {
		t.Fatalf("%d lines for 3 requests: %s", len(lines), b.log)
	}
	for _, word := range []string{"secret", "13666666666", string(project), string(firstID)} {
		if strings.Contains(b.log.String(), word) {
			t.Errorf("the log has %q in it: %s", word, b.log)
		}
	}
	for _, key := range []string{"time", "took"} {
		if lines[0][key] == nil {
			t.Errorf("the line has no %s", key)
		}
		delete(lines[0], key)
	}
	want := map[string]any{
		"level": "INFO", "msg": "request", "method": "POST", "route": "POST /v1/{project_id}/cloud-phone/phones/batch-reset", "status": 200.0,
		"request_id": got.header.Get("X-Request-Id"), "user_id": "owner",
	}
	if diff := cmp.Diff(want, lines[0]); diff != "" {
		t.Error(diff)
	}
	wantCounts := map[cph.Count]uint64{
		{Route: "POST /v1/{project_id}/cloud-phone/phones/batch-reset", Status: 200}: 1,
		{Route: "GET /v1/{project_id}/cloud-phone/phones/{phone_id}", Status: 404}:   1,
		{Route: "", Status: 404}: 1,
	}
	if diff := cmp.Diff(wantCounts, b.Counts()); diff != "" {
		t.Error(diff)
	}
}

// blocking holds every list of phones until it is let go.
type blocking struct {
	cph.Fleet
	entered, leave chan struct{}
}

func (f blocking) Phones(context.Context, account.Caller, fleet.PhoneFilter) ([]phone.Phone, int, error) {
	f.entered <- struct{}{}
	<-f.leave
	return nil, 0, nil
}

// A user who has as many requests at work as one may is told to come later; another user is not.
func TestTooManyRequests(t *testing.T) {
	t.Parallel()
	f := blocking{Fleet: fleet.New(fleet.Config{}), entered: make(chan struct{}), leave: make(chan struct{})}
	b := newBundle(t, func(c *cph.Config) { c.Fleet, c.MaxConcurrent = f, 2 })
	done := make(chan int, 3)
	list := func(token string) {
		w := httptest.NewRecorder()
		r := newRequest("GET", base+"/phones", "")
		r.Header.Set("X-Auth-Token", token)
		b.ServeHTTP(w, r)
		done <- w.Code
	}
	go list("owner")
	go list("owner")
	<-f.entered
	<-f.entered
	b.get("/phones").refused(t, 429, "APIGW.0308", "The throttling threshold has been reached.")
	go list("cph:phones:list")
	<-f.entered
	close(f.leave)
	for range 3 {
		if status := <-done; status != 200 {
			t.Errorf("status %d", status)
		}
	}
	go func() { <-f.entered }()
	if got := b.get("/phones"); got.status != 200 {
		t.Errorf("after they left: %d", got.status)
	}
}

// server puts the wire behind a real connection: recorders know no deadlines and no broken bodies.
func (b *bundle) server() *httptest.Server {
	server := httptest.NewServer(b)
	b.t.Cleanup(server.Close)
	return server
}

// raw writes a request by hand and reads the whole answer.
func raw(t *testing.T, server *httptest.Server, request string, halfClose bool) answer {
	t.Helper()
	conn, err := net.Dial("tcp", server.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(30 * time.Second)); err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(conn, request); err != nil {
		t.Fatal(err)
	}
	if halfClose {
		if err := conn.(*net.TCPConn).CloseWrite(); err != nil {
			t.Fatal(err)
		}
	}
	response, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer{status: response.StatusCode, header: response.Header, body: string(body)}
}

func TestBodySize(t *testing.T) {
	t.Parallel()
	const limit = 12 << 20
	pad := func(n int) string {
		body := `{"phones":[{"phone_id":"` + string(firstID) + `"}]}`
		return body + strings.Repeat(" ", n-len(body))
	}
	// chunked hides how long the body is.
	type chunked struct{ io.Reader }
	tests := map[string]struct {
		token, signature string
		body             io.Reader
		status           int
		code             string
	}{
		"as large as may be":          {token: "owner", body: strings.NewReader(pad(limit)), status: 200},
		"one byte more":               {token: "owner", body: strings.NewReader(pad(limit + 1)), status: 413, code: "APIGW.0201"},
		"one byte more, in chunks":    {token: "owner", body: chunked{strings.NewReader(pad(limit + 1))}, status: 413, code: "APIGW.0201"},
		"much more, in chunks":        {token: "owner", body: chunked{io.LimitReader(zeros{}, 1<<40)}, status: 413, code: "APIGW.0201"},
		"signed":                      {signature: "any", body: strings.NewReader(pad(limit + 1)), status: 413, code: "APIGW.0201"},
		"no credentials come first":   {body: strings.NewReader(pad(limit + 1)), status: 401, code: "APIGW.0301"},
		"no permission comes first":   {token: "cph:phones:list", body: strings.NewReader(pad(limit + 1)), status: 403, code: "CPS.0001"},
		"wrong token, without an end": {token: "wrong", body: chunked{io.LimitReader(zeros{}, 1<<40)}, status: 401, code: "APIGW.0301"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBundle(t)
			r := httptest.NewRequest("POST", base+"/phones/batch-reset", tt.body)
			r.Header.Set("X-Auth-Token", tt.token)
			if tt.signature != "" {
				r.Header.Set("Authorization", tt.signature)
			}
			got := b.send(r)
			if got.status != tt.status || !strings.Contains(got.body, tt.code) {
				t.Errorf("%d %s, want %d %s", got.status, got.body, tt.status, tt.code)
			}
			if tt.status == 413 {
				got.refused(t, 413, "APIGW.0201", "Request entity too large.")
			}
		})
	}
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = '0'
	}
	return len(p), nil
}

// A client that sends 12 MB and more over a connection reads the 413, and is not cut off before.
func TestTooLargeOverTheWire(t *testing.T) {
	t.Parallel()
	server := newBundle(t).server()
	r, err := http.NewRequestWithContext(t.Context(), "POST", server.URL+base+"/phones/batch-reset", bytes.NewReader(make([]byte, 12<<20+1)))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("X-Auth-Token", "owner")
	response, err := server.Client().Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	if response.StatusCode != 413 || response.Header.Get("X-Request-Id") == "" {
		t.Errorf("status %d", response.StatusCode)
	}
}

// A body that does not arrive ends the request with a 4xx: it hangs nowhere.
func TestBodyThatDoesNotArrive(t *testing.T) {
	t.Parallel()
	head := "POST " + base + "/phones/batch-reset HTTP/1.1\r\nHost: cph.example\r\nX-Auth-Token: owner\r\n"
	t.Run("stops", func(t *testing.T) {
		t.Parallel()
		server := newBundle(t, func(c *cph.Config) { c.BodyTimeout = 50 * time.Millisecond }).server()
		raw(t, server, head+"Content-Length: 100\r\n\r\n{\"phones\":", false).
			refused(t, 400, "APIGW.0201", "API request error. the body did not arrive within 50ms")
	})
	t.Run("stops, and nobody knows who sends it", func(t *testing.T) {
		t.Parallel()
		server := newBundle(t, func(c *cph.Config) { c.BodyTimeout = 50 * time.Millisecond }).server()
		raw(t, server, strings.Replace(head, "X-Auth-Token: owner\r\n", "", 1)+"Content-Length: 100\r\n\r\n{\"phones\":", false).
			refused(t, 401, "APIGW.0301", "Incorrect IAM authentication information: x-auth-token not found")
	})
	t.Run("stops, on no route", func(t *testing.T) {
		t.Parallel()
		server := newBundle(t, func(c *cph.Config) { c.BodyTimeout = 50 * time.Millisecond }).server()
		raw(t, server, strings.Replace(head, "batch-reset", "batch-rest", 1)+"Content-Length: 100\r\n\r\n{\"phones\":", false).
			refused(t, 404, "APIGW.0101", "The API does not exist or has not been published in the environment.")
	})
	t.Run("breaks off", func(t *testing.T) {
		t.Parallel()
		raw(t, newBundle(t).server(), head+"Content-Length: 100\r\n\r\n{\"phones\":", true).
			refused(t, 400, "CPS.0077", "Parameter: phones list is invalid. the body could not be read to its end")
	})
	t.Run("broken chunks", func(t *testing.T) {
		t.Parallel()
		raw(t, newBundle(t).server(), head+"Transfer-Encoding: chunked\r\n\r\nzz\r\n", false).
			refused(t, 400, "CPS.0077", "Parameter: phones list is invalid. the body could not be read to its end")
	})
}

// deadlines remembers the deadlines that are set on a connection.
type deadlines struct {
	*httptest.ResponseRecorder
	set []time.Time
}

func (d *deadlines) SetReadDeadline(t time.Time) error {
	d.set = append(d.set, t)
	return nil
}

// whenReset runs a function in the place of the use case.
type whenReset struct {
	cph.Fleet
	do func()
}

func (f whenReset) ResetPhones(ctx context.Context, caller account.Caller, in fleet.ResetPhones) (phone.RequestID, []phone.Outcome, error) {
	f.do()
	return f.Fleet.ResetPhones(ctx, caller, in)
}

// The deadline is the body's: it is gone before the use case begins, which may take longer; it stays for what was left unread.
func TestDeadlineEndsWithTheBody(t *testing.T) {
	t.Parallel()
	w := &deadlines{ResponseRecorder: httptest.NewRecorder()}
	var inside []time.Time
	b := newBundle(t, func(c *cph.Config) {
		c.Fleet = whenReset{Fleet: c.Fleet, do: func() { inside = w.set }}
	})
	send := func(w http.ResponseWriter, method, path, token, body string) {
		r := newRequest(method, base+path, body)
		r.Header.Set("X-Auth-Token", token)
		b.ServeHTTP(w, r)
	}
	send(w, "POST", "/phones/batch-reset", "owner", `{"phones":[{"phone_id":"x"}]}`)
	if w.Code != 200 || len(inside) != 2 || inside[0].IsZero() || !inside[1].IsZero() {
		t.Errorf("status %d, deadlines %v", w.Code, inside)
	}
	for _, tt := range []struct{ method, path, token string }{{"POST", "/phones/batch-reset", "wrong"}, {"POST", "/nowhere", ""}} {
		refused := &deadlines{ResponseRecorder: httptest.NewRecorder()}
		send(refused, tt.method, tt.path, tt.token, "{}")
		if len(refused.set) != 1 || refused.set[0].IsZero() {
			t.Errorf("%s: deadlines %v", tt.path, refused.set)
		}
	}
}
