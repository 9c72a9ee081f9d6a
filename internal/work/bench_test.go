package work_test

import (
	"context"
	"flag"
	"fmt"
	"log/slog"
	"path/filepath"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/lethe-cloud/lethe/internal/driver"
	"github.com/lethe-cloud/lethe/internal/phone"
	"github.com/lethe-cloud/lethe/internal/store"
	"github.com/lethe-cloud/lethe/internal/store/storetest"
	"github.com/lethe-cloud/lethe/internal/testenv"
	"github.com/lethe-cloud/lethe/internal/work"
)

var (
	benchJobs   = flag.Int("jobs", 2000, "resets of BenchmarkControlPlane; a multiple of 1,000")
	benchRounds = flag.Int("rounds", 5, "how often BenchmarkControlPlane measures each side, in turn")
)

// bothDatabases runs a benchmark on a fresh database of each kind.
func onBoth(b *testing.B, run func(*testing.B, storetest.Fixture)) {
	b.Run("sqlite", func(b *testing.B) { run(b, storetest.Open(b, "sqlite:"+filepath.Join(b.TempDir(), "lethe.db"))) })
	b.Run("postgres", func(b *testing.B) { run(b, storetest.Open(b, testenv.Postgres(b))) })
}

const benchServers = 20

// BenchmarkControlPlane works the same number of accepted resets in two ways, in turn: with the engine, whose hosts cost
// nothing and which admits every job through one of few boot slots; and with a plain River worker that makes the same fenced
// writes to the same tables, each when it comes, and knows no slots, no leases and no images. Beside them stands what River
// does with as many jobs that do nothing.
func BenchmarkControlPlane(b *testing.B) {
	onBoth(b, func(b *testing.B, f storetest.Fixture) {
		image := f.Image(b)
		each := *benchJobs / benchServers
		few, all := newBenchFleet(b, f, image.ID, each, 10), newBenchFleet(b, f, image.ID, each, each)
		river := newPlainRiver(b, f)
		var engine, fenced, noop, wal []float64
		for b.Loop() {
			for range *benchRounds {
				before := walBytes(b, f)
				few.accept(b)
				engine = append(engine, rate(few.work))
				wal = append(wal, float64(walBytes(b, f)-before)/float64(*benchJobs))
				all.accept(b)
				fenced = append(fenced, rate(river.work))
				river.insertNoops(b)
				noop = append(noop, rate(river.noops))
			}
		}
		b.ReportMetric(middle(engine), "lethe-jobs/s")
		b.ReportMetric(middle(fenced), "river-fenced-jobs/s")
		b.ReportMetric(middle(noop), "river-noop-jobs/s")
		b.ReportMetric(middle(engine)/middle(fenced), "lethe/river-fenced")
		b.ReportMetric(middle(engine)/middle(noop), "lethe/river-noop")
		if f.Postgres() {
			b.ReportMetric(middle(wal), "lethe-WAL-B/job")
		}
		b.ReportMetric(0, "ns/op")
	})
}

// walBytes is how much PostgreSQL has written to its log so far.
func walBytes(b *testing.B, f storetest.Fixture) int64 {
	b.Helper()
	if !f.Postgres() {
		return 0
	}
	var n int64
	if err := f.DB.QueryRow(`SELECT CAST(pg_current_wal_insert_lsn() - '0/0' AS BIGINT)`).Scan(&n); err != nil {
		b.Fatal(err)
	}
	return n
}

// rate is jobs per second.
func rate(work func()) float64 {
	began := time.Now()
	work()
	return float64(*benchJobs) / time.Since(began).Seconds()
}

func middle(all []float64) float64 {
	slices.Sort(all)
	return all[len(all)/2]
}

// benchFleet is benchJobs running phones on benchServers servers.
type benchFleet struct {
	b   *testing.B
	f   storetest.Fixture
	ids []phone.ID
}

func newBenchFleet(b *testing.B, f storetest.Fixture, image phone.ImageID, each, slots int) *benchFleet {
	fleet := &benchFleet{b: b, f: f}
	for range benchServers {
		for _, p := range f.Fleet(b, f.Project(0), image, each, slots).Phones {
			fleet.ids = append(fleet.ids, p.ID)
		}
	}
	return fleet
}

