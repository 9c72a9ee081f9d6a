package api

import "time"

// Policy is a set of statements in the Huawei Cloud JSON form.
type Policy struct {
	Name string `json:"Name,omitempty"`
	// 1.1
	Version   string      `json:"Version"`
	Statement []Statement `json:"Statement"`
}

// Statement allows or denies actions; a denial wins.
type Statement struct {
	// Allow or Deny.
	Effect string `json:"Effect"`
	// service:resource:operation; * stands for any run of characters.
	Action []string `json:"Action"`
	// Where the statement counts: operator, condition key, values. Operators are StringEquals, StringNotEquals, StringStartWith,
	// StringNotStartWith, StringEndWith and StringNotEndWith; keys g:ProjectName, g:DomainName, g:UserName and g:UserId.
	Condition map[string]map[string][]string `json:"Condition,omitempty"`
}

// NamedPolicy is a policy that users and groups can be given.
type NamedPolicy struct {
	PolicyName string `json:"policy_name"`
	// The same for all accounts; it cannot be changed.
	System bool   `json:"system"`
	Policy Policy `json:"policy"`
	// Absent for a system policy.
	CreateTime *time.Time `json:"create_time,omitempty"`
	UpdateTime *time.Time `json:"update_time,omitempty"`
}

// NamedPolicies is a list of policies.
type NamedPolicies struct {
	Policies []NamedPolicy `json:"policies"`
	Count    int           `json:"count"`
}

// AddPolicy asks for a policy of the caller's account.
type AddPolicy struct {
	// At most 64 letters, digits, spaces, - _ or .; unique in the account.
	PolicyName string `json:"policy_name"`
	Policy     Policy `json:"policy"`
}

// SetPolicy replaces what a policy says, for everybody who has it; their tokens die at once.
type SetPolicy struct {
	Policy Policy `json:"policy"`
}

// Grant gives a policy to a user or to a group: one of the two is there.
type Grant struct {
	UserName   string `json:"user_name,omitempty"`
	GroupName  string `json:"group_name,omitempty"`
	PolicyName string `json:"policy_name"`
	// The one project in which it counts; absent: the whole account.
	ProjectName string `json:"project_name,omitempty"`
}

// AddGroup asks for a group of the caller's account.
type AddGroup struct {
	// At most 64 letters, digits, spaces, - _ or .; unique in the account.
	GroupName string `json:"group_name"`
}

// Group is users that are given policies together.
type Group struct {
	GroupID    string    `json:"group_id"`
	GroupName  string    `json:"group_name"`
	CreateTime time.Time `json:"create_time"`
}

// GroupDetail is a group with its users and what was granted to it.
type GroupDetail struct {
	Group
	Users  []string `json:"users"`
	Grants []Grant  `json:"grants"`
}

// Groups is a list of groups.
type Groups struct {
	Groups []Group `json:"groups"`
	Count  int     `json:"count"`
}
