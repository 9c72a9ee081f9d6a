package store

import (
	"context"
	"database/sql"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/riverqueue/river/riverdriver"
	"github.com/riverqueue/river/riverdriver/riverdatabasesql"
	"github.com/riverqueue/river/riverdriver/riverpgxv5"
	"github.com/riverqueue/river/riverdriver/riversqlite"
	"github.com/riverqueue/river/rivertype"
)

// leanDriver is a River driver that removes completed deliveries at once, in one statement for as many as have been
// completed. Nobody asks for them later; River would rewrite each row (on SQLite one by one, in a transaction that keeps
// every other writer waiting) and remove it after its retention.
type leanDriver[T any] struct {
	riverdriver.Driver[T]
	remove func(ctx context.Context, ids []int64) error
}

// GetExecutor is River's name for it.
func (d leanDriver[T]) GetExecutor() riverdriver.Executor {
	return leanExecutor{Executor: d.Driver.GetExecutor(), remove: d.remove}
}

type leanExecutor struct {
	riverdriver.Executor
	remove func(ctx context.Context, ids []int64) error
}

// JobSetStateIfRunningMany gives back no rows for those that it removed, as if somebody else had removed them.
func (e leanExecutor) JobSetStateIfRunningMany(ctx context.Context, p *riverdriver.JobSetStateIfRunningManyParams) ([]*rivertype.JobRow, error) {
	var completed []int64
	others := &riverdriver.JobSetStateIfRunningManyParams{Now: p.Now, Schema: p.Schema}
	for i, state := range p.State {
		if state == rivertype.JobStateCompleted {
			completed = append(completed, p.ID[i])
			continue
		}
		others.ID = append(others.ID, p.ID[i])
		others.Attempt = append(others.Attempt, p.Attempt[i])
		others.ErrData = append(others.ErrData, p.ErrData[i])
		others.FinalizedAt = append(others.FinalizedAt, p.FinalizedAt[i])
		others.MetadataDoMerge = append(others.MetadataDoMerge, p.MetadataDoMerge[i])
		others.MetadataUpdates = append(others.MetadataUpdates, p.MetadataUpdates[i])
		at := p.ScheduledAt[i]
		if state == rivertype.JobStateAvailable {
			at = deliverable()
		}
		others.ScheduledAt = append(others.ScheduledAt, at)
		others.State = append(others.State, state)
	}
	if len(completed) > 0 {
		if err := e.remove(ctx, completed); err != nil {
			return nil, err
		}
	}
	if len(others.ID) == 0 {
		return nil, nil
	}
	return e.Executor.JobSetStateIfRunningMany(ctx, others)
}

// deliverable is since when each delivery may be worked: always, so that none waits for a clock that was set back since. What has the
// same time is worked in the order of its insertion.
func deliverable() *time.Time {
	epoch := time.Unix(0, 0).UTC()
	return &epoch
}

// timelessDriver is a River driver that inserts deliveries that are deliverable. Asked through its options, River would take the
// time for one to wait for, and leave them to its scheduler.
type timelessDriver struct{ riverdriver.Driver[*sql.Tx] }

// UnwrapExecutor is River's name for it.
func (d timelessDriver) UnwrapExecutor(tx *sql.Tx) riverdriver.ExecutorTx {
	return timelessExecutor{d.Driver.UnwrapExecutor(tx)}
}

type timelessExecutor struct{ riverdriver.ExecutorTx }

// JobInsertFastManyNoReturning is River's name for it.
func (e timelessExecutor) JobInsertFastManyNoReturning(ctx context.Context, p *riverdriver.JobInsertFastManyParams) (int, error) {
	for _, job := range p.Jobs {
		job.ScheduledAt = deliverable()
	}
	return e.ExecutorTx.JobInsertFastManyNoReturning(ctx, p)
}

const removeCompleted = `DELETE FROM river_job WHERE state = 'running' AND id `

func postgresDriver(pool *pgxpool.Pool) riverdriver.Driver[pgx.Tx] {
	return leanDriver[pgx.Tx]{Driver: riverpgxv5.New(pool), remove: func(ctx context.Context, ids []int64) error {
		_, err := pool.Exec(ctx, removeCompleted+`= ANY($1)`, ids)
		return err
	}}
}

// silentDriver inserts and leaves the notification to us.
type silentDriver struct{ *riverdatabasesql.Driver }

// SupportsListenNotify keeps River from notifying.
func (d silentDriver) SupportsListenNotify() bool { return false }

func sqliteDriver(db *sql.DB, wakes *wakeups) riverdriver.Driver[*sql.Tx] {
	return leanDriver[*sql.Tx]{Driver: localDriver{Driver: riversqlite.New(db), wakes: wakes}, remove: func(ctx context.Context, ids []int64) error {
		_, err := db.ExecContext(ctx, removeCompleted+`IN (SELECT value FROM json_each(?))`, asJSON(ids))
		return err
	}}
}

// A SQLite database has one serving process, so its workers hear of deliveries inside the process: at once, and without the
// table that River's own SQLite listener polls 20 times a second and every insert writes to.

// localDriver is River's SQLite driver with a listener for wakeups.
type localDriver struct {
	*riversqlite.Driver
	wakes *wakeups
}

// GetListener is River's name for it.
func (d localDriver) GetListener(params *riverdriver.GetListenenerParams) riverdriver.Listener {
	return &localListener{wakes: d.wakes, jobs: make(chan struct{}, 1), tasks: make(chan struct{}, 1), schema: params.Schema}
}

// SupportsListenNotify keeps River from writing notifications into the database.
func (d localDriver) SupportsListenNotify() bool { return false }

// wakeups tells listeners that deliveries were committed.
type wakeups struct {
	mu        sync.Mutex
	listeners map[*localListener]bool
}

func newWakeups() *wakeups { return &wakeups{listeners: map[*localListener]bool{}} }

// wake says that something was committed into these queues. It never waits: a listener that was woken and has not looked yet will see
// these deliveries too.
func (w *wakeups) wake(queues []string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for l := range w.listeners {
		for _, queue := range queues {
			woken := l.jobs
			if queue == taskQueue {
				woken = l.tasks
			}
			select {
			case woken <- struct{}{}:
			default:
			}
		}
	}
}

func (w *wakeups) add(l *localListener) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.listeners[l] = true
}

func (w *wakeups) remove(l *localListener) {
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.listeners, l)
}

// localListener is a riverdriver.Listener of one topic, the only one that anybody sends to.
type localListener struct {
	wakes  *wakeups
	jobs   chan struct{} // something was committed into the queue of jobs
	tasks  chan struct{} // the same of the tasks' queue
	schema string
}

func (l *localListener) Connect(context.Context) error {
	l.wakes.add(l)
	return nil
}

func (l *localListener) Close(context.Context) error {
	l.wakes.remove(l)
	return nil
}

func (l *localListener) Listen(context.Context, string) error   { return nil }
func (l *localListener) Unlisten(context.Context, string) error { return nil }
func (l *localListener) Ping(context.Context) error             { return nil }
func (l *localListener) Schema() string                         { return l.schema }
func (l *localListener) SetAfterConnectExec(string)             {}

func (l *localListener) WaitForNotification(ctx context.Context) (*riverdriver.Notification, error) {
	select {
	case <-ctx.Done():
		return nil, ctx.Err()
	case <-l.jobs:
		return &riverdriver.Notification{Topic: insertTopic, Payload: insertPayload(jobQueue)}, nil
	case <-l.tasks:
		return &riverdriver.Notification{Topic: insertTopic, Payload: insertPayload(taskQueue)}, nil
	}
}
