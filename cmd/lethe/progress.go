package main

import (
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/lethe-cloud/lethe/internal/phone"
)

// progress shows how many jobs stand in each phase. On a terminal it is one line that is written over; elsewhere plain lines,
// one when something has changed, and not more than one a second. One goroutine uses it.
type progress struct {
	w        io.Writer
	terminal bool
	now      func() time.Time

	last    string    // the newest line
	shown   string    // the line that was written last
	shownAt time.Time // when
}

func newProgress(w io.Writer, isTerminal bool) *progress {
	return &progress{w: w, terminal: isTerminal, now: time.Now}
}

// Update shows the present state: how many of total jobs stand in each phase, and of how many the old data is gone.
func (p *progress) Update(phases map[string]int, total, erased int) {
	p.last = progressLine(phases, total, erased)
	switch {
	case p.last == p.shown:
	case p.terminal:
		// Without wrapping (7l), since a line that has wrapped cannot be written over.
		fmt.Fprintf(p.w, "\r\x1b[?7l%s\x1b[K\x1b[?7h", p.last)
		p.shown = p.last
	case p.now().Sub(p.shownAt) >= time.Second:
		p.line()
	}
}

// Done shows the last state, if it was not, and ends the line.
func (p *progress) Done() {
	switch {
	case p.terminal && p.shown != "":
		fmt.Fprintln(p.w)
	case !p.terminal && p.last != p.shown:
		p.line()
	}
}

func (p *progress) line() {
	fmt.Fprintln(p.w, p.last)
	p.shown, p.shownAt = p.last, p.now()
}

const barWidth = 20

// progressLine is "[#####---------------] 15/60  queued 30  booting 14  verifying 1  erased 20".
func progressLine(phases map[string]int, total, erased int) string {
	ended := 0
	var counts strings.Builder
	for _, phase := range phone.Phases() {
		n := phases[string(phase)]
		if phase.Final() {
			ended += n
		}
		if n > 0 && phase != phone.PhaseSucceeded {
			fmt.Fprintf(&counts, "  %s %d", phase, n)
		}
	}
	filled := 0
	if total > 0 {
		filled = barWidth * ended / total
	}
	bar := strings.Repeat("#", filled) + strings.Repeat("-", barWidth-filled)
	line := fmt.Sprintf("[%s] %d/%d%s", bar, ended, total, counts.String())
	if erased > 0 {
		line += fmt.Sprintf("  erased %d", erased)
	}
	return line
}
