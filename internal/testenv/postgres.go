package testenv

import (
	"context"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/lethe-cloud/lethe/internal/phone"
)

// databaseTimeout bounds making and dropping a test's database.
const databaseTimeout = 30 * time.Second

// Postgres makes a fresh, empty database on the PostgreSQL that LETHE_TEST_POSTGRES names (a URL of a superuser) and returns
// its URL. The database is dropped when the test has ended, whoever is still connected to it.
func Postgres(t testing.TB) string {
	t.Helper()
	return newDatabase(t, "template0")
}

// PostgresCopy is Postgres with a copy of the database at the URL, to which nobody may be connected.
func PostgresCopy(t testing.TB, of string) string {
	t.Helper()
	original, err := url.Parse(of)
	if err != nil {
		t.Fatalf("the database to copy has no URL: %v", err)
	}
	return newDatabase(t, strings.TrimPrefix(original.Path, "/"))
}

func newDatabase(t testing.TB, template string) string {
	t.Helper()
	base := require(t, "PostgreSQL", "LETHE_TEST_POSTGRES")
	fresh, err := url.Parse(base)
	if err != nil {
		t.Fatalf("LETHE_TEST_POSTGRES is not a URL: %v", err)
	}
	name := "lethe_test_" + phone.NewID[string]()
	fresh.Path = "/" + name
	admin(t, base, `CREATE DATABASE `+name+` TEMPLATE `+template)
	t.Cleanup(func() { admin(t, base, `DROP DATABASE `+name+` WITH (FORCE)`) })
	return fresh.String()
}

// admin runs one statement on the server.
func admin(t testing.TB, base, statement string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), databaseTimeout)
	defer cancel()
	conn, err := pgx.Connect(ctx, base)
	if err != nil {
		t.Fatalf("connect to PostgreSQL: %v", err)
	}
	defer func() { _ = conn.Close(ctx) }()
	if _, err := conn.Exec(ctx, statement); err != nil {
		t.Fatalf("%s: %v", statement, err)
	}
}
