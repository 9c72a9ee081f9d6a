package work_test

import (
	"context"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/lethe-cloud/lethe/internal/driver"
	"github.com/lethe-cloud/lethe/internal/phone"
	"github.com/lethe-cloud/lethe/internal/work"
)

// handClock is a clock that a test moves.
type handClock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *handClock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *handClock) advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// second is a bench whose phones, in the order of their ids, run in their second life; no engine runs. The engine that it gives
// makes passes by the clock.
func second(t *testing.T, phones int) (*bench, *work.Engine, *handClock) {
	t.Helper()
	b := newBench(t, phones, phones)
	stop := b.start()
	b.created()
	b.await(b.reset(b.phones, nil), "second life", ended)
	stop()
	slices.SortFunc(b.phones, func(x, y phone.Phone) int { return strings.Compare(string(x.ID), string(y.ID)) })
	clock := &handClock{now: time.Now()}
	config := b.config
	config.Now = clock.Now
	return b, work.New(config), clock
}

func (b *bench) ref(i int, generation phone.Generation) driver.Ref {
	return driver.Ref{Phone: b.phones[i].ID, Generation: generation}
}

// pass makes a pass that must succeed.
func (b *bench) pass(e *work.Engine, dryRun bool) phone.Drift {
	b.t.Helper()
	drift, err := e.Reconcile(b.t.Context(), b.server, dryRun)
	if err != nil {
		b.t.Fatalf("Reconcile: %v", err)
	}
	return drift
}

// short is a finding without its words.
type short struct {
	Kind       phone.DriftKind
	Object     phone.DriftObject
	Phone      phone.ID
	Generation phone.Generation
	Seen       int
	Done       string
}

func shorten(d phone.Drift) []short {
	var all []short
	for _, f := range d.Findings {
		all = append(all, short{f.Kind, f.Object, f.Phone, f.Generation, f.Seen, f.Done})
	}
	return all
}

func wantFindings(t *testing.T, when string, d phone.Drift, want ...short) {
	t.Helper()
	if diff := cmp.Diff(want, shorten(d)); diff != "" {
		t.Errorf("%s, findings differ (-want +got):\n%s", when, diff)
	}
}

// An orphan goes when it has been seen for the grace period, in more than one pass, and never in a dry run. What the database
// does not know stays, whatever happens.
func TestOrphansAreRemovedAfterTheGrace(t *testing.T) {
	t.Parallel()
	b, e, clock := second(t, 2)
	old, above, stranger := b.ref(0, 1), b.ref(0, 3), driver.Ref{Phone: "zz", Generation: 1}
	wantFindings(t, "before", b.pass(e, true))
	b.host.leave(old, above, stranger)
	expect := func(seen int, done string) []short {
		return []short{
			{phone.DriftOrphan, phone.DriftInstance, old.Phone, 1, seen, done}, {phone.DriftOrphan, phone.DriftVolume, old.Phone, 1, seen, done},
			{phone.DriftQuarantined, phone.DriftInstance, old.Phone, 3, 0, ""}, {phone.DriftQuarantined, phone.DriftVolume, old.Phone, 3, 0, ""},
			{phone.DriftQuarantined, phone.DriftInstance, "zz", 1, 0, ""}, {phone.DriftQuarantined, phone.DriftVolume, "zz", 1, 0, ""},
		}
	}
	wantFindings(t, "in a dry run", b.pass(e, true), expect(0, "")...)
	clock.advance(2 * time.Hour)
	wantFindings(t, "seen for the first time, however late", b.pass(e, false), expect(1, "")...)
	clock.advance(59 * time.Minute)
	wantFindings(t, "within the grace", b.pass(e, false), expect(2, "")...)
	clock.advance(time.Minute)
	wantFindings(t, "in a dry run after the grace", b.pass(e, true), expect(2, "would be removed")...)
	if b.host.has(old) != 2 {
		t.Error("a dry run removed something")
	}
	wantFindings(t, "after the grace", b.pass(e, false), expect(3, "removed")...)
	wantFindings(t, "at the end", b.pass(e, false), expect(0, "")[2:]...)
	for ref, want := range map[driver.Ref]int{old: 0, above: 2, stranger: 2, b.ref(0, 2): 2, b.ref(1, 2): 2} {
		if got := b.host.has(ref); got != want {
			t.Errorf("the host has %d objects of %+v, want %d", got, ref, want)
		}
	}
}

