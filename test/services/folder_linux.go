package main

import (
	"bufio"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// folder is the temporary folder of one copy of this command. Everything that the copy has on the machine lies in it or
// carries its name, so that it can be found and removed, also by a later copy when this one was killed.
type folder struct {
	path string
	lock *os.File
}

// maxFolder leaves room for a socket's path, which Linux limits to 107 bytes.
const maxFolder = 70

// newFolder makes the folder and locks it. The machine's lock must be held.
func newFolder() (*folder, error) {
	path, err := os.MkdirTemp("", folderPattern)
	if err != nil {
		return nil, err
	}
	f := &folder{path: path}
	if err := f.open(); err != nil {
		return nil, errors.Join(err, os.RemoveAll(path))
	}
	return f, nil
}

func (f *folder) open() error {
	if len(f.path) > maxFolder {
		return fmt.Errorf("the path of the temporary folder %s is too long for a socket: set TMPDIR to a shorter one", f.path)
	}
	if err := os.Chmod(f.path, 0o711); err != nil { // PostgreSQL's user passes through
		return err
	}
	for dir := filepath.Dir(f.path); os.Geteuid() == 0; dir = filepath.Dir(dir) {
		if info, err := os.Stat(dir); err != nil || info.Mode()&0o001 == 0 {
			return fmt.Errorf("not every user can enter %s, and PostgreSQL runs as another user: set TMPDIR to another folder", dir)
		}
		if dir == filepath.Dir(dir) {
			break
		}
	}
	lock, err := os.Create(filepath.Join(f.path, "lock"))
	if err != nil {
		return err
	}
	f.lock = lock
	return syscall.Flock(int(lock.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
}

// sub makes a folder inside, which belongs to owner unless that is nil.
func (f *folder) sub(name string, owner *syscall.Credential) (string, error) {
	path := filepath.Join(f.path, name)
	if err := os.Mkdir(path, 0o700); err != nil {
		return "", err
	}
	if owner == nil {
		return path, nil
	}
	return path, os.Chown(path, int(owner.Uid), int(owner.Gid))
}

// memory puts a folder inside into memory: Docker waits for the disk some twenty times for each container and volume, which a busy disk
// makes minutes of. It takes at most a quarter of what is free. Without that much, or without the right to mount, the folder stays on the disk,
// where everything works too.
func (f *folder) memory(path string, say func(string, ...any)) {
	available, err := availableMemory()
	if err != nil {
		say("%s stays on the disk: %v", filepath.Base(path), err)
		return
	}
	size := min(available/4, 4<<30)
	if size < 1<<30 {
		say("%s stays on the disk: too little memory is free", filepath.Base(path))
		return
	}
	if err := unix.Mount("lethe-services", path, "tmpfs", 0, fmt.Sprintf("mode=0700,size=%d", size)); err != nil {
		say("%s stays on the disk: mount: %v", filepath.Base(path), err)
	}
}

// availableMemory is what programs can still have, in bytes, caches that the kernel would give up among it.
func availableMemory() (uint64, error) {
	content, err := os.ReadFile("/proc/meminfo")
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(content)) {
		if value, is := strings.CutPrefix(line, "MemAvailable:"); is {
			kib, err := strconv.ParseUint(strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(value), "kB")), 10, 64)
			return kib << 10, err
		}
	}
	return 0, errors.New("/proc/meminfo has no MemAvailable")
}

// cgroup is the control group under which all containers of this copy are.
func (f *folder) cgroup() string { return "/" + filepath.Base(f.path) }

// sweep cleans up after copies that were killed. The machine's lock must be held.
func sweep(say func(string, ...any)) {
	paths, _ := filepath.Glob(filepath.Join(os.TempDir(), folderPattern+"*")) // the pattern is a good one
	for _, path := range paths {
		lock, err := os.OpenFile(filepath.Join(path, "lock"), os.O_RDWR, 0)
		if err != nil {
			continue // not a folder of ours, or another user's
		}
		if syscall.Flock(int(lock.Fd()), syscall.LOCK_EX|syscall.LOCK_NB) != nil {
			_ = lock.Close() // in use
			continue
		}
		dead := &folder{path: path, lock: lock}
		if err := dead.remove(); err != nil {
			say("clean up after an earlier run in %s: %v", path, err)
		}
	}
}

