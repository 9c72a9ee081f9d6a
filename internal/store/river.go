package store

import (
	"context"
	"database/sql"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/riverqueue/river"
	"github.com/riverqueue/river/riverdriver"
	"github.com/riverqueue/river/riverdriver/riverdatabasesql"

	"github.com/lethe-cloud/lethe/internal/phone"
)

// delivery is a River job: one delivery of one of our jobs. Our jobs row is the truth; a River job whose attempt is not the
// row's does nothing.
type delivery struct {
	Job     phone.JobID `json:"job_id"`
	Attempt int         `json:"attempt"`
}

// Kind names deliveries in River's tables.
func (delivery) Kind() string { return "lethe_delivery" }

// Deliveries of tasks go into a queue of their own, with workers of their own: a task may take as long as its program does, and however many do,
// nothing else waits behind them.
const (
	jobQueue  = river.QueueDefault // what was queued before tasks had a queue is here, tasks too
	taskQueue = "tasks"
)

// sent is a delivery, and the queue that it goes into.
type sent struct {
	phone.Delivery
	queue string
}

const (
	insertTopic = "river_insert" // the topic at which River's producers listen
	// retention is how long River keeps deliveries that ended in another way than by being worked.
	retention = time.Minute
	// pollInterval is how often a queue is looked at although nobody said that something is in it.
	pollInterval = time.Second
)

// insertPayload is what River's producers expect at insertTopic.
func insertPayload(queue string) string { return `{"queue":"` + queue + `"}` }

// inserter writes deliveries inside one of our transactions.
type inserter interface {
	InsertManyFastTx(ctx context.Context, tx *sql.Tx, params []river.InsertManyParams) (int, error)
}

func (s *Store) newInserter() (inserter, error) {
	config := &river.Config{Logger: quiet(s.log), FetchCooldown: river.FetchCooldownMin}
	if s.postgres {
		return river.NewClient(timelessDriver{silentDriver{riverdatabasesql.New(s.write)}}, config)
	}
	return river.NewClient(timelessDriver{sqliteDriver(s.write, s.wakes)}, config)
}

// deliver writes the transaction's deliveries. Workers of every replica hear of them when it commits.
func (t *tx) deliver(ctx context.Context) error {
	if len(t.deliveries) == 0 {
		return nil
	}
	params := make([]river.InsertManyParams, len(t.deliveries))
	for i, d := range t.deliveries {
		params[i] = river.InsertManyParams{Args: delivery{Job: d.Job, Attempt: d.Attempt}, InsertOpts: &river.InsertOpts{MaxAttempts: 1, Queue: d.queue}}
	}
	if _, err := t.inserts.InsertManyFastTx(ctx, t.sql, params); err != nil {
		return fmt.Errorf("write deliveries: %w", err)
	}
	if !t.postgres {
		return nil
	}
	// River would notify at most once in a while, and ask for the database's version each time; a delivery must not wait for its next
	// poll. The same notification twice in one transaction is sent once.
	for _, queue := range t.queues() {
		if _, err := t.exec(ctx, `SELECT pg_notify(current_schema() || '.' || CAST(? AS text), ?)`, insertTopic, insertPayload(queue)); err != nil {
			return fmt.Errorf("notify workers: %w", err)
		}
	}
	return nil
}

// queues gives those that the transaction's deliveries go into.
func (t *tx) queues() []string {
	into := map[string]bool{}
	for _, d := range t.deliveries {
		into[d.queue] = true
	}
	return slices.Sorted(maps.Keys(into))
}

// Deliver hands jobs to handle, at most workers at once, and beside them at most tasks tasks (10,000 of either is the most that River
// takes), until ctx ends; then the handles' contexts end, and Deliver returns when all have returned; what they were handed is delivered
// once more, to whoever delivers next. A delivery that is already being handled in this process is not handled a second time.
func (s *Store) Deliver(ctx context.Context, workers, tasks int, handle func(context.Context, phone.Delivery)) error {
	if workers <= 0 || tasks <= 0 {
		return phone.Errorf(phone.Invalid, "", "a queue needs at least one worker, not %d, and %d for tasks", workers, tasks)
	}
	w := &worker{handle: handle, busy: map[phone.Delivery]bool{}}
	known := river.NewWorkers()
	river.AddWorker(known, w)
	config := &river.Config{
		ID:     s.process,
		Logger: quiet(s.log),
		Queues: map[string]river.QueueConfig{
			jobQueue:  {MaxWorkers: min(workers, river.QueueNumWorkersMax)},
			taskQueue: {MaxWorkers: min(tasks, river.QueueNumWorkersMax)},
		},
		Workers:                     known,
		JobTimeout:                  -1,
		MaxAttempts:                 1,
		FetchCooldown:               s.cooldown,
		FetchPollInterval:           pollInterval,
		CompletedJobRetentionPeriod: retention,
		CancelledJobRetentionPeriod: retention,
		DiscardedJobRetentionPeriod: retention,
	}
	if s.postgres {
		return run(ctx, postgresDriver(s.pool), config)
	}
	return run(ctx, sqliteDriver(s.write, s.wakes), config)
}

func run[T any](ctx context.Context, driver riverdriver.Driver[T], config *river.Config) error {
	client, err := river.NewClient(driver, config)
	if err != nil {
		return &phone.Error{Code: phone.Internal, Msg: "the queue cannot be worked", Err: err}
	}
	if err := client.Start(ctx); err != nil {
		return translate(ctx, fmt.Errorf("start working the queue: %w", err))
	}
	<-client.Stopped()
	return nil
}

// worker hands River's jobs on.
type worker struct {
	river.WorkerDefaults[delivery]
	handle func(context.Context, phone.Delivery)

	mu   sync.Mutex
	busy map[phone.Delivery]bool
}

// Work never fails: what a delivery led to stands in our jobs row. A delivery during which the process was told to stop goes
// back into the queue, for its job may not have been claimed; if it was, the delivery is stale and does nothing.
func (w *worker) Work(ctx context.Context, job *river.Job[delivery]) error {
	d := phone.Delivery{Job: job.Args.Job, Attempt: job.Args.Attempt}
	if !w.begin(d) {
		return nil
	}
	defer w.end(d)
	if ctx.Err() == nil {
		w.handle(ctx, d)
	}
	if ctx.Err() != nil {
		return river.JobSnooze(0)
	}
	return nil
}

func (w *worker) begin(d phone.Delivery) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.busy[d] {
		return false
	}
	w.busy[d] = true
	return true
}

func (w *worker) end(d phone.Delivery) {
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.busy, d)
}

// quiet passes only warnings and errors of the queue on: what it says of each start and each count is not for operators.
func quiet(log *slog.Logger) *slog.Logger { return slog.New(warnings{log.Handler()}) }

type warnings struct{ slog.Handler }

func (h warnings) Enabled(ctx context.Context, level slog.Level) bool {
	return level >= slog.LevelWarn && h.Handler.Enabled(ctx, level)
}

func (h warnings) WithAttrs(attrs []slog.Attr) slog.Handler {
	return warnings{h.Handler.WithAttrs(attrs)}
}

func (h warnings) WithGroup(name string) slog.Handler { return warnings{h.Handler.WithGroup(name)} }
