package api

import "time"

// AddAccount asks for an account with a project and an owner.
type AddAccount struct {
	// At most 64 letters, digits, - _ or .; unique in the installation.
	AccountName string `json:"account_name"`
	// The owner's; absent: admin.
	UserName string `json:"user_name,omitempty"`
	// The first project's; absent: the installation's region.
	ProjectName string `json:"project_name,omitempty"`
	// Let it add servers, on hosts that it names: only for those who may have the machine that lethe runs on.
	OwnHosts bool `json:"own_hosts,omitempty"`
}

// SetAccount says whether an account may add servers.
type SetAccount struct {
	OwnHosts bool `json:"own_hosts"`
}

// Account is a tenant of the installation.
type Account struct {
	AccountID   string `json:"account_id"`
	AccountName string `json:"account_name"`
	// The installation's first account, which makes the others.
	Operator bool `json:"operator"`
	// Whether it may add servers, on hosts that it names.
	OwnHosts   bool      `json:"own_hosts"`
	CreateTime time.Time `json:"create_time"`
}

// AccountDetail is an account with its projects.
type AccountDetail struct {
	Account
	Projects []Project `json:"projects"`
}

// AddedAccount is a new account with its first project and its owner, whose secrets are shown this once.
type AddedAccount struct {
	Account
	Project Project   `json:"project"`
	Owner   AddedUser `json:"owner"`
}

// Accounts is a list of accounts.
type Accounts struct {
	Accounts []Account `json:"accounts"`
	Count    int       `json:"count"`
}

// AddProject asks for a project in the caller's account.
type AddProject struct {
	// At most 64 letters, digits, - _ or .; unique in the account.
	ProjectName string `json:"project_name"`
}

// RenameProject gives a project another name.
type RenameProject struct {
	ProjectName string `json:"project_name"`
}

// Project is a scope of servers, phones and images in an account.
type Project struct {
	ProjectID   string    `json:"project_id"`
	ProjectName string    `json:"project_name"`
	CreateTime  time.Time `json:"create_time"`
}

// Projects is a list of projects.
type Projects struct {
	Projects []Project `json:"projects"`
	Count    int       `json:"count"`
}
