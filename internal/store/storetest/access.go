package storetest

import (
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/lethe-cloud/lethe/internal/account"
	"github.com/lethe-cloud/lethe/internal/fleet"
	"github.com/lethe-cloud/lethe/internal/phone"
)

// tenant adds a second account, which has a user, a group, a policy and a project of every name that the first one's tests use.
func (f Fixture) tenant(t *testing.T) account.Identity {
	t.Helper()
	who, key := identity(f.Clock.Now())
	who.Account.Name = "tenant"
	must(t, "AddAccount", f.AddAccount(t.Context(), who, key))
	f.addUser(t, who.Account.ID, "bob")
	f.addGroup(t, who.Account.ID, "staff")
	f.addPolicy(t, who.Account.ID, "reset", "cph:phones:reset")
	return who
}

func (f Fixture) addUser(t *testing.T, accountID, name string) account.User {
	t.Helper()
	user := account.User{ID: phone.NewID[string](), Account: accountID, Name: name, PasswordHash: "x", CreatedAt: f.Clock.Now()}
	must(t, "AddUser", f.AddUser(t.Context(), user, account.AccessKey{}))
	return user
}

func (f Fixture) addGroup(t *testing.T, accountID, name string) account.Group {
	t.Helper()
	group := account.Group{ID: phone.NewID[string](), Account: accountID, Name: name, CreatedAt: f.Clock.Now()}
	must(t, "AddGroup", f.AddGroup(t.Context(), group))
	return group
}

func (f Fixture) addPolicy(t *testing.T, accountID, name string, actions ...string) account.NamedPolicy {
	t.Helper()
	policy := account.NamedPolicy{
		ID: phone.NewID[string](), Account: accountID, CreatedAt: f.Clock.Now(), UpdatedAt: f.Clock.Now(),
		Policy: account.Policy{Name: name, Version: "1.1", Statement: []account.Statement{{Effect: "Allow", Action: actions}}},
	}
	must(t, "AddPolicy", f.AddPolicy(t.Context(), policy))
	return policy
}

// who reads a user as an authenticated call does.
func (f Fixture) who(t *testing.T, user account.User) account.Identity {
	t.Helper()
	who, err := f.UserByID(t.Context(), user.ID)
	must(t, "UserByID", err)
	return who
}

// outdates checks that a change makes the user's tokens dead, at once and for a store of another process too.
func (f Fixture) outdates(t *testing.T, what string, user account.User, change func() error) {
	t.Helper()
	before := f.who(t, user).User.Epoch
	must(t, what, change())
	after, err := Reopen(t, f.URL, f.Clock).UserByID(t.Context(), user.ID)
	must(t, "UserByID", err)
	if after.User.Epoch == before {
		t.Errorf("%s leaves the user's tokens alive", what)
	}
}

