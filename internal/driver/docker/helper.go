package docker

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/moby/moby/api/pkg/stdcopy"
	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/mount"
	"github.com/moby/moby/api/types/volume"
	"github.com/moby/moby/client"

	"github.com/lethe-cloud/lethe/internal/emptydir"
	"github.com/lethe-cloud/lethe/internal/phone"
)

// helperStale is how long a helper container may stand still, seen from here, before it is taken to be left over from a
// process that has died. A helper that runs is never taken over: it ends by itself when the volumes are empty.
const helperStale = 10 * time.Second

// helper is how a host's volumes get emptied.
type helper struct {
	images     *helperImages
	configured string        // the template's helper image, or ""
	stale      time.Duration // helperStale
	held       time.Duration // helperHeld

	mu    sync.Mutex
	image string // what the helper image resolved to here, "" while nobody asked
}

// runHelper empties volumes in one container and gives a report for each, in their order. The container's name is the lock that
// keeps other processes of this installation from running another at the same time on this host.
func (h *host) runHelper(ctx context.Context, volumes []volume.Volume) (_ []emptydir.Report, err error) {
	id, err := h.makeHelper(ctx, volumes)
	if err != nil {
		return nil, err
	}
	defer func() {
		cleaning, cancel := context.WithTimeout(context.WithoutCancel(ctx), 30*time.Second)
		defer cancel()
		if removeErr := h.removeContainer(cleaning, id); removeErr != nil {
			err = errors.Join(err, fmt.Errorf("remove the helper container: %w", removeErr))
		}
	}()
	said, complaint, err := h.watchHelper(ctx, id)
	if err != nil {
		return nil, err
	}
	return readReports(volumes, said, complaint)
}

// watchHelper starts the helper and reads what it prints until it ends.
func (h *host) watchHelper(ctx context.Context, id string) (stdout, stderr []byte, err error) {
	attached, err := h.api.ContainerAttach(ctx, id, client.ContainerAttachOptions{Stream: true, Stdout: true, Stderr: true})
	if err != nil {
		return nil, nil, classify("attach to the helper container", err)
	}
	defer attached.Close()
	defer context.AfterFunc(ctx, attached.Close)()
	if _, err := h.api.ContainerStart(ctx, id, client.ContainerStartOptions{}); err != nil {
		return nil, nil, classify("start the helper container", err)
	}
	out, errs := bounded{limit: 1 << 20}, bounded{limit: 4 << 10}
	if _, err := stdcopy.StdCopy(&out, &errs, attached.Reader); err != nil || ctx.Err() != nil {
		return nil, nil, classify("watch the helper container", errors.Join(ctx.Err(), err))
	}
	return out.kept, errs.kept, nil
}

// readReports finds each volume's report in what the helper printed. A volume without one was not emptied.
func readReports(volumes []volume.Volume, stdout, stderr []byte) ([]emptydir.Report, error) {
	byDir, err := emptydir.ReadReports(bytes.NewReader(stdout))
	if err != nil {
		return nil, phone.Errorf(phone.Internal, phone.ReasonEraseFailed, "the volumes were not emptied: %w", err)
	}
	reports := make([]emptydir.Report, len(volumes))
	for i := range volumes {
		report, there := byDir[helperDir(i)]
		if !there {
			return nil, phone.Errorf(phone.Internal, phone.ReasonEraseFailed,
				"the helper container ended before the volumes were empty: %s", said(errors.New(string(stderr))))
		}
		reports[i] = report
	}
	return reports, nil
}

// firstFailure is the error of the first volume that is not empty.
func firstFailure(volumes []volume.Volume, reports []emptydir.Report) error {
	for i, report := range reports {
		if report.Error != "" {
			return phone.Errorf(phone.Internal, phone.ReasonEraseFailed,
				"the volume %s could not be emptied: remove by hand what is left in it on the host, and reset the phone again: %s",
				volumes[i].Name, strings.ReplaceAll(report.Error, "\n", "; "))
		}
	}
	return nil
}

func helperDir(i int) string { return "/volumes/" + strconv.Itoa(i) }

// makeHelper makes the helper container, as soon as no other of this installation is there.
func (h *host) makeHelper(ctx context.Context, volumes []volume.Volume) (id string, err error) {
	var seen idle
	for reloaded := false; ; {
		image, err := h.helperImage(ctx)
		if err != nil {
			return "", err
		}
		options := h.helperContainer(image, volumes)
		made, err := h.api.ContainerCreate(ctx, options)
		if err == nil {
			return made.ID, nil
		}
		switch err = classify("make the helper container", err); {
		case isConflict(err):
			if err := h.awaitHelper(ctx, options.Name, &seen); err != nil {
				return "", err
			}
		case isNotFound(err) && !reloaded: // somebody removed the image: bring it again, once
			reloaded = true
			h.forgetHelperImage()
		default:
			return "", err
		}
	}
}

// helperContainer describes a container that has the volumes and nothing else: no network, no other file system to write to,
// and only the capabilities that removing anybody's files takes.
func (h *host) helperContainer(image string, volumes []volume.Volume) client.ContainerCreateOptions {
	options := client.ContainerCreateOptions{
		Name: "lethe-helper-" + h.installation,
		Config: &container.Config{
			Image: image, User: "0:0",
			Labels: map[string]string{labelInstallation: h.installation, labelKind: kindHelper, labelHolder: h.holder},
		},
		HostConfig: &container.HostConfig{
			NetworkMode: "none", ReadonlyRootfs: true, CapDrop: []string{"ALL"},
			CapAdd:      []string{"DAC_OVERRIDE", "FOWNER", "LINUX_IMMUTABLE"},
			SecurityOpt: []string{"no-new-privileges"},
			LogConfig:   container.LogConfig{Type: "none"},
		},
	}
	for i, v := range volumes {
		options.Config.Cmd = append(options.Config.Cmd, helperDir(i))
		options.HostConfig.Mounts = append(options.HostConfig.Mounts, mount.Mount{
			Type: mount.TypeVolume, Source: v.Name, Target: helperDir(i),
			// A volume that was removed meanwhile is made again in silence; with its labels it is found and removed again.
			VolumeOptions: &mount.VolumeOptions{NoCopy: true, Labels: v.Labels},
		})
	}
	return options
}

// idle remembers since when a container has been seen to stand still.
type idle struct {
	id    string
	since time.Time
}

// awaitHelper waits until another process's helper is worth another try: it is gone, or it stood still so long that its
// process must have died, and was removed.
func (h *host) awaitHelper(ctx context.Context, name string, seen *idle) error {
	const look = 50 * time.Millisecond
	found, err := h.inspect(ctx, name)
	if isNotFound(err) { // it has just gone, or is not shown yet
		return classify("wait for another process's helper container", pause(ctx, look))
	}
	if err != nil {
		return err
	}
	if !h.ours(kindHelper, found.Config.Labels) {
		return foreign(name, "container")
	}
	now := time.Now() // monotonic, so that a clock that is set makes nobody's helper stale
	if found.State.Running || seen.id != found.ID {
		*seen = idle{id: found.ID, since: now}
	}
	// This process runs one helper at a time, and this call is about to: one with its holder's name is an earlier process's.
	own := h.holder != "" && found.Config.Labels[labelHolder] == h.holder && !found.State.Running
	if own || now.Sub(seen.since) >= h.helper.stale {
		h.logger.WarnContext(ctx, "removing a helper container that a process left behind", "container", name)
		return h.removeContainer(ctx, found.ID)
	}
	return classify("wait for another process's helper container", pause(ctx, look))
}
