package main

import (
	"bytes"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestProgressLine(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		phases        map[string]int
		total, erased int
		want          string
	}{
		"begun":    {map[string]int{"queued": 60}, 60, 0, "[--------------------] 0/60  queued 60"},
		"half way": {map[string]int{"queued": 10, "booting": 18, "verifying": 1, "succeeded": 30, "failed": 1}, 60, 40, "[##########----------] 31/60  queued 10  booting 18  verifying 1  failed 1  erased 40"},
		"done":     {map[string]int{"succeeded": 60}, 60, 60, "[####################] 60/60  erased 60"},
		"nothing":  {nil, 0, 0, "[--------------------] 0/0"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got := progressLine(tt.phases, tt.total, tt.erased); got != tt.want {
				t.Errorf("got  %s\nwant %s", got, tt.want)
			}
		})
	}
}

func TestProgressWithoutATerminal(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	now := time.Unix(0, 0)
	p := newProgress(&out, false)
	p.now = func() time.Time { return now }
	show := func(queued int) { p.Update(map[string]int{"queued": queued, "succeeded": 4 - queued}, 4, 4-queued) }

	show(4)
	show(4)
	show(3) // too soon
	now = now.Add(time.Second)
	show(2)
	show(1)
	show(0)
	p.Done()
	p.Done()

	want := "[--------------------] 0/4  queued 4\n" +
		"[##########----------] 2/4  queued 2  erased 2\n" +
		"[####################] 4/4  erased 4\n"
	if diff := cmp.Diff(want, out.String()); diff != "" {
		t.Error(diff)
	}
}

func TestProgressOnATerminal(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	p := newProgress(&out, true)
	p.Update(map[string]int{"queued": 1}, 1, 0)
	p.Update(map[string]int{"queued": 1}, 1, 0)
	p.Update(map[string]int{"succeeded": 1}, 1, 0)
	p.Done()
	want := "\r\x1b[?7l[--------------------] 0/1  queued 1\x1b[K\x1b[?7h" + "\r\x1b[?7l[####################] 1/1\x1b[K\x1b[?7h\n"
	if diff := cmp.Diff(want, out.String()); diff != "" {
		t.Error(diff)
	}
}