func testGrants(t *testing.T, f Fixture) {
	ctx, id := t.Context(), f.Owner.Account.ID
	f.tenant(t)
	bob, carol := f.addUser(t, id, "bob"), f.addUser(t, id, "carol")
	staff := f.addGroup(t, id, "staff")
	reset, list := f.addPolicy(t, id, "reset", "cph:phones:reset"), f.addPolicy(t, id, "list", "cph:phones:list")
	project := f.Owner.Projects[0]
	full, _ := account.SystemPolicy(account.CPHFullAccess)

	direct := account.Attachment{User: "bob", Policy: "reset", Project: project.Name}
	f.outdates(t, "attach to a user", bob, func() error { return f.Attach(ctx, id, direct) })
	equal(t, "grants in a project", f.who(t, bob).Grants, []account.Grant{{Policy: reset.Policy, Project: project.ID}})
	epoch := f.who(t, bob).User.Epoch
	must(t, "attach again", f.Attach(ctx, id, direct))
	equal(t, "epoch after nothing changed", f.who(t, bob).User.Epoch, epoch)
	equal(t, "grants after the same again", len(f.who(t, bob).Grants), 1)
	must(t, "attach a system policy", f.Attach(ctx, id, account.Attachment{User: "bob", Policy: account.CPHFullAccess}))
	must(t, "detach", f.Detach(ctx, id, direct))
	equal(t, "grants of a system policy", f.who(t, bob).Grants, []account.Grant{{Policy: full.Policy}})
	refused(t, "detach what was not attached so", f.Detach(ctx, id, account.Attachment{User: "bob", Policy: account.CPHFullAccess, Project: project.Name}), phone.NotFound, "")
	f.outdates(t, "detach from a user", bob, func() error { return f.Detach(ctx, id, account.Attachment{User: "bob", Policy: account.CPHFullAccess}) })
	equal(t, "grants after all is detached", len(f.who(t, bob).Grants), 0)

	f.outdates(t, "put into a group", bob, func() error { return f.SetMember(ctx, id, "staff", "bob", true) })
	must(t, "put into a group again", f.SetMember(ctx, id, "staff", "bob", true))
	byGroup := account.Attachment{Group: "staff", Policy: "list"}
	f.outdates(t, "attach to a group", bob, func() error { return f.Attach(ctx, id, byGroup) })
	equal(t, "grants by a group", f.who(t, bob).Grants, []account.Grant{{Policy: list.Policy}})
	equal(t, "grants of a user outside", len(f.who(t, carol).Grants), 0)
	detail, err := f.Group(ctx, id, "staff")
	must(t, "Group", err)
	equal(t, "the group", detail, fleet.GroupDetail{Group: staff, Users: []string{"bob"}, Grants: []account.Attachment{byGroup}})
	user, err := f.User(ctx, id, "bob")
	must(t, "User", err)
	equal(t, "the user", []any{user.User.ID, user.Groups, user.Grants}, []any{bob.ID, []string{"staff"}, []account.Attachment{byGroup}})

	list.Policy.Statement[0].Action = []string{"cph:phones:get"}
	f.Clock.Advance(time.Minute)
	f.outdates(t, "replace a policy", bob, func() error { return f.ReplacePolicy(ctx, id, "list", list.Policy) })
	equal(t, "grants after a policy was replaced", f.who(t, bob).Grants, []account.Grant{{Policy: list.Policy}})
	policies, err := f.Policies(ctx, id)
	must(t, "Policies", err)
	list.UpdatedAt = f.Clock.Now()
	equal(t, "policies by name", policies, []account.NamedPolicy{list, reset})
	refused(t, "delete a policy that is attached", f.DeletePolicy(ctx, id, "list"), phone.Precondition, "")
	f.outdates(t, "detach from a group", bob, func() error { return f.Detach(ctx, id, byGroup) })
	must(t, "delete a policy", f.DeletePolicy(ctx, id, "list"))
	refused(t, "attach what was deleted", f.Attach(ctx, id, byGroup), phone.NotFound, "")

	f.outdates(t, "take out of a group", bob, func() error { return f.SetMember(ctx, id, "staff", "bob", false) })
	must(t, "take out again", f.SetMember(ctx, id, "staff", "bob", false))
	must(t, "put in", f.SetMember(ctx, id, "staff", "bob", true))
	must(t, "attach", f.Attach(ctx, id, account.Attachment{Group: "staff", Policy: "reset"}))
	f.outdates(t, "delete a group", bob, func() error { return f.DeleteGroup(ctx, id, "staff") })
	equal(t, "grants after the group was deleted", len(f.who(t, bob).Grants), 0)
	must(t, "delete the policy of the deleted group", f.DeletePolicy(ctx, id, "reset"))

	refused(t, "a group's name again", f.AddGroup(ctx, account.Group{ID: f.addGroup(t, id, "one").ID + "x", Account: id, Name: "one"}), phone.Conflict, phone.ReasonNameTaken)
	f.addPolicy(t, id, "one")
	again := account.NamedPolicy{ID: phone.NewID[string](), Account: id, Policy: account.Policy{Name: "one"}}
	refused(t, "a policy's name again", f.AddPolicy(ctx, again), phone.Conflict, phone.ReasonNameTaken)
	for what, err := range map[string]error{
		"attach to no user":          f.Attach(ctx, id, account.Attachment{User: "eve", Policy: "one"}),
		"attach to no group":         f.Attach(ctx, id, account.Attachment{Group: "staff", Policy: "one"}), // the tenant has one
		"attach no policy":           f.Attach(ctx, id, account.Attachment{User: "bob", Policy: "reset"}),  // the tenant has one
		"attach in no project":       f.Attach(ctx, id, account.Attachment{User: "bob", Policy: "one", Project: "nowhere"}),
		"replace no policy":          f.ReplacePolicy(ctx, id, "reset", list.Policy),
		"delete no policy":           f.DeletePolicy(ctx, id, "reset"),
		"delete no group":            f.DeleteGroup(ctx, id, "staff"),
		"put nobody into a group":    f.SetMember(ctx, id, "one", "eve", true),
		"put a user into no group":   f.SetMember(ctx, id, "staff", "bob", true),
		"take a user out of nothing": f.SetMember(ctx, id, "staff", "bob", false),
	} {
		refused(t, what, err, phone.NotFound, "")
	}
	for range account.MaxGroups - 1 {
		f.addGroup(t, id, phone.NewID[string]())
	}
	refused(t, "one group too many", f.AddGroup(ctx, account.Group{ID: "x", Account: id, Name: "x"}), phone.Exhausted, "")
}

