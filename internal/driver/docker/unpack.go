package docker

import (
	"context"
	"io"

	"github.com/moby/moby/client"

	"github.com/lethe-cloud/lethe/internal/driver"
	"github.com/lethe-cloud/lethe/internal/phone"
)

// Unpack lets the daemon unpack the archive in the container, as docker cp does: it does so from within the container's own root directory, with
// its volume mounted, so that no name and no link leads out of it.
func (d *Driver) Unpack(ctx context.Context, ref driver.Ref, archive io.Reader) error {
	found, err := d.find(ctx, ref)
	if err != nil {
		return err
	}
	if !found.State.Running {
		return errNotRunning(nil)
	}
	source := &driver.Source{Reader: archive}
	_, err = d.host.api.CopyToContainer(ctx, found.ID, client.CopyToContainerOptions{DestinationPath: "/", Content: source})
	switch {
	case err == nil:
		return nil
	case source.Err() != nil:
		return source.Err()
	}
	err = classify("unpack files in the phone", err)
	if isNotFound(err) {
		// Of the container, which was removed meanwhile, or of what a link of the archive names.
		if again, lost := d.find(ctx, ref); lost != nil || !again.State.Running {
			return errNotRunning(err)
		}
		return unfit(err)
	}
	// The daemon answers what it cannot unpack as an error of its own.
	switch phone.CodeOf(err) {
	case phone.Exhausted:
		return noRoom(err)
	case phone.Invalid, phone.Internal:
		return unfit(err)
	}
	return err
}

func noRoom(err error) error {
	return &phone.Error{Code: phone.Precondition, Reason: phone.ReasonNoSpace, Msg: "the host has no room for the files", Err: err}
}

func unfit(err error) error {
	return &phone.Error{Code: phone.Invalid, Reason: phone.ReasonFileInvalid, Msg: "the phone cannot hold the files: " + said(err), Err: err}
}
