package client_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/lethe-cloud/lethe/api"
	"github.com/lethe-cloud/lethe/client"
	"github.com/lethe-cloud/lethe/internal/signature"
)

const (
	accessKey = "AKAKAKAKAKAKAKAKAKAK"
	secretKey = "SKSKSKSKSKSKSKSKSKSKSKSKSKSKSKSKSKSKSKSK"
	project   = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
)

// serve answers signed calls with handle, and fails the test for one whose signature is not right.
func serve(t *testing.T, handle http.HandlerFunc) *client.Client {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		claim, err := signature.Read(r, body, time.Now())
		if err != nil || claim.AccessKey != accessKey || !claim.Verify(secretKey) {
			t.Errorf("%s %s: signature %v, %v", r.Method, r.URL, claim, err)
		}
		if got := r.Header.Get("X-Project-Id"); got != project {
			t.Errorf("X-Project-Id %q", got)
		}
		r.Body = io.NopCloser(strings.NewReader(string(body)))
		handle(w, r)
	}))
	t.Cleanup(server.Close)
	return newClient(t, server.URL+"/", time.Millisecond)
}

func newClient(t *testing.T, endpoint string, poll time.Duration) *client.Client {
	t.Helper()
	c, err := client.New(client.Config{Endpoint: endpoint, AccessKey: accessKey, SecretKey: secretKey, ProjectID: project, Poll: poll})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func answer(t *testing.T, w http.ResponseWriter, status int, v any) {
	t.Helper()
	w.WriteHeader(status)
	if err := json.NewEncoder(w).Encode(v); err != nil {
		t.Error(err)
	}
}

func TestNewNamesWhatIsWrong(t *testing.T) {
	t.Parallel()
	good := client.Config{Endpoint: "http://127.0.0.1:8774", AccessKey: "a", SecretKey: "s", ProjectID: "p"}
	tests := map[string]struct {
		change func(*client.Config)
		names  string
	}{
		"no endpoint":      {func(c *client.Config) { c.Endpoint = "" }, "endpoint"},
		"no scheme":        {func(c *client.Config) { c.Endpoint = "127.0.0.1:8774" }, "endpoint"},
		"no host":          {func(c *client.Config) { c.Endpoint = "http://" }, "endpoint"},
		"another scheme":   {func(c *client.Config) { c.Endpoint = "ftp://a" }, "endpoint"},
		"no key":           {func(c *client.Config) { c.AccessKey = "" }, "access_key"},
		"no secret":        {func(c *client.Config) { c.SecretKey = "" }, "secret_key"},
		"no project":       {func(c *client.Config) { c.ProjectID = "" }, "project_id"},
		"nothing is wrong": {func(*client.Config) {}, ""},
	}
	for name, tt := range tests {
		config := good
		tt.change(&config)
		_, err := client.New(config)
		if (err == nil) != (tt.names == "") || err != nil && !strings.Contains(err.Error(), tt.names) {
			t.Errorf("%s: error %v, want one that names %q", name, err, tt.names)
		}
	}
}

// Each call goes where it belongs, with its body, and brings back what was answered.
func TestCalls(t *testing.T) {
	t.Parallel()
	type sent struct{ Call, Body string }
	tests := []struct {
		call func(context.Context, *client.Client) (any, error)
		want sent
		out  any
	}{
		{func(ctx context.Context, c *client.Client) (any, error) { return c.Version(ctx) },
			sent{"GET /lethe/v1/version", ""}, api.Version{Version: "v1"}},
		{func(ctx context.Context, c *client.Client) (any, error) {
			return c.AddServer(ctx, api.AddServer{ServerName: "edge", Driver: "simulated", PhoneCount: 2, ImageID: "i", Config: []byte(`{"boot_time":"2s"}`)})
		}, sent{"POST /lethe/v1/servers", `{"server_name":"edge","driver":"simulated","phone_count":2,"image_id":"i","config":{"boot_time":"2s"}}`}, api.AddedServer{RequestID: "r"}},
		{func(ctx context.Context, c *client.Client) (any, error) { return c.Server(ctx, "a b/c") },
			sent{"GET /lethe/v1/servers/a%20b%2Fc", ""}, api.Server{ServerID: "s"}},
		{func(ctx context.Context, c *client.Client) (any, error) { return c.Drift(ctx, "s") },
			sent{"GET /lethe/v1/servers/s/drift", ""}, api.Drift{ServerID: "s", Findings: []api.DriftFinding{{Kind: "dead"}}}},
		{func(ctx context.Context, c *client.Client) (any, error) {
			return c.Reconcile(ctx, "s", api.Reconcile{Apply: true})
		}, sent{"POST /lethe/v1/servers/s/reconcile", `{"apply":true}`}, api.Drift{ServerID: "s", Findings: []api.DriftFinding{{Done: "removed"}}}},
		{func(ctx context.Context, c *client.Client) (any, error) {
			return c.AddImage(ctx, api.AddImage{ImageName: "n", Reference: "r"})
		}, sent{"POST /lethe/v1/images", `{"image_name":"n","reference":"r"}`}, api.Image{ImageID: "i"}},
		{func(ctx context.Context, c *client.Client) (any, error) { return c.Phone(ctx, "p") },
			sent{"GET /lethe/v1/phones/p", ""}, api.Phone{PhoneID: "p", Job: &api.Job{JobID: "j"}}},
		{func(ctx context.Context, c *client.Client) (any, error) {
			return c.Exec(ctx, "p", api.Exec{Args: []string{"cat"}, Stdin: []byte("hallo")})
		}, sent{"POST /lethe/v1/phones/p/exec", `{"args":["cat"],"stdin":"aGFsbG8="}`}, api.ExecResult{ExitCode: 3, Stdout: []byte("hallo"), Stderr: []byte{}}},
		{func(ctx context.Context, c *client.Client) (any, error) { return c.Job(ctx, "j") },
			sent{"GET /lethe/v1/jobs/j", ""}, api.Job{JobID: "j", Failure: &api.Failure{Reason: "boot_timeout"}}},
		{func(ctx context.Context, c *client.Client) (any, error) { return c.Request(ctx, "r") },
			sent{"GET /lethe/v1/requests/r", ""}, api.Progress{RequestID: "r", Phases: []api.PhaseCount{{Phase: "booting", Count: 2}}}},
		{func(ctx context.Context, c *client.Client) (any, error) { return c.CancelJob(ctx, "j") },
			sent{"POST /lethe/v1/jobs/j/cancel", ""}, api.Cancelled{JobID: "j", Cancelled: 1}},
		{func(ctx context.Context, c *client.Client) (any, error) { return c.CancelRequest(ctx, "r") },
			sent{"POST /lethe/v1/requests/r/cancel", ""}, api.Cancelled{RequestID: "r", Finishing: 2}},
		{func(ctx context.Context, c *client.Client) (any, error) { return c.RetryRequest(ctx, "r", "") },
			sent{"POST /lethe/v1/requests/r/retry", ""}, api.Accepted{RequestID: "s", Jobs: []api.AcceptedJob{{PhoneID: "p", JobID: "j"}}}},
		{func(ctx context.Context, c *client.Client) (any, error) {
			return c.BatchReset(ctx, api.ResetPhones{ImageID: "i", Phones: []api.ResetPhone{{PhoneID: "p", Property: "{}", FactoryReset: true}}}, "")
		}, sent{"POST /lethe/v1/phones/batch-reset", `{"image_id":"i","phones":[{"phone_id":"p","property":"{}","factory_reset_enabled":true}]}`},
			api.Accepted{RequestID: "r", Jobs: []api.AcceptedJob{{PhoneID: "p", JobID: "j"}}}},
		{func(ctx context.Context, c *client.Client) (any, error) {
			return c.AddUser(ctx, api.AddUser{UserName: "ci"})
		}, sent{"POST /lethe/v1/users", `{"user_name":"ci"}`}, api.AddedUser{Password: "p"}},
		{func(ctx context.Context, c *client.Client) (any, error) { return c.SetPolicies(ctx, "ci", nil) },
			sent{"PUT /lethe/v1/users/ci/policies", `{"policies":[]}`}, api.UserPolicies{UserName: "ci"}},
		{func(ctx context.Context, c *client.Client) (any, error) {
			return c.ResetPhones(ctx, client.Reset{ImageID: "i", Phones: []client.ResetPhone{{PhoneID: "p", Property: `{"a":"b"}`, FactoryReset: true}, {PhoneID: "q"}}})
		}, sent{"POST /v1/" + project + "/cloud-phone/phones/batch-reset",
			`{"image_id":"i","phones":[{"phone_id":"p","property":"{\"a\":\"b\"}","factory_reset_enabled":true},{"phone_id":"q"}]}`},
			client.Accepted{RequestID: "r", Jobs: []client.PhoneJob{{PhoneID: "p", JobID: "j"}, {PhoneID: "q", ErrorCode: "CPS.0004"}}}},
		{func(ctx context.Context, c *client.Client) (any, error) {
			return c.ResetPhones(ctx, client.Reset{ImageID: "i", Phones: []client.ResetPhone{{PhoneID: "p", Property: "{}"}, {PhoneID: "q"}}, Pace: &api.Pace{First: new(5), StopPercent: new(0)}})
		}, sent{"POST /lethe/v1/phones/batch-reset",
			`{"image_id":"i","phones":[{"phone_id":"p","property":"{}"},{"phone_id":"q"}],"pace":{"first":5,"stop_percent":0}}`},
			client.Accepted{RequestID: "r", Jobs: []client.PhoneJob{{PhoneID: "p", JobID: "j"}, {PhoneID: "q", ErrorCode: "CPS.0004"}}}},
		{func(ctx context.Context, c *client.Client) (any, error) {
			return c.StopPhones(ctx, []string{"p", "q"}, "")
		},
			sent{"POST /v1/" + project + "/cloud-phone/phones/batch-stop", `{"phone_ids":["p","q"]}`},
			client.Accepted{RequestID: "r", Jobs: []client.PhoneJob{{PhoneID: "p", JobID: "j"}, {PhoneID: "q", ErrorCode: "CPS.0141"}}}},
		{func(ctx context.Context, c *client.Client) (any, error) {
			return c.RestartPhones(ctx, client.Restart{ImageID: "i", Phones: []client.RestartPhone{{PhoneID: "p"}, {PhoneID: "q", Property: "{}"}}})
		},
			sent{"POST /v1/" + project + "/cloud-phone/phones/batch-restart", `{"image_id":"i","phones":[{"phone_id":"p"},{"phone_id":"q","property":"{}"}]}`},
			client.Accepted{RequestID: "r", Jobs: []client.PhoneJob{{PhoneID: "p", JobID: "j"}, {PhoneID: "q", ErrorCode: "CPS.0165"}}}},
		{func(ctx context.Context, c *client.Client) (any, error) { return c.PhoneDetail(ctx, "p") },
			sent{"GET /v1/" + project + "/cloud-phone/phones/p", ""}, client.PhoneDetail{Property: "{}", AccessInfos: []client.AccessInfo{{Type: "adb", AccessPort: 1}}}},
	}
	for _, tt := range tests {
		t.Run(tt.want.Call, func(t *testing.T) {
			t.Parallel()
			var got sent
			c := serve(t, func(w http.ResponseWriter, r *http.Request) {
				body, err := io.ReadAll(r.Body)
				if err != nil {
					t.Error(err)
				}
				got = sent{r.Method + " " + r.RequestURI, string(body)}
				answer(t, w, http.StatusOK, tt.out)
			})
			out, err := tt.call(t.Context(), c)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Error(diff)
			}
			if diff := cmp.Diff(tt.out, out); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// A key goes with its call as a header that the signature covers, and is no part of the body.
func TestResetIdempotencyKey(t *testing.T) {
	t.Parallel()
	var keys, signed []string
	c := serve(t, func(w http.ResponseWriter, r *http.Request) {
		keys = append(keys, r.Header.Values("Idempotency-Key")...)
		signed = append(signed, fmt.Sprint(strings.Contains(r.Header.Get("Authorization"), "idempotency-key")))
		answer(t, w, http.StatusOK, client.Accepted{})
	})
	for _, key := range []string{"key 1", ""} {
		if _, err := c.ResetPhones(t.Context(), client.Reset{IdempotencyKey: key}); err != nil {
			t.Error(err)
		}
	}
	if diff := cmp.Diff([]string{"key 1"}, keys) + cmp.Diff([]string{"true", "false"}, signed); diff != "" {
		t.Error(diff)
	}
}

// pageOf answers one page of n elements made by of, as the server does.
func pageOf[T any](r *http.Request, n int, of func(int) T) []T {
	offset, _ := strconv.Atoi(r.URL.Query().Get("offset"))
	limit, _ := strconv.Atoi(r.URL.Query().Get("limit"))
	page := []T{}
	for i := offset; i < min(n, offset+limit); i++ {
		page = append(page, of(i))
	}
	return page
}

// cursorPage answers the page of n elements that begins at the cursor, which here is the element's number.
func cursorPage[T any](r *http.Request, n int, of func(int) T) (page []T, next string) {
	from, _ := strconv.Atoi(r.URL.Query().Get("after"))
	limit, _ := strconv.Atoi(r.URL.Query().Get("limit"))
	to := min(n, from+limit)
	for i := from; i < to; i++ {
		page = append(page, of(i))
	}
	if to < n {
		next = strconv.Itoa(to)
	}
	return page, next
}

func TestListsGoThroughAllPages(t *testing.T) {
	t.Parallel()
	var calls []string
	c := serve(t, func(w http.ResponseWriter, r *http.Request) {
		calls = append(calls, r.RequestURI)
		phones, next := cursorPage(r, 2300, func(i int) api.Phone { return api.Phone{PhoneID: strconv.Itoa(i)} })
		if next == "2000" {
			phones = nil // a search that found nothing on this page, and goes on
		}
		answer(t, w, http.StatusOK, api.Phones{Phones: phones, Next: next})
	})
	phones, err := client.Collect(c.Phones(t.Context(), client.PhoneFilter{ServerID: "s", Name: "n", Status: -5}), 0)
	if err != nil {
		t.Fatal(err)
	}
	if len(phones) != 1300 || phones[0].PhoneID != "0" || phones[1299].PhoneID != "2299" {
		t.Errorf("%d phones", len(phones))
	}
	filter := "&limit=1000&phone_name=n&server_id=s&status=-5"
	want := []string{"/lethe/v1/phones?after=" + filter, "/lethe/v1/phones?after=1000" + filter, "/lethe/v1/phones?after=2000" + filter}
	if diff := cmp.Diff(want, calls); diff != "" {
		t.Error(diff)
	}
}

func TestListsEndEarly(t *testing.T) {
	t.Parallel()
	calls := 0
	c := serve(t, func(w http.ResponseWriter, r *http.Request) {
		calls++
		servers, next := cursorPage(r, 5000, func(i int) api.Server { return api.Server{ServerID: strconv.Itoa(i)} })
		answer(t, w, http.StatusOK, api.Servers{Servers: servers, Next: next})
	})
	servers, err := client.Collect(c.Servers(t.Context(), client.ServerFilter{}), 3)
	if err != nil || len(servers) != 3 || calls != 1 {
		t.Errorf("%d servers by %d calls, %v", len(servers), calls, err)
	}
}

func TestRequestJobsTakesTheWiresPages(t *testing.T) {
	t.Parallel()
	c := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if limit := r.URL.Query().Get("limit"); limit != "100" {
			t.Errorf("limit %s", limit)
		}
		answer(t, w, http.StatusOK, map[string]any{"request_id": "x", "jobs": pageOf(r, 250, func(i int) map[string]any {
			return map[string]any{"job_id": strconv.Itoa(i), "status": -1, "error_code": "CPS.0054", "end_time": nil, "error_msg": nil}
		})})
	})
	jobs, err := client.Collect(c.RequestJobs(t.Context(), "r"), 0)
	if err != nil || len(jobs) != 250 || jobs[249].ErrorCode != "CPS.0054" || jobs[249].Status != client.JobFailed {
		t.Errorf("%d jobs, %v", len(jobs), err)
	}
}

func TestErrors(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		status int
		body   string
		want   client.Error
	}{
		"native": {404, `{"request_id":"r1","error_code":"not_found","error_msg":"no such phone","reason":"phone_not_found","field":"phone_id"}`,
			client.Error{Status: 404, Code: "not_found", Msg: "no such phone", RequestID: "r1", Reason: "phone_not_found", Field: "phone_id"}},
		"CPH": {400, `{"request_id":"r1","error_code":"CPS.0077","error_msg":"Parameter: phones list is invalid."}`,
			client.Error{Status: 400, Code: "CPS.0077", Msg: "Parameter: phones list is invalid.", RequestID: "r1"}},
		"a proxy":    {502, "<html>bad gateway</html>", client.Error{Status: 502, Code: "HTTP 502", Msg: "the answer is not one of lethe's: is this the right endpoint?"}},
		"a redirect": {307, "", client.Error{Status: 307, Code: "HTTP 307", Msg: "the answer is not one of lethe's: is this the right endpoint?"}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := serve(t, func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("Location", "/elsewhere")
				w.WriteHeader(tt.status)
				_, _ = io.WriteString(w, tt.body)
			})
			_, err := c.Phone(t.Context(), "p")
			var got *client.Error
			if !errors.As(err, &got) {
				t.Fatalf("error %v", err)
			}
			if diff := cmp.Diff(tt.want, *got); diff != "" {
				t.Error(diff)
			}
		})
	}
	e := client.Error{Code: "CPS.0077", Msg: "Parameter: phones list is invalid.", RequestID: "r1"}
	if want := "Parameter: phones list is invalid (CPS.0077, request r1)"; e.Error() != want {
		t.Errorf("says %q, want %q", e.Error(), want)
	}
}

