package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"
)

// SQLite cannot change a constraint of a table that is there. What PostgreSQL does with ALTER TABLE is done here, with the tables as
// they are found, so that columns of other migrations stay.

// retainSQLite is migration 3 on SQLite.
func retainSQLite(ctx context.Context, tx *sql.Tx) error {
	const kinds, more = `kind IN ('create', 'reset')`, `kind IN ('create', 'reset', 'start')`
	err := rebuildTable(ctx, tx, "jobs", [][2]string{
		{kinds, more},
		{`CHECK (target > prior)`, `CHECK (target > prior OR kind = 'start' AND target = prior)`},
		{`CONSTRAINT jobs_target_key UNIQUE (phone_id, target),`, ``},
	})
	if err != nil {
		return fmt.Errorf("rebuild jobs: %w", err)
	}
	if err := editTable(ctx, tx, "requests", [][2]string{{kinds, more}}); err != nil {
		return fmt.Errorf("edit requests: %w", err)
	}
	text, err := migrations.ReadFile("migrations/sqlite/" + retainFile)
	if err != nil {
		return err
	}
	_, err = tx.ExecContext(ctx, string(text))
	return err
}

// retainFile is the part of migration 3 on SQLite that is plain SQL.
const retainFile = "00003_retain.sql"

// tableText gives the statement that makes a table, with each old text, which must be in it once, replaced.
func tableText(ctx context.Context, tx *sql.Tx, table string, changes [][2]string) (string, error) {
	var text string
	if err := tx.QueryRowContext(ctx, `SELECT sql FROM sqlite_schema WHERE type = 'table' AND name = ?`, table).Scan(&text); err != nil {
		return "", err
	}
	for _, change := range changes {
		if strings.Count(text, change[0]) != 1 {
			return "", fmt.Errorf("%q is not in it once", change[0])
		}
		text = strings.Replace(text, change[0], change[1], 1)
	}
	return text, nil
}

// editTable changes CHECK constraints of a table in place, as SQLite's documentation of ALTER TABLE (section 7) describes for
// changes that leave the rows as they are.
func editTable(ctx context.Context, tx *sql.Tx, table string, changes [][2]string) error {
	text, err := tableText(ctx, tx, table, changes)
	if err != nil {
		return err
	}
	var version int
	if err := tx.QueryRowContext(ctx, `PRAGMA schema_version`).Scan(&version); err != nil {
		return err
	}
	if _, err := tx.ExecContext(ctx, `PRAGMA writable_schema = ON`); err != nil {
		return err
	}
	_, err = tx.ExecContext(ctx, `UPDATE sqlite_schema SET sql = ? WHERE type = 'table' AND name = ?`, text, table)
	if err == nil {
		_, err = tx.ExecContext(ctx, fmt.Sprintf(`PRAGMA schema_version = %d`, version+1))
	}
	_, reset := tx.ExecContext(ctx, `PRAGMA writable_schema = RESET`)
	return errors.Join(err, reset)
}

// rebuildTable makes a table anew that no other table refers to, with its rows, its indexes, and what the planner was told of them.
func rebuildTable(ctx context.Context, tx *sql.Tx, table string, changes [][2]string) error {
	text, err := tableText(ctx, tx, table, changes)
	if err != nil {
		return err
	}
	next := table + "_next"
	columns, err := texts(ctx, tx, `SELECT name FROM pragma_table_info(?) ORDER BY cid`, table) // without generated columns
	if err != nil {
		return err
	}
	indexes, err := texts(ctx, tx, `SELECT sql FROM sqlite_schema WHERE tbl_name = ? AND type IN ('index', 'trigger') AND sql IS NOT NULL`, table)
	if err != nil {
		return err
	}
	all := strings.Join(columns, ", ")
	statements := []string{
		strings.Replace(text, "CREATE TABLE "+table, "CREATE TABLE "+next, 1),
		`INSERT INTO ` + next + ` (` + all + `) SELECT ` + all + ` FROM ` + table,
		`CREATE TEMP TABLE kept_stat AS SELECT tbl, idx, stat FROM main.sqlite_stat1 WHERE tbl = '` + table + `'`,
		`CREATE TEMP TABLE kept_seq AS SELECT name, seq FROM main.sqlite_sequence WHERE name = '` + table + `'`,
		`DROP TABLE ` + table,
		`ALTER TABLE ` + next + ` RENAME TO ` + table,
	}
	statements = append(statements, indexes...)
	statements = append(statements,
		`INSERT INTO main.sqlite_stat1 (tbl, idx, stat) SELECT tbl, idx, stat FROM temp.kept_stat`,
		`DELETE FROM main.sqlite_sequence WHERE name = '`+table+`'`,
		`INSERT INTO main.sqlite_sequence (name, seq) SELECT name, seq FROM temp.kept_seq`,
		`DROP TABLE temp.kept_stat`, `DROP TABLE temp.kept_seq`,
	)
	for _, statement := range statements {
		if _, err := tx.ExecContext(ctx, statement); err != nil {
			return fmt.Errorf("%.60s: %w", statement, err)
		}
	}
	return nil
}

func texts(ctx context.Context, tx *sql.Tx, query string, args ...any) ([]string, error) {
	rows, err := tx.QueryContext(ctx, query, args...)
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }()
	var found []string
	for rows.Next() {
		var text string
		if err := rows.Scan(&text); err != nil {
			return nil, err
		}
		found = append(found, text)
	}
	return found, rows.Err()
}
