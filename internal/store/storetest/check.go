package storetest

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/lethe-cloud/lethe/internal/phone"
)

// patience bounds every wait for something that must happen.
const patience = 2 * time.Minute

// equal fails when got is not want; nil and empty slices and maps are the same.
func equal[T any](t testing.TB, what string, got, want T, options ...cmp.Option) {
	t.Helper()
	if diff := cmp.Diff(want, got, append(options, cmpopts.EquateEmpty())...); diff != "" {
		t.Errorf("%s (-want +got):\n%s", what, diff)
	}
}

// refused fails unless err is an error of that kind.
func refused(t testing.TB, what string, err error, code phone.Code, reason phone.Reason) {
	t.Helper()
	if err == nil || phone.CodeOf(err) != code || phone.ReasonOf(err) != reason {
		t.Errorf("%s: error %v is %q %q, want %q %q", what, err, phone.CodeOf(err), phone.ReasonOf(err), code, reason)
	}
}

// must ends the test when something that has to succeed did not.
func must(t testing.TB, what string, err error) {
	t.Helper()
	if err != nil {
		t.Fatalf("%s: %v", what, err)
	}
}

// dump gives every row of the tables that jobs change, as text.
func (f Fixture) dump(t testing.TB) string {
	t.Helper()
	var b strings.Builder
	for _, table := range []string{"servers", "host_images", "phones", "requests", "jobs", "server_jobs"} {
		order := "id"
		if table == "host_images" {
			order = "server_id, image_id"
		}
		rows, err := f.DB.QueryContext(t.Context(), `SELECT * FROM `+table+` ORDER BY `+order)
		must(t, "read "+table, err)
		names, err := rows.Columns()
		must(t, "read "+table, err)
		for rows.Next() {
			values, into := make([]any, len(names)), make([]any, len(names))
			for i := range values {
				into[i] = &values[i]
			}
			must(t, "read "+table, rows.Scan(into...))
			fmt.Fprintln(&b, table, values)
		}
		must(t, "read "+table, rows.Err())
		must(t, "read "+table, rows.Close())
	}
	return b.String()
}

// unchanged fails when do changed a row.
func (f Fixture) unchanged(t testing.TB, what string, do func()) {
	t.Helper()
	before := f.dump(t)
	do()
	if diff := cmp.Diff(before, f.dump(t)); diff != "" {
		t.Errorf("%s changed something (-before +after):\n%s", what, diff)
	}
}

// job reads a job of the first project.
func (f Fixture) job(t testing.TB, id phone.JobID) phone.Job {
	t.Helper()
	j, err := f.Job(t.Context(), f.Project(0), id)
	must(t, "Job", err)
	return j
}

// phone reads a phone of the first project.
func (f Fixture) phone(t testing.TB, id phone.ID) phone.Phone {
	t.Helper()
	p, err := f.Phone(t.Context(), f.Project(0), id)
	must(t, "Phone", err)
	return p
}

// phases gives the jobs' phases in order.
func (f Fixture) phases(t testing.TB, jobs ...phone.JobID) []phone.Phase {
	t.Helper()
	phases := make([]phone.Phase, len(jobs))
	for i, id := range jobs {
		phases[i] = f.job(t, id).Phase
	}
	return phases
}

// queued reads the deliveries that wait in River's table.
func (f Fixture) queued(t testing.TB) map[phone.Delivery]int {
	t.Helper()
	rows, err := f.DB.QueryContext(t.Context(), `SELECT args ->> 'job_id', CAST(args ->> 'attempt' AS BIGINT) FROM river_job WHERE state = 'available'`)
	must(t, "read river_job", err)
	defer func() { _ = rows.Close() }()
	found := map[phone.Delivery]int{}
	for rows.Next() {
		var d phone.Delivery
		must(t, "read river_job", rows.Scan(&d.Job, &d.Attempt))
		found[d]++
	}
	must(t, "read river_job", rows.Err())
	return found
}

// claim claims a job at its present attempt.
func (f Fixture) claim(t testing.TB, id phone.JobID, replica phone.ReplicaID) phone.Assignment {
	t.Helper()
	a, err := f.Claim(t.Context(), phone.Delivery{Job: id, Attempt: f.job(t, id).Attempt}, replica)
	must(t, "Claim", err)
	return a
}

// advance takes a claimed job through the phases up to `to`.
func (f Fixture) advance(t testing.TB, fence phone.Fence, to phone.Phase) {
	t.Helper()
	for _, phase := range []phone.Phase{phone.PhaseRemoving, phone.PhaseCreating, phone.PhaseBooting, phone.PhaseVerifying} {
		if f.job(t, fence.Job).Phase.Before(phase) {
			must(t, "Advance", f.Advance(t.Context(), fence, phase))
		}
		if phase == to {
			return
		}
	}
}

