package drivertest

import (
	"bytes"
	"errors"
	"fmt"
	"sync"
	"testing"

	"github.com/lethe-cloud/lethe/internal/driver"
)

func testConcurrent(t *testing.T, h *Harness) {
	sub(t, h, "one spec", func(b *bundle) {
		const handles, callers = 2, 4
		spec := b.spec()
		made := make([]driver.Instance, handles*callers)
		begin := make(chan struct{})
		var all sync.WaitGroup
		for handle := range handles {
			d := h.Open(b.T, b.owner)
			for caller := range callers {
				all.Go(func() {
					<-begin
					instance, err := d.Ensure(b.ctx, spec)
					if err != nil {
						b.Errorf("Ensure beside others: %v", err)
					}
					made[handle*callers+caller] = instance
				})
			}
		}
		close(begin)
		all.Wait()
		for _, instance := range made {
			if instance.Name != made[0].Name || instance.Volume != made[0].Volume {
				b.Errorf("one Spec gave %s on %s and %s on %s", made[0].Name, made[0].Volume, instance.Name, instance.Volume)
			}
		}
		b.wantObjects(objects(spec, made[0])...)
		b.boot(spec.Ref)
	})
	sub(t, h, "many phones", func(b *bundle) {
		var all sync.WaitGroup
		want := make([][]driver.Object, h.Phones)
		for i := range h.Phones {
			first := b.spec()
			all.Go(func() {
				later, instance, err := reset(b, first)
				if err != nil {
					b.Errorf("phone %d of %d: %v", i, h.Phones, err)
					return
				}
				want[i] = objects(later, instance)
			})
		}
		all.Wait()
		var left []driver.Object
		for _, objects := range want {
			left = append(left, objects...)
		}
		b.wantObjects(left...)
	})
}

// reset gives a phone two lives, as an engine does: the first with data, the second beside the erasure of the first. It runs
// in a goroutine, so it fails by its error.
func reset(b *bundle, first driver.Spec) (driver.Spec, driver.Instance, error) {
	later := next(first)
	secret := []byte("of " + string(first.Phone))
	if _, err := tryLife(b, first); err != nil {
		return later, driver.Instance{}, fmt.Errorf("first life: %w", err)
	}
	if err := tryRun(b, first.Ref, 0, nil, driver.Command{Args: []string{"tee", "/data/suite-secret"}, Stdin: secret}); err != nil {
		return later, driver.Instance{}, err
	}
	if err := tryRun(b, first.Ref, 0, secret, cat("/data/suite-secret", 0)); err != nil {
		return later, driver.Instance{}, err
	}
	if err := b.d.Remove(b.ctx, first.Ref); err != nil {
		return later, driver.Instance{}, fmt.Errorf("remove: %w", err)
	}
	if _, err := b.d.Ensure(b.ctx, later); err != nil {
		return later, driver.Instance{}, fmt.Errorf("ensure the second life: %w", err)
	}
	erased := make(chan error, 1)
	go func() { erased <- second(b.d.Erase(b.ctx, first.Phone, later.Generation)) }()
	instance, err := tryLife(b, later)
	if err = errors.Join(err, <-erased); err != nil {
		return later, instance, fmt.Errorf("second life and erasure of the first: %w", err)
	}
	return later, instance, tryRun(b, later.Ref, 1, nil, cat("/data/suite-secret", 0))
}

func tryLife(b *bundle, spec driver.Spec) (driver.Instance, error) {
	if _, err := b.d.Ensure(b.ctx, spec); err != nil {
		return driver.Instance{}, fmt.Errorf("ensure: %w", err)
	}
	if err := b.d.Start(b.ctx, spec.Ref); err != nil {
		return driver.Instance{}, fmt.Errorf("start: %w", err)
	}
	return b.poll(spec.Ref)
}

// tryRun runs a program that must end with the exit code and, when stdout is not nil, with that output.
func tryRun(b *bundle, ref driver.Ref, exitCode int, stdout []byte, command driver.Command) error {
	result, err := b.d.Exec(b.ctx, ref, command)
	if err != nil {
		return fmt.Errorf("exec %v: %w", command.Args, err)
	}
	if result.ExitCode != exitCode || stdout != nil && !bytes.Equal(result.Stdout, stdout) {
		return fmt.Errorf("exec %v ended with %d: %q %q", command.Args, result.ExitCode, result.Stdout, result.Stderr)
	}
	return nil
}
