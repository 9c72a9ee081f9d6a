package store

import (
	"context"
	"database/sql"
	"errors"
	"net/url"
	"path/filepath"
	"strings"

	_ "modernc.org/sqlite" // registers the driver "sqlite"

	"github.com/lethe-cloud/lethe/internal/phone"
)

// readers is how many reads of a SQLite database run at once.
const readers = 8

func (s *Store) connectSQLite(ctx context.Context, path string) error {
	if path == "" || strings.Contains(path, ":memory:") {
		return phone.Errorf(phone.Invalid, "", "the database URL names no file: write sqlite:PATH")
	}
	s.dialect = sqliteDialect()
	path, err := filepath.Abs(path)
	if err != nil {
		return phone.Errorf(phone.Invalid, "", "the database's path cannot be made absolute: %w", err)
	}
	if s.write, err = openSQLite(path, "_txlock=immediate", 1); err != nil {
		return phone.Errorf(phone.Invalid, "", "the database URL cannot be used: %w", err)
	}
	if s.read, err = openSQLite(path, "_pragma=query_only(true)", readers); err != nil {
		return errors.Join(phone.Errorf(phone.Invalid, "", "the database URL cannot be used: %w", err), s.write.Close())
	}
	s.writes, s.reads = newStatements(s.write), newStatements(s.read)
	if err := s.write.PingContext(ctx); err != nil {
		return &phone.Error{
			Code: phone.Unavailable, Err: errors.Join(err, s.Close()),
			Msg: "the database file " + path + " cannot be opened: make sure that its folder exists, that this user may write in it, and that it is a lethe database",
		}
	}
	return nil
}

// openSQLite opens one pool. The pragmas stand in the DSN because they belong to every connection that the pool ever makes:
// synchronous=FULL, for an acknowledged write survives power loss.
func openSQLite(path, own string, connections int) (*sql.DB, error) {
	dsn := (&url.URL{Scheme: "file", Path: filepath.ToSlash(path)}).String() +
		"?_pragma=busy_timeout(10000)&_pragma=journal_mode(WAL)&_pragma=synchronous(FULL)&_pragma=foreign_keys(true)&_pragma=cache_size(-65536)&" + own
	db, err := sql.Open("sqlite", dsn)
	if err != nil {
		return nil, err
	}
	db.SetMaxOpenConns(connections)
	db.SetMaxIdleConns(connections)
	return db, nil
}
