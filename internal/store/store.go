// Package store keeps the fleet, its jobs and its accounts in SQLite or PostgreSQL. It is the only SQL of the project, and
// River, which delivers jobs to workers, appears nowhere else.
//
// An exported method is one whole transaction over domain types; what it decides is decided by pure functions of the domain.
// Rows are locked in one order everywhere: replicas, idempotency keys, paced requests, images, servers, phones, jobs, each by id. Errors are *phone.Error, or the
// context's own.
package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/lethe-cloud/lethe/internal/phone"
	"github.com/lethe-cloud/lethe/internal/seal"
)

// Config says which database to open.
type Config struct {
	// URL is "sqlite:PATH" or "postgres://USER:PASSWORD@HOST/DATABASE".
	URL    string
	Logger *slog.Logger
	// Keys encrypt the secrets of access keys. Without any the store can neither write nor read an access key.
	Keys seal.Keys
	// Now gives the time of recorded facts; nil is time.Now. Leases expire by the database's clock instead.
	Now func() time.Time
	// Tasks is how many commands and transfers of files run at once on one server, over all replicas; 0 is 16.
	Tasks int
	// DatabaseClock takes the place of the database's own clock, for tests that are the masters of all time; nil is the database's,
	// and the only choice on PostgreSQL.
	DatabaseClock func() time.Time
}

// Store is an open database. It is safe for concurrent use.
type Store struct {
	dialect
	write   *sql.DB       // SQLite: one connection
	lease   *sql.DB       // SQLite: one connection of its own, see turn.go; PostgreSQL: the same pool
	read    *sql.DB       // SQLite: a pool that cannot write; PostgreSQL: the same pool
	pool    *pgxpool.Pool // nil on SQLite
	log     *slog.Logger
	now     func() time.Time
	keys    seal.Keys
	tasks   int    // so many run at once on a server
	process string // names this Store among River's clients
	inserts inserter
	wakes   *wakeups
	paced   *pacedEnds
	steps   *combiner[*step]

	installation string // as it was when the database was opened; see Ping
	// admissions combines the steps that may admit other jobs.
	admissions *combiner[*step]
	// Prepared statements of the pools; nil on PostgreSQL, whose driver prepares by itself.
	writes *statements
	leases *statements
	reads  *statements

	dueMu sync.Mutex
	due   []phone.ServerID // servers that were due for a pass when they were looked up

	mu         sync.Mutex
	registered map[phone.ReplicaID]int64 // incarnation that this Store registered
	leaseTTL   time.Duration             // the longest that this Store registered
	sweptTo    phone.ServerID            // the last server whose queue a sweep looked through, "" when it saw the last one
}

// Open connects to the database, brings its tables up to date and returns it. A database that cannot be reached is
// Unavailable, with a sentence that says what to do.
func Open(ctx context.Context, c Config) (*Store, error) {
	s := &Store{
		log: c.Logger, now: c.Now, process: phone.NewID[string](), wakes: newWakeups(), paced: newPacedEnds(), registered: map[phone.ReplicaID]int64{},
	}
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	if s.now == nil {
		s.now = time.Now
	}
	if s.tasks = c.Tasks; s.tasks == 0 {
		s.tasks = defaultTasks
	}
	if err := s.connect(ctx, c); err != nil {
		return nil, err
	}
	if err := s.prepare(ctx); err != nil {
		return nil, errors.Join(translate(ctx, err), s.Close())
	}
	if err := s.useKeys(ctx, c.Keys); err != nil {
		return nil, errors.Join(translate(ctx, err), s.Close())
	}
	s.steps = newCombiner(s.leaders, s.runSteps)
	s.admissions = s.steps
	if s.postgres {
		// Admission locks servers: two such transactions would mostly wait for each other, and those without it for both.
		s.admissions = newCombiner(1, s.runSteps)
	}
	return s, nil
}

func (s *Store) connect(ctx context.Context, c Config) error {
	scheme, rest, _ := strings.Cut(c.URL, ":")
	switch scheme {
	case "sqlite":
		return s.connectSQLite(ctx, rest, c.DatabaseClock)
	case "postgres", "postgresql":
		if c.DatabaseClock != nil {
			return phone.Errorf(phone.Unsupported, "", "a PostgreSQL keeps its own clock")
		}
		return s.connectPostgres(ctx, c.URL)
	}
	return phone.Errorf(phone.Invalid, "", "the database URL has no known scheme: write sqlite:PATH or postgres://USER:PASSWORD@HOST/DATABASE")
}

// prepare makes what a connected Store needs before its first transaction.
func (s *Store) prepare(ctx context.Context) error {
	if err := s.migrate(ctx); err != nil {
		return fmt.Errorf("bring the database's tables up to date: %w", err)
	}
	var err error
	if s.inserts, err = s.newInserter(); err != nil {
		return fmt.Errorf("make the queue's client: %w", err)
	}
	return s.tx(ctx, func(t *tx) error {
		if _, err := t.exec(ctx, `INSERT INTO installation (one, id) VALUES (1, ?) ON CONFLICT (one) DO NOTHING`, phone.NewID[string]()); err != nil {
			return err
		}
		return t.row(ctx, `SELECT id FROM installation`).Scan(&s.installation)
	})
}

// Installation reads the id that this database got when it was first opened: 32 lower-case hex digits.
func (s *Store) Installation(ctx context.Context) (string, error) {
	var id string
	err := s.once(ctx, func(t *tx) error { return t.row(ctx, `SELECT id FROM installation`).Scan(&id) })
	return id, err
}

// Close ends all connections. Nothing may be using the Store any more.
func (s *Store) Close() error {
	err := s.write.Close()
	if s.read != s.write {
		err = errors.Join(err, s.lease.Close(), s.read.Close())
	}
	if s.pool != nil {
		s.pool.Close()
	}
	return err
}
