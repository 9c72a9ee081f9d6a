package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/lethe-cloud/lethe/internal/account"
	"github.com/lethe-cloud/lethe/internal/audit"
	"github.com/lethe-cloud/lethe/internal/cph"
	"github.com/lethe-cloud/lethe/internal/fleet"
	"github.com/lethe-cloud/lethe/internal/httpapi"
	"github.com/lethe-cloud/lethe/internal/signature"
)

// operations gives every call of every route that asks who is calling. A route without a sample fails the test.
func operations(t *testing.T) []operation {
	t.Helper()
	var all []operation
	add := func(pattern string, action fleet.Action, or []fleet.Action) {
		sampled := false
		for _, s := range samples[pattern] {
			if s.of == "" || s.of == action {
				sampled = true
				all = append(all, operation{pattern, action, or, s})
			}
		}
		if !sampled {
			t.Errorf("the route %s has no sample of %s", pattern, action)
		}
	}
	asked := map[string]bool{}
	for _, op := range cph.Operations() {
		pattern := op.Method + " " + op.Path
		if !asked[pattern+string(op.Action)] {
			asked[pattern+string(op.Action)] = true
			add(pattern, op.Action, nil)
		}
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
		if kind == "package_name" { // which has a rule of its own
			return "com.example.missing"
		}
		return "missing"
	}
	path = strings.ReplaceAll(path, "{project_id}", project)
	for kind := range e.ids {
		path = strings.ReplaceAll(path, "{"+kind+"}", named(kind))
	}
	replace := strings.NewReplacer("PHONE", named("phone_id"), "IMAGE", named("image_id"), "REQUEST", named("request_id"),
		"SERVER", named("server_id"), "MEMBER", named("member_id"), "NEW", fmt.Sprint(e.made.Add(1)))
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
	if strings.Contains(op.pattern, "/{project_id}/") {
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
		t.Run(strings.ReplaceAll(op.pattern, "/", "|")+fmt.Sprint(op.also)+string(op.of), func(t *testing.T) {
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
	for _, or := range op.or {
		tokens["a user with "+string(or)] = e.token(e.fresh(allow(string(or))), e.project)
	}
	if inProject {
		tokens["a user with it on the project"] = e.token(e.member(op, "local-1"), e.project)
		if strings.HasPrefix(string(op.action), "cph:") {
			tokens["a user with CPH FullAccess"] = e.standby["with CPH FullAccess"]
		}
		if permission.Reads && ofCPH(op.action) {
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

// ofCPH reports whether an action is one of those that the ready-made policies are about.
func ofCPH(action fleet.Action) bool {
	return strings.HasPrefix(string(action), "cph:") || strings.HasPrefix(string(action), "ims:")
}

// refused calls as everybody whom we know and who may not, and holds that the answer tells nothing of what is there.
func (e *estate) refused(op operation) {
	t := e.t
	permission, _ := fleet.PermissionOf(op.action)
	var others []string
	for _, a := range fleet.Actions() {
		if a != op.action && !slices.Contains(op.or, a) {
			others = append(others, string(a))
		}
	}
	denied := account.Policy{Version: "1.1", Statement: []account.Statement{{Effect: account.Deny, Action: []string{strings.ToUpper(string(op.action))}}}}
	for _, or := range op.or {
		denied.Statement[0].Action = append(denied.Statement[0].Action, string(or))
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
	if permission.Reads && permission.Scope == fleet.ScopeProject && ofCPH(op.action) {
		delete(tokens, "with CPH ReadOnlyAccess")
	}
	if !ofCPH(op.action) {
		tokens["with CPH FullAccess"] = e.standby["with CPH FullAccess"]
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
	sum := sha256.Sum256([]byte(body))
	r.Header.Set(signature.HeaderContentHash, hex.EncodeToString(sum[:]))
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

// TestMatrixTrail calls every operation as the owner: what may change something is in the audit trail, with how it ended, and what
// only reads is not.
func TestMatrixTrail(t *testing.T) {
	t.Parallel()
	e := newEstate(t)
	newest := func() audit.Event {
		events, _, err := e.store.AuditEvents(t.Context(), fleet.AuditFilter{
			Account: e.operator.Account.ID, Projects: []string{e.project, e.second}, Limit: 1,
		})
		if err != nil {
			t.Fatal(err)
		}
		if len(events) == 0 {
			return audit.Event{}
		}
		return events[0]
	}
	for _, op := range operations(t) {
		before := newest()
		reply := e.as(e.standby["the owner"], op)
		after := newest()
		permission, _ := fleet.PermissionOf(op.action)
		if permission.Reads || op.pattern == "POST /lethe/v1/tickets/check" {
			if after.Seq != before.Seq {
				t.Errorf("%s only reads, and is in the trail: %+v", op.pattern, after)
			}
			continue
		}
		want := audit.Accepted
		if reply.status >= http.StatusBadRequest {
			want = audit.Refused
		}
		if after.Seq == before.Seq || after.Route != op.pattern || after.Trace == "" || after.Result != want || after.UserName != e.operator.User.Name {
			t.Errorf("%s was answered %d, and the trail has %+v", op.pattern, reply.status, after)
		}
		if wantProject := map[bool]string{true: e.project}[permission.Scope == fleet.ScopeProject]; after.Project != wantProject {
			t.Errorf("%s is in the trail of project %q, want %q", op.pattern, after.Project, wantProject)
		}
	}
}
