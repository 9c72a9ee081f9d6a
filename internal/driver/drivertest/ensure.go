package drivertest

import (
	"bytes"
	"net"
	"strconv"
	"strings"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"

	"github.com/lethe-cloud/lethe/internal/driver"
	"github.com/lethe-cloud/lethe/internal/phone"
)

func testEnsure(t *testing.T, h *Harness) {
	sub(t, h, "one instance", func(b *bundle) {
		spec := b.spec()
		first := b.ensure(spec)
		if first.Ref != spec.Ref || first.Name == "" || first.Volume == "" || first.Identity != spec.Identity {
			b.Errorf("Ensure gives %+v for %+v", first, spec.Ref)
		}
		if first.Running || first.Booted || first.Exited {
			b.Errorf("Ensure started it: %+v", first)
		}
		if _, port, err := net.SplitHostPort(first.Address); err != nil || port != strconv.Itoa(spec.ADBPort) {
			b.Errorf("the address is %q and should have port %d", first.Address, spec.ADBPort)
		}
		b.wantObjects(objects(spec, first)...)

		again := b.ensure(spec)
		if diff := gocmp.Diff(first, again); diff != "" {
			b.Errorf("the second Ensure gives something else:\n%s", diff)
		}
		other, err := h.Open(b.T, b.owner).Ensure(b.ctx, spec)
		if diff := gocmp.Diff(first, other); err != nil || diff != "" {
			b.Errorf("another handle's Ensure: %v\n%s", err, diff)
		}
		if diff := gocmp.Diff(first, b.inspect(spec.Ref)); diff != "" {
			b.Errorf("Inspect gives something else:\n%s", diff)
		}
		b.wantObjects(objects(spec, first)...)
	})
	sub(t, h, "running instance is left alone", func(b *bundle) {
		spec := b.spec()
		b.life(spec)
		again := b.ensure(spec)
		if !again.Running || !again.Booted {
			b.Errorf("Ensure of a running instance gives %+v", again)
		}
		if got := b.inspect(spec.Ref); !got.Booted {
			b.Errorf("Ensure restarted a running instance: %+v", got)
		}
	})
	sub(t, h, "image not there", func(b *bundle) {
		spec := b.spec()
		spec.Identity = phone.ImageIdentity{ID: "sha256:" + strings.Repeat("0", 64)}
		_, err := b.d.Ensure(b.ctx, spec)
		wantError(b, "Ensure of an image that was never prepared", err, phone.NotFound, phone.ReasonImageNotFound)
		spec.Identity = b.identity
		b.wantObjects(objects(spec, b.ensure(spec))...)
	})
	sub(t, h, "refused property", func(b *bundle) {
		spec := b.spec()
		spec.Properties = phone.Properties{"ro.product.model": "two words"}
		_, err := b.d.Ensure(b.ctx, spec)
		wantError(b, "Ensure with a value that would be cut", err, phone.Invalid, phone.ReasonPropertyValue)
		b.wantObjects()
	})
	sub(t, h, "higher generation", func(b *bundle) {
		older := b.spec()
		newer := next(older)
		made := b.ensure(newer)
		_, err := b.d.Ensure(b.ctx, older)
		wantError(b, "Ensure below a higher instance", err, "", phone.ReasonHigherGeneration)
		b.remove(newer.Ref)
		_, err = b.d.Ensure(b.ctx, older)
		wantError(b, "Ensure below a higher volume", err, "", phone.ReasonHigherGeneration)
		b.wantObjects(volume(newer, made))
	})
	sub(t, h, "existing one below a higher generation", func(b *bundle) {
		older := b.spec()
		newer := next(older)
		want := append(objects(older, b.ensure(older)), objects(newer, b.ensure(newer))...)
		_, err := b.d.Ensure(b.ctx, older)
		wantError(b, "Ensure", err, "", phone.ReasonHigherGeneration)
		b.wantObjects(want...)
	})
}

