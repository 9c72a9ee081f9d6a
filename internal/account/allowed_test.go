package account

import (
	"strings"
	"testing"
)

func policyOf(effectAndActions ...string) Policy {
	p := Policy{Version: "1.1"}
	for _, s := range effectAndActions {
		effect, actions, _ := strings.Cut(s, " ")
		p.Statement = append(p.Statement, Statement{Effect: effect, Action: strings.Fields(actions)})
	}
	return p
}

func TestMay(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name     string
		policies []Policy
		action   string
		want     bool
	}{
		{"no policy", nil, "cph:phones:reset", false},
		{"no statement", []Policy{{Version: "1.1"}}, "cph:phones:reset", false},
		{"the action itself", []Policy{policyOf("Allow cph:phones:reset")}, "cph:phones:reset", true},
		{"another action", []Policy{policyOf("Allow cph:phones:reset")}, "cph:phones:list", false},
		{"one of several", []Policy{policyOf("Allow cph:phones:list cph:phones:reset")}, "cph:phones:reset", true},
		{"a prefix is not enough", []Policy{policyOf("Allow cph:phones:res")}, "cph:phones:reset", false},
		{"a longer action is another", []Policy{policyOf("Allow cph:phones:resetAll")}, "cph:phones:reset", false},
		{"case of the action", []Policy{policyOf("Allow cph:phones:updateProperty")}, "CPH:Phones:UPDATEPROPERTY", true},
		{"case of the policy", []Policy{policyOf("Allow CPH:PHONES:RESET")}, "cph:phones:reset", true},
		{"everything", []Policy{policyOf("Allow *")}, "cph:phones:reset", true},
		{"everything in three parts", []Policy{policyOf("Allow *:*:*")}, "cph:phones:reset", true},
		{"a service", []Policy{policyOf("Allow cph:*")}, "cph:phones:reset", true},
		{"another service", []Policy{policyOf("Allow cph:*")}, "ims:images:get", false},
		{"a star at the start", []Policy{policyOf("Allow *:reset")}, "cph:phones:reset", true},
		{"a star in the middle", []Policy{policyOf("Allow cph:*:reset")}, "cph:phones:reset", true},
		{"a star within a word", []Policy{policyOf("Allow cph:phones:re*t")}, "cph:phones:reset", true},
		{"a star that stands for nothing", []Policy{policyOf("Allow cph:phones:reset*")}, "cph:phones:reset", true},
		{"several stars, going back", []Policy{policyOf("Allow *e*e*t")}, "cph:phones:reset", true},
		{"several stars, no match", []Policy{policyOf("Allow *e*e*e*e*t")}, "cph:phones:reset", false},
		{"the end must match too", []Policy{policyOf("Allow *phones")}, "cph:phones:reset", false},
		{"a deny after the allow", []Policy{policyOf("Allow *", "Deny cph:phones:reset")}, "cph:phones:reset", false},
		{"a deny before the allow", []Policy{policyOf("Deny cph:phones:reset", "Allow *")}, "cph:phones:reset", false},
		{"a deny in another policy", []Policy{policyOf("Allow *"), policyOf("Deny cph:*:RESET")}, "cph:phones:reset", false},
		{"a deny of something else", []Policy{policyOf("Allow *", "Deny cph:phones:list")}, "cph:phones:reset", true},
		{"only a deny", []Policy{policyOf("Deny cph:phones:list")}, "cph:phones:reset", false},
		{"an unknown effect takes away", []Policy{policyOf("Allow *", "allow cph:phones:reset")}, "cph:phones:reset", false},
		{"an unknown effect alone gives nothing", []Policy{policyOf("ALLOW *")}, "cph:phones:reset", false},
		{"no action is never allowed by an empty pattern", []Policy{policyOf("Allow")}, "", false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			user := Caller{Identity: Identity{User: User{Policies: tt.policies}}}
			if got := user.May(tt.action, "p"); got != tt.want {
				t.Errorf("a user with the policies %v: May(%q) = %v, want %v", tt.policies, tt.action, got, tt.want)
			}
			var grants []Grant
			for _, p := range tt.policies {
				grants = append(grants, Grant{Policy: p})
			}
			granted := Caller{Identity: Identity{Grants: grants}}
			if got := granted.May(tt.action, "p"); got != tt.want {
				t.Errorf("a user who was granted the policies %v: May(%q) = %v, want %v", tt.policies, tt.action, got, tt.want)
			}
			owner := Caller{Identity: Identity{User: User{Policies: tt.policies, Owner: true}, Grants: grants}}
			if !owner.May(tt.action, "p") {
				t.Errorf("the owner with the policies: May(%q) = false, want true", tt.action)
			}
		})
	}
}

// matchesPlainly is the definition, exponential in the number of stars.
func matchesPlainly(pattern, text string) bool {
	if pattern == "" {
		return text == ""
	}
	if pattern[0] == '*' {
		for i := range len(text) + 1 {
			if matchesPlainly(pattern[1:], text[i:]) {
				return true
			}
		}
		return false
	}
	return text != "" && pattern[0] == text[0] && matchesPlainly(pattern[1:], text[1:])
}

