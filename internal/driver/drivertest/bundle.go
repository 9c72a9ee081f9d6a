package drivertest

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"

	"github.com/lethe-cloud/lethe/internal/driver"
	"github.com/lethe-cloud/lethe/internal/phone"
)

// patience bounds a call that has no reason to wait for anything but the host.
const patience = 30 * time.Second

// bundle is what one subtest works with: an owner of its own and a handle for it.
type bundle struct {
	*testing.T
	h        *Harness
	ctx      context.Context
	owner    Owner
	d        driver.Driver
	identity phone.ImageIdentity // of the harness's image
}

// newBundle makes a bundle whose image is prepared. At its end the host has nothing of the owner left, or the test fails.
func newBundle(t *testing.T, h *Harness) *bundle {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 4*h.BootTimeout+2*patience)
	t.Cleanup(cancel)
	owner := Owner{Installation: phone.NewID[string](), Server: phone.NewID[phone.ServerID]()}
	b := &bundle{T: t, h: h, ctx: ctx, owner: owner, d: h.Open(t, owner)}
	t.Cleanup(func() { clean(t, b.d) })
	identity, err := b.d.Prepare(ctx, h.Image)
	if err != nil {
		t.Fatalf("Prepare %s: %v", h.Image.Reference, err)
	}
	b.identity = identity
	return b
}

// sub runs a subtest with a bundle of its own, beside the others.
func sub(t *testing.T, h *Harness, name string, run func(*bundle)) {
	t.Run(name, func(t *testing.T) {
		t.Parallel()
		run(newBundle(t, h))
	})
}

// clean removes everything that d lists.
func clean(t *testing.T, d driver.Driver) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 2*patience)
	defer cancel()
	objects, err := d.List(ctx)
	if err != nil {
		t.Errorf("clean up: List: %v", err)
		return
	}
	last := map[phone.ID]phone.Generation{}
	for _, o := range objects {
		if o.Kind == driver.ObjectShare {
			continue
		}
		last[o.Phone] = max(last[o.Phone], o.Generation)
		if err := d.Remove(ctx, driver.Ref{Phone: o.Phone, Generation: o.Generation}); err != nil {
			t.Errorf("clean up: Remove %s: %v", o.Name, err)
		}
	}
	for id, generation := range last {
		if _, err := d.Erase(ctx, id, generation+1); err != nil {
			t.Errorf("clean up: Erase phone %s below %d: %v", id, generation+1, err)
		}
	}
	if s, can := d.(driver.Sharer); can {
		if _, err := s.EraseShare(ctx); err != nil {
			t.Errorf("clean up: EraseShare: %v", err)
		}
	}
	if objects, err = d.List(ctx); err != nil || len(objects) > 0 {
		t.Errorf("clean up: List still gives %v, %v", objects, err)
	}
}

// spec describes a first life of a new phone.
func (b *bundle) spec() driver.Spec {
	b.Helper()
	id := phone.NewID[phone.ID]()
	return driver.Spec{
		Ref:      driver.Ref{Phone: id, Generation: 1},
		Job:      phone.NewID[phone.JobID](),
		Name:     "suite-" + string(id[:8]),
		Project:  phone.NewID[phone.ProjectID](),
		Image:    b.h.Image,
		Identity: b.identity,
		ADBPort:  b.h.Port(b.T),
	}
}

// next describes the life that a reset gives the phone of spec.
func next(spec driver.Spec) driver.Spec {
	spec.Generation++
	spec.Job = phone.NewID[phone.JobID]()
	return spec
}

func (b *bundle) ensure(spec driver.Spec) driver.Instance {
	b.Helper()
	instance, err := b.d.Ensure(b.ctx, spec)
	if err != nil {
		b.Fatalf("Ensure generation %d: %v", spec.Generation, err)
	}
	return instance
}

// boot starts the instance and polls until it has booted.
func (b *bundle) boot(ref driver.Ref) driver.Instance {
	b.Helper()
	if err := b.d.Start(b.ctx, ref); err != nil {
		b.Fatalf("Start generation %d: %v", ref.Generation, err)
	}
	return b.awaitBoot(ref)
}

func (b *bundle) awaitBoot(ref driver.Ref) driver.Instance {
	b.Helper()
	instance, err := b.poll(ref)
	if err != nil {
		b.Fatalf("generation %d: %v", ref.Generation, err)
	}
	return instance
}

// poll looks until the instance has booted. It may run in a goroutine.
func (b *bundle) poll(ref driver.Ref) (driver.Instance, error) {
	deadline := time.After(b.h.BootTimeout)
	for {
		instance, err := b.d.Inspect(b.ctx, ref)
		switch {
		case err != nil:
			return instance, fmt.Errorf("inspect: %w", err)
		case instance.Booted && !instance.Running:
			return instance, fmt.Errorf("booted but not running: %+v", instance)
		case instance.Booted:
			return instance, nil
		case instance.Exited:
			return instance, fmt.Errorf("ended while it booted, exit code %d: %s", instance.ExitCode, instance.Log)
		}
		wait := instance.CheckAfter
		if wait <= 0 {
			wait = 50 * time.Millisecond
		}
		select {
		case <-time.After(min(max(wait, time.Millisecond), time.Second)):
		case <-deadline:
			return instance, fmt.Errorf("not booted after %s: %+v", b.h.BootTimeout, instance)
		}
	}
}

