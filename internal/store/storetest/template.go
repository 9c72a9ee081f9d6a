package storetest

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/lethe-cloud/lethe/internal/store"
)

// Making the tables is most of what a small test of a fresh database costs. So they are made once, and each test begins with a copy, which
// becomes an installation of its own when it is opened. That they can be made from nothing is what the suite's "open at once" is about.

// sqliteTemplate is the file of a SQLite database that has its tables and is no installation yet. It is made once in a process.
var sqliteTemplate = sync.OnceValues(func() (file []byte, err error) {
	dir, err := os.MkdirTemp("", "lethe-template-")
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	path := filepath.Join(dir, "lethe.db")
	if err := makeTemplate("sqlite:" + path); err != nil {
		return nil, err
	}
	if _, err := os.Stat(path + "-wal"); !errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("the template is not all in its file: its log is there after it was closed (%w)", err)
	}
	return os.ReadFile(path)
})

// CopySQLite puts a SQLite database with all tables, and nothing in them, where no file is yet.
func CopySQLite(t testing.TB, path string) {
	t.Helper()
	template, err := sqliteTemplate()
	if err != nil {
		t.Fatalf("make a database to copy: %v", err)
	}
	file, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err == nil {
		_, err = file.Write(template)
		err = errors.Join(err, file.Close())
	}
	if err != nil {
		t.Fatal(err)
	}
}

// SQLite opens a fresh SQLite database and bootstraps it.
func SQLite(t testing.TB) Fixture {
	t.Helper()
	path := filepath.Join(t.TempDir(), "lethe.db")
	CopySQLite(t, path)
	return Open(t, "sqlite:"+path)
}

// MakeTables makes the tables of the empty database at url, for fresh databases to be copies of it. Nobody is connected to it afterwards.
func MakeTables(t testing.TB, url string) {
	t.Helper()
	if err := makeTemplate(url); err != nil {
		t.Fatalf("make a database to copy: %v", err)
	}
}

// makeTemplate makes the tables of an empty database, and makes it forget that it is an installation.
func makeTemplate(url string) error {
	ctx := context.Background()
	s, err := store.Open(ctx, store.Config{URL: url})
	if err != nil {
		return err
	}
	if err := s.Close(); err != nil {
		return err
	}
	driver, dsn := "pgx", url
	if path, ok := strings.CutPrefix(url, "sqlite:"); ok {
		driver, dsn = "sqlite", "file:"+path
	}
	db, err := sql.Open(driver, dsn)
	if err != nil {
		return err
	}
	_, err = db.ExecContext(ctx, `DELETE FROM installation`)
	return errors.Join(err, db.Close())
}
