package main

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"regexp"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/lethe-cloud/lethe/api"
	"github.com/lethe-cloud/lethe/internal/account"
	"github.com/lethe-cloud/lethe/internal/config"
	"github.com/lethe-cloud/lethe/internal/iam"
	"github.com/lethe-cloud/lethe/internal/phone"
	"github.com/lethe-cloud/lethe/internal/store"
	"github.com/lethe-cloud/lethe/internal/store/storetest"
)

// estate is a whole application over a database: everything but the listener and the engine's loops.
type estate struct {
	t       *testing.T
	store   *store.Store
	handler http.Handler
	made    *atomic.Int64 // numbers what must have a name of its own

	operator, tenant account.Identity // the owners of two accounts
	tenantKey        account.AccessKey
	project, second  string // the operator's
	theirs           string // the tenant's
	ids              map[string]string

	dead    map[string]string // tokens that are worth nothing, by what befell them
	standby map[string]string // tokens that every operation is called with
}

func newEstate(t *testing.T) *estate {
	t.Helper()
	folder := t.TempDir()
	cfg, err := config.Load(config.Source{Getenv: func(string) string { return "" }, Flags: map[string]string{"data": folder}})
	if err != nil {
		t.Fatal(err)
	}
	logger := slog.New(slog.DiscardHandler)
	path := filepath.Join(folder, "lethe.db")
	storetest.CopySQLite(t, path)
	st, err := store.Open(t.Context(), store.Config{URL: "sqlite:" + path, Keys: storetest.TestKeys(t)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = st.Close() })
	credentials, _, err := iam.Bootstrap(t.Context(), st, iam.Names{})
	if err != nil {
		t.Fatal(err)
	}
	h := newHosts(phone.NewID[string](), filepath.Join(folder, "hosts"), "r", nil, ownBinary, logger)
	e := &estate{t: t, store: st, made: &atomic.Int64{}, project: credentials.ProjectID, ids: map[string]string{}}
	e.handler = assemble(st, h, cfg, installation{Data: folder, Replica: "r"}, logger).handler
	_, e.operator, err = st.AccessKey(t.Context(), credentials.AccessKey)
	if err != nil {
		t.Fatal(err)
	}
	second := account.Project{ID: account.NewID(), Account: e.operator.Account.ID, Name: "local-2"}
	if err := st.AddProject(t.Context(), second); err != nil {
		t.Fatal(err)
	}
	e.second, e.theirs = second.ID, account.NewID()
	e.tenant = account.Identity{
		User: account.User{ID: account.NewID(), Name: "admin", Owner: true}, Account: account.Account{ID: account.NewID(), Name: "tenant"},
		Projects: []account.Project{{ID: e.theirs, Name: "local-1"}},
	}
	e.tenant.User.Account, e.tenant.Projects[0].Account = e.tenant.Account.ID, e.tenant.Account.ID
	e.tenantKey = account.NewAccessKey(e.tenant.User.ID, time.Now())
	if err := st.AddAccount(t.Context(), e.tenant, e.tenantKey); err != nil {
		t.Fatal(err)
	}
	e.furnish()
	return e
}

// in is the estate for a subtest.
func (e *estate) in(t *testing.T) *estate {
	sub := *e
	sub.t = t
	return &sub
}

