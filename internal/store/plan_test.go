package store_test

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/lethe-cloud/lethe/internal/store/storetest"
)

// SQLite gathers no statistics, so the migrations say how big things are. Without a word about every index it reads and sorts
// a whole project for one page of its phones.
func TestSQLiteListsAlongTheirIndexes(t *testing.T) {
	t.Parallel()
	f := storetest.Open(t, "sqlite:"+filepath.Join(t.TempDir(), "lethe.db"))
	for query, index := range map[string]string{
		`SELECT id FROM phones WHERE project_id = ? ORDER BY created_at DESC, id LIMIT 100 OFFSET 5000`: "phones_list_idx",
		`SELECT id FROM servers WHERE project_id = ? ORDER BY created_at DESC, id LIMIT 100 OFFSET 50`:  "servers_list_idx",
		`SELECT * FROM jobs WHERE project_id = ? ORDER BY seq DESC LIMIT 100`:                           "jobs_project_idx",
		`SELECT * FROM jobs WHERE phone_id = ? ORDER BY seq DESC LIMIT 100`:                             "sqlite_autoindex_jobs_2",
	} {
		plan := explain(t, f, query)
		sorts := strings.Contains(plan, "TEMP B-TREE") && !strings.Contains(query, "phone_id")
		if !strings.Contains(plan, index) || sorts {
			t.Errorf("%s\nis planned as\n%swant it along %s", query, plan, index)
		}
	}
}

func explain(t *testing.T, f storetest.Fixture, query string) string {
	t.Helper()
	rows, err := f.DB.QueryContext(t.Context(), "EXPLAIN QUERY PLAN "+query, "x")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = rows.Close() }()
	var plan strings.Builder
	for rows.Next() {
		var a, b, c int
		var line string
		if err := rows.Scan(&a, &b, &c, &line); err != nil {
			t.Fatal(err)
		}
		plan.WriteString(line + "\n")
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return plan.String()
}
