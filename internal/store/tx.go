package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/lethe-cloud/lethe/internal/phone"
)

// tx is one transaction. On SQLite nothing inside it may touch the pool, or wait for a lease's: there is one turn to write, which the transaction holds.
type tx struct {
	*Store
	sql        *sql.Tx // nil: single statements outside a transaction, of the reading pool
	statements *statements
	at         int64 // the one time of all facts that this transaction records
	// deliveries are sent off with the commit.
	deliveries []sent
	// atWork is how many unfinished tasks the phones have that busy looked at.
	atWork     map[phone.ID]int
	unprepared []string // statements that ran without having been prepared
}

// maxRetries is how often a transaction that lost against another one (serialization failure, deadlock) is run again.
const maxRetries = 10

// tx runs fn in one writing transaction, again when it lost against another one: fn must start from nothing each time.
func (s *Store) tx(ctx context.Context, fn func(*tx) error) error {
	return s.retried(ctx, s.write, s.writes, fn)
}

// leaseTx is tx for a lease, whose owner drops all its work when it is renewed too late: on SQLite it goes next,
// whatever else waits.
func (s *Store) leaseTx(ctx context.Context, fn func(*tx) error) error {
	return s.retried(ctx, s.lease, s.leases, fn)
}

// retried runs fn in one transaction of the pool.
func (s *Store) retried(ctx context.Context, db *sql.DB, prepared *statements, fn func(*tx) error) error {
	for try := 0; ; try++ {
		err := s.tryTx(ctx, db, prepared, fn)
		if err == nil || try == maxRetries || !lostAgainstAnother(err) {
			return translate(ctx, err)
		}
		pause := time.NewTimer(time.Duration(1+rand.IntN(1<<min(try, 6))) * time.Millisecond)
		select {
		case <-ctx.Done():
			pause.Stop()
			return ctx.Err()
		case <-pause.C:
		}
	}
}

func (s *Store) tryTx(ctx context.Context, db *sql.DB, prepared *statements, fn func(*tx) error) (err error) {
	begun, err := db.BeginTx(ctx, nil)
	if err != nil {
		return fmt.Errorf("begin: %w", err)
	}
	// After Commit this does nothing; it is for errors and panics. Its own error says nothing that err does not.
	defer func() { _ = begun.Rollback() }()
	t := &tx{Store: s, sql: begun, statements: prepared, at: micros(s.now())}
	if err := fn(t); err != nil {
		return err
	}
	if err := t.deliver(ctx); err != nil {
		return err
	}
	audited, err := t.saveAudit(ctx)
	if err != nil {
		return err
	}
	if err := begun.Commit(); err != nil {
		return fmt.Errorf("commit: %w", err)
	}
	audited.Written()
	if len(t.deliveries) > 0 {
		s.wakes.wake(t.queues())
	}
	prepared.prepare(ctx, t.unprepared)
	return nil
}

// lostAgainstAnother reports whether a transaction was undone only because of another one.
func lostAgainstAnother(err error) bool {
	var pg *pgconn.PgError
	return errors.Is(err, errChanged) || errors.As(err, &pg) && (pg.Code == "40001" || pg.Code == "40P01")
}

// view runs fn in one reading transaction, which sees one state of the database.
func (s *Store) view(ctx context.Context, fn func(*tx) error) error {
	begun, err := s.read.BeginTx(ctx, &sql.TxOptions{Isolation: sql.LevelRepeatableRead, ReadOnly: true})
	if err != nil {
		return translate(ctx, fmt.Errorf("begin: %w", err))
	}
	defer func() { _ = begun.Rollback() }()
	t := &tx{Store: s, sql: begun, statements: s.reads}
	if err := fn(t); err != nil {
		return translate(ctx, err)
	}
	if err := begun.Commit(); err != nil {
		return translate(ctx, fmt.Errorf("commit: %w", err))
	}
	s.reads.prepare(ctx, t.unprepared)
	return nil
}

// once runs fn for a single reading statement, which sees one state of the database by itself.
func (s *Store) once(ctx context.Context, fn func(*tx) error) error {
	t := &tx{Store: s, statements: s.reads}
	if err := fn(t); err != nil {
		return translate(ctx, err)
	}
	s.reads.prepare(ctx, t.unprepared)
	return nil
}

// exec gives the number of rows that it changed.
func (t *tx) exec(ctx context.Context, query string, args ...any) (int64, error) {
	var result sql.Result
	var err error
	if prepared := t.prepared(ctx, query); prepared != nil {
		result, err = prepared.ExecContext(ctx, args...)
	} else {
		result, err = t.sql.ExecContext(ctx, t.rebind(query), args...)
	}
	if err != nil {
		return 0, err
	}
	return result.RowsAffected()
}

func (t *tx) row(ctx context.Context, query string, args ...any) *sql.Row {
	if prepared := t.prepared(ctx, query); prepared != nil {
		return prepared.QueryRowContext(ctx, args...)
	}
	if t.sql == nil {
		return t.read.QueryRowContext(ctx, t.rebind(query), args...)
	}
	return t.sql.QueryRowContext(ctx, t.rebind(query), args...)
}

func (t *tx) rows(ctx context.Context, query string, args ...any) (*sql.Rows, error) {
	if prepared := t.prepared(ctx, query); prepared != nil {
		return prepared.QueryContext(ctx, args...)
	}
	if t.sql == nil {
		return t.read.QueryContext(ctx, t.rebind(query), args...)
	}
	return t.sql.QueryContext(ctx, t.rebind(query), args...)
}

// prepared gives the transaction's form of a prepared statement, or nil: then it will be prepared when the transaction is over.
func (t *tx) prepared(ctx context.Context, query string) *sql.Stmt {
	if t.statements == nil {
		return nil
	}
	prepared := t.statements.find(query)
	switch {
	case prepared == nil:
		t.unprepared = append(t.unprepared, query)
		return nil
	case t.sql == nil:
		return prepared
	}
	return t.sql.StmtContext(ctx, prepared)
}

// each calls scan for every row.
func (t *tx) each(ctx context.Context, scan func(scanner) error, query string, args ...any) error {
	rows, err := t.rows(ctx, query, args...)
	if err != nil {
		return err
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		if err := scan(rows); err != nil {
			return err
		}
	}
	return rows.Err()
}

// scanner is a row.
type scanner interface{ Scan(...any) error }

// all scans every row into a slice.
func all[T any](ctx context.Context, t *tx, scan func(scanner) (T, error), query string, args ...any) ([]T, error) {
	var found []T
	err := t.each(ctx, func(row scanner) error {
		v, err := scan(row)
		found = append(found, v)
		return err
	}, query, args...)
	return found, err
}

// one scans a row into a bare value.
func one[T any](row scanner) (T, error) {
	var v T
	err := row.Scan(&v)
	return v, err
}

func micros(t time.Time) int64 { return t.UnixMicro() }

func timeOf(us int64) time.Time { return time.UnixMicro(us).UTC() }
