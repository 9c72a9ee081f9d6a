package objects

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/lethe-cloud/lethe/internal/phone"
)

// folder is a bucket that is a folder of this machine, or of one that all replicas share: an object is a file at its key. Nothing is read or written
// outside of it, and links in it are followed nowhere. What is being written has a name of its own in the folder writing, which no object can have
// because of its first character, and becomes the object by a rename.
type folder struct{ path string }

const writing = "~writing"

func (f folder) size(ctx context.Context, o phone.Object) (int64, error) {
	file, size, err := f.read(ctx, o)
	if err != nil {
		return 0, err
	}
	return size, file.Close()
}

func (f folder) read(ctx context.Context, o phone.Object) (io.ReadCloser, int64, error) {
	root, err := os.OpenRoot(f.path)
	if err != nil {
		return nil, 0, noFolder(o.Bucket, err)
	}
	defer root.Close()
	there, err := lookAt(root, o.Key)
	if err != nil {
		return nil, 0, local(o, err)
	}
	file, err := root.OpenFile(o.Key, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, 0, local(o, err)
	}
	info, err := file.Stat()
	if err == nil && !os.SameFile(there, info) { // changed in between: a link, perhaps
		err = fs.ErrNotExist
	}
	if err != nil {
		return nil, 0, local(o, errors.Join(err, file.Close()))
	}
	return localReader{ReadCloser: file, ctx: ctx, object: o}, info.Size(), nil
}

// localReader names the errors of reading, and ends when its context does.
type localReader struct {
	io.ReadCloser
	ctx    context.Context
	object phone.Object
}

func (r localReader) Read(p []byte) (int, error) {
	if err := r.ctx.Err(); err != nil {
		return 0, unavailable(r.object.Bucket, err)
	}
	n, err := r.ReadCloser.Read(p)
	if err != nil && !errors.Is(err, io.EOF) {
		err = local(r.object, err)
	}
	return n, err
}

// lookAt finds the file that is an object; anything else, or one that is behind a link, is none.
func lookAt(root *os.Root, key string) (fs.FileInfo, error) {
	for dir := path.Dir(key); dir != "."; dir = path.Dir(dir) {
		info, err := root.Lstat(dir)
		if err == nil && !info.IsDir() {
			err = fs.ErrNotExist
		}
		if err != nil {
			return nil, err
		}
	}
	info, err := root.Lstat(key)
	if err == nil && !info.Mode().IsRegular() {
		err = fs.ErrNotExist
	}
	return info, err
}

func (f folder) put(ctx context.Context, o phone.Object, write func(io.Writer) error) (err error) {
	root, err := os.OpenRoot(f.path)
	if err != nil {
		return noFolder(o.Bucket, err)
	}
	defer root.Close()
	file, name, err := begin(root)
	if err != nil {
		return local(o, err)
	}
	kept := false
	defer func() {
		if !kept {
			err = errors.Join(err, root.Remove(name))
		}
		_ = file.Close() // what counts was synced before
	}()
	if err := write(&localWriter{file: file, ctx: ctx, object: o, free: freeBytes}); err != nil {
		return err
	}
	if err := file.Sync(); err != nil {
		return local(o, err)
	}
	if err := ctx.Err(); err != nil {
		return unavailable(o.Bucket, err)
	}
	if err := give(root, name, o.Key); err != nil {
		return local(o, err)
	}
	kept = true
	return nil
}

