package docker

import (
	"context"
	"maps"
	"slices"
	"strings"

	"github.com/moby/moby/api/types/volume"
	"github.com/moby/moby/client"

	"github.com/lethe-cloud/lethe/internal/driver"
	"github.com/lethe-cloud/lethe/internal/phone"
)

// Erase removes the older containers, empties the older volumes in the helper container, removes them, and looks for them. The
// daemon holds one lock while it removes a volume with its files, for which every other volume of the host has to wait; an empty
// volume is removed in no time.
func (d *Driver) Erase(ctx context.Context, id phone.ID, below phone.Generation) (driver.Erasure, error) {
	h := d.host
	found, err := h.lives(ctx, id)
	if err != nil {
		return driver.Erasure{}, err
	}
	for generation, containers := range found.containers {
		for _, c := range containers {
			if generation >= below {
				continue
			}
			if err := h.removeContainer(ctx, c.ID); err != nil {
				return driver.Erasure{}, err
			}
		}
	}
	older := olderThan(below, found.volumes)
	erased, err := h.destroy(ctx, older)
	if err != nil {
		return driver.Erasure{}, err
	}
	if err := h.lookFor(ctx, id, below, older); err != nil {
		return driver.Erasure{}, err
	}
	for i := range erased {
		erased[i].Gone = true
	}
	return driver.Erasure{Volumes: erased, LookedFor: h.now()}, nil
}

// olderThan gives the volumes of generations lower than below, the oldest first.
func olderThan(below phone.Generation, volumes map[phone.Generation][]volume.Volume) []volume.Volume {
	var older []volume.Volume
	for _, generation := range slices.Sorted(maps.Keys(volumes)) {
		if generation < below {
			older = append(older, volumes[generation]...)
		}
	}
	return older
}

// destroy empties and removes volumes.
func (h *host) destroy(ctx context.Context, volumes []volume.Volume) ([]phone.ErasedVolume, error) {
	if len(volumes) == 0 {
		return nil, nil
	}
	reports, err := h.empty(ctx, volumes)
	if err != nil {
		return nil, err
	}
	var erased []phone.ErasedVolume
	for i, v := range volumes {
		if err := h.removeVolume(ctx, v.Name); err != nil {
			return nil, err
		}
		ref, _ := refOf(v.Labels)
		erased = append(erased, phone.ErasedVolume{Name: v.Name, Generation: ref.Generation, Files: reports[i].Files, Bytes: reports[i].Bytes})
	}
	return erased, nil
}

func (h *host) removeVolume(ctx context.Context, name string) error {
	_, err := h.api.VolumeRemove(ctx, name, client.VolumeRemoveOptions{})
	err = classify("remove the volume", err)
	if err == nil || isNotFound(err) {
		return nil
	}
	if isConflict(err) {
		return phone.Errorf(phone.Conflict, phone.ReasonEraseFailed,
			"the volume %s is emptied, but a container that is not of this installation uses it: remove that container, and reset the phone again (%s): %w",
			name, h.users(ctx, name), err)
	}
	return err
}

// users names the containers that use a volume, for the people who have to deal with them.
func (h *host) users(ctx context.Context, name string) string {
	list, err := h.api.ContainerList(ctx, client.ContainerListOptions{All: true, Filters: make(client.Filters).Add("volume", name)})
	if err != nil || len(list.Items) == 0 {
		return "Docker does not say which"
	}
	var names []string
	for _, c := range list.Items {
		names = append(names, nameOf(c.Names))
	}
	return strings.Join(names, ", ")
}

// lookFor searches the host for older volumes of the phone, by label and those that were destroyed also by name.
func (h *host) lookFor(ctx context.Context, id phone.ID, below phone.Generation, destroyed []volume.Volume) error {
	volumes, err := h.volumes(ctx, id)
	if err != nil {
		return err
	}
	if left := olderThan(below, volumes); len(left) > 0 {
		return stillThere(left[0].Name)
	}
	for _, v := range destroyed {
		_, err := h.api.VolumeInspect(ctx, v.Name, client.VolumeInspectOptions{})
		if err == nil {
			return stillThere(v.Name)
		}
		if err = classify("look for an erased volume", err); !isNotFound(err) {
			return err
		}
	}
	return nil
}

func stillThere(name string) error {
	return phone.Errorf(phone.Internal, phone.ReasonEraseFailed, "the volume %s was removed and is on the host again", name)
}
