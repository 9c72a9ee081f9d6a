package drivertest

import (
	"archive/tar"
	"bytes"
	"slices"
	"strings"
	"sync"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"

	"github.com/lethe-cloud/lethe/internal/driver"
	"github.com/lethe-cloud/lethe/internal/phone"
)

// changed describes the life of spec with another image and another property that takes effect at creation, as a job asks for it.
func (b *bundle) changed(spec driver.Spec) driver.Spec {
	b.Helper()
	identity, err := b.d.Prepare(b.ctx, b.h.Other)
	if err != nil {
		b.Fatalf("Prepare %s: %v", b.h.Other.Reference, err)
	}
	if identity.ID == b.identity.ID {
		b.Fatalf("the harness's two images are one: %s", identity.ID)
	}
	spec.Job = phone.NewID[phone.JobID]()
	spec.Image, spec.Identity = b.h.Other, identity
	spec.Properties = phone.Properties{"ro.product.model": "Remade", "persist.sys.locale": "de-DE"}
	return spec
}

func (b *bundle) remake(spec driver.Spec) driver.Instance {
	b.Helper()
	instance, err := b.d.Remake(b.ctx, spec)
	if err != nil {
		b.Fatalf("Remake generation %d: %v", spec.Generation, err)
	}
	return instance
}

func (b *bundle) stop(ref driver.Ref) {
	b.Helper()
	if err := b.d.Stop(b.ctx, ref); err != nil {
		b.Fatalf("Stop generation %d: %v", ref.Generation, err)
	}
}

// kept is a life that has run, with data on its volume, and is stopped.
func (b *bundle) kept() (spec driver.Spec, made driver.Instance, data []byte) {
	b.Helper()
	spec = b.spec()
	spec.Properties = phone.Properties{"ro.product.model": "Made"}
	made = b.life(spec)
	data = bytes.Repeat([]byte("of this life "), 500)
	b.write(spec.Ref, "/data/suite-kept", data)
	b.stop(spec.Ref)
	return spec, made, data
}

// wantKept holds a life that was made anew to what it was made of, and to the data of before.
func (b *bundle) wantKept(other driver.Spec, before driver.Instance, data []byte) {
	b.Helper()
	now := b.boot(other.Ref)
	if now.Identity != other.Identity || now.Made != b.h.Rules.Made(other.Image.ID, other.Properties) || now.Made == before.Made {
		b.Errorf("it is made of %+v, %s; want %+v", now.Identity, now.Made, other.Identity)
	}
	if now.Name != before.Name || now.Volume != before.Volume || now.Address != before.Address {
		b.Errorf("%s on %s at %s is now %s on %s at %s", before.Name, before.Volume, before.Address, now.Name, now.Volume, now.Address)
	}
	if got := b.property(other.Ref, "ro.product.model"); got != "Remade" {
		b.Errorf("ro.product.model is %q", got)
	}
	if got, there := b.read(other.Ref, "/data/suite-kept"); !there || !bytes.Equal(got, data) {
		b.Errorf("the file has %d bytes, there %v; it had %d", len(got), there, len(data))
	}
}

