// Package account is the domain of who may do what: accounts, projects, users, access keys and policies. It imports nothing
// of ours and does no input or output.
package account

import (
	"time"
)

// Account is a tenant (IAM: domain).
type Account struct {
	ID   string // 32 lower-case hex digits
	Name string // unique in the installation
	// Operator is set for the installation's first account: it makes the others, and never stops being it.
	Operator bool
	// OwnHosts lets it add servers, on hosts that it names. The operator's account may always. A host is root's: who may name one can
	// name the machine that lethe itself runs on.
	OwnHosts  bool
	CreatedAt time.Time
}

// MayNameHosts reports whether the account may add servers.
func (a Account) MayNameHosts() bool { return a.Operator || a.OwnHosts }

// Project is an account's resource scope.
type Project struct {
	ID        string // 32 lower-case hex digits
	Account   string // account id
	Name      string // what clients call the region, "local-1"
	CreatedAt time.Time
}

// User is someone who calls. The owner is the account itself and may do all; any other user may do nothing until given a policy.
type User struct {
	ID           string // 32 lower-case hex digits
	Account      string // account id
	Name         string // unique within the account
	PasswordHash string // argon2id, PHC string
	Owner        bool
	Disabled     bool     // nobody can call as it
	Policies     []Policy // its own, which count in the whole account
	// Epoch grows whenever the password, an access key or anything that the user may do changes: a token issued before is dead.
	Epoch     int64
	CreatedAt time.Time
}

// AccessKey signs calls for its user.
type AccessKey struct {
	ID        string // AK, 20 upper-case letters and digits
	Secret    string // SK, 40 letters and digits
	User      string // user id
	Disabled  bool   // signs nothing
	CreatedAt time.Time
}

// MaxKeys is how many access keys a user may have (IAM: two, so that one can be replaced while the other is in use).
const MaxKeys = 2

// Token is an issued token; only the SHA-256 of its text is kept.
type Token struct {
	Hash      [32]byte
	User      string // user id
	Epoch     int64  // the user's when it was issued
	Project   string // project id, or "" for a token scoped to the account
	IssuedAt  time.Time
	ExpiresAt time.Time
}

// Identity is a user with its account, that account's projects, and what the user was given beside its own policies: everything
// an authenticated call needs to know.
type Identity struct {
	User     User
	Account  Account
	Projects []Project
	Grants   []Grant // of the user and of its groups
}

// Caller is an authenticated caller and its scope.
type Caller struct {
	Identity
	// Scope is the one project a token is scoped to. Empty: a token scoped to the account, which may enter no project, unless
	// Signed is set: a signed call may enter each of the account's projects.
	Scope  string
	Signed bool
	// AccessKey is the id of the key that signed the call, "" when it came with a token.
	AccessKey string
	// Token's data when the caller came with one.
	Token *Token
}

// In reports whether the caller's credentials reach into the project.
func (c Caller) In(project string) bool {
	if c.Signed {
		for _, p := range c.Projects {
			if p.ID == project {
				return true
			}
		}
		return false
	}
	return c.Scope != "" && c.Scope == project
}
