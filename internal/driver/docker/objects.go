package docker

import (
	"context"
	"strings"

	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/volume"
	"github.com/moby/moby/client"

	"github.com/lethe-cloud/lethe/internal/driver"
	"github.com/lethe-cloud/lethe/internal/phone"
)

// List gives the containers, running or not, and the volumes of this server's phones, and the volume of its shared storage.
func (d *Driver) List(ctx context.Context) ([]driver.Object, error) {
	h := d.host
	if err := h.negotiate(ctx); err != nil {
		return nil, err
	}
	containers, err := h.api.ContainerList(ctx, client.ContainerListOptions{
		All: true, Filters: h.labelled(labelKind, kindInstance, labelServer, string(d.server)),
	})
	if err != nil {
		return nil, classify("list the containers", err)
	}
	volumes, err := h.api.VolumeList(ctx, client.VolumeListOptions{
		Filters: h.labelled(labelKind, kindVolume, labelServer, string(d.server)),
	})
	if err != nil {
		return nil, classify("list the volumes", err)
	}
	objects := make([]driver.Object, 0, len(containers.Items)+len(volumes.Items))
	for _, c := range containers.Items {
		objects = h.append(ctx, objects, driver.Object{Kind: driver.ObjectInstance, Name: nameOf(c.Names), Running: runs(c.State)}, c.Labels)
	}
	for _, v := range volumes.Items {
		objects = h.append(ctx, objects, driver.Object{Kind: driver.ObjectVolume, Name: v.Name}, v.Labels)
	}
	shares, err := d.shares(ctx)
	for _, v := range shares {
		objects = append(objects, driver.Object{Kind: driver.ObjectShare, Name: v.Name})
	}
	return objects, err
}

// runs reports whether a container in this state has processes: as the daemon's own State.Running has it, also a paused one.
func runs(state container.ContainerState) bool {
	return state == container.StateRunning || state == container.StatePaused || state == container.StateRestarting
}

func (h *host) append(ctx context.Context, to []driver.Object, o driver.Object, labels map[string]string) []driver.Object {
	ref, ok := refOf(labels)
	if !ok {
		h.logger.WarnContext(ctx, "an object on the host has damaged labels and is left alone", "kind", o.Kind, "name", o.Name)
		return to
	}
	o.Phone, o.Generation, o.Job = ref.Phone, ref.Generation, phone.JobID(labels[labelJob])
	return append(to, o)
}

// nameOf gives a container's own name: the others are those by which linked containers know it.
func nameOf(names []string) string {
	for _, name := range names {
		if name = strings.TrimPrefix(name, "/"); !strings.Contains(name, "/") {
			return name
		}
	}
	return ""
}

// lives are the containers and volumes of one phone.
type lives struct {
	containers map[phone.Generation][]container.Summary
	volumes    map[phone.Generation][]volume.Volume
}

func (l lives) highest() phone.Generation {
	var highest phone.Generation
	for generation := range l.containers {
		highest = max(highest, generation)
	}
	for generation := range l.volumes {
		highest = max(highest, generation)
	}
	return highest
}

// wantHighest refuses to go below a life that the host already has.
func (l lives) wantHighest(generation phone.Generation) error {
	if highest := l.highest(); highest > generation {
		return phone.Errorf(phone.Conflict, phone.ReasonHigherGeneration,
			"the host already has generation %d of the phone, so generation %d is not made", highest, generation)
	}
	return nil
}

// lives looks for everything that this installation made for a phone.
func (h *host) lives(ctx context.Context, id phone.ID) (lives, error) {
	if err := h.negotiate(ctx); err != nil {
		return lives{}, err
	}
	l := lives{containers: map[phone.Generation][]container.Summary{}}
	containers, err := h.api.ContainerList(ctx, client.ContainerListOptions{
		All: true, Filters: h.labelled(labelKind, kindInstance, labelPhone, string(id)),
	})
	if err != nil {
		return lives{}, classify("list the phone's containers", err)
	}
	for _, c := range containers.Items {
		if ref, ok := refOf(c.Labels); ok {
			l.containers[ref.Generation] = append(l.containers[ref.Generation], c)
		}
	}
	l.volumes, err = h.volumes(ctx, id)
	return l, err
}

// volumes looks for a phone's volumes.
func (h *host) volumes(ctx context.Context, id phone.ID) (map[phone.Generation][]volume.Volume, error) {
	list, err := h.api.VolumeList(ctx, client.VolumeListOptions{Filters: h.labelled(labelKind, kindVolume, labelPhone, string(id))})
	if err != nil {
		return nil, classify("list the phone's volumes", err)
	}
	volumes := map[phone.Generation][]volume.Volume{}
	for _, v := range list.Items {
		if ref, ok := refOf(v.Labels); ok {
			volumes[ref.Generation] = append(volumes[ref.Generation], v)
		}
	}
	return volumes, nil
}
