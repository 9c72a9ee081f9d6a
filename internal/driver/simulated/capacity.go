package simulated

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strconv"

	"github.com/lethe-cloud/lethe/internal/phone"
)

// A server with a capacity counts its instances in a file, so that adding one does not walk the host. The lock of the
// capacity folder is held from reading the count until the instance and the new count are there. Who is killed in between
// leaves a count that is too high, never too low: it grows before an instance is added and shrinks after one is removed. So
// the count alone refuses nobody: when it says that the host is full, or is not there, the instances are counted anew.

// countPath is the file with this server's count.
func (d *Driver) countPath() string {
	sum := sha256.Sum256([]byte(d.installation + "\x00" + string(d.server)))
	return d.path(capacityDir, hex.EncodeToString(sum[:16]))
}

// addInstance runs create, which adds one instance, if there is room for it.
func (d *Driver) addInstance(ctx context.Context, create func() error) error {
	if d.config.Capacity == 0 {
		return errors.Join(d.forgetCount(), create())
	}
	unlock, err := d.lockCount(ctx)
	if err != nil {
		return err
	}
	defer unlock()
	count, err := d.readCount(ctx)
	if err == nil && count >= d.config.Capacity {
		count, err = d.countInstances(ctx)
	}
	if err != nil {
		return err
	}
	if count >= d.config.Capacity {
		return phone.Errorf(phone.Exhausted, "", "the host takes %d instances and has %d: remove one or raise capacity", d.config.Capacity, count)
	}
	if err := d.writeCount(count + 1); err != nil {
		return err
	}
	if err := create(); err != nil {
		return errors.Join(err, d.forgetCount())
	}
	return nil
}

// dropInstance runs remove, which removes one instance.
func (d *Driver) dropInstance(ctx context.Context, remove func() error) error {
	if d.config.Capacity == 0 {
		return errors.Join(d.forgetCount(), remove())
	}
	unlock, err := d.lockCount(ctx)
	if err != nil {
		return err
	}
	defer unlock()
	count, err := d.readCount(ctx)
	if err != nil {
		return err
	}
	if err := remove(); err != nil {
		return err
	}
	return d.writeCount(max(count-1, 0))
}

func (d *Driver) lockCount(ctx context.Context) (unlock func(), err error) {
	lock, err := os.Open(d.path(capacityDir))
	if err != nil {
		return nil, err
	}
	if err := flock(ctx, lock); err != nil {
		return nil, errors.Join(err, lock.Close())
	}
	return func() { _ = lock.Close() }, nil
}

// forgetCount makes the next one who needs the count count anew. Without a limit nobody counts, so that is when a count from
// a time with one is no longer true.
func (d *Driver) forgetCount() error {
	if err := os.Remove(d.countPath()); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// writeCount writes in place. A kill may leave an empty file, which readCount does not take for a count.
func (d *Driver) writeCount(count int) error {
	return os.WriteFile(d.countPath(), fmt.Appendf(nil, "%010d", count), 0o600)
}

func (d *Driver) readCount(ctx context.Context) (int, error) {
	text, err := os.ReadFile(d.countPath())
	if err == nil {
		if count, err := strconv.Atoi(string(text)); err == nil && len(text) == 10 {
			return count, nil
		}
	} else if !errors.Is(err, fs.ErrNotExist) {
		return 0, err
	}
	return d.countInstances(ctx)
}

// countInstances walks the host. One that has vanished holds its place until it is removed or made again.
func (d *Driver) countInstances(ctx context.Context) (int, error) {
	count := 0
	err := d.walk(ctx, func(id phone.ID) error {
		found, err := d.scan(id)
		if err != nil {
			return err
		}
		for _, ref := range found.instances {
			if _, owner, err := d.readInstanceRecord(ref); err != nil {
				return err
			} else if owner == ours {
				count++
			}
		}
		return nil
	})
	return count, err
}
