package store

import (
	"encoding/json"
	"strconv"
	"strings"
	"sync"
	"time"
)

// dialect is where the two databases truly differ. All other SQL is one text with ? for its arguments.
type dialect struct {
	postgres bool
	// clock is the database's own time in microseconds.
	clock string
	// lock ends a SELECT that locks what it reads against other writers; SQLite has one writer anyway.
	lock string
	// lockRemoval ends a SELECT that locks a row in order to remove it: it also keeps others from beginning to refer to it.
	// lockExistence ends one that keeps a row from being removed.
	lockRemoval   string
	lockExistence string
	// skipLocked ends a SELECT that locks what it reads in order to remove it, and leaves out what another transaction holds.
	skipLocked string
	// leaders is how many transactions of combined steps may run at once.
	leaders int
	// cooldown is the least time between two looks for deliveries, each of which is a transaction.
	cooldown time.Duration
	// candidates reads the queues' heads; see there.
	candidates string
	// waitingTasks reads which tasks wait for their turn; see there.
	waitingTasks string
	// fetchedBy is the process that fetched a row of river_job last.
	fetchedBy string
	rebound   *sync.Map // SQL text with ? to text with $1
}

func sqliteDialect() dialect {
	return dialect{
		clock:      `CAST(unixepoch('subsec') * 1000000 AS INTEGER)`,
		leaders:    1,
		cooldown:   2 * time.Millisecond,
		fetchedBy:  `attempted_by ->> '$[#-1]'`,
		candidates: sqliteCandidates, waitingTasks: sqliteTasks,
	}
}

func postgresDialect() dialect {
	return dialect{
		postgres:      true,
		clock:         `(extract(epoch FROM clock_timestamp()) * 1000000)::bigint`,
		lock:          ` FOR NO KEY UPDATE`,
		lockRemoval:   ` FOR UPDATE`,
		lockExistence: ` FOR KEY SHARE`,
		skipLocked:    ` FOR UPDATE SKIP LOCKED`,
		leaders:       2,
		cooldown:      5 * time.Millisecond,
		fetchedBy:     `attempted_by[array_upper(attempted_by, 1)]`,
		candidates:    postgresCandidates,
		waitingTasks:  postgresTasks,
		rebound:       &sync.Map{},
	}
}

// in is the condition that a column's value is in a list, which is one argument made by list.
func (d dialect) in(column string) string {
	if d.postgres {
		return column + ` = ANY(?::text[])`
	}
	return column + ` IN (SELECT value FROM json_each(?))`
}

// list makes the argument of in.
func list[T ~string](d dialect, ids []T) any {
	text := make([]string, len(ids))
	for i, id := range ids {
		text[i] = string(id)
	}
	if d.postgres {
		return text
	}
	return asJSON(text)
}

// records is a table v made of one argument, a JSON array of objects. A column is written "name type"; type is text, bigint
// or boolean.
func (d dialect) records(columns ...string) string {
	if d.postgres {
		// Of json, not of jsonb: a thousand records of twelve columns took PostgreSQL 15 a tenth of the time.
		return `json_to_recordset(?::json) AS v(` + strings.Join(columns, ", ") + `)`
	}
	parts := make([]string, len(columns))
	for i, column := range columns {
		name, _, _ := strings.Cut(column, " ")
		parts[i] = `value ->> '` + name + `' AS ` + name
	}
	// jsonb_each gives objects parsed; json_each would write each as text, to be parsed once more for each column.
	return `(SELECT ` + strings.Join(parts, ", ") + ` FROM jsonb_each(?)) AS v`
}

// past is the condition that a time of the database's clock has come; its argument is the longest, in microseconds, that any such
// time may lie ahead. One that lies further ahead was written before the clock was set back, and nobody waits for it.
func (d dialect) past(column string) string {
	return `(` + column + ` <= ` + d.clock + ` OR ` + column + ` > ` + d.clock + ` + ?)`
}

// contains is the condition that a column's text has the argument in it, exactly.
func (d dialect) contains(column string) string {
	if d.postgres {
		return `strpos(` + column + `, ?) > 0`
	}
	return `instr(` + column + `, ?) > 0`
}

// rebind writes the arguments as the database wants them.
func (d dialect) rebind(query string) string {
	if !d.postgres {
		return query
	}
	if known, ok := d.rebound.Load(query); ok {
		return known.(string)
	}
	var b strings.Builder
	n := 0
	for part := range strings.SplitSeq(query, "?") {
		if n > 0 {
			b.WriteString("$" + strconv.Itoa(n))
		}
		b.WriteString(part)
		n++
	}
	d.rebound.Store(query, b.String())
	return b.String()
}

// asJSON writes a value that is known to have a JSON form.
func asJSON(v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		panic("store: a value without JSON form: " + err.Error())
	}
	return string(b)
}