// remove ends every process that belongs to the folder, unmounts what is mounted in it, and removes its control groups, its
// bridges and itself.
func (f *folder) remove() error {
	var errs []error
	errs = append(errs, f.killAll(), f.unmountAll(), f.removeBridges(), f.removeCgroups(), os.RemoveAll(f.path))
	if f.lock != nil {
		errs = append(errs, f.lock.Close())
	}
	return errors.Join(errs...)
}

// killAll ends the processes that have the folder's path in their arguments (daemons and shims) or its name in their control
// group (containers).
func (f *folder) killAll() error {
	deadline := time.Now().Add(20 * time.Second)
	for {
		pids, err := f.processes()
		if err != nil || len(pids) == 0 {
			return err
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("processes %v do not end", pids)
		}
		for _, pid := range pids {
			if err := syscall.Kill(pid, syscall.SIGKILL); err != nil && !errors.Is(err, syscall.ESRCH) {
				return fmt.Errorf("kill %d: %w", pid, err)
			}
		}
		time.Sleep(20 * time.Millisecond)
	}
}

func (f *folder) processes() ([]int, error) {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return nil, err
	}
	var pids []int
	for _, entry := range entries {
		pid, err := strconv.Atoi(entry.Name())
		if err != nil || pid == os.Getpid() {
			continue
		}
		arguments, _ := os.ReadFile(filepath.Join("/proc", entry.Name(), "cmdline")) // it may have ended meanwhile
		groups, _ := os.ReadFile(filepath.Join("/proc", entry.Name(), "cgroup"))
		if len(arguments) == 0 {
			continue // a zombie, or the kernel's own
		}
		if strings.Contains(string(arguments), f.path+"/") || strings.Contains(string(groups), ":"+f.cgroup()+"/") {
			pids = append(pids, pid)
		}
	}
	return pids, nil
}

// unmountAll unmounts what is mounted inside the folder, the deepest first.
func (f *folder) unmountAll() error {
	file, err := os.Open("/proc/self/mountinfo")
	if err != nil {
		return err
	}
	defer file.Close()
	var points []string
	lines := bufio.NewScanner(file)
	for lines.Scan() {
		if point := mountPoint(lines.Text()); strings.HasPrefix(point, f.path+"/") {
			points = append(points, point)
		}
	}
	if err := lines.Err(); err != nil {
		return err
	}
	slices.Sort(points)
	for _, point := range slices.Backward(points) {
		if err := unix.Unmount(point, unix.MNT_DETACH); err != nil && !errors.Is(err, unix.EINVAL) {
			return fmt.Errorf("unmount %s: %w", point, err)
		}
	}
	return nil
}

// mountPoint is the fifth field of a line of mountinfo, in which a space is written \040 (proc(5)).
func mountPoint(line string) string {
	fields := strings.Fields(line)
	if len(fields) < 5 {
		return ""
	}
	return strings.NewReplacer(`\040`, " ", `\011`, "\t", `\012`, "\n", `\134`, `\`).Replace(fields[4])
}

// removeCgroups removes the control groups of the folder's containers: one tree, or with version 1 one in each controller.
func (f *folder) removeCgroups() error {
	roots, _ := filepath.Glob("/sys/fs/cgroup/*" + f.cgroup()) // the pattern is a good one
	for _, root := range append(roots, "/sys/fs/cgroup"+f.cgroup()) {
		var groups []string
		err := filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
			if err == nil && entry.IsDir() {
				groups = append(groups, path)
			}
			return nil // what is gone meanwhile needs no removing
		})
		if err != nil {
			return err
		}
		for _, group := range slices.Backward(groups) {
			if err := removeCgroup(group); err != nil {
				return err
			}
		}
	}
	return nil
}

// removeCgroup waits a little for the kernel to forget the processes that have ended.
func removeCgroup(path string) error {
	for range 100 {
		err := syscall.Rmdir(path)
		if err == nil || errors.Is(err, syscall.ENOENT) {
			return nil
		}
		if !errors.Is(err, syscall.EBUSY) {
			return fmt.Errorf("remove control group %s: %w", path, err)
		}
		time.Sleep(20 * time.Millisecond)
	}
	return fmt.Errorf("control group %s stays busy", path)
}
