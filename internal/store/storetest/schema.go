package storetest

import (
	"sync"
	"testing"
	"time"

	"github.com/lethe-cloud/lethe/internal/phone"
	"github.com/lethe-cloud/lethe/internal/store"
)

func testReopen(t *testing.T, f Fixture) {
	ctx := t.Context()
	id, err := f.Installation(ctx)
	must(t, "Installation", err)
	if !phone.ValidID(id) {
		t.Errorf("installation id %q", id)
	}
	again, err := Reopen(t, f.URL, f.Clock).Installation(ctx)
	must(t, "Installation", err)
	equal(t, "installation id of another store", again, id)
}

// testOpenAtOnce opens a database that has no tables yet several times at once.
func testOpenAtOnce(t *testing.T, f Fixture) {
	url := f.URL + "2"
	if f.Postgres() {
		url = f.URL
		f.exec(t, `DROP SCHEMA public CASCADE`)
		f.exec(t, `CREATE SCHEMA public`)
	}
	ids := make([]string, 4)
	var group sync.WaitGroup
	for i := range ids {
		group.Go(func() {
			s, err := store.Open(t.Context(), store.Config{URL: url})
			if err != nil {
				t.Errorf("Open: %v", err)
				return
			}
			if ids[i], err = s.Installation(t.Context()); err != nil {
				t.Errorf("Installation: %v", err)
			}
			if err := s.Close(); err != nil {
				t.Errorf("Close: %v", err)
			}
		})
	}
	group.Wait()
	for _, id := range ids {
		equal(t, "installation id", id, ids[0])
	}
}

// testConstraints writes states that must not be, behind the store's back: the database refuses them.
func testConstraints(t *testing.T, f Fixture) {
	must(t, "Register", f.Register(t.Context(), "r1", time.Minute))
	next := f.Image(t)
	in := f.Fleet(t, f.Project(0), f.Image(t).ID, 4, 1)
	working := f.Reset(t, f.Project(0), in.Phones[0].ID)[0]
	queued := f.Reset(t, f.Project(0), in.Phones[1].ID)[0]
	reset := f.ResetInput(f.Project(0), in.Phones[2].ID, in.Phones[3].ID)
	reset.Image = next.ID
	outcomes, err := f.AcceptReset(t.Context(), reset)
	must(t, "AcceptReset", err)
	f.claim(t, working, "r1")
	for what, statement := range map[string]string{
		"a status that is none":              `UPDATE phones SET status = 5`,
		"a generation that was not given":    `UPDATE phones SET generation = 99`,
		"a port twice":                       `UPDATE phones SET adb_port = 20000`,
		"a name twice":                       `UPDATE phones SET name = 'x'`,
		"a phone without server":             `UPDATE phones SET server_id = 'x'`,
		"a phone without image":              `UPDATE phones SET image_id = 'x'`,
		"a server status that is none":       `UPDATE servers SET status = 1`,
		"no boot slots":                      `UPDATE servers SET max_concurrent_boots = 0`,
		"a phase that is none":               `UPDATE jobs SET phase = 'x' WHERE id = '` + string(working) + `'`,
		"an erase state that is none":        `UPDATE jobs SET erase = 'x' WHERE id = '` + string(working) + `'`,
		"a kind that is none":                `UPDATE jobs SET kind = 'x' WHERE id = '` + string(working) + `'`,
		"a target that is not new":           `UPDATE jobs SET target = prior WHERE id = '` + string(working) + `'`,
		"a generation with two jobs":         `UPDATE jobs SET target = 1, prior = 0 WHERE id = '` + string(working) + `'`,
		"two unfinished jobs of a phone":     `UPDATE jobs SET phone_id = '` + string(in.Phones[0].ID) + `', target = 7 WHERE id = '` + string(queued) + `'`,
		"two jobs that bring one image":      `UPDATE jobs SET phase = 'preparing', delivered_at = 1 WHERE id = '` + string(outcomes[1].Job) + `'`,
		"success without erasing":            `UPDATE jobs SET phase = 'succeeded', owner = NULL, ended_at = 1, receipt = '{}' WHERE id = '` + string(working) + `'`,
		"success without receipt":            `UPDATE jobs SET phase = 'succeeded', owner = NULL, ended_at = 1, erase = 'done' WHERE id = '` + string(working) + `'`,
		"an end without time":                `UPDATE jobs SET phase = 'failed', owner = NULL, failure = '{}' WHERE id = '` + string(working) + `'`,
		"a failure without cause":            `UPDATE jobs SET phase = 'failed', owner = NULL, ended_at = 1 WHERE id = '` + string(working) + `'`,
		"an ended job with an owner":         `UPDATE jobs SET phase = 'failed', failure = '{}', ended_at = 1 WHERE id = '` + string(working) + `'`,
		"an unfinished job with an end":      `UPDATE jobs SET ended_at = 1 WHERE id = '` + string(working) + `'`,
		"a job at work without owner":        `UPDATE jobs SET owner = NULL WHERE id = '` + string(working) + `'`,
		"a job owned and under way":          `UPDATE jobs SET delivered_at = 1 WHERE id = '` + string(working) + `'`,
		"a queued job with an owner":         `UPDATE jobs SET owner = 'r1' WHERE id = '` + string(queued) + `'`,
		"a queued job that skips its slot":   `UPDATE jobs SET phase = 'booting' WHERE id = '` + string(queued) + `'`,
		"restoring without the policy":       `UPDATE jobs SET phase = 'restoring', failure = '{}' WHERE id = '` + string(working) + `'`,
		"restoring without a cause":          `UPDATE jobs SET phase = 'restoring', rollback = (1 = 1) WHERE id = '` + string(working) + `'`,
		"rolled back and not failed":         `UPDATE jobs SET rollback = (1 = 1), rolled_back = (1 = 1) WHERE id = '` + string(working) + `'`,
		"rolled back without the policy":     `UPDATE jobs SET rolled_back = (1 = 1), phase = 'failed', failure = '{}', owner = NULL, ended_at = 1 WHERE id = '` + string(working) + `'`,
		"rolled back and erased":             `UPDATE jobs SET rollback = (1 = 1), rolled_back = (1 = 1), phase = 'failed', failure = '{}', owner = NULL, ended_at = 1, erase = 'done' WHERE id = '` + string(working) + `'`,
		"a job without request":              `UPDATE jobs SET request_id = 'x' WHERE id = '` + string(queued) + `'`,
		"a second installation":              `INSERT INTO installation (one, id) VALUES (2, 'x')`,
		"a project's name twice":             `UPDATE projects SET name = 'x'`,
		"the removal of a project with rows": `DELETE FROM projects`,
	} {
		f.unchanged(t, what, func() {
			if _, err := f.DB.ExecContext(t.Context(), statement); err == nil {
				t.Errorf("the database takes %s", what)
			}
		})
	}
}
