package simulated

import (
	"context"
	"errors"
	"io/fs"
	"os"

	"github.com/lethe-cloud/lethe/internal/driver"
	"github.com/lethe-cloud/lethe/internal/phone"
)

// List walks the host. A volume in the trash, whose erasure was not finished, is still a volume.
func (d *Driver) List(ctx context.Context) ([]driver.Object, error) {
	return call(ctx, d, OpList, subject{}, func() ([]driver.Object, error) {
		var objects []driver.Object
		err := d.walk(ctx, func(id phone.ID) error {
			found, err := d.scan(id)
			if err != nil {
				return err
			}
			for _, ref := range found.instances {
				if i, owner, err := d.readInstance(ref); err != nil {
					return err
				} else if owner == ours {
					o := object(driver.ObjectInstance, i.label)
					o.Running = i.running(d.now())
					objects = append(objects, o)
				}
			}
			for _, l := range found.volumes {
				if d.owns(l) {
					objects = append(objects, object(driver.ObjectVolume, l))
				}
			}
			for _, t := range found.trash {
				objects = append(objects, object(driver.ObjectVolume, t.label))
			}
			return nil
		})
		if err != nil {
			return nil, err
		}
		switch _, err := os.Lstat(d.shareDir()); {
		case err == nil:
			objects = append(objects, driver.Object{Kind: driver.ObjectShare, Name: d.shareName()})
		case !errors.Is(err, fs.ErrNotExist):
			return nil, err
		}
		return objects, nil
	})
}

func object(kind driver.ObjectKind, l label) driver.Object {
	name := instanceName(l.ref())
	if kind == driver.ObjectVolume {
		name = volumeName(l.ref())
	}
	return driver.Object{Kind: kind, Name: name, Phone: l.Phone, Generation: l.Generation, Job: l.Job}
}

// walk visits every phone of the host, in the order of ids, until ctx ends.
func (d *Driver) walk(ctx context.Context, visit func(phone.ID) error) error {
	return subfolders(ctx, d.path(phonesDir), func(first string) error {
		return subfolders(ctx, d.path(phonesDir, first), func(second string) error {
			return subfolders(ctx, d.path(phonesDir, first, second), func(name string) error {
				if id := phone.ID(name); phone.ValidID(id) {
					return visit(id)
				}
				return nil
			})
		})
	})
}

// subfolders visits the folders in dir. One that goes meanwhile is no error.
func subfolders(ctx context.Context, dir string, visit func(name string) error) error {
	entries, err := os.ReadDir(dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	for _, e := range entries {
		if err := ctx.Err(); err != nil {
			return err
		}
		if !e.IsDir() {
			continue
		}
		if err := visit(e.Name()); err != nil {
			return err
		}
	}
	return nil
}
