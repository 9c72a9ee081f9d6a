package store

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"net/url"
	"path/filepath"
	"strings"
	"time"

	"modernc.org/sqlite" // registers the driver "sqlite"

	"github.com/lethe-cloud/lethe/internal/phone"
)

// readers is how many reads of a SQLite database run at once.
const readers = 8

func (s *Store) connectSQLite(ctx context.Context, path string, clock func() time.Time) error {
	if path == "" || strings.Contains(path, ":memory:") {
		return phone.Errorf(phone.Invalid, "", "the database URL names no file: write sqlite:PATH")
	}
	s.dialect = sqliteDialect()
	path, err := filepath.Abs(path)
	if err != nil {
		return phone.Errorf(phone.Invalid, "", "the database's path cannot be made absolute: %w", err)
	}
	open := openSQLite
	if clock != nil {
		s.clock = ownClock + `()`
		if open, err = withClock(clock); err != nil {
			return phone.Errorf(phone.Internal, "", "the database cannot be given a clock: %w", err)
		}
	}
	if s.write, err = open(path, "_txlock=immediate", 1); err != nil {
		return phone.Errorf(phone.Invalid, "", "the database URL cannot be used: %w", err)
	}
	if s.read, err = open(path, "_pragma=query_only(true)", readers); err != nil {
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

// openSQLite opens one pool of the database at path.
func openSQLite(path, own string, connections int) (*sql.DB, error) {
	db, err := sql.Open("sqlite", sqliteDSN(path, own))
	if err != nil {
		return nil, err
	}
	limit(db, connections)
	return db, nil
}

// sqliteDSN has the pragmas, because they belong to every connection that a pool ever makes: synchronous=FULL, for an
// acknowledged write survives power loss. journal_size_limit gives the disk back that a burst of writes made the log take.
func sqliteDSN(path, own string) string {
	return (&url.URL{Scheme: "file", Path: filepath.ToSlash(path)}).String() +
		"?_pragma=busy_timeout(10000)&_pragma=journal_mode(WAL)&_pragma=synchronous(FULL)&_pragma=foreign_keys(true)&_pragma=cache_size(-65536)&_pragma=journal_size_limit(67108864)&" + own
}

func limit(db *sql.DB, connections int) {
	db.SetMaxOpenConns(connections)
	db.SetMaxIdleConns(connections)
}

// ownClock is the SQL function that gives the time, in microseconds, of a database that was given a clock.
const ownClock = "lethe_clock"

// withClock opens pools like openSQLite does, with connections that have the function ownClock.
func withClock(clock func() time.Time) (func(path, own string, connections int) (*sql.DB, error), error) {
	clocked := &sqlite.Driver{}
	err := clocked.RegisterScalarFunction(ownClock, 0, func(*sqlite.FunctionContext, []driver.Value) (driver.Value, error) {
		return micros(clock()), nil
	})
	return func(path, own string, connections int) (*sql.DB, error) {
		db := sql.OpenDB(connector{clocked, sqliteDSN(path, own)})
		limit(db, connections)
		return db, nil
	}, err
}

// connector opens connections of a driver that is not registered under a name.
type connector struct {
	driver *sqlite.Driver
	dsn    string
}

// Connect is database/sql's name for it.
func (c connector) Connect(context.Context) (driver.Conn, error) { return c.driver.Open(c.dsn) }

// Driver is database/sql's name for it.
func (c connector) Driver() driver.Driver { return c.driver }
