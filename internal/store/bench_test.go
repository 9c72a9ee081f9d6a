package store_test

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/lethe-cloud/lethe/internal/fleet"
	"github.com/lethe-cloud/lethe/internal/phone"
	"github.com/lethe-cloud/lethe/internal/store/storetest"
	"github.com/lethe-cloud/lethe/internal/testenv"
)

// BenchmarkAccept1000 accepts a reset of 1,000 phones and, in turn with it, runs a bare transaction that writes the same rows
// set by set and decides nothing, on the same database with the same durability. It reports both medians and their ratio.
func BenchmarkAccept1000(b *testing.B) {
	b.Run("sqlite", func(b *testing.B) {
		benchmarkAccept(b, storetest.Open(b, "sqlite:"+filepath.Join(b.TempDir(), "lethe.db")))
	})
	b.Run("postgres", func(b *testing.B) { benchmarkAccept(b, storetest.Open(b, testenv.Postgres(b))) })
}

func benchmarkAccept(b *testing.B, f storetest.Fixture) {
	const servers, phonesEach, slots = 20, 50, 4
	image := f.Image(b)
	var ids []phone.ID
	for range servers {
		in := f.Fleet(b, f.Project(0), image.ID, phonesEach, slots)
		for _, p := range in.Phones {
			ids = append(ids, p.ID)
		}
	}
	bare := newBare(b, f)
	var accepts, bares []time.Duration
	b.ResetTimer()
	for b.Loop() {
		in := f.ResetInput(f.Project(0), ids...)
		accepts = append(accepts, measure(func() { accept(b, f, in) }))
		b.StopTimer()
		bare.learn()
		bare.clean()
		bares = append(bares, measure(bare.write))
		bare.clean()
		b.StartTimer()
	}
	accepted, written := median(accepts), median(bares)
	b.ReportMetric(float64(accepted.Nanoseconds()), "accept-ns/op")
	b.ReportMetric(float64(written.Nanoseconds()), "bare-ns/op")
	b.ReportMetric(float64(accepted)/float64(written), "ratio")
}

func accept(b *testing.B, f storetest.Fixture, in fleet.AcceptReset) {
	outcomes, err := f.AcceptReset(b.Context(), in)
	if err != nil {
		b.Fatal(err)
	}
	for _, o := range outcomes {
		if o.Err != nil {
			b.Fatal(o.Err)
		}
	}
}

func measure(do func()) time.Duration {
	start := time.Now()
	do()
	return time.Since(start)
}

func median(all []time.Duration) time.Duration {
	slices.Sort(all)
	return all[len(all)/2]
}

// bare writes what an accept has written, without deciding anything.
type bare struct {
	b    *testing.B
	f    storetest.Fixture
	db   *sql.DB
	rows string // the jobs' rows as a JSON array
	reqs string
	jobs string // River's
}

func newBare(b *testing.B, f storetest.Fixture) *bare {
	db := f.DB
	if !f.Postgres() {
		var err error
		db, err = sql.Open("sqlite", "file:"+f.URL[len("sqlite:"):]+"?_pragma=busy_timeout(10000)&_pragma=journal_mode(WAL)&_pragma=synchronous(FULL)&_pragma=foreign_keys(true)&_pragma=cache_size(-65536)&_txlock=immediate")
		if err != nil {
			b.Fatal(err)
		}
		b.Cleanup(func() { _ = db.Close() })
	}
	db.SetMaxOpenConns(1)
	return &bare{b: b, f: f, db: db}
}

var bareJobColumns = []string{
	"id text", "request_id text", "project_id text", "phone_id text", "server_id text", "kind text", "phase text", "erase text", "target bigint",
	"prior bigint", "prior_status bigint", "prior_image text", "image_id text", "properties text", "factory boolean", "attempt bigint", "delivered_at bigint",
	"created_at bigint", "started_at bigint", "removing_at bigint",
}

// learn reads the rows that the accept has written.
func (w *bare) learn() {
	w.rows = w.read(`SELECT id, request_id, project_id, phone_id, server_id, kind, phase, erase, target, prior, prior_status, prior_image, image_id, properties,
		factory, attempt, delivered_at, created_at, started_at, removing_at FROM jobs WHERE kind = 'reset' ORDER BY seq`)
	w.reqs = w.read(`SELECT id, project_id, kind, caller, refused, created_at FROM requests WHERE kind = 'reset'`)
	args := `json(args)`
	if w.f.Postgres() {
		args = `args::text`
	}
	w.jobs = w.read(`SELECT ` + args + ` AS args, kind, max_attempts, priority, queue, state FROM river_job`)
}

