package store

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"net"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/lethe-cloud/lethe/internal/phone"
)

func TestTranslate(t *testing.T) {
	t.Parallel()
	postgres := func(code, constraint string) error {
		return fmt.Errorf("write: %w", &pgconn.PgError{Code: code, ConstraintName: constraint})
	}
	for _, c := range []struct {
		name   string
		err    error
		code   phone.Code
		reason phone.Reason
	}{
		{"missing row", fmt.Errorf("read: %w", sql.ErrNoRows), phone.NotFound, ""},
		{"name taken", postgres("23505", "phones_name_key"), phone.Conflict, phone.ReasonNameTaken},
		{"unique", postgres("23505", "jobs_unfinished_key"), phone.Conflict, ""},
		{"foreign key", postgres("23503", "phones_server_id_fkey"), phone.Precondition, ""},
		{"check", postgres("23514", "jobs_success_check"), phone.Internal, ""},
		{"not null", postgres("23502", ""), phone.Internal, ""},
		{"not UTF-8", postgres("22021", ""), phone.Invalid, ""},
		{"a zero byte", postgres("22P05", ""), phone.Invalid, ""},
		{"server shuts down", postgres("57P01", ""), phone.Unavailable, ""},
		{"too many connections", postgres("53300", ""), phone.Unavailable, ""},
		{"disk full", postgres("53100", ""), phone.Unavailable, ""},
		{"lost against others for too long", postgres("40P01", ""), phone.Unavailable, ""},
		{"bad connection", driver.ErrBadConn, phone.Unavailable, ""},
		{"connection cut", fmt.Errorf("receive: %w", io.ErrUnexpectedEOF), phone.Unavailable, ""},
		{"no network", &net.OpError{Op: "dial", Err: errors.New("refused")}, phone.Unavailable, ""},
		{"wrong SQL", postgres("42601", ""), phone.Internal, ""},
		{"anything else", errors.New("x"), phone.Internal, ""},
		{"already an error of ours", fmt.Errorf("admit: %w", phone.Errorf(phone.Exhausted, phone.ReasonPhonesTooMany, "x")), phone.Exhausted, phone.ReasonPhonesTooMany},
	} {
		got := translate(t.Context(), c.err)
		if phone.CodeOf(got) != c.code || phone.ReasonOf(got) != c.reason || !errors.Is(got, c.err) && phone.CodeOf(c.err) == phone.Internal {
			t.Errorf("%s: %v is %q %q, want %q %q", c.name, got, phone.CodeOf(got), phone.ReasonOf(got), c.code, c.reason)
		}
		var e *phone.Error
		if errors.As(got, &e) && e.Msg == "" {
			t.Errorf("%s: no message", c.name)
		}
	}
	if err := translate(t.Context(), nil); err != nil {
		t.Errorf("nil became %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := translate(ctx, errors.New("interrupted")); !errors.Is(err, context.Canceled) || phone.CodeOf(err) != phone.Internal {
		t.Errorf("an error of an ended context became %v", err)
	}
	if err := translate(t.Context(), fmt.Errorf("read: %w", context.DeadlineExceeded)); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("a deadline became %v", err)
	}
}

func TestRebind(t *testing.T) {
	t.Parallel()
	const query = `SELECT a FROM b WHERE c = ? AND d = ?`
	if got := sqliteDialect().rebind(query); got != query {
		t.Errorf("SQLite: %s", got)
	}
	d := postgresDialect()
	for range 2 {
		if got, want := d.rebind(query), `SELECT a FROM b WHERE c = $1 AND d = $2`; got != want {
			t.Errorf("PostgreSQL: %s, want %s", got, want)
		}
	}
}
