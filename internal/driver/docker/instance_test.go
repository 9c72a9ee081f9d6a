package docker

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/volume"
	"github.com/moby/moby/client"

	"github.com/lethe-cloud/lethe/internal/driver"
	"github.com/lethe-cloud/lethe/internal/imagetar"
	"github.com/lethe-cloud/lethe/internal/phone"
	"github.com/lethe-cloud/lethe/internal/simphone"
	"github.com/lethe-cloud/lethe/internal/testenv"
)

// with gives fastBoot's template with more keys.
func with(more string) string { return strings.TrimSuffix(fastBoot, "}") + "," + more + "}" }

// hang gives a template whose phones boot at once but for one thing.
func hang(what string) string {
	return `{"privileges":"none","network":"bridge","init_args":["androidboot.simphone_boot_ms=10","androidboot.simphone_hang=` + what + `"]}`
}

func (w *world) inspectRaw(name string) container.InspectResponse {
	w.t.Helper()
	got, err := w.raw.ContainerInspect(w.ctx, name, client.ContainerInspectOptions{})
	w.must(err)
	return got.Container
}

func TestContainerIsAsDescribed(t *testing.T) {
	t.Parallel()
	w := newWorld(t, with(`"privileges":"capabilities","cpus":1.5,"memory":"512m","pids_limit":100,"cpuset":"0","devices":["/dev/null:/dev/dri/card0:r"],`+
		`"mounts":[{"source":"/tmp","target":"/mnt/shared","read_only":true}],"adb_bind":"0.0.0.0","adb_advertise":"phones.example"`))
	spec := w.spec()
	instance := w.ensure(spec)
	if want := net.JoinHostPort("phones.example", strconv.Itoa(spec.ADBPort)); instance.Address != want {
		t.Errorf("operators are told %s, want %s", instance.Address, want)
	}
	got := w.inspectRaw(instance.Name)
	host := got.HostConfig
	checks := map[string]bool{
		"boots the prepared image":       got.Image == w.identity.ID && got.Config.Image == w.identity.ID,
		"keeps the image's entrypoint":   slices.Equal(got.Config.Entrypoint, []string{"/init", "qemu=1", "androidboot.hardware=redroid"}),
		"is never started by Docker":     host.RestartPolicy.IsNone() && !host.AutoRemove,
		"has all capabilities":           slices.Equal(host.CapAdd, []string{"ALL"}) || slices.Equal(host.CapAdd, []string{"CAP_ALL"}),
		"has no seccomp":                 slices.Contains(host.SecurityOpt, "seccomp=unconfined"),
		"has no AppArmor":                slices.Contains(host.SecurityOpt, "apparmor=unconfined"),
		"may use character devices":      slices.Equal(host.DeviceCgroupRules, []string{"c *:* rwm"}),
		"is not privileged":              !host.Privileged,
		"has its processors":             host.NanoCPUs == 1_500_000_000 && host.CpusetCpus == "0",
		"has its memory":                 host.Memory == 512<<20,
		"has its threads":                host.PidsLimit != nil && *host.PidsLimit == 100,
		"has its device":                 len(host.Devices) == 1 && host.Devices[0] == container.DeviceMapping{PathOnHost: "/dev/null", PathInContainer: "/dev/dri/card0", CgroupPermissions: "r"},
		"is called after the phone":      got.Config.Hostname == hostname(spec.Name),
		"has a log that stays small":     host.LogConfig.Config["max-size"] == "1m",
		"has its name":                   got.Name == "/lethe-"+string(spec.Phone)+"-g1",
		"publishes adb on its port":      len(host.PortBindings[adbPort]) == 1 && host.PortBindings[adbPort][0].HostPort == strconv.Itoa(spec.ADBPort),
		"has the data and the mount":     len(host.Mounts) == 2 && host.Mounts[0].VolumeOptions.NoCopy && host.Mounts[1].ReadOnly,
		"takes nothing from the network": host.NetworkMode == "bridge",
	}
	for what, ok := range checks {
		if !ok {
			t.Errorf("the container does not do this: it %s\n%s", what, asJSON(t, got))
		}
	}
	labels := map[string]string{
		labelInstallation: w.owner.Installation, labelKind: kindInstance, labelServer: string(w.owner.Server), labelProject: string(spec.Project),
		labelPhone: string(spec.Phone), labelGeneration: "1", labelJob: string(spec.Job), labelName: spec.Name, labelDigest: "",
	}
	for key, want := range labels {
		if got.Config.Labels[key] != want {
			t.Errorf("label %s is %q, want %q", key, got.Config.Labels[key], want)
		}
	}
}

