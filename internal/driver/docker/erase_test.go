package docker

import (
	"context"
	"errors"
	"fmt"
	"net/http"
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
	"github.com/lethe-cloud/lethe/internal/testenv"
)

// filled makes a life with files of other users in its volume, as a boot leaves them, and removes the container.
func (w *world) filled() driver.Spec {
	w.t.Helper()
	spec := w.spec()
	w.boot(spec)
	w.must(w.d.Remove(w.ctx, spec.Ref))
	return spec
}

// noHelper checks that no helper container of the installation is left.
func (w *world) noHelper() {
	w.t.Helper()
	list, err := w.raw.ContainerList(w.ctx, client.ContainerListOptions{All: true, Filters: w.d.host.labelled(labelKind, kindHelper)})
	w.must(err)
	if len(list.Items) > 0 {
		w.t.Errorf("helper containers are left: %s", asJSON(w.t, list.Items))
	}
}

func (w *world) volumeGone(name string) {
	w.t.Helper()
	if _, err := w.raw.VolumeInspect(w.ctx, name, client.VolumeInspectOptions{}); classifyCode(err) != phone.NotFound {
		w.t.Errorf("the volume %s: %v, want that it is gone", name, err)
	}
}

func classifyCode(err error) phone.Code { return phone.CodeOf(classify("look", err)) }

func TestEraseCountsWhatWasThere(t *testing.T) {
	t.Parallel()
	w := newWorld(t, fastBoot)
	spec := w.filled()
	got, err := w.d.Erase(w.ctx, spec.Phone, 2)
	w.must(err)
	// 16 files of 4,096 bytes and an identity of 16: what the test phone writes in its first boot.
	want := []phone.ErasedVolume{{Name: volumeName(spec.Ref), Generation: 1, Files: 17, Bytes: 16*4096 + 16, Gone: true}}
	if diff := cmp.Diff(want, got.Volumes); diff != "" {
		t.Errorf("erased (-want +got):\n%s", diff)
	}
	w.volumeGone(volumeName(spec.Ref))
	w.noHelper()
}

// Many phones that are erased at the same time are emptied by few helper containers, never two at once.
func TestEraseIsBatched(t *testing.T) {
	t.Parallel()
	w := newWorld(t, fastBoot)
	var mu sync.Mutex
	running, most, made := 0, 0, 0
	p := newProxy(t, w.endpoint, func(r *http.Request) bool {
		mu.Lock()
		defer mu.Unlock()
		switch helper := r.URL.Query().Get("name") == "lethe-helper-"+w.owner.Installation; {
		case helper:
			running++
			made++
			most = max(most, running)
		case r.Method == http.MethodDelete && strings.Contains(r.URL.Path, "/containers/"):
			running--
		}
		return false
	})
	d := open(t, p.endpoint, w.owner, fastBoot)
	const phones = 6
	var specs []driver.Spec
	for range phones {
		specs = append(specs, w.filled())
	}
	first, err := d.Erase(w.ctx, specs[0].Phone, 2) // alone: it also brings the helper's image
	if err != nil || len(first.Volumes) != 1 {
		t.Fatalf("Erase: %+v, %v", first, err)
	}
	var all sync.WaitGroup
	for _, spec := range specs[1:] {
		all.Go(func() {
			erased, err := d.Erase(w.ctx, spec.Phone, 2)
			if err != nil || len(erased.Volumes) != 1 || erased.Volumes[0].Files != 17 {
				t.Errorf("Erase: %+v, %v", erased, err)
			}
		})
	}
	all.Wait()
	if made > phones-1 || most != 1 {
		t.Errorf("%d helper containers for %d phones, %d at once; want fewer, one at a time", made, phones, most)
	}
	w.noHelper()
}

