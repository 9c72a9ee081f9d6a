package simulated

import (
	"encoding/json"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/lethe-cloud/lethe/internal/driver"
	"github.com/lethe-cloud/lethe/internal/driver/drivertest"
	"github.com/lethe-cloud/lethe/internal/phone"
)

// open gives a driver on a host in dir.
func open(t testing.TB, dir string, owner drivertest.Owner, config Config) *Driver {
	t.Helper()
	text, err := json.Marshal(config)
	if err != nil {
		t.Fatal(err)
	}
	d, err := Open(owner.Installation, phone.Server{ID: owner.Server, Endpoint: "sim://" + dir, Config: text})
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func newOwner() drivertest.Owner {
	return drivertest.Owner{Installation: phone.NewID[string](), Server: phone.NewID[phone.ServerID]()}
}

// newHost makes a host in a folder of its own.
func newHost(t testing.TB, config Config) (d *Driver, dir string, owner drivertest.Owner) {
	t.Helper()
	dir, owner = filepath.Join(t.TempDir(), "host"), newOwner()
	d = open(t, dir, owner, config)
	if err := d.Create(t.Context()); err != nil {
		t.Fatal(err)
	}
	return d, dir, owner
}

// clock is a time that tests set; the zero clock does not go by itself.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func newClock() *clock { return &clock{now: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)} }

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) Add(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// timed gives a host whose time is the clock's.
func timed(t testing.TB, config Config) (*Driver, *clock) {
	t.Helper()
	d, _, _ := newHost(t, config)
	clock := newClock()
	d.now = clock.Now
	return d, clock
}

// newSpec describes a first life of a new phone on an image that is prepared on d's host.
func newSpec(t testing.TB, d *Driver) driver.Spec {
	t.Helper()
	image := phone.Image{ID: phone.NewID[phone.ImageID](), Reference: "example.test/phone:12"}
	identity, err := d.Prepare(t.Context(), image)
	if err != nil {
		t.Fatal(err)
	}
	id := phone.NewID[phone.ID]()
	return driver.Spec{
		Ref: driver.Ref{Phone: id, Generation: 1}, Job: phone.NewID[phone.JobID](), Name: "phone-" + string(id[:6]),
		Project: phone.NewID[phone.ProjectID](), Image: image, Identity: identity, ADBPort: 5555,
	}
}

func nextLife(spec driver.Spec) driver.Spec {
	spec.Generation++
	spec.Job = phone.NewID[phone.JobID]()
	return spec
}

// started makes a first life and starts it.
func started(t testing.TB, d *Driver, spec driver.Spec) driver.Spec {
	t.Helper()
	must(t, drop(d.Ensure(t.Context(), spec)))
	must(t, d.Start(t.Context(), spec.Ref))
	return spec
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func inspect(t testing.TB, d *Driver, ref driver.Ref) driver.Instance {
	t.Helper()
	instance, err := d.Inspect(t.Context(), ref)
	must(t, err)
	return instance
}

// sh runs a program of a phone; its words may stand in one text.
func sh(t testing.TB, d *Driver, ref driver.Ref, stdin string, words string) driver.Result {
	t.Helper()
	result, err := d.Exec(t.Context(), ref, driver.Command{Args: strings.Fields(words), Stdin: []byte(stdin)})
	must(t, err)
	return result
}

// wantError holds err to a code and, unless it is "", a reason and a part of its message.
func wantError(t testing.TB, err error, code phone.Code, reason phone.Reason, part string) {
	t.Helper()
	if err == nil || phone.CodeOf(err) != code || reason != "" && phone.ReasonOf(err) != reason || !strings.Contains(err.Error(), part) {
		t.Errorf("error %v (%s, %s); want %s, %s and %q in it", err, phone.CodeOf(err), phone.ReasonOf(err), code, reason, part)
	}
}