func TestPrivilegedIsTheDefault(t *testing.T) {
	t.Parallel()
	w := newWorld(t, `{"network":"bridge"}`)
	if got := w.inspectRaw(w.ensure(w.spec()).Name); !got.HostConfig.Privileged {
		t.Errorf("the container is not privileged: %s", asJSON(t, got.HostConfig))
	}
}

func TestKeysAreWhereADBDReadsThem(t *testing.T) {
	t.Parallel()
	second := strings.Repeat("QBBBBE", 40) + " second@example"
	w := newWorld(t, with(`"adb_keys":["`+exampleKey+`","`+second+`"]`))
	spec := w.spec()
	instance := w.boot(spec)
	if got, want := w.copyOut(instance.Name, "/adb_keys"), exampleKey+"\n"+second+"\n"; got != want {
		t.Errorf("/adb_keys has %q, want %q", got, want)
	}
	if secure := w.run(spec.Ref, "getprop", "ro.adb.secure"); secure != "1\n" {
		t.Errorf("ro.adb.secure is %q", secure)
	}
	w.must(w.d.Stop(w.ctx, spec.Ref))
	w.must(w.d.Start(w.ctx, spec.Ref))
	w.await(spec.Ref, func(i driver.Instance) bool { return i.Booted })
	if got := w.run(spec.Ref, "cat", "/adb_keys"); !strings.HasPrefix(got, exampleKey) {
		t.Errorf("after a restart /adb_keys has %q", got)
	}
}

// run runs a program in the phone that must succeed.
func (w *world) run(ref driver.Ref, args ...string) string {
	w.t.Helper()
	result, err := w.d.Exec(w.ctx, ref, driver.Command{Args: args})
	w.must(err)
	if result.ExitCode != 0 {
		w.t.Fatalf("%v ended with %d: %s", args, result.ExitCode, result.Stderr)
	}
	return string(result.Stdout)
}

// Lost between making the container and writing the keys: the same call again writes them.
func TestKeysAreWrittenWhenEnsureIsRepeated(t *testing.T) {
	t.Parallel()
	template := with(`"adb_keys":["` + exampleKey + `"]`)
	w := newWorld(t, template)
	intercept, struck := once(at("POST", "/containers/create", ""))
	lossy := open(t, newProxy(t, w.endpoint, intercept).endpoint, w.owner, template)
	spec := w.spec()
	if _, err := lossy.Ensure(w.ctx, spec); phone.CodeOf(err) != phone.Unavailable || !struck() {
		t.Fatalf("Ensure whose answer was lost: %v", err)
	}
	if got := w.copyOut(w.ensure(spec).Name, "/adb_keys"); got != exampleKey+"\n" {
		t.Errorf("/adb_keys has %q", got)
	}
}

func TestVolumeIsNotFilledFromTheImage(t *testing.T) {
	t.Parallel()
	w := newWorld(t, fastBoot)
	image := simphone.Image(testenv.Simphone(t), runtime.GOARCH)
	image.Name, image.Links = "lethe-simphone-data", append(image.Links, "/data/from-the-image")
	w.useImage(image)
	spec := w.spec()
	w.boot(spec)
	if got := w.run(spec.Ref, "ls", "/data"); strings.Contains(got, "from-the-image") {
		t.Errorf("a fresh volume has the image's files: %q", got)
	}
}

// A volume without a name, which the image asks for, is data of the life too.
func TestRemoveTakesVolumesWithoutAName(t *testing.T) {
	t.Parallel()
	w := newWorld(t, fastBoot)
	image := simphone.Image(testenv.Simphone(t), runtime.GOARCH)
	image.Name, image.Volumes = "lethe-simphone-cache", []string{"/cache"}
	w.useImage(image)
	spec := w.spec()
	name := w.boot(spec).Name
	var volumes []string
	for _, m := range w.inspectRaw(name).Mounts {
		volumes = append(volumes, m.Name)
	}
	if len(volumes) != 2 {
		t.Fatalf("the phone has the volumes %v", volumes)
	}
	w.must(w.d.Remove(w.ctx, spec.Ref))
	for _, v := range volumes {
		if v != volumeName(spec.Ref) {
			w.volumeGone(v)
		} else if _, err := w.raw.VolumeInspect(w.ctx, v, client.VolumeInspectOptions{}); err != nil {
			t.Errorf("the life's own volume: %v", err)
		}
	}
}

