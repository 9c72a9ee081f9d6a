package work

import (
	"archive/tar"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/lethe-cloud/lethe/internal/driver"
	"github.com/lethe-cloud/lethe/internal/phone"
)

// shareWorkers is how many jobs about shared storages one replica works at once.
const shareWorkers = 16

// workShares works the jobs about shared storages that nobody works on, again and again until the process stops. One that this attempt leaves is
// begun anew by whoever claims it next: all of it again is the same as once.
func (e *Engine) workShares(at attempt) error {
	return claiming(at, e.SweepEvery, shareWorkers, func(held []phone.JobID, most int) []phone.ServerTask {
		claimed, err := e.Store.ClaimShares(at.stop, e.Replica, held, most)
		if err != nil && at.stop.Err() == nil {
			e.Logger.Warn("the jobs about shared storages could not be claimed: trying again", "err", err)
		}
		return claimed
	}, func(job phone.ServerTask) phone.JobID { return job.Job.ID }, func(job phone.ServerTask) { e.workShare(at, job) })
}

// shareTask is one attempt at one job about a shared storage. It borrows from task what is the same for all work on a host.
type shareTask struct {
	task
	share driver.Sharer
}

func (e *Engine) workShare(at attempt, job phone.ServerTask) {
	t := &shareTask{task: task{
		engine: e, attempt: at,
		Assignment: phone.Assignment{Server: job.Server, Fence: job.Fence, Task: job.Task, Job: phone.Job{ID: job.Job.ID, Project: job.Job.Project, Server: job.Server.ID, Kind: job.Job.Kind}},
		log:        e.Logger.With("job_id", job.Job.ID, "attempt", job.Fence.Attempt, "server_id", job.Server.ID, "driver", job.Server.Driver),
		patience:   e.hostTry(),
	}}
	began := time.Now()
	var end phone.ShareEnd
	err := t.guarded(func() (err error) { end, err = t.do(); return err })
	if err != nil && phone.CodeOf(err) == phone.Unavailable && t.failed(err) && !e.gone(job.Away) {
		t.log.Warn("the host does not answer: the job is given back", "err", err)
		if err = t.save(func(ctx context.Context) error { return e.Store.PostponeShare(ctx, t.Fence, e.hostPause()) }); err == nil {
			return
		}
	}
	if err != nil && t.failed(err) {
		failure := t.shareFailure(err)
		t.log.Warn("job failed", "reason", failure.Reason, "msg", failure.Msg)
		end, err = phone.ShareEnd{Failure: &failure}, nil
	}
	if err == nil {
		err = t.save(func(ctx context.Context) error { return e.Store.EndShare(ctx, t.Fence, end) })
	}
	switch {
	case err == nil:
		t.log.Info("attempt ended", "kind", t.Job.Kind, "took", time.Since(began).Round(time.Millisecond))
	case errors.Is(err, errStopped), phone.ReasonOf(err) == phone.ReasonFenced, t.dropped() != nil:
		t.log.Info("attempt left its job to another", "why", err)
	default:
		t.log.Error("attempt could not save its job", "err", err)
	}
}

// shareCures are cures of failures that mean something else for phones.
var shareCures = map[phone.Reason]string{
	phone.ReasonNoShare:     "add the server anew with share_path in its template",
	phone.ReasonFileInvalid: "put an archive into the bucket that the shared storage takes, then call again",
	phone.ReasonPathInvalid: "list the folder above it first, or push files there",
	phone.ReasonNoSpace:     "delete shared files that nobody needs, or free space on the server, then call again",
	phone.ReasonServerBusy:  "there is nothing to be done: the server goes, and its shared storage with it",
	phone.ReasonTaskExpired: "push smaller archives, or give the installation a longer task_timeout",
}

func (t *shareTask) shareFailure(err error) phone.Failure {
	failure := t.failure(err)
	if cure, is := shareCures[failure.Reason]; is {
		failure.Detail = cure
	}
	return failure
}

// do does what the job says, from its beginning.
func (t *shareTask) do() (phone.ShareEnd, error) {
	ctx, release := t.whileNeeded(t.hard)
	defer release()
	var err error
	if t.host, err = t.open(); err != nil {
		return phone.ShareEnd{}, err
	}
	var can bool
	if t.share, can = t.host.(driver.Sharer); !can {
		return phone.ShareEnd{}, driver.ErrNoShare()
	}
	if err = t.answers(ctx); err != nil {
		return phone.ShareEnd{}, err
	}
	var end phone.ShareEnd
	switch t.Job.Kind {
	case phone.KindSharePush, phone.KindAppPush:
		end, err = t.push(ctx)
	case phone.KindShareList:
		end, err = t.list(ctx)
	case phone.KindShareDelete:
		end, err = t.remove(ctx, t.Task.Share.Paths)
	case phone.KindAppDelete:
		end, err = t.remove(ctx, []string{"/" + phone.AppFolder(t.Task.Package)})
	default:
		err = phone.Errorf(phone.Internal, "", "nobody knows how to do %s", t.Job.Kind)
	}
	if cause := context.Cause(ctx); cause != nil && t.dropped() == nil {
		return end, cause
	}
	return end, err
}

