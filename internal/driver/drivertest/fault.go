package drivertest

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/lethe-cloud/lethe/internal/driver"
	"github.com/lethe-cloud/lethe/internal/phone"
)

// call is one method of a driver, with arguments that fit spec.
type call struct {
	name string
	make func(ctx context.Context, d driver.Driver) error
}

func calls(d driver.Driver, spec driver.Spec) []call {
	all := []call{
		{"Info", func(ctx context.Context, d driver.Driver) error { return second(d.Info(ctx)) }},
		{"Prepare", func(ctx context.Context, d driver.Driver) error { return second(d.Prepare(ctx, spec.Image)) }},
		{"Ensure", func(ctx context.Context, d driver.Driver) error { return second(d.Ensure(ctx, spec)) }},
		{"Remake", func(ctx context.Context, d driver.Driver) error { return second(d.Remake(ctx, spec)) }},
		{"Start", func(ctx context.Context, d driver.Driver) error { return d.Start(ctx, spec.Ref) }},
		{"Stop", func(ctx context.Context, d driver.Driver) error { return d.Stop(ctx, spec.Ref) }},
		{"Remove", func(ctx context.Context, d driver.Driver) error { return d.Remove(ctx, spec.Ref) }},
		{"Erase", func(ctx context.Context, d driver.Driver) error {
			erasure, err := d.Erase(ctx, spec.Phone, spec.Generation+1)
			if err != nil && (!erasure.LookedFor.IsZero() || len(erasure.Volumes) > 0) {
				return errors.New("erase failed and claims something all the same")
			}
			return err
		}},
		{"Discard", func(ctx context.Context, d driver.Driver) error { return d.Discard(ctx, spec.Ref) }},
		{"Inspect", func(ctx context.Context, d driver.Driver) error { return second(d.Inspect(ctx, spec.Ref)) }},
		{"Exec", func(ctx context.Context, d driver.Driver) error {
			return second(d.Exec(ctx, spec.Ref, driver.Command{Args: []string{"getprop"}}))
		}},
		{"List", func(ctx context.Context, d driver.Driver) error { return second(d.List(ctx)) }},
	}
	if _, can := d.(driver.Measurer); can {
		all = append(all, call{"Space", func(ctx context.Context, d driver.Driver) error {
			return second(d.(driver.Measurer).Space(ctx, spec.Ref))
		}})
	}
	if _, can := d.(driver.KeySetter); can {
		all = append(all, call{"SetADBKeys", func(ctx context.Context, d driver.Driver) error {
			return d.(driver.KeySetter).SetADBKeys(ctx, spec.Ref, nil)
		}})
	}
	return all
}

func second[T any](_ T, err error) error { return err }

func testUnavailable(t *testing.T, h *Harness) {
	b := newBundle(t, h)
	d := h.Unavailable(t, b.owner)
	for _, call := range calls(d, b.spec()) {
		ctx, cancel := context.WithTimeout(b.ctx, patience)
		err := call.make(ctx, d)
		if ctx.Err() != nil {
			t.Errorf("%s: no answer within %s", call.name, patience)
		}
		cancel()
		wantError(t, call.name, err, phone.Unavailable, "")
	}
}

func testContext(t *testing.T, h *Harness) {
	sub(t, h, "ended before the call", func(b *bundle) {
		spec := b.spec()
		made := b.life(spec)
		b.write(spec.Ref, "/data/suite-kept", []byte("kept"))
		ended, cancel := context.WithCancel(b.ctx)
		cancel()
		for _, call := range append(calls(b.d, spec), calls(b.d, b.spec())...) {
			wantEnded(b, call.name, call.make(ended, b.d), context.Canceled)
		}
		b.wantObjects(objects(spec, made)...)
		if !b.inspect(spec.Ref).Booted {
			b.Errorf("a call whose ctx had ended stopped the instance")
		}
		if _, there := b.read(spec.Ref, "/data/suite-kept"); !there {
			b.Errorf("a call whose ctx had ended erased a file")
		}
	})
	sub(t, h, "ends while the host hangs", func(b *bundle) {
		d := h.Hanging(b.T, b.owner)
		for _, call := range calls(d, b.spec()) {
			b.Run(call.name, func(t *testing.T) {
				t.Parallel()
				ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
				defer cancel()
				done := make(chan error, 1)
				go func() { done <- call.make(ctx, d) }()
				select {
				case err := <-done:
					wantEnded(t, call.name, err, context.DeadlineExceeded)
				case <-time.After(patience):
					t.Errorf("%s still waits %s after its ctx has ended", call.name, patience)
				}
			})
		}
	})
}

