package work_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/lethe-cloud/lethe/internal/account"
	"github.com/lethe-cloud/lethe/internal/driver"
	"github.com/lethe-cloud/lethe/internal/fleet"
	"github.com/lethe-cloud/lethe/internal/phone"
	"github.com/lethe-cloud/lethe/internal/store"
	"github.com/lethe-cloud/lethe/internal/store/storetest"
	"github.com/lethe-cloud/lethe/internal/work"
)

// bench is one installation in a test: a real store, a memory host, and engines that can be stopped and started.
type bench struct {
	t       *testing.T
	store   *store.Store
	host    *memoryHost
	project phone.ProjectID
	server  phone.Server
	phones  []phone.Phone
	images  []phone.Image
	request phone.RequestID // of the create jobs
	config  work.Config
	stop    func() // the engine that was started last
}

// soon is a boot timeout of phones that boot at once or never: a phone that the first look finds booted has booted in time, so how long it
// is decides nothing.
const soon = 200 * time.Millisecond

// newBench has a boot timeout that is longer than a test holds a boot up.
func newBench(t *testing.T, phones, slots int) *bench {
	t.Helper()
	return newBenchBooting(t, phones, slots, 5*time.Second)
}

func newBenchBooting(t *testing.T, phones, slots int, timeout time.Duration) *bench {
	t.Helper()
	logger := slog.New(slog.NewTextHandler(io.Discard, nil))
	path := filepath.Join(t.TempDir(), "lethe.db")
	storetest.CopySQLite(t, path)
	st, err := store.Open(t.Context(), store.Config{URL: "sqlite:" + path, Logger: logger, Keys: storetest.TestKeys(t)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := st.Close(); err != nil {
			t.Error(err)
		}
	})
	b := &bench{t: t, store: st, host: newMemoryHost(), project: phone.NewID[phone.ProjectID]()}
	b.config = work.Config{
		Store: st, Queue: st, Hosts: b.host, Replica: phone.NewID[phone.ReplicaID](), Logger: logger,
		HostDeadline: 10 * time.Second, StopGrace: 2 * time.Second, SweepEvery: 100 * time.Millisecond,
	}
	accountID := phone.NewID[string]()
	if _, err := st.Bootstrap(t.Context(), account.Identity{
		User:     account.User{ID: phone.NewID[string](), Account: accountID, Name: "owner", Owner: true, CreatedAt: time.Now()},
		Account:  account.Account{ID: accountID, Name: "test", CreatedAt: time.Now()},
		Projects: []account.Project{{ID: string(b.project), Account: accountID, Name: "local-1", CreatedAt: time.Now()}},
	}, account.AccessKey{ID: "AK", Secret: "SK", CreatedAt: time.Now()}); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"first", "second"} {
		image := phone.Image{ID: phone.NewID[phone.ImageID](), Name: name, Project: b.project, Label: "cloud_phone", Reference: name, CreatedAt: time.Now()}
		if err := st.AddImage(t.Context(), image); err != nil {
			t.Fatal(err)
		}
		b.images = append(b.images, image)
	}
	b.addServer(phones, slots, timeout)
	return b
}

// addImage registers one more image, which no host has.
func (b *bench) addImage() phone.ImageID {
	b.t.Helper()
	id := phone.NewID[phone.ImageID]()
	image := phone.Image{ID: id, Name: string(id), Project: b.project, Label: "cloud_phone", Reference: string(id), CreatedAt: time.Now()}
	if err := b.store.AddImage(b.t.Context(), image); err != nil {
		b.t.Fatal(err)
	}
	return id
}

