package simphone

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestShell(t *testing.T) {
	t.Parallel()
	p := &phoneAt{t: t}
	type result struct {
		Code           int
		Stdout, Stderr string
	}
	for name, tt := range map[string]struct {
		stdin string
		args  []string
		want  result
	}{
		"words":      {args: []string{"sh", "-c", "echo a b"}, want: result{Stdout: "a b\n"}},
		"parameters": {args: []string{"sh", "-c", `echo $# "$2"; shift; echo "$@"`, "sh", "a", "b c"}, want: result{Stdout: "2 b c\nb c\n"}},
		"exit code":  {args: []string{"sh", "-c", "exit 7"}, want: result{Code: 7}},
		"input":      {stdin: "in\n", args: []string{"sh", "-c", "read x; echo got $x"}, want: result{Stdout: "got in\n"}},
		"errors":     {args: []string{"sh", "-c", "echo e >&2; false"}, want: result{Code: 1, Stderr: "e\n"}},
		"no command": {args: []string{"sh", "-c"}, want: result{Code: 2, Stderr: "usage: sh -c COMMAND [NAME [ARG...]]\n"}},
		"a script":   {args: []string{"sh", "script"}, want: result{Code: 2, Stderr: "usage: sh -c COMMAND [NAME [ARG...]]\n"}},
		"nonsense":   {args: []string{"sh", "-c", "("}, want: result{Code: 1, Stderr: "sh: 1:1: reached EOF without matching `(` with `)`\n"}},
		"sleep":      {args: []string{"sleep", "0.001"}},
		"sleepless":  {args: []string{"sleep", "x"}, want: result{Code: 1, Stderr: "sleep: bad number 'x'\n"}},
		"kill whom":  {args: []string{"kill", "-9", "x"}, want: result{Code: 1, Stderr: "kill: x: strconv.Atoi: parsing \"x\": invalid syntax\n"}},
		"kill how":   {args: []string{"kill", "1"}, want: result{Code: 1, Stderr: "usage: kill -9 PID...\n"}},
	} {
		t.Run(name, func(t *testing.T) {
			var got result
			got.Code, got.Stdout, got.Stderr = p.run(tt.stdin, tt.args...)
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}
