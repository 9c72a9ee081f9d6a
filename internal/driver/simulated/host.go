package simulated

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/lethe-cloud/lethe/internal/phone"
)

// Names in a host's folder.
const (
	hostFile    = "host.json"
	faultsFile  = "faults.json"
	imagesDir   = "images"
	phonesDir   = "phones"
	strikesDir  = "faults"
	capacityDir = "capacity"
	temporary   = ".new-" // what is being written begins so and is never read
)

func (d *Driver) path(elements ...string) string {
	return filepath.Join(append([]string{d.dir}, elements...)...)
}

// phoneDir is the folder of one phone: two levels of 256 folders keep the folders of a million phones small.
func (d *Driver) phoneDir(id phone.ID) string {
	return d.path(phonesDir, string(id[0:2]), string(id[2:4]), string(id))
}

// writeJSON puts a whole file in place, or none.
func writeJSON(path string, value any) error {
	text, err := json.Marshal(value)
	if err != nil {
		return err
	}
	file, err := os.CreateTemp(filepath.Dir(path), temporary+"*")
	if err != nil {
		return err
	}
	_, err = file.Write(text)
	if err = errors.Join(err, file.Close()); err == nil {
		err = os.Rename(file.Name(), path)
	}
	if err != nil {
		return errors.Join(err, os.Remove(file.Name()))
	}
	return nil
}

// call is how every method of the driver runs: scripted faults come first, errors are classified last, and beside an error
// nothing is given.
func call[T any](ctx context.Context, d *Driver, op Operation, who subject, do func() (T, error)) (T, error) {
	result, err := attempt(ctx, d, op, who, do)
	if err != nil {
		var none T
		return none, d.classify(ctx, string(op), err)
	}
	return result, nil
}

func attempt[T any](ctx context.Context, d *Driver, op Operation, who subject, do func() (T, error)) (T, error) {
	var none T
	if err := ctx.Err(); err != nil {
		return none, err
	}
	if err := d.wantHost(); err != nil {
		return none, err
	}
	rules, err := d.rules(op, who)
	if err != nil {
		return none, err
	}
	if ignored, err := d.strikeBefore(ctx, rules, op); err != nil || ignored {
		return none, err
	}
	result, err := do()
	// A folder that went meanwhile looks like one that has no such phone: nothing that was not seen there counts.
	if gone := d.wantHost(); gone != nil {
		return none, gone
	}
	if err != nil {
		return none, err
	}
	return result, d.strikeAfter(ctx, rules, op, who)
}

// wantHost fails unless the host's folder is there.
func (d *Driver) wantHost() error {
	for _, name := range []string{hostFile, phonesDir} {
		if _, err := os.Lstat(d.path(name)); err != nil {
			return &phone.Error{
				Code: phone.Unavailable, Err: err,
				Msg: fmt.Sprintf("%s of the simulated host is not there or cannot be read: bring the folder back as it was", d.path(name)),
			}
		}
	}
	return nil
}

// classify makes a *phone.Error of whatever ended a call.
func (d *Driver) classify(ctx context.Context, doing string, err error) error {
	var known *phone.Error
	if errors.As(err, &known) {
		return err
	}
	if ended := ctx.Err(); ended != nil && errors.Is(err, ended) {
		return &phone.Error{Code: phone.Unavailable, Msg: doing + ": the call was given up before the simulated host answered", Err: err}
	}
	if gone := d.wantHost(); gone != nil && doing != "create the host" {
		return gone
	}
	for _, cause := range []error{
		syscall.ENOSPC, syscall.EDQUOT, syscall.EMFILE, syscall.ENFILE, syscall.EIO, syscall.EROFS, syscall.ENOMEM, fs.ErrPermission,
	} {
		if errors.Is(err, cause) {
			return &phone.Error{
				Code: phone.Unavailable, Err: err,
				Msg: fmt.Sprintf("%s: the folder %s of the simulated host cannot be used: %v", doing, d.dir, cause),
			}
		}
	}
	return &phone.Error{Code: phone.Internal, Msg: fmt.Sprintf("%s on the simulated host failed", doing), Err: err}
}

// flock takes the exclusive lock of an open file or folder and waits for it as long as ctx lasts.
func flock(ctx context.Context, file *os.File) error {
	// The kernel's waiting lock cannot be given up when ctx ends, so this one asks again, soon at first.
	pause := 50 * time.Microsecond
	for {
		err := syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		if err == nil || !errors.Is(err, syscall.EWOULDBLOCK) && !errors.Is(err, syscall.EINTR) {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(pause):
		}
		pause = min(2*pause, 5*time.Millisecond)
	}
}

// lockPhone takes the lock of a phone's folder until unlock. With create it makes the folder, but never the host's; without,
// a phone that has none is fs.ErrNotExist.
func (d *Driver) lockPhone(ctx context.Context, id phone.ID, create bool) (unlock func(), err error) {
	dir := d.phoneDir(id)
	for {
		file, err := os.Open(dir)
		if create && errors.Is(err, fs.ErrNotExist) {
			if err := makeBelow(d.path(phonesDir), dir); err != nil {
				return nil, err
			}
			continue
		}
		if err != nil {
			return nil, err
		}
		if err := flock(ctx, file); err != nil {
			return nil, errors.Join(err, file.Close())
		}
		// Whoever held the lock before may have removed the folder, with the phone's last object.
		locked, lockedErr := file.Stat()
		present, err := os.Lstat(dir)
		if lockedErr == nil && err == nil && os.SameFile(locked, present) {
			return func() {
				_ = os.Remove(dir) // goes only when nothing is left in it
				_ = file.Close()   // and with it the lock
			}, nil
		}
		if err := errors.Join(lockedErr, file.Close()); err != nil {
			return nil, err
		}
	}
}

// makeBelow makes the folder dir and those above it, up to root, which must be there.
func makeBelow(root, dir string) error {
	rest, ok := strings.CutPrefix(dir, root+string(filepath.Separator))
	if !ok {
		return fmt.Errorf("%s is not below %s", dir, root)
	}
	for name := range strings.SplitSeq(rest, string(filepath.Separator)) {
		root = filepath.Join(root, name)
		if err := os.Mkdir(root, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
			return err
		}
	}
	return nil
}
