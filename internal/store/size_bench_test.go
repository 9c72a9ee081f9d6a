package store_test

import (
	"fmt"
	"slices"
	"testing"

	"github.com/lethe-cloud/lethe/internal/phone"
	"github.com/lethe-cloud/lethe/internal/store/storetest"
)

// sizePhones is how many phones BenchmarkSize writes and resets: enough that pages are full.
const sizePhones = 20_000

// BenchmarkSize tells how many bytes a phone and a finished reset take in the database, rows and indexes together, packed as
// after a vacuum.
func BenchmarkSize(b *testing.B) { onBoth(b, benchmarkSize) }

func benchmarkSize(b *testing.B, f storetest.Fixture) {
	empty := databaseSize(b, f, "phones")
	fill(b, f, sizePhones)
	phones := databaseSize(b, f, "phones") - empty
	var phoneIndexes int64
	if f.Postgres() {
		phoneIndexes = indexSize(b, f, "phones")
	}
	before := databaseSize(b, f, "jobs")
	exec(b, f, `UPDATE servers SET max_concurrent_boots = 1000`)
	all := make([]phone.ID, sizePhones)
	for i := range all {
		all[i] = storetest.FilledPhone(i)
	}
	for some := range slices.Chunk(all, 1000) {
		accept(b, f, f.ResetInput(f.Project(0), some...))
	}
	exec(b, f, `UPDATE jobs SET phase = 'succeeded', erase = 'done', delivered_at = NULL, ended_at = created_at, creating_at = created_at,
		booting_at = created_at, verifying_at = created_at, erased = `+sizeErasure+`, receipt = `+sizeReceipt)
	exec(b, f, `DELETE FROM river_job`)
	jobs := databaseSize(b, f, "jobs") - before
	for b.Loop() { // the size is measured once: nothing here takes time
	}
	if f.Postgres() {
		b.ReportMetric(float64(phoneIndexes)/sizePhones, "B/phone-in-indexes")
		b.ReportMetric(float64(indexSize(b, f, "jobs"))/sizePhones, "B/finished-reset-in-indexes") // all jobs here are those resets
	}
	b.ReportMetric(float64(phones)/sizePhones, "B/phone")
	b.ReportMetric(float64(jobs)/sizePhones, "B/finished-reset")
	b.ReportMetric(0, "ns/op")
}

// What a reset with one old volume and no properties leaves.
const (
	sizeErased  = `[{"name":"lethe-' || phone_id || '-1-data","generation":1,"files":24,"bytes":103424,"gone":true}]`
	sizeErasure = `'{"volumes":` + sizeErased + `,"looked_for":"2025-03-01T12:00:00.123456789Z"}'`
	sizeReceipt = `'{"phone_id":"' || phone_id || '","job_id":"' || id || '","from_generation":1,"to_generation":2,"image_id":"' || image_id || '","image_identity":{"id":"sha256:` +
		`0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef","digest":""},"instance":"lethe-' || phone_id || '-2","volume":"lethe-' || phone_id ||` +
		` '-2-data","erased":` + sizeErased + `,"looked_for_at":"2025-03-01T12:00:00.123456789Z","properties":[]}'`
)

func exec(b *testing.B, f storetest.Fixture, query string) {
	b.Helper()
	if _, err := f.DB.Exec(query); err != nil {
		b.Fatalf("%.80s: %v", query, err)
	}
}

// databaseSize is the packed size of a table with its indexes; SQLite tells only that of everything.
func databaseSize(b *testing.B, f storetest.Fixture, table string) int64 {
	b.Helper()
	query := `SELECT page_count * page_size FROM pragma_page_count(), pragma_page_size()`
	if f.Postgres() {
		exec(b, f, `VACUUM FULL `+table)
		query = fmt.Sprintf(`SELECT pg_total_relation_size('%s')`, table)
	} else {
		exec(b, f, `VACUUM`)
	}
	var n int64
	if err := f.DB.QueryRow(query).Scan(&n); err != nil {
		b.Fatal(err)
	}
	return n
}

// indexSize is the size of a table's indexes, which databaseSize has packed.
func indexSize(b *testing.B, f storetest.Fixture, table string) (n int64) {
	b.Helper()
	if err := f.DB.QueryRow(fmt.Sprintf(`SELECT pg_indexes_size('%s')`, table)).Scan(&n); err != nil {
		b.Fatal(err)
	}
	return n
}
