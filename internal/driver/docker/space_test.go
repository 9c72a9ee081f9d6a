package docker

import (
	"strings"
	"testing"

	"github.com/moby/moby/api/types/volume"
	"github.com/moby/moby/client"

	"github.com/lethe-cloud/lethe/internal/driver"
	"github.com/lethe-cloud/lethe/internal/phone"
)

// leaveMeasuring makes the container that measures a life's volume and goes no further, as a process that is killed does.
func (w *world) leaveMeasuring(ref driver.Ref) (id string) {
	w.t.Helper()
	volumes, err := w.d.host.volumes(w.ctx, ref.Phone)
	if err != nil || len(volumes[ref.Generation]) != 1 {
		w.t.Fatal(volumes, err)
	}
	id, err = w.d.host.makeNamed(w.ctx, func(image string) client.ContainerCreateOptions {
		return w.d.host.measuringContainer(image, measuringPrefix+instanceName(ref), volumes[ref.Generation][0])
	})
	if err != nil {
		w.t.Fatal(err)
	}
	return id
}

// What a killed process left of measuring is in nobody's way: the next attempt measures, and the volume can be erased.
func TestSpaceAfterAKill(t *testing.T) {
	t.Parallel()
	w := newWorld(t, fastBoot)
	spec := w.spec()
	if _, err := w.d.Ensure(w.ctx, spec); err != nil {
		t.Fatal(err)
	}
	left := w.leaveMeasuring(spec.Ref)
	if space, err := w.d.Space(w.ctx, spec.Ref); err != nil || space.Free <= 0 {
		t.Errorf("Space gives %+v, %v", space, err)
	}
	if _, err := w.d.host.inspect(w.ctx, left); !isNotFound(err) {
		t.Errorf("the container that was left: %v", err)
	}
	w.leaveMeasuring(spec.Ref)
	if _, err := w.d.Erase(w.ctx, spec.Phone, spec.Generation+1); err != nil {
		t.Errorf("Erase: %v", err)
	}
	list, err := w.raw.ContainerList(w.ctx, client.ContainerListOptions{All: true, Filters: w.d.host.labelled()})
	if err != nil || len(list.Items) != 0 {
		t.Errorf("left on the host: %+v, %v", list.Items, err)
	}
}

// A helper image of another version, which would take the volume for one to empty, can do nothing to it.
func TestMeasuringCannotWrite(t *testing.T) {
	t.Parallel()
	h := &host{}
	options := h.measuringContainer("image", "name", volume.Volume{Name: "v"})
	mounts, added := options.HostConfig.Mounts, options.HostConfig.CapAdd
	if len(mounts) != 1 || mounts[0].Source != "v" || !mounts[0].ReadOnly || !options.HostConfig.ReadonlyRootfs || len(added) != 1 || added[0] != "DAC_READ_SEARCH" {
		t.Errorf("mounts %+v, capabilities %v", mounts, added)
	}
}

// A helper image of another version measures nothing, and the operator is told so: not that lethe has failed.
func TestMeasurementThatIsNone(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ stdout, stderr, says string }{
		"a report of what was emptied": {`{"dir":"--measure","files":0,"dirs":0,"bytes":0,"error":"open --measure"}`, "", "helper_image of another version"},
		"nothing":                      {"", "exec: no such file", "exec: no such file"},
		"a volume that cannot be read": {`{"dir":"/volumes/0","used":0,"free":0,"error":"input/output error"}`, "", "input/output error"},
	} {
		_, err := readSpace("v", []byte(c.stdout), []byte(c.stderr))
		if phone.ReasonOf(err) != phone.ReasonHostFailed || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v (%s)", name, err, phone.ReasonOf(err))
		}
	}
	if space, err := readSpace("v", []byte(`{"dir":"/volumes/0","used":7,"free":9}`), nil); err != nil || space != (phone.Space{Used: 7, Free: 9}) {
		t.Errorf("a measurement: %+v, %v", space, err)
	}
}