func (b *bench) addServer(phones, slots int, timeout time.Duration) {
	b.t.Helper()
	now := time.Now()
	in := fleet.AddServer{
		Request: phone.Request{ID: phone.NewID[phone.RequestID](), Project: b.project, Kind: phone.KindCreate, Caller: "test", CreatedAt: now},
		Server: phone.Server{
			ID: phone.NewID[phone.ServerID](), Name: "rack", Project: b.project, Driver: "memory", Endpoint: "memory:", Config: []byte("{}"),
			ImageLabel: "cloud_phone", Status: phone.ServerNormal, MaxConcurrentBoots: slots, BootTimeout: timeout, PortBase: 5000,
			Capacity: phones, CreatedAt: now, UpdatedAt: now,
		},
	}
	for i := range phones {
		p := phone.Phone{
			ID: phone.NewID[phone.ID](), Name: fmt.Sprintf("rack-%04d", i+1), Project: b.project, Server: in.Server.ID, Image: b.images[0].ID,
			Status: phone.StatusCreating, LastGeneration: 1, Properties: phone.Properties{}, ADBPort: 5000 + i, CreatedAt: now, UpdatedAt: now,
		}
		in.Phones = append(in.Phones, p)
		in.Jobs = append(in.Jobs, phone.Job{
			ID: phone.NewID[phone.JobID](), Request: in.Request.ID, Project: b.project, Phone: p.ID, Server: p.Server, Kind: phone.KindCreate,
			Phase: phone.PhaseQueued, Erase: phone.EraseNone, Target: 1, PriorStatus: phone.StatusCreating, Image: p.Image,
			Properties: phone.Properties{}, CreatedAt: now,
		})
	}
	if err := b.store.AddServer(b.t.Context(), in); err != nil {
		b.t.Fatal(err)
	}
	b.server, b.phones, b.request = in.Server, in.Phones, in.Request.ID
}

// start runs an engine and gives a function that stops it cleanly.
func (b *bench) start() (stop func()) {
	b.t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	engine := work.New(b.config)
	go func() { done <- engine.Run(ctx) }()
	var once sync.Once
	stop = func() {
		once.Do(func() {
			cancel()
			if err := <-done; err != nil {
				b.t.Errorf("engine: %v", err)
			}
		})
	}
	b.t.Cleanup(stop)
	b.stop = stop
	return stop
}

// reset accepts a reset of these phones with the second image.
func (b *bench) reset(phones []phone.Phone, given phone.Properties) phone.RequestID {
	b.t.Helper()
	return b.resetBy(phones, given, false)
}

// resetBy is reset with a policy.
func (b *bench) resetBy(phones []phone.Phone, given phone.Properties, rollback bool) phone.RequestID {
	b.t.Helper()
	in := fleet.AcceptReset{
		Request: phone.Request{ID: phone.NewID[phone.RequestID](), Project: b.project, Kind: phone.KindReset, Caller: "test", CreatedAt: time.Now()},
		Image:   b.images[1].ID,
		Check:   func(string, phone.Properties) *phone.Error { return nil }, Rollback: rollback,
	}
	for _, p := range phones {
		in.Items = append(in.Items, phone.ResetItem{PhoneID: string(p.ID), Given: given})
	}
	outcomes, err := b.store.AcceptReset(b.t.Context(), in)
	if err != nil {
		b.t.Fatal(err)
	}
	for _, o := range outcomes {
		if o.Err != nil {
			b.t.Fatalf("phone %s refused: %v", o.PhoneID, o.Err)
		}
	}
	return in.Request.ID
}

// await polls until the jobs of the request satisfy ok.
func (b *bench) await(request phone.RequestID, what string, ok func([]phone.Job) bool) []phone.Job {
	b.t.Helper()
	for deadline := time.Now().Add(2 * time.Minute); ; time.Sleep(2 * time.Millisecond) {
		jobs, err := b.store.Jobs(b.t.Context(), fleet.JobFilter{Project: b.project, Requests: []phone.RequestID{request}, Limit: 1000})
		if err != nil {
			b.t.Fatal(err)
		}
		if ok(jobs) {
			return jobs
		}
		if time.Now().After(deadline) {
			for _, j := range jobs {
				b.t.Logf("job %s: %s, erase %s, attempt %d, failure %+v", j.ID, j.Phase, j.Erase, j.Attempt, j.Failure)
			}
			b.t.Fatalf("not within two minutes: %s", what)
		}
	}
}

func ended(jobs []phone.Job) bool {
	return len(jobs) > 0 && !slices.ContainsFunc(jobs, func(j phone.Job) bool { return !j.Phase.Final() })
}

// created waits until the create jobs have all succeeded.
func (b *bench) created() {
	b.t.Helper()
	for _, j := range b.await(b.request, "phones created", ended) {
		if j.Phase != phone.PhaseSucceeded {
			b.t.Fatalf("create job: %s %+v", j.Phase, j.Failure)
		}
	}
}

