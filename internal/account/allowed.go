package account

import "strings"

// May reports whether the caller may do the action in the project, or, when that is "", on the account itself. The account's
// owner may do all. Whether the caller's credentials reach into the project is In's to say.
func (c Caller) May(action, project string) bool {
	if c.User.Owner {
		return true
	}
	call := call{action: strings.ToLower(action), values: map[string]string{
		KeyUserID: c.User.ID, KeyUserName: c.User.Name, KeyDomainName: c.Account.Name,
	}}
	for _, p := range c.Projects {
		if p.ID == project {
			call.values[KeyProjectName] = p.Name
		}
	}
	return allowed(c.Policies(project), call)
}

// Policies gives what counts for the caller in the project; "" is the account itself, for which no grant on a project counts.
func (c Caller) Policies(project string) []Policy {
	policies := append([]Policy(nil), c.User.Policies...)
	for _, grant := range c.Grants {
		if grant.Project == "" || grant.Project == project {
			policies = append(policies, grant.Policy)
		}
	}
	return policies
}

// call is what statements are held against.
type call struct {
	action string            // in lower case
	values map[string]string // of the condition keys; what the call has not is not there
}

// allowed reports whether the policies together allow the call. A statement that denies it wins over every statement that
// allows it, whichever policy and order they stand in; what no statement names is not allowed. A statement whose effect is not
// exactly Allow counts as Deny, so that one which never went through ParsePolicy can only take rights away.
//
// Actions are compared without regard to case, as IAM does: the official tables themselves write the same action in several
// ways, and a Deny that missed by one capital letter would be no Deny.
func allowed(policies []Policy, call call) bool {
	allowed := false
	for _, policy := range policies {
		for _, statement := range policy.Statement {
			switch {
			case !statement.names(call.action):
			case statement.Effect != Allow && statement.Condition.denies(call.values):
				return false
			case statement.Effect == Allow && statement.Condition.allows(call.values):
				allowed = true
			}
		}
	}
	return allowed
}

// names reports whether one of the statement's actions stands for the action, which is in lower case.
func (s Statement) names(action string) bool {
	for _, pattern := range s.Action {
		if matches(strings.ToLower(pattern), action) {
			return true
		}
	}
	return false
}

// matches reports whether the pattern, in which "*" stands for any run of characters, also an empty one and also one with
// colons, covers the whole text. It goes back to the last star only, so its work is at most the product of the two lengths.
func matches(pattern, text string) bool {
	p, t := 0, 0
	star, resume := -1, 0
	for t < len(text) {
		switch {
		case p < len(pattern) && pattern[p] == '*':
			star, resume = p, t
			p++
		case p < len(pattern) && pattern[p] == text[t]:
			p++
			t++
		case star >= 0:
			resume++
			p, t = star+1, resume
		default:
			return false
		}
	}
	return strings.Trim(pattern[p:], "*") == ""
}

// Enters reports whether something may be granted to the caller in the project: the owner, and a user with a policy that counts there.
func (c Caller) Enters(project string) bool { return c.User.Owner || len(c.Policies(project)) > 0 }
