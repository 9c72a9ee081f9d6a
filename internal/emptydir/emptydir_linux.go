package emptydir

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"

	"golang.org/x/sys/unix"
)

// maxDepth bounds how many directories are open at once. What lies deeper is moved up to the top first, so that neither the
// length of a path nor the number of open files limits how deep a tree may be.
const maxDepth = 64

// Empty destroys everything in the directory at path, which must not be a symbolic link, and keeps the directory itself. It goes
// on after something that cannot be removed and returns the errors joined; then the counts are of what did go. Twice is the same
// as once. A file that is marked immutable or append-only is unmarked first, as far as the caller is allowed to.
func Empty(path string) (Removed, error) {
	fd, err := unix.Open(path, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		return Removed{}, &os.PathError{Op: "open", Path: path, Err: err}
	}
	top := os.NewFile(uintptr(fd), path)
	defer top.Close()
	mount, err := mountOf(fd)
	if err != nil {
		return Removed{}, fmt.Errorf("%s: %w", path, err)
	}
	clearMarks(fd)
	e := emptier{top: top, mount: mount}
	e.empty(top, 0)
	if e.more > 0 {
		e.errs = append(e.errs, fmt.Errorf("and %d more", e.more))
	}
	return e.removed, errors.Join(e.errs...)
}

// maxErrors is how many errors are told one by one: a read-only volume has one for each file.
const maxErrors = 5

type emptier struct {
	top     *os.File
	mount   mountID
	removed Removed
	moved   int // names given to directories that were moved up
	errs    []error
	more    int
}

func (e *emptier) failed(dir *os.File, name string, err error) {
	if len(e.errs) < maxErrors {
		e.errs = append(e.errs, fmt.Errorf("%q in %q: %w", name, dir.Name(), err))
	} else {
		e.more++
	}
}

// empty removes what is in dir. It reads the directory anew until a whole pass finds nothing that can go: entries may be
// skipped while a directory changes under its reader, and directories may have been moved up into the top meanwhile.
func (e *emptier) empty(dir *os.File, depth int) {
	stuck := map[string]bool{} // names that could not be removed, told once
	for {
		progress := false
		if _, err := dir.Seek(0, 0); err != nil {
			e.failed(dir, ".", err)
			return
		}
		for {
			entries, err := dir.ReadDir(1024)
			for _, entry := range entries {
				if stuck[entry.Name()] {
					continue
				}
				if err := e.remove(dir, entry, depth); err != nil {
					stuck[entry.Name()] = true
					e.failed(dir, entry.Name(), err)
				} else {
					progress = true
				}
			}
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				e.failed(dir, ".", err)
				return
			}
		}
		if !progress {
			return
		}
	}
}

// errLeft says that a directory still has entries that could not be removed; those were told already.
var errLeft = errors.New("is not empty")

func (e *emptier) remove(dir *os.File, entry os.DirEntry, depth int) error {
	name := entry.Name()
	if !entry.IsDir() {
		return e.removeFile(dir, name)
	}
	if depth >= maxDepth {
		return e.moveUp(dir, name)
	}
	if err := e.emptyChild(dir, name, depth); err != nil {
		return err
	}
	err := unlink(dir, name, unix.AT_REMOVEDIR)
	if errors.Is(err, unix.ENOTEMPTY) {
		return errLeft
	}
	if err == nil {
		e.removed.Dirs++
	}
	return err
}

func (e *emptier) emptyChild(dir *os.File, name string, depth int) error {
	child, err := e.open(dir, name)
	if err != nil {
		return err
	}
	defer child.Close()
	e.empty(child, depth+1)
	return nil
}

var errMounted = errors.New("something else is mounted there: it is left alone")

