package work

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"path"
	"regexp"
	"strings"
	"time"

	"github.com/lethe-cloud/lethe/internal/driver"
	"github.com/lethe-cloud/lethe/internal/phone"
)

// Objects keeps the files that tasks put into phones, and those that they make of what is in phones; what is another project's does not exist.
type Objects interface {
	// Open reads an object from its beginning, and gives its length in bytes. NotFound with ReasonObjectNotFound, or Unavailable with
	// ReasonObjectsGone, also while it is read.
	Open(ctx context.Context, project phone.ProjectID, object phone.Object) (io.ReadCloser, int64, error)
	// Put makes an object of what write writes: nobody sees it before it is whole, and when write fails what was there before is there. NotFound
	// with ReasonBucketNotFound, Forbidden with ReasonBucketReadOnly, Invalid with ReasonObjectTooLarge, Exhausted with ReasonStoreFull, or
	// Unavailable with ReasonObjectsGone.
	Put(ctx context.Context, project phone.ProjectID, object phone.Object, write func(io.Writer) error) (int64, error)
	// Delete removes an object: NotFound with ReasonObjectNotFound, and otherwise as Put.
	Delete(ctx context.Context, project phone.ProjectID, object phone.Object) error
}

// push unpacks a tar below the phone's root directory. It is read twice: what may not be unpacked is seen before anything is. Both again is the
// same as once.
func (t *task) push() (phone.TaskEnd, error) {
	object := t.Task.Objects[0]
	var files int
	err := t.transfer("read the archive", func(ctx context.Context) (err error) {
		files, err = t.copyArchive(ctx, object, io.Discard)
		return err
	})
	if err != nil {
		return phone.TaskEnd{}, err
	}
	err = t.transfer("unpack the archive", func(ctx context.Context) error {
		return t.unpack(ctx, func(ctx context.Context, w io.Writer) error {
			_, err := t.copyArchive(ctx, object, w)
			return err
		})
	})
	return phone.TaskEnd{Output: fmt.Sprintf("unpacked %d files and folders of %s", files, object)}, err
}

// install puts the packages into the phone, installs them as one app, which replaces what is there of it, and removes them from where it put
// them. All of it again is the same as once.
func (t *task) install() (phone.TaskEnd, error) {
	folder := "data/local/tmp/lethe-" + string(t.Job.ID)
	defer t.cleanUp("/" + folder)
	err := t.transfer("copy the packages", func(ctx context.Context) error {
		return t.unpack(ctx, func(ctx context.Context, w io.Writer) error { return t.packAll(ctx, folder, w) })
	})
	if err != nil {
		return phone.TaskEnd{}, err
	}
	var result driver.Result
	err = t.call("install the app", func(context.Context) (err error) {
		if len(t.Task.Objects) == 1 {
			result, err = t.execTask(driver.Command{Args: []string{"pm", "install", "-r", "/" + apkPath(folder, 0)}})
			return err
		}
		result, err = t.installParts(folder)
		return err
	})
	if err != nil {
		return phone.TaskEnd{}, err
	}
	return t.ended("the installation", result), nil
}

func apkPath(folder string, n int) string { return fmt.Sprintf("%s/%d.apk", folder, n) }

// cleanUp removes what an installation has put into the phone, if it can.
func (t *task) cleanUp(folder string) {
	if t.dropped() != nil || t.lost {
		return
	}
	if _, err := t.execTask(driver.Command{Args: []string{"rm", "-rf", folder}}); err != nil {
		t.log.Warn("the packages that were installed are still in the phone", "folder", folder, "err", err)
	}
}

var sessionID = regexp.MustCompile(`\[([0-9]+)\]`)

// installParts installs an app of several packages: they are gathered in a session of the phone's package manager, and installed at once.
func (t *task) installParts(folder string) (driver.Result, error) {
	result, err := t.execTask(driver.Command{Args: []string{"pm", "install-create", "-r"}})
	if err != nil || result.ExitCode != 0 {
		return result, err
	}
	found := sessionID.FindSubmatch(result.Stdout)
	if found == nil {
		return result, phone.Errorf(phone.Precondition, phone.ReasonCommandFailed, "the package manager named no session: %s", output(result))
	}
	session := string(found[1])
	for n := range t.Task.Objects {
		result, err = t.execTask(driver.Command{Args: []string{"pm", "install-write", session, fmt.Sprintf("%d.apk", n), "/" + apkPath(folder, n)}})
		if err != nil || result.ExitCode != 0 {
			_, abandoned := t.execTask(driver.Command{Args: []string{"pm", "install-abandon", session}})
			return result, errors.Join(err, abandoned)
		}
	}
	return t.execTask(driver.Command{Args: []string{"pm", "install-commit", session}})
}

