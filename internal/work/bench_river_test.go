package work_test

import (
	"context"
	"database/sql"
	"errors"
	"flag"
	"log/slog"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/riverqueue/river"
	"github.com/riverqueue/river/riverdriver/riverdatabasesql"
	"github.com/riverqueue/river/riverdriver/riverpgxv5"
	"github.com/riverqueue/river/riverdriver/riversqlite"

	"github.com/lethe-cloud/lethe/internal/store/storetest"
)

// plainRiver is River as one would use it without lethe: a client with its own connections, a worker, statements of its own.
type plainRiver struct {
	b     *testing.B
	f     storetest.Fixture
	db    *sql.DB
	pool  *pgxpool.Pool // nil on SQLite
	write fencedWrites
}

var riverWorkers = flag.Int("river-workers", 100, "how many jobs the plain River worker of BenchmarkControlPlane works at once, on 32 connections")

func newPlainRiver(b *testing.B, f storetest.Fixture) *plainRiver {
	b.Helper()
	r := &plainRiver{b: b, f: f, db: f.DB}
	if f.Postgres() {
		config, err := pgxpool.ParseConfig(f.URL)
		if err != nil {
			b.Fatal(err)
		}
		config.MaxConns = 32
		if r.pool, err = pgxpool.NewWithConfig(b.Context(), config); err != nil {
			b.Fatal(err)
		}
		b.Cleanup(r.pool.Close)
		f.DB.SetMaxOpenConns(32)
		f.DB.SetMaxIdleConns(32)
	} else {
		var err error
		if r.db, err = sql.Open("sqlite", "file:"+strings.TrimPrefix(f.URL, "sqlite:")+"?_pragma=busy_timeout(10000)&_pragma=journal_mode(WAL)"+
			"&_pragma=synchronous(FULL)&_pragma=foreign_keys(true)&_pragma=cache_size(-65536)&_txlock=immediate"); err != nil {
			b.Fatal(err)
		}
		r.db.SetMaxOpenConns(1)
		b.Cleanup(func() { _ = r.db.Close() })
	}
	r.write = prepareFencedWrites(b, r.db)
	return r
}

// accepted is a delivery as the store inserts it.
type accepted struct {
	Job     string `json:"job_id"`
	Attempt int    `json:"attempt"`
}

func (accepted) Kind() string { return "lethe_delivery" }

type noop struct {
	N int `json:"n"`
}

func (noop) Kind() string { return "noop" }

// work makes the fenced writes of all accepted jobs.
func (r *plainRiver) work() {
	done, left := make(chan struct{}), atomic.Int64{}
	left.Store(int64(*benchJobs))
	workers := river.NewWorkers()
	river.AddWorker(workers, river.WorkFunc(func(ctx context.Context, job *river.Job[accepted]) error {
		if err := r.write.all(ctx, job.Args); err != nil {
			r.b.Error(err)
		}
		if left.Add(-1) == 0 {
			close(done)
		}
		return nil
	}))
	r.until(done, workers)
}

// noops works the jobs that insertNoops has inserted.
func (r *plainRiver) noops() {
	done, left := make(chan struct{}), atomic.Int64{}
	left.Store(int64(*benchJobs))
	workers := river.NewWorkers()
	river.AddWorker(workers, river.WorkFunc(func(context.Context, *river.Job[noop]) error {
		if left.Add(-1) == 0 {
			close(done)
		}
		return nil
	}))
	r.until(done, workers)
}

func (r *plainRiver) insertNoops(b *testing.B) {
	b.Helper()
	params := make([]river.InsertManyParams, *benchJobs)
	for i := range params {
		params[i].Args = noop{i}
	}
	config, ctx := &river.Config{Logger: slog.New(slog.DiscardHandler)}, b.Context()
	var err error
	if r.pool != nil {
		var client *river.Client[*sql.Tx]
		if client, err = river.NewClient(riverdatabasesql.New(r.db), config); err == nil {
			_, err = client.InsertManyFast(ctx, params)
		}
	} else {
		var client *river.Client[*sql.Tx]
		if client, err = river.NewClient(riversqlite.New(r.db), config); err == nil {
			_, err = client.InsertManyFast(ctx, params)
		}
	}
	if err != nil {
		b.Fatal(err)
	}
}