func testUsersAndKeys(t *testing.T, f Fixture) {
	ctx, id := t.Context(), f.Owner.Account.ID
	tenant := f.tenant(t)
	bob := f.addUser(t, id, "bob")
	f.outdates(t, "disable", bob, func() error { return f.SetUserDisabled(ctx, id, "bob", true) })
	equal(t, "disabled", f.who(t, bob).User.Disabled, true)
	f.outdates(t, "enable", bob, func() error { return f.SetUserDisabled(ctx, id, "bob", false) })
	f.outdates(t, "set a password", bob, func() error { return f.SetPassword(ctx, id, "bob", "y") })
	equal(t, "password and state", []any{f.who(t, bob).User.PasswordHash, f.who(t, bob).User.Disabled}, []any{"y", false})

	first := account.AccessKey{ID: "AK1", Secret: "s1", CreatedAt: f.Clock.Now()}
	second := account.AccessKey{ID: "AK2", Secret: "s2", CreatedAt: f.Clock.Now().Add(time.Second)}
	var made, refusals atomic.Int64
	var group sync.WaitGroup
	stores := []Fixture{f, {Store: Reopen(t, f.URL, f.Clock)}}
	for i, key := range []account.AccessKey{first, second, {ID: "AK3", Secret: "s3"}, {ID: "AK4", Secret: "s4"}} {
		group.Go(func() {
			switch err := stores[i%2].AddKey(ctx, id, "bob", key); phone.CodeOf(err) {
			case "":
				made.Add(1)
			case phone.Exhausted:
				refusals.Add(1)
			default:
				t.Errorf("AddKey: %v", err)
			}
		})
	}
	group.Wait()
	equal(t, "keys that were made and refused at once", []int64{made.Load(), refusals.Load()}, []int64{account.MaxKeys, 2})
	f.exec(t, `DELETE FROM access_keys WHERE user_id = $1`, bob.ID)
	must(t, "AddKey", f.AddKey(ctx, id, "bob", second))
	must(t, "AddKey", f.AddKey(ctx, id, "bob", first))
	keys, err := f.Keys(ctx, id, "bob")
	must(t, "Keys", err)
	first.User, second.User = bob.ID, bob.ID
	f.outdates(t, "disable a key", bob, func() error { return f.SetKeyDisabled(ctx, id, "bob", "AK1", true) })
	got, _, err := f.AccessKey(ctx, "AK1")
	must(t, "AccessKey", err)
	first.Disabled = true
	equal(t, "a disabled key", got, first)
	first.Disabled, first.Secret, second.Secret = false, "", ""
	equal(t, "keys by age, without secrets", keys, []account.AccessKey{first, second})
	f.outdates(t, "delete a key", bob, func() error { return f.DeleteKey(ctx, id, "bob", "AK1") })
	_, _, err = f.AccessKey(ctx, "AK1")
	refused(t, "a deleted key", err, phone.NotFound, "")
	for what, err := range map[string]error{
		"delete it again":                 f.DeleteKey(ctx, id, "bob", "AK1"),
		"disable what is gone":            f.SetKeyDisabled(ctx, id, "bob", "AK1", true),
		"delete another user's key":       f.DeleteKey(ctx, id, "root", "AK2"),
		"delete another account's key":    f.DeleteKey(ctx, tenant.Account.ID, "bob", "AK2"),
		"disable another account's key":   f.SetKeyDisabled(ctx, tenant.Account.ID, "bob", "AK2", true),
		"add a key for nobody":            f.AddKey(ctx, id, "eve", account.AccessKey{ID: "AK9"}),
		"set nobody's password":           f.SetPassword(ctx, id, "eve", "z"),
		"disable nobody":                  f.SetUserDisabled(ctx, id, "eve", true),
		"delete nobody":                   f.DeleteUser(ctx, id, "eve"),
		"delete in an account of no user": f.DeleteUser(ctx, tenant.Account.ID, "eve"),
	} {
		refused(t, what, err, phone.NotFound, "")
	}
	refused(t, "set a password in no account", f.SetPassword(ctx, "x", "bob", "z"), phone.Precondition, "")

	token := account.Token{Hash: [32]byte{7}, User: bob.ID, IssuedAt: f.Clock.Now(), ExpiresAt: f.Clock.Now().Add(time.Hour)}
	must(t, "InsertToken", f.InsertToken(ctx, token))
	f.addGroup(t, id, "staff")
	must(t, "SetMember", f.SetMember(ctx, id, "staff", "bob", true))
	must(t, "Attach", f.Attach(ctx, id, account.Attachment{User: "bob", Policy: account.CPHFullAccess}))
	must(t, "DeleteUser", f.DeleteUser(ctx, id, "bob"))
	_, _, err = f.Token(ctx, token.Hash)
	refused(t, "a deleted user's token", err, phone.NotFound, "")
	_, _, err = f.AccessKey(ctx, "AK2")
	refused(t, "a deleted user's key", err, phone.NotFound, "")
	_, err = f.User(ctx, id, "bob")
	refused(t, "a deleted user", err, phone.NotFound, "")
	users, err := f.Users(ctx, tenant.Account.ID)
	must(t, "Users", err)
	equal(t, "the tenant's users", len(users), 2)
}

