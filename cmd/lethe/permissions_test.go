package main

import (
	"cmp"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"

	"github.com/lethe-cloud/lethe/internal/account"
	"github.com/lethe-cloud/lethe/internal/cph"
	"github.com/lethe-cloud/lethe/internal/fleet"
	"github.com/lethe-cloud/lethe/internal/httpapi"
)

var updatePermissions = flag.Bool("update", false, "write docs/permissions.md anew")

// docs/permissions.md is made from the table and the routes themselves: it cannot say anything else.
func TestPermissionsPage(t *testing.T) {
	t.Parallel()
	path := filepath.Join("..", "..", "docs", "permissions.md")
	want := permissionsPage()
	if *updatePermissions {
		if err := os.WriteFile(path, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := gocmp.Diff(want, string(got)); diff != "" {
		t.Errorf("docs/permissions.md is not what the code asks; go test ./cmd/lethe -run TestPermissionsPage -update writes it anew:\n%s", diff)
	}
}

func permissionsPage() string {
	calls := map[fleet.Action][]string{}
	var free []string
	add := func(pattern string, actions ...fleet.Action) {
		for _, action := range actions {
			if action != "" {
				calls[action] = append(calls[action], "`"+pattern+"`")
			}
		}
	}
	for _, op := range cph.Operations() {
		if pattern := "`" + op.Method + " " + op.Path + "`"; !slices.Contains(calls[op.Action], pattern) {
			add(op.Method+" "+op.Path, op.Action)
		}
	}
	for _, op := range httpapi.Operations() {
		if op.Action == "" {
			free = append(free, "`"+op.Pattern+"`")
		}
		add(op.Pattern, append([]fleet.Action{op.Action}, op.Or...)...)
	}
	var b strings.Builder
	b.WriteString(`# Permissions

Made from the code: go test ./cmd/lethe -run TestPermissionsPage -update. What the columns mean, and how permissions are given, is in
[access.md](access.md).

| action | resource | scope | with | calls |
|---|---|---|---|---|
`)
	for _, p := range fleet.Permissions() {
		with := make([]string, len(p.Depends))
		for i, d := range p.Depends {
			with[i] = fmt.Sprintf("`%s` when %s", d.Action, d.When)
		}
		fmt.Fprintf(&b, "| `%s`%s | %s | %s | %s | %s |\n", p.Action, map[bool]string{true: " (admin)"}[p.Admin], p.Resource, p.Scope,
			strings.Join(with, ", "), strings.Join(calls[p.Action], "<br>"))
	}
	fmt.Fprintf(&b, `
**admin**: whoever may do this can get every permission in the account, directly or by one further step.

Operations of the CPH API that are not there yet ([coverage](cph-coverage.md)) have no line: their paths do not exist, to anybody.

A call that stands with several actions needs the one of what it is about: a request to create phones, or one to reset, to restart or to
stop them.

Without an action: %s, `+"`PUT /lethe/v1/password`"+` (everybody about himself, with the old password), and /v3: a token for the right password,
the names of one's own account and its projects, one's own tokens; the account's owner may look at those of its users.

## System policies

`, strings.Join(slices.DeleteFunc(free, func(s string) bool { return strings.Contains(s, "/password") }), ", "))
	for _, policy := range account.SystemPolicies() {
		fmt.Fprintf(&b, "- **%s**: `%s`\n", policy.Policy.Name, strings.Join(policy.Policy.Statement[0].Action, "`, `"))
	}
	return b.String()
}

// Every action is asked by a route, and every route asks one that the table has.
func TestTableAndRoutes(t *testing.T) {
	t.Parallel()
	asked := map[fleet.Action]bool{}
	ask := func(pattern string, actions ...fleet.Action) {
		for _, action := range actions {
			if _, ok := fleet.PermissionOf(action); !ok && action != "" {
				t.Errorf("%s asks %s, which the table does not have", pattern, action)
			}
			asked[action] = true
		}
	}
	for _, op := range cph.Operations() {
		ask(op.Method+" "+op.Path, cmp.Or(op.Action, "none"))
	}
	for _, op := range httpapi.Operations() {
		if self := strings.HasSuffix(op.Pattern, "/password") && op.Action == ""; op.Action == "" && !op.Open && !self {
			t.Errorf("%s asks for no action", op.Pattern)
		}
		ask(op.Pattern, append([]fleet.Action{op.Action}, op.Or...)...)
	}
	for _, p := range fleet.Permissions() {
		for _, d := range p.Depends {
			asked[d.Action] = true
		}
	}
	for _, p := range fleet.Permissions() {
		if !asked[p.Action] {
			t.Errorf("no route asks %s", p.Action)
		}
	}
}

// The system policies allow what they are named for: all of phones and images, or all that changes nothing there. Buckets and objects are neither's.
func TestSystemPoliciesHoldTheTable(t *testing.T) {
	t.Parallel()
	for _, p := range fleet.Permissions() {
		inProject := p.Scope == fleet.ScopeProject && ofCPH(p.Action)
		for name, want := range map[string]bool{account.CPHFullAccess: inProject, account.CPHReadOnlyAccess: inProject && p.Reads} {
			policy, _ := account.SystemPolicy(name)
			caller := account.Caller{Identity: account.Identity{Grants: []account.Grant{{Policy: policy.Policy}}}}
			if got := caller.May(string(p.Action), "p"); got != want {
				t.Errorf("%s allows %s: %v, want %v", name, p.Action, got, want)
			}
		}
	}
}
