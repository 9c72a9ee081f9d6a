package simulated

import (
	"archive/tar"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"

	"github.com/lethe-cloud/lethe/internal/driver"
	"github.com/lethe-cloud/lethe/internal/phone"
)

// Unpack unpacks the archive below the phone's /data, which is all that a simulated phone has. It locks the phone for one file at a time: a reset
// does not wait for the whole archive.
func (d *Driver) Unpack(ctx context.Context, ref driver.Ref, archive io.Reader) error {
	if err := wantRef(ref); err != nil {
		return err
	}
	_, err := call(ctx, d, OpExec, d.about(ref), func() (struct{}, error) {
		source := &driver.Source{Reader: archive}
		err := d.unpack(ctx, ref, source)
		if source.Err() != nil {
			err = source.Err()
		}
		return struct{}{}, err
	})
	return err
}

func (d *Driver) unpack(ctx context.Context, ref driver.Ref, archive io.Reader) error {
	files := tar.NewReader(archive)
	for {
		header, err := files.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return unfit("it is no tar archive: %v", err)
		}
		if err := d.unpackOne(ctx, ref, header, files); err != nil {
			return err
		}
	}
}

func unfit(format string, args ...any) error {
	return phone.Errorf(phone.Invalid, phone.ReasonFileInvalid, "the phone cannot hold the files: "+format, args...)
}

func (d *Driver) unpackOne(ctx context.Context, ref driver.Ref, header *tar.Header, content io.Reader) error {
	name, err := inside(header.Name)
	if path.Clean("/"+header.Name) == "/" {
		return nil // the root directory, which is there
	}
	if err != nil {
		return unfit("a simulated phone has /data alone, not %s", header.Name)
	}
	if d.inShare(header.Name) {
		return unfit("%s is in the shared storage, which phones only read", header.Name)
	}
	unlock, err := d.lockPhone(ctx, ref.Phone, false)
	if errors.Is(err, fs.ErrNotExist) {
		return notFound(ref)
	}
	if err != nil {
		return err
	}
	defer unlock()
	data, err := d.runningData(ref)
	if err != nil {
		return err
	}
	err = place(data, name, header, content, inside)
	if err != nil && !hostFault(err) && phone.CodeOf(err) == phone.Internal {
		err = unfit("%s: %s", header.Name, reason(err))
	}
	return errors.Join(err, data.Close())
}

// runningData opens the /data of an instance, which must run. Whoever gets it closes it.
func (d *Driver) runningData(ref driver.Ref) (*os.Root, error) {
	i, owner, err := d.readInstance(ref)
	switch {
	case err != nil:
		return nil, err
	case owner != ours:
		return nil, notFound(ref)
	case !i.running(d.now()):
		return nil, phone.Errorf(phone.Precondition, phone.ReasonPhoneNotRunning, "the instance %s does not run: start it", instanceName(ref))
	}
	data, err := os.OpenRoot(d.volumePath(i.volumeLabel()))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, noVolume(ref)
	}
	return data, err
}

// place makes one entry of an archive; below gives what a name of the archive is below the folder. It follows no link: what lies behind one could be deeper than a path can be long, and nothing could erase it.
func place(data *os.Root, name string, header *tar.Header, content io.Reader, below func(string) (string, error)) error {
	for folder := path.Dir(name); folder != "."; folder = path.Dir(folder) {
		if info, err := data.Lstat(folder); err == nil && info.Mode()&fs.ModeSymlink != 0 {
			return unfit("%s leads through a link", header.Name)
		}
	}
	mode := fs.FileMode(header.Mode).Perm() | 0o600 // the host, which is no root, must be able to erase it
	there, err := data.Lstat(name)
	switch {
	case header.Typeflag == tar.TypeDir && err == nil && !there.IsDir():
		return unfit("%s is in the place of a folder", header.Name)
	case header.Typeflag == tar.TypeDir:
		if err := data.MkdirAll(name, 0o700); err != nil {
			return err
		}
		return stamp(data, name, mode|0o100, header)
	case err == nil && !there.IsDir(): // never through a link, and not into what a hard link shares
		if err := data.Remove(name); err != nil {
			return err
		}
	}
	if err := data.MkdirAll(path.Dir(name), 0o700); err != nil {
		return err
	}
	switch header.Typeflag {
	case tar.TypeReg:
		file, err := data.OpenFile(name, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o600)
		if err != nil {
			return err
		}
		_, err = io.Copy(file, content)
		if err = errors.Join(err, file.Close()); err != nil {
			return err
		}
		return stamp(data, name, mode, header)
	case tar.TypeSymlink, tar.TypeLink:
		if header.Typeflag == tar.TypeSymlink {
			return data.Symlink(header.Linkname, name)
		}
		to, err := below(header.Linkname)
		if err != nil {
			return err
		}
		return data.Link(to, name)
	}
	return unfit("%s is %s", header.Name, fmt.Sprintf("of the type %q", header.Typeflag))
}

// stamp gives what was unpacked its mode and time. The owner is whoever runs the simulated host.
func stamp(data *os.Root, name string, mode fs.FileMode, header *tar.Header) error {
	if err := data.Chmod(name, mode); err != nil {
		return err
	}
	if header.ModTime.IsZero() {
		return nil
	}
	return data.Chtimes(name, header.ModTime, header.ModTime)
}