// finish takes a claimed job to its success.
func (f Fixture) finish(t testing.TB, a phone.Assignment) {
	t.Helper()
	f.advance(t, a.Fence, phone.PhaseVerifying)
	if a.Job.Erase == phone.ErasePending {
		must(t, "Erased", f.Erased(t.Context(), a.Fence, nil, f.Clock.Now()))
	}
	must(t, "Finish", f.Finish(t.Context(), a.Fence, phone.Receipt{Phone: a.Phone.ID, Job: a.Job.ID, To: a.Job.Target}))
}

// scheduled fails when a boot slot is free that a job could have, or more are held than there are: in one state of the database.
func (f Fixture) scheduled(t testing.TB) {
	t.Helper()
	rows, err := f.DB.QueryContext(t.Context(), `SELECT s.id, s.max_concurrent_boots,
		(SELECT count(*) FROM jobs j WHERE j.server_id = s.id AND j.phase IN ('removing', 'creating', 'booting', 'restoring')),
		(SELECT count(*) FROM jobs j JOIN host_images h ON h.server_id = j.server_id AND h.image_id = j.image_id WHERE j.server_id = s.id AND j.phase = 'queued'),
		(SELECT count(*) FROM jobs j WHERE j.server_id = s.id AND j.phase = 'queued'
			AND NOT EXISTS (SELECT 1 FROM host_images h WHERE h.server_id = j.server_id AND h.image_id = j.image_id)
			AND NOT EXISTS (SELECT 1 FROM jobs p WHERE p.server_id = j.server_id AND p.image_id = j.image_id AND p.phase = 'preparing'))
		FROM servers s WHERE s.status = 5`)
	must(t, "read slots", err)
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		var server string
		var slots, held, admissible, unprepared int
		must(t, "read slots", rows.Scan(&server, &slots, &held, &admissible, &unprepared))
		if held > slots {
			t.Errorf("server %s: %d slots held of %d", server, held, slots)
		}
		if held < slots && admissible > 0 {
			t.Errorf("server %s: %d slots held of %d, and %d jobs could have one", server, held, slots, admissible)
		}
		if unprepared > 0 {
			t.Errorf("server %s: %d jobs wait for an image that nobody prepares", server, unprepared)
		}
	}
	must(t, "read slots", rows.Err())
}

// consistent fails when a phone in a transitional status has not exactly one unfinished job, or another one has any but an update, or phones
// are counted wrongly.
func (f Fixture) consistent(t testing.TB) {
	t.Helper()
	n := f.count(t, `SELECT count(*) FROM phones p WHERE (SELECT count(*) FROM jobs j WHERE j.phone_id = p.id AND j.phase NOT IN ('succeeded', 'failed', 'cancelled')
		AND j.phase <> 'working') <> CASE WHEN p.status IN (1, 3, 4, 7) THEN 1 ELSE (SELECT count(*) FROM jobs u WHERE u.phone_id = p.id AND u.kind = 'update' AND u.phase = 'verifying') END`)
	miscounted := f.count(t, `SELECT count(*) FROM (SELECT project_id, status, sum(n) AS n FROM
		(SELECT project_id, status, n FROM phone_counts UNION ALL SELECT project_id, status, -1 FROM phones) AS rows GROUP BY project_id, status) AS sums WHERE n <> 0`)
	if miscounted != 0 {
		t.Errorf("%d numbers of phones are not what the phones are", miscounted)
	}
	if n != 0 {
		t.Errorf("%d phones have a status that does not fit their jobs", n)
	}
	// Commands and transfers go on in phones that run, and beside nothing that ends that life.
	stray := f.count(t, `SELECT count(*) FROM jobs j WHERE j.phase = 'working' AND NOT EXISTS (SELECT 1 FROM phones p WHERE p.id = j.phone_id AND p.status = 2 AND p.generation = j.target)`)
	if stray != 0 {
		t.Errorf("%d tasks are unfinished in phones that do not run the life that they were accepted in", stray)
	}
	// Nobody would ever let such a job go.
	lost := f.count(t, `SELECT count(*) FROM jobs j JOIN requests r ON r.id = j.request_id WHERE j.phase = 'held' AND NOT r.pacing`)
	if lost != 0 {
		t.Errorf("%d jobs are held, and the pace of their requests is not looked at any more", lost)
	}
}
