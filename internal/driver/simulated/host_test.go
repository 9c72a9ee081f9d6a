package simulated

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/lethe-cloud/lethe/internal/driver"
	"github.com/lethe-cloud/lethe/internal/phone"
)

// A process that ended in the middle of a boot changes nothing: the next one sees the same deadline.
func TestReopen(t *testing.T) {
	t.Parallel()
	d, dir, owner := newHost(t, Config{BootTime: Duration(10 * time.Second)})
	clock := newClock()
	d.now = clock.Now
	spec := newSpec(t, d)
	spec.Properties = phone.Properties{"ro.product.model": "X1", "persist.sys.locale": "de-DE"}
	started(t, d, spec)
	sh(t, d, spec.Ref, "user data", "tee /data/file")
	sh(t, d, spec.Ref, "", "setprop debug.x 1")
	sh(t, d, spec.Ref, "", "setprop persist.x 2")
	clock.Add(4 * time.Second)
	before := inspect(t, d, spec.Ref)

	again := open(t, dir, owner, Config{BootTime: Duration(time.Hour)}) // what is configured later changes no running boot
	again.now = clock.Now
	if diff := cmp.Diff(before, inspect(t, again, spec.Ref)); diff != "" {
		t.Errorf("reopened (-before +after):\n%s", diff)
	}
	clock.Add(6 * time.Second)
	if !inspect(t, again, spec.Ref).Booted {
		t.Errorf("not booted at its deadline: %+v", inspect(t, again, spec.Ref))
	}
	for command, want := range map[string]string{
		"cat /data/file": "user data", "getprop debug.x": "1\n", "getprop persist.x": "2\n", "getprop ro.product.model": "X1\n",
		"getprop persist.sys.locale": "\n", // takes effect after boot: it is for the engine to set
	} {
		if got := sh(t, again, spec.Ref, "", command); string(got.Stdout) != want {
			t.Errorf("%s gives %q, want %q", command, got.Stdout, want)
		}
	}
	must(t, again.Stop(t.Context(), spec.Ref))
	must(t, again.Start(t.Context(), spec.Ref))
	if got := sh(t, d, spec.Ref, "", "getprop persist.x"); string(got.Stdout) != "2\n" {
		t.Errorf("after a restart persist.x is %q", got.Stdout)
	}
}

