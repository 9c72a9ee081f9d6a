package store

import (
	"context"
	"database/sql"
	"errors"
	"math"
	"slices"
	"strings"

	"github.com/lethe-cloud/lethe/internal/fleet"
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
func page(offset, limit int) []any { return []any{atMost(limit), max(0, offset)} }

// atMost is the argument of LIMIT; a limit of 0 is none.
func atMost(limit int) int {
	if limit > 0 {
		return limit
	}
	return math.MaxInt
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

// readPage reads a page of a list by its offset, and how many rows match in all, which count says. Rows that the offset skips are not read
// where an index has what is asked: of a list that is not searched it gives the row before the page, which is read from there on; of a
// searched one the page's ids.
func readPage[T any](ctx context.Context, s *Store, k keyset, scan func(scanner) (T, error), offset, limit int,
	count func(t *tx, w where) (int, error)) ([]T, int, error) {
	w := k.where()
	var found []T
	var total int
	err := s.view(ctx, func(t *tx) error {
		found = nil
		var err error
		if total, err = count(t, w); err != nil || offset >= total {
			return err
		}
		if len(k.searchColumns) == 0 {
			found, err = pageOf(ctx, t, k, scan, offset, limit)
			return err
		}
		found, err = all(ctx, t, scan, `SELECT `+columns("r", k.columns)+` FROM `+k.table+` r JOIN (SELECT id AS page_id FROM `+k.table+w.String()+
			` ORDER BY created_at DESC, id LIMIT ? OFFSET ?) AS page ON r.id = page.page_id ORDER BY r.created_at DESC, r.id`,
			append(slices.Clone(w.args), page(offset, limit)...)...)
		return err
	})
	if err != nil {
		return nil, 0, err
	}
	return found, total, nil
}

// pageOf reads the page of a list that begins after offset rows.
func pageOf[T any](ctx context.Context, t *tx, k keyset, scan func(scanner) (T, error), offset, limit int) ([]T, error) {
	var after fleet.Place
	if offset > 0 {
		before, err := all(ctx, t, scanPlace, `SELECT created_at, id FROM `+k.table+k.scope.String()+listOrder+` OFFSET ?`,
			append(k.scope.and().args, 1, offset-1)...)
		if err != nil || len(before) == 0 {
			return nil, err
		}
		after = before[0]
	}
	most := atMost(limit)
	var found []T
	for _, span := range k.spans(after) {
		query, args := k.query(span, most-len(found))
		some, err := all(ctx, t, scan, query, args...)
		if found = append(found, some...); err != nil || len(found) == most {
			return found, err
		}
	}
	return found, nil
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
