package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/lethe-cloud/lethe/api"
	"github.com/lethe-cloud/lethe/internal/account"
	"github.com/lethe-cloud/lethe/internal/cph"
	"github.com/lethe-cloud/lethe/internal/driver"
	"github.com/lethe-cloud/lethe/internal/fleet"
	"github.com/lethe-cloud/lethe/internal/fleet/fleettest"
	"github.com/lethe-cloud/lethe/internal/httpapi"
	"github.com/lethe-cloud/lethe/internal/objects"
	"github.com/lethe-cloud/lethe/internal/phone"
	"github.com/lethe-cloud/lethe/internal/signature"
)

const (
	testProject = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
	testAccess  = "AKAKAKAKAKAKAKAKAKAK"
	testSecret  = "SKSKSKSKSKSKSKSKSKSKSKSKSKSKSKSKSKSKSKSK"
)

// installation is both APIs over the real use cases and a fleet in memory, whose jobs end when somebody asks how far they are.
type testInstallation struct {
	t          *testing.T
	store      *fleettest.Store
	users      testUsers
	reconciler *fleettest.Reconciler
	url        string

	mu    sync.Mutex
	calls []string
	fails map[string]phone.Failure // by phone name: how its jobs end
}

func newTestInstallation(t *testing.T) *testInstallation {
	t.Helper()
	in := &testInstallation{t: t, store: &fleettest.Store{}, reconciler: &fleettest.Reconciler{}, fails: map[string]phone.Failure{}}
	files := objects.New(objects.Config{Folder: t.TempDir(), Owners: in.store})
	service := fleet.New(fleet.Config{Store: in.store, Hosts: testHosts{}, Reconciler: in.reconciler, Objects: files, Pool: []phone.PoolHost{
		{Name: "rack-7", Driver: "simulated", Endpoint: "sim:///srv/rack-7", ServerModel: "rack.small", Phones: 3},
		{Name: "rack-8", Driver: "simulated", Endpoint: "sim:///srv/rack-8", ServerModel: "rack.small", Phones: 3, Accounts: []string{"acme"}},
	}})
	mux := http.NewServeMux()
	mux.Handle(api.Prefix+"/", httpapi.New(httpapi.Config{
		Fleet: service, Access: fleet.NewAccess(fleet.AccessConfig{Store: &in.users}), Authenticate: in.authenticate, AuthenticateHead: in.authenticateHead, Log: slog.New(slog.DiscardHandler),
	}).Handler())
	mux.Handle("/v1/", cph.New(cph.Config{
		Fleet: service, Authenticate: in.authenticate, Logger: slog.New(slog.DiscardHandler), Address: func(phone.Server) string { return "192.0.2.7" },
	}))
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		in.mu.Lock()
		in.calls = append(in.calls, r.Method+" "+r.URL.RequestURI())
		in.mu.Unlock()
		if r.Method == http.MethodGet && strings.HasPrefix(r.URL.Path, api.Prefix+"/requests/") {
			in.finish()
		}
		mux.ServeHTTP(w, r)
	}))
	t.Cleanup(server.Close)
	in.url = server.URL
	return in
}

func (in *testInstallation) authenticate(r *http.Request, body []byte) (account.Caller, error) {
	claim, err := signature.Read(r, body, time.Now())
	if err != nil || claim.AccessKey != testAccess || !claim.Verify(testSecret) {
		return account.Caller{}, &phone.Error{Code: phone.Unauthenticated, Msg: "verify aksk signature fail", Err: err}
	}
	return account.Caller{Signed: true, Identity: account.Identity{
		User: account.User{ID: "u", Account: "acc", Owner: true}, Account: account.Account{ID: "acc", Operator: true}, Projects: []account.Project{{ID: testProject}},
	}}, nil
}

