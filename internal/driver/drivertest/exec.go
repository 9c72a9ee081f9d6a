package drivertest

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/lethe-cloud/lethe/internal/driver"
)

// defaultOutput is the bound of an output when the command names none.
const defaultOutput = 64 << 10

func testExec(t *testing.T, h *Harness) {
	b := newBundle(t, h)
	spec := b.spec()
	b.life(spec)
	pattern := make([]byte, 100_000)
	for i := range pattern {
		pattern[i] = byte(i * 7 / 3) // every byte, also NUL, line ends and what is no UTF-8
	}
	b.write(spec.Ref, "/data/suite-small", pattern[:3000])
	b.write(spec.Ref, "/data/suite-empty", []byte{})
	large := driver.Command{Args: []string{"tee", "/data/suite-large"}, Stdin: pattern}
	if result := b.run(spec.Ref, large); result.ExitCode != 0 || !bytes.Equal(result.Stdout, pattern[:defaultOutput]) || !result.Truncated {
		t.Errorf("tee of %d bytes: exit code %d, %d bytes of output, truncated %v", len(pattern), result.ExitCode, len(result.Stdout), result.Truncated)
	}
	if got, there := b.read(spec.Ref, "/data/suite-large"); !there || !bytes.Equal(got, pattern) {
		t.Errorf("tee wrote %d of %d bytes", len(got), len(pattern))
	}

	for _, test := range []struct {
		name      string
		command   driver.Command
		failed    bool
		stdout    []byte // nil: whatever
		truncated bool
	}{
		{name: "bound above", command: cat("/data/suite-small", 3001), stdout: pattern[:3000]},
		{name: "bound exact", command: cat("/data/suite-small", 3000), stdout: pattern[:3000]},
		{name: "bound below", command: cat("/data/suite-small", 2999), stdout: pattern[:2999], truncated: true},
		{name: "bound of one", command: cat("/data/suite-small", 1), stdout: pattern[:1], truncated: true},
		{name: "default bound", command: cat("/data/suite-large", 0), stdout: pattern[:defaultOutput], truncated: true},
		{name: "empty", command: cat("/data/suite-empty", 0), stdout: []byte{}},
		{name: "no file", command: cat("/data/suite-absent", 0), failed: true, stdout: []byte{}},
		{name: "no folder", command: driver.Command{Args: []string{"tee", "/data/suite-absent/file"}, Stdin: []byte("x")}, failed: true},
		{name: "ls of nothing", command: driver.Command{Args: []string{"ls", "/data/suite-absent"}}, failed: true, stdout: []byte{}},
		{name: "no package", command: driver.Command{Args: []string{"pm", "path", "suite.absent"}}, failed: true, stdout: []byte{}},
	} {
		t.Run(test.name, func(t *testing.T) {
			result, err := b.d.Exec(b.ctx, spec.Ref, test.command)
			if err != nil {
				t.Fatal(err)
			}
			if failed := result.ExitCode != 0; failed != test.failed {
				t.Errorf("exit code %d, stderr %q", result.ExitCode, result.Stderr)
			}
			if test.stdout != nil && !bytes.Equal(result.Stdout, test.stdout) || result.Truncated != test.truncated {
				t.Errorf("%d bytes of output, truncated %v; want %d, %v", len(result.Stdout), result.Truncated, len(test.stdout), test.truncated)
			}
		})
	}
	t.Run("stderr", func(t *testing.T) {
		full := b.run(spec.Ref, cat("/data/suite-absent", 0))
		if len(full.Stderr) < 8 {
			t.Fatalf("cat of no file says only %q on its standard error", full.Stderr)
		}
		cut := b.run(spec.Ref, cat("/data/suite-absent", 7))
		if !bytes.Equal(cut.Stderr, full.Stderr[:7]) || !cut.Truncated {
			t.Errorf("bounded to 7 bytes the standard error is %q, truncated %v", cut.Stderr, cut.Truncated)
		}
	})
	t.Run("ls", func(t *testing.T) {
		lines := strings.Split(b.output(spec.Ref, "ls", "/data"), "\n")
		for _, want := range []string{"suite-small", "suite-large", "suite-empty"} {
			if !contains(lines, want) {
				t.Errorf("ls /data gives %q without %s", lines, want)
			}
		}
	})
	t.Run("time limit", func(t *testing.T) {
		for _, test := range []struct {
			name    string
			command driver.Command
			expired bool
		}{
			{"over", driver.Command{Args: []string{"sleep", "600"}, TimeLimit: 300 * time.Millisecond}, true},
			{"not over", driver.Command{Args: []string{"tee", "/data/suite-limited"}, Stdin: []byte("limited"), TimeLimit: patience}, false},
			{"failed before", driver.Command{Args: []string{"cat", "/data/suite-absent"}, TimeLimit: patience}, false},
		} {
			result := b.run(spec.Ref, test.command)
			if result.Expired != test.expired || result.Expired && result.ExitCode != 137 {
				t.Errorf("%s: expired %v, exit code %d, stderr %q", test.name, result.Expired, result.ExitCode, result.Stderr)
			}
			if failed := result.ExitCode != 0; failed != (test.name != "not over") {
				t.Errorf("%s: exit code %d, stderr %q", test.name, result.ExitCode, result.Stderr)
			}
		}
		if got, _ := b.read(spec.Ref, "/data/suite-limited"); string(got) != "limited" {
			t.Errorf("within its time tee wrote %q", got)
		}
	})
	t.Run("arguments are not a shell's", func(t *testing.T) {
		path := `/data/suite $HOME;*'"`
		b.write(spec.Ref, path, []byte("quoted"))
		if got := b.output(spec.Ref, "ls", path); !strings.Contains(got, `suite $HOME;*'"`) {
			t.Errorf("ls gives %q", got)
		}
	})
}

func cat(path string, bound int) driver.Command {
	return driver.Command{Args: []string{"cat", path}, MaxOutput: bound}
}

// contains looks for a whole word in any line: ls may print names below each other or side by side.
func contains(lines []string, word string) bool {
	for _, line := range lines {
		for _, w := range strings.Fields(line) {
			if w == word {
				return true
			}
		}
	}
	return false
}