// useImage loads an image for the test and makes it the one that specs ask for.
func (w *world) useImage(image imagetar.Image) {
	w.t.Helper()
	tarball, err := imagetar.New(image)
	w.must(err)
	w.must(LoadImage(w.ctx, w.endpoint, tarball))
	w.t.Cleanup(func() { w.removeImage(tarball.Reference) })
	w.identity, err = w.d.Prepare(w.ctx, phone.Image{Reference: tarball.Reference})
	w.must(err)
}

func TestChangedTemplate(t *testing.T) {
	t.Parallel()
	w := newWorld(t, fastBoot)
	changed := open(t, w.endpoint, w.owner, with(`"width":500`))
	spec := w.spec()
	before := w.inspectRaw(w.ensure(spec).Name)

	after, err := changed.Ensure(w.ctx, spec)
	w.must(err)
	got := w.inspectRaw(after.Name)
	if got.ID == before.ID || !slices.Contains(got.Config.Cmd, "androidboot.redroid_width=500") {
		t.Errorf("a container that was never started was not made anew: %v", got.Config.Cmd)
	}
	if _, err := changed.Ensure(w.ctx, spec); err != nil || w.inspectRaw(after.Name).ID != got.ID {
		t.Errorf("the same again: %v", err)
	}
	w.must(changed.Start(w.ctx, spec.Ref))
	if _, err := w.d.Ensure(w.ctx, spec); phone.CodeOf(err) != phone.Conflict || !strings.Contains(err.Error(), "reset the phone again") {
		t.Errorf("Ensure of a started container with other settings: %v", err)
	}
	if w.inspectRaw(after.Name).ID != got.ID {
		t.Error("a started container was replaced")
	}
}

func TestInvalidLives(t *testing.T) {
	t.Parallel()
	w := newWorld(t, fastBoot)
	for name, change := range map[string]func(*driver.Spec){
		"no generation": func(s *driver.Spec) { s.Generation = 0 },
		"damaged id":    func(s *driver.Spec) { s.Phone = "../x" },
		"no job":        func(s *driver.Spec) { s.Job = "" },
		"not prepared":  func(s *driver.Spec) { s.Identity = phone.ImageIdentity{} },
		"no port":       func(s *driver.Spec) { s.ADBPort = 0 },
		"port too high": func(s *driver.Spec) { s.ADBPort = 70000 },
		"cut property":  func(s *driver.Spec) { s.Properties = phone.Properties{"ro.product.model": "a b"} },
	} {
		spec := w.spec()
		change(&spec)
		if _, err := w.d.Ensure(w.ctx, spec); phone.CodeOf(err) != phone.Invalid {
			t.Errorf("%s: %v", name, err)
		}
	}
	if objects, err := w.d.List(w.ctx); err != nil || len(objects) > 0 {
		t.Errorf("refused lives left %v, %v", objects, err)
	}
}

func TestBootThatEnds(t *testing.T) {
	t.Parallel()
	w := newWorld(t, `{"privileges":"none","network":"bridge","init_args":["androidboot.simphone_exit_code=129","androidboot.simphone_boot_ms=100"]}`)
	spec := w.spec()
	w.ensure(spec)
	w.must(w.d.Start(w.ctx, spec.Ref))
	got := w.await(spec.Ref, func(i driver.Instance) bool { return i.Exited })
	if got.ExitCode != 129 || got.Running || got.Booted {
		t.Errorf("a phone that ended: %+v", got)
	}
	for _, part := range []string{"lethe: ", "binderfs", "told to end with exit code 129"} {
		if !strings.Contains(got.Log, part) {
			t.Errorf("the log does not say %q: %s", part, got.Log)
		}
	}
	if len(got.Log) > 2048 {
		t.Errorf("the log has %d bytes", len(got.Log))
	}
}

