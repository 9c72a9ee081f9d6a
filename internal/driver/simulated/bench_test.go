package simulated

import (
	"testing"

	"github.com/lethe-cloud/lethe/internal/driver"
	"github.com/lethe-cloud/lethe/internal/phone"
)

// BenchmarkReset is what one reset costs the machine when boots take no time and phones write no files.
func BenchmarkReset(b *testing.B) {
	d, err := Open(phone.NewID[string](), phone.Server{
		ID: phone.NewID[phone.ServerID](), Endpoint: "sim://" + b.TempDir(), Config: []byte(`{"boot_time": "0s", "data_files": 0}`),
	})
	if err != nil {
		b.Fatal(err)
	}
	ctx := b.Context()
	if err := d.Create(ctx); err != nil {
		b.Fatal(err)
	}
	identity, err := d.Prepare(ctx, phone.Image{Reference: "example.test/phone:12"})
	if err != nil {
		b.Fatal(err)
	}
	var spec driver.Spec
	steps := []struct {
		name string
		do   func() error
	}{
		{"Ensure", func() error { return drop(d.Ensure(ctx, spec)) }},
		{"Start", func() error { return d.Start(ctx, spec.Ref) }},
		{"Inspect", func() error { return drop(d.Inspect(ctx, spec.Ref)) }},
		{"Exec", func() error {
			return drop(d.Exec(ctx, spec.Ref, driver.Command{Args: []string{"getprop", "ro.serialno"}}))
		}},
		{"Remove", func() error { return d.Remove(ctx, spec.Ref) }},
		{"Erase", func() error { return drop(d.Erase(ctx, spec.Phone, spec.Generation+1)) }},
	}
	for _, measured := range steps {
		b.Run(measured.name, func(b *testing.B) {
			for b.Loop() {
				spec = driver.Spec{
					Ref: driver.Ref{Phone: phone.NewID[phone.ID](), Generation: 1}, Job: phone.NewID[phone.JobID](), Identity: identity,
				}
				b.StopTimer()
				for _, step := range steps {
					if step.name == measured.name {
						b.StartTimer()
					}
					if err := step.do(); err != nil {
						b.Fatal(step.name, err)
					}
					if step.name == measured.name {
						b.StopTimer()
					}
				}
				b.StartTimer()
			}
		})
	}
}

func drop[T any](_ T, err error) error { return err }
