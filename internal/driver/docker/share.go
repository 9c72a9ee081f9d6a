package docker

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/moby/moby/api/types/mount"
	"github.com/moby/moby/api/types/volume"
	"github.com/moby/moby/client"

	"github.com/lethe-cloud/lethe/internal/driver"
	"github.com/lethe-cloud/lethe/internal/phone"
	"github.com/lethe-cloud/lethe/internal/sharedir"
)

// The shared storage of a server is one volume, with labels of its own. Phones have it mounted read-only; what writes is a helper container
// that has the volume and nothing else. Its name is the server's, so that a later attempt ends what an earlier one has left there.

func (d *Driver) shareName() string { return "lethe-" + string(d.server) + "-share" }

func (d *Driver) shareLabels() map[string]string {
	return map[string]string{labelInstallation: d.host.installation, labelKind: kindShare, labelServer: string(d.server)}
}

// shareMount is how a phone sees the shared storage. The labels are for a volume that somebody removed meanwhile, as in container.
func (d *Driver) shareMount() mount.Mount {
	return mount.Mount{
		Type: mount.TypeVolume, Source: d.shareName(), Target: d.template.SharePath, ReadOnly: true,
		VolumeOptions: &mount.VolumeOptions{NoCopy: true, Labels: d.shareLabels()},
	}
}

// SharePath is the template's.
func (d *Driver) SharePath() string { return d.template.SharePath }

// inShare reports whether a path of a phone, absolute and clean, is where it sees the shared storage, or below that.
func (d *Driver) inShare(name string) bool {
	at := d.template.SharePath
	return at != "" && (name == at || strings.HasPrefix(name, at+"/"))
}

// wantShare makes the volume of the shared storage, if the server has one and it is not there.
func (d *Driver) wantShare(ctx context.Context) error {
	if d.template.SharePath == "" {
		return nil
	}
	_, err := d.makeShare(ctx)
	return err
}

// makeShare makes the volume; see makeVolume for the labels.
func (d *Driver) makeShare(ctx context.Context) (volume.Volume, error) {
	if err := d.host.negotiate(ctx); err != nil {
		return volume.Volume{}, err
	}
	made, err := d.host.api.VolumeCreate(ctx, client.VolumeCreateOptions{Name: d.shareName(), Driver: "local", Labels: d.shareLabels()})
	if err != nil {
		if err = classify("make the volume of the shared storage", err); isConflict(err) {
			return volume.Volume{}, foreign(d.shareName(), "volume")
		}
		return volume.Volume{}, err
	}
	if d.ownShare(made.Volume.Labels) {
		return made.Volume, nil
	}
	found, there, err := d.findShare(ctx)
	if err == nil && !there {
		err = foreign(d.shareName(), "volume")
	}
	return found, err
}

func (d *Driver) ownShare(labels map[string]string) bool {
	return d.host.ours(kindShare, labels) && labels[labelServer] == string(d.server)
}

// findShare looks for the volume. One of its name that is not ours is not there.
func (d *Driver) findShare(ctx context.Context) (volume.Volume, bool, error) {
	if err := d.host.negotiate(ctx); err != nil {
		return volume.Volume{}, false, err
	}
	found, err := d.host.api.VolumeInspect(ctx, d.shareName(), client.VolumeInspectOptions{})
	if err = classify("look at the volume of the shared storage", err); isNotFound(err) {
		return volume.Volume{}, false, nil
	}
	return found.Volume, err == nil && d.ownShare(found.Volume.Labels), err
}

// shares looks for the volume by its labels.
func (d *Driver) shares(ctx context.Context) ([]volume.Volume, error) {
	list, err := d.host.api.VolumeList(ctx, client.VolumeListOptions{Filters: d.host.labelled(labelKind, kindShare, labelServer, string(d.server))})
	return list.Items, classify("list the volumes of shared storages", err)
}

func (d *Driver) shareHelperName() string { return "lethe-share-" + string(d.server) }

// shareHelper describes a helper container that has the shared storage alone.
func (d *Driver) shareHelper(v volume.Volume, readOnly bool, args ...string) func(image string) client.ContainerCreateOptions {
	return func(image string) client.ContainerCreateOptions {
		options := d.host.helperContainer(image, []volume.Volume{v})
		options.Name = d.shareHelperName()
		options.Config.Cmd = args
		options.HostConfig.Mounts[0].ReadOnly = readOnly
		if readOnly {
			options.HostConfig.CapAdd = []string{"DAC_READ_SEARCH"}
		}
		return options
	}
}

// PushShared lets the daemon unpack the archive in a helper container that is never started: from within its root directory, as docker cp does,
// so that neither a name nor a link leads out of what the container has, which is the shared storage.
func (d *Driver) PushShared(ctx context.Context, archive io.Reader) error {
	if d.template.SharePath == "" {
		return driver.ErrNoShare()
	}
	v, err := d.makeShare(ctx)
	if err != nil {
		return err
	}
	return d.host.withNamed(ctx, d.shareHelper(v, false), func(id string) error {
		source := &driver.Source{Reader: archive}
		_, err := d.host.api.CopyToContainer(ctx, id, client.CopyToContainerOptions{DestinationPath: helperDir(0), Content: source})
		if source.Err() != nil {
			return source.Err()
		}
		err = classify("unpack files in the shared storage", err)
		// As Unpack has it. A helper that is gone was ended by a later attempt, or by somebody else: it is worth another try.
		switch code := phone.CodeOf(err); {
		case isNotFound(err):
			if _, lost := d.host.inspect(ctx, id); isNotFound(lost) {
				return phone.Errorf(phone.Unavailable, "", "the helper container was removed while it was given files: %w", err)
			}
			return unfitShare(err)
		case code == phone.Exhausted:
			return noRoom(err)
		case code == phone.Invalid, code == phone.Internal:
			return unfitShare(err)
		}
		return err
	})
}

