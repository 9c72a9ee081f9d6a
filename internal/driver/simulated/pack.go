package simulated

import (
	"archive/tar"
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"path"
	"strings"
	"syscall"

	"github.com/lethe-cloud/lethe/internal/driver"
	"github.com/lethe-cloud/lethe/internal/phone"
)

// Pack reads below the phone's /data, which is all that a simulated phone has. The phone is not locked: what a reset takes away meanwhile is not there.
func (d *Driver) Pack(ctx context.Context, ref driver.Ref, name string, each func(*tar.Header, io.Reader) error) error {
	if err := wantRef(ref); err != nil {
		return err
	}
	var given error // of each, which is given as it is
	_, err := call(ctx, d, OpExec, d.about(ref), func() (struct{}, error) {
		return struct{}{}, d.pack(ctx, ref, name, func(header *tar.Header, content io.Reader) error {
			if d.inShare(header.Name) { // what the phone cannot see, for the shared storage lies over it
				return nil
			}
			given = each(header, content)
			return given
		})
	})
	if given != nil {
		return given
	}
	return err
}

func (d *Driver) pack(ctx context.Context, ref driver.Ref, name string, each func(*tar.Header, io.Reader) error) error {
	data, err := d.runningData(ref)
	if err != nil {
		return err
	}
	p := packer{ctx: ctx, data: data, each: each}
	return errors.Join(p.pack(name), data.Close())
}

// packer gives the files of one volume.
type packer struct {
	ctx  context.Context
	data *os.Root
	each func(*tar.Header, io.Reader) error
}

func (p packer) pack(name string) error {
	below, err := inside(name)
	if err != nil {
		return nil // there is nothing but /data
	}
	parts := strings.Split(below, "/")
	if below != "." {
		parts = append([]string{"."}, parts...)
	}
	at := "."
	for n, part := range parts {
		at = path.Join(at, part)
		info, err := p.data.Lstat(at)
		last := n == len(parts)-1
		if errors.Is(err, fs.ErrNotExist) || err == nil && !last && !info.IsDir() {
			return nil
		}
		if err != nil {
			return err
		}
		if last {
			return p.walk(at)
		}
		if err := p.entry(at, info); err != nil {
			return err
		}
	}
	return nil
}

// walk gives one thing and what is below it. What has gone since it was listed is not there.
func (p packer) walk(name string) error {
	if err := p.ctx.Err(); err != nil {
		return err
	}
	info, err := p.data.Lstat(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if err := p.entry(name, info); err != nil || !info.IsDir() {
		return err
	}
	dir, err := p.data.Open(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	names, err := dir.Readdirnames(-1)
	if err = errors.Join(err, dir.Close()); err != nil {
		return err
	}
	for _, below := range names {
		if err := p.walk(path.Join(name, below)); err != nil {
			return err
		}
	}
	return nil
}

// entry gives one file, folder or link; anything else is left out.
func (p packer) entry(name string, info fs.FileInfo) error {
	header := &tar.Header{Name: path.Join("data", name), Mode: int64(info.Mode().Perm()), ModTime: info.ModTime()}
	if owner, known := info.Sys().(*syscall.Stat_t); known {
		header.Uid, header.Gid = int(owner.Uid), int(owner.Gid)
	}
	switch {
	case info.IsDir():
		header.Typeflag = tar.TypeDir
		header.Name += "/"
		return p.each(header, strings.NewReader(""))
	case info.Mode()&fs.ModeSymlink != 0:
		to, err := p.data.Readlink(name)
		if err != nil {
			return gone(err)
		}
		header.Typeflag, header.Linkname = tar.TypeSymlink, to
		return p.each(header, strings.NewReader(""))
	case info.Mode().IsRegular():
		return p.file(name, info, header)
	}
	return nil
}

func (p packer) file(name string, info fs.FileInfo, header *tar.Header) error {
	file, err := p.data.OpenFile(name, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return gone(err)
	}
	defer file.Close()
	opened, err := file.Stat()
	if err != nil {
		return err
	}
	if !os.SameFile(info, opened) { // another one since, perhaps a link
		return nil
	}
	header.Typeflag, header.Size = tar.TypeReg, opened.Size()
	content := &exactly{Reader: io.LimitReader(file, header.Size), left: header.Size}
	return p.each(header, content)
}

// gone takes what is not there any more for nothing.
func gone(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

// exactly says so when a file has become shorter.
type exactly struct {
	io.Reader
	left int64
}

// Read implements io.Reader.
func (e *exactly) Read(p []byte) (int, error) {
	n, err := e.Reader.Read(p)
	if e.left -= int64(n); errors.Is(err, io.EOF) && e.left > 0 {
		err = phone.Errorf(phone.Internal, phone.ReasonHostFailed, "a file of the phone became shorter while it was read")
	}
	return n, err
}