// TestMatchesDefinition walks every pattern and every text of a small alphabet.
func TestMatchesDefinition(t *testing.T) {
	t.Parallel()
	words := func(alphabet string, length int) []string {
		all := []string{""}
		for last := all; length > 0; length-- {
			var longer []string
			for _, w := range last {
				for _, c := range alphabet {
					longer = append(longer, w+string(c))
				}
			}
			all, last = append(all, longer...), longer
		}
		return all
	}
	for _, pattern := range words("ab*", 5) {
		for _, text := range words("ab", 5) {
			if got, want := matches(pattern, text), matchesPlainly(pattern, text); got != want {
				t.Fatalf("matches(%q, %q) = %v, want %v", pattern, text, got, want)
			}
		}
	}
}

// TestMayInProject is about where a policy counts: a grant's project, and conditions.
func TestMayInProject(t *testing.T) {
	t.Parallel()
	where := func(effect, operator, key string, values ...string) Policy {
		return Policy{Version: "1.1", Statement: []Statement{{
			Effect: effect, Action: []string{"cph:*"}, Condition: Condition{operator: {key: values}},
		}}}
	}
	all := policyOf("Allow *")
	tests := []struct {
		name   string
		own    []Policy
		grants []Grant
		want   string // of the projects one and two, and the account itself ("-"): where the action is allowed
	}{
		{"nothing", nil, nil, ""},
		{"an own policy", []Policy{all}, nil, "one two -"},
		{"a grant on the account", nil, []Grant{{Policy: all}}, "one two -"},
		{"a grant on a project", nil, []Grant{{Policy: all, Project: "1"}}, "one"},
		{"a grant on another account's project", nil, []Grant{{Policy: all, Project: "3"}}, ""},
		{"a denial on a project", []Policy{all}, []Grant{{Policy: policyOf("Deny cph:*"), Project: "2"}}, "one -"},
		{"a denial on the account", nil, []Grant{{Policy: all, Project: "1"}, {Policy: policyOf("Deny cph:*")}}, ""},
		{"only in a project", []Policy{where(Allow, "StringEquals", KeyProjectName, "one", "x")}, nil, "one"},
		{"in every project but one", []Policy{where(Allow, "StringNotEquals", KeyProjectName, "one")}, nil, "two"},
		{"not in a project", []Policy{all, where(Deny, "StringEquals", KeyProjectName, "one")}, nil, "two -"},
		{"nothing but in a project", []Policy{all, where(Deny, "StringNotEquals", KeyProjectName, "one")}, nil, "one"},
		{"in projects that begin so", []Policy{where(Allow, "StringStartWith", KeyProjectName, "t")}, nil, "two"},
		{"in projects that do not begin so", []Policy{where(Allow, "StringNotStartWith", KeyProjectName, "t")}, nil, "one"},
		{"in projects that end so", []Policy{where(Allow, "StringEndWith", KeyProjectName, "e", "x")}, nil, "one"},
		{"in projects that do not end so", []Policy{where(Allow, "StringNotEndWith", KeyProjectName, "e", "x")}, nil, "two"},
		{"a project's name in another case", []Policy{where(Allow, "StringEquals", KeyProjectName, "ONE")}, nil, ""},
		{"for this user", []Policy{where(Allow, "StringEquals", KeyUserName, "ann")}, nil, "one two -"},
		{"for another user", []Policy{where(Allow, "StringEquals", KeyUserName, "bob")}, nil, ""},
		{"for this user's id", []Policy{where(Allow, "StringEquals", KeyUserID, "u")}, nil, "one two -"},
		{"for this account", []Policy{where(Allow, "StringEquals", KeyDomainName, "acme")}, nil, "one two -"},
		{"for another account", []Policy{where(Allow, "StringEquals", KeyDomainName, "other")}, nil, ""},
		{"an operator that nobody checked allows nothing", []Policy{where(Allow, "Bool", KeyUserName, "ann")}, nil, ""},
		{"an operator that nobody checked denies", []Policy{all, where(Deny, "Bool", KeyUserName, "bob")}, nil, ""},
		{"a key that nobody checked allows nothing", []Policy{where(Allow, "StringNotEquals", "g:MFAPresent", "true")}, nil, ""},
		{"both conditions must hold", []Policy{{Version: "1.1", Statement: []Statement{{Effect: Allow, Action: []string{"*"}, Condition: Condition{
			"StringEquals": {KeyProjectName: {"one"}, KeyUserName: {"bob"}},
		}}}}}, nil, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			caller := Caller{Identity: Identity{
				User: User{ID: "u", Name: "ann", Policies: tt.own}, Account: Account{ID: "a", Name: "acme"}, Grants: tt.grants,
				Projects: []Project{{ID: "1", Name: "one"}, {ID: "2", Name: "two"}},
			}}
			var got []string
			for _, at := range [][2]string{{"1", "one"}, {"2", "two"}, {"", "-"}} {
				if caller.May("cph:phones:reset", at[0]) {
					got = append(got, at[1])
				}
			}
			if strings.Join(got, " ") != tt.want {
				t.Errorf("allowed in %q, want %q", got, tt.want)
			}
		})
	}
}

func TestSystemPolicies(t *testing.T) {
	t.Parallel()
	for _, p := range SystemPolicies() {
		if err := p.Policy.Validate(); err != nil {
			t.Errorf("%s: %v", p.Policy.Name, err)
		}
		if same, ok := SystemPolicy(p.Policy.Name); !ok || !same.System() || same.Policy.Name != p.Policy.Name {
			t.Errorf("SystemPolicy(%q) = %v, %v", p.Policy.Name, same, ok)
		}
	}
	if _, ok := SystemPolicy("cph fullaccess"); ok {
		t.Error("a system policy under another name")
	}
}
