package docker

import (
	"cmp"
	"context"
	"slices"
	"strings"

	"github.com/moby/moby/api/types/network"
	"github.com/moby/moby/client"

	"github.com/lethe-cloud/lethe/internal/phone"
)

// network gives what a life's container is attached to: the template's network, or its project's own. Containers name a
// project's network by its id, because Docker lets several networks have one name.
func (d *Driver) network(ctx context.Context, project phone.ProjectID) (string, error) {
	if d.template.Network != "" {
		return d.template.Network, nil
	}
	h := d.host
	found, err := h.projectNetwork(ctx, project)
	if err != nil || found != "" {
		return found, err
	}
	if err := h.networks.acquire(ctx); err != nil {
		return "", err
	}
	defer h.networks.release()
	if found, err = h.projectNetwork(ctx, project); err != nil || found != "" { // made while this call waited
		return found, err
	}
	return h.makeNetwork(ctx, project)
}

// projectNetwork looks for a project's network: the oldest, should two processes have made one each. "" means that there is none.
func (h *host) projectNetwork(ctx context.Context, project phone.ProjectID) (string, error) {
	list, err := h.api.NetworkList(ctx, client.NetworkListOptions{
		Filters: h.labelled(labelKind, kindNetwork, labelProject, string(project)),
	})
	if err != nil {
		return "", classify("list the networks", err)
	}
	if len(list.Items) == 0 {
		return "", nil
	}
	oldest := slices.MinFunc(list.Items, func(a, b network.Summary) int {
		return cmp.Or(a.Created.Compare(b.Created), cmp.Compare(a.ID, b.ID))
	})
	return oldest.ID, nil
}

func (h *host) makeNetwork(ctx context.Context, project phone.ProjectID) (string, error) {
	made, err := h.api.NetworkCreate(ctx, "lethe-"+string(project), client.NetworkCreateOptions{
		Driver: "bridge",
		Labels: map[string]string{labelInstallation: h.installation, labelKind: kindNetwork, labelProject: string(project)},
	})
	if err != nil {
		err = classify("make the project's network", err)
		if strings.Contains(err.Error(), "available, non-overlapping") {
			return "", phone.Errorf(phone.Exhausted, "", "the Docker host has no address range left for another project's network: add to default-address-pools in its daemon.json, or name a network in the server's template: %w", err)
		}
		return "", err
	}
	// Another process may have made one at the same moment: all keep to the oldest, and who made another takes it away.
	oldest, err := h.projectNetwork(ctx, project)
	if err != nil || oldest == made.ID {
		return oldest, err
	}
	if oldest == "" {
		return "", phone.Errorf(phone.Unavailable, "", "the project's network was removed while it was being made")
	}
	if _, err := h.api.NetworkRemove(ctx, made.ID, client.NetworkRemoveOptions{}); err != nil {
		if err = classify("remove a network that was made twice", err); !isNotFound(err) {
			return "", err
		}
	}
	return oldest, nil
}
