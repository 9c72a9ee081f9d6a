package store_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/lethe-cloud/lethe/internal/fleet"
	"github.com/lethe-cloud/lethe/internal/phone"
	"github.com/lethe-cloud/lethe/internal/store/storetest"
	"github.com/lethe-cloud/lethe/internal/testenv"
)

func TestZZScale(t *testing.T) {
	if os.Getenv("SCALE") == "" {
		t.Skip()
	}
	t.Run("sqlite", func(t *testing.T) { scale(t, storetest.Open(t, "sqlite:"+filepath.Join(t.TempDir(), "x.db"))) })
	t.Run("postgres", func(t *testing.T) { scale(t, storetest.Open(t, testenv.Postgres(t))) })
}

func scale(t *testing.T, f storetest.Fixture) {
	ctx := context.Background()
	image := f.Image(t)
	project := string(f.Project(0))
	seq := "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM n WHERE i < %d)"
	hexid := func(prefix int, i string) string {
		if f.Postgres() {
			return fmt.Sprintf("lpad(to_hex(%d), 2, '0') || lpad(to_hex((%s)::bigint), 30, '0')", prefix, i)
		}
		return fmt.Sprintf("printf('%%02x%%030x', %d, %s)", prefix, i)
	}
	exec := func(q string, a ...any) {
		t.Helper()
		at := time.Now()
		if _, err := f.DB.Exec(q, a...); err != nil {
			t.Fatal(q, err)
		}
		t.Logf("%v %.60s", time.Since(at), q)
	}
	const servers, per = 2000, 500
	exec(fmt.Sprintf(seq, servers) + ` INSERT INTO servers SELECT ` + hexid(1, "i") + `, 's' || i, '` + project + `', 'simulated', 'sim://' || i, '', 'arm', 'm', 'p', 5, 4, 1000000, 20000, 500, i, i FROM n`)
	exec(`INSERT INTO host_images SELECT id, '` + string(image.ID) + `', 'x', '', 0 FROM servers`)
	exec(fmt.Sprintf(seq, servers*per) + ` INSERT INTO phones SELECT ` + hexid(2, "i") + `, 'p' || i, '` + project + `', ` + hexid(1, "1+(i-1)/500") + `, 'm', '` + string(image.ID) + `', 2, 1, 1, '{}', 20000 + (i % 500), i, i FROM n`)
	exec(`INSERT INTO phone_counts (project_id, status, n) SELECT project_id, status, count(*) FROM phones GROUP BY 1, 2`)
	bfalse := "0"
	if f.Postgres() {
		bfalse = "false"
	}
	exec(`INSERT INTO requests VALUES ('r', '` + project + `', 'reset', 'x', 0, 0)`)
	exec(`INSERT INTO jobs (id, request_id, project_id, phone_id, server_id, kind, phase, erase, target, prior, prior_status, prior_image, image_id, properties, factory, attempt, created_at, ended_at, failure)
		SELECT '03' || substr(p.id, 3), 'r', p.project_id, p.id, p.server_id, 'reset', 'failed', 'pending', 1, 0, 2, p.image_id, p.image_id, '{}', ` + bfalse + `, 1, 0, 1, '{}' FROM phones p`)
	ctxT := func(what string, do func() error) {
		t.Helper()
		for range 3 {
			at := time.Now()
			if err := do(); err != nil {
				t.Fatal(what, err)
			}
			t.Logf("%12v %s", time.Since(at), what)
		}
	}
	pid := func(i int) phone.ID { return phone.ID(fmt.Sprintf("%02x%030x", 2, i)) }
	next := 0
	batch := func(stride int) []phone.ID {
		var ids []phone.ID
		for range 1000 {
			next = (next + stride) % (servers * per)
			ids = append(ids, pid(1+next))
		}
		return ids
	}
	ctxT("accept 1000 on 2 servers", func() error { _, err := f.AcceptReset(ctx, f.ResetInput(f.Project(0), batch(1)...)); return err })
	ctxT("accept 1000 on 1000 servers", func() error {
		_, err := f.AcceptReset(ctx, f.ResetInput(f.Project(0), batch(997)...))
		return err
	})
	for range 95 {
		if _, err := f.AcceptReset(ctx, f.ResetInput(f.Project(0), batch(1)...)); err != nil {
			t.Fatal(err)
		}
	}
	ctxT("accept 1000 on 2 servers", func() error { _, err := f.AcceptReset(ctx, f.ResetInput(f.Project(0), batch(1)...)); return err })
	ctxT("sweep", func() error { _, err := f.Sweep(ctx, time.Hour); return err })
	exec(`UPDATE servers SET max_concurrent_boots = 5`)
	ctxT("sweep with work", func() error { n, err := f.Sweep(ctx, time.Hour); t.Log(n); return err })
	if err := f.Register(ctx, "r", time.Hour); err != nil {
		t.Fatal(err)
	}
	ctxT("recover", func() error { _, err := f.Recover(ctx, "r"); return err })
	rows, err := f.DB.Query(`SELECT id, attempt FROM jobs WHERE delivered_at IS NOT NULL LIMIT 100`)
	if err != nil {
		t.Fatal(err)
	}
	var ds []phone.Delivery
	for rows.Next() {
		var d phone.Delivery
		if err := rows.Scan(&d.Job, &d.Attempt); err != nil {
			t.Fatal(err)
		}
		ds = append(ds, d)
	}
	rows.Close()
	var a phone.Assignment
	i := 0
	ctxT("claim", func() error { var err error; a, err = f.Claim(ctx, ds[i], "r"); i++; return err })
	ctxT("advance", func() error { return f.Advance(ctx, a.Fence, phone.PhaseBooting) })
	ctxT("advance to verifying", func() error { return f.Advance(ctx, a.Fence, phone.PhaseVerifying) })
	ctxT("phone", func() error { _, err := f.Phone(ctx, f.Project(0), pid(77)); return err })
	ctxT("phones page 0", func() error {
		_, _, err := f.Phones(ctx, fleet.PhoneFilter{Project: f.Project(0), Limit: 100})
		return err
	})
	ctxT("phones page 10000", func() error {
		_, _, err := f.Phones(ctx, fleet.PhoneFilter{Project: f.Project(0), Limit: 100, Offset: 10000})
		return err
	})
	ctxT("phones page 900000", func() error {
		_, _, err := f.Phones(ctx, fleet.PhoneFilter{Project: f.Project(0), Limit: 100, Offset: 900000})
		return err
	})
	ctxT("phones server page", func() error {
		_, _, err := f.Phones(ctx, fleet.PhoneFilter{Project: f.Project(0), Server: phone.ServerID(fmt.Sprintf("%02x%030x", 1, 7)), Limit: 100})
		return err
	})
	ctxT("jobs newest", func() error {
		_, err := f.Jobs(ctx, fleet.JobFilter{Project: f.Project(0), Newest: true, Limit: 100})
		return err
	})
	ctxT("jobs of phone", func() error {
		_, err := f.Jobs(ctx, fleet.JobFilter{Project: f.Project(0), Phone: pid(5), Newest: true, Limit: 100})
		return err
	})
	ctxT("jobs of server", func() error {
		_, err := f.Jobs(ctx, fleet.JobFilter{Project: f.Project(0), Server: phone.ServerID(fmt.Sprintf("%02x%030x", 1, 7)), Newest: true, Limit: 100})
		return err
	})
	ctxT("progress 1M", func() error { _, err := f.Progress(ctx, f.Project(0), "r"); return err })
	ctxT("use", func() error {
		_, err := f.ServerUse(ctx, f.Project(0), phone.ServerID(fmt.Sprintf("%02x%030x", 1, 7)))
		return err
	})
}
