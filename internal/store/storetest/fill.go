package storetest

import (
	"context"
	"crypto/md5"
	"database/sql"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strconv"
	"testing"
	"time"

	"github.com/lethe-cloud/lethe/internal/phone"
)

// Filling is a fleet that Fill writes: phones of one image, in their first generation, which is on every host.
type Filling struct {
	Project  phone.ProjectID
	Image    phone.ImageID
	Servers  int
	Each     int // phones per server
	Slots    int // boot slots per server
	Endpoint func(server int) string
	Config   string       // of every server; "" is {}
	Status   phone.Status // of every phone; 0 is running
}

// FilledPhone is the id of the i-th phone that Fill writes, counted from 0; its server is FilledServer(i / Each).
func FilledPhone(i int) phone.ID { return phone.ID(filledID("phone", i)) }

// FilledServer is the id of the i-th server that Fill writes.
func FilledServer(i int) phone.ServerID { return phone.ServerID(filledID("server", i)) }

// filledID looks as random as a real one, so that indexes are as wide and as scattered.
func filledID(what string, i int) string {
	sum := md5.Sum([]byte(what + strconv.Itoa(i)))
	return hex.EncodeToString(sum[:])
}

// Fill writes a fleet set by set behind a store's back, for the sizes at which creating it phone by phone would take hours.
func Fill(t testing.TB, db *sql.DB, postgres bool, in Filling) {
	t.Helper()
	if in.Config == "" {
		in.Config = "{}"
	}
	if in.Status == 0 {
		in.Status = phone.StatusRunning
	}
	if in.Endpoint == nil {
		in.Endpoint = func(server int) string { return "sim:///nowhere/" + strconv.Itoa(server) }
	}
	type row map[string]any
	const created = 1_700_000_000_000_000
	write := func(n int, columns, insert string, of func(i int) row) {
		t.Helper()
		const chunk = 10_000
		for from := 0; from < n; from += chunk {
			some := make([]row, 0, chunk)
			for i := from; i < min(n, from+chunk); i++ {
				some = append(some, of(i))
			}
			text, err := json.Marshal(some)
			if err != nil {
				t.Fatal(err)
			}
			table := `(SELECT ` + columns + ` FROM json_each($1)) AS v`
			if postgres {
				table = `(SELECT ` + columns + ` FROM jsonb_array_elements($1::jsonb)) AS v`
			}
			if _, err := db.ExecContext(context.Background(), insert+` FROM `+table, string(text)); err != nil {
				t.Fatalf("%.60s: %v", insert, err)
			}
		}
	}
	write(in.Servers, `value ->> 'id' AS id, value ->> 'name' AS name, value ->> 'endpoint' AS endpoint, CAST(value ->> 'at' AS BIGINT) AS at`,
		fmt.Sprintf(`INSERT INTO servers (id, name, project_id, driver, endpoint, config, image_label, model, phone_model, status, max_concurrent_boots,
			boot_timeout, port_base, capacity, created_at, updated_at)
			SELECT v.id, v.name, '%s', 'simulated', v.endpoint, '%s', 'arm', 'physical.1', 'cloudphone.1', 5, %d, %d, 20000, %d, v.at, v.at`,
			in.Project, in.Config, in.Slots, (5*time.Minute).Microseconds(), in.Each),
		func(i int) row {
			return row{"id": FilledServer(i), "name": fmt.Sprintf("filled-%d", i), "endpoint": in.Endpoint(i), "at": created + i}
		})
	exec := func(query string) {
		t.Helper()
		if _, err := db.ExecContext(context.Background(), query); err != nil {
			t.Fatalf("%s: %v", query, err)
		}
	}
	exec(`INSERT INTO host_images (server_id, image_id, identity_id, identity_digest, prepared_at)
		SELECT id, '` + string(in.Image) + `', 'sha256:1', '', 0 FROM servers WHERE name LIKE 'filled-%'`)
	write(in.Servers*in.Each, `value ->> 'id' AS id, value ->> 'name' AS name, value ->> 'server' AS server, CAST(value ->> 'port' AS BIGINT) AS port,
			CAST(value ->> 'at' AS BIGINT) AS at`,
		fmt.Sprintf(`INSERT INTO phones (id, name, project_id, server_id, model, image_id, status, generation, last_generation, properties, adb_port,
			created_at, updated_at) SELECT v.id, v.name, '%s', v.server, 'cloudphone.1', '%s', %d, 1, 1, '{"ro.com.cph.non_root":"1"}', v.port, v.at, v.at`,
			in.Project, in.Image, in.Status),
		func(i int) row {
			server := i / in.Each
			return row{
				"id": FilledPhone(i), "name": fmt.Sprintf("filled-%d-%04d", server, i%in.Each), "server": FilledServer(server), "port": 20000 + i%in.Each, "at": created + i,
			}
		})
	exec(`DELETE FROM phone_counts`)
	exec(`INSERT INTO phone_counts (project_id, status, n) SELECT project_id, status, count(*) FROM phones GROUP BY project_id, status`)
	if postgres {
		exec(`VACUUM ANALYZE phones`) // as autovacuum has done long before in a fleet that has grown
		exec(`ANALYZE servers`)
	}
}
