package model

import (
	"context"

	"github.com/lethe-cloud/lethe/internal/driver"
	"github.com/lethe-cloud/lethe/internal/driver/drivertest"
	"github.com/lethe-cloud/lethe/internal/phone"
)

// faultable is a driver of which every call goes through one function, which may keep it, delay it, or lose its answer.
type faultable struct {
	real driver.Driver
	do   func(ctx context.Context, name string, ref driver.Ref, real func() error) error
}

var errAway = phone.Errorf(phone.Unavailable, "", "the answer of the host was lost")

// through makes a call that gives a value; what a failed call gives is nothing.
func through[T any](f faultable, ctx context.Context, name string, ref driver.Ref, real func(context.Context) (T, error)) (T, error) {
	var got T
	err := f.do(ctx, name, ref, func() (err error) {
		got, err = real(context.WithoutCancel(ctx))
		return err
	})
	if err != nil && name != "exec" {
		var none T
		return none, err
	}
	return got, err
}

func (f faultable) run(ctx context.Context, name string, ref driver.Ref, real func(context.Context) error) error {
	_, err := through(f, ctx, name, ref, func(ctx context.Context) (struct{}, error) { return struct{}{}, real(ctx) })
	return err
}

func (f faultable) Info(ctx context.Context) (driver.Info, error) {
	return through(f, ctx, "info", driver.Ref{}, f.real.Info)
}

func (f faultable) Prepare(ctx context.Context, image phone.Image) (phone.ImageIdentity, error) {
	return through(f, ctx, "prepare", driver.Ref{}, func(ctx context.Context) (phone.ImageIdentity, error) { return f.real.Prepare(ctx, image) })
}

func (f faultable) Ensure(ctx context.Context, spec driver.Spec) (driver.Instance, error) {
	return through(f, ctx, "ensure", spec.Ref, func(ctx context.Context) (driver.Instance, error) { return f.real.Ensure(ctx, spec) })
}

func (f faultable) Remake(ctx context.Context, spec driver.Spec) (driver.Instance, error) {
	return through(f, ctx, "remake", spec.Ref, func(ctx context.Context) (driver.Instance, error) { return f.real.Remake(ctx, spec) })
}

func (f faultable) Start(ctx context.Context, ref driver.Ref) error {
	return f.run(ctx, "start", ref, func(ctx context.Context) error { return f.real.Start(ctx, ref) })
}

func (f faultable) Stop(ctx context.Context, ref driver.Ref) error {
	return f.run(ctx, "stop", ref, func(ctx context.Context) error { return f.real.Stop(ctx, ref) })
}

func (f faultable) Remove(ctx context.Context, ref driver.Ref) error {
	return f.run(ctx, "remove", ref, func(ctx context.Context) error { return f.real.Remove(ctx, ref) })
}

func (f faultable) Erase(ctx context.Context, id phone.ID, below phone.Generation) (driver.Erasure, error) {
	ref := driver.Ref{Phone: id, Generation: below}
	return through(f, ctx, "erase", ref, func(ctx context.Context) (driver.Erasure, error) { return f.real.Erase(ctx, id, below) })
}

func (f faultable) Discard(ctx context.Context, ref driver.Ref) error {
	return f.run(ctx, "discard", ref, func(ctx context.Context) error { return f.real.Discard(ctx, ref) })
}

func (f faultable) Space(ctx context.Context, ref driver.Ref) (phone.Space, error) {
	return through(f, ctx, "space", ref, func(ctx context.Context) (phone.Space, error) { return f.real.(driver.Measurer).Space(ctx, ref) })
}

func (f faultable) Inspect(ctx context.Context, ref driver.Ref) (driver.Instance, error) {
	return through(f, ctx, "inspect", ref, func(ctx context.Context) (driver.Instance, error) { return f.real.Inspect(ctx, ref) })
}

func (f faultable) Exec(ctx context.Context, ref driver.Ref, command driver.Command) (driver.Result, error) {
	return through(f, ctx, "exec "+command.Args[0], ref, func(ctx context.Context) (driver.Result, error) { return f.real.Exec(ctx, ref, command) })
}

func (f faultable) List(ctx context.Context) ([]driver.Object, error) {
	return through(f, ctx, "list", driver.Ref{}, f.real.List)
}

// plant puts an object on the machine that no lethe, or another one, made.
func (m *machine) plant(kind driver.ObjectKind, ref driver.Ref, owner drivertest.Owner) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if kind == driver.ObjectInstance {
		m.instances[instanceName(ref)] = &instance{owner: owner, spec: driver.Spec{Ref: ref}, excused: "it was planted"}
		return
	}
	m.volumes[volumeName(ref)] = &volume{owner: owner, ref: ref, files: map[string][]byte{"precious": []byte("kept")}, late: true}
}

// intact gives a function that says whether a planted object is as it is now.
func (m *machine) intact(kind driver.ObjectKind, ref driver.Ref) func() bool {
	i, v := m.instances[instanceName(ref)], m.volumes[volumeName(ref)]
	return func() bool {
		m.mu.Lock()
		defer m.mu.Unlock()
		if kind == driver.ObjectInstance {
			now := m.instances[instanceName(ref)]
			return now != nil && now == i && !now.running && !now.exited
		}
		now := m.volumes[volumeName(ref)]
		return now != nil && now == v && len(now.files) == 1 && string(now.files["precious"]) == "kept"
	}
}

func (m *machine) uproot(kind driver.ObjectKind, ref driver.Ref) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if kind == driver.ObjectInstance {
		delete(m.instances, instanceName(ref))
		return
	}
	delete(m.volumes, volumeName(ref))
}