// The caller who runs the helper gives up: whoever waits, whether or not its volumes were in that run, is served by the next.
func TestCallerWhoGivesUpDoesNotStopOthers(t *testing.T) {
	t.Parallel()
	w := newWorld(t, fastBoot)
	one, two, three := w.filled(), w.filled(), w.filled()
	ctx, cancel := context.WithCancel(w.ctx)
	defer cancel()
	helperAsked := make(chan struct{})
	var onlyOnce sync.Once
	p := newProxy(t, w.endpoint, func(r *http.Request) bool {
		if strings.HasPrefix(r.URL.Query().Get("name"), "lethe-helper-") {
			onlyOnce.Do(func() {
				close(helperAsked)
				<-ctx.Done()
			})
		}
		return false
	})
	d := open(t, p.endpoint, w.owner, fastBoot)
	inTheRun := &emptying{volumes: []volume.Volume{{Name: volumeName(three.Ref)}}, done: make(chan struct{})}
	d.host.emptier.add(inTheRun)
	var all sync.WaitGroup
	all.Go(func() {
		if _, err := d.Erase(ctx, one.Phone, 2); !errors.Is(err, context.Canceled) {
			t.Errorf("Erase of the caller who gave up: %v", err)
		}
	})
	<-helperAsked
	all.Go(func() {
		if erased, err := d.Erase(w.ctx, two.Phone, 2); err != nil || len(erased.Volumes) != 1 {
			t.Errorf("Erase of the other: %+v, %v", erased, err)
		}
	})
	for d.host.emptier.queued() == 0 { // until the other one waits
		w.must(pause(w.ctx, time.Millisecond))
	}
	cancel()
	all.Wait()
	select {
	case <-inTheRun.done:
		if inTheRun.err != nil || len(inTheRun.reports) != 1 || inTheRun.reports[0].Files != 17 {
			t.Errorf("who was in the run that was cut off got %+v, %v", inTheRun.reports, inTheRun.err)
		}
	default:
		t.Error("who was in the run that was cut off was forgotten")
	}
	w.volumeGone(volumeName(two.Ref))
	w.noHelper()
}

// A call of a worker that lost its job lands late: the volume it makes is found.
func TestEraseFindsWhatCameMeanwhile(t *testing.T) {
	t.Parallel()
	w := newWorld(t, fastBoot)
	spec := w.filled()
	late := spec
	late.Generation = 2
	intercept, _ := once(at("DELETE", "/volumes/", ""))
	p := newProxy(t, w.endpoint, func(r *http.Request) bool {
		if intercept(r) {
			_, err := w.raw.VolumeCreate(w.ctx, client.VolumeCreateOptions{Name: volumeName(late.Ref), Labels: w.d.lifeLabels(kindVolume, late)})
			report(t, err)
		}
		return false
	})
	d := open(t, p.endpoint, w.owner, fastBoot)
	if erased, err := d.Erase(w.ctx, spec.Phone, 3); phone.ReasonOf(err) != phone.ReasonEraseFailed || len(erased.Volumes) > 0 {
		t.Errorf("Erase while another old volume came: %+v, %v", erased, err)
	}
	erased, err := d.Erase(w.ctx, spec.Phone, 3)
	if err != nil || len(erased.Volumes) != 1 || erased.Volumes[0].Generation != 2 {
		t.Errorf("the next Erase: %+v, %v", erased, err)
	}
}

// What Docker says of a removal is not taken for proof.
func TestEraseLooksForWhatItRemoved(t *testing.T) {
	t.Parallel()
	for name, alsoHidden := range map[string]bool{"by label": false, "by name": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, fastBoot)
			spec := w.filled()
			p := newProxy(t, w.endpoint, nothing)
			var removed atomic.Bool
			p.lie = func(rw http.ResponseWriter, r *http.Request) bool {
				switch {
				case r.Method == http.MethodDelete && strings.Contains(r.URL.Path, "/volumes/"):
					removed.Store(true)
					rw.WriteHeader(http.StatusNoContent)
					return true
				case alsoHidden && removed.Load() && strings.HasSuffix(r.URL.Path, "/volumes"):
					_, _ = rw.Write([]byte(`{"Volumes":[]}`))
					return true
				}
				return false
			}
			erased, err := open(t, p.endpoint, w.owner, fastBoot).Erase(w.ctx, spec.Phone, 2)
			if phone.ReasonOf(err) != phone.ReasonEraseFailed || len(erased.Volumes) > 0 || !erased.LookedFor.IsZero() {
				t.Errorf("Erase of a volume that stayed: %+v, %v", erased, err)
			}
		})
	}
}

