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

	"golang.org/x/sync/semaphore"
	"modernc.org/sqlite"

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
	known := &sqlite.Driver{}
	if clock != nil {
		s.clock = ownClock + `()`
		if err := known.RegisterScalarFunction(ownClock, 0, reads(clock)); err != nil {
			return phone.Errorf(phone.Internal, "", "the database cannot be given a clock: %w", err)
		}
	}
	writing := turnConnector{connector{known, sqliteDSN(path, immediate)}, semaphore.NewWeighted(1)}
	s.write, s.lease = pool(writing, 1), pool(writing, 1)
	s.read = pool(connector{known, sqliteDSN(path, "_pragma=query_only(true)")}, readers)
	s.writes, s.leases, s.reads = newStatements(s.write), newStatements(s.lease), newStatements(s.read)
	if err := s.write.PingContext(ctx); err != nil {
		return &phone.Error{
			Code: phone.Unavailable, Err: errors.Join(err, s.Close()),
			Msg: "the database file " + path + " cannot be opened: make sure that its folder exists, that this user may write in it, and that it is a lethe database",
		}
	}
	return nil
}

// immediate makes a transaction take SQLite's one lock for writing when it begins, and not at its first write, when it may be too late.
const immediate = "_txlock=immediate"

// pool makes a pool of at most that many connections.
func pool(c driver.Connector, connections int) *sql.DB {
	db := sql.OpenDB(c)
	db.SetMaxOpenConns(connections)
	db.SetMaxIdleConns(connections)
	return db
}

// sqliteDSN has the pragmas, because they belong to every connection that a pool ever makes: synchronous=FULL, for an
// acknowledged write survives power loss. journal_size_limit gives the disk back that a burst of writes made the log take.
func sqliteDSN(path, own string) string {
	return (&url.URL{Scheme: "file", Path: filepath.ToSlash(path)}).String() +
		"?_pragma=busy_timeout(10000)&_pragma=journal_mode(WAL)&_pragma=synchronous(FULL)&_pragma=foreign_keys(true)&_pragma=cache_size(-65536)&_pragma=journal_size_limit(67108864)&" + own
}

// ownClock is the SQL function that gives the time, in microseconds, of a database that was given a clock.
const ownClock = "lethe_clock"

// reads makes an SQL function of a clock.
func reads(clock func() time.Time) func(*sqlite.FunctionContext, []driver.Value) (driver.Value, error) {
	return func(*sqlite.FunctionContext, []driver.Value) (driver.Value, error) { return micros(clock()), nil }
}

// connector opens connections of a driver that may have functions of its own.
type connector struct {
	driver *sqlite.Driver
	dsn    string
}

// Connect is database/sql's name for it.
func (c connector) Connect(context.Context) (driver.Conn, error) { return c.driver.Open(c.dsn) }

// Driver is database/sql's name for it.
func (c connector) Driver() driver.Driver { return c.driver }
