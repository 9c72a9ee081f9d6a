package docker

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/moby/moby/api/types/volume"
	"github.com/moby/moby/client"

	"github.com/lethe-cloud/lethe/internal/driver"
	"github.com/lethe-cloud/lethe/internal/emptydir"
	"github.com/lethe-cloud/lethe/internal/phone"
)

// Space measures the life's volume in a helper container, for the daemon itself would walk all volumes of the host. The volume is
// mounted there read-only: a configured helper image of another version may not know what it is asked for, and must not be able to do
// anything else. Unlike those that empty volumes, these containers run beside each other: a phone that waits for its turn would
// keep its boot slot meanwhile.
func (d *Driver) Space(ctx context.Context, ref driver.Ref) (phone.Space, error) {
	h := d.host
	if err := h.negotiate(ctx); err != nil {
		return phone.Space{}, err
	}
	volumes, err := h.volumes(ctx, ref.Phone)
	if err != nil {
		return phone.Space{}, err
	}
	of := volumes[ref.Generation]
	if len(of) == 0 {
		return phone.Space{}, phone.Errorf(phone.NotFound, "", "the volume %s is not on the host", volumeName(ref))
	}
	stdout, stderr, err := h.measure(ctx, measuringPrefix+instanceName(ref), of[0])
	if err != nil {
		return phone.Space{}, err
	}
	return readSpace(of[0].Name, stdout, stderr)
}

// readSpace reads what the helper printed of a volume. The reason is one that lets whoever asked see why there is no measurement.
func readSpace(volume string, stdout, stderr []byte) (phone.Space, error) {
	usage, err := emptydir.ReadUsage(bytes.NewReader(stdout))
	if err == nil && usage.Error != "" {
		err = errors.New(usage.Error)
	}
	if complaint := said(errors.New(string(stderr))); err != nil && complaint != "" {
		err = fmt.Errorf("%w: %s", err, complaint)
	}
	if err != nil {
		return phone.Space{}, phone.Errorf(phone.Internal, phone.ReasonHostFailed,
			"the volume %s could not be measured: is the template's helper_image of another version? %w", volume, err)
	}
	return phone.Space{Used: usage.Used, Free: usage.Free}, nil
}

// measuringPrefix begins the names of containers that measure. They carry the life, so that an attempt that was cut off leaves at most
// one, which the next removes.
const measuringPrefix = "lethe-space-"

// measure runs the helper on one volume and gives what it printed.
func (h *host) measure(ctx context.Context, name string, v volume.Volume) (stdout, stderr []byte, err error) {
	return h.runNamed(ctx, func(image string) client.ContainerCreateOptions { return h.measuringContainer(image, name, v) })
}

// runNamed runs a helper container that describe describes, in place of an earlier attempt's of its name, and gives what it printed.
func (h *host) runNamed(ctx context.Context, describe func(image string) client.ContainerCreateOptions) (stdout, stderr []byte, err error) {
	err = h.withNamed(ctx, describe, func(id string) (err error) {
		stdout, stderr, err = h.watchHelper(ctx, id)
		return err
	})
	return stdout, stderr, err
}

// withNamed makes such a container, not started, for as long as do does something with it.
func (h *host) withNamed(ctx context.Context, describe func(image string) client.ContainerCreateOptions, do func(id string) error) (err error) {
	id, err := h.makeNamed(ctx, describe)
	if err != nil {
		return err
	}
	defer func() {
		cleaning, cancel := context.WithTimeout(context.WithoutCancel(ctx), 30*time.Second)
		defer cancel()
		if removeErr := h.removeContainer(cleaning, id); removeErr != nil {
			err = errors.Join(err, fmt.Errorf("remove the helper container: %w", removeErr))
		}
	}()
	return do(id)
}

func (h *host) makeNamed(ctx context.Context, describe func(image string) client.ContainerCreateOptions) (id string, err error) {
	for tries := 0; ; tries++ {
		image, err := h.helperImage(ctx)
		if err != nil {
			return "", err
		}
		options := describe(image)
		made, err := h.api.ContainerCreate(ctx, options)
		if err == nil {
			return made.ID, nil
		}
		err = classify("make the helper container", err)
		switch {
		case tries == 3:
			return "", err
		case isNotFound(err): // somebody removed the image: bring it again
			h.forgetHelperImage()
		case isConflict(err): // an earlier attempt's, which was cut off
			if err := h.dropNamed(ctx, options.Name); err != nil {
				return "", err
			}
		default:
			return "", err
		}
	}
}

func (h *host) measuringContainer(image, name string, v volume.Volume) client.ContainerCreateOptions {
	options := h.helperContainer(image, []volume.Volume{v})
	options.Name = name
	options.Config.Cmd = append([]string{emptydir.MeasureFlag}, options.Config.Cmd...)
	options.HostConfig.CapAdd = []string{"DAC_READ_SEARCH"}
	options.HostConfig.Mounts[0].ReadOnly = true
	return options
}

// helperHeld is how long the daemon may take to remove a helper container that an earlier attempt left. It keeps the container for whoever gives it
// files: a process that was paused meanwhile lets go of it no sooner than it wakes up.
const helperHeld = 10 * time.Second

// dropNamed removes the helper container of that name. One that is held is Unavailable: it is worth another try.
func (h *host) dropNamed(ctx context.Context, name string) error {
	limited, cancel := context.WithTimeout(ctx, h.helper.held)
	defer cancel()
	found, err := h.inspect(limited, name)
	switch {
	case isNotFound(err):
		return nil
	case err == nil && !h.ours(kindHelper, found.Config.Labels):
		return foreign(name, "container")
	case err == nil:
		err = h.removeContainer(limited, found.ID)
	}
	if err != nil && limited.Err() != nil && ctx.Err() == nil {
		return &phone.Error{Code: phone.Unavailable, Err: err, Msg: "an earlier attempt still holds the helper container " + name + ": if its process is paused, end it"}
	}
	return err
}

// dropMeasuring removes what was left of measuring a volume that has to go.
func (h *host) dropMeasuring(ctx context.Context, name string) error {
	list, err := h.api.ContainerList(ctx, client.ContainerListOptions{
		All: true, Filters: h.labelled(labelKind, kindHelper).Add("volume", name),
	})
	if err != nil {
		return classify("list the helper containers", err)
	}
	for _, c := range list.Items {
		if err := h.removeContainer(ctx, c.ID); err != nil {
			return err
		}
	}
	return nil
}
