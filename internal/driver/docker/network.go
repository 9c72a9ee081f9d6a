package docker

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"strings"
	"time"

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

// projectNetwork looks for a project's network. "" means that there is none.
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
	return list.Items[0].ID, nil
}

// makeNetwork makes a project's network. Docker takes two networks of one name, but not two with one bridge interface: that is
// what keeps two processes from making one each.
func (h *host) makeNetwork(ctx context.Context, project phone.ProjectID) (string, error) {
	made, err := h.api.NetworkCreate(ctx, "lethe-"+string(project), client.NetworkCreateOptions{
		Driver:  "bridge",
		Options: map[string]string{"com.docker.network.bridge.name": h.bridgeName(project)},
		Labels:  map[string]string{labelInstallation: h.installation, labelKind: kindNetwork, labelProject: string(project)},
	})
	if err == nil {
		return made.ID, nil
	}
	err = classify("make the project's network", err)
	switch text := err.Error(); {
	case strings.Contains(text, "same bridge name"):
		return h.awaitNetwork(ctx, project)
	case strings.Contains(text, "available, non-overlapping"):
		return "", phone.Errorf(phone.Exhausted, "", "the Docker host has no address range left for another project's network: add to default-address-pools in its daemon.json, or name a network in the server's template: %w", err)
	}
	return "", err
}

// bridgeName names the interface of a project's network: at most 15 characters, which is all that Linux takes.
func (h *host) bridgeName(project phone.ProjectID) string {
	sum := sha256.Sum256([]byte(h.installation + " " + string(project)))
	return "lethe" + hex.EncodeToString(sum[:5])
}

// awaitNetwork waits until the network is shown that another process is making.
func (h *host) awaitNetwork(ctx context.Context, project phone.ProjectID) (string, error) {
	limited, cancel := context.WithTimeout(ctx, h.nameLimit)
	defer cancel()
	for wait := 5 * time.Millisecond; ; wait = min(2*wait, time.Second) {
		if found, err := h.projectNetwork(ctx, project); found != "" || err != nil {
			return found, err
		}
		if pause(limited, wait) != nil {
			if ctx.Err() != nil {
				return "", classify("wait for the project's network", ctx.Err())
			}
			return "", phone.Errorf(phone.Conflict, phone.ReasonForeignObject,
				"the host has a network with the bridge %s that is not of this installation: remove it", h.bridgeName(project))
		}
	}
}
