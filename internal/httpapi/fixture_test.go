package httpapi_test

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/lethe-cloud/lethe/api"
	"github.com/lethe-cloud/lethe/internal/account"
	"github.com/lethe-cloud/lethe/internal/audit"
	"github.com/lethe-cloud/lethe/internal/driver"
	"github.com/lethe-cloud/lethe/internal/fleet"
	"github.com/lethe-cloud/lethe/internal/fleet/fleettest"
	"github.com/lethe-cloud/lethe/internal/httpapi"
	"github.com/lethe-cloud/lethe/internal/objects"
	"github.com/lethe-cloud/lethe/internal/phone"
)

const (
	projectA = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
	projectB = "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"
)

// pool is what projects may take: one host for everybody, one for another account alone.
var pool = []phone.PoolHost{
	{Name: "rack-7", Driver: "simulated", Endpoint: "sim:///srv/rack-7", ServerModel: "rack.small", Phones: 2, Keypair: "ops"},
	{Name: "rack-8", Driver: "simulated", Endpoint: "sim:///srv/rack-8", ServerModel: "rack.small", Phones: 2, Accounts: []string{"acme"}},
}

var clock = time.Date(2026, 5, 4, 3, 2, 1, 500_000_000, time.UTC)

// fixture is the native API over the real use cases, a fleet in memory and a host that runs programs.
type fixture struct {
	t          *testing.T
	store      *fleettest.Store
	users      *userStore
	host       *host
	reconciler *fleettest.Reconciler
	trail      trail
	api        *httpapi.API
	url        string
	log        *lockedBuffer
	// stopping is closed by a test that stops the process.
	stopping chan struct{}
}

func newFixture(t *testing.T) *fixture {
	t.Helper()
	f := &fixture{
		t: t, store: &fleettest.Store{}, users: &userStore{}, host: &host{}, reconciler: &fleettest.Reconciler{}, log: &lockedBuffer{},
		stopping: make(chan struct{}),
	}
	now := func() time.Time { return clock }
	f.api = httpapi.New(httpapi.Config{
		Fleet: fleet.New(fleet.Config{
			Store: f.store, Hosts: f.host, Reconciler: f.reconciler, Objects: objects.New(objects.Config{Folder: t.TempDir(), Owners: f.store}), Now: now, Pool: pool,
		}),
		Access:       fleet.NewAccess(fleet.AccessConfig{Store: f.users, Now: now}),
		Authenticate: authenticate,
		AuthenticateHead: func(r *http.Request) (account.Caller, string, error) {
			caller, err := authenticate(r, nil)
			return caller, r.Header.Get("X-Sdk-Content-Sha256"), err
		},
		Trail:    fleet.NewAudit(&f.trail),
		Ready:    func(context.Context) error { return nil },
		Stopping: f.stopping,
		Version:  api.Version{Version: "v1.2.3", Revision: "abc", Go: "go1.26"},
		Log:      slog.New(slog.NewJSONHandler(f.log, &slog.HandlerOptions{Level: slog.LevelDebug})),
	})
	server := httptest.NewServer(f.api.Handler())
	t.Cleanup(server.Close)
	f.url = server.URL
	return f
}

// trail is an audit trail that remembers what was asked of it.
type trail struct {
	mu    sync.Mutex
	asked []fleet.AuditFilter
	next  fleet.AuditMark
}

func (t *trail) AuditEvents(_ context.Context, filter fleet.AuditFilter) ([]audit.Event, fleet.AuditMark, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.asked = append(t.asked, filter)
	event := audit.Event{
		Seq: 7, At: clock, Account: "acc", UserName: "root", Trace: audit.ResetCloudPhone, Result: audit.Accepted,
		Changes: []audit.Change{{Phones: []string{"p"}, OldImage: "a", NewImage: "b", OldKeys: []string{"k"}, Result: "running"}},
	}
	return []audit.Event{event}, t.next, nil
}

// authenticate knows callers by their token: "owner" (of the operator's account, with one project), "tenant" (of another account),
// "signed", "wide" (signed, of one with two projects), "domain" (a token of no project) and "user ACTION,ACTION".
func authenticate(r *http.Request, _ []byte) (account.Caller, error) {
	own := account.Project{ID: projectA, Account: "acc"}
	identity := account.Identity{
		User: account.User{ID: "u-1", Account: "acc", Name: "root", Owner: true}, Account: account.Account{ID: "acc", Operator: true}, Projects: []account.Project{own},
	}
	switch kind, actions, _ := strings.Cut(r.Header.Get("X-Auth-Token"), " "); kind {
	case "owner":
		return account.Caller{Identity: identity, Scope: projectA}, nil
	case "tenant":
		identity.Account.Operator = false
		return account.Caller{Identity: identity, Scope: projectA}, nil
	case "signed":
		return account.Caller{Identity: identity, Signed: true}, nil
	case "wide":
		identity.Projects = append(identity.Projects, account.Project{ID: projectB, Account: "acc"})
		return account.Caller{Identity: identity, Signed: true}, nil
	case "domain":
		return account.Caller{Identity: identity}, nil
	case "user":
		identity.User = account.User{ID: "u-2", Account: "acc", Name: "ci", Policies: []account.Policy{{
			Version: "1.1", Statement: []account.Statement{{Effect: account.Allow, Action: strings.Split(actions, ",")}},
		}}}
		return account.Caller{Identity: identity, Scope: projectA}, nil
	}
	return account.Caller{}, phone.Errorf(phone.Unauthenticated, "", "nobody knows this caller")
}