// transfers is how often a transfer is begun whose object store does not answer.
const transfers = 5

// transferData is transfer for exports and imports, all steps of which have one deadline (task.until). They are left at once when the process stops:
// whoever takes them over begins them anew.
func (t *task) transferData(what string, do func(context.Context) error) error {
	return t.transfer(what, func(ctx context.Context) error {
		ctx, cancel := context.WithCancelCause(ctx)
		defer cancel(nil)
		defer context.AfterFunc(t.stop, func() { cancel(errStopped) })()
		if err := do(ctx); err == nil || !errors.Is(context.Cause(ctx), errStopped) {
			return err
		}
		return errStopped
	})
}

// transfer is call for what reads or writes objects: an object store that does not answer is no host that does not, and each try may take as long as
// a task may, or until the task's deadline. No try begins, and none goes on for long, when the job is not this attempt's any more.
func (t *task) transfer(what string, do func(context.Context) error) error {
	return t.callWithObjects(what, func(hard context.Context) error {
		until, limit := t.until, t.engine.TransferTimeout
		if until.IsZero() {
			until, limit = time.Now().Add(t.engine.TaskTimeout), t.engine.TaskTimeout
		}
		limited, cancel := context.WithDeadline(hard, until)
		defer cancel()
		ctx, stop := t.whileHeld(limited)
		defer stop()
		err := context.Cause(ctx)
		if err == nil {
			err = do(ctx)
		}
		if cause := context.Cause(ctx); phone.ReasonOf(cause) == phone.ReasonFenced {
			t.lost = true
			return cause
		}
		switch {
		case err != nil && limited.Err() != nil && hard.Err() == nil:
			return tookLonger(limit, what, err)
		case phone.CodeOf(err) == phone.NotFound && phone.ReasonOf(err) != phone.ReasonObjectNotFound && phone.ReasonOf(err) != phone.ReasonBucketNotFound,
			phone.CodeOf(err) == phone.Precondition && phone.ReasonOf(err) == "":
			return &phone.Error{Code: phone.Precondition, Reason: phone.ReasonPhoneNotRunning, Err: err, Msg: "the phone does not run on server " + t.Server.Name + " any more"}
		}
		return err
	})
}

// callWithObjects is call for what reads or writes objects too: an object store that does not answer is no host that does not, and is tried again.
func (t *task) callWithObjects(what string, do func(hard context.Context) error) error {
	wait := newBackoff(100*time.Millisecond, 5*time.Second)
	for try := 1; ; try++ {
		err := t.call(what, func(hard context.Context) error {
			err := do(hard)
			if phone.ReasonOf(err) == phone.ReasonObjectsGone {
				return &phone.Error{Code: phone.Precondition, Reason: phone.ReasonObjectsGone, Err: err, Msg: said(err)}
			}
			return err
		})
		if phone.ReasonOf(err) != phone.ReasonObjectsGone || try == transfers {
			return err
		}
		t.log.Warn("the object store does not answer: trying again", "step", what, "try", try, "err", err)
		if !wait.sleep(t.stop) {
			return errStopped
		}
	}
}

func tookLonger(limit time.Duration, what string, err error) error {
	return &phone.Error{Code: phone.Precondition, Reason: phone.ReasonTaskExpired, Err: err, Msg: fmt.Sprintf("it took longer than %s to %s", limit, what)}
}

// unpack lets the phone unpack what write writes, whose context ends with the unpacking.
func (t *task) unpack(ctx context.Context, write func(context.Context, io.Writer) error) error {
	into, can := t.host.(driver.Unpacker)
	if !can {
		return phone.Errorf(phone.Unsupported, "", "server %s cannot put files into phones", t.Server.Name)
	}
	if err := t.stillHeld(ctx); err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	r, w := io.Pipe()
	var wrong error
	written := make(chan struct{})
	go func() {
		defer close(written)
		wrong = t.guarded(func() error { return write(ctx, &heard{w, t}) })
		w.CloseWithError(wrong)
	}()
	// A host that does not notice that it was given up gets nothing more.
	defer context.AfterFunc(ctx, func() { w.CloseWithError(context.Cause(ctx)) })()
	err := t.dropped() // the process may have been paused since it looked
	if err == nil {
		err = into.Unpack(ctx, t.ref(), r)
	}
	r.CloseWithError(io.ErrClosedPipe)
	if err != nil {
		cancel() // the object may still be waited for
	}
	<-written
	if err == nil && !errors.Is(wrong, io.ErrClosedPipe) { // seen after the archive's end, where the driver had stopped reading
		err = wrong
	}
	return err
}

// heard notes that the host takes what is written.
type heard struct {
	w    io.Writer
	task *task
}

