package cph_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/lethe-cloud/lethe/internal/account"
	"github.com/lethe-cloud/lethe/internal/cph"
	"github.com/lethe-cloud/lethe/internal/fleet"
	"github.com/lethe-cloud/lethe/internal/fleet/fleettest"
	"github.com/lethe-cloud/lethe/internal/phone"
)

const (
	project   phone.ProjectID = "11111111111111111111111111111111"
	other     phone.ProjectID = "22222222222222222222222222222222"
	serverID  phone.ServerID  = "88b8449b896f3a4f0ad57222dd919090"
	oldImage  phone.ImageID   = "20032420200401a60b0003a99684b8ea"
	newImage  phone.ImageID   = "1564567b8bab40f34711234cb80d8574" // of the reset page's example
	gameImage phone.ImageID   = "44444444444444444444444444444444"
	theirs    phone.ImageID   = "55555555555555555555555555555555"
	firstID   phone.ID        = "a7f3a1c5258347d6b6f1def79e11f2bc" // of the reset page's example
	unknownID phone.ID        = "1678567b8bab40f93711234cb80d0764" // of the reset page's example
	theirID   phone.ID        = "66666666666666666666666666666666"

	base = "/v1/" + string(project) + "/cloud-phone"
)

var now = time.Date(2026, 1, 2, 3, 4, 5, 678_000_000, time.UTC)

// bundle is the whole wire over the real use cases and a store in memory: a server with one running phone, three images, and
// another project with a phone and an image of its own.
type bundle struct {
	*cph.Handler
	t     *testing.T
	base  string
	store *fleettest.Store
	log   *syncBuffer
}

func newBundle(t *testing.T, change ...func(*cph.Config)) *bundle {
	t.Helper()
	b := &bundle{t: t, base: base, store: &fleettest.Store{}, log: &syncBuffer{}}
	config := cph.Config{
		Fleet:        fleet.New(fleet.Config{Store: b.store, MaxBatch: 5, Now: func() time.Time { return now }}),
		Authenticate: authenticate,
		Logger:       slog.New(slog.NewJSONHandler(b.log, nil)),
		Address:      func(phone.Server) string { return "192.0.2.7" },
	}
	for _, f := range change {
		f(&config)
	}
	b.Handler = cph.New(config)
	b.store.Put(
		phone.Server{
			ID: serverID, Name: "server-1", Project: project, Driver: "simulated", ImageLabel: "cloud_phone", Model: "physical.rx1.xlarge",
			PhoneModel: "rx1.cp.c60.d10.e1v1", Status: phone.ServerNormal, CreatedAt: now, UpdatedAt: now.Add(time.Hour),
		},
		phone.Image{ID: oldImage, Name: "AOSP", Label: "cloud_phone", OSName: "AOSP7.1.1", CreatedAt: now},
		phone.Image{ID: newImage, Name: "AOSP new", Project: project, Label: "cloud_phone", OSName: "AOSP11.0", CreatedAt: now.Add(time.Hour)},
		phone.Image{ID: gameImage, Name: "game", Project: project, Label: "cloud_game", OSName: "AOSP11.0", CreatedAt: now.Add(-time.Hour)},
		phone.Image{ID: theirs, Name: "theirs", Project: other, Label: "cloud_phone"},
		runningPhone(firstID),
		phone.Server{ID: "77777777777777777777777777777777", Project: other, ImageLabel: "cloud_phone", Status: phone.ServerNormal},
		phone.Phone{ID: theirID, Name: "theirs", Project: other, Server: "77777777777777777777777777777777", Status: phone.StatusRunning},
	)
	return b
}

func runningPhone(id phone.ID) phone.Phone {
	return phone.Phone{
		ID: id, Name: "mobile-0001", Project: project, Server: serverID, Model: "rx1.cp.c60.d10.e1v1", Image: oldImage,
		Status: phone.StatusRunning, Generation: 1, LastGeneration: 1, ADBPort: 20001, CreatedAt: now, UpdatedAt: now.Add(time.Hour),
	}
}

// with puts the first phone into another state.
func (b *bundle) with(change func(*phone.Phone)) *bundle {
	p := runningPhone(firstID)
	change(&p)
	b.store.Put(p)
	return b
}

// authenticate knows callers by token: the account's owner, users by their only actions, and some whose calls fail. A signed call
// is the owner's when its signature is the hash of the body.
func authenticate(r *http.Request, body []byte) (account.Caller, error) {
	identity := account.Identity{User: account.User{ID: "owner", Owner: true}, Projects: []account.Project{{ID: string(project)}}}
	if signature := r.Header.Get("Authorization"); signature != "" {
		sum := sha256.Sum256(body)
		if signature != "SDK-HMAC-SHA256 "+hex.EncodeToString(sum[:]) {
			return account.Caller{}, phone.Errorf(phone.Unauthenticated, "", "verify aksk signature fail")
		}
		return account.Caller{Identity: identity, Signed: true}, nil
	}
	token := r.Header.Get("X-Auth-Token")
	switch token {
	case "":
		return account.Caller{}, phone.Errorf(phone.Unauthenticated, "", "x-auth-token not found")
	case "wrong":
		return account.Caller{}, phone.Errorf(phone.Unauthenticated, "", "decrypt token fail")
	case "expired":
		return account.Caller{}, phone.Errorf(phone.Unauthenticated, phone.ReasonTokenExpired, "the token has expired")
	case "guessing":
		return account.Caller{}, phone.Errorf(phone.Exhausted, "", "too many wrong passwords")
	case "no database":
		return account.Caller{}, phone.Errorf(phone.Unavailable, "", "dial tcp 10.0.0.5:5432: connection refused")
	case "broken":
		return account.Caller{}, errors.New("secret of the inside")
	case "owner":
		return account.Caller{Identity: identity, Scope: string(project)}, nil
	case "other": // the owner of another account
		return account.Caller{
			Identity: account.Identity{User: account.User{ID: "other", Owner: true}, Projects: []account.Project{{ID: string(other)}}}, Scope: string(other),
		}, nil
	case "domain":
		return account.Caller{Identity: identity}, nil
	}
	user := account.User{ID: "user", Policies: []account.Policy{{Version: "1.1", Statement: []account.Statement{{Effect: "Allow", Action: strings.Split(token, " ")}}}}}
	return account.Caller{Identity: account.Identity{User: user}, Scope: string(project)}, nil
}

