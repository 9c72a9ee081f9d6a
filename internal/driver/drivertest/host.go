package drivertest

import (
	"strings"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"

	"github.com/lethe-cloud/lethe/internal/driver"
	"github.com/lethe-cloud/lethe/internal/phone"
)

func testInfo(t *testing.T, h *Harness) {
	b := newBundle(t, h)
	first, err := b.d.Info(b.ctx)
	if err != nil {
		t.Fatal(err)
	}
	if first.Driver == "" || first.Version == "" || first.Architecture == "" {
		t.Errorf("Info leaves something out: %+v", first)
	}
	second, err := h.Open(t, b.owner).Info(b.ctx)
	if diff := gocmp.Diff(first, second); err != nil || diff != "" {
		t.Errorf("another handle says something else: %v\n%s", err, diff)
	}
}

func testPrepare(t *testing.T, h *Harness) {
	sub(t, h, "twice", func(b *bundle) {
		if b.identity.ID == "" {
			b.Fatalf("%s resolved to nothing", h.Image.Reference)
		}
		for name, d := range map[string]driver.Driver{"the same handle": b.d, "another handle": h.Open(b.T, b.owner)} {
			again, err := d.Prepare(b.ctx, h.Image)
			if err != nil || again != b.identity {
				b.Errorf("%s: Prepare gives %+v, %v; it gave %+v", name, again, err, b.identity)
			}
		}
		b.wantObjects()
	})
	sub(t, h, "missing", func(b *bundle) {
		identity, err := b.d.Prepare(b.ctx, h.MissingImage)
		wantError(b, "Prepare", err, phone.NotFound, phone.ReasonImageNotFound)
		if identity != (phone.ImageIdentity{}) {
			b.Errorf("Prepare gives %+v beside its error", identity)
		}
	})
}

// testRules holds the pure part of a driver to what accepting a reset relies on.
func testRules(t *testing.T, h *Harness) {
	for _, rule := range phone.PropertyRules() {
		switch timing := h.Rules.Timing(rule.Key); timing {
		case driver.AtCreation, driver.AfterBoot, driver.Recorded:
		default:
			t.Errorf("%s has the timing %q", rule.Key, timing)
		}
	}
	for _, key := range []string{"ro.product.model", "ro.product.brand", "ro.serialno"} {
		if timing := h.Rules.Timing(key); timing != driver.AtCreation {
			t.Errorf("%s has the timing %q: no phone can change a ro property later", key, timing)
		}
	}
	for name, properties := range map[string]phone.Properties{
		"none":               nil,
		"plain":              {"ro.product.model": "X1", "persist.sys.locale": "de-DE"},
		"special characters": {"ro.product.model": specialValue},
		"a space after boot": {"com.cph.cam_local_pic_path": "/data/my pictures"},
	} {
		if err := h.Rules.Check(properties); err != nil {
			t.Errorf("%s: Check refuses %s: %v", name, err.Field, err)
		}
	}
	for name, value := range map[string]string{"space": "a b", "line": "a\nb", "equals sign": "a=b"} {
		err := h.Rules.Check(phone.Properties{"ro.product.brand": "fine", "ro.product.model": value})
		if err == nil || err.Code != phone.Invalid || err.Reason != phone.ReasonPropertyValue || err.Field != "ro.product.model" {
			t.Errorf("%s in a ro property: Check says %#v", name, err)
		} else if strings.Contains(err.Msg, value) {
			t.Errorf("%s in a ro property: the message shows the value: %s", name, err.Msg)
		}
	}
}

// specialValue has every kind of character that a shell would touch and a property may have.
const specialValue = `O'Neil&"Co";$HOME|<x>*?\\(1)#%`

func testList(t *testing.T, h *Harness) {
	b := newBundle(t, h)
	b.wantObjects()
	first, second := b.spec(), b.spec()
	want := append(objects(first, b.ensure(first)), objects(second, b.ensure(second))...)
	later := next(first)
	want = append(want, objects(later, b.ensure(later))...)

	for name, owner := range map[string]Owner{
		"another installation": {Installation: phone.NewID[string](), Server: b.owner.Server},
		"another server":       {Installation: b.owner.Installation, Server: phone.NewID[phone.ServerID]()},
	} {
		other := &bundle{T: t, h: h, ctx: b.ctx, owner: owner, d: h.Open(t, owner), identity: b.identity}
		t.Cleanup(func() { clean(t, other.d) })
		if _, err := other.d.Prepare(b.ctx, h.Image); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		theirs := other.spec()
		other.wantObjects(objects(theirs, other.ensure(theirs))...)
	}
	b.wantObjects(want...)

	// An instance is listed as running from its start to its end.
	b.wantRunning()
	b.boot(second.Ref)
	b.wantRunning(second.Ref)
	if err := b.d.Stop(b.ctx, second.Ref); err != nil {
		t.Fatalf("Stop: %v", err)
	}
	b.wantRunning()
}

// wantRunning holds List to exactly these instances that run.
func (b *bundle) wantRunning(want ...driver.Ref) {
	b.Helper()
	objects, err := b.d.List(b.ctx)
	if err != nil {
		b.Fatalf("List: %v", err)
	}
	var got []driver.Ref
	for _, o := range objects {
		if o.Running {
			got = append(got, driver.Ref{Phone: o.Phone, Generation: o.Generation})
		}
	}
	if diff := gocmp.Diff(want, got); diff != "" {
		b.Errorf("List of running instances (-want +got):\n%s", diff)
	}
}
