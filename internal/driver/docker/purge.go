package docker

import (
	"context"
	"errors"

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
func LoadImage(ctx context.Context, endpoint string, image *imagetar.Tar) error {
	return onHost(ctx, endpoint, "", func(h *host) error {
		if _, err := h.inspectImage(ctx, image.Reference); !isNotFound(err) {
			return err
		}
		return h.load(ctx, image)
	})
}

// Purge removes every container, volume and network of an installation from a host, whatever server they belong to: the end of
// an installation. Images stay. It goes on after something that cannot be removed, and returns the errors joined.
func Purge(ctx context.Context, endpoint, installation string) error {
	return onHost(ctx, endpoint, installation, func(h *host) error {
		return errors.Join(h.purgeContainers(ctx), h.purgeVolumes(ctx), h.purgeNetworks(ctx))
	})
}

// onHost does something with a daemon that no server is there for.
func onHost(ctx context.Context, endpoint, installation string, do func(*host) error) (err error) {
	pool := NewPool(Config{Installation: installation})
	h, err := pool.host(endpoint, Template{})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, pool.Close()) }()
	if err := h.negotiate(ctx); err != nil {
		return err
	}
	return do(h)
}

func (h *host) purgeContainers(ctx context.Context) error {
	list, err := h.api.ContainerList(ctx, client.ContainerListOptions{All: true, Filters: h.labelled()})
	errs := []error{classify("list the containers", err)}
	for _, c := range list.Items {
		errs = append(errs, h.removeContainer(ctx, c.ID))
	}
	return errors.Join(errs...)
}

func (h *host) purgeVolumes(ctx context.Context) error {
	list, err := h.api.VolumeList(ctx, client.VolumeListOptions{Filters: h.labelled()})
	errs := []error{classify("list the volumes", err)}
	for _, v := range list.Items {
		_, err := h.api.VolumeRemove(ctx, v.Name, client.VolumeRemoveOptions{})
		if err = classify("remove the volume "+v.Name, err); !isNotFound(err) {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

func (h *host) purgeNetworks(ctx context.Context) error {
	list, err := h.api.NetworkList(ctx, client.NetworkListOptions{Filters: h.labelled()})
	errs := []error{classify("list the networks", err)}
	for _, n := range list.Items {
		_, err := h.api.NetworkRemove(ctx, n.ID, client.NetworkRemoveOptions{})
		if err = classify("remove the network "+n.Name, err); !isNotFound(err) {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}