// answers asks the host whether it answers, before an archive is read for it in vain.
func (t *shareTask) answers(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, hostPatience)
	defer cancel()
	if _, err := t.host.Info(ctx); phone.CodeOf(err) == phone.Unavailable {
		return t.hostGone("ask whether it answers", err)
	}
	return nil
}

// whileNeeded gives a context that ends soon after the job has become somebody else's, or its server is to be deleted, which waits for it.
func (t *shareTask) whileNeeded(ctx context.Context) (context.Context, func()) {
	look := func(ctx context.Context) error {
		switch held, deleting, err := t.engine.Store.HoldsShare(ctx, t.Fence); {
		case err != nil: // the next look will tell
		case !held:
			return errNotHeld()
		case deleting:
			return phone.Errorf(phone.Precondition, phone.ReasonServerBusy, "server %s is being deleted", t.Server.Name)
		}
		return nil
	}
	ctx, cancel := context.WithCancelCause(ctx)
	if err := look(ctx); err != nil {
		cancel(err)
	}
	ctx, stop := watched(ctx, look)
	return ctx, func() { stop(); cancel(nil) }
}

// onShare is call for the shared storage, in the time of a task; what it reads from a bucket is begun again when the object store does not answer.
func (t *shareTask) onShare(ctx context.Context, what string, do func(context.Context) error) error {
	return t.callWithObjects(what, func(context.Context) error {
		if cause := context.Cause(ctx); cause != nil {
			return final(cause)
		}
		limited, cancel := context.WithTimeout(ctx, t.engine.TaskTimeout)
		defer cancel()
		err := do(limited)
		switch {
		case err != nil && ctx.Err() != nil:
			return final(context.Cause(ctx))
		case err != nil && limited.Err() != nil:
			return tookLonger(t.engine.TaskTimeout, what, err)
		}
		return err
	})
}

// final makes an error of why a call is not worth another try, whatever it is.
func final(cause error) error {
	if phone.CodeOf(cause) != phone.Internal {
		return cause
	}
	return &phone.Error{Code: phone.Precondition, Msg: "the call was given up", Err: cause}
}

// push unpacks the archive in the shared storage. It is read twice, as that of a phone is. An app takes the place of what is there of it.
func (t *shareTask) push(ctx context.Context) (phone.ShareEnd, error) {
	object := t.Task.Objects[0]
	app := ""
	if t.Job.Kind == phone.KindAppPush {
		app = t.Task.Package
	}
	var files int
	var missing []string
	err := t.onShare(ctx, "read the archive", func(ctx context.Context) (err error) {
		rules := sharedRules()
		if files, err = t.copyShared(ctx, object, app, rules, io.Discard); err == nil && files == 0 {
			err = unfit("the archive has no files")
		}
		missing = slices.Sorted(maps.Keys(rules.missing))
		return err
	})
	if err != nil {
		return phone.ShareEnd{}, err
	}
	if app != "" {
		err := t.onShare(ctx, "remove what is there of the app", func(ctx context.Context) error {
			_, err := t.share.RemoveShared(ctx, []string{"/" + phone.AppFolder(app)})
			return err
		})
		if err != nil {
			return phone.ShareEnd{}, err
		}
	}
	err = t.onShare(ctx, "unpack the archive", func(ctx context.Context) error {
		r, w := io.Pipe()
		written := make(chan struct{})
		go func() {
			defer close(written)
			w.CloseWithError(t.guarded(func() error { return t.writeShared(ctx, object, app, missing, w) }))
		}()
		err := t.share.PushShared(ctx, r)
		r.CloseWithError(io.ErrClosedPipe)
		<-written
		return err
	})
	at := t.share.SharePath()
	if app != "" {
		at += "/" + phone.AppFolder(app)
	}
	return phone.ShareEnd{Output: fmt.Sprintf("unpacked %d files and folders of %s, which phones see at %s", files, object, at)}, err
}

// sharedRules are those of an archive for a shared storage, as it is unpacked there.
func sharedRules() *importRules {
	rules := newImportRules()
	rules.roots = []string{"/" + phone.AppsFolder}
	for _, folder := range phone.PushedFolders() {
		rules.roots = append(rules.roots, "/"+folder)
	}
	return rules
}

