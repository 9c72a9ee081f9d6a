package docker

import (
	"context"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/client"

	"github.com/lethe-cloud/lethe/internal/driver"
	"github.com/lethe-cloud/lethe/internal/driver/drivertest"
	"github.com/lethe-cloud/lethe/internal/phone"
	"github.com/lethe-cloud/lethe/internal/testenv"
)

func TestConformance(t *testing.T) {
	t.Parallel()
	endpoint := testenv.Docker(t)
	harness := drivertest.Harness{
		Open: func(t *testing.T, owner drivertest.Owner) driver.Driver { return open(t, endpoint, owner, fastBoot) },
		Share: func(t *testing.T, owner drivertest.Owner) driver.Driver {
			return open(t, endpoint, owner, strings.Replace(fastBoot, "{", `{"share_path": "/data/share", `, 1))
		},
		Rules:        Rules(),
		Image:        phone.Image{ID: phone.NewID[phone.ImageID](), Name: "boots", Reference: testenv.SimphoneImage(t)},
		Other:        phone.Image{ID: phone.NewID[phone.ImageID](), Name: "boots too", Reference: otherImage(t)},
		MissingImage: phone.Image{ID: phone.NewID[phone.ImageID](), Name: "missing", Reference: "127.0.0.1:1/lethe-missing:1"},
		BootTimeout:  time.Minute,
		Port:         func(t *testing.T) int { return testenv.Port(t) },
		Plant:        plant,
		Pin: func(t *testing.T, _ drivertest.Owner, instance driver.Instance) func() {
			_, release := newWorld(t, fastBoot).user("", instance.Volume)
			return release
		},
		Unavailable: func(t *testing.T, owner drivertest.Owner) driver.Driver {
			return open(t, "unix://"+filepath.Join(shortDir(t), "nobody.sock"), owner, fastBoot)
		},
		Hanging: func(t *testing.T, owner drivertest.Owner) driver.Driver {
			return open(t, hangingEndpoint(t), owner, fastBoot)
		},
	}
	for _, point := range []struct {
		name      string
		operation drivertest.Operation
		match     func(*http.Request) bool
	}{
		{"image looked at", drivertest.OpPrepare, at("GET", "/images/", "/json")},
		{"volume created", drivertest.OpEnsure, at("POST", "/volumes/create", "")},
		{"container created", drivertest.OpEnsure, at("POST", "/containers/create", "")},
		{"container removed", drivertest.OpRemake, at("DELETE", "/containers/", "")},
		{"container created", drivertest.OpRemake, at("POST", "/containers/create", "")},
		{"container started", drivertest.OpStart, at("POST", "/containers/", "/start")},
		{"container killed", drivertest.OpStop, at("POST", "/containers/", "/kill")},
		{"container removed", drivertest.OpRemove, at("DELETE", "/containers/", "")},
		{"helper created", drivertest.OpErase, at("POST", "/containers/create", "")},
		{"helper started", drivertest.OpErase, at("POST", "/containers/", "/start")},
		{"helper removed", drivertest.OpErase, at("DELETE", "/containers/", "")},
		{"volume removed", drivertest.OpErase, at("DELETE", "/volumes/", "")},
		{"container removed", drivertest.OpDiscard, at("DELETE", "/containers/", "")},
		{"volume removed", drivertest.OpDiscard, at("DELETE", "/volumes/", "")},
	} {
		harness.LostAnswers = append(harness.LostAnswers, drivertest.LostAnswer{
			Name: point.name, Operation: point.operation,
			Open: func(t *testing.T, owner drivertest.Owner, _ driver.Ref) (driver.Driver, func() bool) {
				intercept, struck := once(point.match)
				d := open(t, newProxy(t, endpoint, intercept).endpoint, owner, fastBoot)
				d.host.helper.stale = time.Second // the helper that the lost answer left behind
				return d, struck
			},
		})
	}
	drivertest.Run(t, harness)
}

// otherImage makes an image that is the test phone's and has another id.
func otherImage(t *testing.T) string {
	t.Helper()
	w := newWorld(t, fastBoot)
	made, err := w.raw.ContainerCreate(w.ctx, client.ContainerCreateOptions{Config: &container.Config{Image: w.identity.ID}})
	w.must(err)
	defer func() {
		_, err := w.raw.ContainerRemove(w.ctx, made.ID, client.ContainerRemoveOptions{})
		report(t, err)
	}()
	image, err := w.raw.ContainerCommit(w.ctx, made.ID, client.ContainerCommitOptions{Reference: "lethe-test-other:" + phone.NewID[string]()[:12]})
	w.must(err)
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		_, err := w.raw.ImageRemove(ctx, image.ID, client.ImageRemoveOptions{Force: true})
		report(t, err)
	})
	return image.ID
}

// plant makes what somebody may have made by hand, with something precious in it.
func plant(t *testing.T, kind driver.ObjectKind, spec driver.Spec) func(*testing.T) {
	t.Helper()
	w := newWorld(t, fastBoot)
	name, volume := "", volumeName(spec.Ref)
	if kind == driver.ObjectInstance {
		name, volume = instanceName(spec.Ref), "precious-"+string(spec.Phone)
	}
	made, err := w.raw.VolumeCreate(w.ctx, client.VolumeCreateOptions{Name: volume, Labels: map[string]string{"made": "by hand"}})
	w.must(err)
	t.Cleanup(func() {
		_, err := w.raw.VolumeRemove(context.WithoutCancel(w.ctx), volume, client.VolumeRemoveOptions{})
		report(t, err)
	})
	id, _ := w.user(name, volume)
	w.copyIn(id, "/data", "precious", "not lethe's")
	before, err := w.raw.ContainerInspect(w.ctx, id, client.ContainerInspectOptions{})
	w.must(err)
	return func(t *testing.T) {
		t.Helper()
		after, err := w.raw.ContainerInspect(w.ctx, id, client.ContainerInspectOptions{})
		if err != nil {
			t.Fatal(err)
		}
		if was, is := asJSON(t, before.Container.State), asJSON(t, after.Container.State); was != is {
			t.Errorf("the foreign container's state was %s and is %s", was, is)
		}
		now, err := w.raw.VolumeInspect(w.ctx, volume, client.VolumeInspectOptions{})
		if err != nil {
			t.Fatal(err)
		}
		if was, is := asJSON(t, made.Volume.Labels), asJSON(t, now.Volume.Labels); was != is {
			t.Errorf("the foreign volume's labels were %s and are %s", was, is)
		}
		if got := w.copyOut(id, "/data/precious"); got != "not lethe's" {
			t.Errorf("the foreign volume's file has %q", got)
		}
	}
}