// furnish makes one of everything that a path can name.
func (e *estate) furnish() {
	owner := e.token(e.operator.User, e.project)
	image := jsonOf[api.Image](e.t, e.must(owner, "POST", "/lethe/v1/images", `{"image_name":"a","reference":"r"}`))
	server := jsonOf[api.AddedServer](e.t, e.must(owner, "POST", "/lethe/v1/servers",
		`{"server_name":"edge","driver":"simulated","phone_count":1,"image_id":"`+image.ImageID+`"}`))
	phones := jsonOf[api.Phones](e.t, e.must(owner, "GET", "/lethe/v1/phones", ""))
	jobs := jsonOf[api.Jobs](e.t, e.must(owner, "GET", "/lethe/v1/jobs", ""))
	e.must(owner, "POST", "/lethe/v1/groups", `{"group_name":"ours"}`)
	user := e.user("ours")
	key := account.NewAccessKey(user.ID, time.Now())
	if err := e.store.AddKey(e.t.Context(), user.Account, user.Name, key); err != nil {
		e.t.Fatal(err)
	}
	e.must(owner, "POST", "/lethe/v1/buckets", `{"bucket_name":"ours"}`)
	e.must(owner, "PUT", "/lethe/v1/buckets/ours/object?key=kept", "kept")
	e.must(owner, "POST", "/lethe/v1/policies", `{"policy_name":"ours","policy":`+emptyHanded+`}`)
	e.ids = map[string]string{
		"project_id": e.project, "phone_id": phones.Phones[0].PhoneID, "server_id": server.Server.ServerID, "job_id": jobs.Jobs[0].JobID,
		"request_id": server.RequestID, "image_id": image.ImageID, "account_name": "tenant", "project_name": "local-2", "user_name": "ours",
		"group_name": "ours", "policy_name": "ours", "bucket_name": "ours", "access_key": key.ID,
		"resource_id": server.Server.ServerID, "member_id": e.theirs, "tag_key": "team", "package_name": "com.example.app", "band_width_id": account.NewID(), "event_id": account.NewID(),
	}
	e.dead = e.deadTokens()
	everybody := e.user("everybody", allow("*"))
	fully, readOnly := e.user("fully"), e.user("read-only")
	for user, policy := range map[string]string{fully.Name: account.CPHFullAccess, readOnly.Name: account.CPHReadOnlyAccess} {
		if err := e.store.Attach(e.t.Context(), fully.Account, account.Attachment{User: user, Policy: policy}); err != nil {
			e.t.Fatal(err)
		}
	}
	e.standby = map[string]string{
		"the owner": owner, "the owner with another project's token": e.token(e.operator.User, e.second), "with no policy": e.token(e.user("nobody"), e.project),
		"with another project's token": e.token(everybody, e.second), "with a domain-scoped token": e.token(everybody, ""),
		"another account's owner": e.token(e.tenant.User, e.theirs), "with CPH FullAccess": e.token(fully, e.project),
		"with CPH ReadOnlyAccess":                  e.token(readOnly, e.project),
		"another account's user with every policy": e.token(e.userOf(e.tenant.Account.ID, "everybody", allow("*")), e.theirs),
	}
}

const emptyHanded = `{"Version":"1.1","Statement":[{"Effect":"Allow","Action":["none:of:these"]}]}`

// user adds a user to the operator's account, with policies of its own.
func (e *estate) user(name string, policies ...account.Policy) account.User {
	e.t.Helper()
	return e.userOf(e.operator.Account.ID, name, policies...)
}

func (e *estate) userOf(accountID, name string, policies ...account.Policy) account.User {
	e.t.Helper()
	user := account.User{ID: account.NewID(), Account: accountID, Name: name, PasswordHash: account.DecoyHash(), Policies: policies, CreatedAt: time.Now()}
	if err := e.store.AddUser(e.t.Context(), user, account.AccessKey{}); err != nil {
		e.t.Fatal(err)
	}
	return user
}

// fresh is user under a name that no other has, until the test ends.
func (e *estate) fresh(policies ...account.Policy) account.User {
	e.t.Helper()
	user := e.user(fmt.Sprintf("user-%d", e.made.Add(1)), policies...)
	e.cleanup(func(ctx context.Context) error {
		if err := e.store.DeleteUser(ctx, user.Account, user.Name); phone.CodeOf(err) != phone.NotFound {
			return err
		}
		return nil // the test deleted it
	})
	return user
}

// cleanup takes something away when the test ends: an account has quotas.
func (e *estate) cleanup(remove func(ctx context.Context) error) {
	e.t.Cleanup(func() {
		if err := remove(context.WithoutCancel(e.t.Context())); err != nil {
			e.t.Error(err)
		}
	})
}

