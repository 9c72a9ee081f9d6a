package docker

import (
	"context"
	"maps"
	"time"

	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/client"

	"github.com/lethe-cloud/lethe/internal/driver"
	"github.com/lethe-cloud/lethe/internal/phone"
)

// Remake removes the life's container and makes another one on the same volume; see driver.Driver. The daemon itself sees to it that
// none goes that runs: it is asked to remove the container without force, so one that is started after it was looked at stays.
func (d *Driver) Remake(ctx context.Context, spec driver.Spec) (driver.Instance, error) {
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
	if err := d.wantVolume(ctx, spec.Ref); err != nil {
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
	// Docker makes a volume that a container names and that is not there. One that is removed from now on would come back empty, and be taken
	// for the phone's data: it is known by this label.
	volume := options.HostConfig.Mounts[0].VolumeOptions
	volume.Labels = maps.Clone(volume.Labels)
	volume.Labels[labelStandIn] = "true"

	instance, err := d.replace(ctx, spec, options)
	if err != nil {
		return driver.Instance{}, err
	}
	if err := d.wantVolume(ctx, spec.Ref); err != nil {
		return driver.Instance{}, err
	}
	return instance, nil
}

// wantVolume fails unless the life's volume is there. One that Docker made in its place goes, with a container that was made on it: it never
// had any data, for no such container was started.
func (d *Driver) wantVolume(ctx context.Context, ref driver.Ref) error {
	name := volumeName(ref)
	gone := phone.Errorf(phone.NotFound, phone.ReasonVolumeGone, "the volume %s is no longer on the host", name)
	found, err := d.host.api.VolumeInspect(ctx, name, client.VolumeInspectOptions{})
	if err = classify("look at the data volume", err); isNotFound(err) {
		return gone
	}
	if err != nil {
		return err
	}
	labels := found.Volume.Labels
	if got, _ := refOf(labels); !d.host.ours(kindVolume, labels) || got != ref {
		return foreign(name, "volume")
	}
	if labels[labelStandIn] == "" {
		return nil
	}
	d.host.logger.WarnContext(ctx, "the data volume went while its container was made anew: the empty one that Docker made is removed", "phone_id", ref.Phone, "volume", name)
	if made, err := d.find(ctx, ref); err == nil {
		err = d.host.removeStopped(ctx, made.ID)
		if err != nil {
			return err
		}
	} else if !isNotFound(err) {
		return err
	}
	_, err = d.host.api.VolumeRemove(ctx, name, client.VolumeRemoveOptions{})
	if err = classify("remove the volume that Docker made", err); err != nil && !isNotFound(err) {
		return err
	}
	return gone
}

// standIn reports whether a container that does not run stands on a volume that Docker made in place of the life's own. One that was never
// made anew has its volume from Ensure, and costs no question.
func (h *host) standIn(ctx context.Context, found container.InspectResponse) (bool, error) {
	for _, m := range found.HostConfig.Mounts {
		if m.Target != dataPath || m.VolumeOptions == nil || m.VolumeOptions.Labels[labelStandIn] == "" {
			continue
		}
		volume, err := h.api.VolumeInspect(ctx, m.Source, client.VolumeInspectOptions{})
		if err = classify("look at the data volume", err); err != nil && !isNotFound(err) {
			return false, err
		}
		return err == nil && volume.Volume.Labels[labelStandIn] != "", nil
	}
	return false, nil
}

// replace settles who has the life's name, as takeOrMake does: the container that is wanted has it at the end.
func (d *Driver) replace(ctx context.Context, spec driver.Spec, options client.ContainerCreateOptions) (driver.Instance, error) {
	limited, cancel := context.WithTimeout(ctx, d.host.nameLimit)
	defer cancel()
	for wait := 5 * time.Millisecond; ; wait = min(2*wait, time.Second) {
		instance, err := d.replaceOnce(ctx, spec, options)
		if !isConflict(err) || phone.ReasonOf(err) != "" {
			return instance, err
		}
		if pause(limited, wait) != nil {
			if ctx.Err() != nil {
				return driver.Instance{}, classify("wait for the container's name", ctx.Err())
			}
			return driver.Instance{}, phone.Errorf(phone.Unavailable, "",
				"the container %s could not be replaced: restart Docker's daemon if that goes on: %w", options.Name, err)
		}
	}
}

// replaceOnce is Conflict without a reason when somebody has changed what it found meanwhile.
func (d *Driver) replaceOnce(ctx context.Context, spec driver.Spec, options client.ContainerCreateOptions) (driver.Instance, error) {
	found, err := d.host.inspect(ctx, options.Name)
	if isNotFound(err) {
		return d.makeContainer(ctx, spec, options)
	}
	if err != nil {
		return driver.Instance{}, err
	}
	labels := found.Config.Labels
	ref, _ := refOf(labels)
	switch {
	case !d.host.ours(kindInstance, labels) || ref != spec.Ref:
		return driver.Instance{}, foreign(options.Name, "container")
	case labels[labelMade] == options.Config.Labels[labelMade]:
		if found.State.Status == container.StateCreated { // the call that made it may have ended before the keys were in
			if err := d.writeKeys(ctx, found.ID, spec.ADBKeys); err != nil {
				return driver.Instance{}, err
			}
		}
		return d.instance(ctx, found)
	case found.State.Running:
		return driver.Instance{}, phone.Errorf(phone.Precondition, "", "the container %s runs, and is not what it should be: stop it first", options.Name)
	}
	if err := d.host.wantImage(ctx, spec.Identity.ID); err != nil { // while the old container is there to go back to
		return driver.Instance{}, err
	}
	if err := d.host.removeStopped(ctx, found.ID); err != nil {
		return driver.Instance{}, err
	}
	return d.makeContainer(ctx, spec, options)
}

// removeStopped removes a container that is ours, with whatever volumes without a name its image gave it, unless it runs: then, and while
// somebody else removes it, that is a Conflict.
func (h *host) removeStopped(ctx context.Context, id string) error {
	_, err := h.api.ContainerRemove(ctx, id, client.ContainerRemoveOptions{RemoveVolumes: true})
	if err = classify("remove the container", err); isNotFound(err) {
		return nil
	}
	return err
}
