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

func TestAllowed(t *testing.T) {
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
			if got := Allowed(tt.policies, tt.action); got != tt.want {
				t.Errorf("Allowed(%v, %q) = %v, want %v", tt.policies, tt.action, got, tt.want)
			}
			user := Caller{Identity: Identity{User: User{Policies: tt.policies}}}
			if got := user.May(tt.action); got != tt.want {
				t.Errorf("a user with the policies: May(%q) = %v, want %v", tt.action, got, tt.want)
			}
			owner := Caller{Identity: Identity{User: User{Policies: tt.policies, Owner: true}}}
			if !owner.May(tt.action) {
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