// What comes back after it was gone has its whole grace again.
func TestAnOrphanThatWentIsForgotten(t *testing.T) {
	t.Parallel()
	b, e, clock := second(t, 1)
	b.host.leave(b.ref(0, 1))
	b.pass(e, false)
	b.host.lose(b.ref(0, 1))
	wantFindings(t, "gone", b.pass(e, false))
	b.host.leave(b.ref(0, 1))
	clock.advance(2 * time.Hour)
	b.pass(e, false)
	if b.host.has(b.ref(0, 1)) != 2 {
		t.Error("an orphan that was seen once since it came back is gone")
	}
}

// aged gives a bench with an orphan of each phone that is due in the next pass.
func aged(t *testing.T, phones int) (*bench, *work.Engine) {
	t.Helper()
	b, e, clock := second(t, phones)
	for i := range phones {
		b.host.leave(b.ref(i, 1))
	}
	b.pass(e, false)
	clock.advance(2 * time.Hour)
	return b, e
}

func TestNothingIsDoneOnAHostThatIsNotHealthy(t *testing.T) {
	t.Parallel()
	b, e := aged(t, 1)
	for _, call := range []string{"info", "list"} {
		b.host.onCall(func(_ context.Context, made string, _ driver.Ref) error {
			if made == call {
				return phone.Errorf(phone.Unavailable, "", "the host does not answer")
			}
			return nil
		})
		if _, err := e.Reconcile(t.Context(), b.server, false); phone.CodeOf(err) != phone.Unavailable {
			t.Errorf("with %s failing the pass ended with %v, want Unavailable", call, err)
		}
	}
	if b.host.has(b.ref(0, 1)) != 2 {
		t.Error("an orphan was removed from a host that is not healthy")
	}
	abnormal := b.server
	abnormal.Status = phone.ServerAbnormal
	if _, err := e.Reconcile(t.Context(), abnormal, false); phone.ReasonOf(err) != phone.ReasonServerNotReady {
		t.Errorf("on an abnormal server the pass ended with %v", err)
	}
}

// While a job is at work on a phone nothing of that phone is touched; while one brings an image to the host, nothing at all.
func TestJobsAtWorkAreLeftAlone(t *testing.T) {
	t.Parallel()
	for _, step := range []string{"prepare", "remove"} {
		t.Run(step, func(t *testing.T) {
			t.Parallel()
			b, e := aged(t, 2)
			reached, release := make(chan struct{}), make(chan struct{})
			var once sync.Once
			b.host.onCall(func(ctx context.Context, call string, ref driver.Ref) error {
				if call == step && ref.Generation != 1 { // the pass's own removals go through
					once.Do(func() { close(reached) })
					select {
					case <-release:
					case <-ctx.Done():
					}
				}
				return nil
			})
			if step == "prepare" {
				b.images[1].ID = b.addImage()
			}
			b.start()
			request := b.reset(b.phones[:1], nil)
			<-reached
			drift := b.pass(e, false)
			if got := b.host.has(b.ref(0, 1)); got != 2 {
				t.Errorf("%d objects are left of the old life of the phone at work", got)
			}
			if held := step == "prepare"; held != (drift.Held != "") || held != (b.host.has(b.ref(1, 1)) == 2) {
				t.Errorf("held %q, and of the other phone's orphan %d objects are left", drift.Held, b.host.has(b.ref(1, 1)))
			}
			if drift.Busy != 1 {
				t.Errorf("%d phones are busy, want 1", drift.Busy)
			}
			close(release)
			for _, j := range b.await(request, "reset", ended) {
				if j.Phase != phone.PhaseSucceeded {
					t.Errorf("the job ended as %s: %+v", j.Phase, j.Failure)
				}
			}
		})
	}
}