// begin makes a file to write to. It is locked, so that others see that somebody writes it; what processes that died have left, which nobody locks,
// is removed.
func begin(root *os.Root) (*os.File, string, error) {
	if err := root.Mkdir(writing, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return nil, "", err
	}
	if err := sweep(root); err != nil {
		return nil, "", err
	}
	for range 10 {
		name := writing + "/" + phone.NewID[string]()
		file, err := root.OpenFile(name, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
		if err != nil {
			return nil, "", err
		}
		err = syscall.Flock(int(file.Fd()), syscall.LOCK_EX)
		if err == nil {
			if _, err = root.Lstat(name); err == nil {
				return file, name, nil
			}
		}
		_ = file.Close()
		if !errors.Is(err, fs.ErrNotExist) {
			return nil, "", errors.Join(err, root.Remove(name))
		}
		// Another one's sweep came between the making and the lock.
	}
	return nil, "", errors.New("what is to be written is removed again and again")
}

// sweep removes what nobody writes any more.
func sweep(root *os.Root) error {
	dir, err := root.Open(writing)
	if err != nil {
		return err
	}
	names, err := dir.Readdirnames(-1)
	if err = errors.Join(err, dir.Close()); err != nil {
		return err
	}
	for _, name := range names {
		name = writing + "/" + name
		if info, err := root.Lstat(name); err != nil || !info.Mode().IsRegular() {
			continue
		}
		file, err := root.OpenFile(name, os.O_WRONLY, 0)
		if err != nil {
			continue // gone, or not ours
		}
		if syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB) == nil {
			err = root.Remove(name)
		}
		if err = errors.Join(err, file.Close()); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}

// give gives a file its key, durably. Whoever deletes the last other object of a folder may remove the folder in between: then it is made again.
// A folder of that name in which there is no object, which a process that died has left, gives way.
func give(root *os.Root, name, key string) error {
	var err error
	for range 10 {
		if err = makeFolders(root, path.Dir(key)); err != nil {
			return err
		}
		if err = root.Rename(name, key); isFolder(err) && removeEmpty(root, key) && removeFolder(root, key) == nil {
			err = root.Rename(name, key)
		}
		if !errors.Is(err, fs.ErrNotExist) {
			break
		}
	}
	if err != nil {
		return err
	}
	for dir := path.Dir(key); ; dir = path.Dir(dir) {
		if err := syncIn(root, dir); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		if dir == "." {
			return nil
		}
	}
}

// isFolder reports whether a rename failed because a folder has the name.
func isFolder(err error) bool {
	return errors.Is(err, syscall.EISDIR) || errors.Is(err, fs.ErrExist)
}

// makeFolders makes the folders of a key. A link among them is refused.
func makeFolders(root *os.Root, dir string) error {
	if dir == "." {
		return nil
	}
	if err := makeFolders(root, path.Dir(dir)); err != nil {
		return err
	}
	err := root.Mkdir(dir, 0o700)
	if errors.Is(err, fs.ErrExist) {
		info, statErr := root.Lstat(dir)
		if statErr == nil && !info.IsDir() {
			statErr = syscall.ENOTDIR
		}
		if errors.Is(statErr, fs.ErrNotExist) { // removed in between: the rename will say so
			return nil
		}
		return statErr
	}
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

func syncIn(root *os.Root, dir string) error {
	file, err := root.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(file.Sync(), file.Close())
}

func syncFolder(path string) error {
	file, err := os.Open(path)
	if err != nil {
		return folderFailed(err)
	}
	return errors.Join(file.Sync(), file.Close())
}

// reserve is how many bytes a folder leaves free on its file system, which may be the database's too; freeEvery is after how many each writer looks,
// and how many of the reserve each can take before it sees that others have.
const (
	reserve   = 1 << 30
	freeEvery = 1 << 20
)

// localWriter names the errors of writing, ends when its context does, and leaves room on the file system.
type localWriter struct {
	file   *os.File
	ctx    context.Context
	object phone.Object
	free   func(*os.File) (int64, error) // bytes on its file system
	left   int64                         // bytes until the next look
}

func freeBytes(file *os.File) (int64, error) {
	var info syscall.Statfs_t
	err := syscall.Fstatfs(int(file.Fd()), &info)
	return int64(info.Bavail) * int64(info.Bsize), err
}

// Write implements io.Writer.
func (w *localWriter) Write(p []byte) (int, error) {
	if err := w.ctx.Err(); err != nil {
		return 0, unavailable(w.object.Bucket, err)
	}
	if w.left -= int64(len(p)); w.left < 0 {
		free, err := w.free(w.file)
		if err != nil {
			return 0, local(w.object, err)
		}
		if free < reserve {
			return 0, full(w.object.Bucket, fmt.Errorf("less than %d bytes are free there", int64(reserve)))
		}
		w.left = freeEvery - int64(len(p))
	}
	n, err := w.file.Write(p)
	if err != nil {
		err = local(w.object, err)
	}
	return n, err
}

func (f folder) remove(_ context.Context, o phone.Object) error {
	root, err := os.OpenRoot(f.path)
	if err != nil {
		return noFolder(o.Bucket, err)
	}
	defer root.Close()
	if _, err := lookAt(root, o.Key); err != nil {
		return local(o, err)
	}
	if err := root.Remove(o.Key); err != nil {
		return local(o, err)
	}
	dir := path.Dir(o.Key)
	for dir != "." && removeFolder(root, dir) == nil { // as far as they are empty
		dir = path.Dir(dir)
	}
	if err := syncIn(root, dir); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return local(o, err)
	}
	return nil
}

// removeAll removes the folder of a bucket that has no object.
func (f folder) removeAll() error {
	root, err := os.OpenRoot(f.path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return folderFailed(err)
	}
	err = sweepAll(root)
	if err = errors.Join(err, root.Close()); err != nil {
		return err
	}
	switch err := os.Remove(f.path); {
	case err == nil, errors.Is(err, fs.ErrNotExist):
		return nil
	case errors.Is(err, syscall.ENOTEMPTY), errors.Is(err, fs.ErrExist):
		return errNotEmpty()
	default:
		return folderFailed(err)
	}
}

// sweepAll removes what is no object from a bucket that is to go: what nobody writes any more, and empty folders.
func sweepAll(root *os.Root) error {
	if !removeEmpty(root, ".") {
		return errNotEmpty()
	}
	if _, err := root.Lstat(writing); err == nil {
		if err := sweep(root); err != nil {
			return folderFailed(err)
		}
		if err := root.Remove(writing); errors.Is(err, syscall.ENOTEMPTY) || errors.Is(err, fs.ErrExist) {
			return errNotEmpty() // somebody is writing an object
		} else if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return folderFailed(err)
		}
	}
	return nil
}

