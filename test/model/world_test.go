package model

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"testing/cryptotest"
	"testing/synctest"
	"time"

	"github.com/lethe-cloud/lethe/internal/account"
	"github.com/lethe-cloud/lethe/internal/driver/drivertest"
	"github.com/lethe-cloud/lethe/internal/driver/simulated"
	"github.com/lethe-cloud/lethe/internal/fleet"
	"github.com/lethe-cloud/lethe/internal/phone"
	"github.com/lethe-cloud/lethe/internal/seal"
	"github.com/lethe-cloud/lethe/internal/store"
	"github.com/lethe-cloud/lethe/internal/store/storetest"
)

var rules = simulated.Rules()

// world is everything that one seed runs: an installation with its replicas and hosts, the reference, and the seed's dice.
type world struct {
	seed  uint64
	rng   *rand.Rand
	mood  mood
	wrong mutant
	log   *slog.Logger
	began time.Time
	trace []string

	path         string // of the database
	keys         seal.Keys
	db           *sql.DB
	queries      map[string]*sql.Stmt
	api          *store.Store
	fleet        *fleet.Service
	wallStep     time.Duration // what the wall clocks are ahead of the bubble's
	databaseStep time.Duration // what the database's clock is ahead

	projects []phone.ProjectID
	callers  map[phone.ProjectID]account.Caller
	images   []phone.Image
	servers  []phone.Server
	names    map[phone.ID]string
	machines map[string]*machine // by endpoint
	replicas []*replica
	lives    []*life
	gates    gates
	spec     *spec
	calls    []call     // that were accepted under a key
	paced    *pacedEnds // of the callers' store
	planted  []planted
	used     map[phone.JobID]*volume    // of a job that keeps the life: the volume that the phone had when it was accepted
	kept     map[phone.JobID]*volume    // with the rollback policy: the volume that the phone had when its job was accepted
	commands map[phone.RequestID]string // what tasks of the kind shell run
	told     map[phone.JobID]bool       // what the host said last, asked whether two volumes fit: that it is full
	passes   int
	calm     bool // faults are lifted

	handing sync.Mutex
	failMu  sync.Mutex
	failure error
	version int64 // of the database when it was read last
	rows    rows
}

// mood is how hard a seed is.
type mood struct {
	faults  float64 // how often a call fails, in each of two ways
	lingers float64 // how often an answer waits
	boots   float64 // how often a boot does not go well
	engines int
	steps   int
}

func drawMood(rng *rand.Rand, steps int) mood {
	m := mood{lingers: 0.05, engines: 1 + rng.IntN(3), steps: steps/2 + rng.IntN(steps)}
	switch rng.IntN(4) {
	case 0: // nothing goes wrong but processes and clocks
	case 1:
		m.faults, m.boots = 0.01, 0.1
	case 2:
		m.faults, m.boots, m.lingers = 0.04, 0.25, 0.1
	case 3:
		m.boots, m.lingers = 0.5, 0.2
	}
	return m
}

// fail notes what is not as it must be; the seed ends at the next step.
func (w *world) fail(format string, args ...any) {
	w.failMu.Lock()
	defer w.failMu.Unlock()
	w.failure = errors.Join(w.failure, fmt.Errorf(format, args...))
}

func (w *world) failed() error {
	w.failMu.Lock()
	defer w.failMu.Unlock()
	return w.failure
}

// rest returns when everything in the bubble waits. What goroutines that have ended since did happened before that.
func (w *world) rest() {
	synctest.Wait()
	w.handOver()
}

// handOver ends what a goroutine did for the world before it ends itself.
func (w *world) handOver() {
	w.handing.Lock()
	defer w.handing.Unlock()
}

func (w *world) now() time.Time           { return time.Now().Add(w.wallStep) }
func (w *world) databaseClock() time.Time { return time.Now().Add(w.databaseStep) }

// owner is in whose name lethe acts on a server's host.
func (w *world) owner(server phone.ServerID) drivertest.Owner {
	return drivertest.Owner{Installation: "installation", Server: server}
}

// open opens the seed's database as one more process.
func (w *world) open() (*store.Store, error) {
	return store.Open(context.Background(), store.Config{URL: "sqlite:" + w.path, Keys: w.keys, Logger: w.log, Now: w.now, DatabaseClock: w.databaseClock, Tasks: mostTasks + w.wrong.inTasks})
}

// result is what a seed came to.
type result struct {
	trace []string
	err   error
	steps int
}

// runSeed runs one seed from its beginning to its end, with something wrong in it or not. What time it takes is none of the seed's: the
// bubble has a clock of its own.
func runSeed(t *testing.T, template string, seed uint64, steps int, wrong mutant) result {
	t.Helper()
	cryptotest.SetGlobalRandom(t, seed) // ids are random, and lock orders follow ids
	dir, err := os.MkdirTemp(memory(), "lethe-model-")
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, "lethe.db")
	if err := copyFile(template, path); err != nil {
		t.Fatal(err)
	}
	var r result
	synctest.Test(t, func(*testing.T) {
		w := &world{
			seed: seed, rng: rand.New(rand.NewPCG(seed, 1)), wrong: wrong, log: slog.New(slog.DiscardHandler), began: time.Now(), path: path, keys: storetest.TestKeys(t),
			callers: map[phone.ProjectID]account.Caller{}, names: map[phone.ID]string{}, machines: map[string]*machine{},
			queries: map[string]*sql.Stmt{}, paced: newPacedEnds(), used: map[phone.JobID]*volume{}, kept: map[phone.JobID]*volume{}, told: map[phone.JobID]bool{}, commands: map[phone.RequestID]string{},
		}
		w.mood = drawMood(w.rng, steps)
		w.spec = newSpec(func() int64 { return w.now().UnixMicro() }, func() int64 { return w.databaseClock().UnixMicro() })
		err := w.setUp()
		if err == nil {
			err = w.run()
		}
		r = result{trace: w.trace, err: errors.Join(err, w.tearDown()), steps: len(w.trace)}
	})
	return r
}