func (b *bench) phone(id phone.ID) phone.Phone {
	b.t.Helper()
	p, err := b.store.Phone(b.t.Context(), b.project, id)
	if err != nil {
		b.t.Fatal(err)
	}
	return p
}

// onlyNewest fails unless the host holds exactly each phone's generation and its volume.
func (b *bench) onlyNewest(generation phone.Generation) {
	b.t.Helper()
	objects, _ := b.host.List(b.t.Context())
	if len(objects) != 2*len(b.phones) {
		b.t.Errorf("%d objects on the host, want %d", len(objects), 2*len(b.phones))
	}
	for _, o := range objects {
		if o.Generation != generation {
			b.t.Errorf("on the host: %+v, want only generation %d", o, generation)
		}
	}
}

func TestResetWithReceipt(t *testing.T) {
	t.Parallel()
	b := newBench(t, 5, 2)
	b.start()
	b.created()
	request := b.reset(b.phones, phone.Properties{"ro.product.model": "M1", "com.cph.mainkeys": "1", "sys.prop.writeimsi": "460001234567890"})
	for _, j := range b.await(request, "reset ended", ended) {
		if j.Phase != phone.PhaseSucceeded || j.Receipt == nil {
			t.Fatalf("job: %s %+v", j.Phase, j.Failure)
		}
		want := &phone.Receipt{
			Phone: j.Phone, Job: j.ID, From: 1, To: 2, Image: b.images[1].ID, Identity: phone.ImageIdentity{ID: "sha256:second"},
			Instance: fmt.Sprintf("%s-2", j.Phone), Volume: fmt.Sprintf("%s-2-data", j.Phone),
			Erased:    []phone.ErasedVolume{{Name: fmt.Sprint(driver.Ref{Phone: j.Phone, Generation: 1}), Generation: 1, Files: 1, Bytes: 1, Gone: true}},
			LookedFor: j.Receipt.LookedFor,
			Properties: []phone.PropertyReading{
				{Key: "com.cph.mainkeys", Effect: phone.EffectVerified},
				{Key: "ro.product.model", Effect: phone.EffectVerified},
				{Key: "sys.prop.writeimsi", Effect: phone.EffectRecorded},
			},
		}
		if diff := cmp.Diff(want, j.Receipt); diff != "" {
			t.Errorf("receipt (-want +got):\n%s", diff)
		}
		if j.Receipt.LookedFor.IsZero() {
			t.Error("nobody looked for the old volumes")
		}
		p := b.phone(j.Phone)
		if p.Status != phone.StatusRunning || p.Generation != 2 || p.Image != b.images[1].ID || p.Properties["com.cph.mainkeys"] != "1" {
			t.Errorf("phone after its reset: %+v", p)
		}
	}
	b.onlyNewest(2)
	if n := b.host.count("prepare"); n != 2 {
		t.Errorf("images were prepared %d times, want once for each of the two", n)
	}
}

// An erase that takes long holds no boot slot: with one slot the next phone boots while the first one's old data still goes.
func TestSlowEraseHoldsNoSlot(t *testing.T) {
	t.Parallel()
	b := newBench(t, 2, 1)
	b.start()
	b.created()
	release := make(chan struct{})
	b.host.onCall(func(ctx context.Context, call string, _ driver.Ref) error {
		if call == "erase" {
			select {
			case <-release:
			case <-ctx.Done():
				return ctx.Err()
			}
		}
		return nil
	})
	request := b.reset(b.phones, nil)
	b.await(request, "both verifying while nothing is erased", func(jobs []phone.Job) bool {
		return !slices.ContainsFunc(jobs, func(j phone.Job) bool { return j.Phase != phone.PhaseVerifying })
	})
	close(release)
	b.await(request, "both ended", ended)
	b.onlyNewest(2)
}

