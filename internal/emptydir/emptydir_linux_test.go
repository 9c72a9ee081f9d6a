package emptydir

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"golang.org/x/sys/unix"
)

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// isEmpty checks that the directory is there and has nothing in it.
func isEmpty(t *testing.T, dir string) {
	t.Helper()
	left, err := os.ReadDir(dir)
	must(t, err)
	if len(left) > 0 {
		t.Errorf("%s still has %v", dir, left)
	}
}

func TestEmptyCounts(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	must(t, os.MkdirAll(filepath.Join(dir, "data/app/x"), 0o755))
	must(t, os.WriteFile(filepath.Join(dir, "data/app/x/a"), make([]byte, 100), 0o600))
	must(t, os.WriteFile(filepath.Join(dir, "data/b"), make([]byte, 23), 0o600))
	must(t, os.Link(filepath.Join(dir, "data/b"), filepath.Join(dir, "b again")))
	must(t, os.Symlink("nowhere", filepath.Join(dir, "link")))
	must(t, unix.Mkfifo(filepath.Join(dir, "fifo"), 0o600))
	got, err := Empty(dir)
	must(t, err)
	if diff := cmp.Diff(Removed{Files: 5, Dirs: 3, Bytes: 123}, got); diff != "" {
		t.Errorf("counts (-want +got):\n%s", diff)
	}
	isEmpty(t, dir)
	if again, err := Empty(dir); err != nil || again != (Removed{}) {
		t.Errorf("Empty of an empty directory: %+v, %v", again, err)
	}
}

func TestEmptyFollowsNoLink(t *testing.T) {
	t.Parallel()
	outside := t.TempDir()
	kept := filepath.Join(outside, "kept")
	must(t, os.WriteFile(kept, []byte("kept"), 0o600))
	dir := t.TempDir()
	must(t, os.Symlink(outside, filepath.Join(dir, "to a directory")))
	must(t, os.Symlink(kept, filepath.Join(dir, "to a file")))
	must(t, os.Symlink("..", filepath.Join(dir, "up")))
	if _, err := Empty(dir); err != nil {
		t.Fatal(err)
	}
	isEmpty(t, dir)
	if _, err := os.Stat(kept); err != nil {
		t.Errorf("what the links named was touched: %v", err)
	}

	must(t, os.Symlink(outside, filepath.Join(dir, "volume")))
	if _, err := Empty(filepath.Join(dir, "volume")); err == nil {
		t.Error("Empty takes a symbolic link for a directory")
	}
	if _, err := os.Stat(kept); err != nil {
		t.Errorf("what the link named was touched: %v", err)
	}
}

// It runs alone, because it limits how many files the whole process may have open.
func TestEmptyDeepTree(t *testing.T) {
	dir := t.TempDir()
	var before unix.Rlimit
	must(t, unix.Getrlimit(unix.RLIMIT_NOFILE, &before))
	must(t, unix.Setrlimit(unix.RLIMIT_NOFILE, &unix.Rlimit{Cur: 256, Max: before.Max}))
	t.Cleanup(func() { must(t, unix.Setrlimit(unix.RLIMIT_NOFILE, &before)) })
	// Deeper than a path may be long and than files may be open, with a file on each level, and names that the emptier itself
	// gives to what it moves up.
	const depth = 3000
	must(t, os.Mkdir(filepath.Join(dir, ".lethe-1"), 0o700))
	fd, err := unix.Open(dir, unix.O_RDONLY|unix.O_DIRECTORY, 0)
	must(t, err)
	for range depth {
		must(t, unix.Mkdirat(fd, "a directory", 0o700))
		file, err := unix.Openat(fd, "file", unix.O_CREAT|unix.O_WRONLY, 0o600)
		must(t, err)
		must(t, unix.Close(file))
		next, err := unix.Openat(fd, "a directory", unix.O_RDONLY|unix.O_DIRECTORY, 0)
		must(t, err)
		must(t, unix.Close(fd))
		fd = next
	}
	must(t, unix.Close(fd))
	got, err := Empty(dir)
	must(t, err)
	if diff := cmp.Diff(Removed{Files: depth, Dirs: depth + 1}, got); diff != "" {
		t.Errorf("counts (-want +got):\n%s", diff)
	}
	isEmpty(t, dir)
}

func TestEmptyWideDirectoryAndOddNames(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	names := []string{"with space", "new\nline", "\xff\xfe not UTF-8", "-rf", "*", "ünïcödé", strings.Repeat("n", 255), "…", ".hidden", "..."}
	for i := range 3000 {
		names = append(names, fmt.Sprintf("file %d", i))
	}
	for _, name := range names {
		must(t, os.WriteFile(filepath.Join(dir, name), nil, 0))
	}
	got, err := Empty(dir)
	must(t, err)
	if diff := cmp.Diff(Removed{Files: int64(len(names))}, got); diff != "" {
		t.Errorf("counts (-want +got):\n%s", diff)
	}
	isEmpty(t, dir)
}

func needsRoot(t *testing.T) {
	t.Helper()
	if os.Geteuid() != 0 {
		if os.Getenv("CI") == "true" {
			t.Fatal("this test must run as root in CI")
		}
		t.Skip("only root may do what this test prepares")
	}
}

