package account

import "time"

// Grant is a policy that counts for somebody: in the whole account, or in one project and nowhere else.
type Grant struct {
	Policy  Policy
	Project string // project id, "": the whole account
}

// NamedPolicy is a policy with a name of its own, which users and groups are given. A system policy is lethe's and the same for
// all accounts; it has neither id nor account and never changes.
type NamedPolicy struct {
	ID        string // 32 lower-case hex digits
	Account   string // account id
	Policy    Policy // with the name, unique within the account
	CreatedAt time.Time
	UpdatedAt time.Time
}

// System reports whether the policy is one of SystemPolicies.
func (p NamedPolicy) System() bool { return p.ID == "" }

// Group is users that are given policies together.
type Group struct {
	ID        string // 32 lower-case hex digits
	Account   string // account id
	Name      string // unique within the account
	CreatedAt time.Time
}

// Attachment gives a policy to a user or to a group, by their names.
type Attachment struct {
	User    string // or
	Group   string
	Policy  string // a system policy's name, or one of the account's
	Project string // project name, "": the whole account
}

// The names of the system policies, as in IAM.
const (
	CPHFullAccess     = "CPH FullAccess"
	CPHReadOnlyAccess = "CPH ReadOnlyAccess"
)

// SystemPolicies gives the ready-made policies by name. Neither says anything of users or accounts.
func SystemPolicies() []NamedPolicy {
	allow := func(name string, actions ...string) NamedPolicy {
		return NamedPolicy{Policy: Policy{Name: name, Version: "1.1", Statement: []Statement{{Effect: Allow, Action: actions}}}}
	}
	return []NamedPolicy{
		allow(CPHFullAccess, "cph:*:*", "ims:images:*"),
		allow(CPHReadOnlyAccess, "cph:*:get*", "cph:*:list*", "ims:images:get*", "ims:images:list*"),
	}
}

// SystemPolicy gives the ready-made policy of that name.
func SystemPolicy(name string) (NamedPolicy, bool) {
	for _, p := range SystemPolicies() {
		if p.Policy.Name == name {
			return p, true
		}
	}
	return NamedPolicy{}, false
}

// Quotas of an account. Each call reads its caller's projects and grants, so that these bound what a call costs.
const (
	MaxProjects = 100
	MaxUsers    = 1000
	MaxGroups   = 100
	MaxPolicies = 200
	MaxGrants   = 50 // of one user, or of one group
	MaxGroupsOf = 10 // of one user
)