func testVolume(t *testing.T, h *Harness) {
	sub(t, h, "of another job", func(b *bundle) {
		spec := b.spec()
		made := b.ensure(spec)
		late := spec
		late.Job = phone.NewID[phone.JobID]()
		_, err := b.d.Ensure(b.ctx, late)
		wantError(b, "Ensure beside the other job's instance", err, phone.Conflict, "")
		b.wantObjects(objects(spec, made)...)
		b.remove(spec.Ref)
		_, err = b.d.Ensure(b.ctx, late)
		wantError(b, "Ensure on the other job's volume", err, phone.Conflict, "")
		b.wantObjects(volume(spec, made))
	})
	sub(t, h, "fresh one is empty", func(b *bundle) {
		first := b.spec()
		b.life(first)
		b.write(first.Ref, "/data/suite-secret", []byte("of the first life"))
		b.remove(first.Ref)

		second := next(first)
		b.life(second)
		if data, there := b.read(second.Ref, "/data/suite-secret"); there {
			b.Errorf("generation 2 sees generation 1's file: %q", data)
		}
		if listing := b.output(second.Ref, "ls", "/data"); strings.Contains(listing, "suite-secret") {
			b.Errorf("generation 2 lists generation 1's file: %q", listing)
		}
	})
	sub(t, h, "each phone its own", func(b *bundle) {
		one, two := b.spec(), b.spec()
		b.life(one)
		b.life(two)
		b.write(one.Ref, "/data/suite-secret", []byte("of one"))
		if data, there := b.read(two.Ref, "/data/suite-secret"); there {
			b.Errorf("the other phone sees the file: %q", data)
		}
	})
	sub(t, h, "stays when the instance is removed", func(b *bundle) {
		spec := b.spec()
		made := b.life(spec)
		data := []byte("kept")
		b.write(spec.Ref, "/data/suite-kept", data)
		b.remove(spec.Ref)
		b.wantObjects(volume(spec, made))
		b.life(spec)
		if got, there := b.read(spec.Ref, "/data/suite-kept"); !there || !bytes.Equal(got, data) {
			b.Errorf("the same job's instance, made again, reads %q, %v", got, there)
		}
	})
}

func testForeign(t *testing.T, h *Harness) {
	for _, kind := range []driver.ObjectKind{driver.ObjectInstance, driver.ObjectVolume} {
		sub(t, h, string(kind), func(b *bundle) {
			spec := b.spec()
			intact := h.Plant(b.T, kind, spec)
			intact(b.T)
			b.wantInvisible(b.d, spec.Ref)
			intact(b.T)
			_, err := b.d.Ensure(b.ctx, spec)
			wantError(b, "Ensure", err, phone.Conflict, phone.ReasonForeignObject)
			intact(b.T)
			for _, o := range b.list(b.d) {
				if o.Kind == kind {
					b.Errorf("List shows the foreign %s as %+v", kind, o)
				}
			}
		})
	}
	sub(t, h, "another installation", func(b *bundle) {
		spec := b.spec()
		made := b.life(spec)
		data := []byte("not yours")
		b.write(spec.Ref, "/data/suite-owned", data)

		other := h.Open(b.T, Owner{Installation: phone.NewID[string](), Server: b.owner.Server})
		b.Cleanup(func() { clean(b.T, other) })
		b.wantInvisible(other, spec.Ref)
		// A driver may give each installation names of its own; where the names are the same, the first one has them.
		if _, err := other.Ensure(b.ctx, spec); err != nil {
			wantError(b, "the other installation's Ensure", err, phone.Conflict, phone.ReasonForeignObject)
		}
		b.wantObjects(objects(spec, made)...)
		if got, there := b.read(spec.Ref, "/data/suite-owned"); !there || !bytes.Equal(got, data) {
			b.Errorf("after the other installation's calls the file is %q, %v", got, there)
		}
	})
}

func (b *bundle) list(d driver.Driver) []driver.Object {
	b.Helper()
	objects, err := d.List(b.ctx)
	if err != nil {
		b.Fatalf("List: %v", err)
	}
	return objects
}

// wantInvisible holds d to behaving as if there were no such instance and no volume of that phone, and to touching nothing.
func (b *bundle) wantInvisible(d driver.Driver, ref driver.Ref) {
	b.Helper()
	_, err := d.Inspect(b.ctx, ref)
	wantError(b, "Inspect", err, phone.NotFound, "")
	wantError(b, "Start", d.Start(b.ctx, ref), phone.NotFound, "")
	_, err = d.Exec(b.ctx, ref, driver.Command{Args: []string{"getprop"}})
	wantError(b, "Exec", err, phone.NotFound, "")
	if err := d.Stop(b.ctx, ref); err != nil {
		b.Errorf("Stop: %v", err)
	}
	if err := d.Remove(b.ctx, ref); err != nil {
		b.Errorf("Remove: %v", err)
	}
	erasure, err := d.Erase(b.ctx, ref.Phone, ref.Generation+1)
	if err != nil {
		b.Errorf("Erase: %v", err)
	}
	for _, v := range erasure.Volumes {
		b.Errorf("Erase claims %+v", v)
	}
}
