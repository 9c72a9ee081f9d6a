package fleet

import (
	"context"
	"fmt"
	"regexp"
	"time"

	"github.com/lethe-cloud/lethe/internal/account"
	"github.com/lethe-cloud/lethe/internal/phone"
)

// The actions on users. Listing and creating are named as IAM names them. Granting has no counterpart there, since IAM grants to
// groups. Whoever may grant can grant himself a user that may do all, so it is as good as being the account; creating a user
// without policies gives nothing away.
const (
	ActionUsersList   Action = "iam:users:listUsers"
	ActionUsersCreate Action = "iam:users:createUser"
	ActionUsersGrant  Action = "iam:users:setPolicies"
)

// maxPolicies is how many policies one user may have; each has at most account.MaxPolicyBytes.
const maxPolicies = 10

// userName is the API's rule for names of users.
var userName = regexp.MustCompile(`^[A-Za-z0-9._-]{1,64}$`)

// UserStore keeps the users. Every method is one whole transaction.
type UserStore interface {
	// AddUser writes the user and its access key. A name that the account has already is Conflict with ReasonNameTaken.
	AddUser(ctx context.Context, user account.User, key account.AccessKey) error
	// Users gives the account's users by name.
	Users(ctx context.Context, accountID string) ([]account.User, error)
	// SetPolicies replaces the user's policies and raises its epoch, so that every token that it has is dead. No such user is
	// NotFound.
	SetPolicies(ctx context.Context, accountID, userName string, policies []account.Policy) error
}

// UsersConfig is what Users needs.
type UsersConfig struct {
	Store UserStore
	Now   func() time.Time // nil: time.Now
}

// Users is the use cases about an account's users. They belong to the account, so a caller of any scope may ask, for its own
// account. It is safe for concurrent use.
type Users struct {
	store UserStore
	now   func() time.Time
}

// NewUsers makes the use cases over a store.
func NewUsers(c UsersConfig) *Users {
	if c.Now == nil {
		c.Now = time.Now
	}
	return &Users{store: c.Store, now: c.Now}
}

// NewUser is a user as a caller adds it. Without policies it may do nothing.
type NewUser struct {
	Name     string // unique in the account: at most 64 letters, digits, - _ or .
	Policies []account.Policy
}

// AddedUser is a new user with its secrets. They are nowhere kept as they are here, so this is the only time they can be seen.
type AddedUser struct {
	User     account.User // without the password's hash
	Password string
	Key      account.AccessKey
}

// String keeps the secrets out of messages.
func (a AddedUser) String() string { return a.User.String() }

// AddUser adds a user to the caller's account and gives it a password and an access key. Needs ActionUsersCreate, with policies
// ActionUsersGrant too.
func (u *Users) AddUser(ctx context.Context, caller account.Caller, in NewUser) (AddedUser, error) {
	if err := authoriseUsers(caller, ActionUsersCreate); err != nil {
		return AddedUser{}, err
	}
	if len(in.Policies) > 0 {
		if err := authoriseUsers(caller, ActionUsersGrant); err != nil {
			return AddedUser{}, err
		}
	}
	if !userName.MatchString(in.Name) {
		return AddedUser{}, &phone.Error{
			Code: phone.Invalid, Reason: phone.ReasonNameInvalid, Field: "user_name", Msg: "user_name must be 1 to 64 letters, digits, - _ or .",
		}
	}
	if err := checkPolicies(in.Policies); err != nil {
		return AddedUser{}, err
	}
	now := u.now().UTC().Truncate(time.Microsecond)
	password := account.NewPassword()
	user := account.User{
		ID: account.NewID(), Account: caller.Account.ID, Name: in.Name, PasswordHash: account.HashPassword(password),
		Policies: in.Policies, CreatedAt: now,
	}
	key := account.NewAccessKey(user.ID, now)
	if err := u.store.AddUser(ctx, user, key); err != nil {
		return AddedUser{}, err
	}
	return AddedUser{User: withoutHash(user), Password: password, Key: key}, nil
}

// Users gives the users of the caller's account by name, without their passwords' hashes. Needs ActionUsersList.
func (u *Users) Users(ctx context.Context, caller account.Caller) ([]account.User, error) {
	if err := authoriseUsers(caller, ActionUsersList); err != nil {
		return nil, err
	}
	users, err := u.store.Users(ctx, caller.Account.ID)
	for i := range users {
		users[i] = withoutHash(users[i])
	}
	return users, err
}

// SetPolicies replaces the policies of a user of the caller's account; its tokens are dead from then on. The owner has none to
// set: it may do all. Needs ActionUsersGrant.
func (u *Users) SetPolicies(ctx context.Context, caller account.Caller, name string, policies []account.Policy) error {
	if err := authoriseUsers(caller, ActionUsersGrant); err != nil {
		return err
	}
	if err := checkPolicies(policies); err != nil {
		return err
	}
	if !userName.MatchString(name) {
		return phone.Errorf(phone.NotFound, "", "there is no such user")
	}
	users, err := u.store.Users(ctx, caller.Account.ID)
	if err != nil {
		return err
	}
	for _, user := range users {
		if user.Name == name && user.Owner { // it never stops being the owner, so this cannot change before the next line
			return phone.Errorf(phone.Precondition, "", "the user %s owns the account and may do all: its policies cannot be set", name)
		}
	}
	return u.store.SetPolicies(ctx, caller.Account.ID, name, policies)
}

func authoriseUsers(c account.Caller, action Action) error {
	if !c.May(string(action)) {
		return phone.Errorf(phone.Forbidden, "", "the user has no permission for %s", action)
	}
	return nil
}

func checkPolicies(policies []account.Policy) error {
	wrong := func(msg string) error { return &phone.Error{Code: phone.Invalid, Field: "policies", Msg: msg} }
	if len(policies) > maxPolicies {
		return wrong(fmt.Sprintf("policies has %d elements, at most %d are taken", len(policies), maxPolicies))
	}
	for i, p := range policies {
		if err := p.Validate(); err != nil {
			return wrong(fmt.Sprintf("policies[%d]: %s", i, err))
		}
	}
	return nil
}

func withoutHash(u account.User) account.User {
	u.PasswordHash = ""
	return u
}
