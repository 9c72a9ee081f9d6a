package fleet

import (
	"context"
	"fmt"
	"strings"

	"github.com/lethe-cloud/lethe/internal/account"
	"github.com/lethe-cloud/lethe/internal/phone"
)

// maxPolicies is how many policies of its own one user may have; each has at most account.MaxPolicyBytes.
const maxPolicies = 10

// NewUser is a user as a caller adds it. Without policies it may do nothing.
type NewUser struct {
	Name     string
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

// AddUser adds a user to the caller's account and gives it a password and an access key.
func (a *Access) AddUser(ctx context.Context, caller account.Caller, in NewUser) (AddedUser, error) {
	var cases []When
	if len(in.Policies) > 0 {
		cases = append(cases, WhenPoliciesGiven)
	}
	if err := Authorise(caller, "", needs(ActionUsersCreate, cases...)...); err != nil {
		return AddedUser{}, err
	}
	if err := userName.check(in.Name); err != nil {
		return AddedUser{}, err
	}
	if err := checkPolicies(in.Policies); err != nil {
		return AddedUser{}, err
	}
	added := a.newUser(caller.Account.ID, in.Name)
	added.User.Policies = in.Policies
	if err := a.store.AddUser(ctx, added.User, added.Key); err != nil {
		return AddedUser{}, err
	}
	added.User = withoutHash(added.User)
	return added, nil
}

func (a *Access) newUser(accountID, name string) AddedUser {
	now, password := a.time(), account.NewPassword()
	user := account.User{ID: account.NewID(), Account: accountID, Name: name, PasswordHash: account.HashPassword(password), CreatedAt: now}
	return AddedUser{User: user, Password: password, Key: account.NewAccessKey(user.ID, now)}
}

// Users gives the users of the caller's account by name, without their passwords' hashes.
func (a *Access) Users(ctx context.Context, caller account.Caller) ([]account.User, error) {
	if err := Authorise(caller, "", ActionUsersList); err != nil {
		return nil, err
	}
	users, err := a.store.Users(ctx, caller.Account.ID)
	for i := range users {
		users[i] = withoutHash(users[i])
	}
	return users, err
}

// User gives one user with its groups and its grants.
func (a *Access) User(ctx context.Context, caller account.Caller, name string) (UserDetail, error) {
	if err := Authorise(caller, "", ActionUsersGet); err != nil {
		return UserDetail{}, err
	}
	return a.user(ctx, caller, name)
}

func (a *Access) user(ctx context.Context, caller account.Caller, name string) (UserDetail, error) {
	if err := userName.find(name); err != nil {
		return UserDetail{}, err
	}
	detail, err := a.store.User(ctx, caller.Account.ID, name)
	detail.User = withoutHash(detail.User)
	return detail, err
}

// others gives a user that is not the account's owner: what the owner may do cannot be changed. It never stops being the owner, so
// this cannot change before the next call to the store.
func (a *Access) others(ctx context.Context, caller account.Caller, name, what string) error {
	detail, err := a.user(ctx, caller, name)
	if err == nil && detail.User.Owner {
		err = phone.Errorf(phone.Precondition, "", "the user %s owns the account and may do all: %s", name, what)
	}
	return err
}

// credentialsOf refuses to touch the owner's secrets for anybody but the owner: whoever has them may do all.
func (a *Access) credentialsOf(ctx context.Context, caller account.Caller, name string) error {
	detail, err := a.user(ctx, caller, name)
	if err == nil && detail.User.Owner && !caller.User.Owner {
		err = phone.Errorf(phone.Forbidden, "", "the user %s owns the account: only it may change its own password and access keys", name)
	}
	return err
}

// SetPolicies replaces the own policies of a user of the caller's account.
func (a *Access) SetPolicies(ctx context.Context, caller account.Caller, name string, policies []account.Policy) error {
	if err := Authorise(caller, "", ActionUsersGrant); err != nil {
		return err
	}
	if err := checkPolicies(policies); err != nil {
		return err
	}
	if err := a.others(ctx, caller, name, "its policies cannot be set"); err != nil {
		return err
	}
	return a.store.SetPolicies(ctx, caller.Account.ID, name, policies)
}

// SetUserDisabled lets nobody call as a user any more, or lets it call again.
func (a *Access) SetUserDisabled(ctx context.Context, caller account.Caller, name string, disabled bool) error {
	if err := Authorise(caller, "", ActionUsersUpdate); err != nil {
		return err
	}
	if err := a.others(ctx, caller, name, "it cannot be disabled"); err != nil {
		return err
	}
	return a.store.SetUserDisabled(ctx, caller.Account.ID, name, disabled)
}

// DeleteUser removes a user of the caller's account.
func (a *Access) DeleteUser(ctx context.Context, caller account.Caller, name string) error {
	if err := Authorise(caller, "", ActionUsersDelete); err != nil {
		return err
	}
	if err := a.others(ctx, caller, name, "it cannot be deleted"); err != nil {
		return err
	}
	return a.store.DeleteUser(ctx, caller.Account.ID, name)
}

// ResetPassword gives a user a new password, one drawn at random when password is "", and returns it.
func (a *Access) ResetPassword(ctx context.Context, caller account.Caller, name, password string) (string, error) {
	if err := Authorise(caller, "", ActionUsersPassword); err != nil {
		return "", err
	}
	if password == "" {
		password = account.NewPassword()
	} else if err := checkPassword(password); err != nil {
		return "", err
	}
	if err := a.credentialsOf(ctx, caller, name); err != nil {
		return "", err
	}
	return password, a.store.SetPassword(ctx, caller.Account.ID, name, account.HashPassword(password))
}

// ChangePassword gives the caller itself a new password, if it knows the old one. It needs no permission.
func (a *Access) ChangePassword(ctx context.Context, caller account.Caller, original, password string) error {
	if err := checkPassword(password); err != nil {
		return err
	}
	if a.checkPassword == nil {
		return phone.Errorf(phone.Unsupported, "", "passwords cannot be checked here")
	}
	switch err := a.checkPassword(ctx, caller.User.ID, original); {
	case phone.CodeOf(err) == phone.Unauthenticated: // of the password, not of the call
		return &phone.Error{
			Code: phone.Forbidden, Field: "original_password", Err: err,
			Msg: "original_password is wrong, or was wrong too often of late: give the present one, or let an administrator reset it",
		}
	case err != nil:
		return err
	}
	return a.store.SetPassword(ctx, caller.Account.ID, caller.User.Name, account.HashPassword(password))
}

const minPassword = 8 // bytes

func checkPassword(password string) error {
	control := func(r rune) bool { return r < ' ' || r == 0x7f }
	if len(password) < minPassword || len(password) > account.MaxPassword || strings.ContainsFunc(password, control) {
		return &phone.Error{
			Code: phone.Invalid, Field: "password",
			Msg: fmt.Sprintf("password must have %d to %d bytes and no control characters", minPassword, account.MaxPassword),
		}
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
