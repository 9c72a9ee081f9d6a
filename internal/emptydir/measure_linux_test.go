package emptydir

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"
)

func TestMeasure(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	empty, err := Measure(dir)
	if err != nil || empty.Free <= 0 {
		t.Fatalf("%+v, %v", empty, err)
	}
	const size = 1 << 20
	deep := filepath.Join(dir, "a", "b")
	if err := os.MkdirAll(deep, 0o700); err != nil {
		t.Fatal(err)
	}
	content := bytes.Repeat([]byte("0123456789abcdef"), size/16)
	if err := os.WriteFile(filepath.Join(deep, "file"), content, 0o600); err != nil {
		t.Fatal(err)
	}
	once, err := Measure(dir)
	if err != nil || once.Used < empty.Used+size*9/10 || once.Used > empty.Used+2*size {
		t.Errorf("with a file of %d bytes: %+v, %v; empty it was %+v", size, once, err, empty)
	}
	// A second name costs nothing, what a symbolic link points to does not count.
	other := t.TempDir()
	if err := os.WriteFile(filepath.Join(other, "file"), content, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, err := range []error{os.Link(filepath.Join(deep, "file"), filepath.Join(dir, "again")), os.Symlink(other, filepath.Join(dir, "elsewhere"))} {
		if err != nil {
			t.Fatal(err)
		}
	}
	if again, err := Measure(dir); err != nil || again.Used > once.Used+size/10 {
		t.Errorf("with a link: %+v, %v; before it was %+v", again, err, once)
	}
}

func TestMainMeasures(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, []byte("kept"), 0o600); err != nil {
		t.Fatal(err)
	}
	var stdout, stderr bytes.Buffer
	if code := Main([]string{MeasureFlag, dir}, &stdout, &stderr); code != 0 {
		t.Fatalf("exit code %d: %s", code, stderr.String())
	}
	if usage, err := ReadUsage(&stdout); err != nil || usage.Dir != dir || usage.Used <= 0 || usage.Free <= 0 || usage.Error != "" {
		t.Errorf("%+v, %v", usage, err)
	}
	if _, err := os.Stat(file); err != nil {
		t.Error("measuring destroyed a file")
	}
	if code := Main([]string{MeasureFlag, filepath.Join(dir, "none")}, &stdout, &stderr); code != 1 {
		t.Errorf("a directory that is not there: exit code %d", code)
	}
	if usage, err := ReadUsage(&stdout); err != nil || usage.Error == "" {
		t.Errorf("a directory that is not there: %+v, %v", usage, err)
	}
	for _, args := range [][]string{{MeasureFlag}, {MeasureFlag, dir, dir}} {
		if code := Main(args, &stdout, &stderr); code != 2 {
			t.Errorf("%v: exit code %d", args, code)
		}
	}
	if usage, err := ReadUsage(bytes.NewBufferString(`{"dir":"/volumes/0","files":3}`)); err == nil {
		t.Errorf("a report of what was emptied is read as %+v", usage)
	}
}
