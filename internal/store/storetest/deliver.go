package storetest

import (
	"context"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/lethe-cloud/lethe/internal/phone"
	"github.com/lethe-cloud/lethe/internal/store"
)

// delivering runs Deliver, with as many workers for tasks, until the test has called stop, which waits for it.
func delivering(t testing.TB, s *store.Store, workers int, handle func(context.Context, phone.Delivery)) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	done := make(chan error, 1)
	go func() { done <- s.Deliver(ctx, workers, workers, handle) }()
	return sync.OnceFunc(func() {
		cancel()
		if err := receive(t, done); err != nil {
			t.Errorf("Deliver: %v", err)
		}
	})
}

func testDeliver(t *testing.T, f Fixture) {
	image := f.Image(t)
	in := f.Fleet(t, f.Project(0), image.ID, 3, 3)
	before := f.Reset(t, f.Project(0), in.Phones[0].ID)
	got := make(chan phone.Delivery, 10)
	entered, ended := make(chan struct{}), make(chan struct{})
	var once sync.Once
	stop := delivering(t, f.Store, 10, func(ctx context.Context, d phone.Delivery) {
		got <- d
		if d.Job == before[0] {
			once.Do(func() {
				close(entered)
				<-ctx.Done() // Deliver ends the contexts of running handles
				close(ended)
			})
		}
	})
	defer stop()
	equal(t, "what waited before", receive(t, got), phone.Delivery{Job: before[0], Attempt: 1})
	after := f.Reset(t, f.Project(0), in.Phones[1].ID)
	equal(t, "what came while delivering", receive(t, got), phone.Delivery{Job: after[0], Attempt: 1})

	// The same delivery again, while it is being handled.
	f.exec(t, `INSERT INTO river_job (args, kind, max_attempts, metadata, queue, state, priority, scheduled_at)
		SELECT args, kind, max_attempts, metadata, queue, 'available', priority, scheduled_at FROM river_job WHERE state = 'running' AND args ->> 'job_id' = $1`, string(before[0]))
	last := f.Reset(t, f.Project(0), in.Phones[2].ID)
	equal(t, "what came next", receive(t, got), phone.Delivery{Job: last[0], Attempt: 1})
	<-entered
	rows := func() int {
		return f.count(t, `SELECT count(*) FROM river_job WHERE args ->> 'job_id' = $1`, string(before[0]))
	}
	for deadline := time.Now().Add(10 * time.Second); rows() > 1 && time.Now().Before(deadline); {
		time.Sleep(5 * time.Millisecond) // it is dropped beside what came next, and maybe after it
	}
	stop()
	select {
	case <-ended:
	default:
		t.Error("Deliver returned before a handle had")
	}
	if len(got) > 0 {
		t.Errorf("delivered besides: %v", <-got)
	}
	equal(t, "what was interrupted waits", f.queued(t), map[phone.Delivery]int{{Job: before[0], Attempt: 1}: 1})
	equal(t, "what was worked is gone", f.count(t, `SELECT count(*) FROM river_job`), 1)
	stop = delivering(t, f.Store, 10, func(_ context.Context, d phone.Delivery) { got <- d })
	equal(t, "what was interrupted, again", receive(t, got), phone.Delivery{Job: before[0], Attempt: 1})
	stop()
	refused(t, "no workers", f.Deliver(t.Context(), 0, 1, nil), phone.Invalid, "")
	refused(t, "no workers for tasks", f.Deliver(t.Context(), 1, 0, nil), phone.Invalid, "")
}

func testDeliverBounded(t *testing.T, f Fixture) {
	jobs := working(t, f, 12)
	var running, most atomic.Int64
	got := make(chan phone.Delivery, len(jobs))
	release := make(chan struct{})
	stop := delivering(t, f.Store, 3, func(_ context.Context, d phone.Delivery) {
		for n := running.Add(1); ; {
			seen := most.Load()
			if n <= seen || most.CompareAndSwap(seen, n) {
				break
			}
		}
		got <- d
		<-release
		running.Add(-1)
	})
	defer stop()
	for range 3 {
		receive(t, got)
	}
	close(release)
	for range len(jobs) - 3 {
		receive(t, got)
	}
	if most.Load() != 3 {
		t.Errorf("%d handles ran at once, want 3", most.Load())
	}
}

