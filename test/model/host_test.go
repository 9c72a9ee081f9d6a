package model

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/lethe-cloud/lethe/internal/driver"
	"github.com/lethe-cloud/lethe/internal/driver/drivertest"
	"github.com/lethe-cloud/lethe/internal/driver/simulated"
	"github.com/lethe-cloud/lethe/internal/phone"
)

// machine is a host in memory that every handle on it shares. It keeps the whole contract of package driver (TestHostConformance
// holds it to that), on whatever clock the time package has; how a boot goes is its plan's to say.
type machine struct {
	mu        sync.Mutex
	images    map[string]phone.ImageIdentity // prepared here, by id
	instances map[string]*instance           // by name
	volumes   map[string]*volume             // by name
	missing   map[string]bool                // references that nobody can get
	pinned    map[string]bool                // volumes that cannot be removed
	lost      map[string]string              // what is not there any more, by name, and why, if no worker's job was the reason
	away      bool
	full      bool
	hangs     bool
	plan      func(driver.Ref) boot
	newly     []ran       // commands that were run, and not looked at yet
	ran       map[ran]int // how often each was
	late      bool        // the call at hand is one of a worker that has lost its job: what it makes is marked so
}

// ran is one command in one life.
type ran struct {
	ref     driver.Ref
	command string
}

// boot is how one start goes.
type boot struct {
	takes    time.Duration // until it has booted; 0 is never
	exits    time.Duration // after which it ends by itself; 0 is never
	code     int
	vanishes bool // instead of ending, it is gone
}

// instance is one on the host; one without an owner is not lethe's.
type instance struct {
	owner   drivertest.Owner
	spec    driver.Spec
	started time.Time
	boot    boot
	running bool
	exited  bool
	code    int
	props   map[string]string
	// excused says why it may boot without a boot slot; "" is not at all.
	excused string
	// ended says why it does not run, when it was not stopped by the worker of a job.
	ended string
}

type volume struct {
	owner drivertest.Owner
	ref   driver.Ref
	job   phone.JobID
	files map[string][]byte
	late  bool
	// written is how often its phone was used.
	written int
}

const (
	userFile = "/data/user"
	// app is one that a phone may have, and appFile where.
	app     = "com.example.app"
	appFile = "/data/app/" + app
)

// userData is what is in the userFile of a volume that nobody has tampered with.
func (v *volume) userData() string {
	return fmt.Sprintf("%s, used %d times", volumeName(v.ref), v.written)
}

// intact reports whether what its phone was used for is still there.
func (v *volume) intact() bool {
	data, there := v.files[userFile]
	return there == (v.written > 0) && (!there || string(data) == v.userData())
}

// lose removes an instance, and its volume, as a host or its operator might.
func (m *machine) lose(ref driver.Ref, volume bool) {
	delete(m.instances, instanceName(ref))
	m.lost[instanceName(ref)] = "it was removed by hand"
	if volume {
		delete(m.volumes, volumeName(ref))
		m.lost[volumeName(ref)] = "it was removed by hand"
	}
}

func newMachine() *machine {
	return &machine{
		images: map[string]phone.ImageIdentity{}, instances: map[string]*instance{}, volumes: map[string]*volume{},
		missing: map[string]bool{}, pinned: map[string]bool{}, lost: map[string]string{}, ran: map[ran]int{}, plan: func(driver.Ref) boot { return boot{takes: 20 * time.Millisecond} },
	}
}

func instanceName(ref driver.Ref) string { return fmt.Sprintf("%s-%d", ref.Phone, ref.Generation) }
func volumeName(ref driver.Ref) string   { return instanceName(ref) + "-data" }

// lifeMark is a file that every life writes into its volume when it starts: whose data it is.
const lifeMark = "/data/life"

func markOf(ref driver.Ref) string { return instanceName(ref) }

// pass lets time have its effects: what was to end or vanish by now has.
func (m *machine) pass() {
	for name, i := range m.instances {
		if !i.running || i.boot.exits == 0 || time.Since(i.started) < i.boot.exits {
			continue
		}
		if i.boot.vanishes {
			delete(m.instances, name)
			m.lost[name] = "it vanished"
			continue
		}
		i.running, i.exited, i.code, i.ended = false, true, i.boot.code, "it ended by itself"
	}
}