// The database is asked again right before each removal; and a job that begins even later is not disturbed.
func TestAJobThatBeginsDuringThePass(t *testing.T) {
	t.Parallel()
	b, e := aged(t, 2)
	var request phone.RequestID
	var once sync.Once
	b.host.onCall(func(_ context.Context, call string, ref driver.Ref) error {
		if call == "remove" && ref == b.ref(0, 1) {
			once.Do(func() { request = b.reset(b.phones, nil) })
		}
		return nil
	})
	drift := b.pass(e, false)
	if got := b.host.has(b.ref(1, 1)); got != 2 {
		t.Errorf("of the phone whose job began before its turn %d objects are left, want both: %+v", got, drift.Findings)
	}
	b.start()
	for _, j := range b.await(request, "reset", ended) {
		if j.Phase != phone.PhaseSucceeded {
			t.Errorf("the job ended as %s: %+v", j.Phase, j.Failure)
		}
	}
	b.onlyNewest(3)
}

// A life that failed and is neither the present nor the last one goes, although it is younger than the present one.
func TestALifeThatNeverCameToRun(t *testing.T) {
	t.Parallel()
	b, e, clock := second(t, 1)
	b.host.onCall(func(_ context.Context, call string, _ driver.Ref) error {
		if call == "ensure" {
			return phone.Errorf(phone.Invalid, "", "not now")
		}
		return nil
	})
	stop := b.start()
	b.await(b.reset(b.phones, nil), "third life failed", ended)
	b.await(b.reset(b.phones, nil), "fourth life failed", ended)
	stop()
	b.host.leave(b.ref(0, 3), b.ref(0, 4))
	b.pass(e, false)
	clock.advance(2 * time.Hour)
	wantFindings(t, "after the grace", b.pass(e, false), short{phone.DriftOrphan, phone.DriftInstance, b.phones[0].ID, 3, 2, "removed"},
		short{phone.DriftOrphan, phone.DriftVolume, b.phones[0].ID, 3, 2, "removed"})
	if n := b.host.has(b.ref(0, 3)); n != 0 {
		t.Errorf("%d objects of the earlier failed life are left", n)
	}
	if got := b.host.has(b.ref(0, 4)); got != 2 {
		t.Errorf("%d objects are left of the life that failed last, which is the operator's to look at", got)
	}
	b.host.onCall(func(context.Context, string, driver.Ref) error { return nil })
	b.start()
	b.await(b.reset(b.phones, nil), "fifth life", ended)
	b.onlyNewest(5)
}

// A running phone whose instance ended or is gone is noticed: first reported, then abnormal, with the cause. One that only seemed so
// stays as it is.
func TestDeadPhonesAreNoticed(t *testing.T) {
	t.Parallel()
	b, e, _ := second(t, 4)
	dies := func(i *memoryInstance) { i.running, i.booted, i.exited, i.exitCode = false, false, true, 139 }
	b.host.lose(b.ref(0, 2))
	b.host.set(b.ref(1, 2), dies)
	b.host.set(b.ref(2, 2), dies)
	found := func(done string) []short {
		return []short{
			{phone.DriftMissing, phone.DriftInstance, b.phones[0].ID, 2, 0, done}, {phone.DriftMissing, phone.DriftVolume, b.phones[0].ID, 2, 0, ""},
			{phone.DriftDead, phone.DriftInstance, b.phones[1].ID, 2, 0, done}, {phone.DriftDead, phone.DriftInstance, b.phones[2].ID, 2, 0, ""},
		}
	}
	drift := b.pass(e, true)
	wantFindings(t, "in a dry run", drift, found("")...)
	if drift.Phones != 4 || drift.Objects != 6 || drift.Server != b.server.ID || !drift.DryRun {
		t.Errorf("the report is of %+v", drift)
	}
	if got := b.phone(b.phones[1].ID).Status; got != phone.StatusRunning {
		t.Errorf("a dry run made the phone %s", got)
	}
	b.host.onCall(func(_ context.Context, call string, ref driver.Ref) error {
		if call == "inspect" && ref == b.ref(2, 2) { // somebody started it since
			b.host.set(ref, func(i *memoryInstance) { i.running, i.booted, i.exited = true, true, false })
		}
		return nil
	})
	wantFindings(t, "in a pass", b.pass(e, false), found("marked abnormal")...)
	for i, want := range []string{"is gone from server rack", "exit code 139; its last lines: last words", "", ""} {
		p, status := b.phone(b.phones[i].ID), phone.StatusAbnormal
		if want == "" {
			status = phone.StatusRunning
		}
		if p.Status != status || !strings.Contains(p.Cause, want) || want == "" && p.Cause != "" {
			t.Errorf("phone %d is %s because %q, want %s because %q", i, p.Status, p.Cause, status, want)
		}
	}
	wantFindings(t, "afterwards", b.pass(e, false))
	b.start()
	b.await(b.reset(b.phones, nil), "the cure", ended)
	for _, p := range b.phones {
		if p = b.phone(p.ID); p.Status != phone.StatusRunning || p.Cause != "" {
			t.Errorf("after a reset the phone is %s because %q", p.Status, p.Cause)
		}
	}
}

