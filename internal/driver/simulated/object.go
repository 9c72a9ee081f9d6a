package simulated

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"strconv"
	"time"

	"github.com/lethe-cloud/lethe/internal/driver"
	"github.com/lethe-cloud/lethe/internal/phone"
)

// label is what every object of a host carries: whose it is. An instance has it in its record, a volume in its folder's name,
// so that a volume with its label appears, moves and goes in one step.
type label struct {
	Installation string           `json:"installation"`
	Server       phone.ServerID   `json:"server"`
	Phone        phone.ID         `json:"phone"`
	Generation   phone.Generation `json:"generation"`
	Job          phone.JobID      `json:"job"`
}

// volumeLabel is the label of the instance's volume.
func (i *instance) volumeLabel() label {
	l := i.label
	if i.VolumeJob != "" {
		l.Job = i.VolumeJob
	}
	return l
}

func (l label) ref() driver.Ref { return driver.Ref{Phone: l.Phone, Generation: l.Generation} }

// instance is the record of an instance.
type instance struct {
	label
	PhoneName  string              `json:"phone_name"`
	Project    phone.ProjectID     `json:"project"`
	Image      string              `json:"image"`
	Identity   phone.ImageIdentity `json:"identity"`
	Properties phone.Properties    `json:"properties"` // those that take effect at creation
	ADBPort    int                 `json:"adb_port"`
	ADBKeys    []string            `json:"adb_keys,omitempty"`
	Made       string              `json:"made,omitempty"`       // see driver.Instance
	VolumeJob  phone.JobID         `json:"volume_job,omitempty"` // of the volume's label, where the instance was made anew by another job
	Share      string              `json:"share,omitempty"`      // where it sees the server's shared storage; "": nowhere
	CreatedAt  time.Time           `json:"created_at"`
	Run        *run                `json:"run,omitempty"` // nil: never started
}

// run is the time from one Start of an instance to its end. All that will happen is decided when it begins and stored as
// deadlines, so that how the instance is follows from the record and the clock alone.
type run struct {
	StartedAt time.Time         `json:"started_at"`
	BootsAt   time.Time         `json:"boots_at,omitzero"`    // zero: never
	ExitsAt   time.Time         `json:"exits_at,omitzero"`    // zero: does not end by itself
	VanishAt  time.Time         `json:"vanishes_at,omitzero"` // zero: does not vanish
	StoppedAt time.Time         `json:"stopped_at,omitzero"`
	ExitCode  int               `json:"exit_code,omitempty"` // of an end by itself
	Set       map[string]string `json:"set,omitempty"`       // what setprop set and does not survive the run
}

// killed is the exit code of what was ended by force, an instance or a program: 128 and SIGKILL, as Docker has it.
const killed = 137

func reached(deadline, now time.Time) bool { return !deadline.IsZero() && !now.Before(deadline) }

// gone reports whether the instance has vanished. One that had ended before stays.
func (i *instance) gone(now time.Time) bool {
	r := i.Run
	return r != nil && reached(r.VanishAt, now) && (r.StoppedAt.IsZero() || r.StoppedAt.After(r.VanishAt))
}

func (i *instance) running(now time.Time) bool {
	return i.Run != nil && i.Run.StoppedAt.IsZero() && !reached(i.Run.ExitsAt, now)
}

func (i *instance) booted(now time.Time) bool { return i.running(now) && reached(i.Run.BootsAt, now) }

// view is the instance as the contract has it.
func (i *instance) view(now time.Time) driver.Instance {
	v := driver.Instance{
		Ref: i.ref(), Name: instanceName(i.ref()), Running: i.running(now), Booted: i.booted(now), Identity: i.Identity, Made: i.Made,
		Volume: volumeName(i.ref()), Address: net.JoinHostPort("127.0.0.1", strconv.Itoa(i.ADBPort)),
	}
	switch {
	case i.Run == nil:
	case v.Running && !v.Booted:
		v.CheckAfter = i.Run.next(now)
	case !v.Running:
		v.Exited, v.ExitCode = true, killed
		if reached(i.Run.ExitsAt, now) && (i.Run.StoppedAt.IsZero() || i.Run.ExitsAt.Before(i.Run.StoppedAt)) {
			v.ExitCode = i.Run.ExitCode
			v.Log = fmt.Sprintf("simulated: ended with exit code %d after %s, by a scripted fault\n", v.ExitCode, i.Run.ExitsAt.Sub(i.Run.StartedAt))
		}
	}
	return v
}