func (in *testInstallation) authenticateHead(r *http.Request) (account.Caller, string, error) {
	claim, err := signature.ReadHead(r, time.Now())
	if err != nil || claim.AccessKey != testAccess || !claim.Verify(testSecret) {
		return account.Caller{}, "", &phone.Error{Code: phone.Unauthenticated, Msg: "verify aksk signature fail", Err: err}
	}
	return account.Caller{Signed: true, Identity: account.Identity{
		User: account.User{ID: "u", Account: "acc", Owner: true}, Account: account.Account{ID: "acc", Operator: true}, Projects: []account.Project{{ID: testProject}},
	}}, claim.ContentHash, nil
}

// finish ends every unfinished job, as the engine would in time.
func (in *testInstallation) finish() {
	in.mu.Lock()
	defer in.mu.Unlock()
	phones := map[phone.ID]phone.Phone{}
	for _, p := range in.store.AllPhones() {
		phones[p.ID] = p
	}
	for _, job := range in.store.AllJobs() {
		if job.Phase.Final() || job.Phase == phone.PhaseHeld {
			continue
		}
		p := phones[job.Phone]
		job.Phase, p.Status, p.Generation = phone.PhaseSucceeded, phone.StatusRunning, job.Target
		if job.Erase == phone.ErasePending {
			job.Erase = phone.EraseDone
		}
		if failure, fails := in.fails[p.Name]; fails {
			job.Phase, job.Failure, p.Status = phone.PhaseFailed, &failure, job.Kind.Failed()
		}
		in.store.Put(job, p)
	}
	in.keepPace(phones)
}

// keepPace lets held jobs go, or cancels them, as the pace of their requests has it.
func (in *testInstallation) keepPace(phones map[phone.ID]phone.Phone) {
	byPhase, held := map[phone.RequestID]map[phone.Phase]int{}, map[phone.RequestID][]phone.Job{}
	for _, job := range in.store.AllJobs() {
		if byPhase[job.Request] == nil {
			byPhase[job.Request] = map[phone.Phase]int{}
		}
		if byPhase[job.Request][job.Phase]++; job.Phase == phone.PhaseHeld {
			held[job.Request] = append(held[job.Request], job)
		}
	}
	for id, jobs := range held {
		request, err := in.store.Request(context.Background(), testProject, id)
		if err != nil {
			in.t.Error(err)
			return
		}
		step := phone.DecidePace(*request.Pace, phone.CountPace(byPhase[id]))
		if request.Stopped = step.Stop; step.Stop == nil {
			jobs = jobs[:step.Release]
		}
		for _, job := range jobs {
			job.Phase = phone.PhaseQueued
			if step.Stop != nil {
				failure, p := step.Stop.Failure(), phones[job.Phone]
				job.Phase, job.Failure, p.Status = phone.PhaseCancelled, &failure, job.WhenCancelled()
				in.store.Put(p)
			}
			in.store.Put(job)
		}
		in.store.Put(request)
	}
}

// fleet gives a server with n running phones, edge-0001 and so on, and an image.
func (in *testInstallation) fleet(server string, n int) {
	first := len(in.store.AllPhones())
	serverID, imageID := phone.NewID[phone.ServerID](), phone.NewID[phone.ImageID]()
	in.store.Put(
		phone.Server{ID: serverID, Name: server, Project: testProject, Driver: "simulated", ImageLabel: "cloud_phone", Status: phone.ServerNormal, MaxConcurrentBoots: 2, Capacity: n},
		phone.Image{ID: imageID, Name: server + "-image", Project: testProject, Label: "cloud_phone", OSName: "AOSP", Reference: "r"},
	)
	for i := range n {
		in.store.Put(phone.Phone{
			ID: phone.ID(fmt.Sprintf("%032x", first+i+1)), Name: fmt.Sprintf("%s-%04d", server, i+1), Project: testProject, Server: serverID, Image: imageID,
			Status: phone.StatusRunning, Generation: 1, LastGeneration: 1, ADBPort: 20000 + i,
		})
	}
}