// What a killed process leaves is neither believed nor in the way.
func TestLeftovers(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	leave := func(t *testing.T, path, text string) {
		t.Helper()
		must(t, os.MkdirAll(filepath.Dir(path), 0o700))
		must(t, os.WriteFile(path, []byte(text), 0o600))
	}
	t.Run("half written record", func(t *testing.T) {
		t.Parallel()
		d, _, _ := newHost(t, Config{})
		spec := newSpec(t, d)
		left := filepath.Join(d.phoneDir(spec.Phone), temporary+"123")
		leave(t, left, `{"installation":"`)
		wantError(t, drop(d.Inspect(ctx, spec.Ref)), phone.NotFound, "", "")
		started(t, d, spec)
		if _, err := os.Lstat(left); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("the leftover is still there: %v", err)
		}
	})
	t.Run("volume without its instance", func(t *testing.T) {
		t.Parallel()
		d, _, _ := newHost(t, Config{})
		spec := newSpec(t, d)
		must(t, drop(d.Ensure(ctx, spec)))
		must(t, os.Remove(d.instancePath(spec.Ref)))
		started(t, d, spec)
		if objects, err := d.List(ctx); err != nil || len(objects) != 2 {
			t.Errorf("List gives %+v, %v", objects, err)
		}
	})
	t.Run("instance whose volume was taken away", func(t *testing.T) {
		t.Parallel()
		d, _, _ := newHost(t, Config{})
		spec := started(t, d, newSpec(t, d))
		i, _, err := d.readInstance(spec.Ref)
		must(t, err)
		must(t, os.RemoveAll(d.volumePath(i.label)))
		wantError(t, drop(d.Exec(ctx, spec.Ref, driver.Command{Args: []string{"ls", "/data"}})), phone.Precondition, "", "reset the phone")
		must(t, d.Stop(ctx, spec.Ref))
		wantError(t, d.Start(ctx, spec.Ref), phone.Precondition, "", "reset the phone")
		must(t, drop(d.Ensure(ctx, spec)))
		must(t, d.Start(ctx, spec.Ref))
	})
	t.Run("first boot half done", func(t *testing.T) {
		t.Parallel()
		d, _, _ := newHost(t, Config{DataFiles: 20})
		spec := newSpec(t, d)
		must(t, drop(d.Ensure(ctx, spec)))
		i, _, err := d.readInstance(spec.Ref)
		must(t, err)
		leave(t, filepath.Join(d.volumePath(i.label), "system", "packages.xml"), "half")
		must(t, d.Start(ctx, spec.Ref))
		if got := sh(t, d, spec.Ref, "", "cat /data/system/packages.xml"); !strings.HasPrefix(string(got.Stdout), "android_id=") {
			t.Errorf("the file of the first boot is %q", got.Stdout)
		}
	})
	t.Run("erasure half done", func(t *testing.T) {
		t.Parallel()
		d, _, _ := newHost(t, Config{DataFiles: 20})
		spec := started(t, d, newSpec(t, d))
		i, _, err := d.readInstance(spec.Ref)
		must(t, err)
		must(t, d.discard(ctx, spec.Phone, func(g phone.Generation) bool { return g < 2 }))
		must(t, os.RemoveAll(filepath.Join(d.phoneDir(spec.Phone), "nothing")))
		want := []driver.Object{{Kind: driver.ObjectVolume, Name: volumeName(spec.Ref), Phone: spec.Phone, Generation: 1, Job: spec.Job}}
		if objects, err := d.List(ctx); err != nil || !cmp.Equal(want, objects) {
			t.Errorf("List gives %+v, %v for a volume that is half erased", objects, err)
		}
		// The same job's volume, made again meanwhile, must not get in the way of what is left.
		must(t, drop(d.Ensure(ctx, spec)))
		must(t, os.WriteFile(filepath.Join(d.volumePath(i.label), "file"), []byte("12345"), 0o600))
		erasure, err := d.Erase(ctx, spec.Phone, 2)
		must(t, err)
		var files, bytes int64
		for _, v := range erasure.Volumes {
			files, bytes = files+v.Files, bytes+v.Bytes
		}
		if len(erasure.Volumes) != 2 || files != 21 || bytes < 5+20*100 {
			t.Errorf("%d files and %d bytes of %+v", files, bytes, erasure.Volumes)
		}
		wantGone(t, d, spec.Phone)
	})
}

// wantGone holds the host to having nothing of a phone, not even its folder.
func wantGone(t *testing.T, d *Driver, id phone.ID) {
	t.Helper()
	if _, err := os.Lstat(d.phoneDir(id)); !errors.Is(err, os.ErrNotExist) {
		found, _ := d.scan(id)
		t.Errorf("the phone's folder is still there: %v, %+v", err, found)
	}
}