// next is how long it is until something happens to a run that has not booted; 0 when nothing will.
func (r *run) next(now time.Time) time.Duration {
	var soonest time.Duration
	for _, deadline := range []time.Time{r.BootsAt, r.ExitsAt, r.VanishAt} {
		if left := deadline.Sub(now); left > 0 && (soonest == 0 || left < soonest) {
			soonest = left
		}
	}
	return soonest
}

// The host's names of objects. They do not tell installations apart, as names on a shared Docker daemon might not: an object
// is ours by its label alone.
func instanceName(ref driver.Ref) string {
	return fmt.Sprintf("lethe-%s-%d", ref.Phone, ref.Generation)
}

func volumeName(ref driver.Ref) string { return instanceName(ref) + "-data" }

// ownership says whose a thing is that has the name of an object.
type ownership int

const (
	absent ownership = iota
	foreign
	ours
)

// owns reports whether a label is of this installation and this server.
func (d *Driver) owns(l label) bool { return l.Installation == d.installation && l.Server == d.server }

// readInstance reads the record of an instance. A file that is no such record is foreign: ours are never half written. One
// that has vanished is absent, though its record is still there.
func (d *Driver) readInstance(ref driver.Ref) (*instance, ownership, error) {
	i, owner, err := d.readInstanceRecord(ref)
	if owner == ours && i.gone(d.now()) {
		return nil, absent, nil
	}
	return i, owner, err
}

// readInstanceRecord is readInstance, but for it what has vanished is still there.
func (d *Driver) readInstanceRecord(ref driver.Ref) (*instance, ownership, error) {
	path := d.instancePath(ref)
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, absent, nil
	}
	if err != nil {
		if info, statErr := os.Lstat(path); statErr == nil && !info.Mode().IsRegular() {
			return nil, foreign, nil
		}
		return nil, absent, err
	}
	var i instance
	if json.Unmarshal(text, &i) != nil || !d.owns(i.label) || i.ref() != ref {
		return nil, foreign, nil
	}
	return &i, ours, nil
}

// names gives the names that the phone's instances say it has.
func (d *Driver) names(id phone.ID) []string {
	c, _ := d.scan(id) // what cannot be read here fails in the call itself
	var names []string
	for _, ref := range c.instances {
		if i, owner, _ := d.readInstanceRecord(ref); owner == ours {
			names = append(names, i.PhoneName)
		}
	}
	return names
}

// about makes the subject of a call on one life of a phone.
func (d *Driver) about(ref driver.Ref) subject {
	return subject{phone: ref.Phone, generation: ref.Generation, names: func() []string { return d.names(ref.Phone) }}
}

// chance gives a number from 0 to 1 that belongs to a life and a purpose, always the same one.
func chance(ref driver.Ref, purpose string) float64 {
	sum := sha256.Sum256(fmt.Appendf(nil, "%s %s %d", purpose, ref.Phone, ref.Generation))
	return float64(binary.BigEndian.Uint64(sum[:8])>>11) / (1 << 53)
}

// wantRef refuses what cannot be the name of a life, before it becomes a path.
func wantRef(ref driver.Ref) error {
	if !phone.ValidID(ref.Phone) || ref.Generation < 1 {
		return phone.Errorf(phone.Invalid, "",
			"phone %q generation %d cannot be: an id has 32 lower-case hex digits, generations count from 1", ref.Phone, ref.Generation)
	}
	return nil
}
