package storetest

import (
	"os"
	"strings"
	"testing"

	"github.com/lethe-cloud/lethe/internal/account"
	"github.com/lethe-cloud/lethe/internal/phone"
	"github.com/lethe-cloud/lethe/internal/seal"
	"github.com/lethe-cloud/lethe/internal/store"
)

// reopenWith opens the database with the keys of these lines.
func (f Fixture) reopenWith(t *testing.T, lines ...string) (*store.Store, error) {
	t.Helper()
	keys, err := seal.Parse([]byte(strings.Join(lines, "\n")))
	must(t, "Parse", err)
	return store.Open(t.Context(), store.Config{URL: f.URL, Now: f.Clock.Now, Keys: keys})
}

// plain counts the access keys whose secret is not encrypted with the keys' first.
func (f Fixture) plain(t testing.TB, keys seal.Keys) int {
	t.Helper()
	return f.count(t, `SELECT count(*) FROM access_keys WHERE secret NOT LIKE '`+keys.Prefix()+`%'`)
}

// testSealed looks at what the database keeps of an access key, takes it through a rotation, and refuses a foreign key.
func testSealed(t *testing.T, f Fixture) {
	ctx := t.Context()
	equal(t, "plain secrets", f.plain(t, TestKeys(t)), 0)
	f.exec(t, `UPDATE access_keys SET secret = 'secret-of-an-older-version'`)
	f.Key.Secret = "secret-of-an-older-version"
	again := Reopen(t, f.URL, f.Clock)
	equal(t, "plain secrets after the next start", f.plain(t, TestKeys(t)), 0)
	key, _, err := again.AccessKey(ctx, f.Key.ID)
	must(t, "AccessKey", err)
	equal(t, "the key", key, f.Key)
	must(t, "AddUser", f.AddUser(ctx, account.User{
		ID: phone.NewID[string](), Account: f.Owner.Account.ID, Name: "bob", PasswordHash: "x", CreatedAt: f.Clock.Now(),
	}, account.AccessKey{}))

	foreign := seal.NewLine()
	if s, err := f.reopenWith(t, foreign); phone.ReasonOf(err) != phone.ReasonKeyForeign || phone.CodeOf(err) != phone.Precondition {
		t.Errorf("opened with another installation's key: %v, %v", s, err)
	} else if !strings.Contains(err.Error(), "the same key file") {
		t.Errorf("the refusal does not say what to do: %v", err)
	}
	equal(t, "plain secrets after a refused start", f.plain(t, TestKeys(t)), 0)

	rotated, err := f.reopenWith(t, foreign, testKey)
	must(t, "Open with a new key before the old one", err)
	defer func() { must(t, "Close", rotated.Close()) }()
	key, _, err = rotated.AccessKey(ctx, f.Key.ID)
	must(t, "AccessKey after a rotation", err)
	equal(t, "the key after a rotation", key, f.Key)
	if _, _, err := f.AccessKey(ctx, f.Key.ID); phone.CodeOf(err) != phone.Unavailable {
		t.Errorf("a process that still has the old key file: %v", err)
	}
	if s, err := f.reopenWith(t, testKey); phone.ReasonOf(err) != phone.ReasonKeyForeign {
		t.Errorf("opened with the old key alone: %v, %v", s, err)
	}
	f.exec(t, `UPDATE access_keys SET id = 'AKMOVED'`)
	if _, _, err := rotated.AccessKey(ctx, "AKMOVED"); phone.CodeOf(err) != phone.Internal {
		t.Errorf("a secret that was moved to another access key: %v", err)
	}
}

// testSealedWithoutTraces looks for the plain secret of an older version in the file itself.
func testSealedWithoutTraces(t *testing.T, f Fixture) {
	path, ok := strings.CutPrefix(f.URL, "sqlite:")
	if !ok {
		t.Skip("only a file can be looked through")
	}
	const secret = "s3cretOfAnOlderVersionThatWasWrittenPlain"
	f.exec(t, `UPDATE access_keys SET secret = '`+secret+`'`)
	inFiles := func() (found bool) {
		for _, file := range []string{path, path + "-wal"} {
			text, err := os.ReadFile(file)
			must(t, "read the database", err)
			found = found || strings.Contains(string(text), secret)
		}
		return found
	}
	if !inFiles() {
		t.Fatal("the plain secret is not where it is looked for")
	}
	Reopen(t, f.URL, f.Clock)
	if inFiles() {
		t.Error("the plain secret is still in the database's files")
	}
}

func testWithoutKeys(t *testing.T, f Fixture) {
	s, err := store.Open(t.Context(), store.Config{URL: f.URL})
	must(t, "Open", err)
	defer func() { must(t, "Close", s.Close()) }()
	if _, _, err := s.AccessKey(t.Context(), f.Key.ID); err == nil {
		t.Error("a store without keys gives an access key")
	}
	user := account.User{ID: phone.NewID[string](), Account: f.Owner.Account.ID, Name: "eve", PasswordHash: "x", CreatedAt: f.Clock.Now()}
	if err := s.AddUser(t.Context(), user, account.AccessKey{ID: "AKEVE", Secret: "s", User: user.ID}); err == nil {
		t.Error("a store without keys writes an access key")
	}
	equal(t, "plain secrets", f.plain(t, TestKeys(t)), 0)
}
