package account

import "strings"

// Allowed reports whether the policies together allow the action. A statement that denies it wins over every statement that
// allows it, whichever policy and order they stand in; what no statement names is not allowed. A statement whose effect is not
// exactly Allow counts as Deny, so that one which never went through ParsePolicy can only take rights away.
//
// Actions are compared without regard to case, as IAM does: the official tables themselves write the same action in several
// ways, and a Deny that missed by one capital letter would be no Deny.
func Allowed(policies []Policy, action string) bool {
	action = strings.ToLower(action)
	allowed := false
	for _, policy := range policies {
		for _, statement := range policy.Statement {
			if !statement.names(action) {
				continue
			}
			if statement.Effect != Allow {
				return false
			}
			allowed = true
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
