package simulated

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"github.com/lethe-cloud/lethe/internal/driver"
	"github.com/lethe-cloud/lethe/internal/phone"
)

// Space walks the life's volume. What is free is what the file system of the host's folder says, or, of a host with a Disk, what all
// of its volumes leave of that.
func (d *Driver) Space(ctx context.Context, ref driver.Ref) (phone.Space, error) {
	if err := wantRef(ref); err != nil {
		return phone.Space{}, err
	}
	return call(ctx, d, OpSpace, d.about(ref), func() (phone.Space, error) {
		var space phone.Space
		found, err := d.scan(ref.Phone)
		if err != nil {
			return space, err
		}
		l, owner := found.volume(d, ref.Generation)
		if owner != ours {
			return space, phone.Errorf(phone.NotFound, "", "there is no volume %s on the host", volumeName(ref))
		}
		if space.Used, err = size(ctx, d.volumePath(l)); err != nil {
			return space, err
		}
		if d.config.Disk > 0 {
			taken, err := d.taken(ctx)
			space.Free = max(0, d.config.Disk-taken)
			return space, err
		}
		space.Free, err = free(d.path(phonesDir))
		return space, err
	})
}

// taken is what all volumes of the host take, whosever they are.
func (d *Driver) taken(ctx context.Context) (int64, error) {
	var sum int64
	err := d.walk(ctx, func(id phone.ID) error {
		found, err := d.scan(id)
		if err != nil {
			return err
		}
		var paths []string
		for _, l := range found.volumes {
			paths = append(paths, d.volumePath(l))
		}
		for _, t := range found.trash {
			paths = append(paths, t.path)
		}
		for _, path := range paths {
			n, err := size(ctx, path)
			if err != nil {
				return err
			}
			sum += n
		}
		return nil
	})
	return sum, err
}

// size is what the files below a folder take. One that goes meanwhile takes nothing.
func size(ctx context.Context, dir string) (int64, error) {
	var sum int64
	err := filepath.WalkDir(dir, func(_ string, entry fs.DirEntry, err error) error {
		if err == nil {
			err = ctx.Err()
		}
		if err != nil {
			if errors.Is(err, fs.ErrNotExist) {
				return nil
			}
			return err
		}
		info, err := entry.Info()
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err == nil && info.Mode().IsRegular() {
			sum += info.Size()
		}
		return err
	})
	return sum, err
}

// free is how many bytes an ordinary process may still write where dir is.
func free(dir string) (int64, error) {
	var stat syscall.Statfs_t
	if err := syscall.Statfs(dir, &stat); err != nil {
		return 0, &os.PathError{Op: "statfs", Path: dir, Err: err}
	}
	if blocks := stat.Bavail; blocks > 0 {
		return int64(blocks) * int64(stat.Bsize), nil
	}
	return 0, nil
}