// A host that stops answering in the middle of a pass kills no phone, and a phone whose job began since it was found dead is its
// job's.
func TestADeathThatCannotBeTold(t *testing.T) {
	t.Parallel()
	b, e, _ := second(t, 1)
	b.host.lose(b.ref(0, 2))
	b.host.onCall(func(_ context.Context, call string, _ driver.Ref) error {
		if call == "inspect" {
			return phone.Errorf(phone.Unavailable, "", "the host does not answer")
		}
		return nil
	})
	if _, err := e.Reconcile(t.Context(), b.server, false); phone.CodeOf(err) != phone.Unavailable {
		t.Errorf("the pass ended with %v, want Unavailable", err)
	}
	if got := b.phone(b.phones[0].ID).Status; got != phone.StatusRunning {
		t.Errorf("the phone is %s", got)
	}
	var once sync.Once
	b.host.onCall(func(_ context.Context, call string, _ driver.Ref) error {
		if call == "inspect" {
			once.Do(func() { b.reset(b.phones, nil) })
		}
		return nil
	})
	wantFindings(t, "when a job began", b.pass(e, false), short{phone.DriftMissing, phone.DriftInstance, b.phones[0].ID, 2, 0, ""},
		short{phone.DriftMissing, phone.DriftVolume, b.phones[0].ID, 2, 0, ""})
	if got := b.phone(b.phones[0].ID).Status; got != phone.StatusResetting {
		t.Errorf("the phone is %s, want resetting", got)
	}
}

// Running engines do it by themselves, and two of them do it once.
func TestEnginesReconcile(t *testing.T) {
	t.Parallel()
	b, _, _ := second(t, 2)
	b.host.leave(b.ref(0, 1), b.ref(1, 1))
	b.config.ReconcileEvery, b.config.ReconcileGrace = 20*time.Millisecond, time.Millisecond
	b.start()
	b.config.Replica = phone.NewID[phone.ReplicaID]()
	b.start()
	eventually(t, "orphans removed", func() bool { return b.host.has(b.ref(0, 1))+b.host.has(b.ref(1, 1)) == 0 })
	b.onlyNewest(2)
	if n := b.host.count("remove"); n < 2 {
		t.Errorf("%d instances were removed", n)
	}
}

// A driver that panics ends the pass, not the process, and the next pass is made.
func TestPassOutlivesPanic(t *testing.T) {
	t.Parallel()
	b, e, _ := second(t, 1)
	b.host.onCall(func(_ context.Context, call string, _ driver.Ref) error {
		if call == "list" {
			panic("boom")
		}
		return nil
	})
	if _, err := e.Reconcile(t.Context(), b.server, false); phone.CodeOf(err) != phone.Internal {
		t.Errorf("a driver that panicked gives %v", err)
	}
	b.host.onCall(func(context.Context, string, driver.Ref) error { return nil })
	if drift := b.pass(e, false); len(drift.Findings) > 0 {
		t.Errorf("afterwards: %+v", drift.Findings)
	}
}