// testDeliverBeside: tasks that take all of their workers keep no reset waiting, and resets that take all of theirs no task. A task that an older
// version put into the queue of the others is delivered, and goes into the tasks' when it is delivered again.
func testDeliverBeside(t *testing.T, f Fixture) {
	ctx := t.Context()
	must(t, "Register", f.Register(ctx, "r1", time.Hour))
	in := f.Fleet(t, f.Project(0), f.Image(t).ID, 5, 5)
	queue := func(job phone.JobID) string {
		var name string
		must(t, "read river_job", f.DB.QueryRowContext(ctx, `SELECT queue FROM river_job WHERE args ->> 'job_id' = $1 AND state <> 'running'`, string(job)).Scan(&name))
		return name
	}
	tasks := f.task(t, ids(in.Phones[:4])...)
	equal(t, "the queue of a task", queue(tasks[0]), "tasks")
	older := tasks[3]
	f.exec(t, `UPDATE river_job SET queue = 'default' WHERE args ->> 'job_id' = $1`, string(older))
	got, release := make(chan phone.JobID, 10), make(chan struct{})
	stop := delivering(t, f.Store, 2, func(ctx context.Context, d phone.Delivery) {
		got <- d.Job
		select {
		case <-release:
		case <-ctx.Done():
		}
	})
	defer stop()
	held := map[phone.JobID]bool{receive(t, got): true, receive(t, got): true, receive(t, got): true}
	if !held[older] {
		t.Error("a task of the other queue was not delivered beside two of the tasks'")
	}
	reset := f.Reset(t, f.Project(0), in.Phones[4].ID)
	equal(t, "what comes while tasks have all of their workers", receive(t, got), reset[0])
	if len(got) > 0 {
		t.Errorf("delivered besides: %s", <-got)
	}
	close(release)
	held[receive(t, got)] = true
	equal(t, "tasks delivered", len(held), 4)
	stop()

	// Delivered again by whatever finds it without a worker.
	f.exec(t, `DELETE FROM river_job`)
	must(t, "Claim", claimed(f.Claim(ctx, phone.Delivery{Job: older, Attempt: 1}, "r1")))
	must(t, "Claim", claimed(f.Claim(ctx, phone.Delivery{Job: reset[0], Attempt: 1}, "r1")))
	must(t, "Release", f.Release(ctx, "r1"))
	equal(t, "the queues of a second delivery", []string{queue(older), queue(reset[0])}, []string{"tasks", "default"})
}

func claimed(_ phone.Assignment, err error) error { return err }

// testDeliverToTwo delivers to two stores, as two replicas would: each delivery reaches one. SQLite has one serving process, so
// there the second store only accepts, as a command beside the server would, and is heard of by polling.
func testDeliverToTwo(t *testing.T, f Fixture) {
	image := f.Image(t)
	in := f.Fleet(t, f.Project(0), image.ID, 20, 20)
	other := Reopen(t, f.URL, f.Clock)
	got := make(chan phone.Delivery, 2*len(in.Phones))
	handle := func(_ context.Context, d phone.Delivery) { got <- d }
	defer delivering(t, f.Store, 5, handle)()
	if f.Postgres() {
		defer delivering(t, other, 5, handle)()
	}
	want := map[phone.JobID]bool{}
	for _, p := range in.Phones {
		outcomes, err := other.AcceptReset(t.Context(), f.ResetInput(f.Project(0), p.ID))
		must(t, "AcceptReset", err)
		want[outcomes[0].Job] = true
	}
	for range in.Phones {
		d := receive(t, got)
		if !want[d.Job] {
			t.Errorf("delivered twice, or nothing that was accepted: %v", d)
		}
		delete(want, d.Job)
	}
}

// testFlow works many jobs of two projects through all phases at once, in random order and with failures, while it watches
// the boot slots.
func testFlow(t *testing.T, f Fixture) {
	ctx := t.Context()
	image, next := f.Image(t), f.Image(t)
	var all []phone.ID
	for i := range 4 {
		in := f.Fleet(t, f.Project(0), image.ID, 15, 1+i)
		all = append(all, ids(in.Phones)...)
	}
	must(t, "Register", f.Register(ctx, "r1", time.Hour))
	w := &workers{t: t, f: f, left: len(all), done: make(chan struct{})}
	defer delivering(t, f.Store, 100, w.work)()

	watched := make(chan struct{})
	go func() {
		defer close(watched)
		for {
			f.scheduled(t)
			f.consistent(t)
			select {
			case <-w.done:
				return
			default:
			}
		}
	}()
	var group sync.WaitGroup
	for c := range 6 {
		group.Go(func() {
			reset := f.ResetInput(f.Project(0), all[c*10:c*10+10]...)
			if c%2 == 1 {
				reset.Image = next.ID
			}
			if _, err := f.AcceptReset(ctx, reset); err != nil {
				t.Errorf("AcceptReset: %v", err)
			}
		})
	}
	group.Wait()
	receive(t, w.done)
	<-watched
	f.scheduled(t)
	f.consistent(t)
	unfinished := f.count(t, `SELECT count(*) FROM jobs WHERE phase NOT IN ('succeeded', 'failed')`)
	equal(t, "unfinished jobs", unfinished, 0)
	equal(t, "phones by outcome", f.count(t, `SELECT count(*) FROM phones p JOIN jobs j ON j.phone_id = p.id AND j.target = 2
		WHERE (j.phase = 'succeeded' AND p.status = 2 AND p.generation = 2 AND p.image_id = j.image_id) OR (j.phase = 'failed' AND p.status = -5 AND p.generation = 1)`), len(all))
	equal(t, "jobs that brought an image", f.count(t, `SELECT count(*) FROM jobs WHERE kind = 'reset' AND preparing_at IS NOT NULL`), f.count(t, `SELECT count(*) FROM host_images WHERE prepared_at > 0`))
}
