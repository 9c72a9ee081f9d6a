// Package emptydir destroys what is in a directory and keeps the directory: the part of erasing a phone's data that takes time,
// run by root in a container that sees nothing but the volumes to empty. It follows no symbolic link and leaves no mount. It also
// measures a directory, in the same kind of container.
package emptydir

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"runtime"
	"sync"
)

// Removed counts what was destroyed.
type Removed struct {
	Files int64 `json:"files"` // whatever is not a directory
	Dirs  int64 `json:"dirs"`
	Bytes int64 `json:"bytes"` // lengths of regular files; a file with several names counts when its last name goes
}

// Report is one line of what Main prints: how emptying one directory ended.
type Report struct {
	Dir string `json:"dir"`
	Removed
	Error string `json:"error,omitempty"` // "" when nothing is left in it
}

// MeasureFlag as the first argument makes Main measure the one directory that follows instead.
const MeasureFlag = "--measure"

// Usage is what Main prints of a directory that it measured.
type Usage struct {
	Dir   string `json:"dir"`
	Used  int64  `json:"used"` // bytes that its files take on the disk
	Free  int64  `json:"free"` // bytes that an ordinary user may still write on its file system
	Error string `json:"error,omitempty"`
}

// Main empties the directories that args name, a few at a time, and prints one Report per directory as a line of JSON, as each
// ends; or it prints a Usage. The exit code is 0 when every one is empty, 1 when something is left, 2 when it was called wrongly.
func Main(args []string, stdout, stderr io.Writer) int {
	if len(args) == 0 {
		fmt.Fprintln(stderr, "volume-helper empties the directories that it is given: name at least one")
		return 2
	}
	if args[0] == MeasureFlag {
		return measure(args[1:], stdout, stderr)
	}
	// A few at once keep the disk busy; more only queue up at its journal.
	limit := make(chan struct{}, min(4, runtime.NumCPU()))
	reports := make(chan Report)
	var all sync.WaitGroup
	for _, dir := range args {
		all.Go(func() {
			limit <- struct{}{}
			defer func() { <-limit }()
			removed, err := Empty(dir)
			report := Report{Dir: dir, Removed: removed}
			if err != nil {
				report.Error = err.Error()
			}
			reports <- report
		})
	}
	go func() {
		all.Wait()
		close(reports)
	}()
	return printReports(reports, stdout, stderr)
}

func measure(args []string, stdout, stderr io.Writer) int {
	if len(args) != 1 {
		fmt.Fprintln(stderr, MeasureFlag+" takes the one directory to measure")
		return 2
	}
	usage, err := Measure(args[0])
	usage.Dir = args[0]
	if err != nil {
		usage.Error = err.Error()
	}
	if err := errors.Join(err, json.NewEncoder(stdout).Encode(usage)); err != nil {
		fmt.Fprintln(stderr, "measure:", err)
		return 1
	}
	return 0
}

// ReadUsage reads what Main printed of a directory that it measured. Anything else is an error.
func ReadUsage(r io.Reader) (Usage, error) {
	var usage Usage
	decoder := json.NewDecoder(r)
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&usage); err != nil {
		return Usage{}, fmt.Errorf("the helper printed no measurement: %w", err)
	}
	return usage, nil
}

func printReports(reports <-chan Report, stdout, stderr io.Writer) int {
	code := 0
	encoder := json.NewEncoder(stdout)
	for report := range reports {
		if report.Error != "" {
			code = 1
		}
		if err := encoder.Encode(report); err != nil {
			fmt.Fprintln(stderr, "write the report:", err)
			code = 1
		}
	}
	return code
}

// ReadReports reads what Main printed, by directory. A line that is no report is an error, with what it says.
func ReadReports(r io.Reader) (map[string]Report, error) {
	reports := map[string]Report{}
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var report Report
		if err := json.Unmarshal(lines.Bytes(), &report); err != nil {
			return reports, fmt.Errorf("the helper said %.200q", lines.Text())
		}
		reports[report.Dir] = report
	}
	return reports, lines.Err()
}