func TestFailures(t *testing.T) {
	t.Parallel()
	lives := failingLives()
	maps.Copy(lives, map[string]failingLife{
		"disappears again and again": {func(b *bench, call string, ref driver.Ref) error {
			if call == "inspect" {
				b.host.lose(ref)
			}
			return nil
		}, phone.ReasonBootExited, "disappeared"},
		"image cannot be had": {func(_ *bench, call string, _ driver.Ref) error {
			if call == "prepare" {
				return phone.Errorf(phone.NotFound, phone.ReasonImageNotFound, "manifest unknown")
			}
			return nil
		}, phone.ReasonImageNotFound, "manifest unknown"},
		"erase fails": {func(_ *bench, call string, _ driver.Ref) error {
			if call == "erase" {
				return phone.Errorf(phone.Internal, phone.ReasonEraseFailed, "volume v is in use")
			}
			return nil
		}, phone.ReasonEraseFailed, "volume v is in use"},
		"the host stays away": {func(_ *bench, call string, _ driver.Ref) error {
			return phone.Errorf(phone.Unavailable, "", "connection refused")
		}, phone.ReasonHostGone, "server rack did not answer for 300ms"},
	})
	for name, c := range lives {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBenchBooting(t, 2, 1, soon)
			b.config.HostDeadline = 10 * time.Second
			stop := b.start()
			b.created()
			stop()
			b.config.HostDeadline = 300 * time.Millisecond
			bad := b.phones[0].ID
			b.host.onCall(func(_ context.Context, call string, ref driver.Ref) error {
				if call == "prepare" || ref.Phone == bad && ref.Generation == 2 {
					return c.spoil(b, call, ref)
				}
				return nil
			})
			request := b.reset(b.phones, phone.Properties{"com.cph.mainkeys": "1"})
			b.start()
			for _, j := range b.await(request, "both ended", ended) {
				if j.Phone != bad && b.host.count("ensure") > 2 && j.Phase != phone.PhaseSucceeded && name != "image cannot be had" && name != "the host stays away" {
					t.Errorf("its neighbour: %s %+v", j.Phase, j.Failure)
				}
				if j.Phone != bad {
					continue
				}
				if j.Phase != phone.PhaseFailed || j.Failure == nil {
					t.Fatalf("the bad phone's job: %s %+v", j.Phase, j.Failure)
				}
				if j.Failure.Reason != c.reason || !strings.Contains(j.Failure.Msg, c.says) || j.Failure.Detail == "" {
					t.Errorf("failure %+v, want %q with %q", j.Failure, c.reason, c.says)
				}
				if c.reason == phone.ReasonBootExited && strings.Contains(c.says, "129") && !strings.Contains(j.Failure.Detail, "its last lines: last words") {
					t.Errorf("the log's end is not in %q", j.Failure.Detail)
				}
				if strings.Contains(j.Failure.Msg+j.Failure.Detail, "secret") {
					t.Error("an internal cause reached the caller")
				}
			}
			if p := b.phone(bad); p.Status != phone.StatusResetFailed || p.Generation != 1 || p.LastGeneration != 2 {
				t.Errorf("phone after its failed reset: %+v", p)
			}

			// What failed can be reset again, and nothing of the failed life stays.
			b.host.onCall(func(context.Context, string, driver.Ref) error { return nil })
			b.host.mu.Lock()
			b.host.identity = func(reference string) string { return "sha256:" + reference }
			b.host.mu.Unlock()
			again := b.reset(b.phones[:1], nil)
			for _, j := range b.await(again, "reset again", ended) {
				if j.Phase != phone.PhaseSucceeded {
					t.Errorf("second reset: %s %+v", j.Phase, j.Failure)
				}
			}
			if p := b.phone(bad); p.Status != phone.StatusRunning || p.Generation != 3 {
				t.Errorf("phone after its second reset: %+v", p)
			}
		})
	}
}