// token issues a token as a login does. The user's epoch is read anew: it may have changed since.
func (e *estate) token(user account.User, project string) string {
	e.t.Helper()
	who, err := e.store.UserByID(e.t.Context(), user.ID)
	if err != nil {
		e.t.Fatal(err)
	}
	return e.tokenUntil(who.User, project, time.Hour)
}

func (e *estate) tokenUntil(user account.User, project string, lifetime time.Duration) string {
	e.t.Helper()
	text, token := account.NewToken(user, project, time.Now(), lifetime)
	if err := e.store.InsertToken(e.t.Context(), token); err != nil {
		e.t.Fatal(err)
	}
	return text
}

// reply is what came back, without what differs from call to call.
type reply struct {
	status int
	body   string
}

var anyRequestID = regexp.MustCompile(`"request_id":"[0-9a-f]{32}"`)

func (e *estate) call(token, method, path, body string) reply {
	r := httptest.NewRequest(method, path, strings.NewReader(body))
	if token != "" {
		r.Header.Set("X-Auth-Token", token)
	}
	return e.send(r)
}

func (e *estate) send(r *http.Request) reply {
	w := httptest.NewRecorder()
	e.handler.ServeHTTP(w, r)
	return reply{w.Code, strings.TrimSpace(anyRequestID.ReplaceAllString(w.Body.String(), `"request_id":"ID"`))}
}

// must makes a call that has to succeed.
func (e *estate) must(token, method, path, body string) ran {
	e.t.Helper()
	r := httptest.NewRequest(method, path, strings.NewReader(body))
	r.Header.Set("X-Auth-Token", token)
	w := httptest.NewRecorder()
	e.handler.ServeHTTP(w, r)
	if w.Code != http.StatusOK {
		e.t.Fatalf("%s %s: %d %s", method, path, w.Code, w.Body)
	}
	return ran{stdout: w.Body.String()}
}

// deadTokens makes tokens that are worth nothing, of users who might do all.
func (e *estate) deadTokens() map[string]string {
	e.t.Helper()
	ctx, id, all := e.t.Context(), e.operator.Account.ID, allow("*")
	tokens := map[string]string{"no token": "", "no such token": strings.Repeat("x", 64)}
	tokens["expired"] = e.tokenUntil(e.user("expired", all), e.project, -time.Second)
	key := account.NewAccessKey("", time.Now())
	granted := account.Attachment{User: "ungranted", Policy: account.CPHFullAccess}
	for name, revoke := range map[string]func() error{
		"deleted":      func() error { return e.store.DeleteUser(ctx, id, "deleted") },
		"disabled":     func() error { return e.store.SetUserDisabled(ctx, id, "disabled", true) },
		"enabled":      func() error { return e.store.SetUserDisabled(ctx, id, "enabled", false) }, // once more
		"repassworded": func() error { return e.store.SetPassword(ctx, id, "repassworded", account.DecoyHash()) },
		"regranted":    func() error { return e.store.SetPolicies(ctx, id, "regranted", []account.Policy{all}) },
		"rekeyed":      func() error { return e.store.DeleteKey(ctx, id, "rekeyed", key.ID) },
		"grouped":      func() error { return e.store.SetMember(ctx, id, "ours", "grouped", true) },
		"ungranted":    func() error { return e.store.Detach(ctx, id, granted) },
	} {
		user := e.user(name, all)
		switch name {
		case "rekeyed":
			if err := e.store.AddKey(ctx, id, name, key); err != nil {
				e.t.Fatal(err)
			}
		case "ungranted":
			if err := e.store.Attach(ctx, id, granted); err != nil {
				e.t.Fatal(err)
			}
		}
		tokens["from before the user was "+name] = e.token(user, e.project)
		if r := e.call(tokens["from before the user was "+name], "GET", "/v3/auth/domains", ""); r.status != http.StatusOK {
			e.t.Fatalf("%s: %d %s", name, r.status, r.body)
		}
		if err := revoke(); err != nil {
			e.t.Fatal(err)
		}
	}
	return tokens
}
