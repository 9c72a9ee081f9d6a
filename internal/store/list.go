package store

import (
	"context"
	"database/sql"
	"errors"
	"math"
	"strings"

	"github.com/lethe-cloud/lethe/internal/phone"
)

// where collects the conditions of a query.
type where struct {
	conditions []string
	args       []any
}

func (w *where) add(condition string, args ...any) {
	w.conditions = append(w.conditions, condition)
	w.args = append(w.args, args...)
}

// text adds an equality, unless the value is empty.
func (w *where) text(column, value string) {
	if value != "" {
		w.add(column+" = ?", value)
	}
}

func (w *where) String() string {
	if len(w.conditions) == 0 {
		return ""
	}
	return " WHERE " + strings.Join(w.conditions, " AND ")
}

// page gives the arguments of LIMIT and OFFSET; a limit of 0 is none.
func page(offset, limit int) []any {
	most := int64(math.MaxInt64)
	if limit > 0 {
		most = int64(limit)
	}
	return []any{most, max(0, offset)}
}

// readOne reads one row; a missing one is NotFound with the reason.
func readOne[T any](ctx context.Context, s *Store, missing phone.Reason, scan func(scanner) (T, error), query string, args ...any) (T, error) {
	var found T
	err := s.once(ctx, func(t *tx) error {
		var err error
		found, err = scan(t.row(ctx, query, args...))
		if errors.Is(err, sql.ErrNoRows) {
			return &phone.Error{Code: phone.NotFound, Reason: missing, Msg: "there is none with this id", Err: err}
		}
		return err
	})
	return found, err
}

// readPage reads a page of a table, created last first, and how many rows match in all. The page's ids come first, from the
// index alone where there are no further conditions, so that rows which an offset skips are not read.
func readPage[T any](ctx context.Context, s *Store, table, list string, scan func(scanner) (T, error), w where, offset, limit int) ([]T, int, error) {
	var found []T
	var total int
	err := s.view(ctx, func(t *tx) error {
		if err := t.row(ctx, `SELECT count(*) FROM `+table+w.String(), w.args...).Scan(&total); err != nil {
			return err
		}
		if offset >= total {
			return nil
		}
		var err error
		found, err = all(ctx, t, scan, `SELECT `+columns("r", list)+` FROM `+table+` r JOIN (SELECT id AS page_id FROM `+table+w.String()+
			` ORDER BY created_at DESC, id LIMIT ? OFFSET ?) AS page ON r.id = page.page_id ORDER BY r.created_at DESC, r.id`,
			append(append([]any{}, w.args...), page(offset, limit)...)...)
		return err
	})
	if err != nil {
		return nil, 0, err
	}
	return found, total, nil
}

// readAll reads every row of a query.
func readAll[T any](ctx context.Context, s *Store, scan func(scanner) (T, error), query string, args ...any) ([]T, error) {
	var found []T
	err := s.once(ctx, func(t *tx) error {
		var err error
		found, err = all(ctx, t, scan, query, args...)
		return err
	})
	return found, err
}