// A process that stops leaves its jobs at a step boundary; the next one goes on from there with a higher attempt.
func TestStopAndGoOn(t *testing.T) {
	t.Parallel()
	b := newBench(t, 3, 3)
	stop := b.start()
	b.created()
	b.host.onCall(func(_ context.Context, call string, ref driver.Ref) error {
		if call == "inspect" && ref.Generation == 2 {
			b.host.set(ref, func(i *memoryInstance) { i.booted = false })
		}
		return nil
	})
	request := b.reset(b.phones, nil)
	b.await(request, "all booting", func(jobs []phone.Job) bool {
		return !slices.ContainsFunc(jobs, func(j phone.Job) bool { return j.Phase != phone.PhaseBooting || j.Erase != phone.EraseDone })
	})
	stop()
	ensured := b.host.count("ensure")
	b.host.onCall(func(_ context.Context, call string, ref driver.Ref) error {
		if call == "inspect" {
			b.host.set(ref, func(i *memoryInstance) { i.booted = true })
		}
		return nil
	})
	b.start()
	for _, j := range b.await(request, "reset ended", ended) {
		if j.Phase != phone.PhaseSucceeded || j.Attempt < 2 {
			t.Errorf("job: %s at attempt %d, failure %+v", j.Phase, j.Attempt, j.Failure)
		}
		if j.Receipt != nil && (len(j.Receipt.Erased) != 1 || !j.Receipt.Erased[0].Gone) {
			t.Errorf("what the first process erased is not in the receipt: %+v", j.Receipt.Erased)
		}
	}
	if n := b.host.count("ensure"); n != ensured {
		t.Errorf("saved steps were done again: %d instances made, want %d", n, ensured)
	}
	b.onlyNewest(2)
}

// Another replica takes over from one whose lease ran out; the old worker, when it comes back, writes and starts nothing more.
func TestTakeover(t *testing.T) {
	t.Parallel()
	b := newBench(t, 1, 1)
	stop := b.start()
	b.created()
	stop()

	inEnsure, release := make(chan struct{}), make(chan struct{})
	var once sync.Once
	b.host.onCall(func(ctx context.Context, call string, _ driver.Ref) error {
		if call != "ensure" {
			return nil
		}
		first := false
		once.Do(func() { first = true; close(inEnsure) })
		if first {
			<-release // a call in flight that watches nothing, as a paused process would
		}
		return nil
	})
	deaf := &deafStore{Store: b.store}
	old := b.config
	old.Store, old.LeaseTTL, old.Replica = deaf, 3*time.Second, phone.NewID[phone.ReplicaID]()
	oldCtx, oldCancel := context.WithCancel(context.Background())
	oldDone := make(chan error, 1)
	request := b.reset(b.phones, nil)
	go func() { oldDone <- work.New(old).Run(oldCtx) }()
	<-inEnsure
	deaf.silence()

	b.config.Replica = phone.NewID[phone.ReplicaID]()
	b.start()
	for _, j := range b.await(request, "taken over", ended) {
		if j.Phase != phone.PhaseSucceeded || j.Attempt < 2 {
			t.Errorf("job: %s at attempt %d, failure %+v", j.Phase, j.Attempt, j.Failure)
		}
	}
	starts := b.host.count("start")
	close(release)
	oldCancel()
	if err := <-oldDone; err != nil && !errors.Is(err, context.Canceled) {
		t.Logf("the old replica ended with: %v", err)
	}
	if n := b.host.count("start"); n != starts {
		t.Errorf("the old worker started %d more instances", n-starts)
	}
	b.onlyNewest(2)
}

// deafStore is a store whose heartbeats no longer get through.
type deafStore struct {
	*store.Store
	mu     sync.Mutex
	silent bool
}

func (d *deafStore) silence() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.silent = true
}

func (d *deafStore) Heartbeat(ctx context.Context, replica phone.ReplicaID, ttl time.Duration) error {
	d.mu.Lock()
	silent := d.silent
	d.mu.Unlock()
	if silent {
		return phone.Errorf(phone.Unavailable, "", "no route to the database")
	}
	return d.Store.Heartbeat(ctx, replica, ttl)
}

// An image that somebody removed from the host since it was prepared is brought back, when it is still the same one.
func TestImageRemovedFromHost(t *testing.T) {
	t.Parallel()
	b := newBench(t, 2, 2)
	b.start()
	b.created()
	b.await(b.reset(b.phones, nil), "first reset", ended)
	b.host.lose(driver.Ref{})
	for _, j := range b.await(b.reset(b.phones, nil), "reset without the image", ended) {
		if j.Phase != phone.PhaseSucceeded {
			t.Errorf("job: %s %+v", j.Phase, j.Failure)
		}
	}
	b.host.lose(driver.Ref{})
	b.host.mu.Lock()
	b.host.identity = func(string) string { return "sha256:other" }
	b.host.mu.Unlock()
	for _, j := range b.await(b.reset(b.phones, nil), "reset with another image under the same reference", ended) {
		if j.Phase != phone.PhaseFailed || j.Failure.Reason != phone.ReasonImageNotFound || !strings.Contains(j.Failure.Msg, "pinned") {
			t.Errorf("job: %s %+v", j.Phase, j.Failure)
		}
	}
}