// booted reports whether it runs and has booted.
func (i *instance) booted() bool {
	return i.running && i.boot.takes > 0 && time.Since(i.started) >= i.boot.takes
}

// handle is a driver.Driver for one owner.
type handle struct {
	*machine
	owner drivertest.Owner
}

func refused(code phone.Code, reason phone.Reason, format string, args ...any) error {
	return phone.Errorf(code, reason, format, args...)
}

// begin takes the machine for one call; end gives it back.
func (h handle) begin(ctx context.Context) (end func(), err error) {
	ended := func() error {
		return &phone.Error{Code: phone.Unavailable, Msg: "the call was given up", Err: ctx.Err()}
	}
	if ctx.Err() != nil {
		return nil, ended()
	}
	h.mu.Lock()
	hangs, away := h.hangs, h.away
	h.mu.Unlock()
	switch {
	case hangs:
		<-ctx.Done()
		return nil, ended()
	case away:
		return nil, refused(phone.Unavailable, "", "the host does not answer")
	}
	h.mu.Lock()
	h.pass()
	return h.mu.Unlock, nil
}

// own gives an instance that is the owner's, or nil.
func (h handle) own(ref driver.Ref) *instance {
	if i := h.instances[instanceName(ref)]; i != nil && i.owner == h.owner {
		return i
	}
	return nil
}

func (h handle) Info(ctx context.Context) (driver.Info, error) {
	end, err := h.begin(ctx)
	if err != nil {
		return driver.Info{}, err
	}
	defer end()
	return driver.Info{Driver: "memory", Version: "1", Architecture: "amd64", Capabilities: []string{driver.CapabilitySpace}}, nil
}

func (h handle) Prepare(ctx context.Context, image phone.Image) (phone.ImageIdentity, error) {
	end, err := h.begin(ctx)
	if err != nil {
		return phone.ImageIdentity{}, err
	}
	defer end()
	if h.missing[image.Reference] {
		return phone.ImageIdentity{}, refused(phone.NotFound, phone.ReasonImageNotFound, "there is no image %s", image.Reference)
	}
	identity := phone.ImageIdentity{ID: "sha256:" + image.Reference}
	h.images[identity.ID] = identity
	return identity, nil
}

func (h handle) Ensure(ctx context.Context, spec driver.Spec) (driver.Instance, error) {
	end, err := h.begin(ctx)
	if err != nil {
		return driver.Instance{}, err
	}
	defer end()
	if err := simulated.Rules().Check(spec.Properties); err != nil {
		return driver.Instance{}, err
	}
	if _, there := h.images[spec.Identity.ID]; !there {
		return driver.Instance{}, refused(phone.NotFound, phone.ReasonImageNotFound, "there is no image %s here", spec.Identity.ID)
	}
	if err := h.higher(spec.Ref); err != nil {
		return driver.Instance{}, err
	}
	i, v := h.instances[instanceName(spec.Ref)], h.volumes[volumeName(spec.Ref)]
	switch {
	case i != nil && i.owner != h.owner, v != nil && v.owner != h.owner:
		return driver.Instance{}, refused(phone.Conflict, phone.ReasonForeignObject, "%s is taken by something else", instanceName(spec.Ref))
	case v != nil && v.job != spec.Job:
		return driver.Instance{}, refused(phone.Conflict, "", "the volume %s belongs to another job", volumeName(spec.Ref))
	}
	if v == nil {
		h.volumes[volumeName(spec.Ref)] = &volume{owner: h.owner, ref: spec.Ref, job: spec.Job, files: map[string][]byte{}, late: h.late}
	}
	if i == nil {
		h.instances[instanceName(spec.Ref)] = &instance{owner: h.owner, spec: spec}
		if h.late {
			h.instances[instanceName(spec.Ref)].excused = madeLate
		}
	}
	return h.see(spec.Ref), nil
}