// writeShared writes what the shared storage unpacks. Every folder of an entry comes before it, also those that the archive does not have: whoever
// unpacks it then refuses a link that is in the place of one, as an earlier push may have left it, and does not follow it.
func (t *shareTask) writeShared(ctx context.Context, object phone.Object, app string, missing []string, to io.Writer) error {
	all := map[string]bool{}
	for _, name := range missing {
		for ; name != "/"; name = path.Dir(name) { // also what the archive has itself, and names later
			all[name] = true
		}
	}
	var folders []*tar.Header
	for _, name := range slices.Sorted(maps.Keys(all)) {
		folders = append(folders, &tar.Header{Typeflag: tar.TypeDir, Name: "." + name + "/", Mode: sharedFolderMode, ModTime: time.Now(), Format: tar.FormatPAX})
	}
	rules := sharedRules()
	if err := rules.begin(folders, to); err != nil {
		return err
	}
	_, err := t.copyShared(ctx, object, app, rules, to)
	return err
}

// sharedFolderMode is the mode of every folder of a shared storage.
const sharedFolderMode = 0o755

// copyShared writes the object's archive anew, as far as a shared storage takes it, and counts its entries.
func (t *shareTask) copyShared(ctx context.Context, object phone.Object, app string, rules *importRules, to io.Writer) (int, error) {
	content, _, err := t.openObject(ctx, object, phone.MaxPush)
	if err != nil {
		return 0, err
	}
	defer content.Close()
	return copyCleaned(content, to, phone.MaxPush, func(h *tar.Header) (*tar.Header, error) {
		clean, err := sharedHeader(h, app)
		if err == nil && clean != nil {
			_, err = rules.take(clean)
		}
		return clean, err
	})
}

// sharedHeader gives what a shared storage is told of an entry: of an app what lies in its folder. Names are taken more strictly than phones take
// them, for they are shown: none is absolute or has a .. in it. There is no symbolic link: whoever may push files only would reach apps through one, or
// another app's folder, and what a link leads to can change after it was looked at. Everybody may read what is shared, and nothing in it runs as somebody else.
func sharedHeader(h *tar.Header, app string) (*tar.Header, error) {
	if why := phone.CheckShareName(h.Name); why != "" {
		return nil, unfit("the archive has the name %q, which %s", cutName(h.Name), why)
	}
	switch why := phone.CheckShareName(h.Linkname); {
	case h.Typeflag == tar.TypeSymlink:
		return nil, unfit("the archive has the symbolic link %q: put what it leads to in its place", cutName(h.Name))
	case h.Typeflag == tar.TypeLink && why != "":
		return nil, unfit("the archive has the link %q to %q, which %s", cutName(h.Name), cutName(h.Linkname), why)
	}
	clean, err := cleanHeader(h)
	if err != nil {
		return nil, err
	}
	switch {
	case path.Clean(clean.Name) == ".":
		return nil, nil // the root, which is there
	case app != "":
		clean.Name = "./" + phone.AppFolder(app) + strings.TrimPrefix(clean.Name, ".")
		if clean.Typeflag == tar.TypeLink {
			clean.Linkname = phone.AppFolder(app) + "/" + clean.Linkname
		}
	case !pushed(clean.Name, clean.Typeflag == tar.TypeDir), clean.Typeflag == tar.TypeLink && !pushed(clean.Linkname, false):
		return nil, unfit("the archive has %q, and takes what lies in the folders %s alone", cutName(h.Name), strings.Join(phone.PushedFolders(), " and "))
	}
	clean.Uid, clean.Gid = 0, 0
	if clean.Mode = 0o644 | h.Mode&0o111; clean.Typeflag == tar.TypeDir {
		clean.Mode = sharedFolderMode
	}
	return clean, nil
}

// pushed reports whether a name lies in one of the folders that files are pushed into, or is one, which only a folder may be.
func pushed(name string, folder bool) bool {
	first, rest, _ := strings.Cut(path.Clean(name), "/")
	return slices.Contains(phone.PushedFolders(), first) && (folder || rest != "")
}

// remove deletes files. What is not there is as it should be.
func (t *shareTask) remove(ctx context.Context, paths []string) (phone.ShareEnd, error) {
	var removed int
	err := t.onShare(ctx, "delete the files", func(ctx context.Context) error {
		n, err := t.share.RemoveShared(ctx, paths)
		removed += n
		return err
	})
	return phone.ShareEnd{Output: fmt.Sprintf("deleted %d of %d paths; the others led to nothing", removed, len(paths))}, err
}

// list lists a folder.
func (t *shareTask) list(ctx context.Context) (phone.ShareEnd, error) {
	var listing phone.ShareListing
	asked := t.Task.Share
	err := t.onShare(ctx, "list the folder", func(ctx context.Context) (err error) {
		listing, err = t.share.ListShared(ctx, asked.Path, asked.Offset, asked.Limit)
		return err
	})
	return phone.ShareEnd{Listing: &listing}, err
}