func testProjectsAndAccounts(t *testing.T, f Fixture) {
	ctx, id := t.Context(), f.Owner.Account.ID
	tenant := f.tenant(t)
	bob := f.addUser(t, id, "bob")
	extra := account.Project{ID: phone.NewID[string](), Account: id, Name: "extra", CreatedAt: f.Clock.Now()}
	must(t, "AddProject", f.AddProject(ctx, extra))
	same := extra
	same.ID = phone.NewID[string]()
	refused(t, "a project's name again", f.AddProject(ctx, same), phone.Conflict, phone.ReasonNameTaken)
	refused(t, "a name that is taken", f.RenameProject(ctx, id, "extra", f.Owner.Projects[0].Name), phone.Conflict, phone.ReasonNameTaken)
	f.outdates(t, "rename a project", bob, func() error { return f.RenameProject(ctx, id, "extra", "other") })
	refused(t, "rename what is not there", f.RenameProject(ctx, id, "extra", "third"), phone.NotFound, "")
	refused(t, "rename another account's", f.RenameProject(ctx, tenant.Account.ID, "other", "third"), phone.NotFound, "")
	refused(t, "delete another account's", f.DeleteProject(ctx, tenant.Account.ID, "other"), phone.NotFound, "")

	must(t, "Attach", f.Attach(ctx, id, account.Attachment{User: "bob", Policy: account.CPHFullAccess, Project: "other"}))
	must(t, "AddImage", f.AddImage(ctx, phone.Image{ID: phone.NewID[phone.ImageID](), Project: phone.ProjectID(extra.ID), Name: "i", Reference: "r"}))
	f.outdates(t, "delete a project", bob, func() error { return f.DeleteProject(ctx, id, "other") })
	equal(t, "grants on a deleted project", len(f.who(t, bob).Grants), 0)
	equal(t, "images of a deleted project", f.count(t, `SELECT count(*) FROM images WHERE project_id = $1`, extra.ID), 0)
	f.Fleet(t, f.Project(0), f.Image(t).ID, 1, 1)
	refused(t, "delete a project with phones", f.DeleteProject(ctx, id, f.Owner.Projects[0].Name), phone.Precondition, "")

	must(t, "SetOwnHosts", f.SetOwnHosts(ctx, "tenant", true))
	equal(t, "own hosts", f.who(t, tenant.User).Account.OwnHosts, true)
	must(t, "SetOwnHosts", f.SetOwnHosts(ctx, "tenant", false))
	equal(t, "no own hosts", f.who(t, tenant.User).Account.OwnHosts, false)
	refused(t, "own hosts of nobody", f.SetOwnHosts(ctx, "nobody", true), phone.NotFound, "")
	accounts, err := f.Accounts(ctx)
	must(t, "Accounts", err)
	equal(t, "accounts", len(accounts), 2)
	taken, key := identity(f.Clock.Now())
	refused(t, "an account's name again", f.AddAccount(ctx, taken, key), phone.Conflict, phone.ReasonNameTaken)
	refused(t, "delete an account that nobody has", f.DeleteAccount(ctx, "nobody"), phone.NotFound, "")
	f.exec(t, `UPDATE accounts SET operator = $1 WHERE id = $2`, true, id)
	refused(t, "delete the operator's account", f.DeleteAccount(ctx, f.Owner.Account.Name), phone.Precondition, "")
	if _, err := f.DB.ExecContext(ctx, `UPDATE accounts SET operator = $1`, true); err == nil {
		t.Error("the database takes a second operator")
	}

	must(t, "SetMember", f.SetMember(ctx, tenant.Account.ID, "staff", "bob", true))
	must(t, "Attach", f.Attach(ctx, tenant.Account.ID, account.Attachment{Group: "staff", Policy: "reset", Project: tenant.Projects[0].Name}))
	must(t, "Attach", f.Attach(ctx, tenant.Account.ID, account.Attachment{User: "bob", Policy: account.CPHFullAccess}))
	must(t, "InsertToken", f.InsertToken(ctx, account.Token{Hash: [32]byte{8}, User: tenant.User.ID, IssuedAt: f.Clock.Now(), ExpiresAt: f.Clock.Now()}))
	image := phone.Image{ID: phone.NewID[phone.ImageID](), Project: phone.ProjectID(tenant.Projects[0].ID), Name: "i", Reference: "r"}
	must(t, "AddImage", f.AddImage(ctx, image))
	busy := f.ServerInput(image.Project, image.ID, 1, 1)
	busy.Server.Endpoint = "elsewhere"
	must(t, "AddServer", f.AddServer(ctx, busy))
	refused(t, "delete an account with phones", f.DeleteAccount(ctx, "tenant"), phone.Precondition, "")
	for _, table := range []string{"river_job", "jobs", "phones", "server_watches", "servers"} {
		condition := ` WHERE project_id = '` + tenant.Projects[0].ID + `'`
		if table == "river_job" || table == "server_watches" {
			condition = ""
		}
		f.exec(t, `DELETE FROM `+table+condition)
	}
	must(t, "DeleteAccount", f.DeleteAccount(ctx, "tenant"))
	for table, want := range map[string]int{"accounts": 1, "user_groups": 0, "policies": 0, "grants": 0, "group_members": 0, "tokens": 0, "projects": 2, "users": 2} {
		equal(t, fmt.Sprintf("rows of %s", table), f.count(t, `SELECT count(*) FROM `+table), want)
	}
}

// testLoginWhileDeleting issues tokens to users while these are deleted: either the token is there and dies with the user, or it is
// refused, and nothing stays behind.
func testLoginWhileDeleting(t *testing.T, f Fixture) {
	ctx, id := t.Context(), f.Owner.Account.ID
	other := Reopen(t, f.URL, f.Clock)
	for n := range 10 {
		user := f.addUser(t, id, fmt.Sprintf("user-%d", n))
		var group sync.WaitGroup
		group.Go(func() { must(t, "DeleteUser", f.DeleteUser(ctx, id, user.Name)) })
		group.Go(func() {
			err := other.InsertToken(ctx, account.Token{Hash: [32]byte{9, byte(n)}, User: user.ID, IssuedAt: f.Clock.Now(), ExpiresAt: f.Clock.Now()})
			if err != nil && phone.CodeOf(err) != phone.Precondition {
				t.Errorf("InsertToken: %v", err)
			}
		})
		group.Wait()
	}
	equal(t, "tokens of deleted users", f.count(t, `SELECT count(*) FROM tokens`), 0)
}