func (h *heard) Write(p []byte) (int, error) {
	if len(p) == 0 { // a pipe would wait for a reader of nothing
		return 0, nil
	}
	n, err := h.w.Write(p)
	if err == nil {
		h.task.answered = time.Now()
	}
	return n, err
}

// heldEvery is how often a task that puts files into a phone looks whether it is still its own.
const heldEvery = 2 * time.Second

// whileHeld gives a context that has ended, with an error with ReasonFenced, when the job is not this attempt's, and ends with one soon after it has
// become somebody else's, or was ended by another job of its phone. A host may keep everything else from a phone while it is given files (dockerd
// locks the container): what ended the task would wait for its last byte.
func (t *task) whileHeld(ctx context.Context) (context.Context, func()) {
	ctx, cancel := context.WithCancelCause(ctx)
	if err := t.stillHeld(ctx); err != nil {
		cancel(err)
	}
	ctx, stop := watched(ctx, func(ctx context.Context) error {
		if err := t.dropped(); err != nil {
			return err
		}
		if held, err := t.engine.Store.Holds(ctx, t.Fence); err == nil && !held {
			return errNotHeld()
		}
		return nil // a database that does not answer may at the next look
	})
	return ctx, func() { stop(); cancel(nil) }
}

// stillHeld looks whether the job is still this attempt's, and waits for a database that does not answer: nothing is begun in a phone, and no object
// becomes another, on a guess. It fails with ReasonFenced when the job is somebody else's or has ended, and as dropped does.
func (t *task) stillHeld(ctx context.Context) error {
	return t.engine.retryStore(ctx, func() error {
		if err := t.dropped(); err != nil {
			return err
		}
		switch held, err := t.engine.Store.Holds(ctx, t.Fence); {
		case err != nil:
			return unknown(ctx, err)
		case !held:
			return errNotHeld()
		}
		return t.dropped() // the answer may have taken longer than the lease
	})
}

func errNotHeld() error {
	return phone.Errorf(phone.Conflict, phone.ReasonFenced, "the job is not this attempt's any more")
}

// watched gives a context that ends with the first error that look gives: it looks every heldEvery, until the second result is called.
func watched(ctx context.Context, look func(context.Context) error) (context.Context, func()) {
	ctx, cancel := context.WithCancelCause(ctx)
	done := make(chan struct{})
	go func() {
		defer close(done)
		ticker := time.NewTicker(heldEvery)
		defer ticker.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-ticker.C:
			}
			if err := look(ctx); err != nil {
				cancel(err)
			}
		}
	}()
	return ctx, func() { cancel(nil); <-done }
}

// packAll writes the packages as an archive of their folder.
func (t *task) packAll(ctx context.Context, folder string, to io.Writer) error {
	archive := tar.NewWriter(to)
	if err := archive.WriteHeader(&tar.Header{Typeflag: tar.TypeDir, Name: folder + "/", Mode: 0o755, Format: tar.FormatPAX}); err != nil {
		return err
	}
	for n, object := range t.Task.Objects {
		if err := t.packAPK(ctx, apkPath(folder, n), object, archive); err != nil {
			return err
		}
	}
	return archive.Close()
}

func (t *task) packAPK(ctx context.Context, name string, object phone.Object, archive *tar.Writer) error {
	content, size, err := t.openObject(ctx, object, phone.MaxAPK)
	if err != nil {
		return err
	}
	defer content.Close()
	if err := archive.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: name, Mode: 0o644, Size: size, Format: tar.FormatPAX}); err != nil {
		return err
	}
	switch n, err := io.Copy(archive, content); {
	case err != nil:
		return err
	case n < size:
		return unfit("the object %s has ended after %d of its %d bytes", object, n, size)
	}
	return nil
}

func (t *task) openObject(ctx context.Context, object phone.Object, most int64) (io.ReadCloser, int64, error) {
	if t.engine.Objects == nil {
		return nil, 0, errNoBuckets()
	}
	content, size, err := t.engine.Objects.Open(ctx, t.Job.Project, object)
	if err == nil && size > most {
		return nil, 0, errors.Join(unfit("the object %s has %d bytes, at most %d are taken", object, size, most), content.Close())
	}
	return content, size, err
}

func unfit(format string, args ...any) error {
	return phone.Errorf(phone.Invalid, phone.ReasonFileInvalid, format, args...)
}

// copyArchive writes the object's archive anew, as far as phones take it, and counts its entries.
func (t *task) copyArchive(ctx context.Context, object phone.Object, to io.Writer) (int, error) {
	content, _, err := t.openObject(ctx, object, phone.MaxPush)
	if err != nil {
		return 0, err
	}
	defer content.Close()
	share := t.sharePath()
	return copyCleaned(content, to, phone.MaxPush, func(h *tar.Header) (*tar.Header, error) {
		clean, err := cleanInside(h)
		if err == nil && within(share, entryPath(clean)) {
			return nil, unfit("the archive has %q, where phones of this server see its shared storage and can only read: push into that", cutName(h.Name))
		}
		return clean, err
	})
}

