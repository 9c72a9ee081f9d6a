package docker

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/client"

	"github.com/lethe-cloud/lethe/internal/driver"
	"github.com/lethe-cloud/lethe/internal/phone"
)

// Ensure makes the container and its volume; see driver.Driver. A container that an earlier call of the same job made is taken
// as it is. One that was made from another description, because the template or lethe itself changed since, is made anew as
// long as it was never started; after that it is a Conflict.
func (d *Driver) Ensure(ctx context.Context, spec driver.Spec) (driver.Instance, error) {
	if err := d.check(spec); err != nil {
		return driver.Instance{}, err
	}
	lives, err := d.host.lives(ctx, spec.Phone)
	if err != nil {
		return driver.Instance{}, err
	}
	if err := lives.wantHighest(spec.Generation); err != nil {
		return driver.Instance{}, err
	}
	if err := d.makeVolume(ctx, spec); err != nil {
		return driver.Instance{}, err
	}
	if err := d.wantShare(ctx); err != nil {
		return driver.Instance{}, err
	}
	networkID, err := d.network(ctx, spec.Project)
	if err != nil {
		return driver.Instance{}, err
	}
	options, err := d.container(spec, networkID)
	if err != nil {
		return driver.Instance{}, err
	}
	if len(lives.containers[spec.Generation]) == 0 {
		instance, err := d.makeContainer(ctx, spec, options)
		if !isConflict(err) {
			return instance, err
		}
	}
	return d.takeOrMake(ctx, spec, options)
}

// nameLimit bounds the wait for a name that Docker says is taken while it shows nothing of that name.
const nameLimit = 30 * time.Second

// takeOrMake settles who has the life's name. Docker gives a name away before it shows the container, and takes it back when
// making the container fails, so both answers may be "no" for a moment.
func (d *Driver) takeOrMake(ctx context.Context, spec driver.Spec, options client.ContainerCreateOptions) (driver.Instance, error) {
	limited, cancel := context.WithTimeout(ctx, d.host.nameLimit)
	defer cancel()
	for wait := 5 * time.Millisecond; ; wait = min(2*wait, time.Second) {
		instance, err := d.adopt(ctx, spec, options)
		if !isNotFound(err) {
			return instance, err
		}
		if instance, err = d.makeContainer(ctx, spec, options); !isConflict(err) {
			return instance, err
		}
		if pause(limited, wait) != nil {
			if ctx.Err() != nil {
				return driver.Instance{}, classify("wait for the container's name", ctx.Err())
			}
			return driver.Instance{}, phone.Errorf(phone.Unavailable, "",
				"Docker says that the name %s is taken and shows no such container: restart its daemon if that goes on: %w", options.Name, err)
		}
	}
}

// makeVolume makes the life's volume. Docker answers with an existing volume of that name as if it had made it, so its labels
// are looked at. A daemon that was started since the volume was made leaves them out of that answer (20.10: its store caches the volume
// without them), and shows them to who asks for the volume.
func (d *Driver) makeVolume(ctx context.Context, spec driver.Spec) error {
	labels := d.lifeLabels(kindVolume, spec)
	made, err := d.host.api.VolumeCreate(ctx, client.VolumeCreateOptions{Name: volumeName(spec.Ref), Driver: "local", Labels: labels})
	if err != nil {
		err = classify("make the data volume", err)
		if isConflict(err) { // one of that name, by another volume driver
			return foreign(volumeName(spec.Ref), "volume")
		}
		return err
	}
	got := made.Volume.Labels
	if len(got) == 0 {
		found, err := d.host.api.VolumeInspect(ctx, volumeName(spec.Ref), client.VolumeInspectOptions{})
		if err != nil {
			return classify("look at the data volume", err)
		}
		got = found.Volume.Labels
	}
	ref, _ := refOf(got)
	switch {
	case !d.host.ours(kindVolume, got) || ref != spec.Ref:
		return foreign(volumeName(spec.Ref), "volume")
	case got[labelJob] != string(spec.Job):
		return phone.Errorf(phone.Conflict, "", "the volume %s belongs to another job of this phone", volumeName(spec.Ref))
	}
	return nil
}

