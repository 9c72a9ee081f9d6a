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
	return d.destroyAll(ctx, id, func(g phone.Generation) bool { return g < below })
}

// Discard destroys one life as Erase does older ones, and looks for its container too.
func (d *Driver) Discard(ctx context.Context, ref driver.Ref) error {
	if _, err := d.destroyAll(ctx, ref.Phone, func(g phone.Generation) bool { return g == ref.Generation }); err != nil {
		return err
	}
	switch _, err := d.find(ctx, ref); {
	case isNotFound(err):
		return nil
	case err != nil:
		return err
	}
	return phone.Errorf(phone.Internal, phone.ReasonEraseFailed, "the container %s was removed and is on the host again", instanceName(ref))
}

// which says whether a life of a phone is meant.
type which func(phone.Generation) bool

// destroyAll destroys the lives that which says, containers and volumes, and looks for the volumes.
func (d *Driver) destroyAll(ctx context.Context, id phone.ID, which which) (driver.Erasure, error) {
	h := d.host
	found, err := h.lives(ctx, id)
	if err != nil {
		return driver.Erasure{}, err
	}
	for generation, containers := range found.containers {
		for _, c := range containers {
			if !which(generation) {
				continue
			}
			if err := h.removeContainer(ctx, c.ID); err != nil {
				return driver.Erasure{}, err
			}
		}
	}
	volumes := which.of(found.volumes)
	erased, err := h.destroy(ctx, volumes)
	if err != nil {
		return driver.Erasure{}, err
	}
	if err := h.lookFor(ctx, id, which, volumes); err != nil {
		return driver.Erasure{}, err
	}
	for i := range erased {
		erased[i].Gone = true
	}
	return driver.Erasure{Volumes: erased, LookedFor: h.now()}, nil
}

// of gives the volumes of those lives, the oldest first.
func (w which) of(volumes map[phone.Generation][]volume.Volume) []volume.Volume {
	var those []volume.Volume
	for _, generation := range slices.Sorted(maps.Keys(volumes)) {
		if w(generation) {
			those = append(those, volumes[generation]...)
		}
	}
	return those
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
	remove := func() error {
		_, err := h.api.VolumeRemove(ctx, name, client.VolumeRemoveOptions{})
		return classify("remove the volume", err)
	}
	err := remove()
	if isConflict(err) {
		if dropErr := h.dropMeasuring(ctx, name); dropErr != nil {
			return dropErr
		}
		err = remove()
	}
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

// lookFor searches the host for the phone's volumes of those lives, by label and those that were destroyed also by name.
func (h *host) lookFor(ctx context.Context, id phone.ID, which which, destroyed []volume.Volume) error {
	volumes, err := h.volumes(ctx, id)
	if err != nil {
		return err
	}
	if left := which.of(volumes); len(left) > 0 {
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
