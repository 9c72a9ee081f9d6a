// Package storetest is the one suite that the store passes on every database. It reads the tables itself where an invariant
// is about all of them at once.
package storetest

import (
	"context"
	"database/sql"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	_ "github.com/jackc/pgx/v5/stdlib" // registers the driver "pgx"

	"github.com/lethe-cloud/lethe/internal/account"
	"github.com/lethe-cloud/lethe/internal/fleet"
	"github.com/lethe-cloud/lethe/internal/phone"
	"github.com/lethe-cloud/lethe/internal/seal"
	"github.com/lethe-cloud/lethe/internal/store"
)

// Fixture is a fresh database with one account in it.
type Fixture struct {
	*store.Store
	// URL is what the store was opened with; further stores may open it.
	URL string
	// DB reads and breaks the same database behind the store's back.
	DB    *sql.DB
	Clock *Clock
	// Owner is the account's owner, with two projects.
	Owner account.Identity
	Key   account.AccessKey
}

// Clock is a clock that a test moves. It starts at a whole microsecond, which is what the database keeps.
type Clock struct {
	mu  sync.Mutex
	now time.Time
}

// Now is the time that the test has set.
func (c *Clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

// Advance moves the clock.
func (c *Clock) Advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// Open opens a fresh database at url and bootstraps it.
func Open(t testing.TB, url string) Fixture {
	t.Helper()
	clock := &Clock{now: time.Date(2025, 3, 1, 12, 0, 0, 0, time.UTC)}
	f := Fixture{URL: url, Clock: clock, Store: Reopen(t, url, clock)}
	f.DB = direct(t, url)
	f.Owner, f.Key = identity(clock.Now())
	if created, err := f.Bootstrap(t.Context(), f.Owner, f.Key); err != nil || !created {
		t.Fatalf("Bootstrap = %v, %v", created, err)
	}
	return f
}

// testKey is the key file of every fixture's installation.
const testKey = "MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE="

// TestKeys are the keys of every fixture's installation.
func TestKeys(t testing.TB) seal.Keys {
	t.Helper()
	keys, err := seal.Parse([]byte(testKey))
	if err != nil {
		t.Fatal(err)
	}
	return keys
}

// Reopen opens a further store on a database, as another process would.
func Reopen(t testing.TB, url string, clock *Clock) *store.Store {
	t.Helper()
	s, err := store.Open(t.Context(), store.Config{URL: url, Now: clock.Now, Keys: TestKeys(t)})
	if err != nil {
		t.Fatalf("Open: %v", err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
	})
	return s
}

func direct(t testing.TB, url string) *sql.DB {
	t.Helper()
	driver, dsn := "pgx", url
	if path, ok := strings.CutPrefix(url, "sqlite:"); ok {
		driver, dsn = "sqlite", "file:"+path+"?_pragma=busy_timeout(10000)&_pragma=foreign_keys(true)"
	}
	db, err := sql.Open(driver, dsn)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	return db
}

func identity(now time.Time) (account.Identity, account.AccessKey) {
	a := account.Account{ID: phone.NewID[string](), Name: "acme", CreatedAt: now}
	user := account.User{
		ID: phone.NewID[string](), Account: a.ID, Name: "root", PasswordHash: "$argon2id$v=19$m=8,t=1,p=1$c2FsdA$aGFzaA", Owner: true,
		Policies: []account.Policy{}, Epoch: 1, CreatedAt: now,
	}
	projects := []account.Project{
		{ID: phone.NewID[string](), Account: a.ID, Name: "local-1", CreatedAt: now},
		{ID: phone.NewID[string](), Account: a.ID, Name: "local-2", CreatedAt: now},
	}
	key := account.AccessKey{ID: "AK" + strings.ToUpper(phone.NewID[string]()[:18]), Secret: phone.NewID[string](), User: user.ID, CreatedAt: now}
	return account.Identity{User: user, Account: a, Projects: projects}, key
}

// Postgres reports whether the database is PostgreSQL.
func (f Fixture) Postgres() bool { return !strings.HasPrefix(f.URL, "sqlite:") }

// Project is the account's n-th project, from 0.
func (f Fixture) Project(n int) phone.ProjectID { return phone.ProjectID(f.Owner.Projects[n].ID) }

// Image adds a public image for label "arm".
func (f Fixture) Image(t testing.TB) phone.Image {
	t.Helper()
	id := phone.NewID[phone.ImageID]()
	image := phone.Image{ID: id, Name: "image-" + string(id), Label: "arm", OSName: "AOSP11.0", Reference: "redroid:" + string(id), CreatedAt: f.Clock.Now()}
	if err := f.AddImage(t.Context(), image); err != nil {
		t.Fatalf("AddImage: %v", err)
	}
	return image
}

// ServerInput is a server of a project with phones that have been created long ago when ready, else with their create jobs.
func (f Fixture) ServerInput(project phone.ProjectID, image phone.ImageID, phones, slots int) fleet.AddServer {
	now := f.Clock.Now()
	server := phone.Server{
		ID: phone.NewID[phone.ServerID](), Project: project, Driver: "simulated", Config: []byte(`{"seed":7}`), ImageLabel: "arm", Model: "physical.1",
		PhoneModel: "cloudphone.1", Status: phone.ServerNormal, MaxConcurrentBoots: slots, BootTimeout: 90 * time.Second, PortBase: 20000, Capacity: phones,
		CreatedAt: now, UpdatedAt: now,
	}
	server.Name = "server-" + string(server.ID)
	server.Endpoint = "sim://" + string(server.ID)
	in := fleet.AddServer{
		Request: phone.Request{ID: phone.NewID[phone.RequestID](), Project: project, Kind: phone.KindCreate, Caller: f.Owner.User.ID, CreatedAt: now},
		Server:  server,
	}
	for i := range phones {
		p := phone.Phone{
			ID: phone.NewID[phone.ID](), Project: project, Server: server.ID, Model: server.PhoneModel, Image: image, Status: phone.StatusCreating, LastGeneration: 1,
			Properties: phone.Properties{"ro.com.cph.non_root": "1"}, ADBPort: server.PortBase + i, CreatedAt: now, UpdatedAt: now,
		}
		p.Name = server.Name + "-" + strconv.Itoa(i)
		in.Phones = append(in.Phones, p)
		in.Jobs = append(in.Jobs, phone.Job{
			ID: phone.NewID[phone.JobID](), Request: in.Request.ID, Project: project, Phone: p.ID, Server: server.ID, Kind: phone.KindCreate, Phase: phone.PhaseQueued,
			Erase: phone.EraseNone, Target: 1, PriorStatus: phone.StatusCreating, PriorImage: image, Image: image, Properties: p.Properties, CreatedAt: now,
		})
	}
	return in
}

// Fleet adds a server whose phones are running in their first generation and whose image is on its host.
func (f Fixture) Fleet(t testing.TB, project phone.ProjectID, image phone.ImageID, phones, slots int) fleet.AddServer {
	t.Helper()
	in := f.ServerInput(project, image, phones, slots)
	if err := f.AddServer(t.Context(), in); err != nil {
		t.Fatalf("AddServer: %v", err)
	}
	f.exec(t, `INSERT INTO host_images (server_id, image_id, identity_id, identity_digest, prepared_at) VALUES ($1, $2, 'sha256:1', '', 0)`, string(in.Server.ID), string(image))
	f.exec(t, `UPDATE jobs SET phase = 'succeeded', ended_at = created_at, owner = NULL, delivered_at = NULL, receipt = '{}' WHERE server_id = $1`, string(in.Server.ID))
	f.exec(t, `UPDATE phones SET status = 2, generation = 1 WHERE server_id = $1`, string(in.Server.ID))
	f.exec(t, `DELETE FROM river_job`)
	f.recount(t)
	return in
}

// recount sets the counts of phones right after phones were changed behind the store's back.
func (f Fixture) recount(t testing.TB) {
	t.Helper()
	f.exec(t, `DELETE FROM phone_counts`)
	f.exec(t, `INSERT INTO phone_counts (project_id, status, n) SELECT project_id, status, count(*) FROM phones GROUP BY project_id, status`)
}

func (f Fixture) exec(t testing.TB, query string, args ...any) {
	t.Helper()
	if _, err := f.DB.ExecContext(context.Background(), query, args...); err != nil {
		t.Fatalf("%s: %v", query, err)
	}
}

func (f Fixture) count(t testing.TB, query string, args ...any) int {
	t.Helper()
	var n int
	if err := f.DB.QueryRowContext(context.Background(), query, args...).Scan(&n); err != nil {
		t.Fatalf("%s: %v", query, err)
	}
	return n
}

// ResetInput is a batch reset of phones to their present image.
func (f Fixture) ResetInput(project phone.ProjectID, ids ...phone.ID) fleet.AcceptReset {
	in := fleet.AcceptReset{
		Request: phone.Request{ID: phone.NewID[phone.RequestID](), Project: project, Kind: phone.KindReset, Caller: f.Owner.User.ID, CreatedAt: f.Clock.Now()},
		Check:   func(string, phone.Properties) *phone.Error { return nil },
	}
	for _, id := range ids {
		in.Items = append(in.Items, phone.ResetItem{PhoneID: string(id)})
	}
	return in
}

// Reset accepts a batch reset of which every phone must be accepted, and gives the jobs in its order.
func (f Fixture) Reset(t testing.TB, project phone.ProjectID, ids ...phone.ID) []phone.JobID {
	t.Helper()
	outcomes, err := f.AcceptReset(t.Context(), f.ResetInput(project, ids...))
	if err != nil {
		t.Fatalf("AcceptReset: %v", err)
	}
	jobs := make([]phone.JobID, len(outcomes))
	for i, o := range outcomes {
		if o.Err != nil {
			t.Fatalf("AcceptReset refused phone %s: %v", o.PhoneID, o.Err)
		}
		jobs[i] = o.Job
	}
	return jobs
}

// ids gives the phones' ids.
func ids(phones []phone.Phone) []phone.ID {
	out := make([]phone.ID, len(phones))
	for i, p := range phones {
		out[i] = p.ID
	}
	return out
}