func foreign(name, kind string) error {
	return phone.Errorf(phone.Conflict, phone.ReasonForeignObject,
		"the host has a %s named %s that is not of this installation: remove or rename it", kind, name)
}

// makeContainer makes the container. The error is Conflict when its name is taken.
func (d *Driver) makeContainer(ctx context.Context, spec driver.Spec, options client.ContainerCreateOptions) (driver.Instance, error) {
	made, err := d.host.api.ContainerCreate(ctx, options)
	if err != nil {
		err = classify("make the container", err)
		if isNotFound(err) && strings.Contains(err.Error(), "No such image") {
			return driver.Instance{}, noImage(err)
		}
		return driver.Instance{}, err
	}
	if len(made.Warnings) > 0 {
		d.host.logger.WarnContext(ctx, "Docker warns of a container", "phone_id", spec.Phone, "warnings", made.Warnings)
	}
	if err := d.writeKeys(ctx, made.ID, spec.ADBKeys); err != nil {
		return driver.Instance{}, err
	}
	return driver.Instance{
		Ref: spec.Ref, Name: options.Name, Identity: spec.Identity, Made: options.Config.Labels[labelMade], Volume: volumeName(spec.Ref),
		Address: d.address(spec.ADBPort),
	}, nil
}

func noImage(err error) error {
	return phone.Errorf(phone.NotFound, phone.ReasonImageNotFound,
		"the image that was prepared for the phone is no longer on the host: reset the phone again, which prepares it anew: %w", err)
}

// adopt takes the container that has the life's name, if it is what spec asks for. The error is NotFound when there is none.
func (d *Driver) adopt(ctx context.Context, spec driver.Spec, options client.ContainerCreateOptions) (driver.Instance, error) {
	found, err := d.host.inspect(ctx, options.Name)
	if err != nil {
		return driver.Instance{}, err
	}
	labels := found.Config.Labels
	ref, _ := refOf(labels)
	neverStarted := found.State.Status == container.StateCreated
	switch {
	case !d.host.ours(kindInstance, labels) || ref != spec.Ref:
		return driver.Instance{}, foreign(options.Name, "container")
	case labels[labelJob] != string(spec.Job):
		return driver.Instance{}, phone.Errorf(phone.Conflict, "", "the container %s belongs to another job of this phone", options.Name)
	case labels[labelSpec] == options.Config.Labels[labelSpec]:
	case !neverStarted:
		return driver.Instance{}, phone.Errorf(phone.Conflict, "",
			"the container %s runs with settings that are no longer the server's: reset the phone again", options.Name)
	default:
		if err := d.host.removeContainer(ctx, found.ID); err != nil {
			return driver.Instance{}, err
		}
		return d.makeContainer(ctx, spec, options)
	}
	if neverStarted { // the call that made it may have ended before the keys were in
		if err := d.writeKeys(ctx, found.ID, spec.ADBKeys); err != nil {
			return driver.Instance{}, err
		}
	}
	return d.instance(ctx, found)
}

// find gives a life's container. One of its name that is not ours is not there, as far as this installation is concerned.
func (d *Driver) find(ctx context.Context, ref driver.Ref) (container.InspectResponse, error) {
	found, err := d.host.inspect(ctx, instanceName(ref))
	if err != nil && !isNotFound(err) {
		return container.InspectResponse{}, err
	}
	if err == nil {
		if got, _ := refOf(found.Config.Labels); d.host.ours(kindInstance, found.Config.Labels) && got == ref {
			return found, nil
		}
	}
	return container.InspectResponse{}, phone.Errorf(phone.NotFound, "", "generation %d of the phone is not on the host", ref.Generation)
}

// inspect looks at one container, by name or id.
func (h *host) inspect(ctx context.Context, name string) (container.InspectResponse, error) {
	if err := h.negotiate(ctx); err != nil {
		return container.InspectResponse{}, err
	}
	result, err := h.api.ContainerInspect(ctx, name, client.ContainerInspectOptions{})
	if err != nil {
		return container.InspectResponse{}, classify("look at the container", err)
	}
	found := result.Container
	if found.Config == nil || found.State == nil || found.HostConfig == nil {
		return container.InspectResponse{}, classify("look at the container", errors.New("its description is incomplete"))
	}
	return found, nil
}
