package store

import (
	"context"
	"errors"
	"path/filepath"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// inBubble runs a test over a fresh SQLite database, where synctest.Wait tells that everybody waits.
func inBubble(t *testing.T, test func(t *testing.T, s *Store)) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "lethe.db")
	synctest.Test(t, func(t *testing.T) {
		s, err := Open(t.Context(), Config{URL: "sqlite:" + path})
		if err != nil {
			t.Fatal(err)
		}
		defer func() {
			if err := s.Close(); err != nil {
				t.Error(err)
			}
		}()
		if err := s.Register(t.Context(), "r1", time.Minute); err != nil {
			t.Fatal(err)
		}
		test(t, s)
	})
}

// hold begins a transaction that runs until the function that it gives is called; begin is how.
func hold(t *testing.T, group *sync.WaitGroup, begin func(context.Context, func(*tx) error) error) (end func()) {
	t.Helper()
	over := make(chan struct{})
	group.Go(func() {
		if err := begin(t.Context(), func(*tx) error { <-over; return nil }); err != nil {
			t.Errorf("the transaction that runs: %v", err)
		}
	})
	synctest.Wait()
	return func() { close(over) }
}

// A heartbeat that comes while a transaction runs and a hundred others wait is written next, before each of them; half of them do not come
// through this package's transactions, as the queue's do not.
func TestHeartbeatGoesNext(t *testing.T) {
	inBubble(t, func(t *testing.T, s *Store) {
		const expires = `SELECT expires_at FROM replicas WHERE id = 'r1'`
		var before int64
		if err := s.write.QueryRow(expires).Scan(&before); err != nil {
			t.Fatal(err)
		}
		var group sync.WaitGroup
		end := hold(t, &group, s.tx)
		var found [100]int64
		for i := range found {
			group.Go(func() {
				call := func() error { return s.write.QueryRow(expires).Scan(&found[i]) }
				if i%2 == 0 {
					call = func() error {
						return s.tx(t.Context(), func(tx *tx) error { return tx.row(t.Context(), expires).Scan(&found[i]) })
					}
				}
				if err := call(); err != nil {
					t.Errorf("a transaction that waits: %v", err)
				}
			})
		}
		synctest.Wait()
		group.Go(func() {
			if err := s.Heartbeat(t.Context(), "r1", time.Hour); err != nil {
				t.Errorf("Heartbeat: %v", err)
			}
		})
		synctest.Wait()
		end()
		group.Wait()
		for i, at := range found {
			if at <= before {
				t.Errorf("transaction %d went before the heartbeat", i)
			}
		}
	})
}

// A caller that leaves in the middle of its transaction, or while it waits for its turn, keeps nobody waiting.
func TestTurnsAreGivenBack(t *testing.T) {
	write := func(ctx context.Context, s *Store) error {
		return s.tx(ctx, func(t *tx) error {
			_, err := t.exec(ctx, `UPDATE replicas SET process = 'p'`)
			return err
		})
	}
	renew := func(ctx context.Context, s *Store) error { return s.Heartbeat(ctx, "r1", time.Hour) }
	inBubble(t, func(t *testing.T, s *Store) {
		for _, c := range []struct {
			name    string
			call    func(context.Context, *Store) error
			holding func(context.Context, func(*tx) error) error // who has the turn while the caller leaves; nil: the caller
		}{
			{"a transaction, in the middle", func(ctx context.Context, s *Store) error {
				return s.tx(ctx, func(*tx) error { <-ctx.Done(); return ctx.Err() })
			}, nil},
			{"a transaction that waits for another", write, s.tx},
			{"a transaction that waits for a lease", write, s.leaseTx},
			{"a heartbeat that waits", renew, s.tx},
		} {
			var group sync.WaitGroup
			end := func() {}
			if c.holding != nil {
				end = hold(t, &group, c.holding)
			}
			ctx, leave := context.WithCancel(t.Context())
			group.Go(func() {
				if err := c.call(ctx, s); !errors.Is(err, context.Canceled) {
					t.Errorf("%s, whose caller left: %v", c.name, err)
				}
			})
			synctest.Wait()
			leave()
			synctest.Wait()
			end()
			group.Wait()
			if err := errors.Join(write(t.Context(), s), renew(t.Context(), s)); err != nil {
				t.Errorf("after the caller of %s left: %v", c.name, err)
			}
		}
	})
}
