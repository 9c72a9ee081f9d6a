package simulated

import (
	"context"
	"errors"
	"io/fs"
	"os"

	"github.com/lethe-cloud/lethe/internal/adb"
	"github.com/lethe-cloud/lethe/internal/driver"
	"github.com/lethe-cloud/lethe/internal/phone"
)

// Ensure makes the volume and then the instance, so that an instance whose volume was never made cannot be; either of them
// appears whole or not at all.
func (d *Driver) Ensure(ctx context.Context, spec driver.Spec) (driver.Instance, error) {
	return d.makes(ctx, OpEnsure, spec, d.ensure)
}

// makes checks what a life is to be made of and runs do under the phone's lock.
func (d *Driver) makes(ctx context.Context, op Operation, spec driver.Spec, do func(context.Context, driver.Spec) (driver.Instance, error)) (driver.Instance, error) {
	if err := wantRef(spec.Ref); err != nil {
		return driver.Instance{}, err
	}
	if !phone.ValidID(spec.Job) {
		return driver.Instance{}, phone.Errorf(phone.Invalid, "", "job %q cannot be: an id has 32 lower-case hex digits", spec.Job)
	}
	if err := check(spec.Properties); err != nil {
		return driver.Instance{}, err
	}
	if err := adb.CheckKeys(spec.ADBKeys); err != nil {
		return driver.Instance{}, badKeys(err)
	}
	who := subject{phone: spec.Phone, generation: spec.Generation, names: func() []string { return []string{spec.Name} }}
	return call(ctx, d, op, who, func() (driver.Instance, error) {
		unlock, err := d.lockPhone(ctx, spec.Phone, true)
		if err != nil {
			return driver.Instance{}, err
		}
		defer unlock()
		return do(ctx, spec)
	})
}

func (d *Driver) ensure(ctx context.Context, spec driver.Spec) (driver.Instance, error) {
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
	volume, volumeOwner := found.volume(d, spec.Generation)
	vanished := instanceOwner == ours && present.gone(d.now())
	switch {
	case instanceOwner == foreign:
		return driver.Instance{}, taken(instanceName(spec.Ref))
	case volumeOwner == foreign:
		return driver.Instance{}, taken(volumeName(spec.Ref))
	case volumeOwner == ours && volume.Job != spec.Job:
		return driver.Instance{}, anotherJob(volumeName(spec.Ref), volume.Job)
	case instanceOwner == ours && present.Job != spec.Job:
		return driver.Instance{}, anotherJob(instanceName(spec.Ref), present.Job)
	case instanceOwner == ours && volumeOwner == ours && !vanished:
		return present.view(d.now()), nil
	}
	if err := d.wantImage(spec.Identity); err != nil {
		return driver.Instance{}, err
	}
	made := d.newInstance(spec)
	create := func() error {
		// The folder's name is its label, so the volume is there with it or not at all.
		if err := os.Mkdir(d.volumePath(made.label), 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
			return err
		}
		if instanceOwner == ours && !vanished { // only its volume was taken away
			made = present
			return nil
		}
		return writeJSON(d.instancePath(spec.Ref), made)
	}
	if instanceOwner == ours { // it is counted already
		err = create()
	} else {
		err = d.addInstance(ctx, create)
	}
	if err != nil {
		return driver.Instance{}, err
	}
	return made.view(d.now()), nil
}

func taken(name string) error {
	return phone.Errorf(phone.Conflict, phone.ReasonForeignObject,
		"%s is on the host and does not belong to this installation and server: move it out of the way by hand", name)
}

func anotherJob(name string, job phone.JobID) error {
	return phone.Errorf(phone.Conflict, "", "%s belongs to the job %s", name, job)
}

// tidy removes what a killed process had not finished writing. The caller has the phone's lock, so nobody writes now.
func tidy(found contents) error {
	for _, path := range found.unfinished {
		if err := os.RemoveAll(path); err != nil {
			return err
		}
	}
	return nil
}

// wantHighest refuses to go below a life that the host already has.
func (d *Driver) wantHighest(ref driver.Ref, found contents) error {
	highest := ref.Generation
	for _, l := range found.volumes {
		if d.owns(l) {
			highest = max(highest, l.Generation)
		}
	}
	for _, other := range found.instances {
		if other.Generation <= highest {
			continue
		}
		if _, owner, err := d.readInstance(other); err != nil {
			return err
		} else if owner == ours {
			highest = other.Generation
		}
	}
	if highest > ref.Generation {
		return phone.Errorf(phone.Conflict, phone.ReasonHigherGeneration,
			"the host already has generation %d of the phone, so generation %d is not made", highest, ref.Generation)
	}
	return nil
}

func (d *Driver) newInstance(spec driver.Spec) *instance {
	made := &instance{
		label: label{
			Installation: d.installation, Server: d.server, Phone: spec.Phone, Generation: spec.Generation, Job: spec.Job,
		},
		PhoneName: spec.Name, Project: spec.Project, Image: spec.Image.Reference, Identity: spec.Identity,
		Properties: phone.Properties{}, ADBPort: spec.ADBPort, ADBKeys: spec.ADBKeys, CreatedAt: d.now().UTC(),
		Made: Rules().Made(spec.Image.ID, spec.Properties), Share: d.config.SharePath,
	}
	for key, value := range spec.Properties {
		if timing(key) == driver.AtCreation {
			made.Properties[key] = value
		}
	}
	return made
}
