package drivertest

import (
	"bytes"
	"strings"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"

	"github.com/lethe-cloud/lethe/internal/driver"
	"github.com/lethe-cloud/lethe/internal/phone"
)

// marker is a property that lives as long as one run of an instance: a restart loses it.
const marker = "debug.suite.marker"

func testLife(t *testing.T, h *Harness) {
	sub(t, h, "boot", func(b *bundle) {
		spec := b.spec()
		made := b.ensure(spec)
		booted := b.boot(spec.Ref)
		if got := b.property(spec.Ref, "sys.boot_completed"); got != "1" {
			b.Errorf("sys.boot_completed is %q after the boot", got)
		}
		if got := b.output(spec.Ref, "pm", "path", "android"); !strings.HasPrefix(got, "package:") {
			b.Errorf("pm path android says %q after the boot", got)
		}
		want := made
		want.Running, want.Booted, want.CheckAfter = true, true, booted.CheckAfter
		if diff := gocmp.Diff(want, booted); diff != "" {
			b.Errorf("booting changed more than it should (-want +got):\n%s", diff)
		}
	})
	sub(t, h, "start twice", func(b *bundle) {
		spec := b.spec()
		b.life(spec)
		b.output(spec.Ref, "setprop", marker, "first-run")
		for name, d := range map[string]driver.Driver{"the same handle": b.d, "another handle": h.Open(b.T, b.owner)} {
			if err := d.Start(b.ctx, spec.Ref); err != nil {
				b.Fatalf("%s: Start: %v", name, err)
			}
			if !b.inspect(spec.Ref).Booted {
				b.Errorf("%s: Start of a running instance made it boot again", name)
			}
		}
		if got := b.property(spec.Ref, marker); got != "first-run" {
			b.Errorf("Start of a running instance restarted it: the marker is %q", got)
		}
	})
	sub(t, h, "stop and start", func(b *bundle) {
		spec := b.spec()
		b.life(spec)
		data := []byte("kept over a stop")
		b.write(spec.Ref, "/data/suite-kept", data)
		b.output(spec.Ref, "setprop", marker, "first-run")
		for range 2 {
			if err := b.d.Stop(b.ctx, spec.Ref); err != nil {
				b.Fatalf("Stop: %v", err)
			}
			if got := b.inspect(spec.Ref); got.Running || got.Booted || !got.Exited {
				b.Errorf("after Stop: %+v", got)
			}
		}
		_, err := b.d.Exec(b.ctx, spec.Ref, driver.Command{Args: []string{"getprop"}})
		wantError(b, "Exec in a stopped instance", err, phone.Precondition, "")

		b.boot(spec.Ref)
		if got, there := b.read(spec.Ref, "/data/suite-kept"); !there || !bytes.Equal(got, data) {
			b.Errorf("after Stop and Start the file is %q, %v", got, there)
		}
		if got := b.property(spec.Ref, marker); got != "" {
			b.Errorf("the marker is still %q: Stop did not stop it", got)
		}
	})
	sub(t, h, "not started", func(b *bundle) {
		spec := b.spec()
		b.ensure(spec)
		_, err := b.d.Exec(b.ctx, spec.Ref, driver.Command{Args: []string{"getprop"}})
		wantError(b, "Exec", err, phone.Precondition, "")
		if err := b.d.Stop(b.ctx, spec.Ref); err != nil {
			b.Errorf("Stop: %v", err)
		}
		if got := b.inspect(spec.Ref); got.Running || got.Exited {
			b.Errorf("Stop of an instance that was never started leaves %+v", got)
		}
	})
	sub(t, h, "absent", func(b *bundle) {
		b.wantInvisible(b.d, b.spec().Ref)
		first := b.spec()
		spec := next(first)
		made := b.ensure(spec)
		b.wantInvisible(b.d, first.Ref)
		_, err := b.d.Inspect(b.ctx, next(spec).Ref)
		wantError(b, "Inspect of a later generation", err, phone.NotFound, "")
		b.wantObjects(objects(spec, made)...)
	})
	sub(t, h, "remove", func(b *bundle) {
		spec := b.spec()
		made := b.life(spec)
		for range 2 {
			b.remove(spec.Ref)
			_, err := b.d.Inspect(b.ctx, spec.Ref)
			wantError(b, "Inspect of a removed instance", err, phone.NotFound, "")
			b.wantObjects(volume(spec, made))
		}
	})
}

func testProperties(t *testing.T, h *Harness) {
	sub(t, h, "at creation", func(b *bundle) {
		spec := b.spec()
		spec.Properties = phone.Properties{
			"ro.product.model": specialValue, "ro.product.brand": "Lethe", "ro.serialno": "SUITE0123456789",
		}
		b.life(spec)
		for key, want := range spec.Properties {
			if got := b.property(spec.Ref, key); got != want {
				b.Errorf("%s is %q, want %q", key, got, want)
			}
		}
		if err := b.d.Stop(b.ctx, spec.Ref); err != nil {
			b.Fatalf("Stop: %v", err)
		}
		b.boot(spec.Ref)
		if got := b.property(spec.Ref, "ro.product.brand"); got != "Lethe" {
			b.Errorf("after a second boot ro.product.brand is %q", got)
		}

		second := next(spec)
		second.Properties = phone.Properties{"ro.product.brand": "Mnemosyne"}
		b.remove(spec.Ref)
		b.life(second)
		if got := b.property(second.Ref, "ro.product.brand"); got != "Mnemosyne" {
			b.Errorf("in generation 2 ro.product.brand is %q", got)
		}
		if got := b.property(second.Ref, "ro.serialno"); got == "SUITE0123456789" {
			b.Errorf("generation 2 still has generation 1's ro.serialno")
		}
	})
	sub(t, h, "after boot", func(b *bundle) {
		spec := b.spec()
		b.life(spec)
		for key, value := range map[string]string{
			"persist.sys.locale": "de-DE", "com.cph.cam_local_pic_path": "/data/my pictures", "debug.suite.equals": "a=b",
			"debug.suite.longest": strings.Repeat("x", 91),
		} {
			b.output(spec.Ref, "setprop", key, value)
			if got := b.property(spec.Ref, key); got != value {
				b.Errorf("%s is %q, want %q", key, got, value)
			}
		}
		result := b.run(spec.Ref, driver.Command{Args: []string{"setprop", "ro.suite.model", "changed"}})
		if got := b.property(spec.Ref, "ro.suite.model"); result.ExitCode == 0 && got != "changed" {
			b.Errorf("setprop says that it set a ro property, which reads %q", got)
		}
		all := b.output(spec.Ref, "getprop")
		for _, line := range []string{"[sys.boot_completed]: [1]\n", "[persist.sys.locale]: [de-DE]\n", "[debug.suite.equals]: [a=b]\n"} {
			if !strings.Contains(all, line) {
				b.Errorf("getprop without a key does not show %q", line)
			}
		}
		if got := b.property(spec.Ref, "debug.suite.unset"); got != "" {
			b.Errorf("a property that nobody set is %q", got)
		}
	})
}
