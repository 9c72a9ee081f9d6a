package iam

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/lethe-cloud/lethe/internal/account"
)

var someTime = time.Date(2026, 5, 6, 7, 8, 9, 123_456_789, time.UTC)

func someNow() time.Time { return someTime }

func TestBootstrap(t *testing.T) {
	t.Parallel()
	store := newMemory(someNow)
	got, created, err := Bootstrap(t.Context(), store, Names{Now: someNow})
	if err != nil || !created {
		t.Fatalf("Bootstrap = %v, %v", created, err)
	}
	want := Credentials{Region: "local-1", Account: "lethe", User: "admin", Project: "local-1"}
	secret := cmpopts.IgnoreFields(Credentials{}, "AccountID", "Password", "ProjectID", "AccessKey", "SecretKey")
	if diff := cmp.Diff(want, got, secret); diff != "" {
		t.Errorf("the credentials (-want +got):\n%s", diff)
	}

	key, identity, err := store.AccessKey(t.Context(), got.AccessKey)
	if err != nil {
		t.Fatal(err)
	}
	at := someTime.Truncate(time.Microsecond)
	wantIdentity := account.Identity{
		User: account.User{
			ID: identity.User.ID, Account: got.AccountID, Name: "admin", PasswordHash: identity.User.PasswordHash, Owner: true, CreatedAt: at,
		},
		Account:  account.Account{ID: got.AccountID, Name: "lethe", Operator: true, CreatedAt: at},
		Projects: []account.Project{{ID: got.ProjectID, Account: got.AccountID, Name: "local-1", CreatedAt: at}},
	}
	if diff := cmp.Diff(wantIdentity, identity); diff != "" {
		t.Errorf("what the store has (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(account.AccessKey{ID: got.AccessKey, Secret: got.SecretKey, User: identity.User.ID, CreatedAt: at}, key); diff != "" {
		t.Errorf("the access key (-want +got):\n%s", diff)
	}
	if ok, err := account.CheckPassword(identity.User.PasswordHash, got.Password); !ok || err != nil {
		t.Errorf("the password does not fit its hash: %v", err)
	}

	again, created, err := Bootstrap(t.Context(), store, Names{})
	if created || err != nil || again != (Credentials{}) || len(store.users) != 1 {
		t.Errorf("a second Bootstrap = %v, %v, %v", again, created, err)
	}
}

func TestBootstrapNames(t *testing.T) {
	t.Parallel()
	got, _, err := Bootstrap(t.Context(), newMemory(someNow), Names{Account: "a", User: "u", Region: "r"})
	if err != nil || got.Account != "a" || got.User != "u" || got.Region != "r" || got.Project != "r" {
		t.Errorf("Bootstrap = %+v, %v", got, err)
	}
	store := newMemory(someNow)
	store.fail(errDown)
	if got, created, err := Bootstrap(t.Context(), store, Names{}); !errors.Is(err, errDown) || created || got != (Credentials{}) {
		t.Errorf("Bootstrap = %v, %v, %v, want the store's error", got, created, err)
	}
}

func TestCredentialsFile(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "credentials.json")
	want := Credentials{
		Endpoint: "http://127.0.0.1:8774", Region: "local-1", Account: "lethe", AccountID: "aid", User: "admin", Password: `p"w`,
		Project: "local-1", ProjectID: "pid", AccessKey: "AK", SecretKey: "SK",
	}
	for range 2 { // the second one replaces the first
		if err := want.Write(path); err != nil {
			t.Fatal(err)
		}
		info, err := os.Stat(path)
		if err != nil || info.Mode().Perm() != 0o600 {
			t.Fatalf("the file's mode is %v, %v", info.Mode(), err)
		}
		got, err := ReadCredentials(path)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("read again (-want +got):\n%s", diff)
		}
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		same(t, `{"endpoint":"http://127.0.0.1:8774","region":"local-1","account":"lethe","account_id":"aid","user":"admin","password":"p\"w",
			"project":"local-1","project_id":"pid","access_key":"AK","secret_key":"SK"}`, text)
	}
	if left := files(t, filepath.Dir(path)); len(left) != 1 {
		t.Errorf("the folder has %v", left)
	}
	if err := want.Write(filepath.Join(path, "below a file")); err == nil {
		t.Error("Write into what is no folder succeeded")
	}
	var out bytes.Buffer
	slog.New(slog.NewJSONHandler(&out, nil)).Info("m", "credentials", want)
	_, _ = fmt.Fprintf(&out, "%v %+v", want, want)
	if strings.Contains(out.String(), "SK") || strings.Contains(out.String(), `p"w`) || !strings.Contains(out.String(), "AK") {
		t.Errorf("written: %s", out.String())
	}
}

func files(t *testing.T, dir string) []string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}

func TestReadCredentialsRefuses(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if _, err := ReadCredentials(filepath.Join(dir, "nothing")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a file that is not there: %v", err)
	}
	path := filepath.Join(dir, "credentials.json")
	for _, text := range []string{"", "hunter2", `["hunter2"]`, `{"secret_key":7,"password":"hunter2"}`, `{"secret_key":"hunter2"`} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		_, err := ReadCredentials(path)
		if err == nil || !strings.Contains(err.Error(), path) || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("ReadCredentials of %q = %v, want an error that names the file only", text, err)
		}
	}
}

