package storetest

import (
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/lethe-cloud/lethe/internal/account"
	"github.com/lethe-cloud/lethe/internal/phone"
)

func testBootstrapOnce(t *testing.T, f Fixture) {
	if created, err := f.Bootstrap(t.Context(), f.Owner, f.Key); err != nil || created {
		t.Errorf("Bootstrap again = %v, %v", created, err)
	}
	for _, table := range []string{"access_keys", "users", "projects", "accounts"} {
		f.exec(t, `DELETE FROM `+table)
	}
	stores := []Fixture{f, {Store: Reopen(t, f.URL, f.Clock)}}
	var made atomic.Int64
	var group sync.WaitGroup
	for i := range 8 {
		group.Go(func() {
			who, key := identity(f.Clock.Now())
			created, err := stores[i%2].Bootstrap(t.Context(), who, key)
			if err != nil {
				t.Errorf("Bootstrap: %v", err)
			}
			if created {
				made.Add(1)
			}
		})
	}
	group.Wait()
	equal(t, "bootstraps that wrote", made.Load(), 1)
	equal(t, "accounts", f.count(t, `SELECT count(*) FROM accounts`), 1)
	equal(t, "users", f.count(t, `SELECT count(*) FROM users`), 1)
	equal(t, "projects", f.count(t, `SELECT count(*) FROM projects`), 2)
}

func testAccounts(t *testing.T, f Fixture) {
	ctx := t.Context()
	for _, name := range []string{f.Owner.Account.Name, f.Owner.Account.ID} {
		who, err := f.UserByName(ctx, name, "root")
		must(t, "UserByName", err)
		equal(t, "the owner", who, f.Owner)
	}
	who, err := f.UserByID(ctx, f.Owner.User.ID)
	must(t, "UserByID", err)
	equal(t, "the owner", who, f.Owner)
	key, who, err := f.AccessKey(ctx, f.Key.ID)
	must(t, "AccessKey", err)
	equal(t, "the key", key, f.Key)
	equal(t, "its user", who, f.Owner)
	projects, err := f.Projects(ctx, f.Owner.Account.ID)
	must(t, "Projects", err)
	equal(t, "projects", projects, f.Owner.Projects)

	policy := []account.Policy{{Version: "1.1", Statement: []account.Statement{{Effect: "Allow", Action: []string{"cph:phones:reset"}}}}}
	user := account.User{
		ID: phone.NewID[string](), Account: f.Owner.Account.ID, Name: "bob", PasswordHash: "x", Policies: policy, Epoch: 3, CreatedAt: f.Clock.Now(),
	}
	must(t, "AddUser", f.AddUser(ctx, user, account.AccessKey{ID: "AKBOB", Secret: "s", User: user.ID, CreatedAt: f.Clock.Now()}))
	users, err := f.Users(ctx, f.Owner.Account.ID)
	must(t, "Users", err)
	equal(t, "users by name", users, []account.User{user, f.Owner.User})
	keyless := user
	keyless.ID, keyless.Name = phone.NewID[string](), "carol"
	must(t, "AddUser without a key", f.AddUser(ctx, keyless, account.AccessKey{}))
	same := user
	same.ID = phone.NewID[string]()
	refused(t, "a user's name again", f.AddUser(ctx, same, account.AccessKey{}), phone.Conflict, phone.ReasonNameTaken)
	stray := user
	stray.ID, stray.Name, stray.Account = phone.NewID[string](), "dora", phone.NewID[string]()
	refused(t, "a user of no account", f.AddUser(ctx, stray, account.AccessKey{}), phone.Precondition, "")

	must(t, "SetPolicies", f.SetPolicies(ctx, f.Owner.Account.ID, "bob", nil))
	who, err = f.UserByID(ctx, user.ID)
	must(t, "UserByID", err)
	equal(t, "epoch and policies", []any{who.User.Epoch, len(who.User.Policies)}, []any{int64(4), 0})
	must(t, "SetPolicies", f.SetPolicies(ctx, f.Owner.Account.ID, "bob", policy))
	who, err = f.UserByID(ctx, user.ID)
	must(t, "UserByID", err)
	equal(t, "policies", who.User.Policies, policy)

	refused(t, "SetPolicies of nobody", f.SetPolicies(ctx, f.Owner.Account.ID, "eve", nil), phone.NotFound, "")
	_, err = f.UserByName(ctx, "acme", "eve")
	refused(t, "UserByName", err, phone.NotFound, "")
	_, err = f.UserByName(ctx, "other", "root")
	refused(t, "UserByName", err, phone.NotFound, "")
	_, err = f.UserByID(ctx, "eve")
	refused(t, "UserByID", err, phone.NotFound, "")
	_, _, err = f.AccessKey(ctx, "AKEVE")
	refused(t, "AccessKey", err, phone.NotFound, "")
}

func testTokens(t *testing.T, f Fixture) {
	ctx := t.Context()
	now := f.Clock.Now()
	token := account.Token{
		Hash: [32]byte{1, 0, 255}, User: f.Owner.User.ID, Epoch: f.Owner.User.Epoch, Project: f.Owner.Projects[1].ID, IssuedAt: now, ExpiresAt: now.Add(time.Hour),
	}
	must(t, "InsertToken", f.InsertToken(ctx, token))
	scoped := token
	scoped.Hash, scoped.Project, scoped.ExpiresAt = [32]byte{2}, "", now.Add(2*time.Hour)
	must(t, "InsertToken", f.InsertToken(ctx, scoped))
	for _, want := range []account.Token{token, scoped} {
		got, who, err := f.Token(ctx, want.Hash)
		must(t, "Token", err)
		equal(t, "the token", got, want)
		equal(t, "its user", who, f.Owner)
	}
	refused(t, "the same token", f.InsertToken(ctx, token), phone.Conflict, "")
	stray := token
	stray.Hash, stray.User = [32]byte{3}, "nobody"
	refused(t, "a token of nobody", f.InsertToken(ctx, stray), phone.Precondition, "")
	_, _, err := f.Token(ctx, [32]byte{9})
	refused(t, "Token", err, phone.NotFound, "")

	must(t, "SetPolicies", f.SetPolicies(ctx, f.Owner.Account.ID, "root", nil))
	got, who, err := f.Token(ctx, token.Hash)
	must(t, "Token", err)
	if got.Epoch == who.User.Epoch {
		t.Errorf("a token from before a change of policies still has the user's epoch %d", got.Epoch)
	}
	f.Clock.Advance(time.Hour)
	n, err := f.DeleteExpiredTokens(ctx)
	must(t, "DeleteExpiredTokens", err)
	equal(t, "expired tokens", n, 1)
	_, _, err = f.Token(ctx, token.Hash)
	refused(t, "an expired token", err, phone.NotFound, "")
	_, _, err = f.Token(ctx, scoped.Hash)
	must(t, "a token that is not expired", err)
}
