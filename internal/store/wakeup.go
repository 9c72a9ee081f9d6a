package store

import (
	"context"
	"database/sql"
	"sync"

	"github.com/riverqueue/river/riverdriver"
	"github.com/riverqueue/river/riverdriver/riversqlite"
)

// A SQLite database has one serving process, so its workers hear of deliveries inside the process: at once, and without the
// table that River's own SQLite listener polls 20 times a second and every insert writes to.

// wakeups tells listeners that deliveries were committed.
type wakeups struct {
	mu        sync.Mutex
	listeners map[chan struct{}]bool
}

func newWakeups() *wakeups { return &wakeups{listeners: map[chan struct{}]bool{}} }

// wake never waits: a listener that was woken and has not looked yet will see these deliveries too.
func (w *wakeups) wake() {
	w.mu.Lock()
	defer w.mu.Unlock()
	for c := range w.listeners {
		select {
		case c <- struct{}{}:
		default:
		}
	}
}

func (w *wakeups) add(c chan struct{}) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.listeners[c] = true
}

func (w *wakeups) remove(c chan struct{}) {
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.listeners, c)
}

// localDriver is River's SQLite driver with our own listener.
type localDriver struct {
	*riversqlite.Driver
	wakes *wakeups
}

func sqliteDriver(db *sql.DB, wakes *wakeups) localDriver {
	return localDriver{Driver: riversqlite.New(db), wakes: wakes}
}

// GetListener is River's name for it.
func (d localDriver) GetListener(params *riverdriver.GetListenenerParams) riverdriver.Listener {
	return &localListener{wakes: d.wakes, woken: make(chan struct{}, 1), schema: params.Schema}
}

// SupportsListenNotify keeps River from writing notifications into the database.
func (d localDriver) SupportsListenNotify() bool { return false }

// localListener is a riverdriver.Listener of one topic, the only one that anybody sends to.
type localListener struct {
	wakes  *wakeups
	woken  chan struct{}
	schema string
}

func (l *localListener) Connect(context.Context) error {
	l.wakes.add(l.woken)
	return nil
}

func (l *localListener) Close(context.Context) error {
	l.wakes.remove(l.woken)
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
	case <-l.woken:
		return &riverdriver.Notification{Topic: insertTopic, Payload: insertPayload}, nil
	}
}
