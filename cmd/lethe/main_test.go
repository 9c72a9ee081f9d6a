package main

import (
	"bytes"
	"strings"
	"testing"

	"github.com/lethe-cloud/lethe/internal/driver/docker"
)

func TestRunSaysWhatIsWrong(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name string
		args []string
		code int
		want string // in the one line on stderr; "" for none
	}{
		{"help", []string{"--help"}, exitOK, ""},
		{"nothing", nil, exitOK, ""},
		{"unknown command", []string{"rest"}, exitUsage, `"rest"`},
		{"unknown flag", []string{"--verbos"}, exitUsage, "--verbos"},
		{"serve without a folder", []string{"serve"}, exitUsage, "--data"},
		{"completion for an unknown shell", []string{"completion", "cmd"}, exitUsage, `"cmd"`},
		{"the helper outside its container", []string{docker.HelperCommand, "/nowhere"}, exitUsage, docker.HelperCommand},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			var stdout, stderr bytes.Buffer
			err := run(t.Context(), tt.args, noEnvironment, strings.NewReader(""), &stdout, &stderr)
			if code := exitCode(err); code != tt.code {
				t.Errorf("exit code %d (%v), want %d", code, err, tt.code)
			}
			if tt.want == "" {
				if stderr.Len() > 0 || !strings.Contains(stdout.String(), "serve") {
					t.Errorf("stdout is %q and stderr %q, want the help alone", stdout.String(), stderr.String())
				}
				return
			}
			if line := stderr.String(); strings.Count(line, "\n") != 1 || !strings.HasPrefix(line, "lethe: ") || !strings.Contains(line, tt.want) {
				t.Errorf("stderr is %q, want one line that names %s", line, tt.want)
			}
			if stdout.Len() > 0 {
				t.Errorf("stdout is %q, want nothing", stdout.String())
			}
		})
	}
}

func TestCompletionIsThere(t *testing.T) {
	t.Parallel()
	for _, shell := range []string{"bash", "zsh", "fish", "powershell"} {
		var stdout, stderr bytes.Buffer
		if err := run(t.Context(), []string{"completion", shell}, noEnvironment, strings.NewReader(""), &stdout, &stderr); err != nil || stdout.Len() < 1000 {
			t.Errorf("%s: %v, %d bytes", shell, err, stdout.Len())
		}
	}
}
