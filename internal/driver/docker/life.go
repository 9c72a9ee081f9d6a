package docker

import (
	"context"
	"strings"
	"time"

	"github.com/moby/moby/client"

	"github.com/lethe-cloud/lethe/internal/driver"
	"github.com/lethe-cloud/lethe/internal/phone"
)

// Start starts the container.
func (d *Driver) Start(ctx context.Context, ref driver.Ref) error {
	found, err := d.find(ctx, ref)
	if err != nil {
		return err
	}
	if found.State.Running {
		return nil
	}
	standIn, err := d.host.standIn(ctx, found)
	if err != nil {
		return err
	}
	if standIn {
		return phone.Errorf(phone.NotFound, phone.ReasonVolumeGone, "the volume %s is no longer on the host", volumeName(ref))
	}
	_, err = d.host.api.ContainerStart(ctx, found.ID, client.ContainerStartOptions{})
	if err = classify("start the container", err); err == nil {
		return nil
	}
	switch text := err.Error(); {
	case phone.CodeOf(err) == phone.Conflict && (strings.Contains(text, "port is already allocated") || strings.Contains(text, "address already in use")):
		return phone.Errorf(phone.Conflict, "", "something else on the host uses the phone's adb port: free it, and reset the phone again: %w", err)
	case isNotFound(err) && strings.Contains(text, "network"):
		return phone.Errorf(phone.Precondition, "", "the phone's Docker network was removed: reset the phone, which makes it anew: %w", err)
	}
	return err
}

// Stop kills the container: Android's init ignores SIGTERM when it may reboot, so asking first only costs the grace period.
func (d *Driver) Stop(ctx context.Context, ref driver.Ref) error {
	found, err := d.find(ctx, ref)
	if isNotFound(err) {
		return nil
	}
	if err != nil {
		return err
	}
	if !found.State.Running {
		return nil
	}
	_, err = d.host.api.ContainerKill(ctx, found.ID, client.ContainerKillOptions{Signal: "SIGKILL"})
	if err = classify("stop the container", err); isNotFound(err) || isConflict(err) { // it ended meanwhile
		return nil
	}
	return err
}

// Remove removes the container and whatever volumes without a name its image gave it; the life's own volume stays.
func (d *Driver) Remove(ctx context.Context, ref driver.Ref) error {
	found, err := d.find(ctx, ref)
	if isNotFound(err) {
		return nil
	}
	if err != nil {
		return err
	}
	return d.host.removeContainer(ctx, found.ID)
}

// removeContainer removes a container that is ours and returns when it is gone, also when somebody else is removing it already.
func (h *host) removeContainer(ctx context.Context, id string) error {
	for wait := 10 * time.Millisecond; ; wait = min(2*wait, time.Second) {
		_, err := h.api.ContainerRemove(ctx, id, client.ContainerRemoveOptions{Force: true, RemoveVolumes: true})
		if err = classify("remove the container", err); err == nil || isNotFound(err) {
			return nil
		}
		if !isConflict(err) { // "removal of container ... is already in progress"
			return err
		}
		if err := pause(ctx, wait); err != nil {
			return classify("wait until the container is removed", err)
		}
	}
}