func TestErase(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	t.Run("every kind of file", func(t *testing.T) {
		t.Parallel()
		d, _, _ := newHost(t, Config{})
		spec := started(t, d, newSpec(t, d))
		outside := filepath.Join(t.TempDir(), "outside")
		must(t, os.MkdirAll(filepath.Join(outside, "folder"), 0o700))
		must(t, os.WriteFile(filepath.Join(outside, "folder", "file"), []byte("not on the phone"), 0o600))
		i, _, err := d.readInstance(spec.Ref)
		must(t, err)
		volume := d.volumePath(i.label)
		must(t, os.Symlink(outside, filepath.Join(volume, "way-out")))
		must(t, os.Symlink(filepath.Join(outside, "folder", "file"), filepath.Join(volume, "link")))
		must(t, os.WriteFile(filepath.Join(volume, "read-only"), []byte("1234567"), 0o400))
		must(t, os.MkdirAll(filepath.Join(volume, "a", "b", "c", "d"), 0o700))
		must(t, os.WriteFile(filepath.Join(volume, "a", "b", "c", "d", "deep"), []byte("123"), 0o600))
		erasure, err := d.Erase(ctx, spec.Phone, 2)
		must(t, err)
		want := []phone.ErasedVolume{{Name: volumeName(spec.Ref), Generation: 1, Files: 4, Bytes: 10, Gone: true}}
		if diff := cmp.Diff(want, erasure.Volumes); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
		wantGone(t, d, spec.Phone)
		if text, err := os.ReadFile(filepath.Join(outside, "folder", "file")); err != nil || string(text) != "not on the phone" {
			t.Errorf("the erasure followed a link: %q, %v", text, err)
		}
	})
	t.Run("file that cannot be removed", func(t *testing.T) {
		t.Parallel()
		d, _, _ := newHost(t, Config{})
		spec := started(t, d, newSpec(t, d))
		i, _, err := d.readInstance(spec.Ref)
		must(t, err)
		// So deep that no path leads there: the host itself refuses, also to root.
		volume, err := os.OpenRoot(d.volumePath(i.label))
		must(t, err)
		must(t, volume.MkdirAll(strings.Repeat(strings.Repeat("d", 200)+"/", 25), 0o700))
		must(t, volume.Close())
		for range 2 {
			erasure, err := d.Erase(ctx, spec.Phone, 2)
			wantError(t, err, phone.Internal, phone.ReasonEraseFailed, "could not be destroyed")
			if diff := cmp.Diff(driver.Erasure{}, erasure); diff != "" {
				t.Errorf("beside its error Erase claims:\n%s", diff)
			}
		}
		if objects, err := d.List(ctx); err != nil || len(objects) != 1 || objects[0].Kind != driver.ObjectVolume {
			t.Errorf("List gives %+v, %v for a volume that could not be erased", objects, err)
		}
		found, err := d.scan(spec.Phone)
		must(t, err)
		left, err := os.OpenRoot(found.trash[0].path)
		must(t, err)
		must(t, left.RemoveAll(strings.Repeat("d", 200)))
		must(t, left.Close())
		must(t, drop(d.Erase(ctx, spec.Phone, 2)))
		wantGone(t, d, spec.Phone)
	})
	t.Run("ends with its ctx and goes on", func(t *testing.T) {
		t.Parallel()
		d, _, _ := newHost(t, Config{DataFiles: 200})
		spec := started(t, d, newSpec(t, d))
		must(t, d.discard(ctx, spec.Phone, func(g phone.Generation) bool { return g < 2 }))
		found, err := d.scan(spec.Phone)
		must(t, err)
		ended, cancel := context.WithCancel(ctx)
		removed := 0
		err = empty(ended, found.trash[0].path, func(os.FileInfo) {
			if removed++; removed == 50 {
				cancel()
			}
		})
		if !errors.Is(err, context.Canceled) || removed != 50 {
			t.Fatalf("%d files removed, then %v", removed, err)
		}
		erasure, err := d.Erase(ctx, spec.Phone, 2)
		must(t, err)
		if len(erasure.Volumes) != 1 || erasure.Volumes[0].Files != 150 {
			t.Errorf("the rest is %+v", erasure.Volumes)
		}
		wantGone(t, d, spec.Phone)
	})
	t.Run("many at once", func(t *testing.T) {
		t.Parallel()
		d, dir, owner := newHost(t, Config{DataFiles: 100})
		spec := started(t, d, newSpec(t, d))
		var all sync.WaitGroup
		var mu sync.Mutex
		var files int64
		for range 6 {
			handle := open(t, dir, owner, d.config)
			all.Go(func() {
				erasure, err := handle.Erase(ctx, spec.Phone, 2)
				if err != nil {
					t.Errorf("beside others: %v", err)
				}
				mu.Lock()
				defer mu.Unlock()
				for _, v := range erasure.Volumes {
					files += v.Files
				}
			})
		}
		all.Wait()
		if files != 100 {
			t.Errorf("together they say that they removed %d files of 100", files)
		}
		wantGone(t, d, spec.Phone)
	})
}

// A host that vanishes in the middle of a call proves nothing: "none left" is not what was seen.
func TestHostVanishesDuringTheCall(t *testing.T) {
	t.Parallel()
	d, dir, _ := newHost(t, Config{})
	spec := started(t, d, newSpec(t, d))
	for name, call := range map[string]func() error{
		"Erase":   func() error { return drop(d.Erase(t.Context(), spec.Phone, 2)) },
		"Inspect": func() error { return drop(d.Inspect(t.Context(), spec.Ref)) },
		"Remove":  func() error { return d.Remove(t.Context(), spec.Ref) },
		"List":    func() error { return drop(d.List(t.Context())) },
		"Ensure":  func() error { return drop(d.Ensure(t.Context(), nextLife(spec))) },
	} {
		d.now = func() time.Time { // asked after the host was looked for, and before the work
			if err := os.Rename(dir, dir+"-away"); err != nil && !errors.Is(err, os.ErrNotExist) {
				t.Error(err)
			}
			return time.Now()
		}
		must(t, os.WriteFile(filepath.Join(dir, faultsFile), []byte(`[]`), 0o600)) // so that the time is asked
		wantError(t, call(), phone.Unavailable, "", "bring the folder back")
		if _, err := os.Lstat(dir); err == nil {
			t.Errorf("%s made the host's folder again, or it never went", name)
		}
		must(t, os.Rename(dir+"-away", dir))
		d.now = time.Now
		if !inspect(t, d, spec.Ref).Running {
			t.Errorf("%s changed the instance", name)
		}
	}
}

