package testenv

import (
	"fmt"
	"runtime"
	"strings"
	"testing"
)

// recorder is a test that only notes how it ended.
type recorder struct {
	testing.TB
	failed, skipped string
}

func (r *recorder) Helper() {}

func (r *recorder) Fatal(args ...any) {
	r.failed = fmt.Sprint(args...)
	runtime.Goexit()
}

func (r *recorder) Skip(args ...any) {
	r.skipped = fmt.Sprint(args...)
	runtime.Goexit()
}

func TestRequire(t *testing.T) {
	const variable = "LETHE_TEST_SOMETHING"
	tests := []struct {
		name, value, ci         string
		wantFailed, wantSkipped bool
	}{
		{name: "set", value: "unix:///x"},
		{name: "set, where CI is true", value: "unix:///x", ci: "true"},
		{name: "missing", wantSkipped: true},
		{name: "missing, where CI is true", ci: "true", wantFailed: true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Setenv(variable, tt.value)
			t.Setenv("CI", tt.ci)
			r, got, done := &recorder{}, "", make(chan struct{})
			go func() {
				defer close(done)
				got = require(r, "a thing", variable)
			}()
			<-done
			if got != tt.value {
				t.Errorf("it gave %q, want %q", got, tt.value)
			}
			for how, said := range map[string]string{"failed": r.failed, "skipped": r.skipped} {
				want := how == "failed" && tt.wantFailed || how == "skipped" && tt.wantSkipped
				if (said != "") != want || want && !strings.Contains(said, variable) {
					t.Errorf("%s: %q, want it %v and naming the variable", how, said, want)
				}
			}
		})
	}
}