// queued counts the callers that wait for a helper.
func (e *emptier) queued() int {
	e.mu.Lock()
	defer e.mu.Unlock()
	return len(e.waiting)
}

func TestTakeBoundsABatch(t *testing.T) {
	t.Parallel()
	var e emptier
	sizes := []int{70, 30, 30, 5, 1}
	for i := len(sizes) - 1; i >= 0; i-- {
		e.add(&emptying{volumes: filledVolumes(sizes[i])})
	}
	var got [][]int
	for {
		var batch []int
		for _, one := range e.take() {
			batch = append(batch, len(one.volumes))
		}
		if batch == nil {
			break
		}
		got = append(got, batch)
	}
	if diff := cmp.Diff([][]int{{70}, {30, 30}, {5, 1}}, got); diff != "" {
		t.Errorf("batches (-want +got):\n%s", diff)
	}
}

func filledVolumes(n int) []volume.Volume {
	volumes := make([]volume.Volume, n)
	for i := range volumes {
		volumes[i].Name = fmt.Sprintf("volume-%d", i)
	}
	return volumes
}

// stuckHelper makes a helper container as a process that died leaves it behind.
func (w *world) stuckHelper(labels map[string]string) string {
	w.t.Helper()
	made, err := w.raw.ContainerCreate(w.ctx, client.ContainerCreateOptions{
		Name: "lethe-helper-" + w.owner.Installation, Config: &container.Config{Image: w.identity.ID, Labels: labels},
	})
	w.must(err)
	w.t.Cleanup(func() {
		_, err := w.raw.ContainerRemove(context.WithoutCancel(w.ctx), made.ID, client.ContainerRemoveOptions{Force: true})
		if classifyCode(err) != phone.NotFound {
			report(w.t, err)
		}
	})
	return made.ID
}

func TestHelperLeftBehindIsTakenOver(t *testing.T) {
	t.Parallel()
	w := newWorld(t, fastBoot)
	w.d.host.helper.stale = 200 * time.Millisecond
	spec := w.filled()
	w.stuckHelper(map[string]string{labelInstallation: w.owner.Installation, labelKind: kindHelper})
	if erased, err := w.d.Erase(w.ctx, spec.Phone, 2); err != nil || len(erased.Volumes) != 1 {
		t.Errorf("Erase: %+v, %v", erased, err)
	}
	w.noHelper()
}

// A restarted process does not wait for what it left behind itself.
func TestOwnHelperLeftBehindIsTakenOverAtOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t, fastBoot)
	w.d.host.helper.stale, w.d.host.holder = time.Hour, "folder"
	spec := w.filled()
	w.stuckHelper(map[string]string{labelInstallation: w.owner.Installation, labelKind: kindHelper, labelHolder: "folder"})
	if erased, err := w.d.Erase(w.ctx, spec.Phone, 2); err != nil || len(erased.Volumes) != 1 {
		t.Errorf("Erase: %+v, %v", erased, err)
	}
	w.noHelper()
}

func TestRunningHelperIsWaitedFor(t *testing.T) {
	t.Parallel()
	w := newWorld(t, fastBoot)
	w.d.host.helper.stale = 100 * time.Millisecond
	spec := w.filled()
	id := w.stuckHelper(map[string]string{labelInstallation: w.owner.Installation, labelKind: kindHelper})
	_, err := w.raw.ContainerStart(w.ctx, id, client.ContainerStartOptions{})
	w.must(err)
	impatient, cancel := context.WithTimeout(w.ctx, time.Second)
	defer cancel()
	if _, err := w.d.Erase(impatient, spec.Phone, 2); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("Erase beside another process's helper: %v", err)
	}
	if !w.inspectRaw(id).State.Running {
		t.Error("the other process's helper was ended")
	}
	_, err = w.raw.ContainerRemove(w.ctx, id, client.ContainerRemoveOptions{Force: true})
	w.must(err)
	if erased, err := w.d.Erase(w.ctx, spec.Phone, 2); err != nil || len(erased.Volumes) != 1 {
		t.Errorf("Erase after it has gone: %+v, %v", erased, err)
	}
}