// answer is what came back.
type answer struct {
	status int
	header http.Header
	body   []byte
}

// call sends as the owner, unless header pairs say otherwise.
func (f *fixture) call(method, path, body string, headers ...string) answer {
	f.t.Helper()
	r, err := http.NewRequest(method, f.url+path, strings.NewReader(body))
	if err != nil {
		f.t.Fatal(err)
	}
	r.Header.Set("X-Auth-Token", "owner")
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		f.t.Fatal(err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		f.t.Fatal(err)
	}
	if !phone.ValidID(response.Header.Get("X-Request-Id")) {
		f.t.Errorf("%s %s: X-Request-Id is %q", method, path, response.Header.Get("X-Request-Id"))
	}
	return answer{response.StatusCode, response.Header, text}
}

// into decodes a success.
func into[T any](t *testing.T, a answer) T {
	t.Helper()
	if a.status != http.StatusOK {
		t.Fatalf("status %d: %s", a.status, a.body)
	}
	return decode[T](t, a)
}

// refused decodes an error and checks what all errors have in common.
func refused(t *testing.T, a answer, status int) api.Error {
	t.Helper()
	if a.status != status {
		t.Fatalf("status %d, want %d: %s", a.status, status, a.body)
	}
	e := decode[api.Error](t, a)
	if e.RequestID != a.header.Get("X-Request-Id") || e.Msg == "" || e.Code == "" {
		t.Errorf("not a whole error: %s", a.body)
	}
	return e
}

func decode[T any](t *testing.T, a answer) T {
	t.Helper()
	if got := a.header.Get("Content-Type"); got != "application/json" {
		t.Errorf("Content-Type %q", got)
	}
	var v T
	dec := json.NewDecoder(bytes.NewReader(a.body))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&v); err != nil {
		t.Fatalf("%v in %s", err, a.body)
	}
	return v
}

// host is the driver of every server. It knows three programs.
type host struct {
	mu  sync.Mutex
	ran []driver.Ref
}

func (h *host) Driver(context.Context, phone.Server) (driver.Driver, error) {
	return runner{host: h}, nil
}

// runner is the driver's Info and Exec: nothing else is asked of it.
type runner struct {
	driver.Driver
	host *host
}

func (runner) Info(context.Context) (driver.Info, error) {
	return driver.Info{Driver: "simulated"}, nil
}

func (r runner) Exec(_ context.Context, ref driver.Ref, command driver.Command) (driver.Result, error) {
	r.host.mu.Lock()
	defer r.host.mu.Unlock()
	r.host.ran = append(r.host.ran, ref)
	switch command.Args[0] {
	case "cat":
		out := command.Stdin
		truncated := command.MaxOutput > 0 && len(out) > command.MaxOutput
		if truncated {
			out = out[:command.MaxOutput]
		}
		return driver.Result{Stdout: out, Truncated: truncated}, nil
	case "panic":
		panic("the host burns")
	}
	return driver.Result{ExitCode: 127, Stderr: []byte(command.Args[0] + ": not found\n")}, nil
}

// userStore keeps users in memory; nothing else is asked of it.
type userStore struct {
	fleet.AccessStore
	mu    sync.Mutex
	users []account.User
}

func (s *userStore) AddUser(_ context.Context, user account.User, _ account.AccessKey) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, u := range s.users {
		if u.Account == user.Account && u.Name == user.Name {
			return phone.Errorf(phone.Conflict, phone.ReasonNameTaken, "there is a user %s already", user.Name)
		}
	}
	s.users = append(s.users, user)
	return nil
}

func (s *userStore) Users(_ context.Context, accountID string) ([]account.User, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var own []account.User
	for _, u := range s.users {
		if u.Account == accountID {
			own = append(own, u)
		}
	}
	return own, nil
}

func (s *userStore) User(ctx context.Context, accountID, name string) (fleet.UserDetail, error) {
	users, err := s.Users(ctx, accountID)
	for _, u := range users {
		if u.Name == name {
			return fleet.UserDetail{User: u}, err
		}
	}
	return fleet.UserDetail{}, fleet.NoSuch("user")
}

func (s *userStore) SetPolicies(_ context.Context, accountID, name string, policies []account.Policy) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i, u := range s.users {
		if u.Account == accountID && u.Name == name {
			s.users[i].Policies = policies
			return nil
		}
	}
	return phone.Errorf(phone.NotFound, "", "there is no such user")
}

type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}
