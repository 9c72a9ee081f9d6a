package fleet

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/lethe-cloud/lethe/internal/account"
	"github.com/lethe-cloud/lethe/internal/phone"
)

// userMemory keeps users as an AccessStore does; nothing else is asked of it.
type userMemory struct {
	AccessStore
	users []account.User
	keys  []account.AccessKey
	down  error
}

func (m *userMemory) AddUser(_ context.Context, user account.User, key account.AccessKey) error {
	if m.down != nil {
		return m.down
	}
	if slices.ContainsFunc(m.users, func(u account.User) bool { return u.Account == user.Account && u.Name == user.Name }) {
		return phone.Errorf(phone.Conflict, phone.ReasonNameTaken, "the name is taken")
	}
	m.users, m.keys = append(m.users, user), append(m.keys, key)
	return nil
}

func (m *userMemory) Users(_ context.Context, accountID string) ([]account.User, error) {
	var all []account.User
	for _, u := range m.users {
		if u.Account == accountID {
			all = append(all, u)
		}
	}
	return all, m.down
}

func (m *userMemory) User(ctx context.Context, accountID, name string) (UserDetail, error) {
	users, err := m.Users(ctx, accountID)
	for _, u := range users {
		if u.Name == name {
			return UserDetail{User: u}, err
		}
	}
	return UserDetail{}, errors.Join(NoSuch("user"), err)
}

func (m *userMemory) SetPolicies(_ context.Context, accountID, userName string, policies []account.Policy) error {
	for i, u := range m.users {
		if u.Account == accountID && u.Name == userName {
			m.users[i].Policies, m.users[i].Epoch = policies, u.Epoch+1
			return nil
		}
	}
	return phone.Errorf(phone.NotFound, "", "no such user")
}

func policy(actions ...string) account.Policy {
	return account.Policy{Version: "1.1", Statement: []account.Statement{{Effect: account.Allow, Action: actions}}}
}

func userOfAcme(name string, owner bool, policies ...account.Policy) account.Caller {
	return account.Caller{Identity: account.Identity{
		User:    account.User{ID: name, Account: "acme-id", Name: name, PasswordHash: "hash of " + name, Owner: owner, Policies: policies},
		Account: account.Account{ID: "acme-id", Name: "acme"},
	}}
}

func newUsers() (*Access, *userMemory) {
	m := &userMemory{users: []account.User{
		userOfAcme("boss", true).User, userOfAcme("robot", false).User,
		{ID: "x", Account: "other-id", Name: "stranger", PasswordHash: "hash"},
	}}
	return NewAccess(AccessConfig{Store: m, Now: func() time.Time { return time.Date(2026, 5, 6, 7, 8, 9, 123_456_789, time.UTC) }}), m
}

func TestAddUser(t *testing.T) {
	t.Parallel()
	users, store := newUsers()
	policies := []account.Policy{policy("cph:phones:reset")}
	got, err := users.AddUser(t.Context(), userOfAcme("boss", true), NewUser{Name: "ci.robot-1_x", Policies: policies})
	if err != nil {
		t.Fatal(err)
	}
	at := time.Date(2026, 5, 6, 7, 8, 9, 123_456_000, time.UTC)
	want := account.User{ID: got.User.ID, Account: "acme-id", Name: "ci.robot-1_x", Policies: policies, CreatedAt: at}
	if diff := cmp.Diff(want, got.User); diff != "" {
		t.Errorf("the user (-want +got):\n%s", diff)
	}
	kept, key := store.users[len(store.users)-1], store.keys[0]
	if ok, err := account.CheckPassword(kept.PasswordHash, got.Password); !ok || err != nil {
		t.Errorf("the password does not fit what was kept: %v", err)
	}
	if key != got.Key || key.User != kept.ID || kept.ID == "" || key.Secret == "" || !key.CreatedAt.Equal(at) {
		t.Errorf("the key kept is %+v of user %s", key, key.User)
	}
	if kept.PasswordHash = ""; !cmp.Equal(want, kept) {
		t.Errorf("the user kept (-want +got):\n%s", cmp.Diff(want, kept))
	}
	if text := fmt.Sprintf("%v %+v %s", got, got, got); strings.Contains(text, got.Password) || strings.Contains(text, got.Key.Secret) {
		t.Errorf("printed with its secrets: %s", text)
	}

	_, err = users.AddUser(t.Context(), userOfAcme("boss", true), NewUser{Name: "robot"})
	if phone.CodeOf(err) != phone.Conflict || phone.ReasonOf(err) != phone.ReasonNameTaken {
		t.Errorf("a name that is taken: %v", err)
	}
}

