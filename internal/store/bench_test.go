package store_test

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/lethe-cloud/lethe/internal/account"
	"github.com/lethe-cloud/lethe/internal/audit"
	"github.com/lethe-cloud/lethe/internal/fleet"
	"github.com/lethe-cloud/lethe/internal/phone"
	"github.com/lethe-cloud/lethe/internal/store/storetest"
	"github.com/lethe-cloud/lethe/internal/testenv"
)

var benchFleet = flag.Int("fleet", 100_000, "the largest fleet, in phones, of the benchmarks; 1000000 is what the design asks for")

// fleetSizes are the sizes at which a figure must be the same.
func fleetSizes() []int {
	sizes := []int{1000}
	for _, n := range []int{100_000, 1_000_000} {
		if n <= *benchFleet {
			sizes = append(sizes, n)
		}
	}
	return sizes
}

const phonesEach = 50 // on each server of a filled fleet

// fill writes a fleet of n running phones.
func fill(b *testing.B, f storetest.Fixture, n int) {
	b.Helper()
	storetest.Fill(b, f.DB, f.Postgres(), storetest.Filling{
		Project: f.Project(0), Image: f.Image(b).ID, Servers: n / phonesEach, Each: phonesEach, Slots: 4,
	})
}

// BenchmarkAccept1000 accepts a reset of 1,000 phones and, in turn with it, runs a bare transaction that writes the same rows
// set by set and decides nothing, on the same database with the same durability. It reports both medians and their ratio, for
// fleets of growing size: the figures must not grow with the fleet.
func BenchmarkAccept1000(b *testing.B) {
	for _, n := range fleetSizes() {
		b.Run(fmt.Sprintf("phones=%d", n), func(b *testing.B) {
			onBoth(b, func(b *testing.B, f storetest.Fixture) { benchmarkAccept(b, f, n) })
		})
	}
}

