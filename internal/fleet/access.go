package fleet

import (
	"context"
	"fmt"
	"regexp"
	"time"

	"github.com/lethe-cloud/lethe/internal/account"
	"github.com/lethe-cloud/lethe/internal/phone"
)

// AccessStore keeps accounts, projects, users and what these may do. Every method is one whole transaction. What an account does
// not have is NotFound, also when another one has it; a name that is taken is Conflict with ReasonNameTaken; one thing more than
// the account's quota is Exhausted. Whatever changes what a user may do, or how it proves who it is, raises the user's epoch in
// the same transaction, so that every token that it had is dead.
type AccessStore interface {
	// AddAccount writes an account with its projects, its owner and the owner's access key.
	AddAccount(ctx context.Context, who account.Identity, key account.AccessKey) error
	Accounts(ctx context.Context) ([]account.Account, error) // by name
	// SetOwnHosts says whether an account may add servers.
	SetOwnHosts(ctx context.Context, name string, may bool) error
	// DeleteAccount removes an account with everything in it. Precondition for the operator's, and while one of its projects has a
	// server or a phone.
	DeleteAccount(ctx context.Context, name string) error

	AddProject(ctx context.Context, project account.Project) error
	Projects(ctx context.Context, accountID string) ([]account.Project, error) // by name
	RenameProject(ctx context.Context, accountID, name, to string) error
	// DeleteProject removes a project with its images, its requests and the grants on it; Precondition while it has a server or a
	// phone.
	DeleteProject(ctx context.Context, accountID, name string) error

	AddUser(ctx context.Context, user account.User, key account.AccessKey) error
	Users(ctx context.Context, accountID string) ([]account.User, error) // by name
	User(ctx context.Context, accountID, name string) (UserDetail, error)
	// SetPolicies replaces the user's own policies.
	SetPolicies(ctx context.Context, accountID, name string, policies []account.Policy) error
	SetPassword(ctx context.Context, accountID, name, hash string) error
	SetUserDisabled(ctx context.Context, accountID, name string, disabled bool) error
	// DeleteUser removes a user with its keys, tokens, memberships and grants.
	DeleteUser(ctx context.Context, accountID, name string) error

	// AddKey writes a further access key; Exhausted when the user has account.MaxKeys.
	AddKey(ctx context.Context, accountID, user string, key account.AccessKey) error
	Keys(ctx context.Context, accountID, user string) ([]account.AccessKey, error) // without secrets, oldest first
	SetKeyDisabled(ctx context.Context, accountID, user, id string, disabled bool) error
	DeleteKey(ctx context.Context, accountID, user, id string) error

	AddGroup(ctx context.Context, group account.Group) error
	Groups(ctx context.Context, accountID string) ([]account.Group, error) // by name
	Group(ctx context.Context, accountID, name string) (GroupDetail, error)
	// DeleteGroup removes a group with its memberships and its grants.
	DeleteGroup(ctx context.Context, accountID, name string) error
	// SetMember puts a user into a group, or takes it out. It may be there already, or not be there.
	SetMember(ctx context.Context, accountID, group, user string, member bool) error

	AddPolicy(ctx context.Context, policy account.NamedPolicy) error
	Policies(ctx context.Context, accountID string) ([]account.NamedPolicy, error) // by name, without the system's
	// ReplacePolicy replaces what a policy says, for everybody who has it.
	ReplacePolicy(ctx context.Context, accountID, name string, policy account.Policy) error
	// DeletePolicy removes a policy; Precondition while a user or a group has it.
	DeletePolicy(ctx context.Context, accountID, name string) error

	// Attach grants a policy. It may be granted already.
	Attach(ctx context.Context, accountID string, in account.Attachment) error
	// Detach takes one back; NotFound when it was not granted in just this way.
	Detach(ctx context.Context, accountID string, in account.Attachment) error
}

// UserDetail is a user with its groups and all that was granted to it and to them.
type UserDetail struct {
	User   account.User
	Groups []string
	Grants []account.Attachment
}

// GroupDetail is a group with its members and what was granted to it.
type GroupDetail struct {
	Group  account.Group
	Users  []string
	Grants []account.Attachment
}

// AccessConfig is what Access needs.
type AccessConfig struct {
	Store AccessStore
	// CheckPassword fails with Unauthenticated unless the password is the user's; it bounds how often that can be tried. nil: nobody
	// can change a password by giving the old one.
	CheckPassword func(ctx context.Context, userID, password string) error
	Region        string           // what the first project of a new account is called by default
	Now           func() time.Time // nil: time.Now
}

// Access is the use cases about who may do what: accounts, projects, users, access keys, groups and policies. All but those on
// accounts are about the caller's own account; nobody is told of another one. It is safe for concurrent use.
type Access struct {
	store         AccessStore
	checkPassword func(ctx context.Context, userID, password string) error
	region        string
	now           func() time.Time
}

// NewAccess makes the use cases over a store.
func NewAccess(c AccessConfig) *Access {
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Region == "" {
		c.Region = "local-1"
	}
	return &Access{store: c.Store, checkPassword: c.CheckPassword, region: c.Region, now: c.Now}
}

// time gives the time of a fact, as exactly as it is kept.
func (a *Access) time() time.Time { return a.now().UTC().Truncate(time.Microsecond) }

// named is one kind of name: the field that it comes in, its rule, and the rule in words.
type named struct {
	field, kind string
	rule        *regexp.Regexp
	says        string
}

const wordRule = "1 to 64 letters, digits, - _ or ."

var (
	word        = regexp.MustCompile(`^[A-Za-z0-9._-]{1,64}$`)
	words       = regexp.MustCompile(`^[A-Za-z0-9]([A-Za-z0-9 ._-]{0,62}[A-Za-z0-9._-])?$`)
	accountName = named{"account_name", "account", word, wordRule}
	projectName = named{"project_name", "project", word, wordRule}
	userName    = named{"user_name", "user", word, wordRule}
	groupName   = named{"group_name", "group", words, wordRule + ", and spaces within"}
	policyName  = named{"policy_name", "policy", words, wordRule + ", and spaces within"}
)

// check refuses a name that cannot be given. One that looks like an id would be taken for one.
func (n named) check(name string) error {
	if n.rule.MatchString(name) && !phone.ValidID(name) {
		return nil
	}
	return &phone.Error{
		Code: phone.Invalid, Reason: phone.ReasonNameInvalid, Field: n.field, Msg: fmt.Sprintf("%s must be %s, and no id", n.field, n.says),
	}
}

// find refuses a name that nothing can have, as what does not exist.
func (n named) find(name string) error {
	if n.rule.MatchString(name) {
		return nil
	}
	return NoSuch(n.kind)
}

// NoSuch is the error of what the account does not have.
func NoSuch(kind string) *phone.Error {
	return phone.Errorf(phone.NotFound, "", "there is no such %s", kind)
}