func TestWhatABootWaitsFor(t *testing.T) {
	t.Parallel()
	for what, says := range map[string]string{
		simphone.HangBoot: "sys.boot_completed", simphone.HangPackages: "package manager", simphone.HangADB: "adb does not answer",
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, hang(what))
			spec := w.spec()
			w.ensure(spec)
			w.must(w.d.Start(w.ctx, spec.Ref))
			got := w.await(spec.Ref, func(i driver.Instance) bool { return i.Booted || strings.Contains(i.Waiting, says) })
			if got.Booted || !got.Running || got.CheckAfter < 50*time.Millisecond {
				t.Errorf("a phone whose %s hangs: %+v", what, got)
			}
			if what == simphone.HangADB {
				blind := open(t, w.endpoint, w.owner, with(`"adb_probe":"off"`))
				if got, err := blind.Inspect(w.ctx, spec.Ref); err != nil || !got.Booted {
					t.Errorf("with adb_probe off: %+v, %v", got, err)
				}
			}
		})
	}
}

// A phone that has not booted is asked one thing.
func TestPollIsCheap(t *testing.T) {
	t.Parallel()
	w := newWorld(t, hang(simphone.HangBoot))
	spec := w.spec()
	w.ensure(spec)
	w.must(w.d.Start(w.ctx, spec.Ref))
	p := newProxy(t, w.endpoint, nothing)
	d := open(t, p.endpoint, w.owner, fastBoot)
	if _, err := d.Inspect(w.ctx, spec.Ref); err != nil { // the first call also asks for the API version
		t.Fatal(err)
	}
	first := len(p.calls())
	if _, err := d.Inspect(w.ctx, spec.Ref); err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, call := range p.calls()[first:] {
		parts := strings.Split(call, "/")
		got = append(got, strings.TrimSpace(parts[0])+" "+parts[1]+" "+parts[len(parts)-1])
	}
	if diff := cmp.Diff([]string{"GET containers json", "POST containers exec", "POST exec start"}, got); diff != "" {
		t.Errorf("calls of one poll (-want +got):\n%s", diff)
	}
}

// The phone ends between the look at its container and the question to it.
func TestPhoneThatEndsWhileItIsAsked(t *testing.T) {
	t.Parallel()
	ref := driver.Ref{Phone: phone.NewID[phone.ID](), Generation: 1}
	var looks atomic.Int64
	var d *Driver
	d = fakeDaemon(t, func(w http.ResponseWriter, r *http.Request) {
		switch path := unversioned(r.URL.Path); {
		case strings.HasSuffix(path, "/exec"):
			says(409, "Container x is not running")(w, r)
		case strings.HasSuffix(path, "/logs"):
			_, _ = w.Write([]byte("init: the last line\r\n"))
		default:
			state := `{"Status":"running","Running":true,"StartedAt":"2026-01-01T00:00:00Z"}`
			if looks.Add(1) > 1 {
				state = `{"Status":"exited","Running":false,"ExitCode":7,"StartedAt":"2026-01-01T00:00:00Z"}`
			}
			fmt.Fprintf(w, `{"Id":"x","Name":"/n","State":%s,"HostConfig":{},"Config":{"Tty":true,"Labels":{%q:%q,%q:"instance",%q:%q,%q:"1"}}}`,
				state, labelInstallation, d.host.installation, labelKind, labelPhone, ref.Phone, labelGeneration)
		}
	})
	got, err := d.Inspect(t.Context(), ref)
	if err != nil || got.Running || !got.Exited || got.ExitCode != 7 || got.Log != "init: the last line" {
		t.Errorf("Inspect: %+v, %v", got, err)
	}
}

func TestHighestGeneration(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		lives lives
		want  phone.Generation
	}{
		{lives{}, 0},
		{lives{containers: map[phone.Generation][]container.Summary{3: nil}, volumes: map[phone.Generation][]volume.Volume{2: nil}}, 3},
		{lives{containers: map[phone.Generation][]container.Summary{3: nil}, volumes: map[phone.Generation][]volume.Volume{5: nil, 4: nil}}, 5},
	} {
		if got := tt.lives.highest(); got != tt.want {
			t.Errorf("the highest generation of %+v is %d, want %d", tt.lives, got, tt.want)
		}
	}
}

func TestCheckAfter(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)
	for ago, want := range map[time.Duration]time.Duration{
		0: 50 * time.Millisecond, time.Second: 50 * time.Millisecond, 4 * time.Second: 200 * time.Millisecond,
		time.Hour: time.Second, -time.Minute: 50 * time.Millisecond,
	} {
		if got := checkAfter(now, now.Add(-ago).Format(time.RFC3339Nano)); got != want {
			t.Errorf("started %s ago: look again after %s, want %s", ago, got, want)
		}
	}
}

