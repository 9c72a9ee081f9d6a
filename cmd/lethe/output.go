package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"
)

// outputFormat is the value of -o.
type outputFormat string

const (
	outputTable outputFormat = "table"
	outputJSON  outputFormat = "json"
)

// String, Set and Type make it a flag that refuses an unknown format while it is parsed.
func (f *outputFormat) String() string { return string(*f) }

func (f *outputFormat) Type() string { return "format" }

func (f *outputFormat) Set(s string) error {
	if s != string(outputTable) && s != string(outputJSON) {
		return errors.New("choose table or json")
	}
	*f = outputFormat(s)
	return nil
}

// table is what -o table shows of a list.
type table struct {
	header []string
	rows   [][]string
}

// print writes value as JSON, or t as a table, to stdout.
func (e *environment) print(value any, t func() table) error {
	if e.output == outputJSON {
		return writeJSON(e.stdout, value)
	}
	return t().write(e.stdout)
}

func writeJSON(w io.Writer, value any) error {
	enc := json.NewEncoder(w)
	enc.SetIndent("", "  ")
	enc.SetEscapeHTML(false)
	return enc.Encode(value)
}

func (t table) write(w io.Writer) error {
	tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	if len(t.header) > 0 {
		fmt.Fprintln(tw, strings.Join(t.header, "\t"))
	}
	for _, row := range t.rows {
		fmt.Fprintln(tw, strings.Join(row, "\t"))
	}
	return tw.Flush()
}

// pairs is a table without a header: one line per name and value.
func pairs(namesAndValues ...string) table {
	var t table
	for i := 0; i < len(namesAndValues); i += 2 {
		t.rows = append(t.rows, namesAndValues[i:i+2])
	}
	return t
}

func dash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}

// moment shows a time to people, in their own zone.
func moment(t time.Time) string {
	if t.IsZero() {
		return "-"
	}
	return t.Local().Format("2006-01-02 15:04:05")
}