// answer is what came back.
type answer struct {
	status int
	header http.Header
	body   string
}

func (b *bundle) do(method, target, token, body string) answer {
	b.t.Helper()
	r := httptest.NewRequest(method, target, strings.NewReader(body))
	if token != "" {
		r.Header.Set("X-Auth-Token", token)
	}
	return b.send(r)
}

// send checks what every answer must have.
func (b *bundle) send(r *http.Request) answer {
	b.t.Helper()
	w := httptest.NewRecorder()
	b.ServeHTTP(w, r)
	got := answer{status: w.Code, header: w.Header(), body: w.Body.String()}
	var common struct {
		RequestID phone.RequestID `json:"request_id"`
	}
	if err := json.Unmarshal([]byte(got.body), &common); err != nil {
		b.t.Fatalf("%s %s: the answer is no JSON: %q", r.Method, r.URL, got.body)
	}
	if !phone.ValidID(common.RequestID) || got.header.Get("X-Request-Id") != string(common.RequestID) {
		b.t.Errorf("%s %s: request_id %q, X-Request-Id %q", r.Method, r.URL, common.RequestID, got.header.Get("X-Request-Id"))
	}
	if got.header.Get("Content-Type") != "application/json" {
		b.t.Errorf("%s %s: content type %q", r.Method, r.URL, got.header.Get("Content-Type"))
	}
	return got
}

func (b *bundle) get(path string) answer {
	b.t.Helper()
	return b.do("GET", b.base+path, "owner", "")
}

func (b *bundle) reset(body string) answer {
	b.t.Helper()
	return b.do("POST", b.base+"/phones/batch-reset", "owner", body)
}

// refused checks that the answer is this error, with exactly the three fields that errors have.
func (a answer) refused(t *testing.T, status int, code, msg string) {
	t.Helper()
	var got map[string]string
	if err := json.Unmarshal([]byte(a.body), &got); err != nil {
		t.Fatalf("%v: %s", err, a.body)
	}
	if a.status != status || got["error_code"] != code || got["error_msg"] != msg || len(got) != 3 {
		t.Errorf("%d %s\nwant %d %s %q", a.status, a.body, status, code, msg)
	}
}

// jobs gives the elements of a batch's answer.
func (a answer) jobs(t *testing.T) []map[string]string {
	t.Helper()
	var got struct {
		Jobs []map[string]string `json:"jobs"`
	}
	if err := json.Unmarshal([]byte(a.body), &got); err != nil || a.status != http.StatusOK {
		t.Fatalf("%d %s (%v)", a.status, a.body, err)
	}
	return got.Jobs
}

// list gives the elements of a list in an answer.
func (a answer) list(t *testing.T, name string) []map[string]any {
	t.Helper()
	var got map[string]json.RawMessage
	if err := json.Unmarshal([]byte(a.body), &got); err != nil || a.status != http.StatusOK || got[name] == nil {
		t.Fatalf("%d %s (%v)", a.status, a.body, err)
	}
	var all []map[string]any
	if err := json.Unmarshal(got[name], &all); err != nil {
		t.Fatal(err)
	}
	return all
}

// send204 posts what is answered with nothing, and gives the status.
func (b *bundle) send204(target, body string) int {
	b.t.Helper()
	r := httptest.NewRequest("POST", target, strings.NewReader(body))
	r.Header.Set("X-Auth-Token", "owner")
	w := httptest.NewRecorder()
	b.ServeHTTP(w, r)
	if w.Body.Len() > 0 || w.Header().Get("X-Request-Id") == "" || w.Header().Get("Content-Type") != "" {
		b.t.Errorf("POST %s: %v %s", target, w.Header(), w.Body)
	}
	return w.Code
}

// is checks a whole answer, the query's own id aside.
func (a answer) is(t *testing.T, want string) {
	t.Helper()
	var got any
	if err := json.Unmarshal([]byte(a.body), &got); err != nil || a.status != http.StatusOK {
		t.Fatalf("%d %s (%v)", a.status, a.body, err)
	}
	got.(map[string]any)["request_id"] = "ID"
	if diff := diffJSON(t, want, got); diff != "" {
		t.Error(diff)
	}
}

type syncBuffer struct {
	mu sync.Mutex
	bytes.Buffer
}

func (b *syncBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.Buffer.Write(p)
}

func (b *syncBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.Buffer.String()
}

var (
	_ io.Writer = (*syncBuffer)(nil)
	_ cph.Fleet = (*fleet.Service)(nil)
)