func TestTakenPort(t *testing.T) {
	t.Parallel()
	w := newWorld(t, fastBoot)
	spec := w.spec()
	l, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(spec.ADBPort)))
	w.must(err)
	w.ensure(spec)
	if err := w.d.Start(w.ctx, spec.Ref); phone.CodeOf(err) != phone.Conflict || !strings.Contains(err.Error(), "adb port") {
		t.Errorf("Start on a taken port: %v (%s)", err, phone.CodeOf(err))
	}
	got, err := w.d.Inspect(w.ctx, spec.Ref)
	w.must(err)
	if got.Running || got.Exited {
		t.Errorf("after that: %+v", got)
	}
	w.must(l.Close())
	w.must(w.d.Start(w.ctx, spec.Ref))
}

func TestNetworks(t *testing.T) {
	t.Parallel()
	const own = `{"privileges":"none","init_args":["androidboot.simphone_boot_ms=10"]}`
	w := newWorld(t, own)
	project, other := phone.NewID[phone.ProjectID](), phone.NewID[phone.ProjectID]()
	networks := make(chan string, 8)
	var all sync.WaitGroup
	for range 2 {
		d := open(t, w.endpoint, w.owner, own) // as another process
		for range 3 {
			spec := w.spec()
			spec.Project = project
			all.Go(func() {
				i, err := d.Ensure(w.ctx, spec)
				if err != nil {
					t.Errorf("Ensure: %v", err)
					return
				}
				networks <- string(w.inspectRaw(i.Name).HostConfig.NetworkMode)
			})
		}
	}
	all.Wait()
	close(networks)
	used := map[string]bool{}
	for n := range networks {
		used[n] = true
	}
	if len(used) != 1 {
		t.Errorf("one project's phones are on the networks %v", used)
	}
	list, err := w.raw.NetworkList(w.ctx, client.NetworkListOptions{Filters: w.d.host.labelled(labelProject, string(project))})
	w.must(err)
	if len(list.Items) != 1 || !used[list.Items[0].ID] || list.Items[0].Driver != "bridge" {
		t.Errorf("the project has the networks %s", asJSON(t, list.Items))
	}

	spec := w.spec()
	spec.Project = other
	if n := string(w.inspectRaw(w.ensure(spec).Name).HostConfig.NetworkMode); used[n] {
		t.Errorf("two projects share the network %s", n)
	}
	w.must(w.d.Start(w.ctx, spec.Ref))
	w.await(spec.Ref, func(i driver.Instance) bool { return i.Booted })
	w.must(w.d.Stop(w.ctx, spec.Ref))
	_, err = w.raw.NetworkRemove(w.ctx, string(w.inspectRaw(instanceName(spec.Ref)).HostConfig.NetworkMode), client.NetworkRemoveOptions{})
	w.must(err)
	if err := w.d.Start(w.ctx, spec.Ref); phone.CodeOf(err) != phone.Precondition || !strings.Contains(err.Error(), "reset the phone") {
		t.Errorf("Start on a network that is gone: %v (%s)", err, phone.CodeOf(err))
	}
}

// Two processes that both saw no network make one between them.
func TestNetworkMadeTwice(t *testing.T) {
	t.Parallel()
	w := newWorld(t, fastBoot)
	project := phone.NewID[phone.ProjectID]()
	one, err := w.d.host.makeNetwork(w.ctx, project)
	w.must(err)
	two, err := open(t, w.endpoint, w.owner, fastBoot).host.makeNetwork(w.ctx, project)
	if err != nil || one == "" || two != one {
		t.Errorf("the second made %q, %v; the first %q", two, err, one)
	}
}

func TestForeignBridge(t *testing.T) {
	t.Parallel()
	w := newWorld(t, fastBoot)
	w.d.host.nameLimit = 200 * time.Millisecond
	project := phone.NewID[phone.ProjectID]()
	made, err := w.raw.NetworkCreate(w.ctx, "by-hand-"+string(project), client.NetworkCreateOptions{
		Driver: "bridge", Options: map[string]string{"com.docker.network.bridge.name": w.d.host.bridgeName(project)},
	})
	w.must(err)
	t.Cleanup(func() {
		_, err := w.raw.NetworkRemove(context.WithoutCancel(w.ctx), made.ID, client.NetworkRemoveOptions{})
		report(t, err)
	})
	if _, err := w.d.host.makeNetwork(w.ctx, project); phone.CodeOf(err) != phone.Conflict || phone.ReasonOf(err) != phone.ReasonForeignObject {
		t.Errorf("beside a foreign bridge: %v", err)
	}
}