// memory is a folder in memory, where there is one: the model does not test disks.
func memory() string {
	if info, err := os.Stat("/dev/shm"); err == nil && info.IsDir() {
		return "/dev/shm"
	}
	return ""
}

func copyFile(from, to string) error {
	data, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	return os.WriteFile(to, data, 0o600)
}

// newTemplate makes a database with today's tables, which every seed begins with a copy of.
func newTemplate(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "lethe.db")
	s, err := store.Open(t.Context(), store.Config{URL: "sqlite:" + path, Keys: storetest.TestKeys(t), Logger: slog.New(slog.NewTextHandler(io.Discard, nil))})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	return path
}

// setUp makes two projects with a server each, their phones' create jobs among it, and starts the replicas.
func (w *world) setUp() error {
	ctx := context.Background()
	var err error
	if w.db, err = sql.Open("sqlite", "file:"+w.path+"?_pragma=busy_timeout(10000)&_pragma=synchronous(OFF)"); err != nil {
		return err
	}
	w.db.SetMaxOpenConns(1)
	if w.api, err = w.open(); err != nil {
		return err
	}
	w.fleet = fleet.New(fleet.Config{
		Store: w.wrong.calls(w, w.api), Hosts: apiHosts{w}, Check: func(_ string, p phone.Properties) *phone.Error { return rules.Check(p) }, Now: w.now,
		BootTimeout: bootTimeout,
	})
	tenant := account.Account{ID: phone.NewID[string](), Name: "tenant", OwnHosts: true, CreatedAt: w.now()}
	owner := account.User{ID: phone.NewID[string](), Account: tenant.ID, Name: "owner", Owner: true, CreatedAt: w.now()}
	identity := account.Identity{User: owner, Account: tenant}
	for i := range 2 {
		p := account.Project{ID: phone.NewID[string](), Account: tenant.ID, Name: fmt.Sprintf("local-%d", i+1), CreatedAt: w.now()}
		identity.Projects = append(identity.Projects, p)
		w.projects = append(w.projects, phone.ProjectID(p.ID))
	}
	if _, err := w.api.Bootstrap(ctx, identity, account.AccessKey{ID: "AK", Secret: "SK", User: owner.ID, CreatedAt: w.now()}); err != nil {
		return err
	}
	for i, project := range w.projects {
		w.callers[project] = account.Caller{Identity: identity, Scope: string(project)}
		for _, image := range []fleet.NewImage{{Name: "first", Reference: "first"}, {Name: "second", Reference: "second"}, {Name: "odd", Label: "odd", Reference: "odd"}, {Name: "other", Reference: "other", OSName: "AOSP16"}} {
			image.Project = project
			made, err := w.fleet.AddImage(ctx, w.callers[project], image)
			if err != nil {
				return err
			}
			w.images = append(w.images, made)
			w.spec.images[made.ID] = made
		}
		if err := w.addServer(project, i, w.images[4*i].ID); err != nil {
			return err
		}
	}
	for i := range w.mood.engines {
		r := &replica{name: string(rune('A' + i)), id: phone.NewID[phone.ReplicaID]()}
		w.replicas = append(w.replicas, r)
		if err := w.start(r); err != nil {
			return err
		}
	}
	return nil
}

// apiHosts is what the use cases need of hosts: when a server is added it is asked for.
type apiHosts struct{ *world }

func (w *world) addServer(project phone.ProjectID, number int, image phone.ImageID) error {
	ctx := context.Background()
	name := fmt.Sprintf("rack%d", number+1)
	endpoint := "memory:" + name
	m := newMachine()
	m.plan = w.drawBoot
	w.machines[endpoint] = m
	phones, slots := 2+w.rng.IntN(4), 1+w.rng.IntN(2)
	server, request, err := w.fleet.AddServer(ctx, w.callers[project], fleet.NewServer{
		Project: project, Name: name, Driver: "memory", Endpoint: endpoint, Config: []byte("{}"), Image: image, Phones: phones, MaxConcurrentBoots: slots,
	})
	if err != nil {
		return err
	}
	w.servers = append(w.servers, server)
	w.spec.servers[server.ID] = &specServer{id: server.ID, project: project, slots: slots, label: server.ImageLabel}
	jobs, err := w.api.Jobs(ctx, fleet.JobFilter{Project: project, Server: server.ID, Limit: 1000})
	if err != nil {
		return err
	}
	w.spec.newRequest(request, project, phone.KindCreate)
	for i, j := range jobs {
		p := &specPhone{ID: j.Phone, Project: project, Server: server.ID, Status: phone.StatusCreating, Image: image, Properties: "{}", Updated: w.spec.wall()}
		w.spec.phones[p.ID] = p
		w.names[p.ID] = fmt.Sprintf("%s/%d", name, i+1)
		w.spec.accepted(j.ID, request, p, phone.KindCreate, image, "{}", false).Erase = phone.EraseNone
	}
	w.spec.admit(server.ID)
	w.wrong.setUp(w, server)
	return w.check()
}

// tearDown ends every process and goroutine of the seed.
func (w *world) tearDown() error {
	for _, l := range w.lives {
		if !l.dead && l.store != nil {
			w.kill(l, func(*gate) bool { return false })
		}
	}
	for range 1000 {
		if w.bury() {
			break
		}
		time.Sleep(time.Second) // what still sleeps in a dead process reaches its gate
		w.rest()
	}
	var err error
	if w.api != nil {
		err = w.api.Close()
	}
	return errors.Join(err, w.db.Close())
}