func TestForeignHelperIsLeftAlone(t *testing.T) {
	t.Parallel()
	w := newWorld(t, fastBoot)
	spec := w.filled()
	id := w.stuckHelper(nil)
	if _, err := w.d.Erase(w.ctx, spec.Phone, 2); phone.ReasonOf(err) != phone.ReasonForeignObject {
		t.Errorf("Erase beside a container of the helper's name: %v", err)
	}
	w.inspectRaw(id)
}

func TestHelperImageIsBroughtAgain(t *testing.T) {
	t.Parallel()
	w := newWorld(t, fastBoot)
	first, second := w.filled(), w.filled()
	if _, err := w.d.Erase(w.ctx, first.Phone, 2); err != nil {
		t.Fatal(err)
	}
	w.d.host.helper.image = "sha256:" + strings.Repeat("0", 64) // as if somebody had pruned it
	if erased, err := w.d.Erase(w.ctx, second.Phone, 2); err != nil || len(erased.Volumes) != 1 {
		t.Errorf("Erase: %+v, %v", erased, err)
	}
}

func TestHelperThatCannotBeHad(t *testing.T) {
	t.Parallel()
	w := newWorld(t, fastBoot)
	spec := w.filled()
	for name, tt := range map[string]struct {
		helper func(string) (string, error)
		says   string
	}{
		"no static program": {func(string) (string, error) { return "", imagetar.ErrNotStatic }, "CGO_ENABLED=0"},
		"none configured":   {nil, "helper_image"},
		"dynamic after all": {func(string) (string, error) { return "/bin/sh", nil }, "CGO_ENABLED=0"},
	} {
		pool := NewPool(Config{Installation: w.owner.Installation, HelperBinary: tt.helper})
		d, err := pool.Driver(phone.Server{ID: w.owner.Server, Endpoint: w.endpoint, Config: []byte(fastBoot)})
		w.must(err)
		_, err = d.Erase(w.ctx, spec.Phone, 2)
		if phone.CodeOf(err) != phone.Unsupported || phone.ReasonOf(err) != phone.ReasonEraseFailed || !strings.Contains(err.Error(), tt.says) {
			t.Errorf("%s: Erase: %v (%s %s)", name, err, phone.CodeOf(err), phone.ReasonOf(err))
		}
		w.must(pool.Close())
	}
	if _, err := w.raw.VolumeInspect(w.ctx, volumeName(spec.Ref), client.VolumeInspectOptions{}); err != nil {
		t.Errorf("the volume that could not be emptied: %v", err)
	}
}

