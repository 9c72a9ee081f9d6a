package main

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/lethe-cloud/lethe/api"
	"github.com/lethe-cloud/lethe/internal/account"
	"github.com/lethe-cloud/lethe/internal/fleet"
)

// What another account has is answered, in one's own project, exactly like what does not exist.
func TestAccountsSeeNothingOfEachOther(t *testing.T) {
	t.Parallel()
	e := newEstate(t)
	token := e.token(e.tenant.User, e.theirs)
	for _, op := range operations(t) {
		permission, _ := fleet.PermissionOf(op.action)
		if op.action == "" || permission.Scope == fleet.ScopeInstallation || strings.HasPrefix(op.pattern, "POST") && !strings.Contains(op.pattern, "_id}/") {
			continue // POST makes something, under a name that another account may have too
		}
		there, gone := e.asTenant(token, op, true), e.asTenant(token, op, false)
		if there != gone {
			t.Errorf("%s: what another account has is answered with %v, what nobody has with %v", op.pattern, there, gone)
		}
	}
	lists := map[string]string{
		"/lethe/v1/projects": e.operator.Projects[0].ID, "/lethe/v1/users": e.operator.User.ID, "/lethe/v1/groups": "ours", "/lethe/v1/policies": "ours",
		"/v3/projects": e.operator.Projects[0].ID, "/v3/auth/projects": e.operator.Projects[0].ID, "/v3/auth/domains": e.operator.Account.ID,
		"/lethe/v1/phones": e.ids["phone_id"], "/lethe/v1/servers": e.ids["server_id"], "/lethe/v1/images": e.ids["image_id"], "/lethe/v1/jobs": e.ids["job_id"],
	}
	for path, secret := range lists {
		if r := e.call(token, "GET", path, ""); r.status != http.StatusOK || strings.Contains(r.body, secret) {
			t.Errorf("%s: %d %s, which must not have %s", path, r.status, r.body, secret)
		}
		own := e.token(e.operator.User, e.project)
		if r := e.call(own, "GET", path, ""); !strings.Contains(r.body, secret) {
			t.Errorf("%s of the account itself: %s, which must have %s", path, r.body, secret)
		}
	}
}

// written is what fill writes.
var written = regexp.MustCompile(`\b([0-9a-f]{32}|ours|missing)\b`)

// asTenant makes the operation's call on the tenant's own project, with what the operator's account has or with what nobody has.
func (e *estate) asTenant(token string, op operation, existing bool) reply {
	method, path, body := e.fill(op, e.theirs, existing)
	r := httptest.NewRequest(method, path, strings.NewReader(body))
	r.Header.Set("X-Auth-Token", token)
	r.Header.Set("X-Project-Id", e.theirs)
	got := e.send(r)
	got.body = written.ReplaceAllString(got.body, "WRITTEN") // a refusal may repeat what the caller wrote
	return got
}

// Users of several accounts log in by account and name; a token's scope is a project of their own account, whatever may be done there.
func TestLoginsOfSeveralAccounts(t *testing.T) {
	t.Parallel()
	e := newEstate(t)
	ctx := t.Context()
	e.user("ann") // may do nothing
	e.userOf(e.tenant.Account.ID, "ann")
	for id, password := range map[string]string{e.operator.Account.ID: "password of one", e.tenant.Account.ID: "password of two"} {
		if err := e.store.SetPassword(ctx, id, "ann", account.HashPassword(password)); err != nil {
			t.Fatal(err)
		}
	}
	login := func(domain, password, scope string) reply {
		return e.call("", "POST", "/v3/auth/tokens", `{"auth":{"identity":{"methods":["password"],"password":{"user":{"name":"ann","password":"`+password+
			`","domain":{"name":"`+domain+`"}}}},"scope":`+scope+`}}`)
	}
	named := func(name string) string { return `{"project":{"name":"` + name + `"}}` }
	byID := func(id string) string { return `{"project":{"id":"` + id + `"}}` }
	for name, tt := range map[string]struct {
		domain, password, scope string
		status                  int
		has                     string
	}{
		"one account":                     {"lethe", "password of one", named("local-1"), 201, e.project},
		"the other":                       {"tenant", "password of two", named("local-1"), 201, e.theirs},
		"by id":                           {"tenant", "password of two", byID(e.theirs), 201, e.theirs},
		"the account":                     {"tenant", "password of two", `{"domain":{"name":"tenant"}}`, 201, e.tenant.Account.ID},
		"the other's password":            {"lethe", "password of two", named("local-1"), 401, "wrong"},
		"an account that nobody has":      {"nobody", "password of one", named("local-1"), 401, "wrong"},
		"the other account's project":     {"tenant", "password of two", byID(e.project), 404, "Could not find project: " + e.project},
		"a project that nobody has":       {"tenant", "password of two", byID("nothing"), 404, "Could not find project: nothing"},
		"a project that only one has":     {"tenant", "password of two", named("local-2"), 404, "Could not find project: local-2"},
		"the other account itself":        {"tenant", "password of two", `{"domain":{"name":"lethe"}}`, 404, "Could not find domain: lethe"},
		"a second project, with no grant": {"lethe", "password of one", named("local-2"), 201, `"roles":[]`},
	} {
		if r := login(tt.domain, tt.password, tt.scope); r.status != tt.status || !strings.Contains(r.body, tt.has) {
			t.Errorf("%s: %d %s, want %d with %q", name, r.status, r.body, tt.status, tt.has)
		}
	}
	if err := e.store.SetUserDisabled(ctx, e.operator.Account.ID, "ann", true); err != nil {
		t.Fatal(err)
	}
	if a, b := login("lethe", "password of one", named("local-1")), login("nobody", "password of one", named("local-1")); a != b || a.status != 401 {
		t.Errorf("a disabled user is answered with %v, nobody with %v", a, b)
	}
}

