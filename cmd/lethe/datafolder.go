package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/lethe-cloud/lethe/internal/phone"
)

// dataFolder is the folder of one installation while this process holds it.
type dataFolder struct {
	path    string // absolute
	replica phone.ReplicaID
	lock    *os.File
}

// openDataFolder makes the folder if need be, takes it for this process alone and reads who it is. A second process on the
// same folder is refused.
func openDataFolder(path string) (_ *dataFolder, err error) {
	path, err = filepath.Abs(path)
	if err != nil {
		return nil, fmt.Errorf("data folder: %w", err)
	}
	if err := os.MkdirAll(path, 0o700); err != nil {
		return nil, dataFolderError(path, err)
	}
	lock, err := os.OpenFile(filepath.Join(path, "lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, dataFolderError(path, err)
	}
	f := &dataFolder{path: path, lock: lock}
	defer func() {
		if err != nil {
			err = errors.Join(err, lock.Close())
		}
	}()
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		if errors.Is(err, syscall.EWOULDBLOCK) {
			return nil, fmt.Errorf("another lethe is running on the data folder %s: stop it, or choose another folder with --data", path)
		}
		return nil, fmt.Errorf("the data folder %s cannot be locked (%w): choose one on a file system that has locks with --data", path, err)
	}
	if f.replica, err = f.readReplica(); err != nil {
		return nil, err
	}
	return f, nil
}

func dataFolderError(path string, err error) error {
	var pathErr *fs.PathError
	if errors.As(err, &pathErr) {
		err = pathErr.Err
	}
	return fmt.Errorf("the data folder %s cannot be used (%w): choose another with --data, or give this user the right to write there", path, err)
}

// readReplica gives the id under which this folder's process holds jobs. It persists, so that a restarted process takes over
// its own jobs at once.
func (f *dataFolder) readReplica() (phone.ReplicaID, error) {
	path := filepath.Join(f.path, "replica")
	content, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		id := phone.NewID[phone.ReplicaID]()
		if err := writeDurably(path, []byte(id+"\n")); err != nil {
			return "", dataFolderError(f.path, err)
		}
		return id, nil
	}
	if err != nil {
		return "", dataFolderError(f.path, err)
	}
	id := phone.ReplicaID(strings.TrimSpace(string(content)))
	if !phone.ValidID(id) {
		return "", fmt.Errorf("%s does not hold 32 hex digits: remove it, and a new one is made (jobs under way are then taken over after half a minute)", path)
	}
	return id, nil
}

// credentials is where the first start writes how to call this installation.
func (f *dataFolder) credentials() string { return filepath.Join(f.path, "credentials.json") }

// Close gives the folder back.
func (f *dataFolder) Close() error { return f.lock.Close() }

// writeDurably writes a private file so that after a crash it is there whole or not at all.
func writeDurably(path string, content []byte) (err error) {
	file, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".*")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.Remove(file.Name()))
		}
	}()
	_, err = file.Write(content)
	if err == nil {
		err = file.Sync()
	}
	if err = errors.Join(err, file.Close()); err != nil {
		return err
	}
	if err := os.Rename(file.Name(), path); err != nil {
		return err
	}
	return syncFolder(filepath.Dir(path))
}

func syncFolder(path string) error {
	dir, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}