// sharePath is where the phone sees its server's shared storage, or "".
func (t *task) sharePath() string {
	if s, can := t.host.(driver.Sharer); can {
		return s.SharePath()
	}
	return ""
}

// cleanInside is cleanHeader for archives whose relative links may not lead out of them.
func cleanInside(h *tar.Header) (*tar.Header, error) {
	clean, err := cleanHeader(h)
	if err == nil && h.Typeflag == tar.TypeSymlink && !path.IsAbs(h.Linkname) && leadsOut(path.Dir(clean.Name)+"/"+h.Linkname) {
		return nil, unfit("the archive has the link %q to %q, which leads out of it", cutName(h.Name), cutName(h.Linkname))
	}
	return clean, err
}

// copyCleaned copies a tar with what clean makes of each entry, or without it where that is nil, and counts the entries. It refuses one whose files
// have more than most bytes in all: an archive may say that a file is sparse and be small itself.
func copyCleaned(from io.Reader, to io.Writer, most int64, clean func(*tar.Header) (*tar.Header, error)) (int, error) {
	source := &driver.Source{Reader: from}
	in, out := tar.NewReader(source), tar.NewWriter(to)
	for files := 0; ; files++ {
		header, err := in.Next()
		if errors.Is(err, io.EOF) {
			return files, out.Close()
		}
		if err != nil {
			return files, notTar(source, err)
		}
		if header.Typeflag == tar.TypeXGlobalHeader { // a comment of whoever made it
			files--
			continue
		}
		if header, err = clean(header); err != nil {
			return files, err
		}
		if header == nil {
			files--
			continue
		}
		if most -= header.Size; most < 0 {
			return files, unfit("the archive's files have too many bytes in all")
		}
		if err := out.WriteHeader(header); err != nil {
			return files, err
		}
		if err := copyEntry(out, in, source); err != nil {
			return files, err
		}
	}
}

// copyEntry copies one file of an archive. An error of the reader's own is the archive's, one of the writer's the phone's.
func copyEntry(to io.Writer, from io.Reader, source *driver.Source) error {
	buffer := make([]byte, 128<<10)
	for {
		n, err := from.Read(buffer)
		if n > 0 {
			if _, err := to.Write(buffer[:n]); err != nil {
				return err
			}
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return notTar(source, err)
		}
	}
}

func notTar(source *driver.Source, err error) error {
	if err := source.Err(); err != nil {
		return err
	}
	return unfit("the object is no whole tar archive: %v", err)
}

// cleanHeader gives what a phone is told of an entry. A symbolic link may lead anywhere.
func cleanHeader(h *tar.Header) (*tar.Header, error) {
	if strings.ContainsRune(h.Name+h.Linkname, 0) || leadsOut(h.Name) {
		return nil, unfit("the archive has the name %q, which leads out of it", cutName(h.Name))
	}
	// Behind "./" no name is taken for the beginning of a compressed archive, as one that begins with BZh would be.
	clean := &tar.Header{Typeflag: h.Typeflag, Name: "." + path.Clean("/"+h.Name), Mode: h.Mode & 0o7777, Uid: h.Uid, Gid: h.Gid, ModTime: h.ModTime, Format: tar.FormatPAX}
	switch h.Typeflag {
	case tar.TypeDir:
		clean.Name = strings.TrimSuffix(clean.Name, "/") + "/"
	case tar.TypeReg, tar.TypeGNUSparse:
		clean.Typeflag, clean.Size = tar.TypeReg, h.Size
	case tar.TypeSymlink:
		clean.Linkname = h.Linkname
	case tar.TypeLink:
		if leadsOut(h.Linkname) {
			return nil, unfit("the archive has the link %q to %q, which leads out of it", cutName(h.Name), cutName(h.Linkname))
		}
		clean.Linkname = strings.TrimPrefix(path.Clean("/"+h.Linkname), "/")
	default:
		return nil, unfit("the archive has %q, which is neither a file nor a folder nor a link", cutName(h.Name))
	}
	return clean, nil
}

// leadsOut reports whether a path goes above where it begins.
func leadsOut(name string) bool {
	depth := 0
	for part := range strings.SplitSeq(name, "/") {
		switch part {
		case "", ".":
		case "..":
			if depth--; depth < 0 {
				return true
			}
		default:
			depth++
		}
	}
	return false
}

// cutName bounds what of an archive's name is repeated.
func cutName(name string) string {
	const most = 100
	if len(name) <= most {
		return name
	}
	return string(bytes.ToValidUTF8([]byte(name[:most]), nil)) + "..."
}
