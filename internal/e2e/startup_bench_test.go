package e2e

import (
	"database/sql"
	"flag"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	_ "github.com/jackc/pgx/v5/stdlib" // registers the driver "pgx"
	_ "modernc.org/sqlite"             // registers the driver "sqlite"

	"github.com/lethe-cloud/lethe/internal/driver/simulated"
	"github.com/lethe-cloud/lethe/internal/phone"
	"github.com/lethe-cloud/lethe/internal/store/storetest"
	"github.com/lethe-cloud/lethe/internal/testenv"
)

var (
	startFleet  = flag.Int("fleet", 100_000, "phones of BenchmarkStartup, 500 on each server")
	startQueued = flag.Int("queued", 100_000, "resets that are queued or under way in BenchmarkStartup, at most one for each phone")
)

// BenchmarkStartup kills a lethe that has accepted very many resets, starts it again and measures how long it takes until it is
// ready, until an old job of the first server has booted, and how much memory it holds: just ready, and after ten seconds of work.
func BenchmarkStartup(b *testing.B) {
	b.Run("sqlite", func(b *testing.B) { benchmarkStartup(b, "") })
	b.Run("postgres", func(b *testing.B) { benchmarkStartup(b, testenv.Postgres(b)) })
}

const startEach, startSlots = 500, 5

func benchmarkStartup(b *testing.B, database string) {
	p := newProcess(b, database)
	db := p.openDatabase()
	addImage(p, "first", "registry.invalid/android:12")
	var image string
	if err := db.QueryRow(`SELECT id FROM images`).Scan(&image); err != nil {
		b.Fatal(err)
	}
	p.stop()
	hosts := b.TempDir()
	endpoint := func(server int) string { return "sim://" + filepath.Join(hosts, strconv.Itoa(server)) }
	servers := *startFleet / startEach
	identity := makeHosts(b, p.installation(), servers, endpoint)
	storetest.Fill(b, db, database != "", storetest.Filling{
		Project: phone.ProjectID(p.project), Image: phone.ImageID(image), Servers: servers, Each: startEach, Slots: startSlots,
		Endpoint: endpoint, Config: `{"boot_time":"2s"}`,
		Status: phone.StatusStopped, // hosts have no instances of them: running ones would all be found dead, at once
	})
	if _, err := db.Exec(`UPDATE host_images SET identity_id = $1`, identity.ID); err != nil {
		b.Fatal(err)
	}
	if _, err := db.Exec(`UPDATE servers SET image_label = 'cloud_phone'`); err != nil {
		b.Fatal(err)
	}
	p.start()
	p.accept(min(*startQueued, *startFleet))
	p.kill()

	var ready, works time.Duration
	var idle, busy float64
	b.ResetTimer()
	for b.Loop() {
		before := p.verifying(db)
		began := time.Now()
		p.start()
		p.awaitReady()
		ready += time.Since(began)
		idle += p.resident()
		for p.verifying(db) == before {
			time.Sleep(10 * time.Millisecond)
		}
		works += time.Since(began)
		time.Sleep(10 * time.Second)
		busy += p.resident()
		p.kill()
	}
	n := float64(b.N)
	b.ReportMetric(ready.Seconds()/n, "ready-s")
	b.ReportMetric(works.Seconds()/n, "first-boot-done-s")
	b.ReportMetric(idle/n, "ready-MB")
	b.ReportMetric(busy/n, "working-MB")
	b.ReportMetric(0, "ns/op")
	p.start() // for the clean end that every process is given
}

// makeHosts makes the simulated hosts of servers, with the image on each.
func makeHosts(b *testing.B, installation string, servers int, endpoint func(int) string) phone.ImageIdentity {
	b.Helper()
	var identity phone.ImageIdentity
	for i := range servers {
		host, err := simulated.Open(installation, phone.Server{ID: storetest.FilledServer(i), Endpoint: endpoint(i)})
		if err == nil {
			err = host.Create(b.Context())
		}
		if err == nil {
			identity, err = host.Prepare(b.Context(), phone.Image{Reference: "registry.invalid/android:12"})
		}
		if err != nil {
			b.Fatal(err)
		}
	}
	return identity
}

// awaitReady asks until the process says that it is ready: it listens before it has its lease.
func (p *process) awaitReady() {
	p.t.Helper()
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(5 * time.Millisecond) {
		res, err := http.Get(p.endpoint + "/lethe/v1/readyz")
		if err == nil {
			_ = res.Body.Close()
			if res.StatusCode == http.StatusOK {
				return
			}
		}
		if time.Now().After(deadline) {
			p.t.Fatalf("the process is not ready after a minute: %v", err)
		}
	}
}

// accept resets the first n phones of a filled fleet over the API.
func (p *process) accept(n int) {
	p.t.Helper()
	for from := 0; from < n; from += 1000 {
		var elements []map[string]any
		for i := from; i < min(n, from+1000); i++ {
			elements = append(elements, map[string]any{"phone_id": storetest.FilledPhone(i)})
		}
		var answer struct {
			Jobs []struct {
				ErrorMsg string `json:"error_msg"`
			} `json:"jobs"`
		}
		p.request(http.MethodPost, "/v1/"+p.project+"/cloud-phone/phones/batch-reset", map[string]any{"phones": elements}, &answer)
		for _, job := range answer.Jobs {
			if job.ErrorMsg != "" {
				p.t.Fatal(job.ErrorMsg)
			}
		}
	}
}

// openDatabase opens the process's database behind its back.
func (p *process) openDatabase() *sql.DB {
	p.t.Helper()
	driver, dsn := "pgx", p.database
	if p.database == "" {
		driver, dsn = "sqlite", "file:"+filepath.Join(p.data, "lethe.db")+"?_pragma=busy_timeout(10000)&_pragma=foreign_keys(true)"
	}
	db, err := sql.Open(driver, dsn)
	if err != nil {
		p.t.Fatal(err)
	}
	p.t.Cleanup(func() { _ = db.Close() })
	return db
}

// verifying counts jobs of the first server that have got as far as verifying.
func (p *process) verifying(db *sql.DB) int {
	p.t.Helper()
	var n int
	if err := db.QueryRow(`SELECT count(*) FROM jobs WHERE server_id = $1 AND verifying_at IS NOT NULL`, storetest.FilledServer(0)).Scan(&n); err != nil {
		p.t.Fatal(err)
	}
	return n
}

// resident is how much memory the process holds, in MB of 10^6 bytes.
func (p *process) resident() float64 {
	p.t.Helper()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.cmd.Process.Pid))
	if err != nil {
		p.t.Skip("the memory of a process is read from /proc: ", err)
	}
	for line := range strings.Lines(string(status)) {
		if rest, ok := strings.CutPrefix(line, "VmRSS:"); ok {
			kb, err := strconv.Atoi(strings.TrimSuffix(strings.TrimSpace(rest), " kB"))
			if err != nil {
				p.t.Fatal(err)
			}
			return float64(kb) * 1024 / 1e6
		}
	}
	p.t.Fatal("/proc does not say how much memory the process holds")
	return 0
}