// higher refuses below a later life.
func (h handle) higher(ref driver.Ref) error {
	for _, i := range h.instances {
		if i.owner == h.owner && i.spec.Phone == ref.Phone && i.spec.Generation > ref.Generation {
			return refused(phone.Conflict, phone.ReasonHigherGeneration, "there is an instance of life %d", i.spec.Generation)
		}
	}
	for _, v := range h.volumes {
		if v.owner == h.owner && v.ref.Phone == ref.Phone && v.ref.Generation > ref.Generation {
			return refused(phone.Conflict, phone.ReasonHigherGeneration, "there is a volume of life %d", v.ref.Generation)
		}
	}
	return nil
}

const madeLate = "it was made by a call that landed late"

func (h handle) Remake(ctx context.Context, spec driver.Spec) (driver.Instance, error) {
	end, err := h.begin(ctx)
	if err != nil {
		return driver.Instance{}, err
	}
	defer end()
	if err := simulated.Rules().Check(spec.Properties); err != nil {
		return driver.Instance{}, err
	}
	if err := h.higher(spec.Ref); err != nil {
		return driver.Instance{}, err
	}
	i, v := h.instances[instanceName(spec.Ref)], h.volumes[volumeName(spec.Ref)]
	switch {
	case i != nil && i.owner != h.owner, v != nil && v.owner != h.owner:
		return driver.Instance{}, refused(phone.Conflict, phone.ReasonForeignObject, "%s is taken by something else", instanceName(spec.Ref))
	case v == nil:
		return driver.Instance{}, refused(phone.NotFound, phone.ReasonVolumeGone, "there is no volume %s", volumeName(spec.Ref))
	case i != nil && made(i.spec) == made(spec):
		return h.see(spec.Ref), nil
	case i != nil && i.running:
		return driver.Instance{}, refused(phone.Precondition, "", "the instance %s runs", instanceName(spec.Ref))
	}
	if _, there := h.images[spec.Identity.ID]; !there {
		return driver.Instance{}, refused(phone.NotFound, phone.ReasonImageNotFound, "there is no image %s here", spec.Identity.ID)
	}
	h.instances[instanceName(spec.Ref)] = &instance{owner: h.owner, spec: spec}
	if h.late {
		h.instances[instanceName(spec.Ref)].excused = madeLate
	}
	return h.see(spec.Ref), nil
}

func made(spec driver.Spec) string { return simulated.Rules().Made(spec.Image.ID, spec.Properties) }

func (h handle) Start(ctx context.Context, ref driver.Ref) error {
	end, err := h.begin(ctx)
	if err != nil {
		return err
	}
	defer end()
	i := h.own(ref)
	if i == nil {
		return refused(phone.NotFound, "", "there is no instance %s", instanceName(ref))
	}
	if i.running {
		return nil
	}
	i.running, i.exited, i.code, i.started, i.boot = true, false, 0, time.Now(), h.plan(ref)
	i.excused, i.ended = "", ""
	if h.late {
		i.excused = "it was started by a call that landed late"
	}
	i.props = map[string]string{}
	for key, value := range i.spec.Properties {
		if simulated.Rules().Timing(key) == driver.AtCreation {
			i.props[key] = value
		}
	}
	if v := h.volumes[volumeName(ref)]; v != nil {
		v.files[lifeMark] = []byte(markOf(ref))
	}
	return nil
}

func (h handle) Stop(ctx context.Context, ref driver.Ref) error {
	end, err := h.begin(ctx)
	if err != nil {
		return err
	}
	defer end()
	if i := h.own(ref); i != nil && i.running {
		i.running, i.exited, i.code = false, true, 137
	}
	return nil
}

func (h handle) Remove(ctx context.Context, ref driver.Ref) error {
	end, err := h.begin(ctx)
	if err != nil {
		return err
	}
	defer end()
	if h.own(ref) != nil {
		delete(h.instances, instanceName(ref))
	}
	return nil
}

