package store

import (
	"database/sql"
	"fmt"
	"io/fs"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/pressly/goose/v3"
)

// A SQLite database from before phones could be started again keeps its rows, its indexes and its numbering, and has the new
// constraints.
func TestMigrateSQLiteFromBeforeStarts(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "lethe.db")
	db, err := sql.Open("sqlite", "file:"+path+"?_pragma=foreign_keys(true)")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	db.SetMaxOpenConns(1)
	files, err := fs.Sub(migrations, "migrations/sqlite")
	if err != nil {
		t.Fatal(err)
	}
	provider, err := goose.NewProvider(goose.DialectSQLite3, db, files, goose.WithDisableGlobalRegistry(true), goose.WithExcludeNames([]string{retainFile}))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := provider.UpTo(t.Context(), 2); err != nil {
		t.Fatal(err)
	}
	do := func(statement string) error {
		_, err := db.ExecContext(t.Context(), statement)
		return err
	}
	job := func(id, kind string, target, prior int) string {
		return fmt.Sprintf(`INSERT INTO jobs (id, request_id, project_id, phone_id, server_id, kind, phase, erase, target, prior, prior_status, prior_image, image_id,
			properties, factory, receipt, created_at, ended_at) VALUES ('%s', 'r', 'p', 'ph', 's', '%s', 'succeeded', 'done', %d, %d, 2, 'i', 'i', '{}', 0, '{}', 1, 2)`, id, kind, target, prior)
	}
	for _, statement := range []string{
		`INSERT INTO accounts VALUES ('a', 'a', 0)`, `INSERT INTO projects VALUES ('p', 'a', 'p', 0)`,
		`INSERT INTO images VALUES ('i', 'i', '', 'l', 'o', 'r', 0)`,
		`INSERT INTO servers VALUES ('s', 's', 'p', 'd', 'e', '', 'l', 'm', 'pm', 5, 1, 1, 1, 1, 0, 0)`,
		`INSERT INTO phones VALUES ('ph', 'ph', 'p', 's', 'm', 'i', 2, 3, 3, '{}', 1, 0, 0)`,
		`INSERT INTO requests VALUES ('r', 'p', 'reset', 'u', 0, 0)`,
		job("one", "create", 1, 0), job("two", "reset", 2, 1), job("three", "reset", 3, 2), job("four", "reset", 4, 3),
		`DELETE FROM jobs WHERE id IN ('two', 'four')`,
	} {
		if err := do(statement); err != nil {
			t.Fatalf("%s: %v", statement, err)
		}
	}
	names := func(query string) []string {
		t.Helper()
		rows, err := db.QueryContext(t.Context(), query)
		if err != nil {
			t.Fatal(err)
		}
		defer rows.Close()
		var found []string
		for rows.Next() {
			var name string
			if err := rows.Scan(&name); err != nil {
				t.Fatal(err)
			}
			found = append(found, name)
		}
		return found
	}
	const indexes = `SELECT name FROM sqlite_schema WHERE tbl_name = 'jobs' AND type = 'index' AND sql IS NOT NULL ORDER BY name`
	const known = `SELECT idx || ' ' || stat FROM sqlite_stat1 WHERE tbl = 'jobs' ORDER BY idx`
	indexesBefore, knownBefore := names(indexes), names(known)

	s, err := Open(t.Context(), Config{URL: "sqlite:" + path})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	want := func(what string, want, got []string) {
		t.Helper()
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", what, diff)
		}
	}
	want("integrity", []string{"ok"}, names(`PRAGMA integrity_check`))
	want("broken references", nil, names(`SELECT "table" FROM pragma_foreign_key_check`))
	want("jobs", []string{"1 one ended 2", "3 three ended 2"}, names(`SELECT seq || ' ' || id || ' ' || stage || ' ' || ended_at FROM jobs ORDER BY seq`))
	want("lost indexes", nil, missingIn(names(indexes), indexesBefore))
	want("what the planner no longer knows", nil, missingIn(names(known), knownBefore))
	want("new indexes", []string{"jobs_ended_idx", "jobs_target_key"}, missingIn(indexesBefore, names(indexes)))

	for what, statement := range map[string]string{
		"a second job for a life":        job("five", "reset", 3, 2),
		"a start of another life":        job("five", "start", 3, 4),
		"a reset that makes no new life": job("five", "reset", 4, 4),
		"a job of no kind":               job("five", "x", 5, 4),
		"a request of no kind":           `INSERT INTO requests VALUES ('r2', 'p', 'x', 'u', 0, 0)`,
	} {
		if err := do(statement); err == nil || !strings.Contains(err.Error(), "constraint") {
			t.Errorf("the database takes %s: %v", what, err)
		}
	}
	for _, statement := range []string{job("five", "start", 3, 3), job("six", "start", 3, 3), `INSERT INTO requests VALUES ('r3', 'p', 'start', 'u', 0, 0)`} {
		if err := do(statement); err != nil {
			t.Errorf("%s: %v", statement, err)
		}
	}
	if seq := names(`SELECT min(seq) FROM jobs WHERE id IN ('five', 'six')`); len(seq) != 1 || seq[0] < "5" {
		t.Errorf("the first new job has number %v: the removed job's is used again", seq)
	}
}

// missingIn gives what of wanted is not in all.
func missingIn(all, wanted []string) []string {
	have := map[string]bool{}
	for _, v := range all {
		have[v] = true
	}
	var missing []string
	for _, v := range wanted {
		if !have[v] {
			missing = append(missing, v)
		}
	}
	return missing
}
