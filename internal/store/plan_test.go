package store_test

import (
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/lethe-cloud/lethe/internal/phone"
	"github.com/lethe-cloud/lethe/internal/store/storetest"
)

// Tables that grow with the installation or with time, and indexes that hold only what is under way.
var (
	wholeTable = regexp.MustCompile(`^SCAN (jobs|phones|requests|tokens|river_job|access_keys|users|[jpqc])\b(.*)$`)
	smallIndex = regexp.MustCompile(`jobs_(unfinished_key|preparing_key|pace_idx|queue_idx|slot_idx|working_idx|tasks_idx|owner_idx|delivered_idx)|requests_pacing_idx`)
)

// checkPlans fails for each statement that the store has run and that reads a whole table, or all rows of a project where
// another condition finds far fewer.
func checkPlans(t *testing.T, f storetest.Fixture) {
	t.Helper()
	for _, statement := range f.PreparedStatements() {
		searches := strings.Contains(statement, "instr(") || !strings.Contains(statement, "WHERE") // a part of a name, or everything was asked for
		narrow := strings.Contains(statement, "|| ''")
		for _, step := range plan(t, f, statement) {
			if scan := wholeTable.FindStringSubmatch(step); scan != nil && !smallIndex.MatchString(scan[2]) && !searches {
				t.Errorf("%s\n reads a whole table: %s", statement, step)
			}
			if strings.Contains(step, "_name_key") && strings.Contains(statement, "ORDER BY created_at") && !searches && !strings.Contains(step, "name=") {
				t.Errorf("%s\n sorts all of a project: %s", statement, step)
			}
			if narrow && (strings.Contains(step, "phones_list_idx") || strings.Contains(step, "jobs_project_idx")) {
				t.Errorf("%s\n goes through a project: %s", statement, step)
			}
		}
	}
}

func plan(t *testing.T, f storetest.Fixture, statement string) []string {
	t.Helper()
	rows, err := f.DB.Query(`EXPLAIN QUERY PLAN `+statement, make([]any, strings.Count(statement, "?"))...)
	if err != nil {
		t.Fatalf("%s: %v", statement, err)
	}
	defer func() { _ = rows.Close() }()
	var steps []string
	for rows.Next() {
		var id, parent, unused int
		var step string
		if err := rows.Scan(&id, &parent, &unused, &step); err != nil {
			t.Fatal(err)
		}
		steps = append(steps, step)
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return steps
}

// TestAcceptStatements sees that the number of statements of an accept is small and does not grow with the batch.
func TestAcceptStatements(t *testing.T) {
	t.Parallel()
	count := func(servers, phones int) int {
		f := storetest.SQLite(t)
		image := f.Image(t)
		var ids []phone.ID
		for range servers {
			for _, p := range f.Fleet(t, f.Project(0), image.ID, phones, 2).Phones {
				ids = append(ids, p.ID)
			}
		}
		again := storetest.Reopen(t, f.URL, f.Clock)
		reset := f.ResetInput(f.Project(0), ids...)
		reset.Image = image.ID
		ran, err := again.AcceptStatements(t.Context(), reset)
		if err != nil {
			t.Fatal(err)
		}
		return len(ran)
	}
	few, many := count(1, 3), count(20, 50)
	if few != many || many > 11 {
		t.Errorf("accepting 3 phones takes %d statements and 1,000 phones %d, want the same number and at most 11", few, many)
	}
}

// TestQueuesAreSteppedThrough sees that SQLite goes from one lane of a queue to the next by the index, and does not read the jobs of a lane.
func TestQueuesAreSteppedThrough(t *testing.T) {
	t.Parallel()
	f := storetest.SQLite(t)
	f.Fleet(t, f.Project(0), f.Image(t).ID, 2, 1)
	for _, statement := range f.PreparedStatements() {
		if !strings.Contains(statement, "WITH RECURSIVE head") {
			continue
		}
		steps := plan(t, f, statement)
		for _, next := range []string{"jobs_queue_idx (server_id=? AND project_id=? AND image_id>?)", "jobs_queue_idx (server_id=? AND project_id>?)"} {
			if !slices.ContainsFunc(steps, func(step string) bool { return strings.HasSuffix(step, next) }) {
				t.Errorf("no step uses %s:\n%s", next, strings.Join(steps, "\n"))
			}
		}
		return
	}
	t.Error("no queue was looked through")
}