func (w *bare) read(query string) string {
	rows, err := w.db.Query(query)
	if err != nil {
		w.b.Fatal(err)
	}
	defer func() { _ = rows.Close() }()
	names, err := rows.Columns()
	if err != nil {
		w.b.Fatal(err)
	}
	var all []map[string]any
	for rows.Next() {
		values := make([]any, len(names))
		into := make([]any, len(names))
		for i := range values {
			into[i] = &values[i]
		}
		if err := rows.Scan(into...); err != nil {
			w.b.Fatal(err)
		}
		row := map[string]any{}
		for i, name := range names {
			if text, ok := values[i].([]byte); ok {
				values[i] = string(text)
			}
			row[name] = values[i]
		}
		all = append(all, row)
	}
	if err := rows.Err(); err != nil {
		w.b.Fatal(err)
	}
	text, err := json.Marshal(all)
	if err != nil {
		w.b.Fatal(err)
	}
	return string(text)
}

func (w *bare) write() {
	ctx := context.Background()
	tx, err := w.db.BeginTx(ctx, nil)
	if err != nil {
		w.b.Fatal(err)
	}
	for _, statement := range w.statements() {
		if _, err := tx.ExecContext(ctx, statement[0], statement[1]); err != nil {
			w.b.Fatalf("%s: %v", statement[0], err)
		}
	}
	if err := tx.Commit(); err != nil {
		w.b.Fatal(err)
	}
}

func (w *bare) statements() [][2]string {
	river := []string{"args text", "kind text", "max_attempts bigint", "priority bigint", "queue text", "state text"}
	request := []string{"id text", "project_id text", "kind text", "caller text", "refused bigint", "created_at bigint"}
	args := "jsonb(v.args), v.kind, v.max_attempts, v.priority, v.queue, v.state"
	if w.f.Postgres() {
		args = "v.args::jsonb, v.kind, v.max_attempts, v.priority, v.queue, v.state::river_job_state"
	}
	return [][2]string{
		{w.insert("requests", request), w.reqs},
		{w.insert("jobs", bareJobColumns), w.rows},
		{`UPDATE phones SET status = 3, last_generation = v.target, updated_at = v.created_at FROM ` + w.records(bareJobColumns) + ` WHERE phones.id = v.phone_id`, w.rows},
		{`INSERT INTO river_job (args, kind, max_attempts, priority, queue, state) SELECT ` + args + ` FROM ` + w.records(river) + ` WHERE true`, w.jobs},
	}
}

func (w *bare) insert(table string, columns []string) string {
	var names, values string
	for i, column := range columns {
		var name string
		_, _ = fmt.Sscan(column, &name)
		if i > 0 {
			names, values = names+", ", values+", "
		}
		names, values = names+name, values+"v."+name
	}
	return `INSERT INTO ` + table + ` (` + names + `) SELECT ` + values + ` FROM ` + w.records(columns) + ` WHERE true`
}

func (w *bare) records(columns []string) string {
	text := ""
	for i, column := range columns {
		if i > 0 {
			text += ", "
		}
		if w.f.Postgres() {
			text += column
			continue
		}
		var name string
		_, _ = fmt.Sscan(column, &name)
		text += "value ->> '" + name + "' AS " + name
	}
	if w.f.Postgres() {
		return "jsonb_to_recordset($1::jsonb) AS v(" + text + ")"
	}
	return "(SELECT " + text + " FROM json_each(?)) AS v"
}

// clean takes the fleet back to where it was.
func (w *bare) clean() {
	statements := []string{
		`DELETE FROM river_job`, `DELETE FROM jobs WHERE kind = 'reset'`, `DELETE FROM requests WHERE kind = 'reset'`,
		`UPDATE phones SET status = 2, last_generation = 1`,
	}
	if w.f.Postgres() {
		statements = append(statements, `VACUUM jobs`, `VACUUM phones`, `VACUUM requests`, `VACUUM river_job`)
	}
	for _, statement := range statements {
		if _, err := w.db.Exec(statement); err != nil {
			w.b.Fatalf("%s: %v", statement, err)
		}
	}
}