// TestAccessCommands goes the way of an operator and a tenant, with the commands alone.
func TestAccessCommands(t *testing.T) {
	t.Parallel()
	e := newEstate(t)
	server := httptest.NewServer(e.handler)
	t.Cleanup(server.Close)
	folder := t.TempDir()
	key := account.NewAccessKey("", e.operator.User.CreatedAt)
	if err := e.store.AddKey(t.Context(), e.operator.Account.ID, "admin", key); err != nil {
		t.Fatal(err)
	}
	at := func(name string) string { return filepath.Join(folder, name) }
	operator := writeFile(t, "operator.json", fmt.Sprintf(`{"endpoint":%q,"access_key":%q,"secret_key":%q,"project_id":%q}`, server.URL, key.ID, key.Secret, e.project))
	as := func(credentials, stdin, line string) ran {
		t.Helper()
		args := strings.Split(line, "|")
		if len(args) == 1 {
			args = strings.Fields(line)
		}
		return runCommand(t.Context(), func(string) string { return "" }, stdin, append(args, "--credentials", credentials)...)
	}
	ok := func(line string, parts ...string) {
		t.Helper()
		r := as(operator, "", line).must(t, 0)
		contains(t, r.stdout+r.stderr, parts...)
	}
	refused := func(code int, line string, parts ...string) {
		t.Helper()
		contains(t, as(operator, "", line).must(t, code).stderr, parts...)
	}

	ok("account add acme --owner boss --project west --save "+at("acme.json"), "acme", "west", "boss", "credentials of user boss")
	if info, err := os.Stat(at("acme.json")); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the credentials file: %v, %v", info, err)
	}
	refused(2, "account add later --save "+at("acme.json"), "there already")
	refused(1, "account add acme", "taken")
	refused(1, "account show later", "no such account")
	ok("account show acme", "west")
	ok("account list", "acme", "lethe", "tenant")
	contains(t, as(at("acme.json"), "", "project list").must(t, 0).stdout, "west")
	contains(t, as(at("acme.json"), "", "account list").must(t, 1).stderr, "first account")
	addServer := "server add --name s --driver simulated --phones 1 --image "
	contains(t, as(at("acme.json"), "", "image add --name i --reference r").must(t, 0).stdout, "i")
	contains(t, as(at("acme.json"), "", addServer+"i").must(t, 1).stderr, "operator can let it")
	ok("account set acme --own-hosts", "may add servers")
	contains(t, as(at("acme.json"), "", "server list").must(t, 0).stdout, "SERVER ID")
	ok("account set acme --no-own-hosts", "no servers")
	refused(1, "account set nobody --own-hosts", "no such account")
	refused(2, "account set acme", "exactly one")
	contains(t, as(at("acme.json"), "", "user list").must(t, 0).stdout, "boss", "all (the account itself)")

	ok("project add east", "east")
	ok("project set east --name north", "north")
	refused(1, "project set local-1 --name north", "taken")
	refused(2, "project add not/good", "project_name")
	refused(1, "project delete local-1", "servers, phones or buckets")

	ok("user add ci --save "+at("ci.json"), "credentials of user ci")
	contains(t, as(at("ci.json"), "", "phone list").must(t, 1).stderr, "no permission")
	ok("policy add lister --allow cph:phones:list", "allow cph:phones:list")
	refused(1, "policy|add|cph fullACCESS|--allow|*", "system policy")
	refused(2, "policy add none", "one policy")
	conditional := writeFile(t, "p.json", `{"Name":"named","Version":"1.1","Statement":[{"Effect":"Allow","Action":["cph:phones:list"],"Condition":{"StringEquals":{"g:ProjectName":"north"}}}]}`)
	ok("policy add named --policy "+conditional, "if g:ProjectName StringEquals north")
	refused(2, "policy add other --policy "+conditional, `"named"`)
	ok("policy attach named --user ci", "named")
	contains(t, as(at("ci.json"), "", "phone list").must(t, 1).stderr, "no permission") // it is in local-1
	ok("policy set named --allow cph:phones:list", "named")
	as(at("ci.json"), "", "phone list").must(t, 0)
	ok("policy detach named --user ci", "detached")
	refused(1, "policy detach named --user ci", "no such grant")
	contains(t, as(at("ci.json"), "", "phone list").must(t, 1).stderr, "no permission")
	ok("policy delete named")

	ok("group add testers", "testers")
	ok("group set testers --add-user ci")
	ok("policy attach lister --group testers --project local-1", "local-1")
	as(at("ci.json"), "", "phone list").must(t, 0)
	ok("group show testers", "ci", "lister, in project local-1")
	ok("user show ci", "lister, in project local-1, by group testers")
	refused(1, "policy delete lister", "attached")
	refused(1, "group set testers --add-user admin", "owns the account")
	refused(2, "group set testers", "--add-user")
	refused(2, "policy attach lister", "--user")
	refused(1, "policy attach lister --group nobody", "no such group")
	ok("group set testers --remove-user ci")
	contains(t, as(at("ci.json"), "", "phone list").must(t, 1).stderr, "no permission")
	ok("group delete testers")
	ok("policy list", account.CPHFullAccess, account.CPHReadOnlyAccess, "lister")
	ok("policy show lister", "cph:phones:list")
	ok("policy delete lister")

	ok("key add ci --save "+at("ci2.json"), "credentials of user ci")
	refused(1, "key add ci", "delete one first")
	keys := jsonOf[[]api.AccessKey](t, as(operator, "", "key list ci -o json").must(t, 0))
	if len(keys) != 2 {
		t.Fatalf("keys %+v", keys)
	}
	ok("policy|attach|CPH ReadOnlyAccess|--user|ci")
	as(at("ci.json"), "", "phone list").must(t, 0)
	ok("key set ci " + keys[0].AccessKey + " --disable")
	contains(t, as(at("ci.json"), "", "phone list").must(t, 1).stderr, "signature")
	as(at("ci2.json"), "", "phone list").must(t, 0)
	ok("key delete ci " + keys[0].AccessKey)
	refused(1, "key delete ci "+keys[0].AccessKey, "no such access key")
	refused(2, "key set ci x", "exactly one")

	r := jsonOf[api.Password](t, as(operator, "", "user set ci --reset-password -o json").must(t, 0))
	contains(t, as(at("ci2.json"), r.Password+"\nanother password\n", "user password").must(t, 0).stderr, "changed")
	contains(t, as(at("ci2.json"), r.Password+"\nanother password\n", "user password").must(t, 1).stderr, "original_password")
	contains(t, as(at("ci2.json"), "one line\n", "user password").must(t, 2).stderr, "2 line(s)")
	contains(t, as(operator, "short\n", "user set ci --password-stdin").must(t, 2).stderr, "8 to")
	ok("user set ci --disable")
	contains(t, as(at("ci2.json"), "", "phone list").must(t, 1).stderr, "signature")
	ok("user set ci --enable")
	as(at("ci2.json"), "", "phone list").must(t, 0)
	refused(1, "user set admin --disable", "owns the account")
	refused(1, "user delete admin", "owns the account")
	ok("user delete ci")
	contains(t, as(at("ci2.json"), "", "phone list").must(t, 1).stderr, "signature")

	ok("project delete north")
	ok("account delete acme")
	contains(t, as(at("acme.json"), "", "project list").must(t, 1).stderr, "signature")
	refused(1, "account delete lethe", "operates")
}