func TestRemoveWaitsForAnotherRemoval(t *testing.T) {
	t.Parallel()
	w := newWorld(t, fastBoot)
	spec := w.spec()
	w.boot(spec)
	var all sync.WaitGroup
	for range 4 {
		d := open(t, w.endpoint, w.owner, fastBoot)
		all.Go(func() {
			if err := d.Remove(w.ctx, spec.Ref); err != nil {
				t.Errorf("Remove: %v", err)
			}
			if _, err := d.Inspect(w.ctx, spec.Ref); phone.CodeOf(err) != phone.NotFound {
				t.Errorf("after Remove it is still there: %v", err)
			}
		})
	}
	all.Wait()
}

func TestRemoveIsRetriedWhileTheDaemonRemoves(t *testing.T) {
	t.Parallel()
	ref := driver.Ref{Phone: phone.NewID[phone.ID](), Generation: 1}
	var mu sync.Mutex
	deletes := 0
	var d *Driver
	d = fakeDaemon(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodDelete {
			fmt.Fprintf(w, `{"Id":"x","State":{},"HostConfig":{},"Config":{"Labels":{%q:%q,%q:"instance",%q:%q,%q:"1"}}}`,
				labelInstallation, d.host.installation, labelKind, labelPhone, ref.Phone, labelGeneration)
			return
		}
		mu.Lock()
		deletes++
		n := deletes
		mu.Unlock()
		if n < 3 {
			says(409, "removal of container x is already in progress")(w, r)
			return
		}
		says(404, "No such container: x")(w, r)
	})
	if err := d.Remove(t.Context(), ref); err != nil || deletes != 3 {
		t.Errorf("Remove: %v after %d calls, want success after 3", err, deletes)
	}
}

func TestTail(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ in, want string }{
		{"", ""},
		{"one\r\ntwo\r\n", "one\ntwo"},
		{"first line\nsecond\nthird\n", "third"},
		{strings.Repeat("x", 30), strings.Repeat("x", 12)},
		{"bad \xff byte", "bad ? byte"},
		{"ab " + strings.Repeat("ü", 10), strings.Repeat("ü", 6)},
		{"a" + strings.Repeat("ü", 8) + "b", strings.Repeat("ü", 5) + "b"},
	} {
		if got := tail(tt.in, 12); got != tt.want {
			t.Errorf("tail(%q) is %q, want %q", tt.in, got, tt.want)
		}
	}
}

// removeImage removes an image and, before it, the containers that keep it.
func (w *world) removeImage(reference string) {
	w.sweep()
	_, err := w.raw.ImageRemove(context.WithoutCancel(w.ctx), reference, client.ImageRemoveOptions{Force: true})
	report(w.t, err)
}

// The test phone behaves in its container as redroid does where that matters to a control plane.
func TestSimphoneInAContainer(t *testing.T) {
	t.Parallel()
	w := newWorld(t, fastBoot)
	spec := w.spec()
	spec.Properties = phone.Properties{"ro.product.model": "Example_1"}
	name := w.boot(spec).Name
	for _, signal := range []string{"SIGTERM", "SIGINT", "SIGHUP"} {
		_, err := w.raw.ContainerKill(w.ctx, name, client.ContainerKillOptions{Signal: signal})
		w.must(err)
		if got := w.run(spec.Ref, "getprop", "ro.product.model"); got != "Example_1\n" {
			t.Errorf("after %s the phone says %q", signal, got)
		}
	}
	w.run(spec.Ref, "setprop", "persist.sys.locale", "de-DE")
	w.must(w.d.Stop(w.ctx, spec.Ref))
	w.must(w.d.Start(w.ctx, spec.Ref))
	w.await(spec.Ref, func(i driver.Instance) bool { return i.Booted })
	if got := w.run(spec.Ref, "getprop", "persist.sys.locale"); got != "de-DE\n" {
		t.Errorf("after a restart persist.sys.locale is %q", got)
	}
}