func TestCreate(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	d, dir, owner := newHost(t, Config{})
	spec := started(t, d, newSpec(t, d))
	must(t, d.Create(ctx))
	inspect(t, d, spec.Ref)

	lost := dir + "-lost"
	must(t, os.Rename(dir, lost))
	wantError(t, drop(d.Ensure(ctx, nextLife(spec))), phone.Unavailable, "", "bring the folder back")
	if _, err := os.Lstat(dir); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a lost host came back: %v", err)
	}
	must(t, os.Mkdir(dir, 0o700)) // an empty folder in its place is not the host
	wantError(t, drop(d.Ensure(ctx, nextLife(spec))), phone.Unavailable, "", "bring the folder back")
	must(t, os.Mkdir(filepath.Join(dir, imagesDir), 0o700))
	must(t, d.Create(ctx)) // as after a Create that was killed
	must(t, drop(d.Info(ctx)))

	taken := t.TempDir()
	must(t, os.WriteFile(filepath.Join(taken, "thesis.txt"), []byte("years of work"), 0o600))
	wantError(t, open(t, taken, owner, Config{}).Create(ctx), phone.Conflict, "", "not a simulated host")
	file := filepath.Join(taken, "thesis.txt", "host")
	if err := open(t, file, owner, Config{}).Create(ctx); err == nil {
		t.Error("a host below a file")
	}
	ended, cancel := context.WithCancel(ctx)
	cancel()
	fresh := filepath.Join(t.TempDir(), "fresh")
	wantError(t, open(t, fresh, owner, Config{}).Create(ended), phone.Unavailable, "", "")
	if _, err := os.Lstat(fresh); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("Create after the end of its ctx: %v", err)
	}
}

func TestCapacity(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	t.Run("is kept and given back", func(t *testing.T) {
		t.Parallel()
		d, dir, owner := newHost(t, Config{Capacity: 2})
		first, second, third := newSpec(t, d), newSpec(t, d), newSpec(t, d)
		must(t, drop(d.Ensure(ctx, first)))
		must(t, drop(d.Ensure(ctx, second)))
		must(t, drop(d.Ensure(ctx, second))) // is one instance
		wantError(t, drop(d.Ensure(ctx, third)), phone.Exhausted, "", "2 instances")
		wantError(t, drop(d.Inspect(ctx, third.Ref)), phone.NotFound, "", "")
		must(t, d.Remove(ctx, first.Ref))
		must(t, d.Remove(ctx, first.Ref))
		must(t, drop(d.Ensure(ctx, third)))
		wantError(t, drop(d.Ensure(ctx, first)), phone.Exhausted, "", "")
		must(t, drop(d.Erase(ctx, second.Phone, 2))) // with its instance
		must(t, drop(d.Ensure(ctx, first)))
		// Another server on the same host has its own.
		other := open(t, dir, newOwner(), Config{Capacity: 1})
		must(t, drop(other.Ensure(ctx, newSpec(t, other))))
		wantError(t, drop(other.Ensure(ctx, newSpec(t, other))), phone.Exhausted, "", "1 instances")
		wantError(t, drop(open(t, dir, owner, d.config).Ensure(ctx, newSpec(t, d))), phone.Exhausted, "", "")
	})
	t.Run("wrong counts are found out", func(t *testing.T) {
		t.Parallel()
		d, dir, owner := newHost(t, Config{Capacity: 2})
		must(t, drop(d.Ensure(ctx, newSpec(t, d))))
		for _, text := range []string{"0000000002", "0000000099", "", "2", "many"} {
			must(t, os.WriteFile(d.countPath(), []byte(text), 0o600))
			spec := newSpec(t, d)
			must(t, drop(d.Ensure(ctx, spec)))
			wantError(t, drop(d.Ensure(ctx, newSpec(t, d))), phone.Exhausted, "", "")
			must(t, d.Remove(ctx, spec.Ref))
		}
		// A time without a limit, in which nobody counts.
		free := open(t, dir, owner, Config{})
		must(t, drop(free.Ensure(ctx, newSpec(t, free))))
		must(t, drop(free.Ensure(ctx, newSpec(t, free))))
		wantError(t, drop(d.Ensure(ctx, newSpec(t, d))), phone.Exhausted, "", "has 3")
	})
	t.Run("beside others", func(t *testing.T) {
		t.Parallel()
		const capacity, callers = 5, 20
		d, dir, owner := newHost(t, Config{Capacity: capacity})
		made := make([]bool, callers)
		var all sync.WaitGroup
		for i := range callers {
			handle, spec := open(t, dir, owner, d.config), newSpec(t, d)
			all.Go(func() {
				_, err := handle.Ensure(ctx, spec)
				if made[i] = err == nil; err != nil && phone.CodeOf(err) != phone.Exhausted {
					t.Errorf("beside others: %v", err)
				}
			})
		}
		all.Wait()
		if n := len(slices.DeleteFunc(made, func(ok bool) bool { return !ok })); n != capacity {
			t.Errorf("%d of %d have an instance, want %d", n, callers, capacity)
		}
	})
}

