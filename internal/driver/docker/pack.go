package docker

import (
	"archive/tar"
	"context"
	"errors"
	"io"
	"path"
	"strings"

	"github.com/moby/moby/client"

	"github.com/lethe-cloud/lethe/internal/driver"
	"github.com/lethe-cloud/lethe/internal/phone"
)

// Pack lets the daemon read the container's files, as docker cp does: it does so from within the container's own root directory, with its volume
// mounted. The daemon follows links among the folders above a path, so each of them is looked at before. A link that comes into their place
// after that leads to what the phone itself sees, and nowhere on the host. The daemon's archive has what is mounted below a path, too.
func (d *Driver) Pack(ctx context.Context, ref driver.Ref, name string, each func(*tar.Header, io.Reader) error) error {
	found, err := d.find(ctx, ref)
	if err != nil {
		return err
	}
	if !found.State.Running {
		return errNotRunning(nil)
	}
	p := packer{ctx: ctx, api: d.host.api, id: found.ID, each: func(header *tar.Header, content io.Reader) error {
		if d.inShare("/" + strings.TrimSuffix(header.Name, "/")) {
			return nil
		}
		return each(header, content)
	}}
	err = p.pack(path.Clean("/" + name))
	if p.given == nil && isNotFound(err) { // the container was removed meanwhile
		if again, lost := d.find(ctx, ref); lost != nil || !again.State.Running {
			return errNotRunning(err)
		}
	}
	return err
}

// packer reads the files of one container.
type packer struct {
	ctx   context.Context
	api   client.APIClient
	id    string
	each  func(*tar.Header, io.Reader) error
	given error // of each
}

// errFirst ends the reading of an archive of which only the first entry was wanted.
var errFirst = errors.New("the first entry is enough")

func (p *packer) pack(name string) error {
	at := "/"
	parts := strings.Split(strings.TrimPrefix(name, "/"), "/")
	for _, part := range parts[:len(parts)-1] {
		at = path.Join(at, part)
		isFolder := false
		there, err := p.archive(at, func(header *tar.Header, content io.Reader) error {
			if isFolder = header.Typeflag == tar.TypeDir; isFolder {
				if p.given = p.each(header, content); p.given != nil {
					return p.given
				}
			}
			return errFirst
		})
		if err != nil && !errors.Is(err, errFirst) || !there || !isFolder {
			return ignore(err, errFirst)
		}
	}
	_, err := p.archive(name, func(header *tar.Header, content io.Reader) error {
		p.given = p.each(header, content)
		return p.given
	})
	return err
}

func ignore(err, known error) error {
	if errors.Is(err, known) {
		return nil
	}
	return err
}

// archive goes through the daemon's archive of a path, and reports whether the path is there.
func (p *packer) archive(name string, each func(*tar.Header, io.Reader) error) (bool, error) {
	result, err := p.api.CopyFromContainer(p.ctx, p.id, client.CopyFromContainerOptions{SourcePath: name})
	if err != nil {
		err = classify("read the phone's files", err)
		if isNotFound(err) && !strings.Contains(err.Error(), "No such container") {
			return false, nil
		}
		return false, err
	}
	defer result.Content.Close()
	source := &driver.Source{Reader: result.Content}
	archive := tar.NewReader(source)
	above := path.Dir(name)
	for {
		header, err := archive.Next()
		if errors.Is(err, io.EOF) {
			return true, nil
		}
		if err != nil {
			return true, unread(source, err)
		}
		rename(header, above)
		content := &driver.Source{Reader: archive}
		if err := each(header, content); err != nil {
			if content.Err() != nil {
				return true, unread(source, content.Err())
			}
			return true, err
		}
	}
}

// rename makes a name below the phone's root directory of one that the daemon gives, which begins with the last part of the path that was asked for.
func rename(header *tar.Header, above string) {
	prefix := strings.TrimPrefix(strings.TrimSuffix(above, "/")+"/", "/")
	folder := header.Typeflag == tar.TypeDir
	header.Name = prefix + strings.TrimPrefix(path.Clean("/"+header.Name), "/")
	if folder {
		header.Name += "/"
	}
	if header.Typeflag == tar.TypeLink {
		header.Linkname = prefix + strings.TrimPrefix(path.Clean("/"+header.Linkname), "/")
	}
}

// unread is why an archive of the daemon could not be read to its end. One that is cut off has a file that became shorter while the daemon read it:
// it notices after the header has gone out, and says nothing but that.
func unread(source *driver.Source, err error) error {
	if cause := source.Err(); cause != nil && !errors.Is(cause, io.ErrUnexpectedEOF) {
		return classify("read the phone's files", cause)
	}
	return &phone.Error{
		Code: phone.Internal, Reason: phone.ReasonHostFailed, Err: err, Msg: "the phone's files could not be read to their end: a file became shorter while it was read, or the daemon was stopped",
	}
}