// until runs a client until done is closed.
func (r *plainRiver) until(done <-chan struct{}, workers *river.Workers) {
	config := &river.Config{
		Logger: slog.New(slog.DiscardHandler), Workers: workers, FetchCooldown: 5 * time.Millisecond, JobTimeout: -1,
		Queues: map[string]river.QueueConfig{river.QueueDefault: {MaxWorkers: *riverWorkers}},
	}
	ctx := context.Background()
	type client interface {
		Start(context.Context) error
		Stop(context.Context) error
	}
	var c client
	var err error
	if r.pool != nil {
		c, err = river.NewClient(riverpgxv5.New(r.pool), config)
	} else {
		c, err = river.NewClient(riversqlite.New(r.db), config)
	}
	if err == nil {
		err = c.Start(ctx)
	}
	if err != nil {
		r.b.Fatal(err)
	}
	select {
	case <-done:
	case <-time.After(3 * time.Minute):
		r.b.Fatal("River has not worked all jobs after 3 minutes")
	}
	if err := c.Stop(ctx); err != nil {
		r.b.Fatal(err)
	}
}

// fencedWrites are the writes of one reset, each a transaction of its own and none that changes nothing.
type fencedWrites struct {
	b                        *testing.B
	db                       *sql.DB
	claim, erased            *sql.Stmt
	creating, booting, verif *sql.Stmt
	finish, phone, counts    *sql.Stmt
}

const plainReplica = "plain"

func prepareFencedWrites(b *testing.B, db *sql.DB) fencedWrites {
	b.Helper()
	prepare := func(query string) *sql.Stmt {
		statement, err := db.Prepare(query)
		if err != nil {
			b.Fatalf("%s: %v", query, err)
		}
		b.Cleanup(func() { _ = statement.Close() })
		return statement
	}
	const fence = ` WHERE id = $1 AND attempt = $2 AND owner = '` + plainReplica + `'`
	return fencedWrites{
		b: b, db: db,
		claim: prepare(`UPDATE jobs SET owner = '` + plainReplica + `', incarnation = 1, delivered_at = NULL
			WHERE id = $1 AND attempt = $2 AND owner IS NULL AND phase NOT IN ('queued', 'succeeded', 'failed', 'cancelled')`),
		creating: prepare(`UPDATE jobs SET phase = 'creating', creating_at = $3` + fence),
		erased:   prepare(`UPDATE jobs SET erase = 'done', erased = $3` + fence),
		booting:  prepare(`UPDATE jobs SET phase = 'booting', booting_at = $3` + fence),
		verif:    prepare(`UPDATE jobs SET phase = 'verifying', verifying_at = $3` + fence),
		finish:   prepare(`UPDATE jobs SET phase = 'succeeded', ended_at = $3, receipt = $4, owner = NULL, incarnation = NULL` + fence),
		phone: prepare(`UPDATE phones SET status = 2, generation = j.target, image_id = j.image_id, properties = j.properties, updated_at = $2
			FROM jobs j WHERE j.id = $1 AND phones.id = j.phone_id`),
		counts: prepare(`INSERT INTO phone_counts (project_id, status, n) SELECT j.project_id, v.status, v.n
			FROM jobs j CROSS JOIN (SELECT 3 AS status, -1 AS n UNION ALL SELECT 2, 1) v WHERE j.id = $1`),
	}
}

const plainErased = `{"volumes":[{"name":"lethe-0123456789abcdef0123456789abcdef","generation":1,"files":24,"bytes":100000,"gone":true}],"looked_for":"2025-03-01T12:00:00Z"}`

func (w fencedWrites) all(ctx context.Context, d accepted) error {
	steps := []struct {
		statement *sql.Stmt
		args      []any
	}{
		{w.claim, nil}, {w.creating, []any{time.Now().UnixMicro()}}, {w.erased, []any{plainErased}}, {w.booting, []any{time.Now().UnixMicro()}},
		{w.verif, []any{time.Now().UnixMicro()}},
	}
	for _, step := range steps {
		if err := one(step.statement.ExecContext(ctx, append([]any{d.Job, d.Attempt}, step.args...)...)); err != nil {
			return err
		}
	}
	tx, err := w.db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer func() { _ = tx.Rollback() }()
	now := time.Now().UnixMicro()
	if err := one(tx.StmtContext(ctx, w.finish).ExecContext(ctx, d.Job, d.Attempt, now, plainErased)); err != nil {
		return err
	}
	if err := one(tx.StmtContext(ctx, w.phone).ExecContext(ctx, d.Job, now)); err != nil {
		return err
	}
	if _, err := tx.StmtContext(ctx, w.counts).ExecContext(ctx, d.Job); err != nil {
		return err
	}
	return tx.Commit()
}

// one fails unless a statement changed one row.
func one(result sql.Result, err error) error {
	if err != nil {
		return err
	}
	if n, err := result.RowsAffected(); err != nil || n != 1 {
		return errNotOne
	}
	return nil
}

var errNotOne = errors.New("a fenced write did not change one row")
