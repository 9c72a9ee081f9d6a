package simulated

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/lethe-cloud/lethe/internal/phone"
)

// A host with a disk of its own has what all volumes of all its servers leave of it, what is being erased included.
func TestSpaceOfASmallDisk(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	const disk = 100_000
	d, _, _ := newHost(t, Config{Disk: disk})
	var refs []phone.Space
	write := func(n int) {
		spec := newSpec(t, d)
		must(t, drop(d.Ensure(ctx, spec)))
		i, _, err := d.readInstance(spec.Ref)
		must(t, err)
		must(t, os.WriteFile(filepath.Join(d.volumePath(i.label), "file"), make([]byte, n), 0o600))
		space, err := d.Space(ctx, spec.Ref)
		must(t, err)
		refs = append(refs, space)
		if n == 20_000 {
			must(t, os.Rename(d.volumePath(i.label), d.trashPath(i.label)))
		}
	}
	write(10_000)
	write(20_000)
	write(80_000)
	want := []phone.Space{{Used: 10_000, Free: 90_000}, {Used: 20_000, Free: 70_000}, {Used: 80_000, Free: 0}}
	for i := range want {
		if refs[i] != want[i] {
			t.Errorf("after volume %d: %+v, want %+v", i+1, refs[i], want[i])
		}
	}
}