func (in *testInstallation) image(server string) string {
	images, err := in.store.Images(in.t.Context(), fleet.ImageFilter{Project: testProject, Name: server + "-image"})
	if err != nil || len(images) != 1 {
		in.t.Fatalf("images %v, %v", images, err)
	}
	return string(images[0].ID)
}

// called gives the calls that came, and forgets them.
func (in *testInstallation) called() []string {
	in.mu.Lock()
	defer in.mu.Unlock()
	calls := in.calls
	in.calls = nil
	return calls
}

// ran is what a command line did.
type ran struct {
	stdout, stderr string
	code           int
}

func (in *testInstallation) run(args ...string) ran { return in.runWith("", args...) }

func (in *testInstallation) runWith(stdin string, args ...string) ran {
	in.t.Helper()
	return runCommand(in.t.Context(), in.getenv, stdin, args...)
}

func (in *testInstallation) getenv(name string) string {
	return map[string]string{
		"LETHE_ENDPOINT": in.url, "LETHE_ACCESS_KEY": testAccess, "LETHE_SECRET_KEY": testSecret, "LETHE_PROJECT_ID": testProject,
	}[name]
}

func runCommand(ctx context.Context, getenv func(string) string, stdin string, args ...string) ran {
	var stdout, stderr bytes.Buffer
	err := run(ctx, args, getenv, strings.NewReader(stdin), &stdout, &stderr)
	return ran{stdout.String(), stderr.String(), exitCode(err)}
}

// must fails the test unless the command line ended with the code.
func (r ran) must(t *testing.T, code int) ran {
	t.Helper()
	if r.code != code {
		t.Fatalf("exit code %d, want %d\nstdout: %s\nstderr: %s", r.code, code, r.stdout, r.stderr)
	}
	return r
}

func jsonOf[T any](t *testing.T, r ran) T {
	t.Helper()
	var v T
	if err := json.Unmarshal([]byte(r.stdout), &v); err != nil {
		t.Fatalf("stdout is no JSON (%v): %s", err, r.stdout)
	}
	return v
}

// contains checks that a text has every part.
func contains(t *testing.T, text string, parts ...string) {
	t.Helper()
	for _, part := range parts {
		if !strings.Contains(text, part) {
			t.Errorf("%q is not in:\n%s", part, text)
		}
	}
}

// testHosts gives every server a host that answers and runs two programs.
type testHosts struct{}

func (testHosts) Driver(context.Context, phone.Server) (driver.Driver, error) { return testHost{}, nil }

type testHost struct{ driver.Driver }

func (testHost) Info(context.Context) (driver.Info, error) { return driver.Info{}, nil }

func (testHost) Exec(_ context.Context, _ driver.Ref, command driver.Command) (driver.Result, error) {
	if command.Args[0] == "cat" {
		return driver.Result{Stdout: command.Stdin}, nil
	}
	return driver.Result{ExitCode: 7, Stdout: []byte(strings.Join(command.Args, "|")), Stderr: []byte("bad\n"), Truncated: true}, nil
}

// testUsers keeps users in memory; nothing else is asked of it.
type testUsers struct {
	fleet.AccessStore
	mu    sync.Mutex
	users []account.User
}

func (s *testUsers) AddUser(_ context.Context, user account.User, _ account.AccessKey) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.users = append(s.users, user)
	return nil
}

func (s *testUsers) Users(context.Context, string) ([]account.User, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]account.User(nil), s.users...), nil
}

func (s *testUsers) User(_ context.Context, _, name string) (fleet.UserDetail, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, u := range s.users {
		if u.Name == name {
			return fleet.UserDetail{User: u}, nil
		}
	}
	return fleet.UserDetail{}, fleet.NoSuch("user")
}

func (s *testUsers) SetPolicies(_ context.Context, _, name string, policies []account.Policy) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i := range s.users {
		if s.users[i].Name == name {
			s.users[i].Policies = policies
			return nil
		}
	}
	return phone.Errorf(phone.NotFound, "", "there is no such user")
}

func writeFile(t *testing.T, name, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}
