package simulated

import (
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"github.com/lethe-cloud/lethe/internal/driver"
	"github.com/lethe-cloud/lethe/internal/driver/drivertest"
	"github.com/lethe-cloud/lethe/internal/phone"
)

const missingReference = "example.test/missing:1"

// bootTime is the boot of most tests: long enough to be seen, short enough to wait for.
const bootTime = Duration(50 * time.Millisecond)

func TestConformance(t *testing.T) {
	t.Parallel()
	config := Config{BootTime: bootTime, BootSpread: 0.5, DataFiles: 12, MissingImages: []string{missingReference}}
	_, dir, _ := newHost(t, config)
	with := func(t *testing.T, owner drivertest.Owner, faults ...Fault) *Driver {
		config := config
		config.Faults = faults
		return open(t, dir, owner, config)
	}
	var port atomic.Int64
	port.Store(20_000)
	harness := drivertest.Harness{
		Open: func(t *testing.T, owner drivertest.Owner) driver.Driver { return with(t, owner) },
		Share: func(t *testing.T, owner drivertest.Owner) driver.Driver {
			config := config
			config.SharePath = "/data/share"
			return open(t, dir, owner, config)
		},
		Rules:        Rules(),
		Image:        phone.Image{ID: phone.NewID[phone.ImageID](), Name: "boots", Reference: "example.test/phone:12"},
		Other:        phone.Image{ID: phone.NewID[phone.ImageID](), Name: "boots too", Reference: "example.test/phone:13"},
		MissingImage: phone.Image{ID: phone.NewID[phone.ImageID](), Name: "missing", Reference: missingReference},
		BootTimeout:  20 * time.Second,
		Port:         func(*testing.T) int { return int(port.Add(1)) },
		Phones:       40,
		Plant: func(t *testing.T, kind driver.ObjectKind, spec driver.Spec) func(*testing.T) {
			return plant(t, open(t, dir, newOwner(), config), kind, spec)
		},
		Pin: func(t *testing.T, owner drivertest.Owner, instance driver.Instance) func() {
			d := with(t, owner)
			release := func() {
				if err := d.WriteFaults(nil); err != nil {
					t.Error(err)
				}
			}
			t.Cleanup(release)
			if err := d.WriteFaults([]Fault{
				{Phone: string(instance.Phone), Operation: OpErase, Effect: EffectFail},
				{Phone: string(instance.Phone), Operation: OpDiscard, Effect: EffectFail},
			}); err != nil {
				t.Fatal(err)
			}
			return release
		},
		Unavailable: func(t *testing.T, owner drivertest.Owner) driver.Driver {
			gone := filepath.Join(t.TempDir(), "gone")
			d := open(t, gone, owner, config)
			if err := d.Create(t.Context()); err != nil {
				t.Fatal(err)
			}
			if err := os.Rename(gone, gone+"-unmounted"); err != nil {
				t.Fatal(err)
			}
			return d
		},
		Hanging: func(t *testing.T, owner drivertest.Owner) driver.Driver {
			return with(t, owner, Fault{Operation: OpAll, Effect: EffectSlow, Duration: Duration(time.Hour)})
		},
	}
	for _, op := range []drivertest.Operation{
		drivertest.OpPrepare, drivertest.OpEnsure, drivertest.OpRemake, drivertest.OpStart, drivertest.OpStop, drivertest.OpRemove, drivertest.OpErase, drivertest.OpDiscard,
	} {
		harness.LostAnswers = append(harness.LostAnswers, drivertest.LostAnswer{
			Name: "once", Operation: op,
			Open: func(t *testing.T, owner drivertest.Owner, ref driver.Ref) (driver.Driver, func() bool) {
				fault := Fault{Name: phone.NewID[string](), Phone: string(ref.Phone), Operation: Operation(op), Effect: EffectLostAnswer, Times: 1}
				if op == drivertest.OpPrepare {
					fault.Phone = "*"
				}
				d := with(t, owner, fault)
				return d, func() bool { return strikes(t, d, d.scripted[0]) == 1 }
			},
		})
	}
	drivertest.Run(t, harness)
}

// strikes is how often a rule with a number of times has struck.
func strikes(t *testing.T, d *Driver, r rule) int64 {
	t.Helper()
	info, err := os.Stat(d.path(strikesDir, r.key))
	if os.IsNotExist(err) {
		return 0
	}
	if err != nil {
		t.Fatal(err)
	}
	return info.Size()
}

// plant makes what an operator might have put there by hand: something of that name that no lethe made.
func plant(t *testing.T, d *Driver, kind driver.ObjectKind, spec driver.Spec) func(*testing.T) {
	t.Helper()
	path, file := d.instancePath(spec.Ref), d.instancePath(spec.Ref)
	if kind == driver.ObjectVolume {
		path = filepath.Join(d.phoneDir(spec.Phone), "1.volume")
		file = filepath.Join(path, "precious")
	}
	if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, []byte("not lethe's"), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(path); err != nil {
			t.Error(err)
		}
	})
	return func(t *testing.T) {
		t.Helper()
		text, err := os.ReadFile(file)
		if err != nil || string(text) != "not lethe's" {
			t.Errorf("the foreign %s is %q, %v", kind, text, err)
		}
	}
}