// life makes a life and boots it.
func (b *bundle) life(spec driver.Spec) driver.Instance {
	b.Helper()
	b.ensure(spec)
	return b.boot(spec.Ref)
}

func (b *bundle) inspect(ref driver.Ref) driver.Instance {
	b.Helper()
	instance, err := b.d.Inspect(b.ctx, ref)
	if err != nil {
		b.Fatalf("Inspect generation %d: %v", ref.Generation, err)
	}
	return instance
}

func (b *bundle) remove(ref driver.Ref) {
	b.Helper()
	if err := b.d.Remove(b.ctx, ref); err != nil {
		b.Fatalf("Remove generation %d: %v", ref.Generation, err)
	}
}

func (b *bundle) erase(id phone.ID, below phone.Generation) driver.Erasure {
	b.Helper()
	erasure, err := b.d.Erase(b.ctx, id, below)
	if err != nil {
		b.Fatalf("Erase below %d: %v", below, err)
	}
	if erasure.LookedFor.IsZero() {
		b.Errorf("Erase below %d does not say when it looked", below)
	}
	for _, v := range erasure.Volumes {
		if !v.Gone || v.Generation >= below || v.Name == "" {
			b.Errorf("Erase below %d claims %+v", below, v)
		}
	}
	return erasure
}

// run runs a program inside the phone, whichever way it ends.
func (b *bundle) run(ref driver.Ref, command driver.Command) driver.Result {
	b.Helper()
	result, err := b.d.Exec(b.ctx, ref, command)
	if err != nil {
		b.Fatalf("Exec %v in generation %d: %v", command.Args, ref.Generation, err)
	}
	return result
}

// output runs a program that must succeed and gives its standard output.
func (b *bundle) output(ref driver.Ref, args ...string) string {
	b.Helper()
	result := b.run(ref, driver.Command{Args: args})
	if result.ExitCode != 0 {
		b.Fatalf("Exec %v ended with %d: %s", args, result.ExitCode, result.Stderr)
	}
	return string(result.Stdout)
}

// property reads one property as the phone has it.
func (b *bundle) property(ref driver.Ref, key string) string {
	b.Helper()
	return strings.TrimSuffix(b.output(ref, "getprop", key), "\n")
}

// write puts data into a file of the phone, and read gives a file's content and whether there is one.
func (b *bundle) write(ref driver.Ref, path string, data []byte) {
	b.Helper()
	if result := b.run(ref, driver.Command{Args: []string{"tee", path}, Stdin: data}); result.ExitCode != 0 {
		b.Fatalf("tee %s ended with %d: %s", path, result.ExitCode, result.Stderr)
	}
	if got, there := b.read(ref, path); !there || !bytes.Equal(got, data) {
		b.Fatalf("%s has %d bytes, there %v, and should have the %d bytes written", path, len(got), there, len(data))
	}
}

func (b *bundle) read(ref driver.Ref, path string) ([]byte, bool) {
	b.Helper()
	result := b.run(ref, driver.Command{Args: []string{"cat", path}, MaxOutput: 1 << 20})
	return result.Stdout, result.ExitCode == 0
}

// wantObjects holds List to exactly these, running or not.
func (b *bundle) wantObjects(want ...driver.Object) {
	b.Helper()
	got, err := b.d.List(b.ctx)
	if err != nil {
		b.Fatalf("List: %v", err)
	}
	order := func(x, y driver.Object) int {
		return cmp.Or(cmp.Compare(x.Phone, y.Phone), cmp.Compare(x.Generation, y.Generation), cmp.Compare(x.Kind, y.Kind))
	}
	for i := range got {
		if got[i].Kind == driver.ObjectInstance {
			got[i].Job = "" // the contract asks it of volumes alone
			got[i].Running = false
		}
	}
	slices.SortFunc(got, order)
	slices.SortFunc(want, order)
	if diff := gocmp.Diff(want, got); diff != "" && len(want)+len(got) > 0 {
		b.Errorf("List (-want +got):\n%s", diff)
	}
}

// objects are what one life leaves on the host.
func objects(spec driver.Spec, instance driver.Instance) []driver.Object {
	return []driver.Object{
		{Kind: driver.ObjectInstance, Name: instance.Name, Phone: spec.Phone, Generation: spec.Generation},
		volume(spec, instance),
	}
}

func volume(spec driver.Spec, instance driver.Instance) driver.Object {
	return driver.Object{Kind: driver.ObjectVolume, Name: instance.Volume, Phone: spec.Phone, Generation: spec.Generation, Job: spec.Job}
}

// wantError holds err to a code and a reason; "" is any.
func wantError(t testing.TB, doing string, err error, code phone.Code, reason phone.Reason) {
	t.Helper()
	if err == nil {
		t.Errorf("%s succeeded and should fail: %s %s", doing, code, reason)
		return
	}
	if got := phone.CodeOf(err); code != "" && got != code {
		t.Errorf("%s: error %q has code %s, want %s", doing, err, got, code)
	}
	if got := phone.ReasonOf(err); reason != "" && got != reason {
		t.Errorf("%s: error %q has reason %q, want %q", doing, err, got, reason)
	}
}