func testRemake(t *testing.T, h *Harness) {
	sub(t, h, "keeps the data", func(b *bundle) {
		spec, made, data := b.kept()
		other := b.changed(spec)
		first := b.remake(other)
		if first.Running || first.Booted || first.Exited {
			b.Errorf("Remake started it: %+v", first)
		}
		for name, d := range map[string]driver.Driver{"the same handle": b.d, "another handle": h.Open(b.T, b.owner)} {
			again, err := d.Remake(b.ctx, other)
			if diff := gocmp.Diff(first, again); err != nil || diff != "" {
				b.Errorf("Remake again on %s: %v\n%s", name, err, diff)
			}
		}
		b.wantObjects(objects(spec, made)...) // the volume is still the first job's
		b.wantKept(other, made, data)
		if d, can := b.d.(driver.Unpacker); can {
			if err := d.Unpack(b.ctx, spec.Ref, bytes.NewReader(archiveOf(b.T, file{tar.TypeReg, "data/suite-new", []byte("new"), ""}))); err != nil {
				b.Errorf("files for an instance that was made anew: %v", err)
			}
		}
		if again := b.remake(other); !again.Booted {
			b.Errorf("Remake of what is made so already, and runs, gives %+v", again)
		}
		// And back, by a job of its own: nothing of the way there is in the way.
		b.stop(spec.Ref)
		spec.Job = phone.NewID[phone.JobID]()
		b.remake(spec)
		if back := b.boot(spec.Ref); back.Made != made.Made || b.property(spec.Ref, "ro.product.model") != "Made" {
			b.Errorf("made again as it was: %+v", back)
		}
		b.remove(spec.Ref)
		later := next(spec)
		two := b.life(later)
		b.erase(spec.Phone, later.Generation)
		b.wantObjects(objects(later, two)...)
	})
	sub(t, h, "without an instance", func(b *bundle) { // as a call leaves it that ended between the two
		spec, made, data := b.kept()
		b.remove(spec.Ref)
		other := b.changed(spec)
		b.remake(other)
		b.wantKept(other, made, data)
	})
	sub(t, h, "one that runs", func(b *bundle) {
		spec := b.spec()
		made := b.life(spec)
		b.output(spec.Ref, "setprop", marker, "first-run")
		_, err := b.d.Remake(b.ctx, b.changed(spec))
		wantError(b, "Remake of another instance that runs", err, phone.Precondition, "")
		if got := b.property(spec.Ref, marker); got != "first-run" {
			b.Errorf("Remake touched a running instance: the marker is %q", got)
		}
		b.wantObjects(objects(spec, made)...)
	})
	sub(t, h, "without a volume", func(b *bundle) {
		spec := b.spec()
		_, err := b.d.Remake(b.ctx, spec)
		wantError(b, "Remake of nothing", err, phone.NotFound, phone.ReasonVolumeGone)
		b.wantObjects()
		b.ensure(spec)
		b.discard(spec.Ref)
		_, err = b.d.Remake(b.ctx, spec)
		wantError(b, "Remake of a life that was destroyed", err, phone.NotFound, phone.ReasonVolumeGone)
		b.wantObjects()
	})
	sub(t, h, "image not there", func(b *bundle) {
		spec := b.spec()
		made := b.ensure(spec)
		other := b.changed(spec)
		other.Identity = phone.ImageIdentity{ID: "sha256:" + strings.Repeat("0", 64)}
		_, err := b.d.Remake(b.ctx, other)
		wantError(b, "Remake of an image that was never prepared", err, phone.NotFound, phone.ReasonImageNotFound)
		b.wantObjects(objects(spec, made)...)
		if got := b.boot(spec.Ref); got.Made != made.Made {
			b.Errorf("the instance is now %+v", got)
		}
	})
	sub(t, h, "refused property", func(b *bundle) {
		spec := b.spec()
		made := b.ensure(spec)
		other := b.changed(spec)
		other.Properties["ro.product.model"] = "two words"
		_, err := b.d.Remake(b.ctx, other)
		wantError(b, "Remake with a value that would be cut", err, phone.Invalid, phone.ReasonPropertyValue)
		b.wantObjects(objects(spec, made)...)
	})
	sub(t, h, "below a higher generation", func(b *bundle) {
		spec := b.spec()
		made := b.ensure(spec)
		later := next(spec)
		want := append(objects(spec, made), objects(later, b.ensure(later))...)
		_, err := b.d.Remake(b.ctx, b.changed(spec))
		wantError(b, "Remake", err, "", phone.ReasonHigherGeneration)
		b.wantObjects(want...)
	})
	for _, kind := range []driver.ObjectKind{driver.ObjectInstance, driver.ObjectVolume} {
		sub(t, h, "foreign "+string(kind), func(b *bundle) {
			spec := b.spec()
			intact := h.Plant(b.T, kind, spec)
			_, err := b.d.Remake(b.ctx, spec)
			want := phone.ReasonForeignObject
			if kind == driver.ObjectInstance { // and no volume of ours: it is the volume that it takes
				want = ""
			}
			wantError(b, "Remake", err, "", want)
			intact(b.T)
		})
	}
	sub(t, h, "beside others", func(b *bundle) {
		spec, made, data := b.kept()
		other := b.changed(spec)
		var all sync.WaitGroup
		for range 2 {
			d := h.Open(b.T, b.owner)
			for range 3 {
				all.Go(func() {
					if _, err := d.Remake(b.ctx, other); err != nil {
						b.Errorf("Remake beside others: %v", err)
					}
				})
			}
		}
		all.Wait()
		b.wantObjects(objects(spec, made)...)
		b.wantKept(other, made, data)
	})
}

// testADBKeys holds a driver to whom it lets in, as far as the file says that Android's adbd reads.
func testADBKeys(t *testing.T, h *Harness) {
	b := newBundle(t, h)
	info, err := b.d.Info(b.ctx)
	if err != nil {
		t.Fatal(err)
	}
	setter, can := b.d.(driver.KeySetter)
	if announced := slices.Contains(info.Capabilities, driver.CapabilityADBKeys); announced != can {
		t.Fatalf("the driver can set adb keys: %t, and announces it: %t", can, announced)
	}
	if !can {
		return
	}
	key := func(letter string) string { return "QAAAA" + strings.Repeat(letter, 700) + " operator@" + letter }
	wantError(t, "SetADBKeys of an instance that is not there", setter.SetADBKeys(b.ctx, b.spec().Ref, []string{key("A")}), phone.NotFound, "")
	spec := b.spec()
	spec.ADBKeys = []string{"no key"}
	_, err = b.d.Ensure(b.ctx, spec)
	wantError(t, "Ensure with what is no key", err, phone.Invalid, "")
	b.wantObjects()
	spec.ADBKeys = []string{key("A")}
	b.ensure(spec)
	wantKeys := func(doing string, keys ...string) {
		t.Helper()
		content, _ := b.read(spec.Ref, "/adb_keys")
		if want := strings.Join(append(keys, ""), "\n"); string(content) != want {
			t.Errorf("%s: the phone has the keys %q, want %q", doing, content, want)
		}
	}
	b.boot(spec.Ref)
	wantKeys("made with one", key("A"))
	for _, keys := range [][]string{{key("B"), key("C")}, {key("B"), key("C")}, {}, {key("D")}} {
		if err := setter.SetADBKeys(b.ctx, spec.Ref, keys); err != nil {
			t.Fatalf("SetADBKeys: %v", err)
		}
		wantKeys("set while it runs", keys...)
	}
	wantError(t, "SetADBKeys of two in one", setter.SetADBKeys(b.ctx, spec.Ref, []string{key("E") + "\n" + key("F")}), phone.Invalid, "")
	wantKeys("after a refusal", key("D"))
	b.stop(spec.Ref)
	if err := setter.SetADBKeys(b.ctx, spec.Ref, []string{key("G")}); err != nil {
		t.Fatalf("SetADBKeys of a stopped instance: %v", err)
	}
	b.boot(spec.Ref)
	wantKeys("set while it was stopped", key("G"))
	b.stop(spec.Ref)
	other := b.changed(spec)
	other.ADBKeys = []string{key("H")}
	b.remake(other)
	b.boot(spec.Ref)
	wantKeys("made anew", key("H"))
}