// failingDatabase is one that goes away while the queue is started, and whose first writes fail for no reason that it names.
type failingDatabase struct {
	*store.Store
	mu             sync.Mutex
	starts, writes int // that fail
	claims         int // that are done, and whose answer is lost for no reason that it names
}

func (f *failingDatabase) fails(left *int) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	*left--
	return *left >= 0
}

func (f *failingDatabase) Deliver(ctx context.Context, workers, tasks int, handle func(context.Context, phone.Delivery)) error {
	if f.fails(&f.starts) {
		return phone.Errorf(phone.Unavailable, "", "the database does not answer: try again")
	}
	return f.Store.Deliver(ctx, workers, tasks, handle)
}

func (f *failingDatabase) Claim(ctx context.Context, d phone.Delivery, replica phone.ReplicaID) (phone.Assignment, error) {
	a, err := f.Store.Claim(ctx, d, replica)
	if err == nil && f.fails(&f.claims) {
		return phone.Assignment{}, errors.New("the database failed")
	}
	return a, err
}

func (f *failingDatabase) Advance(ctx context.Context, fence phone.Fence, to phone.Phase) error {
	if f.fails(&f.writes) {
		return errors.New("the database failed")
	}
	return f.Store.Advance(ctx, fence, to)
}

// A database that is away when the queue is to be started does not end the engine, and a write that fails for an unknown reason,
// or a claim that was done, does not leave its job with nobody.
func TestDatabaseFailsForAMoment(t *testing.T) {
	t.Parallel()
	b := newBench(t, 2, 2)
	failing := &failingDatabase{Store: b.store, starts: 2, writes: 3, claims: 3}
	b.config.Store, b.config.Queue = failing, failing
	b.start()
	b.created()
	failing.mu.Lock()
	defer failing.mu.Unlock()
	if failing.starts >= 0 || failing.writes >= 0 || failing.claims >= 0 {
		t.Errorf("%d starts, %d writes and %d claims have not failed", failing.starts+1, failing.writes+1, failing.claims+1)
	}
}

// A phone whose answer did not come through is looked at again before its job fails for it.
func TestVerifyLooksAgain(t *testing.T) {
	t.Parallel()
	b := newBench(t, 1, 1)
	b.start()
	b.created()
	var mu sync.Mutex
	lost := 0
	b.host.onCall(func(_ context.Context, call string, _ driver.Ref) error {
		mu.Lock()
		defer mu.Unlock()
		if call == "exec getprop" && lost < 2 {
			lost++
			return phone.Errorf(phone.Precondition, phone.ReasonVerifyFailed, "the phone reads back nothing")
		}
		return nil
	})
	jobs := b.await(b.reset(b.phones, phone.Properties{"ro.product.model": "Pixel"}), "reset", ended)
	if jobs[0].Phase != phone.PhaseSucceeded || lost != 2 {
		t.Errorf("after %d lost answers the job is %s: %+v", lost, jobs[0].Phase, jobs[0].Failure)
	}
}

// A wall clock that is set back while a phone boots does not lengthen its boot: the slot is free in time.
func TestClockSetBackWhileBooting(t *testing.T) {
	t.Parallel()
	b := newBenchBooting(t, 1, 1, soon)
	b.config.Now = func() time.Time { return time.Now().Add(-time.Hour) } // the database has recorded when booting began before that
	b.host.onCall(func(_ context.Context, call string, ref driver.Ref) error {
		if call == "inspect" {
			b.host.set(ref, func(i *memoryInstance) { i.booted = false })
		}
		return nil
	})
	b.start()
	jobs := b.await(b.request, "the boot is given up", ended)
	if jobs[0].Phase != phone.PhaseFailed || jobs[0].Failure.Reason != phone.ReasonBootTimeout {
		t.Errorf("the job is %s: %+v", jobs[0].Phase, jobs[0].Failure)
	}
}