// someNames is how many names of a folder are read at once.
const someNames = 1024

// removeEmpty removes the folders below one in which there is nothing, but for the folder writing. It ends with the first that is anything else, or
// stays, and reports whether there was none.
func removeEmpty(root *os.Root, dir string) bool {
	for { // removing while reading may skip names: the last round finds nothing to remove
		removed, empty := removeSome(root, dir)
		if !removed || !empty {
			return empty
		}
	}
}

func removeSome(root *os.Root, dir string) (removed, empty bool) {
	file, err := root.Open(dir)
	if err != nil {
		return false, errors.Is(err, fs.ErrNotExist)
	}
	defer file.Close()
	for {
		entries, err := file.ReadDir(someNames)
		for _, entry := range entries {
			name := path.Join(dir, entry.Name())
			if name == writing && entry.IsDir() {
				continue
			}
			if !entry.IsDir() || !removeEmpty(root, name) || removeFolder(root, name) != nil {
				return removed, false
			}
			removed = true
		}
		if err != nil {
			return removed, errors.Is(err, io.EOF)
		}
	}
}

// removeFolder removes an empty folder, and nothing else: not what has become of its name in between. One that is gone is a success.
func removeFolder(root *os.Root, dir string) error {
	above, err := root.Open(path.Dir(dir))
	if err == nil {
		err = errors.Join(unix.Unlinkat(int(above.Fd()), path.Base(dir), unix.AT_REMOVEDIR), above.Close())
	}
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

func errNotEmpty() error {
	return phone.Errorf(phone.Precondition, phone.ReasonBucketNotEmpty, "the bucket has objects, or one is being written: delete them first")
}

// noFolder is why a bucket's folder could not be used, or read through: nothing is said of its objects, for it may only be away.
func noFolder(bucket string, err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		err = fmt.Errorf("the bucket's folder is not there: %w", err)
	}
	return unavailable(bucket, err)
}

// local puts an error of the file system into this package's words.
func local(o phone.Object, err error) error {
	var known *phone.Error
	switch {
	case errors.As(err, &known):
		return err
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT):
		return full(o.Bucket, err)
	case errors.Is(err, syscall.EISDIR), errors.Is(err, syscall.ENOTDIR), errors.Is(err, fs.ErrExist), errors.Is(err, syscall.ENOTEMPTY):
		return &phone.Error{
			Code: phone.Invalid, Reason: phone.ReasonObjectInvalid, Field: "key", Err: err,
			Msg: "the bucket is a folder, where " + o.Key + " and another object's name cannot both be: one would be a file and a folder",
		}
	case errors.Is(err, fs.ErrNotExist):
		return notFound(o, err)
	}
	return unavailable(o.Bucket, err)
}

func folderFailed(err error) error {
	return &phone.Error{Code: phone.Unavailable, Reason: phone.ReasonObjectsGone, Msg: "the folder of the buckets cannot be used: its disk or its rights are not as they must be", Err: err}
}