// TestProvision starts an installation again and again, as it can happen.
func TestProvision(t *testing.T) {
	t.Parallel()
	const endpoint = "http://127.0.0.1:8774"
	// works reports whether the file's key opens the store.
	works := func(t *testing.T, store *memory, path string) Credentials {
		t.Helper()
		c, err := ReadCredentials(path)
		if err != nil {
			t.Fatal(err)
		}
		key, identity, err := store.AccessKey(t.Context(), c.AccessKey)
		if err != nil || key.Secret != c.SecretKey || identity.Account.ID != c.AccountID || identity.Projects[0].ID != c.ProjectID {
			t.Errorf("the file's credentials are not the store's: %v", err)
		}
		if ok, err := account.CheckPassword(identity.User.PasswordHash, c.Password); !ok || err != nil {
			t.Errorf("the file's password is not the store's: %v", err)
		}
		if left := files(t, filepath.Dir(path)); len(left) != 1 {
			t.Errorf("the folder has %v", left)
		}
		return c
	}
	provision := func(t *testing.T, store Store, endpoint, path string, want bool) {
		t.Helper()
		if created, err := Provision(t.Context(), store, Names{}, endpoint, path); err != nil || created != want {
			t.Fatalf("Provision = %v, %v, want %v", created, err, want)
		}
	}
	path := func(t *testing.T) string { return filepath.Join(t.TempDir(), "credentials.json") }

	t.Run("the first start, and later ones", func(t *testing.T) {
		t.Parallel()
		store, path := newMemory(someNow), path(t)
		provision(t, store, endpoint, path, true)
		first := works(t, store, path)
		if first.Endpoint != endpoint {
			t.Errorf("the endpoint is %q", first.Endpoint)
		}
		before, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		provision(t, store, endpoint, path, false)
		after, err := os.Stat(path)
		if err != nil || !os.SameFile(before, after) {
			t.Errorf("a second start wrote the file again: %v", err)
		}
		provision(t, store, "https://elsewhere", path, false)
		moved := works(t, store, path)
		if moved.Endpoint != "https://elsewhere" {
			t.Errorf("after a move the endpoint is %q", moved.Endpoint)
		}
		if moved.Endpoint = endpoint; moved != first {
			t.Error("a move changed more than the endpoint")
		}
	})
	t.Run("ended before the account was made", func(t *testing.T) {
		t.Parallel()
		store, path := newMemory(someNow), path(t)
		store.fail(errDown)
		if err := (Names{}).credentials().Write(path + ".new"); err != nil {
			t.Fatal(err)
		}
		if created, err := Provision(t.Context(), store, Names{}, endpoint, path); created || !errors.Is(err, errDown) {
			t.Fatalf("Provision = %v, %v", created, err)
		}
		store.fail(nil)
		provision(t, store, endpoint, path, true)
		works(t, store, path)
	})
	t.Run("ended after the account was made", func(t *testing.T) {
		t.Parallel()
		store, path := newMemory(someNow), path(t)
		store.afterBootstrap = errDown
		if created, err := Provision(t.Context(), store, Names{}, endpoint, path); created || !errors.Is(err, errDown) {
			t.Fatalf("Provision = %v, %v", created, err)
		}
		provision(t, store, "https://elsewhere", path, true)
		if c := works(t, store, path); c.Endpoint != "https://elsewhere" {
			t.Errorf("the endpoint is %q", c.Endpoint)
		}
		provision(t, store, "https://elsewhere", path, false)
	})
	t.Run("ended between the file and its predecessor", func(t *testing.T) {
		t.Parallel()
		store, path := newMemory(someNow), path(t)
		provision(t, store, endpoint, path, true)
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path+".new", text, 0o600); err != nil {
			t.Fatal(err)
		}
		provision(t, store, endpoint, path, false)
		works(t, store, path)
	})
	t.Run("another replica was first", func(t *testing.T) {
		t.Parallel()
		store, path, second := newMemory(someNow), path(t), path(t)
		provision(t, store, endpoint, path, true)
		provision(t, store, endpoint, second, false)
		if left := files(t, filepath.Dir(second)); len(left) != 0 {
			t.Errorf("the second replica's folder has %v", left)
		}
		works(t, store, path)
	})
	t.Run("a new database behind an old file", func(t *testing.T) {
		t.Parallel()
		path := path(t)
		provision(t, newMemory(someNow), endpoint, path, true)
		store := newMemory(someNow)
		provision(t, store, endpoint, path, true)
		works(t, store, path)
	})
	t.Run("no endpoint, no folder", func(t *testing.T) {
		t.Parallel()
		store := newMemory(someNow)
		for _, bad := range [][2]string{{"", path(t)}, {endpoint, filepath.Join(t.TempDir(), "missing", "credentials.json")}} {
			if created, err := Provision(t.Context(), store, Names{}, bad[0], bad[1]); err == nil || created || len(store.users) != 0 {
				t.Errorf("Provision(%q) = %v, %v, and %d users: nobody could ever read their secrets", bad, created, err, len(store.users))
			}
		}
	})
}
