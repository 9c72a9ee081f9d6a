package model

import (
	"context"
	"sync/atomic"
	"testing"
	"time"

	"github.com/lethe-cloud/lethe/internal/driver"
	"github.com/lethe-cloud/lethe/internal/driver/drivertest"
	"github.com/lethe-cloud/lethe/internal/driver/simulated"
	"github.com/lethe-cloud/lethe/internal/phone"
)

// The host of the model is a driver like the others: what a seed finds out about the engine must not be the host's own fault.
func TestHostConformance(t *testing.T) {
	m := newMachine()
	m.missing["missing"] = true
	var port atomic.Int64
	port.Store(20_000)
	harness := drivertest.Harness{
		Open:         func(_ *testing.T, owner drivertest.Owner) driver.Driver { return handle{m, owner} },
		Rules:        simulated.Rules(),
		Image:        phone.Image{ID: phone.NewID[phone.ImageID](), Reference: "boots"},
		Other:        phone.Image{ID: phone.NewID[phone.ImageID](), Reference: "boots too"},
		MissingImage: phone.Image{ID: phone.NewID[phone.ImageID](), Reference: "missing"},
		BootTimeout:  time.Minute,
		Port:         func(*testing.T) int { return int(port.Add(1)) },
		Plant: func(t *testing.T, kind driver.ObjectKind, spec driver.Spec) func(*testing.T) {
			return plant(t, m, kind, spec.Ref)
		},
		Pin: func(_ *testing.T, _ drivertest.Owner, instance driver.Instance) func() {
			pin := func(on bool) {
				m.mu.Lock()
				defer m.mu.Unlock()
				m.pinned[instance.Volume] = on
			}
			pin(true)
			return func() { pin(false) }
		},
		Unavailable: func(_ *testing.T, owner drivertest.Owner) driver.Driver {
			away := newMachine()
			away.away = true
			return handle{away, owner}
		},
		Hanging: func(_ *testing.T, owner drivertest.Owner) driver.Driver {
			hanging := newMachine()
			hanging.hangs = true
			return handle{hanging, owner}
		},
	}
	for _, op := range []drivertest.Operation{
		drivertest.OpPrepare, drivertest.OpEnsure, drivertest.OpRemake, drivertest.OpStart, drivertest.OpStop, drivertest.OpRemove, drivertest.OpErase, drivertest.OpDiscard,
	} {
		harness.LostAnswers = append(harness.LostAnswers, drivertest.LostAnswer{
			Name: "once", Operation: op,
			Open: func(_ *testing.T, owner drivertest.Owner, ref driver.Ref) (driver.Driver, func() bool) {
				var lost atomic.Bool
				return faultable{handle{m, owner}, func(_ context.Context, name string, of driver.Ref, real func() error) error {
					err := real()
					if err == nil && name == string(op) && (of.Phone == ref.Phone || op == drivertest.OpPrepare) && lost.CompareAndSwap(false, true) {
						return errAway
					}
					return err
				}}, lost.Load
			},
		})
	}
	drivertest.Run(t, harness)
}

func plant(t *testing.T, m *machine, kind driver.ObjectKind, ref driver.Ref) func(*testing.T) {
	m.plant(kind, ref, drivertest.Owner{})
	intact := m.intact(kind, ref)
	t.Cleanup(func() { m.uproot(kind, ref) })
	return func(t *testing.T) {
		t.Helper()
		if !intact() {
			t.Errorf("the foreign %s of %v is gone or was changed", kind, ref)
		}
	}
}
