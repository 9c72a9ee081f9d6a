package simulated

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/lethe-cloud/lethe/internal/driver"
	"github.com/lethe-cloud/lethe/internal/phone"
)

// Erase renames the volumes of older lives to trash, removes their files one by one, without the phone's lock, and then looks
// for all of them, also for what an earlier erasure that was killed had left as trash.
func (d *Driver) Erase(ctx context.Context, id phone.ID, below phone.Generation) (driver.Erasure, error) {
	if err := wantRef(driver.Ref{Phone: id, Generation: max(below, 1)}); err != nil {
		return driver.Erasure{}, err
	}
	who := subject{phone: id, generation: below, names: func() []string { return d.names(id) }}
	return call(ctx, d, OpErase, who, func() (driver.Erasure, error) {
		erasure, err := d.erase(ctx, id, below)
		if err != nil {
			return driver.Erasure{}, eraseFailed(ctx, fmt.Sprintf("a volume of phone %s from before generation %d", id, below), err)
		}
		return erasure, nil
	})
}

// Discard destroys one life as Erase does older ones, and looks for its instance too.
func (d *Driver) Discard(ctx context.Context, ref driver.Ref) error {
	if err := wantRef(ref); err != nil {
		return err
	}
	_, err := call(ctx, d, OpDiscard, d.about(ref), func() (nothing, error) {
		_, err := d.destroyAll(ctx, ref.Phone, func(g phone.Generation) bool { return g == ref.Generation })
		if err == nil {
			var owner ownership
			if _, owner, err = d.readInstanceRecord(ref); err == nil && owner == ours {
				err = fmt.Errorf("%s is still there", d.instancePath(ref))
			}
		}
		if err != nil {
			return nothing{}, eraseFailed(ctx, fmt.Sprintf("generation %d of phone %s", ref.Generation, ref.Phone), err)
		}
		return nothing{}, nil
	})
	return err
}

func (d *Driver) erase(ctx context.Context, id phone.ID, below phone.Generation) (driver.Erasure, error) {
	return d.destroyAll(ctx, id, func(g phone.Generation) bool { return g < below })
}

// destroyAll destroys the lives that which says, instances and volumes, and looks for them.
func (d *Driver) destroyAll(ctx context.Context, id phone.ID, which which) (driver.Erasure, error) {
	if err := d.discard(ctx, id, which); err != nil {
		return driver.Erasure{}, err
	}
	found, err := d.scan(id)
	if err != nil {
		return driver.Erasure{}, err
	}
	var erasure driver.Erasure
	for _, t := range found.trash {
		if !which(t.label.Generation) {
			continue
		}
		volume := phone.ErasedVolume{Name: volumeName(t.label.ref()), Generation: t.label.Generation, Gone: true}
		if volume.Files, volume.Bytes, err = destroy(ctx, t.path); err != nil {
			return driver.Erasure{}, err
		}
		erasure.Volumes = append(erasure.Volumes, volume)
	}
	if err := d.lookFor(id, which); err != nil {
		return driver.Erasure{}, err
	}
	erasure.LookedFor = d.now().UTC()
	return erasure, d.forget(ctx, id)
}

// which says whether a life of a phone is meant.
type which func(phone.Generation) bool

// eraseFailed says that old data may still be there, unless the reason is that the call was given up or the host is gone.
func eraseFailed(ctx context.Context, what string, err error) error {
	if phone.CodeOf(err) == phone.Unavailable || ctx.Err() != nil && errors.Is(err, ctx.Err()) {
		return err
	}
	return &phone.Error{
		Code: phone.Internal, Reason: phone.ReasonEraseFailed, Err: err,
		Msg: what + " could not be destroyed: see what keeps its files in the host's folder, and reset the phone again",
	}
}

// discard removes the instances and makes trash of the volumes of those lives, under the lock of the phone.
func (d *Driver) discard(ctx context.Context, id phone.ID, which which) error {
	unlock, err := d.lockPhone(ctx, id, false)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer unlock()
	found, err := d.scan(id)
	if err != nil {
		return err
	}
	if err := tidy(found); err != nil {
		return err
	}
	for _, ref := range found.instances {
		if which(ref.Generation) {
			if err := d.removeInstance(ctx, ref); err != nil {
				return err
			}
		}
	}
	for _, l := range found.volumes {
		if which(l.Generation) && d.owns(l) {
			if err := os.Rename(d.volumePath(l), d.trashPath(l)); err != nil {
				return err
			}
		}
	}
	return nil
}

// destroy removes a volume and counts the files that this call removed, and their bytes.
func destroy(ctx context.Context, path string) (files, bytes int64, err error) {
	err = empty(ctx, path, func(info fs.FileInfo) {
		files++
		if info.Mode().IsRegular() {
			bytes += info.Size()
		}
	})
	if err == nil {
		if err = os.Remove(path); errors.Is(err, fs.ErrNotExist) {
			err = nil
		}
	}
	return files, bytes, err
}

// empty removes all that is in a folder. Another erasure may be at the same work.
func empty(ctx context.Context, dir string, removed func(fs.FileInfo)) error {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	for _, e := range entries {
		if err := ctx.Err(); err != nil {
			return err
		}
		path := filepath.Join(dir, e.Name())
		info, err := e.Info()
		if err == nil && e.IsDir() {
			err = empty(ctx, path, removed)
		}
		if err == nil {
			err = os.Remove(path)
		}
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return err
		}
		if !e.IsDir() {
			removed(info)
		}
	}
	return nil
}

// lookFor fails when a volume of those lives is still on the host.
func (d *Driver) lookFor(id phone.ID, which which) error {
	found, err := d.scan(id)
	if err != nil {
		return err
	}
	for _, l := range found.volumes {
		if which(l.Generation) && d.owns(l) {
			return fmt.Errorf("%s is still there", d.volumePath(l))
		}
	}
	for _, t := range found.trash {
		if which(t.label.Generation) {
			return fmt.Errorf("%s is still there", t.path)
		}
	}
	return nil
}

// forget removes the phone's folder if it is empty, which is what giving up its lock does.
func (d *Driver) forget(ctx context.Context, id phone.ID) error {
	unlock, err := d.lockPhone(ctx, id, false)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	unlock()
	return nil
}
