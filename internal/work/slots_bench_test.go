package work_test

import (
	"context"
	"flag"
	"log/slog"
	"slices"
	"testing"
	"time"

	"github.com/lethe-cloud/lethe/internal/driver"
	"github.com/lethe-cloud/lethe/internal/driver/simulated"
	"github.com/lethe-cloud/lethe/internal/fleet"
	"github.com/lethe-cloud/lethe/internal/phone"
	"github.com/lethe-cloud/lethe/internal/store"
	"github.com/lethe-cloud/lethe/internal/store/storetest"
	"github.com/lethe-cloud/lethe/internal/work"
)

var (
	slotPhones = flag.Int("phones", 200, "phones of BenchmarkBootSlots, on one server")
	slotSlots  = flag.Int("slots", 20, "boot slots of BenchmarkBootSlots")
	slotBoot   = flag.Duration("boot", 2*time.Second, "boot time of a phone in BenchmarkBootSlots")
)

// BenchmarkBootSlots resets all simulated phones of a server, from the call to the last finished job, against the ideal: no
// slot is ever idle, and each phone holds one for T, which is what a phone that is reset alone holds it for. T is measured
// before and after the batch in the same run.
func BenchmarkBootSlots(b *testing.B) {
	onBoth(b, func(b *testing.B, f storetest.Fixture) {
		s := newSlotBench(b, f)
		var alone, batches []time.Duration
		for b.Loop() {
			alone = append(alone, s.alone(3)...)
			batches = append(batches, s.reset(s.phones))
			alone = append(alone, s.alone(3)...)
		}
		slices.Sort(alone)
		slices.Sort(batches)
		slot, batch := alone[len(alone)/2], batches[len(batches)/2]
		ideal := time.Duration((*slotPhones+*slotSlots-1)/(*slotSlots)) * slot
		b.ReportMetric(batch.Seconds(), "makespan-s")
		b.ReportMetric(ideal.Seconds(), "ideal-s")
		b.ReportMetric(slot.Seconds(), "T-s")
		b.ReportMetric(batch.Seconds()/ideal.Seconds(), "makespan/ideal")
		b.ReportMetric(0, "ns/op")
	})
}

// slotBench is a server of simulated phones with an engine at work.
type slotBench struct {
	b       *testing.B
	f       storetest.Fixture
	store   *store.Store // with a real clock
	phones  []phone.ID
	project phone.ProjectID
}

func newSlotBench(b *testing.B, f storetest.Fixture) *slotBench {
	b.Helper()
	live, err := store.Open(b.Context(), store.Config{URL: f.URL, Keys: storetest.TestKeys(b)})
	if err != nil {
		b.Fatal(err)
	}
	s := &slotBench{b: b, f: f, store: live, project: f.Project(0)}
	added := f.Fleet(b, s.project, f.Image(b).ID, *slotPhones, *slotSlots)
	for _, p := range added.Phones {
		s.phones = append(s.phones, p.ID)
	}
	host, err := simulated.Open(phone.NewID[string](), phone.Server{
		ID: added.Server.ID, Endpoint: "sim://" + b.TempDir(), Config: []byte(`{"boot_time":"` + slotBoot.String() + `"}`),
	})
	if err == nil {
		err = host.Create(b.Context())
	}
	if err != nil {
		b.Fatal(err)
	}
	identity, err := host.Prepare(b.Context(), phone.Image{Reference: "registry.invalid/android:12"})
	if err != nil {
		b.Fatal(err)
	}
	if _, err := f.DB.Exec(`UPDATE host_images SET identity_id = $1`, identity.ID); err != nil {
		b.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	engine := work.New(work.Config{
		Store: live, Queue: live, Hosts: oneHost{host}, Replica: phone.NewID[phone.ReplicaID](), Logger: slog.New(slog.DiscardHandler),
	})
	go func() { ended <- engine.Run(ctx) }()
	b.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			b.Error(err)
		}
		if err := live.Close(); err != nil {
			b.Error(err)
		}
	})
	s.reset(s.phones) // from now on each has an older life to remove and erase
	return s
}

// oneHost is the host of every server.
type oneHost struct{ host driver.Driver }

func (h oneHost) Driver(context.Context, phone.Server) (driver.Driver, error) { return h.host, nil }

func (oneHost) Rules(string) driver.PropertyRules { return simulated.Rules() }

// alone gives how long n phones held their slot, one after the other.
func (s *slotBench) alone(n int) []time.Duration {
	s.b.Helper()
	held := make([]time.Duration, n)
	for i := range n {
		job := s.run(s.phones[i : i+1])[0]
		held[i] = job.PhaseAt[phone.PhaseVerifying].Sub(job.PhaseAt[phone.PhaseRemoving])
	}
	return held
}

// reset gives how long it took from the call to the end of the last job.
func (s *slotBench) reset(ids []phone.ID) time.Duration {
	s.b.Helper()
	began := time.Now()
	var last time.Time
	for _, job := range s.run(ids) {
		if job.EndedAt.After(last) {
			last = job.EndedAt
		}
	}
	return last.Sub(began)
}

// run resets phones and gives their jobs when all have succeeded.
func (s *slotBench) run(ids []phone.ID) []phone.Job {
	s.b.Helper()
	in := s.f.ResetInput(s.project, ids...)
	outcomes, err := s.store.AcceptReset(s.b.Context(), in)
	if err != nil {
		s.b.Fatal(err)
	}
	for _, o := range outcomes {
		if o.Err != nil {
			s.b.Fatal(o.Err)
		}
	}
	for deadline := time.Now().Add(10 * time.Minute); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		progress, err := s.store.Progress(s.b.Context(), s.project, in.Request.ID)
		if err != nil {
			s.b.Fatal(err)
		}
		if !progress.Finished {
			continue
		}
		jobs, err := s.store.Jobs(s.b.Context(), fleet.JobFilter{Project: s.project, Requests: []phone.RequestID{in.Request.ID}})
		if err != nil {
			s.b.Fatal(err)
		}
		if progress.ByPhase[phone.PhaseSucceeded] != len(ids) {
			s.b.Fatalf("not every phone was reset: %v, the first job's failure %+v", progress.ByPhase, jobs[0].Failure)
		}
		return jobs
	}
	s.b.Fatal("not reset after 10 minutes")
	return nil
}
