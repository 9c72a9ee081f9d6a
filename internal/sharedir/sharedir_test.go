package sharedir_test

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/lethe-cloud/lethe/internal/emptydir"
	"github.com/lethe-cloud/lethe/internal/sharedir"
)

// folder has data/a, data/sub/b, and links that lead out of it.
func folder(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	outside := t.TempDir()
	for _, err := range []error{
		os.MkdirAll(filepath.Join(dir, "data", "sub"), 0o755), os.WriteFile(filepath.Join(dir, "data", "a"), []byte("12345"), 0o644),
		os.WriteFile(filepath.Join(dir, "data", "sub", "b"), nil, 0o644), os.Mkdir(filepath.Join(dir, "data", "sub", "deep"), 0o755), os.WriteFile(filepath.Join(outside, "kept"), nil, 0o644),
		os.Symlink(outside, filepath.Join(dir, "data", "out")), os.Symlink("sub", filepath.Join(dir, "data", "in")), os.Symlink("circle", filepath.Join(dir, "data", "circle")),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	t.Cleanup(func() {
		if _, err := os.Stat(filepath.Join(outside, "kept")); err != nil {
			t.Errorf("what a link leads to: %v", err)
		}
	})
	return dir
}

func do(t *testing.T, order sharedir.Order) (int, sharedir.Listing, error) {
	t.Helper()
	args := []string{order.Argument()}
	if !sharedir.Is(args) {
		t.Fatalf("%q is no argument of it", args)
	}
	var stdout, stderr bytes.Buffer
	code := sharedir.Main(args, &stdout, &stderr)
	removed, listing, err := sharedir.ReadAnswer(&stdout)
	if failed := err != nil && !errors.Is(err, sharedir.ErrNoFolder); failed != (code != 0) {
		t.Errorf("exit code %d: %v, %s", code, err, stderr.String())
	}
	return removed, listing, err
}

func TestOrders(t *testing.T) {
	t.Parallel()
	dir := folder(t)
	list := func(name string) (sharedir.Listing, error) {
		_, listing, err := do(t, sharedir.Order{Dir: dir, List: &sharedir.Page{Folder: name, Limit: 3}})
		return listing, err
	}
	listing, err := list("/data")
	if err != nil || listing.Total != 5 || len(listing.Files) != 3 || listing.Files[0].Name != "a" || listing.Files[0].Size != 5 || listing.Files[1].Type != "link" {
		t.Errorf("%+v, %v", listing, err)
	}
	for _, name := range []string{"/data/in", "/data/in/deep", "/data/out", "/data/a", "/none", "/data/circle", "/../../.."} {
		if listing, err = list(name); name != "/../../.." && !errors.Is(err, sharedir.ErrNoFolder) || name == "/../../.." && (err != nil || listing.Total != 1) {
			t.Errorf("%s: %+v, %v", name, listing, err)
		}
	}
	removed, _, err := do(t, sharedir.Order{Dir: dir, Remove: []string{"/data/in/b", "/data/in/deep", "/data/in/none/../b", "/data/circle/x"}})
	if listing, listErr := list("/data/sub"); removed != 0 || err != nil || listErr != nil || listing.Total != 2 {
		t.Errorf("through links within %d were removed, %v; left: %+v, %v", removed, err, listing, listErr)
	}
	removed, _, err = do(t, sharedir.Order{Dir: dir, Remove: []string{"/data/out/kept", "/data/none", "/data/a/deeper", "/data/in", "/data/sub"}})
	if removed != 2 || err != nil {
		t.Errorf("%d were removed, %v", removed, err)
	}
	if _, _, err := do(t, sharedir.Order{Dir: dir, Remove: []string{"/data/.."}}); err == nil {
		t.Error("the whole folder was removed")
	}
	if listing, err = list("/data"); err != nil || listing.Total != 3 {
		t.Errorf("afterwards: %+v, %v", listing, err)
	}
	if _, _, err := do(t, sharedir.Order{Dir: filepath.Join(dir, "absent"), List: &sharedir.Page{Folder: "/data"}}); err == nil {
		t.Error("a folder that is not there was listed")
	}
}

// A helper of before this was known destroys what it is given: it must not take the order for a folder that is there.
func TestOlderHelper(t *testing.T) {
	dir := folder(t)
	t.Chdir(dir)
	var stdout, stderr bytes.Buffer
	code := emptydir.Main([]string{sharedir.Order{Dir: dir, Remove: []string{"/data"}}.Argument()}, &stdout, &stderr)
	if _, err := os.Stat(filepath.Join(dir, "data", "sub", "b")); err != nil || code == 0 {
		t.Errorf("exit code %d, and the file: %v", code, err)
	}
	if _, _, err := sharedir.ReadAnswer(&stdout); err == nil {
		t.Error("its answer was taken for one")
	}
}