func TestAnAnswerThatIsNotLethes(t *testing.T) {
	t.Parallel()
	c := serve(t, func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "hello") })
	if _, err := c.Version(t.Context()); err == nil || !strings.Contains(err.Error(), "did not answer GET /lethe/v1/version as lethe does") {
		t.Errorf("error %v", err)
	}
}

func TestUnreachable(t *testing.T) {
	t.Parallel()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	endpoint := "http://" + listener.Addr().String()
	if err := listener.Close(); err != nil {
		t.Fatal(err)
	}
	c := newClient(t, endpoint, time.Millisecond)
	_, err = c.Version(t.Context())
	var unreachable *client.UnreachableError
	if !errors.As(err, &unreachable) {
		t.Fatalf("error %v", err)
	}
	want := "nothing answers at " + endpoint + " (connect: connection refused): start it with lethe serve, or correct the endpoint"
	if err.Error() != want {
		t.Errorf("says %q, want %q", err, want)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := c.Version(ctx); !errors.Is(err, context.Canceled) || errors.As(err, &unreachable) {
		t.Errorf("cancelled: %v", err)
	}
}

func TestUntrustedCertificate(t *testing.T) {
	t.Parallel()
	server := httptest.NewUnstartedServer(http.NotFoundHandler())
	server.Config.ErrorLog = log.New(io.Discard, "", 0) // it complains that the client hung up
	server.StartTLS()
	t.Cleanup(server.Close)
	_, err := newClient(t, server.URL, time.Millisecond).Version(t.Context())
	if err == nil || !strings.Contains(err.Error(), "is not trusted") || !strings.Contains(err.Error(), "SSL_CERT_FILE") {
		t.Errorf("error %v", err)
	}
}

// A list that fails on its second page gives what it has and then the error, and nothing after it.
func TestListsPassErrorsOn(t *testing.T) {
	t.Parallel()
	c := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Query().Get("after") != "" {
			answer(t, w, http.StatusForbidden, api.Error{Code: "forbidden", Msg: "not any more"})
			return
		}
		jobs, next := cursorPage(r, 1001, func(i int) api.Job { return api.Job{JobID: fmt.Sprint(i)} })
		answer(t, w, http.StatusOK, api.Jobs{Jobs: jobs, Next: next})
	})
	var errs []error
	n := 0
	for _, err := range c.Jobs(t.Context(), client.JobFilter{RequestID: "r", PhoneID: "p", ServerID: "s"}) {
		if err != nil {
			errs = append(errs, err)
			continue
		}
		n++
	}
	if n != 1000 || len(errs) != 1 || !slices.ContainsFunc(errs, func(err error) bool { return strings.Contains(err.Error(), "not any more") }) {
		t.Errorf("%d jobs, errors %v", n, errs)
	}
}