// wantEnded holds err to the contract of a call whose ctx ended.
func wantEnded(t testing.TB, doing string, err, cause error) {
	t.Helper()
	wantError(t, doing, err, phone.Unavailable, "")
	if err != nil && !errors.Is(err, cause) {
		t.Errorf("%s: error %q does not wrap %q", doing, err, cause)
	}
}

func testLostAnswers(t *testing.T, h *Harness) {
	for _, point := range h.LostAnswers {
		sub(t, h, string(point.Operation)+" "+point.Name, func(b *bundle) { testLostAnswer(b, point) })
	}
}

// testLostAnswer brings a phone to where the operation belongs, loses the answer, and then does as an engine does that took
// the work over: the same again, on another handle.
func testLostAnswer(b *bundle, point LostAnswer) {
	first := b.spec()
	later := next(first)
	var one, two driver.Instance
	var other driver.Spec
	switch point.Operation {
	case OpPrepare, OpEnsure:
	case OpStart:
		one = b.ensure(first)
	case OpRemake:
		one = b.life(first)
		b.write(first.Ref, "/data/suite-kept", []byte("kept"))
		b.stop(first.Ref)
		other = b.changed(first)
	case OpStop, OpRemove:
		one = b.life(first)
	case OpDiscard:
		one = b.life(first)
		two = b.ensure(later)
	case OpErase:
		one = b.life(first)
		b.write(first.Ref, "/data/suite-secret", []byte("of the first life"))
		b.remove(first.Ref)
		two = b.ensure(later)
	default:
		b.Fatalf("the harness loses the answer of an unknown operation %q", point.Operation)
	}
	operate := func(d driver.Driver) error {
		switch point.Operation {
		case OpPrepare:
			return second(d.Prepare(b.ctx, b.h.Image))
		case OpEnsure:
			made, err := d.Ensure(b.ctx, first)
			if err == nil {
				one = made
			}
			return err
		case OpRemake:
			return second(d.Remake(b.ctx, other))
		case OpStart:
			return d.Start(b.ctx, first.Ref)
		case OpStop:
			return d.Stop(b.ctx, first.Ref)
		case OpRemove:
			return d.Remove(b.ctx, first.Ref)
		case OpDiscard:
			return d.Discard(b.ctx, later.Ref)
		}
		return second(d.Erase(b.ctx, first.Phone, later.Generation))
	}

	lossy, lost := point.Open(b.T, b.owner, first.Ref)
	if err := operate(lossy); err != nil {
		wantError(b, "the call whose answer was lost", err, phone.Unavailable, "")
	}
	if !lost() {
		b.Fatal("the harness lost no answer")
	}
	for name, d := range map[string]driver.Driver{"the same handle": lossy, "another handle": b.h.Open(b.T, b.owner)} {
		if err := operate(d); err != nil {
			b.Errorf("again on %s: %v", name, err)
		}
	}
	switch point.Operation {
	case OpPrepare:
		b.wantObjects()
	case OpEnsure:
		b.wantObjects(objects(first, one)...)
		b.boot(first.Ref)
	case OpRemake:
		b.wantObjects(objects(first, one)...)
		b.wantKept(other, one, []byte("kept"))
	case OpStart:
		b.awaitBoot(first.Ref)
		b.wantObjects(objects(first, one)...)
	case OpStop:
		if got := b.inspect(first.Ref); got.Running || !got.Exited {
			b.Errorf("after Stop: %+v", got)
		}
		b.wantObjects(objects(first, one)...)
	case OpRemove:
		b.wantObjects(volume(first, one))
	case OpErase:
		b.wantObjects(objects(later, two)...)
	case OpDiscard:
		b.wantObjects(objects(first, one)...)
	}
}
