package store

import (
	"context"
	"testing"
	"time"

	"github.com/lethe-cloud/lethe/internal/phone"
	"github.com/lethe-cloud/lethe/internal/testenv"
)

// A process that is paused in the middle of a transaction does not keep everybody waiting: PostgreSQL ends its session, and it
// learns of it as of a database that went away.
func TestIdleTransactionLosesItsLocks(t *testing.T) {
	t.Parallel()
	s, err := Open(t.Context(), Config{URL: testenv.Postgres(t)})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}()
	paused, err := s.write.BeginTx(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = paused.Rollback() }()
	if _, err := paused.ExecContext(t.Context(), `LOCK TABLE servers IN ACCESS EXCLUSIVE MODE`); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	var n int
	if err := s.write.QueryRowContext(ctx, `SELECT count(*) FROM servers`).Scan(&n); err != nil {
		t.Fatalf("another session waits for ever: %v", err)
	}
	_, err = paused.ExecContext(t.Context(), `SELECT 1`)
	if got := phone.CodeOf(translate(t.Context(), err)); err == nil || got != phone.Unavailable {
		t.Errorf("the paused session goes on with %v, which is %q", err, got)
	}
}
