package emptydir

import (
	"errors"
	"fmt"
	"io"
	"os"

	"golang.org/x/sys/unix"
)

// Measure says what the files below the directory at path take and what is free on its file system. It follows no symbolic link,
// leaves no mount, and does not go deeper than maxMeasured directories: what is below takes nothing.
func Measure(path string) (Usage, error) {
	fd, err := unix.Open(path, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		return Usage{}, &os.PathError{Op: "open", Path: path, Err: err}
	}
	top := os.NewFile(uintptr(fd), path)
	defer top.Close()
	mount, err := mountOf(fd)
	if err != nil {
		return Usage{}, fmt.Errorf("%s: %w", path, err)
	}
	var system unix.Statfs_t
	if err := unix.Fstatfs(fd, &system); err != nil {
		return Usage{}, &os.PathError{Op: "statfs", Path: path, Err: err}
	}
	walk := emptier{top: top, mount: mount}
	used, err := walk.measure(top, 0)
	return Usage{Used: used, Free: int64(system.Bavail) * system.Bsize}, err
}

// maxMeasured bounds how many directories are open at once.
const maxMeasured = 256

func (e *emptier) measure(dir *os.File, depth int) (int64, error) {
	var used int64
	for {
		entries, err := dir.ReadDir(1024)
		for _, entry := range entries {
			n, err := e.measureEntry(dir, entry, depth)
			if err != nil && !errors.Is(err, unix.ENOENT) {
				return used, fmt.Errorf("%q in %q: %w", entry.Name(), dir.Name(), err)
			}
			used += n
		}
		if errors.Is(err, io.EOF) {
			return used, nil
		}
		if err != nil {
			return used, err
		}
	}
}

func (e *emptier) measureEntry(dir *os.File, entry os.DirEntry, depth int) (int64, error) {
	var stat unix.Stat_t
	if err := unix.Fstatat(int(dir.Fd()), entry.Name(), &stat, unix.AT_SYMLINK_NOFOLLOW); err != nil {
		return 0, err
	}
	own := stat.Blocks * 512
	if !entry.IsDir() {
		return own / max(1, int64(stat.Nlink)), nil // each of its names has a share
	}
	if depth >= maxMeasured {
		return own, nil
	}
	child, err := e.open(dir, entry.Name())
	if errors.Is(err, errMounted) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	defer child.Close()
	below, err := e.measure(child, depth+1)
	return own + below, err
}
