package simulated

import (
	"context"

	"github.com/lethe-cloud/lethe/internal/driver"
	"github.com/lethe-cloud/lethe/internal/phone"
)

// Remake puts another record in the place of the instance's, in one step; the volume's folder is looked for and not touched.
func (d *Driver) Remake(ctx context.Context, spec driver.Spec) (driver.Instance, error) {
	return d.makes(ctx, OpRemake, spec, d.remake)
}

func (d *Driver) remake(ctx context.Context, spec driver.Spec) (driver.Instance, error) {
	found, err := d.scan(spec.Phone)
	if err != nil {
		return driver.Instance{}, err
	}
	if err := tidy(found); err != nil {
		return driver.Instance{}, err
	}
	if err := d.wantHighest(spec.Ref, found); err != nil {
		return driver.Instance{}, err
	}
	present, instanceOwner, err := d.readInstanceRecord(spec.Ref)
	if err != nil {
		return driver.Instance{}, err
	}
	made, now := d.newInstance(spec), d.now()
	volume, volumeOwner := found.volume(d, spec.Generation)
	made.VolumeJob = volume.Job
	counted := instanceOwner == ours
	there := counted && !present.gone(now)
	switch {
	case instanceOwner == foreign:
		return driver.Instance{}, taken(instanceName(spec.Ref))
	case volumeOwner == foreign:
		return driver.Instance{}, taken(volumeName(spec.Ref))
	case volumeOwner == absent:
		return driver.Instance{}, phone.Errorf(phone.NotFound, phone.ReasonVolumeGone, "the volume %s is no longer on the host", volumeName(spec.Ref))
	case there && present.Made == made.Made && present.volumeLabel() == volume:
		return present.view(now), nil
	case there && present.running(now):
		return driver.Instance{}, phone.Errorf(phone.Precondition, "", "the instance %s runs, and is not what it should be: stop it first", instanceName(spec.Ref))
	}
	if err := d.wantImage(spec.Identity); err != nil {
		return driver.Instance{}, err
	}
	write := func() error { return writeJSON(d.instancePath(spec.Ref), made) }
	if counted {
		err = write()
	} else {
		err = d.addInstance(ctx, write)
	}
	if err != nil {
		return driver.Instance{}, err
	}
	return made.view(now), nil
}