func (h handle) Erase(ctx context.Context, id phone.ID, below phone.Generation) (driver.Erasure, error) {
	end, err := h.begin(ctx)
	if err != nil {
		return driver.Erasure{}, err
	}
	defer end()
	var erasure driver.Erasure
	for _, name := range sorted(h.volumes) {
		v := h.volumes[name]
		if v.owner != h.owner || v.ref.Phone != id || v.ref.Generation >= below {
			continue
		}
		if h.pinned[name] {
			return driver.Erasure{}, refused(phone.Internal, phone.ReasonEraseFailed, "the volume %s cannot be removed", name)
		}
		gone := phone.ErasedVolume{Name: name, Generation: v.ref.Generation, Gone: true}
		for _, data := range v.files {
			gone.Files, gone.Bytes = gone.Files+1, gone.Bytes+int64(len(data))
		}
		delete(h.volumes, name)
		if h.own(v.ref) != nil {
			delete(h.instances, instanceName(v.ref))
		}
		erasure.Volumes = append(erasure.Volumes, gone)
	}
	erasure.LookedFor = time.Now()
	return erasure, nil
}

func (h handle) Discard(ctx context.Context, ref driver.Ref) error {
	end, err := h.begin(ctx)
	if err != nil {
		return err
	}
	defer end()
	if v := h.volumes[volumeName(ref)]; v != nil && v.owner == h.owner {
		if h.pinned[volumeName(ref)] {
			return refused(phone.Internal, phone.ReasonEraseFailed, "the volume %s cannot be removed", volumeName(ref))
		}
		delete(h.volumes, volumeName(ref))
	}
	if h.own(ref) != nil {
		delete(h.instances, instanceName(ref))
	}
	return nil
}

// Space of a host that is full leaves no room for a second volume, however small.
func (h handle) Space(ctx context.Context, ref driver.Ref) (phone.Space, error) {
	end, err := h.begin(ctx)
	if err != nil {
		return phone.Space{}, err
	}
	defer end()
	v := h.volumes[volumeName(ref)]
	if v == nil || v.owner != h.owner {
		return phone.Space{}, refused(phone.NotFound, "", "there is no volume %s", volumeName(ref))
	}
	space := phone.Space{Free: 1 << 30}
	for _, data := range v.files {
		space.Used += int64(len(data))
	}
	if h.full {
		space.Free = space.Used
	}
	return space, nil
}

func (h handle) Inspect(ctx context.Context, ref driver.Ref) (driver.Instance, error) {
	end, err := h.begin(ctx)
	if err != nil {
		return driver.Instance{}, err
	}
	defer end()
	if h.own(ref) == nil {
		return driver.Instance{}, refused(phone.NotFound, "", "there is no instance %s", instanceName(ref))
	}
	return h.see(ref), nil
}

func (h handle) see(ref driver.Ref) driver.Instance {
	i := h.own(ref)
	seen := driver.Instance{
		Ref: ref, Name: instanceName(ref), Running: i.running, Booted: i.booted(), Exited: i.exited, ExitCode: i.code,
		Identity: i.spec.Identity, Made: made(i.spec), Volume: volumeName(ref), Address: fmt.Sprintf("127.0.0.1:%d", i.spec.ADBPort),
	}
	switch {
	case i.exited:
		seen.Log = "the last line"
	case i.running && !seen.Booted:
		seen.Waiting, seen.CheckAfter = "it boots", 200*time.Millisecond
		if left := i.boot.takes - time.Since(i.started); left > 0 {
			seen.CheckAfter = min(left, 3*time.Second)
		}
	}
	return seen
}

func (h handle) List(ctx context.Context) ([]driver.Object, error) {
	end, err := h.begin(ctx)
	if err != nil {
		return nil, err
	}
	defer end()
	var all []driver.Object
	for _, name := range sorted(h.instances) {
		if i := h.instances[name]; i.owner == h.owner {
			all = append(all, driver.Object{Kind: driver.ObjectInstance, Name: name, Phone: i.spec.Phone, Generation: i.spec.Generation, Running: i.running})
		}
	}
	for _, name := range sorted(h.volumes) {
		if v := h.volumes[name]; v.owner == h.owner {
			all = append(all, driver.Object{Kind: driver.ObjectVolume, Name: name, Phone: v.ref.Phone, Generation: v.ref.Generation, Job: v.job})
		}
	}
	return all, nil
}