// benchmarkAccept resets 1,000 phones that are spread over the fleet, 50 on each of 20 servers.
func benchmarkAccept(b *testing.B, f storetest.Fixture, fleet int) {
	fill(b, f, fleet)
	var ids []phone.ID
	servers := fleet / phonesEach
	for i := range 1000 {
		ids = append(ids, storetest.FilledPhone(i/phonesEach*(servers/20)*phonesEach+i%phonesEach))
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
	b.ReportMetric(millis(accepted), "accept-ms")
	b.ReportMetric(millis(written), "bare-ms")
	b.ReportMetric(float64(accepted)/float64(written), "accept/bare")
	b.ReportMetric(0, "ns/op") // both sides are in it
}

func millis(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

func accept(b *testing.B, f storetest.Fixture, in fleet.AcceptReset) {
	ctx, _ := f.Trail().Begin(b.Context(), audit.Event{Project: string(in.Request.Project), Trace: audit.ResetCloudPhone, Request: string(in.Request.ID)},
		account.Caller{Identity: f.Owner})
	outcomes, err := f.AcceptReset(ctx, in)
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

// BenchmarkDelivery is the time from the commit of an accept until a worker has its job, with nothing else going on.
func BenchmarkDelivery(b *testing.B) {
	onBoth(b, func(b *testing.B, f storetest.Fixture) {
		image := f.Image(b)
		phones := f.Fleet(b, f.Project(0), image.ID, 20000, 20000).Phones
		got := make(chan time.Time, 1)
		defer deliver(b, f, func(context.Context, phone.Delivery) { got <- time.Now() })()
		var took []time.Duration
		for b.Loop() {
			if len(took) == len(phones) {
				b.Fatalf("more than %d rounds", len(phones))
			}
			accept(b, f, f.ResetInput(f.Project(0), phones[len(took)].ID))
			committed := time.Now()
			took = append(took, (<-got).Sub(committed))
		}
		b.ReportMetric(float64(median(took).Nanoseconds()), "median-ns")
		b.ReportMetric(float64(took[len(took)*99/100].Nanoseconds()), "p99-ns")
	})
}

// BenchmarkJobs takes 2,000 jobs on 20 servers of 20 boot slots through all phases, with a driver that costs nothing.
func BenchmarkJobs(b *testing.B) {
	onBoth(b, func(b *testing.B, f storetest.Fixture) {
		const servers, phonesEach, slots = 20, 100, 20
		image := f.Image(b)
		var ids []phone.ID
		for range servers {
			for _, p := range f.Fleet(b, f.Project(0), image.ID, phonesEach, slots).Phones {
				ids = append(ids, p.ID)
			}
		}
		if err := f.Register(b.Context(), "r1", time.Hour); err != nil {
			b.Fatal(err)
		}
		done := make(chan struct{}, len(ids))
		defer deliver(b, f, func(ctx context.Context, d phone.Delivery) {
			if err := workThrough(ctx, f, d); err != nil {
				b.Error(err)
			}
			done <- struct{}{}
		})()
		for b.Loop() {
			for batch := range slices.Chunk(ids, 1000) {
				accept(b, f, f.ResetInput(f.Project(0), batch...))
			}
			for range ids {
				<-done
			}
		}
		b.ReportMetric(float64(len(ids)*b.N)/b.Elapsed().Seconds(), "jobs/s")
	})
}

func workThrough(ctx context.Context, f storetest.Fixture, d phone.Delivery) error {
	a, err := f.Claim(ctx, d, "r1")
	if err != nil {
		return err
	}
	return errors.Join(
		f.Advance(ctx, a.Fence, phone.PhaseCreating), f.Advance(ctx, a.Fence, phone.PhaseBooting), f.Erased(ctx, a.Fence, nil, time.Now()),
		f.Advance(ctx, a.Fence, phone.PhaseVerifying), f.Finish(ctx, a.Fence, phone.Receipt{Job: a.Job.ID}),
	)
}

// deliver hands deliveries to handle until the function that it returns is called.
func deliver(b *testing.B, f storetest.Fixture, handle func(context.Context, phone.Delivery)) (stop func()) {
	ctx, cancel := context.WithCancel(b.Context())
	done := make(chan error, 1)
	go func() { done <- f.Deliver(ctx, 10000, 10000, handle) }()
	return func() {
		cancel()
		if err := <-done; err != nil {
			b.Error(err)
		}
	}
}

func onBoth(b *testing.B, bench func(*testing.B, storetest.Fixture)) {
	b.Run("sqlite", func(b *testing.B) { bench(b, storetest.Open(b, "sqlite:"+filepath.Join(b.TempDir(), "lethe.db"))) })
	b.Run("postgres", func(b *testing.B) { bench(b, storetest.Open(b, testenv.Postgres(b))) })
}

// bare writes what an accept has written, without reading or deciding anything, in the way that is fastest on each database:
// SQLite row by row with prepared statements, PostgreSQL from arrays.
type bare struct {
	b       *testing.B
	f       storetest.Fixture
	db      *sql.DB
	request [][]any
	jobs    [][]any
	river   [][]any
}

const (
	bareRequest = "id, project_id, kind, caller, refused, created_at"
	bareJob     = "id, request_id, project_id, phone_id, server_id, kind, phase, erase, target, prior, prior_status, prior_image, image_id, properties, " +
		"factory, attempt, delivered_at, created_at, started_at, removing_at"
	bareRiver = "args, kind, max_attempts, priority, queue, state"
)

func newBare(b *testing.B, f storetest.Fixture) *bare {
	db := f.DB
	if !f.Postgres() {
		var err error
		if db, err = sql.Open("sqlite", "file:"+strings.TrimPrefix(f.URL, "sqlite:")+"?_pragma=busy_timeout(10000)&_pragma=journal_mode(WAL)"+
			"&_pragma=synchronous(FULL)&_pragma=foreign_keys(true)&_pragma=cache_size(-65536)&_txlock=immediate"); err != nil {
			b.Fatal(err)
		}
		b.Cleanup(func() { _ = db.Close() })
	}
	db.SetMaxOpenConns(1)
	if f.Postgres() {
		if _, err := db.Exec(`SET synchronous_commit = on`); err != nil {
			b.Fatal(err)
		}
	}
	return &bare{b: b, f: f, db: db}
}

// learn reads the rows that the accept has written.
func (w *bare) learn() {
	w.request = w.read(`SELECT ` + bareRequest + ` FROM requests WHERE kind = 'reset'`)
	w.jobs = w.read(`SELECT ` + bareJob + ` FROM jobs WHERE kind = 'reset' ORDER BY seq`)
	w.river = w.read(`SELECT ` + bareRiver + ` FROM river_job ORDER BY id`)
}

func (w *bare) read(query string) [][]any {
	rows, err := w.f.DB.Query(query)
	if err != nil {
		w.b.Fatal(err)
	}
	defer func() { _ = rows.Close() }()
	names, err := rows.Columns()
	if err != nil {
		w.b.Fatal(err)
	}
	var all [][]any
	for rows.Next() {
		values, into := make([]any, len(names)), make([]any, len(names))
		for i := range values {
			into[i] = &values[i]
		}
		if err := rows.Scan(into...); err != nil {
			w.b.Fatal(err)
		}
		all = append(all, values)
	}
	if err := rows.Err(); err != nil {
		w.b.Fatal(err)
	}
	return all
}

func (w *bare) write() {
	tx, err := w.db.BeginTx(w.b.Context(), nil)
	if err != nil {
		w.b.Fatal(err)
	}
	insert := w.insertRows
	if w.f.Postgres() {
		insert = w.insertArrays
	}
	insert(tx, "requests", bareRequest, w.request)
	insert(tx, "jobs", bareJob, w.jobs)
	insert(tx, "river_job", bareRiver, w.river)
	w.claim(tx)
	if err := tx.Commit(); err != nil {
		w.b.Fatal(err)
	}
}

func (w *bare) insertRows(tx *sql.Tx, table, columns string, rows [][]any) {
	statement, err := tx.Prepare(`INSERT INTO ` + table + ` (` + columns + `) VALUES (?` + strings.Repeat(`, ?`, strings.Count(columns, ",")) + `)`)
	if err != nil {
		w.b.Fatal(err)
	}
	defer func() { _ = statement.Close() }()
	for _, row := range rows {
		if _, err := statement.Exec(row...); err != nil {
			w.b.Fatal(err)
		}
	}
}

func (w *bare) insertArrays(tx *sql.Tx, table, columns string, rows [][]any) {
	var arrays []any
	var placeholders, values []string
	for i, column := range strings.Split(columns, ", ") {
		array, kind := columnOf(w.b, rows, i)
		arrays = append(arrays, array)
		placeholders = append(placeholders, fmt.Sprintf("$%d::%s[]", i+1, kind))
		switch column {
		case "args":
			column = "args::jsonb"
		case "state":
			column = "state::river_job_state"
		}
		values = append(values, column)
	}
	query := `INSERT INTO ` + table + ` (` + columns + `) SELECT ` + strings.Join(values, ", ") + ` FROM unnest(` + strings.Join(placeholders, ", ") + `) AS v(` + columns + `)`
	if _, err := tx.Exec(query, arrays...); err != nil {
		w.b.Fatalf("%s: %v", query, err)
	}
}

// columnOf gives the i-th values of all rows as an array, and its type.
func columnOf(b *testing.B, rows [][]any, i int) (any, string) {
	kind := "bigint"
	var numbers []*int64
	var texts []string
	var flags []bool
	for _, row := range rows {
		switch v := row[i].(type) {
		case nil:
			numbers = append(numbers, nil)
		case int64:
			numbers = append(numbers, &v)
		case string:
			kind, texts = "text", append(texts, v)
		case []byte:
			kind, texts = "text", append(texts, string(v))
		case bool:
			kind, flags = "boolean", append(flags, v)
		default:
			b.Fatalf("a column holds a %T", v)
		}
	}
	switch kind {
	case "text":
		return texts, kind
	case "boolean":
		return flags, kind
	}
	return numbers, kind
}

func (w *bare) claim(tx *sql.Tx) {
	ids := make([]string, len(w.jobs))
	for i, job := range w.jobs {
		ids[i] = job[3].(string)
	}
	query, arg := `UPDATE phones SET status = 3, last_generation = last_generation + 1, updated_at = 1 WHERE id = ANY($1::text[])`, any(ids)
	if !w.f.Postgres() {
		text, err := json.Marshal(ids)
		if err != nil {
			w.b.Fatal(err)
		}
		query, arg = `UPDATE phones SET status = 3, last_generation = last_generation + 1, updated_at = 1 WHERE id IN (SELECT value FROM json_each(?))`, string(text)
	}
	if _, err := tx.Exec(query, arg); err != nil {
		w.b.Fatal(err)
	}
}

// clean takes the fleet back to where it was, on a connection of its own: SQLite keeps the pages that a connection has written for that
// connection alone, and drops those of all others, so the side that cleaned would find the phones at hand and the other would not.
func (w *bare) clean() {
	statements := []string{
		`UPDATE phones SET status = 2, last_generation = 1 WHERE id IN (SELECT phone_id FROM jobs WHERE kind = 'reset')`,
		`DELETE FROM river_job`, `DELETE FROM jobs WHERE kind = 'reset'`, `DELETE FROM requests WHERE kind = 'reset'`,
	}
	if w.f.Postgres() {
		statements = append(statements, `VACUUM jobs`, `VACUUM phones`, `VACUUM requests`, `VACUUM river_job`)
	}
	for _, statement := range statements {
		if _, err := w.f.DB.Exec(statement); err != nil {
			w.b.Fatalf("%s: %v", statement, err)
		}
	}
}