// open opens a directory in dir, if it is on the same mount.
func (e *emptier) open(dir *os.File, name string) (*os.File, error) {
	fd, err := unix.Openat(int(dir.Fd()), name, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	child := os.NewFile(uintptr(fd), dir.Name()+"/"+name)
	mount, err := mountOf(fd)
	if err == nil && mount != e.mount {
		err = errMounted
	}
	if err != nil {
		_ = child.Close()
		return nil, err
	}
	return child, nil
}

func (e *emptier) removeFile(dir *os.File, name string) error {
	var stat unix.Stat_t
	if err := unix.Fstatat(int(dir.Fd()), name, &stat, unix.AT_SYMLINK_NOFOLLOW); err != nil {
		return ignoreGone(err)
	}
	if err := unlink(dir, name, 0); err != nil {
		return ignoreGone(err)
	}
	e.removed.Files++
	if stat.Mode&unix.S_IFMT == unix.S_IFREG && stat.Nlink <= 1 {
		e.removed.Bytes += stat.Size
	}
	return nil
}

// moveUp makes a directory that lies too deep an entry of the top, under a name that nothing has there.
func (e *emptier) moveUp(dir *os.File, name string) error {
	for {
		e.moved++
		to := ".lethe-" + strconv.Itoa(e.moved)
		err := unix.Renameat2(int(dir.Fd()), name, int(e.top.Fd()), to, unix.RENAME_NOREPLACE)
		if errors.Is(err, unix.EPERM) && unmark(dir, name) {
			err = unix.Renameat2(int(dir.Fd()), name, int(e.top.Fd()), to, unix.RENAME_NOREPLACE)
		}
		if !errors.Is(err, unix.EEXIST) {
			return ignoreGone(err)
		}
	}
}

// unlink removes one name; one that the file system refuses because of the file's or its directory's marks is tried once more
// without them.
func unlink(dir *os.File, name string, flags int) error {
	err := unix.Unlinkat(int(dir.Fd()), name, flags)
	if errors.Is(err, unix.EPERM) && unmark(dir, name) {
		err = unix.Unlinkat(int(dir.Fd()), name, flags)
	}
	return err
}

// unmark takes the immutable and append-only marks off the directory and off the file or directory that it names; it reports
// whether there was one. Only regular files and directories can have them.
func unmark(dir *os.File, name string) bool {
	done := clearMarks(int(dir.Fd()))
	fd, err := unix.Openat(int(dir.Fd()), name, unix.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err != nil {
		return done
	}
	defer unix.Close(fd)
	return clearMarks(fd) || done
}

func clearMarks(fd int) bool {
	const marks = 0x10 | 0x20 // FS_IMMUTABLE_FL and FS_APPEND_FL of linux/fs.h
	flags, err := unix.IoctlGetInt(fd, unix.FS_IOC_GETFLAGS)
	if err != nil || flags&marks == 0 {
		return false
	}
	return unix.IoctlSetPointerInt(fd, unix.FS_IOC_SETFLAGS, flags&^marks) == nil
}

func ignoreGone(err error) error {
	if errors.Is(err, unix.ENOENT) {
		return nil
	}
	return err
}

// mountID tells mounts apart, even two of the same file system.
type mountID struct {
	id     uint64 // 0 where the kernel does not tell (before 5.8)
	device uint64
}

// mountOf asks by statx, and by fstat where a container's older seccomp profile forbids statx.
func mountOf(fd int) (mountID, error) {
	var x unix.Statx_t
	err := unix.Statx(fd, "", unix.AT_EMPTY_PATH, unix.STATX_MNT_ID, &x)
	if errors.Is(err, unix.EPERM) || errors.Is(err, unix.ENOSYS) {
		var stat unix.Stat_t
		if err := unix.Fstat(fd, &stat); err != nil {
			return mountID{}, fmt.Errorf("fstat: %w", err)
		}
		return mountID{device: stat.Dev}, nil
	}
	if err != nil {
		return mountID{}, fmt.Errorf("statx: %w", err)
	}
	m := mountID{device: unix.Mkdev(x.Dev_major, x.Dev_minor)}
	if x.Mask&unix.STATX_MNT_ID != 0 {
		m.id = x.Mnt_id
	}
	return m, nil
}
