package drivertest

import (
	"bytes"
	"cmp"
	"slices"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"

	"github.com/lethe-cloud/lethe/internal/driver"
	"github.com/lethe-cloud/lethe/internal/phone"
)

func testErase(t *testing.T, h *Harness) {
	sub(t, h, "all older ones, nothing else", testEraseOlder)
	sub(t, h, "with the instance that uses it", func(b *bundle) {
		first := b.spec()
		made := b.life(first)
		b.write(first.Ref, "/data/suite-secret", []byte("of a life that still runs"))
		erased := b.erase(first.Phone, 2)
		wantErased(b, erased, driver.Object{Name: made.Volume, Generation: 1})
		_, err := b.d.Inspect(b.ctx, first.Ref)
		wantError(b, "Inspect of an instance whose volume was erased", err, phone.NotFound, "")
		b.wantObjects()
	})
	sub(t, h, "instance that never started", func(b *bundle) {
		first := b.spec()
		b.ensure(first)
		second := next(first)
		made := b.ensure(second)
		b.erase(first.Phone, 2)
		b.wantObjects(objects(second, made)...)
	})
	sub(t, h, "nothing there", func(b *bundle) {
		for range 2 {
			if erased := b.erase(b.spec().Phone, 7); len(erased.Volumes) > 0 {
				b.Errorf("Erase of an unknown phone claims %+v", erased.Volumes)
			}
		}
	})
	sub(t, h, "beside the next boot", func(b *bundle) {
		first := b.spec()
		b.life(first)
		b.write(first.Ref, "/data/suite-secret", []byte("of the first life"))
		b.remove(first.Ref)
		second := next(first)
		made := b.ensure(second)
		done := make(chan error, 1)
		go func() {
			_, err := b.d.Erase(b.ctx, first.Phone, 2)
			done <- err
		}()
		b.boot(second.Ref)
		if err := <-done; err != nil {
			b.Errorf("Erase beside the boot: %v", err)
		}
		b.write(second.Ref, "/data/suite-file", []byte("of the second life"))
		b.wantObjects(objects(second, made)...)
	})
	sub(t, h, "volume that cannot be removed", testErasePinned)
}

func testEraseOlder(b *bundle) {
	bystander := b.spec()
	others := b.life(bystander)
	data := bytes.Repeat([]byte("data "), 1000)
	b.write(bystander.Ref, "/data/suite-kept", data)

	first := b.spec()
	one := b.life(first)
	b.write(first.Ref, "/data/suite-one", data)
	b.remove(first.Ref)
	second := next(first)
	two := b.life(second)
	b.write(second.Ref, "/data/suite-two", data)
	b.write(second.Ref, "/data/suite-more", data)
	b.remove(second.Ref)
	third := next(second)
	three := b.life(third)
	b.write(third.Ref, "/data/suite-kept", data)

	erased := b.erase(first.Phone, 3)
	wantErased(b, erased, driver.Object{Name: one.Volume, Generation: 1}, driver.Object{Name: two.Volume, Generation: 2})
	for i, v := range erased.Volumes {
		if files := int64(1 + i); v.Files < files || v.Bytes < files*int64(len(data)) {
			b.Errorf("generation %d: %d files and %d bytes erased, but at least %d files of %d bytes were there",
				v.Generation, v.Files, v.Bytes, files, len(data))
		}
	}
	present := append(objects(bystander, others), objects(third, three)...)
	b.wantObjects(present...)
	if again := b.erase(first.Phone, 3); len(again.Volumes) > 0 {
		b.Errorf("the second Erase claims %+v", again.Volumes)
	}
	b.wantObjects(present...)
	for _, ref := range []driver.Ref{bystander.Ref, third.Ref} {
		if !b.inspect(ref).Booted {
			b.Errorf("Erase stopped generation %d of phone %s", ref.Generation, ref.Phone)
		}
		if got, there := b.read(ref, "/data/suite-kept"); !there || !bytes.Equal(got, data) {
			b.Errorf("Erase touched generation %d of phone %s: its file has %d bytes, %v", ref.Generation, ref.Phone, len(got), there)
		}
	}
}

func testErasePinned(b *bundle) {
	first := b.spec()
	made := b.life(first)
	b.write(first.Ref, "/data/suite-secret", []byte("of the first life"))
	b.remove(first.Ref)
	second := next(first)
	present := objects(second, b.ensure(second))
	release := b.h.Pin(b.T, b.owner, made)
	for range 2 {
		erased, err := b.d.Erase(b.ctx, first.Phone, 2)
		wantError(b, "Erase of a volume that cannot be removed", err, "", phone.ReasonEraseFailed)
		if !erased.LookedFor.IsZero() {
			b.Errorf("the failed Erase says that none was left at %s", erased.LookedFor)
		}
		for _, v := range erased.Volumes {
			if v.Gone {
				b.Errorf("the failed Erase claims %+v", v)
			}
		}
		wantError(b, "Discard of a volume that cannot be removed", b.d.Discard(b.ctx, first.Ref), "", phone.ReasonEraseFailed)
	}
	b.wantObjects(append(present, volume(first, made))...)
	release()
	wantErased(b, b.erase(first.Phone, 2), driver.Object{Name: made.Volume, Generation: 1})
	b.wantObjects(present...)
}

// wantErased holds an erasure to exactly these volumes, in any order; it leaves them ordered by generation.
func wantErased(b *bundle, erased driver.Erasure, want ...driver.Object) {
	b.Helper()
	slices.SortFunc(erased.Volumes, func(x, y phone.ErasedVolume) int { return cmp.Compare(x.Generation, y.Generation) })
	var got []driver.Object
	for _, v := range erased.Volumes {
		got = append(got, driver.Object{Name: v.Name, Generation: v.Generation})
	}
	if diff := gocmp.Diff(want, got); diff != "" {
		b.Errorf("erased volumes (-want +got):\n%s", diff)
	}
}
