package drivertest

import (
	"bytes"
	"slices"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"

	"github.com/lethe-cloud/lethe/internal/driver"
	"github.com/lethe-cloud/lethe/internal/phone"
)

func testDiscard(t *testing.T, h *Harness) {
	sub(t, h, "back to the older life", testBack)
	sub(t, h, "one life, nothing else", func(b *bundle) {
		first := b.spec()
		one := b.ensure(first)
		second := next(first)
		b.ensure(second)
		third := next(second)
		three := b.life(third)
		b.write(third.Ref, "/data/suite-kept", []byte("kept"))
		for range 2 {
			b.discard(second.Ref)
			b.wantObjects(append(objects(first, one), objects(third, three)...)...)
		}
		if !b.inspect(third.Ref).Booted {
			b.Error("Discard stopped another life")
		}
		if _, there := b.read(third.Ref, "/data/suite-kept"); !there {
			b.Error("Discard touched another life's volume")
		}
	})
	sub(t, h, "a life that runs", func(b *bundle) {
		spec := b.spec()
		b.life(spec)
		b.discard(spec.Ref)
		b.wantObjects()
	})
	sub(t, h, "half a life", func(b *bundle) {
		spec := b.spec()
		b.ensure(spec)
		b.remove(spec.Ref)
		b.discard(spec.Ref)
		b.wantObjects()
	})
	sub(t, h, "nothing there", func(b *bundle) {
		first := b.spec()
		b.discard(first.Ref)
		second := next(first)
		made := b.ensure(second)
		b.discard(first.Ref)
		b.wantObjects(objects(second, made)...)
	})
	for _, kind := range []driver.ObjectKind{driver.ObjectInstance, driver.ObjectVolume} {
		sub(t, h, "foreign "+string(kind), func(b *bundle) {
			spec := b.spec()
			intact := h.Plant(b.T, kind, spec)
			b.discard(spec.Ref)
			intact(b.T)
		})
	}
}

func (b *bundle) discard(ref driver.Ref) {
	b.Helper()
	if err := b.d.Discard(b.ctx, ref); err != nil {
		b.Fatalf("Discard generation %d: %v", ref.Generation, err)
	}
}

// testBack does what a job does that rolls back: the later life has the phone's adb port while the older one is stopped, is discarded,
// and the older one has port, data and properties again.
func testBack(b *bundle) {
	first := b.spec()
	first.Properties = phone.Properties{"ro.product.brand": "Lethe"}
	one := b.life(first)
	data := bytes.Repeat([]byte("of the first life "), 100)
	b.write(first.Ref, "/data/suite-kept", data)
	if err := b.d.Stop(b.ctx, first.Ref); err != nil {
		b.Fatalf("Stop: %v", err)
	}
	second := next(first)
	two := b.life(second)
	if two.Address != one.Address {
		b.Errorf("the later life answers at %s, and the older one did at %s", two.Address, one.Address)
	}
	b.write(second.Ref, "/data/suite-secret", []byte("of the second life"))
	b.wantObjects(append(objects(first, one), objects(second, two)...)...)
	b.remove(second.Ref)
	again := b.boot(first.Ref)
	one.Running, one.Booted, one.CheckAfter = true, true, again.CheckAfter
	if diff := gocmp.Diff(one, again); diff != "" {
		b.Errorf("the older life came back otherwise (-want +got):\n%s", diff)
	}
	b.discard(second.Ref)
	b.wantObjects(objects(first, one)...)
	if got, there := b.read(first.Ref, "/data/suite-kept"); !there || !bytes.Equal(got, data) {
		b.Errorf("the older life's file has %d bytes, %v", len(got), there)
	}
	if got := b.property(first.Ref, "ro.product.brand"); got != "Lethe" {
		b.Errorf("the older life's ro.product.brand is %q", got)
	}
	third := next(second)
	b.ensure(third) // the number of the discarded life is not in the way
	b.discard(third.Ref)
}

// testSpace holds those drivers to the optional interface that have it.
func testSpace(t *testing.T, h *Harness) {
	b := newBundle(t, h)
	info, err := b.d.Info(b.ctx)
	if err != nil {
		t.Fatal(err)
	}
	measurer, can := b.d.(driver.Measurer)
	if announced := slices.Contains(info.Capabilities, driver.CapabilitySpace); announced != can {
		t.Fatalf("the driver can measure: %t, and announces it: %t", can, announced)
	}
	if !can {
		return
	}
	_, err = measurer.Space(b.ctx, b.spec().Ref)
	wantError(t, "Space of a life that is not there", err, phone.NotFound, "")
	spec := b.spec()
	made := b.life(spec)
	before, err := measurer.Space(b.ctx, spec.Ref)
	if err != nil {
		t.Fatal(err)
	}
	const size = 512 << 10
	b.write(spec.Ref, "/data/suite-large", bytes.Repeat([]byte("0123456789abcdef"), size/16))
	for _, next := range []struct {
		name string
		run  func() error
	}{
		{"running", func() error { return nil }},
		{"stopped", func() error { return b.d.Stop(b.ctx, spec.Ref) }},
		{"removed", func() error { return b.d.Remove(b.ctx, spec.Ref) }},
	} {
		if err := next.run(); err != nil {
			t.Fatal(err)
		}
		space, err := measurer.Space(b.ctx, spec.Ref)
		if err != nil || space.Used < before.Used+size*9/10 || space.Free <= 0 {
			t.Errorf("%s: Space gives %+v, %v after %d bytes were written; before that it was %+v", next.name, space, err, size, before)
		}
	}
	b.wantObjects(volume(spec, made))
}