// Ids and images become paths only when they can be none else.
func TestNamesAreChecked(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	d, _, _ := newHost(t, Config{})
	good := newSpec(t, d)
	for name, change := range map[string]func(*driver.Spec){
		"phone above":   func(s *driver.Spec) { s.Phone = "../../../../../../../../tmp/x123" },
		"short phone":   func(s *driver.Spec) { s.Phone = "a" },
		"no phone":      func(s *driver.Spec) { s.Phone = "" },
		"no generation": func(s *driver.Spec) { s.Generation = 0 },
		"job":           func(s *driver.Spec) { s.Job = "../job" },
	} {
		spec := good
		change(&spec)
		wantError(t, drop(d.Ensure(ctx, spec)), phone.Invalid, "", "")
		if name == "job" {
			continue
		}
		wantError(t, d.Start(ctx, spec.Ref), phone.Invalid, "", "")
		wantError(t, drop(d.Inspect(ctx, spec.Ref)), phone.Invalid, "", "")
		wantError(t, drop(d.Exec(ctx, spec.Ref, driver.Command{Args: []string{"ls"}})), phone.Invalid, "", "")
		if spec.Phone != good.Phone {
			wantError(t, drop(d.Erase(ctx, spec.Phone, 5)), phone.Invalid, "", "")
		}
	}
	for _, id := range []string{"", "sha256:", "../host", "sha256:../host", strings.TrimPrefix(good.Identity.ID, "sha256:")} {
		spec := good
		spec.Identity.ID = id
		wantError(t, drop(d.Ensure(ctx, spec)), phone.NotFound, phone.ReasonImageNotFound, "")
	}
	wantError(t, drop(d.Prepare(ctx, phone.Image{})), phone.NotFound, phone.ReasonImageNotFound, "")
}

// One image is the same on every host, and two are not the same.
func TestIdentities(t *testing.T) {
	t.Parallel()
	one, _, _ := newHost(t, Config{})
	two, _, _ := newHost(t, Config{})
	seen := map[phone.ImageIdentity]string{}
	for _, reference := range []string{"a:1", "a:2", "b:1"} {
		first, err := one.Prepare(t.Context(), phone.Image{Reference: reference})
		must(t, err)
		second, err := two.Prepare(t.Context(), phone.Image{Reference: reference, Name: "another name"})
		must(t, err)
		if first != second {
			t.Errorf("%s is %+v and %+v", reference, first, second)
		}
		if other, ok := seen[first]; ok {
			t.Errorf("%s and %s are one", reference, other)
		}
		seen[first] = reference
	}
	// Preparing is each host's own.
	third, _, _ := newHost(t, Config{})
	spec := newSpec(t, one)
	wantError(t, drop(third.Ensure(t.Context(), spec)), phone.NotFound, phone.ReasonImageNotFound, "prepare it")
}
