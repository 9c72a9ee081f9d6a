package store

import (
	"context"
	"errors"
	"net"
	"strconv"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/jackc/pgx/v5/stdlib"

	"github.com/lethe-cloud/lethe/internal/phone"
)

// minPool is the least number of connections that a pool may grow to: combined steps, River and its listener, and reads.
const minPool = 16

func (s *Store) connectPostgres(ctx context.Context, url string) error {
	s.dialect = postgresDialect()
	config, err := pgxpool.ParseConfig(url)
	if err != nil {
		// pgx's own error shows the URL with its password taken out.
		return phone.Errorf(phone.Invalid, "", "the database URL cannot be read: %w", err)
	}
	config.MaxConns = max(config.MaxConns, minPool)
	config.AfterConnect = session
	pool, err := pgxpool.NewWithConfig(ctx, config)
	if err != nil {
		return phone.Errorf(phone.Invalid, "", "the database URL cannot be used: %w", err)
	}
	if err := pool.Ping(ctx); err != nil {
		pool.Close()
		if ctx.Err() != nil {
			return ctx.Err()
		}
		return unreachable(config.ConnConfig, err)
	}
	s.pool = pool
	s.write = stdlib.OpenDBFromPool(pool)
	s.lease, s.read = s.write, s.write
	return nil
}

// session sets up a new connection.
//
// A commit is on disk before it is answered, whatever the server's default is; a stronger setting (remote_apply) stays.
//
// Every statement here finds its few rows along an index. PostgreSQL would rather read a whole table when its statistics say
// that the table is small, and keep to that plan while the table grows a hundredfold, until the next ANALYZE. Nor is a read
// out of order four times as dear as one in order, as on the disks that its default is for: it would sort a million phones to
// give a page of them.
//
// A process that is paused, or cut off, in the middle of a transaction holds its locks, and everybody who takes its jobs over waits
// for them. No transaction here waits for anything but the database, so one that is idle has nobody behind it any more: the
// database ends it in less than a lease.
func session(ctx context.Context, conn *pgx.Conn) error {
	_, err := conn.Exec(ctx, `SELECT set_config('synchronous_commit', 'on', false) WHERE current_setting('synchronous_commit') IN ('off', 'local');
		SET enable_seqscan = off; SET enable_hashjoin = off; SET enable_mergejoin = off; SET jit = off; SET random_page_cost = 1.1;
		SET idle_in_transaction_session_timeout = '4s'`)
	return err
}

func unreachable(c *pgx.ConnConfig, err error) error {
	where := "PostgreSQL at " + net.JoinHostPort(c.Host, strconv.Itoa(int(c.Port))) + ", database " + strconv.Quote(c.Database) + ","
	cure := " cannot be reached: start it, or correct the database URL"
	if errors.As(err, new(*pgconn.PgError)) {
		cure = " refuses the connection: correct user, password and database in the database URL"
	}
	return &phone.Error{Code: phone.Unavailable, Msg: where + cure, Err: err}
}
