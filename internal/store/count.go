package store

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	"github.com/lethe-cloud/lethe/internal/fleet"
	"github.com/lethe-cloud/lethe/internal/phone"
)

// phoneCount is how many phones of a project have a status, or by how many that number changes.
type phoneCount struct {
	Project phone.ProjectID `json:"project_id"`
	Status  phone.Status    `json:"status"`
	N       int             `json:"n"`
}

// tally adds up changes of statuses.
type tally map[phoneCount]int // the key's N is 0

// add counts n phones that have the status from now on, or with a negative n no longer.
func (c tally) add(project phone.ProjectID, status phone.Status, n int) {
	c[phoneCount{Project: project, Status: status}] += n
}

func (c tally) rows() []phoneCount {
	var rows []phoneCount
	for key, n := range c {
		if n != 0 {
			key.N = n
			rows = append(rows, key)
		}
	}
	slices.SortFunc(rows, func(a, b phoneCount) int {
		return cmp.Or(cmp.Compare(a.Project, b.Project), cmp.Compare(a.Status, b.Status))
	})
	return rows
}

// saveTally writes the changes that this transaction makes to the numbers of phones.
func (t *tx) saveTally(ctx context.Context, c tally) error {
	rows := c.rows()
	if len(rows) == 0 {
		return nil
	}
	_, err := t.exec(ctx, `INSERT INTO phone_counts (project_id, status, n) SELECT v.project_id, v.status, v.n FROM `+
		t.records("project_id text", "status bigint", "n bigint")+` WHERE true`, asJSON(rows))
	if err != nil {
		return fmt.Errorf("count phones: %w", err)
	}
	return nil
}

// maxCountRows is how many rows of changes may gather.
const maxCountRows = 1000

// foldCounts puts the rows of changes together.
func (t *tx) foldCounts(ctx context.Context) error {
	sum := tally{}
	err := t.each(ctx, func(row scanner) error {
		var c phoneCount
		err := row.Scan(&c.Project, &c.Status, &c.N)
		sum.add(c.Project, c.Status, c.N)
		return err
	}, `DELETE FROM phone_counts RETURNING project_id, status, n`)
	if err != nil {
		return fmt.Errorf("count phones: %w", err)
	}
	return t.saveTally(ctx, sum)
}

// countPhones counts what a filter matches: from the counts where they know it.
func (t *tx) countPhones(ctx context.Context, f fleet.PhoneFilter, w where) (int, error) {
	query, args := `SELECT count(*) FROM phones`+w.String(), w.args
	if f.Server == "" && f.Name == "" {
		var counted where
		counted.text("project_id", string(f.Project))
		if f.Status != nil {
			counted.add("status = ?", *f.Status)
		}
		query, args = `SELECT CAST(coalesce(sum(n), 0) AS BIGINT) FROM phone_counts`+counted.String(), counted.args
	}
	var n int
	err := t.row(ctx, query, args...).Scan(&n)
	return n, err
}