func (fleet *benchFleet) accept(b *testing.B) {
	b.Helper()
	for some := range slices.Chunk(fleet.ids, 1000) {
		fleet.f.Reset(b, fleet.f.Project(0), some...)
	}
}

// work runs an engine until it has finished all jobs of the fleet.
func (fleet *benchFleet) work() {
	counted := &countedStore{Store: fleet.f.Store, done: make(chan struct{})}
	counted.left.Store(int64(len(fleet.ids)))
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	ended := make(chan error, 1)
	engine := work.New(work.Config{
		Store: counted, Queue: fleet.f.Store, Hosts: freeHost{}, Replica: phone.NewID[phone.ReplicaID](), Logger: slog.New(slog.DiscardHandler),
	})
	go func() { ended <- engine.Run(ctx) }()
	select {
	case <-counted.done:
	case err := <-ended:
		fleet.b.Fatal("the engine ended: ", err)
	case <-time.After(3 * time.Minute):
		fleet.b.Fatalf("%d jobs are not finished after 3 minutes", counted.left.Load())
	}
	cancel()
	if err := <-ended; err != nil {
		fleet.b.Fatal(err)
	}
	if n := counted.failed.Load(); n > 0 {
		fleet.b.Fatalf("%d jobs failed", n)
	}
}

// countedStore counts the jobs that end.
type countedStore struct {
	*store.Store
	left, failed atomic.Int64
	done         chan struct{}
}

func (s *countedStore) Finish(ctx context.Context, fence phone.Fence, receipt phone.Receipt) error {
	return s.ended(s.Store.Finish(ctx, fence, receipt))
}

func (s *countedStore) Fail(ctx context.Context, fence phone.Fence, failure phone.Failure) error {
	s.failed.Add(1)
	return s.ended(s.Store.Fail(ctx, fence, failure))
}

func (s *countedStore) ended(err error) error {
	if err == nil && s.left.Add(-1) == 0 {
		close(s.done)
	}
	return err
}

// freeHost is a driver that costs nothing: every phone boots at once, and has one old volume to erase.
type freeHost struct{}

func (freeHost) Driver(context.Context, phone.Server) (driver.Driver, error) { return freeHost{}, nil }

func (freeHost) Rules(string) driver.PropertyRules {
	return driver.PropertyRules{Timing: func(string) driver.Timing { return driver.Recorded }, Check: func(phone.Properties) *phone.Error { return nil }}
}

func (freeHost) Info(context.Context) (driver.Info, error) { return driver.Info{}, nil }

func (freeHost) Prepare(context.Context, phone.Image) (phone.ImageIdentity, error) {
	return phone.ImageIdentity{ID: freeIdentity}, nil
}

// freeIdentity is what a fixture's hosts have resolved their images to.
const freeIdentity = "sha256:1"

func (freeHost) Ensure(_ context.Context, spec driver.Spec) (driver.Instance, error) {
	return booted(spec.Ref), nil
}

func (freeHost) Remake(_ context.Context, spec driver.Spec) (driver.Instance, error) {
	return booted(spec.Ref), nil
}

func (freeHost) Start(context.Context, driver.Ref) error  { return nil }
func (freeHost) Stop(context.Context, driver.Ref) error   { return nil }
func (freeHost) Remove(context.Context, driver.Ref) error { return nil }

func (freeHost) Discard(context.Context, driver.Ref) error { return nil }

func (freeHost) Erase(_ context.Context, id phone.ID, below phone.Generation) (driver.Erasure, error) {
	volume := phone.ErasedVolume{Name: "lethe-" + string(id), Generation: below - 1, Files: 24, Bytes: 100_000, Gone: true}
	return driver.Erasure{Volumes: []phone.ErasedVolume{volume}, LookedFor: time.Now()}, nil
}

func (freeHost) Inspect(_ context.Context, ref driver.Ref) (driver.Instance, error) {
	return booted(ref), nil
}

func (freeHost) Exec(context.Context, driver.Ref, driver.Command) (driver.Result, error) {
	return driver.Result{}, nil
}

func (freeHost) List(context.Context) ([]driver.Object, error) { return nil, nil }

func booted(ref driver.Ref) driver.Instance {
	name := fmt.Sprintf("lethe-%s-%d", ref.Phone, ref.Generation)
	return driver.Instance{Ref: ref, Name: name, Running: true, Booted: true, Identity: phone.ImageIdentity{ID: freeIdentity}, Volume: name}
}