func TestUsersRefuse(t *testing.T) {
	t.Parallel()
	boss, robot := userOfAcme("boss", true), userOfAcme("robot", false)
	creator, granter := userOfAcme("creator", false, policy("iam:users:createUser")), userOfAcme("granter", false, policy("iam:users:setPolicies"))
	all := userOfAcme("all", false, policy("iam:*"))
	phones := userOfAcme("phones", false, policy("cph:*", "ims:*"))
	good := []account.Policy{policy("cph:phones:reset")}
	many := make([]account.Policy, maxPolicies+1)
	for i := range many {
		many[i] = good[0]
	}
	bad := []account.Policy{good[0], {Version: "1.1", Statement: []account.Statement{{Effect: "allow", Action: []string{"*"}}}}}

	add := func(caller account.Caller, name string, policies ...account.Policy) func(*Access) error {
		return func(u *Access) error {
			_, err := u.AddUser(context.Background(), caller, NewUser{Name: name, Policies: policies})
			return err
		}
	}
	set := func(caller account.Caller, name string, policies ...account.Policy) func(*Access) error {
		return func(u *Access) error { return u.SetPolicies(context.Background(), caller, name, policies) }
	}
	list := func(caller account.Caller) func(*Access) error {
		return func(u *Access) error {
			_, err := u.Users(context.Background(), caller)
			return err
		}
	}
	tests := []struct {
		name  string
		call  func(*Access) error
		code  phone.Code // "": it succeeds
		field string
	}{
		{"add without permission", add(robot, "new"), phone.Forbidden, ""},
		{"add with phones' permissions", add(phones, "new"), phone.Forbidden, ""},
		{"add with permission", add(creator, "new"), "", ""},
		{"add with policies, but not allowed to grant", add(creator, "new", good...), phone.Forbidden, ""},
		{"add with policies, allowed only to grant", add(granter, "new", good...), phone.Forbidden, ""},
		{"add with policies, allowed both", add(all, "new", good...), "", ""},
		{"add nameless", add(boss, ""), phone.Invalid, "user_name"},
		{"add with a space", add(boss, "a b"), phone.Invalid, "user_name"},
		{"add with a slash", add(boss, "a/b"), phone.Invalid, "user_name"},
		{"add with a line break at the end", add(boss, "a\n"), phone.Invalid, "user_name"},
		{"add with a long name", add(boss, strings.Repeat("a", 65)), phone.Invalid, "user_name"},
		{"add with the longest name", add(boss, strings.Repeat("a", 64)), "", ""},
		{"add with a bad policy", add(boss, "new", bad...), phone.Invalid, "policies"},
		{"add with many policies", add(boss, "new", many...), phone.Invalid, "policies"},
		{"add with as many as can be", add(boss, "new", many[1:]...), "", ""},

		{"set without permission", set(robot, "robot", good...), phone.Forbidden, ""},
		{"set one's own with another permission", set(creator, "creator", policy("*")), phone.Forbidden, ""},
		{"set with permission", set(granter, "robot", good...), "", ""},
		{"set by the owner", set(boss, "robot", good...), "", ""},
		{"set none", set(boss, "robot"), "", ""},
		{"set the owner's", set(all, "boss", good...), phone.Precondition, ""},
		{"set nobody's", set(boss, "nobody", good...), phone.NotFound, ""},
		{"set another account's", set(boss, "stranger", good...), phone.NotFound, ""},
		{"set of an impossible name", set(boss, "\x00", good...), phone.NotFound, ""},
		{"set a bad policy", set(boss, "robot", bad...), phone.Invalid, "policies"},

		{"list without permission", list(robot), phone.Forbidden, ""},
		{"list with phones' permissions", list(phones), phone.Forbidden, ""},
		{"list by the owner", list(boss), "", ""},
		{"list with permission", list(userOfAcme("l", false, policy("iam:users:list*"))), "", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			users, store := newUsers()
			before := slices.Clone(store.users)
			err := tt.call(users)
			if phone.CodeOf(err) != tt.code {
				t.Fatalf("%v, want code %q", err, tt.code)
			}
			var shown *phone.Error
			if errors.As(err, &shown) && shown.Field != tt.field {
				t.Errorf("the error is about %q, want %q", shown.Field, tt.field)
			}
			if err != nil && !cmp.Equal(before, store.users) {
				t.Errorf("refused, but the store changed:\n%s", cmp.Diff(before, store.users))
			}
		})
	}
}

func TestUsersShowNoHash(t *testing.T) {
	t.Parallel()
	users, store := newUsers()
	got, err := users.Users(t.Context(), userOfAcme("boss", true))
	if err != nil {
		t.Fatal(err)
	}
	boss, robot := userOfAcme("boss", true).User, userOfAcme("robot", false).User
	boss.PasswordHash, robot.PasswordHash = "", ""
	if diff := cmp.Diff([]account.User{boss, robot}, got); diff != "" {
		t.Errorf("the account's users (-want +got):\n%s", diff)
	}
	store.down = phone.Errorf(phone.Unavailable, "", "down")
	if _, err := users.Users(t.Context(), userOfAcme("boss", true)); !errors.Is(err, store.down) {
		t.Errorf("Users = %v, want the store's error", err)
	}
	if err := users.SetPolicies(t.Context(), userOfAcme("boss", true), "robot", nil); !errors.Is(err, store.down) {
		t.Errorf("SetPolicies = %v, want the store's error", err)
	}
	if _, err := users.AddUser(t.Context(), userOfAcme("boss", true), NewUser{Name: "new"}); !errors.Is(err, store.down) {
		t.Errorf("AddUser = %v, want the store's error", err)
	}
}

func TestSetPoliciesEndsTokens(t *testing.T) {
	t.Parallel()
	users, store := newUsers()
	want := []account.Policy{policy("cph:phones:list"), policy("cph:phones:reset")}
	if err := users.SetPolicies(t.Context(), userOfAcme("boss", true), "robot", want); err != nil {
		t.Fatal(err)
	}
	if got := store.users[1]; !cmp.Equal(want, got.Policies) || got.Epoch != 1 {
		t.Errorf("the user has policies %v at epoch %d", got.Policies, got.Epoch)
	}
}
