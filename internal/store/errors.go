package store

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"io"
	"net"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"
	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"

	"github.com/lethe-cloud/lethe/internal/phone"
)

// translate makes the store's errors of a database's. The context's own errors and those that are *phone.Error already pass.
func translate(ctx context.Context, err error) error {
	var known *phone.Error
	switch {
	case err == nil:
		return nil
	case errors.As(err, &known):
		return err
	case ctx.Err() != nil:
		return ctx.Err()
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return err
	case errors.Is(err, errChanged):
		return &phone.Error{Code: phone.Unavailable, Msg: "other calls changed the same phones again and again: try again", Err: err}
	case errors.Is(err, sql.ErrNoRows):
		return &phone.Error{Code: phone.NotFound, Msg: "there is no such thing", Err: err}
	}
	switch kind, name := classify(err); kind {
	case uniqueViolated:
		if strings.HasSuffix(name, "_name_key") || strings.HasSuffix(name, ".name") {
			return &phone.Error{Code: phone.Conflict, Reason: phone.ReasonNameTaken, Msg: "the name is taken: choose another", Err: err}
		}
		return &phone.Error{Code: phone.Conflict, Msg: "something like it exists already", Err: err}
	case foreignKeyViolated:
		return &phone.Error{Code: phone.Precondition, Msg: "it refers to something that does not exist", Err: err}
	case textRefused:
		return &phone.Error{Code: phone.Invalid, Msg: "a text has characters that cannot be stored", Err: err}
	case checkViolated:
		return &phone.Error{Code: phone.Internal, Msg: "the database refused a state that must not be", Err: err}
	case full:
		return &phone.Error{Code: phone.Unavailable, Msg: "the database's disk is full: free space on it, then try again", Err: err}
	case disconnected:
		return &phone.Error{Code: phone.Unavailable, Msg: "the database does not answer: try again", Err: err}
	}
	return &phone.Error{Code: phone.Internal, Msg: "the database failed", Err: err}
}

// violation is what a database objected to.
type violation int

const (
	otherError violation = iota
	uniqueViolated
	foreignKeyViolated
	checkViolated
	textRefused // not UTF-8, or with a zero byte
	disconnected
	full // no space on its disk
)

// classify tells what err is, and names the constraint: PostgreSQL by its name, SQLite by its columns.
func classify(err error) (violation, string) {
	var pg *pgconn.PgError
	var lite *sqlite.Error
	switch {
	case errors.As(err, &pg):
		return classifyPostgres(pg)
	case errors.As(err, &lite):
		return classifySQLite(lite)
	}
	var network net.Error
	if errors.Is(err, driver.ErrBadConn) || errors.Is(err, sql.ErrConnDone) || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) ||
		errors.As(err, &network) || pgconn.SafeToRetry(err) || errors.As(err, new(*pgconn.ConnectError)) {
		return disconnected, ""
	}
	return otherError, ""
}

func classifyPostgres(err *pgconn.PgError) (violation, string) {
	switch {
	case err.Code == "23505":
		return uniqueViolated, err.ConstraintName
	case err.Code == "23503":
		return foreignKeyViolated, err.ConstraintName
	case err.Code == "23514" || err.Code == "23502":
		return checkViolated, err.ConstraintName
	case err.Code == "22021" || err.Code == "22P05":
		return textRefused, ""
	case err.Code == "53100":
		return full, ""
	case strings.HasPrefix(err.Code, "08"), strings.HasPrefix(err.Code, "57P"), strings.HasPrefix(err.Code, "53"), strings.HasPrefix(err.Code, "40"),
		err.Code == "25P03": // this session was idle for too long: the process was paused or cut off
		return disconnected, ""
	}
	return otherError, ""
}

func classifySQLite(err *sqlite.Error) (violation, string) {
	_, name, _ := strings.Cut(err.Error(), "constraint failed: ")
	name, _, _ = strings.Cut(name, " (")
	switch err.Code() {
	case sqlite3.SQLITE_CONSTRAINT_UNIQUE, sqlite3.SQLITE_CONSTRAINT_PRIMARYKEY:
		_, name, _ = strings.Cut(err.Error(), "UNIQUE constraint failed: ")
		name, _, _ = strings.Cut(name, " (")
		return uniqueViolated, name
	case sqlite3.SQLITE_CONSTRAINT_FOREIGNKEY:
		return foreignKeyViolated, ""
	case sqlite3.SQLITE_CONSTRAINT_CHECK, sqlite3.SQLITE_CONSTRAINT_NOTNULL:
		return checkViolated, name
	}
	switch err.Code() & 0xff {
	case sqlite3.SQLITE_FULL:
		return full, ""
	case sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY:
		return disconnected, ""
	}
	return otherError, ""
}
