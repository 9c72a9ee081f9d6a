package work_test

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"sort"
	"strings"
	"sync"
	"time"

	"github.com/lethe-cloud/lethe/internal/driver"
	"github.com/lethe-cloud/lethe/internal/phone"
)

// memoryHost is a host in memory that keeps the driver contract and lets a test stand in the way of any call: hooks see each
// call before it is done, may block it, and may fail it.
type memoryHost struct {
	mu        sync.Mutex
	prepared  map[string]phone.ImageIdentity
	instances map[driver.Ref]*memoryInstance
	volumes   map[driver.Ref]phone.JobID
	calls     []string
	hook      func(ctx context.Context, call string, ref driver.Ref) error
	identity  func(reference string) string
	space     phone.Space
	shared    map[string]string // the shared storage, by path; nil: it is not there
}

type memoryInstance struct {
	spec     driver.Spec
	running  bool
	booted   bool
	exitCode int
	exited   bool
	props    map[string]string
	ran      []string // commands and calls of pm
	exit     int      // what commands end with
	packages map[string]bool
	files    map[string][]byte      // what was unpacked in it, by name
	headers  map[string]*tar.Header // of files that were unpacked
	session  []string
}

// pm answers as Android's package manager does.
func (i *memoryInstance) pm(args []string) driver.Result {
	there := i.packages[args[len(args)-1]]
	switch {
	case args[0] == "path" && there:
		return driver.Result{Stdout: []byte("package:/data/app/" + args[1] + "/base.apk\n")}
	case args[0] == "uninstall" && there:
		delete(i.packages, args[1])
		return driver.Result{Stdout: []byte("Success\n")}
	case args[0] == "install" && bytes.HasPrefix(i.files[args[2][1:]], []byte("apk of ")):
		i.packages[strings.TrimPrefix(string(i.files[args[2][1:]]), "apk of ")] = true
		return driver.Result{Stdout: []byte("Success\n")}
	case args[0] == "install-create":
		i.session = nil
		return driver.Result{Stdout: []byte("Success: created install session [42]\n")}
	case args[0] == "install-write" && args[1] == "42" && i.files[args[3][1:]] != nil:
		i.session = append(i.session, string(i.files[args[3][1:]]))
		return driver.Result{Stdout: []byte("Success\n")}
	case args[0] == "install-commit" && args[1] == "42":
		i.packages[strings.Join(i.session, "+")] = true
		return driver.Result{Stdout: []byte("Success\n")}
	case args[0] == "uninstall":
		return driver.Result{ExitCode: 1, Stdout: []byte("Failure [DELETE_FAILED_INTERNAL_ERROR]\n")}
	}
	return driver.Result{ExitCode: 1}
}

func newMemoryHost() *memoryHost {
	return &memoryHost{
		prepared: map[string]phone.ImageIdentity{}, instances: map[driver.Ref]*memoryInstance{}, volumes: map[driver.Ref]phone.JobID{},
		hook:     func(context.Context, string, driver.Ref) error { return nil },
		identity: func(reference string) string { return "sha256:" + reference },
		space:    phone.Space{Used: 1 << 20, Free: 1 << 40},
	}
}

func anyProperties(string, phone.Properties) *phone.Error { return nil }

// onCall replaces the hook.
func (h *memoryHost) onCall(hook func(ctx context.Context, call string, ref driver.Ref) error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.hook = hook
}

// count says how often a call was made.
func (h *memoryHost) count(call string) int {
	h.mu.Lock()
	defer h.mu.Unlock()
	n := 0
	for _, c := range h.calls {
		if c == call {
			n++
		}
	}
	return n
}

// errDeaf of a hook is of a host that does not notice that a call was given up.
var errDeaf = errors.New("deaf")

func (h *memoryHost) enter(ctx context.Context, call string, ref driver.Ref) error {
	h.mu.Lock()
	h.calls = append(h.calls, call)
	hook := h.hook
	h.mu.Unlock()
	switch err := hook(ctx, call, ref); {
	case errors.Is(err, errDeaf):
		return nil
	case err != nil:
		return err
	}
	return ctx.Err()
}

func (h *memoryHost) Driver(context.Context, phone.Server) (driver.Driver, error) { return h, nil }

func (h *memoryHost) Rules(string) driver.PropertyRules {
	return driver.PropertyRules{
		Timing: func(key string) driver.Timing {
			switch key {
			case "ro.product.model":
				return driver.AtCreation
			case "sys.prop.writeimsi":
				return driver.Recorded
			}
			return driver.AfterBoot
		},
		Check: func(phone.Properties) *phone.Error { return nil },
	}
}

