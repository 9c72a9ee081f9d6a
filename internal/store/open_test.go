package store_test

import (
	"context"
	"errors"
	"net"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/lethe-cloud/lethe/internal/phone"
	"github.com/lethe-cloud/lethe/internal/store"
	"github.com/lethe-cloud/lethe/internal/store/storetest"
	"github.com/lethe-cloud/lethe/internal/testenv"
)

// TestOpenRefused opens databases that are not there: the error says what to do and never shows a password.
func TestOpenRefused(t *testing.T) {
	t.Parallel()
	closed, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := closed.Addr().String()
	if err := closed.Close(); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name, url string
		code      phone.Code
		says      string
	}{
		{"no scheme", "lethe.db", phone.Invalid, "write sqlite:PATH or postgres://"},
		{"another database", "mysql://root:s3cret@h/db", phone.Invalid, "write sqlite:PATH or postgres://"},
		{"no path", "sqlite:", phone.Invalid, "write sqlite:PATH"},
		{"memory", "sqlite::memory:", phone.Invalid, "write sqlite:PATH"},
		{"no folder", "sqlite:" + filepath.Join(t.TempDir(), "no", "lethe.db"), phone.Unavailable, "make sure that its folder exists"},
		{"a folder", "sqlite:" + t.TempDir(), phone.Unavailable, "cannot be opened"},
		{"a URL that cannot be read", "postgres://u:s3cret@h:port/db", phone.Invalid, "cannot be read"},
		{"nobody listens", "postgres://u:s3cret@" + address + "/db", phone.Unavailable, "cannot be reached: start it"},
	} {
		s, err := store.Open(t.Context(), store.Config{URL: c.url})
		if err == nil {
			t.Errorf("%s: opened %v", c.name, s)
			continue
		}
		if phone.CodeOf(err) != c.code || !strings.Contains(err.Error(), c.says) || strings.Contains(err.Error(), "s3cret") {
			t.Errorf("%s: %q is %q, want %q and %q", c.name, err, phone.CodeOf(err), c.code, c.says)
		}
	}
}

func TestOpenUnknownDatabase(t *testing.T) {
	t.Parallel()
	url := strings.Replace(testenv.Postgres(t), "lethe_test_", "lethe_none_", 1)
	_, err := store.Open(t.Context(), store.Config{URL: url})
	if phone.CodeOf(err) != phone.Unavailable || !strings.Contains(err.Error(), "refuses the connection: correct user, password and database") {
		t.Errorf("a database that does not exist: %v", err)
	}
}

func TestOpenNotOurFile(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "strange name %41?#.db")
	s, err := store.Open(t.Context(), store.Config{URL: "sqlite:" + path})
	if err != nil {
		t.Fatalf("a path with strange characters: %v", err)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	if found, err := filepath.Glob(filepath.Join(filepath.Dir(path), "strange name %41?#.db")); err != nil || len(found) != 1 {
		t.Errorf("the file is not where it was asked for: %v %v", found, err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := store.Open(ctx, store.Config{URL: "sqlite:" + path}); !errors.Is(err, context.Canceled) {
		t.Errorf("opening with an ended context: %v", err)
	}
}

// TestConnectionsLost cuts every connection to PostgreSQL: calls fail as unavailable at worst, and work again by themselves.
func TestConnectionsLost(t *testing.T) {
	t.Parallel()
	f := storetest.Open(t, testenv.Postgres(t))
	in := f.Fleet(t, f.Project(0), f.Image(t).ID, 1, 1)
	if err := f.Register(t.Context(), "r1", time.Minute); err != nil {
		t.Fatal(err)
	}
	if _, err := f.DB.Exec(`SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()`); err != nil {
		t.Fatal(err)
	}
	deadline := time.Now().Add(time.Minute)
	for _, call := range []func() error{
		func() error { _, err := f.Phone(t.Context(), f.Project(0), in.Phones[0].ID); return err },
		func() error { return f.Heartbeat(t.Context(), "r1", time.Minute) },
		func() error {
			_, err := f.AcceptReset(t.Context(), f.ResetInput(f.Project(0), in.Phones[0].ID))
			return err
		},
	} {
		for {
			err := call()
			if err == nil {
				break
			}
			if phone.CodeOf(err) != phone.Unavailable || time.Now().After(deadline) {
				t.Fatalf("after the connections were lost: %v", err)
			}
		}
	}
}

// A SQLite database that was given a clock expires leases by that; a PostgreSQL takes none.
func TestOpenWithClock(t *testing.T) {
	t.Parallel()
	ctx, now := t.Context(), time.Date(2000, 1, 2, 3, 4, 5, 0, time.UTC)
	clock := func() time.Time { return now }
	s, err := store.Open(ctx, store.Config{URL: "sqlite:" + filepath.Join(t.TempDir(), "lethe.db"), DatabaseClock: clock})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	alive := func() error {
		if _, err := s.Sweep(ctx, time.Minute); err != nil {
			t.Fatal(err)
		}
		return s.Heartbeat(ctx, "r1", 10*time.Second)
	}
	if err := s.Register(ctx, "r1", 10*time.Second); err != nil {
		t.Fatal(err)
	}
	now = now.Add(9 * time.Second)
	if err := alive(); err != nil {
		t.Errorf("before the lease is over: %v", err)
	}
	now = now.Add(10 * time.Second)
	if err := alive(); phone.ReasonOf(err) != phone.ReasonFenced {
		t.Errorf("after the lease is over: %v", err)
	}
	if _, err := store.Open(ctx, store.Config{URL: "postgres://u@h/db", DatabaseClock: clock}); phone.CodeOf(err) != phone.Unsupported {
		t.Errorf("a PostgreSQL with a clock: %v", err)
	}
}
