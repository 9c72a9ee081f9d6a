package store

import (
	"context"
	"strings"

	"github.com/lethe-cloud/lethe/internal/fleet"
)

// keyset is a list, created last first, that is read from one place to the next.
type keyset struct {
	table   string
	columns string
	// scope are equalities on what an index has before created_at and id: the database steps from row to row of the list.
	scope where
	// search is looked for among the rows of the scope, and columns are those that it names.
	search        where
	searchColumns []string
	// walk is how many rows one page looks at to find what is searched.
	walk int
}

// find adds a condition that the list's index does not know.
func (k *keyset) find(column, condition string, arg any) {
	k.search.add(condition, arg)
	k.searchColumns = append(k.searchColumns, column)
}

// where gives all conditions of the list, for reading it by offset.
func (k keyset) where() where {
	w := k.scope.and()
	return where{conditions: append(w.conditions, k.search.conditions...), args: append(w.args, k.search.args...)}
}

// How many rows one page looks at: as many as take a few milliseconds, out of an index that has all that is searched, or one by
// one from the table. So a page that finds little costs no more than one that finds much, and the caller asks again.
const (
	walkIndex = 5000
	walkTable = 1000
)

// spans gives the parts of the list after a place, each a range of the index: a single condition over created_at and id, which go
// opposite ways, would be none.
func (k keyset) spans(after fleet.Place) []where {
	if after == (fleet.Place{}) {
		return []where{k.scope.and()}
	}
	same, earlier := k.scope.and(), k.scope.and()
	same.add("created_at = ?", after.Order)
	same.add("id > ?", after.ID)
	earlier.add("created_at < ?", after.Order)
	return []where{same, earlier}
}

// readAfter reads at most limit rows after a place, and the place where the next page begins, nil when there is none. What is
// searched may be found less than limit times and have a next page all the same.
func readAfter[T any](ctx context.Context, s *Store, k keyset, scan func(scanner) (T, error), place func(T) fleet.Place, after fleet.Place,
	limit int) (found []T, next *fleet.Place, err error) {
	err = s.view(ctx, func(t *tx) error {
		found, next = nil, nil
		for _, span := range k.spans(after) {
			query, args := k.query(span, limit+1-len(found))
			some, err := all(ctx, t, scan, query, args...)
			if err != nil {
				return err
			}
			if found = append(found, some...); len(found) > limit {
				found = found[:limit]
				last := place(found[limit-1])
				next = &last
				return nil
			}
			if next, err = t.walked(ctx, k, span); err != nil || next != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return nil, nil, err
	}
	return found, next, nil
}

const listOrder = ` ORDER BY created_at DESC, id LIMIT ?`

// query reads a page's rows. Of a search their ids come first, from an index alone where it has all that is asked.
func (k keyset) query(span where, limit int) (string, []any) {
	if len(k.searchColumns) == 0 {
		return `SELECT ` + k.columns + ` FROM ` + k.table + span.String() + listOrder, append(span.and().args, limit)
	}
	ids := `SELECT id AS page_id FROM (SELECT ` + strings.Join(append([]string{"id", "created_at"}, k.searchColumns...), ", ") + ` FROM ` + k.table +
		span.String() + listOrder + `) AS walked` + k.search.String() + listOrder
	args := append(append(span.and().args, k.walk), k.search.args...)
	return `SELECT ` + columns("r", k.columns) + ` FROM ` + k.table + ` r JOIN (` + ids + `) AS page ON r.id = page.page_id ORDER BY r.created_at DESC, r.id`,
		append(args, limit)
}

// walked gives the place that a search has come to, nil when it has seen the whole span.
func (t *tx) walked(ctx context.Context, k keyset, span where) (*fleet.Place, error) {
	if len(k.searchColumns) == 0 {
		return nil, nil
	}
	places, err := all(ctx, t, scanPlace, `SELECT created_at, id FROM `+k.table+span.String()+listOrder+` OFFSET ?`, append(span.and().args, 1, k.walk-1)...)
	if err != nil || len(places) == 0 {
		return nil, err
	}
	return &places[0], nil
}

func scanPlace(row scanner) (fleet.Place, error) {
	var p fleet.Place
	err := row.Scan(&p.Order, &p.ID)
	return p, err
}