func TestEmptyOtherOwnersAndModes(t *testing.T) {
	t.Parallel()
	needsRoot(t)
	dir := t.TempDir()
	must(t, os.Mkdir(filepath.Join(dir, "app"), 0o700))
	must(t, os.WriteFile(filepath.Join(dir, "app/secret"), []byte("x"), 0o400))
	must(t, os.Chown(filepath.Join(dir, "app/secret"), 10123, 10123))
	must(t, os.Chown(filepath.Join(dir, "app"), 10123, 10123))
	must(t, os.Chmod(filepath.Join(dir, "app"), 0o500|os.ModeSticky))
	got, err := Empty(dir)
	must(t, err)
	if diff := cmp.Diff(Removed{Files: 1, Dirs: 1, Bytes: 1}, got); diff != "" {
		t.Errorf("counts (-want +got):\n%s", diff)
	}
}

func TestEmptyImmutable(t *testing.T) {
	t.Parallel()
	needsRoot(t)
	dir := t.TempDir()
	sub := filepath.Join(dir, "sub")
	must(t, os.Mkdir(sub, 0o700))
	file := filepath.Join(sub, "immutable")
	must(t, os.WriteFile(file, []byte("abc"), 0o600))
	const immutable, appendOnly = 0x10, 0x20
	if !mark(t, file, immutable) {
		t.Skip("the file system of the test's folder has no immutable files")
	}
	mark(t, sub, appendOnly)
	got, err := Empty(dir)
	must(t, err)
	if diff := cmp.Diff(Removed{Files: 1, Dirs: 1, Bytes: 3}, got); diff != "" {
		t.Errorf("counts (-want +got):\n%s", diff)
	}
}

// mark sets a file's flags until the test ends; it reports whether the file system has them.
func mark(t *testing.T, path string, flags int) bool {
	t.Helper()
	f, err := os.Open(path)
	must(t, err)
	t.Cleanup(func() {
		if _, err := os.Lstat(path); err == nil {
			_ = unix.IoctlSetPointerInt(int(f.Fd()), unix.FS_IOC_SETFLAGS, 0)
		}
		_ = f.Close()
	})
	return unix.IoctlSetPointerInt(int(f.Fd()), unix.FS_IOC_SETFLAGS, flags) == nil
}

func TestEmptyLeavesMountsAlone(t *testing.T) {
	t.Parallel()
	needsRoot(t)
	dir, outside := t.TempDir(), t.TempDir()
	kept := filepath.Join(outside, "kept")
	must(t, os.WriteFile(kept, []byte("kept"), 0o600))
	mounted := filepath.Join(dir, "mounted") // the same file system, so only the mount tells it apart
	must(t, os.Mkdir(mounted, 0o700))
	must(t, os.WriteFile(filepath.Join(dir, "data"), []byte("gone"), 0o600))
	if err := unix.Mount(outside, mounted, "", unix.MS_BIND, ""); err != nil {
		t.Skipf("mounting is not allowed here: %v", err)
	}
	t.Cleanup(func() { must(t, unix.Unmount(mounted, unix.MNT_DETACH)) })
	got, err := Empty(dir)
	if err == nil || !strings.Contains(err.Error(), "mounted there") {
		t.Errorf("Empty around a mount: %v, want an error that names it", err)
	}
	if diff := cmp.Diff(Removed{Files: 1, Bytes: 4}, got); diff != "" {
		t.Errorf("counts (-want +got):\n%s", diff)
	}
	if _, err := os.Stat(kept); err != nil {
		t.Errorf("what is mounted was touched: %v", err)
	}
}

func TestMain_reports(t *testing.T) {
	t.Parallel()
	first, second := t.TempDir(), t.TempDir()
	must(t, os.WriteFile(filepath.Join(first, "a"), []byte("abc"), 0o600))
	missing := filepath.Join(t.TempDir(), "missing")
	var out, errs bytes.Buffer
	if code := Main([]string{first, second, missing}, &out, &errs); code != 1 {
		t.Errorf("exit code %d, want 1 because one directory is missing", code)
	}
	got, err := ReadReports(&out)
	must(t, err)
	want := map[string]Report{
		first:   {Dir: first, Removed: Removed{Files: 1, Bytes: 3}},
		second:  {Dir: second},
		missing: {Dir: missing},
	}
	if diff := cmp.Diff(want, got, cmpopts.IgnoreFields(Report{}, "Error")); diff != "" {
		t.Errorf("reports (-want +got):\n%s", diff)
	}
	if got[first].Error != "" || got[missing].Error == "" {
		t.Errorf("errors: %q for an emptied directory, %q for a missing one", got[first].Error, got[missing].Error)
	}
	if code := Main([]string{first}, &out, &errs); code != 0 {
		t.Errorf("exit code %d, want 0", code)
	}
	if code := Main(nil, &out, &errs); code != 2 {
		t.Errorf("exit code %d without a directory, want 2", code)
	}
	if _, err := ReadReports(strings.NewReader("panic: no\n")); err == nil {
		t.Error("ReadReports takes any text")
	}
}
