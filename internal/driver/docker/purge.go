package docker

import (
	"context"
	"errors"
	"time"

	"github.com/moby/moby/client"

	"github.com/lethe-cloud/lethe/internal/imagetar"
	"github.com/lethe-cloud/lethe/internal/phone"
)

// AdvertisedHost gives the host name or address at which operators reach the adb ports of a server's phones; "" when its
// template cannot be read.
func AdvertisedHost(server phone.Server) string {
	t, err := ParseTemplate(server.Config, server.Endpoint)
	if err != nil {
		return ""
	}
	return t.listed
}

// LoadImage gives a host an image that was made on this machine, unless it has it already.
func LoadImage(ctx context.Context, endpoint string, image *imagetar.Tar) (err error) {
	pool := NewPool(Config{})
	h, err := pool.host(endpoint, Template{})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, pool.Close()) }()
	if err := h.negotiate(ctx); err != nil {
		return err
	}
	if _, err := h.inspectImage(ctx, image.Reference); !isNotFound(err) {
		return err
	}
	return h.load(ctx, image)
}

// Purge removes every container, volume and network of an installation from a host, whatever server they belong to: the end of
// an installation. Images stay.
func Purge(ctx context.Context, endpoint, installation string) (err error) {
	pool := NewPool(Config{Installation: installation})
	h, err := pool.host(endpoint, Template{})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, pool.Close()) }()
	if err := h.negotiate(ctx); err != nil {
		return err
	}
	filters := make(client.Filters).Add("label", labelInstallation+"="+installation)
	containers, err := h.api.ContainerList(ctx, client.ContainerListOptions{All: true, Filters: filters})
	if err != nil {
		return classify("list containers", err)
	}
	var failed []error
	for _, c := range containers.Items {
		failed = append(failed, h.removeContainer(ctx, c.ID))
	}
	volumes, err := h.api.VolumeList(ctx, client.VolumeListOptions{Filters: filters})
	if err != nil {
		return classify("list volumes", err)
	}
	for _, v := range volumes.Items {
		if _, err := h.api.VolumeRemove(ctx, v.Name, client.VolumeRemoveOptions{}); err != nil {
			failed = append(failed, classify("remove the volume "+v.Name, err))
		}
	}
	networks, err := h.api.NetworkList(ctx, client.NetworkListOptions{Filters: filters})
	if err != nil {
		return classify("list networks", err)
	}
	for _, n := range networks.Items {
		failed = append(failed, h.removeNetwork(ctx, n.ID, n.Name))
	}
	return errors.Join(failed...)
}

// removeNetwork removes a network that nothing uses any more; Docker takes a moment to see that its last container has left.
func (h *host) removeNetwork(ctx context.Context, id, name string) error {
	for deadline := time.Now().Add(10 * time.Second); ; {
		_, err := h.api.NetworkRemove(ctx, id, client.NetworkRemoveOptions{})
		if err == nil || isNotFound(classify("", err)) {
			return nil
		}
		if pauseErr := pause(ctx, 100*time.Millisecond); pauseErr != nil || time.Now().After(deadline) {
			return classify("remove the network "+name, err)
		}
	}
}
