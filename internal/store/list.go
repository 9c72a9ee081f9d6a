package store

import (
	"context"
	"database/sql"
	"errors"
	"math"
	"slices"
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

// project adds the project. With narrow, another condition finds far fewer rows: then the || ” keeps the database from going
// through all rows of the project.
func (w *where) project(id phone.ProjectID, narrow bool) {
	switch {
	case id != "" && narrow:
		w.add("project_id || '' = ?", id)
	case id != "":
		w.add("project_id = ?", id)
	}
}

// and gives the conditions as the beginning of others, which do not become these.
func (w *where) and() where {
	return where{conditions: slices.Clone(w.conditions), args: slices.Clone(w.args)}
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

// readPage reads a page of a table, created last first, and how many rows match in all, which count says. The page's ids come
// first, from an index alone where the conditions allow, so that rows which an offset skips are not read.
func readPage[T any](ctx context.Context, s *Store, table, list string, scan func(scanner) (T, error), w where, offset, limit int,
	count func(*tx) (int, error)) ([]T, int, error) {
	var found []T
	var total int
	err := s.view(ctx, func(t *tx) error {
		var err error
		if total, err = count(t); err != nil || offset >= total {
			return err
		}
		found, err = all(ctx, t, scan, `SELECT `+columns("r", list)+` FROM `+table+` r JOIN (SELECT id AS page_id FROM `+table+w.String()+
			` ORDER BY created_at DESC, id LIMIT ? OFFSET ?) AS page ON r.id = page.page_id ORDER BY r.created_at DESC, r.id`,
			append(slices.Clone(w.args), page(offset, limit)...)...)
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