func TestConfiguredHelperImage(t *testing.T) {
	t.Parallel()
	w := newWorld(t, fastBoot)
	tarball, err := imagetar.New(imagetar.Image{
		Name: "lethe-own-helper", Architecture: w.architecture(), Binary: testenv.VolumeHelper(t), Path: "/helper", Entrypoint: []string{"/helper"},
	})
	w.must(err)
	w.must(LoadImage(w.ctx, w.endpoint, tarball))
	w.must(LoadImage(w.ctx, w.endpoint, tarball)) // there already
	w.t.Cleanup(func() { w.removeImage(tarball.Reference) })
	spec := w.filled()
	pool := NewPool(Config{Installation: w.owner.Installation})
	configured, err := pool.Driver(phone.Server{ID: w.owner.Server, Endpoint: w.endpoint, Config: []byte(with(`"helper_image":"` + tarball.Reference + `"`))})
	w.must(err)
	if erased, err := configured.Erase(w.ctx, spec.Phone, 2); err != nil || len(erased.Volumes) != 1 || erased.Volumes[0].Files != 17 {
		t.Errorf("Erase: %+v, %v", erased, err)
	}
	// An image that is no helper: nothing is claimed, nothing removed.
	next := w.filled()
	wrong, err := pool.Driver(phone.Server{ID: w.owner.Server, Endpoint: w.endpoint, Config: []byte(with(`"helper_image":"` + w.image.Reference + `"`))})
	w.must(err)
	ctx, cancel := context.WithTimeout(w.ctx, 3*time.Second)
	defer cancel()
	if erased, err := wrong.Erase(ctx, next.Phone, 2); err == nil || len(erased.Volumes) > 0 {
		t.Errorf("Erase with an image that empties nothing: %+v, %v", erased, err)
	}
	if _, err := w.raw.VolumeInspect(w.ctx, volumeName(next.Ref), client.VolumeInspectOptions{}); err != nil {
		t.Errorf("the volume that was not emptied: %v", err)
	}
	w.must(pool.Close())
	w.noHelper()
}

func (w *world) architecture() string {
	w.t.Helper()
	info, err := w.d.Info(w.ctx)
	w.must(err)
	return info.Architecture
}

func TestReadReports(t *testing.T) {
	t.Parallel()
	volumes := filledVolumes(2)
	line := func(i int, failure string) string {
		return fmt.Sprintf(`{"dir":"/volumes/%d","files":1,"dirs":2,"bytes":3,"error":%q}`+"\n", i, failure)
	}
	for _, tt := range []struct {
		name, stdout, stderr string
		ok                   bool
		says                 string
	}{
		{"in any order", line(1, "") + line(0, ""), "", true, ""},
		{"cut short", line(0, ""), "killed", false, "killed"},
		{"words", "panic: no\n", "", false, "panic"},
		{"nothing", "", "exec format error", false, "exec format error"},
	} {
		got, err := readReports(volumes, []byte(tt.stdout), []byte(tt.stderr))
		if (err == nil) != tt.ok || !strings.Contains(fmt.Sprint(err), tt.says) && !tt.ok {
			t.Errorf("%s: %v", tt.name, err)
		}
		if err != nil && phone.ReasonOf(err) != phone.ReasonEraseFailed {
			t.Errorf("%s: the reason is %q", tt.name, phone.ReasonOf(err))
		}
		if tt.ok && (len(got) != 2 || got[1].Dir != "/volumes/1" || got[0].Files != 1) {
			t.Errorf("%s: %+v", tt.name, got)
		}
	}
	reports, err := readReports(volumes, []byte(line(0, "")+line(1, "one\ntwo")), nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := firstFailure(volumes, reports); phone.ReasonOf(err) != phone.ReasonEraseFailed || !strings.Contains(err.Error(), "one; two") {
		t.Errorf("a volume that could not be emptied: %v", err)
	}
}

func TestPurge(t *testing.T) {
	t.Parallel()
	w := newWorld(t, `{"privileges":"none","init_args":["androidboot.simphone_boot_ms=10"]}`)
	w.boot(w.spec())
	bystander := newWorld(t, fastBoot)
	kept := bystander.boot(bystander.spec())
	w.must(Purge(w.ctx, w.endpoint, w.owner.Installation))
	if objects, err := w.d.List(w.ctx); err != nil || len(objects) > 0 {
		t.Errorf("after Purge: %v, %v", objects, err)
	}
	networks, err := w.raw.NetworkList(w.ctx, client.NetworkListOptions{Filters: w.d.host.labelled()})
	w.must(err)
	if len(networks.Items) > 0 {
		t.Errorf("after Purge: %s", asJSON(t, networks.Items))
	}
	if !bystander.inspectRaw(kept.Name).State.Running {
		t.Error("Purge touched another installation's phone")
	}
	w.must(Purge(w.ctx, w.endpoint, w.owner.Installation))
}