func (h *memoryHost) Info(ctx context.Context) (driver.Info, error) {
	if err := h.enter(ctx, "info", driver.Ref{}); err != nil {
		return driver.Info{}, err
	}
	return driver.Info{Driver: "memory"}, nil
}

func (h *memoryHost) Prepare(ctx context.Context, image phone.Image) (phone.ImageIdentity, error) {
	if err := h.enter(ctx, "prepare", driver.Ref{}); err != nil {
		return phone.ImageIdentity{}, err
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	identity := phone.ImageIdentity{ID: h.identity(image.Reference)}
	h.prepared[identity.ID] = identity
	return identity, nil
}

func (h *memoryHost) Ensure(ctx context.Context, spec driver.Spec) (driver.Instance, error) {
	if err := h.enter(ctx, "ensure", spec.Ref); err != nil {
		return driver.Instance{}, err
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if _, ok := h.prepared[spec.Identity.ID]; !ok {
		return driver.Instance{}, phone.Errorf(phone.NotFound, phone.ReasonImageNotFound, "no image %s here", spec.Identity.ID)
	}
	for ref := range h.instances {
		if ref.Phone == spec.Phone && ref.Generation > spec.Generation {
			return driver.Instance{}, phone.Errorf(phone.Conflict, phone.ReasonHigherGeneration, "generation %d exists", ref.Generation)
		}
	}
	if job, ok := h.volumes[spec.Ref]; ok && job != spec.Job {
		return driver.Instance{}, phone.Errorf(phone.Conflict, "", "the volume belongs to another job")
	}
	h.volumes[spec.Ref] = spec.Job
	if h.instances[spec.Ref] == nil {
		h.instances[spec.Ref] = &memoryInstance{spec: spec, props: map[string]string{"ro.product.model": spec.Properties["ro.product.model"]}}
	}
	return h.see(spec.Ref), nil
}

func (h *memoryHost) Remake(ctx context.Context, spec driver.Spec) (driver.Instance, error) {
	if err := h.enter(ctx, "remake", spec.Ref); err != nil {
		return driver.Instance{}, err
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	i := h.instances[spec.Ref]
	for ref := range h.instances {
		if ref.Phone == spec.Phone && ref.Generation > spec.Generation {
			return driver.Instance{}, phone.Errorf(phone.Conflict, phone.ReasonHigherGeneration, "generation %d exists", ref.Generation)
		}
	}
	switch _, there := h.volumes[spec.Ref]; {
	case !there:
		return driver.Instance{}, phone.Errorf(phone.NotFound, phone.ReasonVolumeGone, "the volume is gone")
	case i != nil && h.made(i.spec) == h.made(spec):
		return h.see(spec.Ref), nil
	case i != nil && i.running:
		return driver.Instance{}, phone.Errorf(phone.Precondition, "", "the instance runs")
	}
	if _, ok := h.prepared[spec.Identity.ID]; !ok {
		return driver.Instance{}, phone.Errorf(phone.NotFound, phone.ReasonImageNotFound, "no image %s here", spec.Identity.ID)
	}
	if i != nil {
		delete(h.instances, spec.Ref)
		h.mu.Unlock()
		err := h.enter(ctx, "remake, the old one is gone", spec.Ref)
		h.mu.Lock()
		if err != nil {
			return driver.Instance{}, err
		}
	}
	h.instances[spec.Ref] = &memoryInstance{spec: spec, props: map[string]string{"ro.product.model": spec.Properties["ro.product.model"]}}
	return h.see(spec.Ref), nil
}

// SetADBKeys makes the host a driver.KeySetter.
func (h *memoryHost) SetADBKeys(ctx context.Context, ref driver.Ref, keys []string) error {
	if err := h.enter(ctx, "adb keys", ref); err != nil {
		return err
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	i := h.instances[ref]
	if i == nil {
		return phone.Errorf(phone.NotFound, "", "no instance")
	}
	i.spec.ADBKeys = keys
	return nil
}

func (h *memoryHost) made(spec driver.Spec) string {
	return h.Rules("").Made(spec.Image.ID, spec.Properties)
}

func (h *memoryHost) Start(ctx context.Context, ref driver.Ref) error {
	if err := h.enter(ctx, "start", ref); err != nil {
		return err
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	i := h.instances[ref]
	if i == nil {
		return phone.Errorf(phone.NotFound, "", "no instance")
	}
	i.running, i.booted, i.exited = true, true, false
	return nil
}

func (h *memoryHost) Stop(ctx context.Context, ref driver.Ref) error {
	if err := h.enter(ctx, "stop", ref); err != nil {
		return err
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if i := h.instances[ref]; i != nil {
		i.running, i.booted = false, false
	}
	return nil
}

func (h *memoryHost) Remove(ctx context.Context, ref driver.Ref) error {
	if err := h.enter(ctx, "remove", ref); err != nil {
		return err
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.instances, ref)
	return nil
}

func (h *memoryHost) Erase(ctx context.Context, id phone.ID, below phone.Generation) (driver.Erasure, error) {
	if err := h.enter(ctx, "erase", driver.Ref{Phone: id, Generation: below}); err != nil {
		return driver.Erasure{}, err
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	erasure := driver.Erasure{LookedFor: time.Now()}
	for ref := range h.volumes {
		if ref.Phone == id && ref.Generation < below {
			delete(h.volumes, ref)
			delete(h.instances, ref)
			erasure.Volumes = append(erasure.Volumes, phone.ErasedVolume{Name: fmt.Sprint(ref), Generation: ref.Generation, Files: 1, Bytes: 1, Gone: true})
		}
	}
	return erasure, nil
}

func (h *memoryHost) Discard(ctx context.Context, ref driver.Ref) error {
	if err := h.enter(ctx, "discard", ref); err != nil {
		return err
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.volumes, ref)
	delete(h.instances, ref)
	return nil
}

func (h *memoryHost) Space(ctx context.Context, ref driver.Ref) (phone.Space, error) {
	if err := h.enter(ctx, "space", ref); err != nil {
		return phone.Space{}, err
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if _, there := h.volumes[ref]; !there {
		return phone.Space{}, phone.Errorf(phone.NotFound, "", "no volume")
	}
	return h.space, nil
}

func (h *memoryHost) Inspect(ctx context.Context, ref driver.Ref) (driver.Instance, error) {
	if err := h.enter(ctx, "inspect", ref); err != nil {
		return driver.Instance{}, err
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.instances[ref] == nil {
		return driver.Instance{}, phone.Errorf(phone.NotFound, "", "no instance")
	}
	return h.see(ref), nil
}

func (h *memoryHost) see(ref driver.Ref) driver.Instance {
	i := h.instances[ref]
	volume := ""
	if _, there := h.volumes[ref]; there {
		volume = fmt.Sprintf("%s-%d-data", ref.Phone, ref.Generation)
	}
	return driver.Instance{
		Ref: ref, Name: fmt.Sprintf("%s-%d", ref.Phone, ref.Generation), Running: i.running, Booted: i.booted, Exited: i.exited,
		ExitCode: i.exitCode, Log: "last words", Identity: i.spec.Identity, Made: h.made(i.spec), Volume: volume,
		CheckAfter: time.Millisecond,
	}
}

func (h *memoryHost) Exec(ctx context.Context, ref driver.Ref, command driver.Command) (driver.Result, error) {
	if err := h.enter(ctx, "exec "+command.Args[0], ref); err != nil {
		return driver.Result{}, err
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	i := h.instances[ref]
	if i == nil || !i.running {
		return driver.Result{}, phone.Errorf(phone.NotFound, "", "no instance runs")
	}
	switch command.Args[0] {
	case "setprop":
		i.props[command.Args[1]] = command.Args[2]
		return driver.Result{}, nil
	case "sh":
		i.ran = append(i.ran, command.Args[2])
		return driver.Result{ExitCode: i.exit, Stdout: []byte("ran " + command.Args[2] + "\n"), Stderr: []byte("\xff\x00")}, nil
	case "rm":
		for name := range i.files {
			if strings.HasPrefix("/"+name, command.Args[2]+"/") {
				delete(i.files, name)
			}
		}
		return driver.Result{}, nil
	case "pm":
		if i.packages == nil {
			i.packages = map[string]bool{}
		}
		i.ran = append(i.ran, strings.Join(command.Args, " "))
		return i.pm(command.Args[1:]), nil
	}
	var out bytes.Buffer
	for k, v := range i.props {
		fmt.Fprintf(&out, "[%s]: [%s]\n", k, v)
	}
	return driver.Result{Stdout: out.Bytes()}, nil
}

func (h *memoryHost) Unpack(ctx context.Context, ref driver.Ref, archive io.Reader) error {
	if err := h.enter(ctx, "unpack", ref); err != nil {
		return err
	}
	for files := tar.NewReader(archive); ; {
		header, err := files.Next()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		content, err := io.ReadAll(files)
		if err != nil {
			return err
		}
		h.mu.Lock()
		i := h.instances[ref]
		if i == nil || !i.running {
			h.mu.Unlock()
			return phone.Errorf(phone.NotFound, "", "no instance runs")
		}
		if i.files == nil {
			i.files = map[string][]byte{}
		}
		if i.headers == nil {
			i.headers = map[string]*tar.Header{}
		}
		i.files[header.Name], i.headers[header.Name] = content, header
		h.mu.Unlock()
	}
}

// Pack gives the files that were put into the instance, and the folders above a path.
func (h *memoryHost) Pack(ctx context.Context, ref driver.Ref, path string, each func(*tar.Header, io.Reader) error) error {
	if err := h.enter(ctx, "pack", ref); err != nil {
		return err
	}
	h.mu.Lock()
	i := h.instances[ref]
	if i == nil || !i.running {
		h.mu.Unlock()
		return phone.Errorf(phone.NotFound, "", "no instance runs")
	}
	files, headers := maps.Clone(i.files), maps.Clone(i.headers)
	h.mu.Unlock()
	for _, name := range slices.Sorted(maps.Keys(files)) {
		header := &tar.Header{Typeflag: tar.TypeReg, Name: strings.TrimPrefix(name, "./"), Mode: 0o640, Uid: 1000, Size: int64(len(files[name]))}
		at := "/" + strings.TrimSuffix(header.Name, "/")
		folder := strings.HasSuffix(name, "/")
		if below := at == path || strings.HasPrefix(at, path+"/"); !below && !(folder && strings.HasPrefix(path, at+"/")) {
			continue
		}
		if folder {
			header.Typeflag, header.Size = tar.TypeDir, 0
		}
		if h := headers[name]; h != nil && h.Typeflag == tar.TypeSymlink {
			header.Typeflag, header.Linkname, header.Size = tar.TypeSymlink, h.Linkname, 0
		}
		if err := each(header, bytes.NewReader(files[name])); err != nil {
			return err
		}
		if err := ctx.Err(); err != nil {
			return &phone.Error{Code: phone.Unavailable, Msg: "no more time", Err: err}
		}
	}
	return nil
}

func (h *memoryHost) List(ctx context.Context) ([]driver.Object, error) {
	if err := h.enter(ctx, "list", driver.Ref{}); err != nil {
		return nil, err
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	var all []driver.Object
	for ref, i := range h.instances {
		all = append(all, driver.Object{Kind: driver.ObjectInstance, Name: fmt.Sprintf("%s-%d", ref.Phone, ref.Generation), Phone: ref.Phone, Generation: ref.Generation, Running: i.running})
	}
	for ref, job := range h.volumes {
		all = append(all, driver.Object{Kind: driver.ObjectVolume, Phone: ref.Phone, Generation: ref.Generation, Job: job})
	}
	if h.shared != nil {
		all = append(all, driver.Object{Kind: driver.ObjectShare, Name: "shared"})
	}
	sort.Slice(all, func(i, j int) bool { return fmt.Sprint(all[i]) < fmt.Sprint(all[j]) })
	return all, nil
}

// set changes an instance as if something had happened to it.
func (h *memoryHost) set(ref driver.Ref, change func(*memoryInstance)) {
	h.mu.Lock()
	defer h.mu.Unlock()
	change(h.instances[ref])
}

// leave puts an instance and a volume on the host that nobody asked for.
func (h *memoryHost) leave(refs ...driver.Ref) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, ref := range refs {
		h.instances[ref] = &memoryInstance{running: true, booted: true}
		h.volumes[ref] = "left"
	}
}

// has counts what the host has of a life: an instance, a volume.
func (h *memoryHost) has(ref driver.Ref) int {
	h.mu.Lock()
	defer h.mu.Unlock()
	n := 0
	if h.instances[ref] != nil {
		n++
	}
	if _, there := h.volumes[ref]; there {
		n++
	}
	return n
}

// lose makes the host forget an instance (volume and all), or an image when ref is zero.
func (h *memoryHost) lose(ref driver.Ref) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if ref == (driver.Ref{}) {
		clear(h.prepared)
		return
	}
	delete(h.instances, ref)
	delete(h.volumes, ref)
}

// loseOnly makes the host forget one of the two.
func (h *memoryHost) loseOnly(kind driver.ObjectKind, ref driver.Ref) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if kind == driver.ObjectInstance {
		delete(h.instances, ref)
	} else {
		delete(h.volumes, ref)
	}
}

// running reports whether the instance is there and runs.
func (h *memoryHost) running(ref driver.Ref) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.instances[ref] != nil && h.instances[ref].running
}