func unfitShare(err error) error {
	return &phone.Error{Code: phone.Invalid, Reason: phone.ReasonFileInvalid, Msg: "the shared storage cannot hold the files: " + said(err), Err: err}
}

// maxRemoved is how many bytes of paths one helper container is given: Linux takes at most 128 KiB as one argument.
const maxRemoved = 48 << 10

// RemoveShared removes the paths in helper containers, as many as one argument takes in each.
func (d *Driver) RemoveShared(ctx context.Context, paths []string) (int, error) {
	if d.template.SharePath == "" {
		return 0, driver.ErrNoShare()
	}
	v, there, err := d.findShare(ctx)
	if err != nil || !there {
		return 0, err
	}
	removed := 0
	for len(paths) > 0 {
		bytes, n := len(paths[0]), 1
		for ; n < len(paths) && bytes+len(paths[n]) <= maxRemoved; n++ {
			bytes += len(paths[n])
		}
		count, _, err := d.order(ctx, v, false, sharedir.Order{Dir: helperDir(0), Remove: paths[:n]})
		if removed += count; err != nil {
			return removed, err
		}
		paths = paths[n:]
	}
	return removed, nil
}

// ListShared looks in a helper container that has the shared storage read-only.
func (d *Driver) ListShared(ctx context.Context, folder string, offset, limit int) (phone.ShareListing, error) {
	if d.template.SharePath == "" {
		return phone.ShareListing{}, driver.ErrNoShare()
	}
	v, there, err := d.findShare(ctx)
	if err != nil {
		return phone.ShareListing{}, err
	}
	if !there {
		return phone.ShareListing{}, noShareFolder(folder)
	}
	_, page, err := d.order(ctx, v, true, sharedir.Order{Dir: helperDir(0), List: &sharedir.Page{Folder: folder, Offset: offset, Limit: limit}})
	if errors.Is(err, sharedir.ErrNoFolder) {
		return phone.ShareListing{}, noShareFolder(folder)
	}
	listing := phone.ShareListing{Path: folder, Total: page.Total, Offset: offset, Files: []phone.ShareFile{}}
	for _, f := range page.Files {
		listing.Files = append(listing.Files, phone.ShareFile(f))
	}
	return listing, err
}

func noShareFolder(folder string) error {
	return phone.Errorf(phone.NotFound, phone.ReasonPathInvalid, "the shared storage has no folder %s", folder)
}

// order lets a helper container do something with the shared storage.
func (d *Driver) order(ctx context.Context, v volume.Volume, readOnly bool, order sharedir.Order) (int, sharedir.Listing, error) {
	stdout, stderr, err := d.host.runNamed(ctx, d.shareHelper(v, readOnly, order.Argument()))
	if err != nil {
		return 0, sharedir.Listing{}, err
	}
	removed, listing, err := sharedir.ReadAnswer(bytes.NewReader(stdout))
	if err == nil || errors.Is(err, sharedir.ErrNoFolder) {
		return removed, listing, err
	}
	if complaint := said(errors.New(string(stderr))); complaint != "" {
		err = fmt.Errorf("%w: %s", err, complaint)
	}
	return removed, listing, phone.Errorf(phone.Internal, phone.ReasonHostFailed,
		"nothing could be done with the shared storage %s: is the template's helper_image of another version? %w", v.Name, err)
}

// EraseShare removes what is left of helper containers, empties the volume as those of phones are, removes it, and looks for it.
func (d *Driver) EraseShare(ctx context.Context) (*phone.ErasedShare, error) {
	v, there, err := d.findShare(ctx)
	if err != nil || !there {
		return nil, err
	}
	h := d.host
	if err := h.dropNamed(ctx, d.shareHelperName()); err != nil {
		return nil, err
	}
	if used, err := h.usesVolume(ctx, v.Name); err != nil || used {
		if err == nil {
			err = phone.Errorf(phone.Conflict, phone.ReasonEraseFailed, "the shared storage %s is used by a container: remove it first (%s)", v.Name, h.users(ctx, v.Name))
		}
		return nil, err
	}
	reports, err := h.empty(ctx, []volume.Volume{v})
	if err != nil {
		return nil, err
	}
	if err := h.removeVolume(ctx, v.Name); err != nil {
		return nil, err
	}
	_, there, err = d.findShare(ctx)
	if err == nil && there {
		err = stillThere(v.Name)
	}
	if err != nil {
		return nil, err
	}
	return &phone.ErasedShare{Name: v.Name, Files: reports[0].Files, Bytes: reports[0].Bytes}, nil
}

// usesVolume reports whether a container has the volume, running or not, that is none of our helpers.
func (h *host) usesVolume(ctx context.Context, name string) (bool, error) {
	list, err := h.api.ContainerList(ctx, client.ContainerListOptions{All: true, Filters: make(client.Filters).Add("volume", name)})
	if err != nil {
		return false, classify("list the containers of a volume", err)
	}
	for _, c := range list.Items {
		if !h.ours(kindHelper, c.Labels) {
			return true, nil
		}
	}
	return false, nil
}
