package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/lethe-cloud/lethe/api"
	"github.com/lethe-cloud/lethe/internal/account"
	"github.com/lethe-cloud/lethe/internal/config"
	"github.com/lethe-cloud/lethe/internal/cph"
	"github.com/lethe-cloud/lethe/internal/fleet"
	"github.com/lethe-cloud/lethe/internal/httpapi"
	"github.com/lethe-cloud/lethe/internal/iam"
	"github.com/lethe-cloud/lethe/internal/phone"
	"github.com/lethe-cloud/lethe/internal/signature"
	"github.com/lethe-cloud/lethe/internal/store"
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
	st, err := store.Open(t.Context(), store.Config{URL: "sqlite:" + filepath.Join(folder, "lethe.db")})
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
	e.must(owner, "POST", "/lethe/v1/policies", `{"policy_name":"ours","policy":`+emptyHanded+`}`)
	e.ids = map[string]string{
		"project_id": e.project, "phone_id": phones.Phones[0].PhoneID, "server_id": server.Server.ServerID, "job_id": jobs.Jobs[0].JobID,
		"request_id": server.RequestID, "image_id": image.ImageID, "account_name": "tenant", "project_name": "local-2", "user_name": "ours",
		"group_name": "ours", "policy_name": "ours", "access_key": key.ID,
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

// operation is one call of one route.
type operation struct {
	pattern    string
	action, or fleet.Action
	sample
}

// sample is how a route is called: what changes something for good names what is not there, so that it can be called again.
type sample struct {
	query, body string
	missing     bool           // what the path names
	owner       int            // the owner's answer; 0 means 200
	also        []fleet.Action // what this call needs besides
}

// samples has one line for each route at least, and a further one for each case in which an action depends on another.
var samples = map[string][]sample{
	"POST /v1/{project_id}/cloud-phone/phones/batch-reset": {
		{body: `{"phones":[{"phone_id":"PHONE"}]}`},
		{body: `{"image_id":"IMAGE","phones":[{"phone_id":"PHONE"}]}`, also: []fleet.Action{fleet.ActionImagesGet}},
	},
	"GET /v1/{project_id}/cloud-phone/phones":              {{}},
	"GET /v1/{project_id}/cloud-phone/phones/{phone_id}":   {{}},
	"GET /v1/{project_id}/cloud-phone/servers":             {{}},
	"GET /v1/{project_id}/cloud-phone/servers/{server_id}": {{}},
	"GET /v1/{project_id}/cloud-phone/phone-images":        {{}},
	"GET /v1/{project_id}/cloud-phone/jobs":                {{query: "request_id=REQUEST"}},
	"GET /v1/{project_id}/cloud-phone/jobs/{job_id}":       {{}},

	"POST /lethe/v1/servers":                       {{body: `{"server_name":"s-NEW","driver":"simulated","phone_count":1,"image_id":"IMAGE"}`}},
	"GET /lethe/v1/servers":                        {{}},
	"GET /lethe/v1/servers/{server_id}":            {{}},
	"GET /lethe/v1/servers/{server_id}/drift":      {{}},
	"POST /lethe/v1/servers/{server_id}/reconcile": {{body: `{"apply":false}`}},
	"POST /lethe/v1/images":                        {{body: `{"image_name":"i-NEW","reference":"r"}`}},
	"GET /lethe/v1/images":                         {{}},
	"GET /lethe/v1/phones":                         {{}},
	"GET /lethe/v1/phones/{phone_id}":              {{}},
	"POST /lethe/v1/phones/{phone_id}/exec":        {{body: `{"args":["id"]}`, owner: 409}},
	"GET /lethe/v1/jobs":                           {{}},
	"GET /lethe/v1/jobs/{job_id}":                  {{}},
	"POST /lethe/v1/jobs/{job_id}/cancel":          {{missing: true, owner: 404}},
	"GET /lethe/v1/requests/{request_id}":          {{}},
	"POST /lethe/v1/requests/{request_id}/cancel":  {{missing: true, owner: 404}},
	"POST /lethe/v1/requests/{request_id}/retry":   {{owner: 409}},
	"GET /lethe/v1/replicas":                       {{}},

	"POST /lethe/v1/accounts":                  {{body: `{"account_name":"a-NEW"}`}},
	"GET /lethe/v1/accounts":                   {{}},
	"GET /lethe/v1/accounts/{account_name}":    {{}},
	"PUT /lethe/v1/accounts/{account_name}":    {{body: `{"own_hosts":false}`}},
	"DELETE /lethe/v1/accounts/{account_name}": {{missing: true, owner: 404}},
	"POST /lethe/v1/projects":                  {{body: `{"project_name":"p-NEW"}`}},
	"GET /lethe/v1/projects":                   {{}},
	"PUT /lethe/v1/projects/{project_name}":    {{body: `{"project_name":"local-2"}`}}, // its own name
	"DELETE /lethe/v1/projects/{project_name}": {{missing: true, owner: 404}},

	"POST /lethe/v1/users": {
		{body: `{"user_name":"u-NEW"}`},
		{body: `{"user_name":"u-NEW","policies":[` + emptyHanded + `]}`, also: []fleet.Action{fleet.ActionUsersGrant}},
	},
	"GET /lethe/v1/users":                                  {{}},
	"GET /lethe/v1/users/{user_name}":                      {{}},
	"PUT /lethe/v1/users/{user_name}":                      {{body: `{"enabled":true}`}},
	"DELETE /lethe/v1/users/{user_name}":                   {{missing: true, owner: 404}},
	"PUT /lethe/v1/users/{user_name}/policies":             {{body: `{"policies":[]}`}},
	"PUT /lethe/v1/users/{user_name}/password":             {{body: `{}`}},
	"PUT /lethe/v1/password":                               {{body: `{"original_password":"x","password":"short"}`, owner: 400}},
	"POST /lethe/v1/users/{user_name}/keys":                {{missing: true, owner: 404}},
	"GET /lethe/v1/users/{user_name}/keys":                 {{}},
	"PUT /lethe/v1/users/{user_name}/keys/{access_key}":    {{body: `{"enabled":true}`}},
	"DELETE /lethe/v1/users/{user_name}/keys/{access_key}": {{missing: true, owner: 404}},

	"POST /lethe/v1/groups":                                     {{body: `{"group_name":"g-NEW"}`}},
	"GET /lethe/v1/groups":                                      {{}},
	"GET /lethe/v1/groups/{group_name}":                         {{}},
	"DELETE /lethe/v1/groups/{group_name}":                      {{missing: true, owner: 404}},
	"PUT /lethe/v1/groups/{group_name}/users/{user_name}":       {{}},
	"DELETE /lethe/v1/groups/{group_name}/users/{user_name}":    {{}},
	"POST /lethe/v1/policies":                                   {{body: `{"policy_name":"p-NEW","policy":` + emptyHanded + `}`}},
	"GET /lethe/v1/policies":                                    {{}},
	"GET /lethe/v1/policies/{policy_name}":                      {{}},
	"PUT /lethe/v1/policies/{policy_name}":                      {{body: `{"policy":` + emptyHanded + `}`}},
	"DELETE /lethe/v1/policies/{policy_name}":                   {{missing: true, owner: 404}},
	"PUT /lethe/v1/users/{user_name}/grants/{policy_name}":      {{}},
	"DELETE /lethe/v1/users/{user_name}/grants/{policy_name}":   {{missing: true, owner: 404}},
	"PUT /lethe/v1/groups/{group_name}/grants/{policy_name}":    {{query: "project_name=local-2"}},
	"DELETE /lethe/v1/groups/{group_name}/grants/{policy_name}": {{missing: true, owner: 404}},
}

// operations gives every call of every route that asks who is calling. A route without a sample fails the test.
func operations(t *testing.T) []operation {
	t.Helper()
	var all []operation
	add := func(pattern string, action, or fleet.Action) {
		if len(samples[pattern]) == 0 {
			t.Errorf("the route %s has no sample", pattern)
		}
		for _, s := range samples[pattern] {
			all = append(all, operation{pattern, action, or, s})
		}
	}
	for _, op := range cph.Operations() {
		add(op.Pattern, op.Action, "")
	}
	for _, op := range httpapi.Operations() {
		if !op.Open {
			add(op.Pattern, op.Action, op.Or)
		}
	}
	return all
}

// fill makes a path and a body of an operation; existing says whether they name what is there.
func (e *estate) fill(op operation, project string, existing bool) (method, path, body string) {
	method, path, _ = strings.Cut(op.pattern, " ")
	named := func(kind string) string {
		if existing {
			return e.ids[kind]
		}
		if strings.HasSuffix(kind, "_id") {
			return account.NewID()
		}
		return "missing"
	}
	path = strings.ReplaceAll(path, "{project_id}", project)
	for kind := range e.ids {
		path = strings.ReplaceAll(path, "{"+kind+"}", named(kind))
	}
	replace := strings.NewReplacer("PHONE", named("phone_id"), "IMAGE", named("image_id"), "REQUEST", named("request_id"),
		"NEW", fmt.Sprint(e.made.Add(1)))
	if op.query != "" {
		path += "?" + replace.Replace(op.query)
	}
	return method, path, replace.Replace(op.body)
}

// as makes the operation's call on the operator's project.
func (e *estate) as(token string, op operation) reply {
	method, path, body := e.fill(op, e.project, !op.missing)
	r := httptest.NewRequest(method, path, strings.NewReader(body))
	r.Header.Set("X-Auth-Token", token)
	r.Header.Set("X-Project-Id", e.project)
	return e.send(r)
}

func (op operation) needs() []string {
	all := []string{string(op.action)}
	for _, a := range op.also {
		all = append(all, string(a))
	}
	return all
}

func allow(actions ...string) account.Policy {
	return account.Policy{Version: "1.1", Statement: []account.Statement{{Effect: account.Allow, Action: actions}}}
}

// refusal says what a refused call must be answered with, whatever it was about.
func (op operation) refusal(t *testing.T, r reply) {
	t.Helper()
	want := `"error_code":"forbidden"`
	if strings.Contains(op.pattern, "/v1/{project_id}/") {
		want = `{"request_id":"ID","error_code":"CPS.0001","error_msg":"No permission to request resources."}`
	}
	if r.status != http.StatusForbidden || !strings.Contains(r.body, want) {
		t.Errorf("%d %s, want 403 with %s", r.status, r.body, want)
	}
}

// TestPermissionMatrix calls every operation as everybody who may and as everybody who may not.
func TestPermissionMatrix(t *testing.T) {
	t.Parallel()
	whole := newEstate(t)
	for _, op := range operations(t) {
		if op.owner == 0 {
			op.owner = http.StatusOK
		}
		t.Run(strings.ReplaceAll(op.pattern, "/", "|")+fmt.Sprint(op.also), func(t *testing.T) {
			e := whole.in(t)
			e.allowed(op)
			if op.action != "" {
				e.refused(op)
			}
			e.unknown(op)
		})
	}
}

// allowed calls as everybody who may.
func (e *estate) allowed(op operation) {
	t := e.t
	permission, _ := fleet.PermissionOf(op.action)
	inProject := permission.Scope == fleet.ScopeProject
	tokens := map[string]string{
		"the owner":                      e.standby["the owner"],
		"a user with exactly the policy": e.token(e.fresh(allow(op.needs()...)), e.project),
		"a user with it by a condition":  e.token(e.fresh(onProject(op, inProject)), e.project),
		"a user with it by a group":      e.token(e.member(op, ""), e.project),
	}
	if op.or != "" {
		tokens["a user with the other action"] = e.token(e.fresh(allow(string(op.or))), e.project)
	}
	if inProject {
		tokens["a user with it on the project"] = e.token(e.member(op, "local-1"), e.project)
		if strings.HasPrefix(string(op.action), "cph:") {
			tokens["a user with CPH FullAccess"] = e.standby["with CPH FullAccess"]
		}
		if permission.Reads {
			tokens["a user with CPH ReadOnlyAccess"] = e.standby["with CPH ReadOnlyAccess"]
		}
	} else {
		tokens["with a domain-scoped token"] = e.token(e.fresh(allow(op.needs()...)), "")
		tokens["with another project's token"] = e.token(e.fresh(allow(op.needs()...)), e.second)
	}
	for who, token := range tokens {
		if r := e.as(token, op); r.status != op.owner {
			t.Errorf("%s: %d %s, want %d", who, r.status, r.body, op.owner)
		}
	}
}

// onProject is the operation's policy with a condition that holds for it.
func onProject(op operation, inProject bool) account.Policy {
	p := allow(op.needs()...)
	p.Statement[0].Condition = account.Condition{"StringEquals": {account.KeyDomainName: {"lethe"}}}
	if inProject {
		p.Statement[0].Condition["StringStartWith"] = map[string][]string{account.KeyProjectName: {"local-1"}}
	}
	return p
}

// member is a user who has the operation's policy by a group: in one project, or in all the account.
func (e *estate) member(op operation, project string) account.User {
	e.t.Helper()
	user, name := e.fresh(), fmt.Sprintf("name-%d", e.made.Add(1))
	policy := allow(op.needs()...)
	policy.Name = name
	ctx, id := e.t.Context(), e.operator.Account.ID
	for _, err := range []error{
		e.store.AddGroup(ctx, account.Group{ID: account.NewID(), Account: id, Name: name}),
		e.store.SetMember(ctx, id, name, user.Name, true),
		e.store.AddPolicy(ctx, account.NamedPolicy{ID: account.NewID(), Account: id, Policy: policy}),
		e.store.Attach(ctx, id, account.Attachment{Group: name, Policy: name, Project: project}),
	} {
		if err != nil {
			e.t.Fatal(err)
		}
	}
	e.cleanup(func(ctx context.Context) error {
		return errors.Join(e.store.DeleteGroup(ctx, id, name), e.store.DeletePolicy(ctx, id, name))
	})
	return user
}

// refused calls as everybody whom we know and who may not, and holds that the answer tells nothing of what is there.
func (e *estate) refused(op operation) {
	t := e.t
	permission, _ := fleet.PermissionOf(op.action)
	var others []string
	for _, a := range fleet.Actions() {
		if a != op.action && a != op.or {
			others = append(others, string(a))
		}
	}
	denied := account.Policy{Version: "1.1", Statement: []account.Statement{{Effect: account.Deny, Action: []string{strings.ToUpper(string(op.action))}}}}
	if op.or != "" {
		denied.Statement[0].Action = append(denied.Statement[0].Action, string(op.or))
	}
	tokens := map[string]string{
		"with every other policy":  e.token(e.fresh(allow(others...)), e.project),
		"with no policy":           e.standby["with no policy"],
		"with the policy denied":   e.token(e.fresh(allow("*"), denied), e.project),
		"with it in another place": e.token(e.member(op, "local-2"), e.project),
	}
	for _, missing := range op.also {
		others := slices.DeleteFunc(op.needs(), func(a string) bool { return a == string(missing) })
		tokens["without "+string(missing)] = e.token(e.fresh(allow(others...)), e.project)
	}
	elsewhere := allow(op.needs()...)
	elsewhere.Statement[0].Condition = account.Condition{"StringEquals": {account.KeyProjectName: {"local-2"}}}
	tokens["with a condition that does not hold"] = e.token(e.fresh(elsewhere), e.project)
	besides := map[fleet.Scope][]string{
		fleet.ScopeProject: {
			"with another project's token", "the owner with another project's token", "with a domain-scoped token", "another account's owner",
			"another account's user with every policy", "with CPH ReadOnlyAccess",
		},
		fleet.ScopeAccount:      {"with CPH FullAccess"},
		fleet.ScopeInstallation: {"with CPH FullAccess", "another account's owner", "another account's user with every policy"},
	}
	for _, who := range besides[permission.Scope] {
		tokens[who] = e.standby[who]
	}
	if permission.Reads && permission.Scope == fleet.ScopeProject {
		delete(tokens, "with CPH ReadOnlyAccess")
	}
	for who, token := range tokens {
		t.Run(who, func(t *testing.T) {
			op.refusal(t, e.as(token, op))
			there, gone := op, op
			there.missing, gone.missing = false, true
			if a, b := e.as(token, there), e.as(token, gone); a != b {
				t.Errorf("what is there is answered with %v, what is not with %v", a, b)
			}
		})
	}
	if permission.Scope == fleet.ScopeProject {
		e.signedByTenant(op)
	}
}

// signedByTenant signs the call with a key of another account.
func (e *estate) signedByTenant(op operation) {
	method, path, body := e.fill(op, e.project, !op.missing)
	r := httptest.NewRequest(method, path, strings.NewReader(body))
	r.Header.Set("X-Project-Id", e.project)
	signature.Sign(r, []byte(body), signature.Key{ID: e.tenantKey.ID, Secret: e.tenantKey.Secret}, time.Now())
	r.Body = io.NopCloser(strings.NewReader(body))
	op.refusal(e.t, e.send(r))
}

// unknown calls as everybody whose token is worth nothing any more.
func (e *estate) unknown(op operation) {
	for who, token := range e.dead {
		if r := e.as(token, op); r.status != http.StatusUnauthorized {
			e.t.Errorf("%s: %d %s, want 401", who, r.status, r.body)
		}
	}
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
