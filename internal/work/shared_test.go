package work_test

import (
	"archive/tar"
	"context"
	"fmt"
	"io"
	"maps"
	"path"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/lethe-cloud/lethe/internal/driver"
	"github.com/lethe-cloud/lethe/internal/fleet"
	"github.com/lethe-cloud/lethe/internal/phone"
)

func (h *memoryHost) SharePath() string { return "/data/share" }

func (h *memoryHost) PushShared(ctx context.Context, archive io.Reader) error {
	if err := h.enter(ctx, "push_shared", driver.Ref{}); err != nil {
		return err
	}
	h.mu.Lock()
	if h.shared == nil {
		h.shared = map[string]string{}
	}
	h.mu.Unlock()
	named := map[string]bool{"/": true}
	for files := tar.NewReader(archive); ; {
		header, err := files.Next()
		if err == io.EOF {
			return h.enter(ctx, "pushed_shared", driver.Ref{})
		}
		if err != nil {
			return err
		}
		// A daemon would follow a link in the place of a folder that it is not told of.
		at := path.Clean("/" + header.Name)
		if !named[path.Dir(at)] || header.Typeflag == tar.TypeLink && !named[path.Dir("/"+header.Linkname)] || header.Typeflag == tar.TypeSymlink {
			return phone.Errorf(phone.Invalid, phone.ReasonFileInvalid, "%s is a link, or comes before its folder", at)
		}
		if header.Typeflag == tar.TypeDir {
			if named[at] = true; header.Mode != 0o755 || header.Uid != 0 || header.ModTime.IsZero() {
				return phone.Errorf(phone.Invalid, phone.ReasonFileInvalid, "the folder %s has the mode %o, owner %d, %s", at, header.Mode, header.Uid, header.ModTime)
			}
			continue
		}
		content, err := io.ReadAll(files)
		if err != nil {
			return err
		}
		h.mu.Lock()
		h.shared[path.Clean("/"+header.Name)] = fmt.Sprintf("%s%s %o %d", header.Linkname, content, header.Mode, header.Uid)
		h.mu.Unlock()
	}
}

func (h *memoryHost) RemoveShared(ctx context.Context, paths []string) (removed int, err error) {
	if err := h.enter(ctx, "remove_shared", driver.Ref{}); err != nil {
		return 0, err
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, p := range paths {
		before := len(h.shared)
		maps.DeleteFunc(h.shared, func(name, _ string) bool { return name == p || strings.HasPrefix(name, p+"/") })
		if len(h.shared) < before {
			removed++
		}
	}
	return removed, nil
}

func (h *memoryHost) ListShared(ctx context.Context, folder string, offset, limit int) (phone.ShareListing, error) {
	listing := phone.ShareListing{Path: folder, Offset: offset, Files: []phone.ShareFile{}}
	if err := h.enter(ctx, "list_shared", driver.Ref{}); err != nil {
		return listing, err
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, name := range slices.Sorted(maps.Keys(h.shared)) {
		if path.Dir(name) == folder {
			listing.Total++
			listing.Files = append(listing.Files, phone.ShareFile{Name: path.Base(name), Type: "file"})
		}
	}
	if listing.Total == 0 {
		return listing, phone.Errorf(phone.NotFound, phone.ReasonPathInvalid, "there is no folder %s", folder)
	}
	return listing, nil
}

func (h *memoryHost) EraseShare(ctx context.Context) (*phone.ErasedShare, error) {
	if err := h.enter(ctx, "erase_share", driver.Ref{}); err != nil {
		return nil, err
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.shared == nil {
		return nil, nil
	}
	erased := &phone.ErasedShare{Name: "shared", Files: int64(len(h.shared))}
	h.shared = nil
	return erased, nil
}

// sharedFiles gives what the shared storage has.
func (b *bench) sharedFiles() []string {
	b.host.mu.Lock()
	defer b.host.mu.Unlock()
	return slices.Sorted(maps.Keys(b.host.shared))
}

// share accepts something to be done with the shared storage of the bench's server.
func (b *bench) share(kind phone.Kind, task phone.Task) phone.JobID {
	b.t.Helper()
	in := fleet.AcceptShare{
		Request: phone.Request{ID: phone.NewID[phone.RequestID](), Project: b.project, Kind: kind, Caller: "test", Task: &task, CreatedAt: time.Now()}, Servers: []string{string(b.server.ID)},
	}
	outcomes, err := b.store.AcceptShare(b.t.Context(), in)
	if err != nil || outcomes[0].Err != nil {
		b.t.Fatalf("AcceptShare: %v %v", outcomes, err)
	}
	return outcomes[0].Job
}

func (b *bench) pushShared(name string) phone.JobID {
	return b.share(phone.KindSharePush, objectTask(name))
}

// The jobs of one server are done in the order of their acceptance, whatever is lost on the way: an answer of the host, the object store.
func TestShared(t *testing.T) {
	t.Parallel()
	b, objects := withObjects(t, map[string][]byte{
		"a.tar":   tarOf(t, entry{tar.TypeDir, "data/", "", ""}, entry{tar.TypeReg, "./data/x", "", "content"}, entry{tar.TypeReg, "data/d/e/y", "", "deep"}, entry{tar.TypeLink, "data/h", "data/x", ""}),
		"app.tar": tarOf(t, entry{tar.TypeDir, "./", "", ""}, entry{tar.TypeReg, "base.apk", "", "apk"}, entry{tar.TypeLink, "again.apk", "base.apk", ""}),
	})
	var lost atomic.Bool
	b.host.onCall(func(_ context.Context, call string, _ driver.Ref) error {
		if call == "pushed_shared" && lost.CompareAndSwap(false, true) {
			return phone.Errorf(phone.Unavailable, "", "the answer was lost")
		}
		return nil
	})
	objects.mu.Lock()
	objects.away = 2
	objects.mu.Unlock()
	b.host.mu.Lock()
	b.host.shared = map[string]string{"/apps/com.example.app/old.apk": "old"}
	b.host.mu.Unlock()
	pushed, listed := b.pushShared("a.tar"), b.share(phone.KindShareList, phone.Task{Share: &phone.ShareTask{Path: "/data", Limit: 50}})
	app := b.share(phone.KindAppPush, phone.Task{Package: "com.example.app", Objects: objectTask("app.tar").Objects})
	removed := b.share(phone.KindShareDelete, phone.Task{Share: &phone.ShareTask{Paths: []string{"/data/x", "/data/none"}}})
	gone := b.share(phone.KindShareList, phone.Task{Share: &phone.ShareTask{Path: "/cache", Limit: 50}})
	if j := b.serverJob(pushed); j.Failure != nil || !strings.Contains(j.Output, "unpacked 4 files and folders of obs://apps/a.tar") || !strings.Contains(j.Output, "/data/share") || !lost.Load() {
		t.Errorf("the push: %q %+v", j.Output, j.Failure)
	}
	if j := b.serverJob(listed); j.Failure != nil || j.Listing == nil || j.Listing.Total != 2 || j.Output != "" {
		t.Errorf("the list: %+v %+v", j.Listing, j.Failure)
	}
	if j := b.serverJob(app); j.Failure != nil || !strings.Contains(j.Output, "unpacked 2 files") || !strings.Contains(j.Output, "/data/share/apps/com.example.app") {
		t.Errorf("the app: %q %+v", j.Output, j.Failure)
	}
	if j := b.serverJob(removed); j.Failure != nil || !strings.HasPrefix(j.Output, "deleted 1 of 2 paths") {
		t.Errorf("the deletion: %q %+v", j.Output, j.Failure)
	}
	if j := b.serverJob(gone); j.Failure == nil || j.Failure.Reason != phone.ReasonPathInvalid || strings.Contains(j.Failure.Detail, "phone again") {
		t.Errorf("the list of what is not there: %+v", j.Failure)
	}
	want := map[string]string{
		"/data/d/e/y": "deep 644 0", "/data/h": "data/x 644 0",
		"/apps/com.example.app/base.apk": "apk 644 0", "/apps/com.example.app/again.apk": "apps/com.example.app/base.apk 644 0",
	}
	b.host.mu.Lock()
	defer b.host.mu.Unlock()
	if !maps.Equal(b.host.shared, want) {
		t.Errorf("the storage has %q, want %q", b.host.shared, want)
	}
}

// What a shared storage does not take is refused before anything is in it.
func TestSharedRefuses(t *testing.T) {
	t.Parallel()
	good := entry{tar.TypeReg, "data/good", "", "good"}
	archives := map[string][]byte{
		"up.tar": tarOf(t, good, entry{tar.TypeReg, "data/../cache/x", "", "x"}), "absolute.tar": tarOf(t, good, entry{tar.TypeReg, "/data/x", "", "x"}),
		"link.tar": tarOf(t, good, entry{tar.TypeSymlink, "data/l", "../../x", ""}), "root.tar": tarOf(t, good, entry{tar.TypeSymlink, "data/l", "/etc", ""}),
		"hard.tar": tarOf(t, good, entry{tar.TypeLink, "data/l", "apps/com.example.app/base.apk", ""}), "hardup.tar": tarOf(t, good, entry{tar.TypeLink, "data/l", "../x", ""}),
		"device.tar": tarOf(t, good, entry{tar.TypeBlock, "data/sda", "", ""}), "elsewhere.tar": tarOf(t, good, entry{tar.TypeReg, "system/x", "", "x"}),
		"apps.tar": tarOf(t, good, entry{tar.TypeReg, "apps/com.example.app/base.apk", "", "x"}), "over.tar": tarOf(t, good, entry{tar.TypeReg, "data", "", "x"}),
		"overlink.tar": tarOf(t, good, entry{tar.TypeSymlink, "cache", "data", ""}), "control.tar": tarOf(t, good, entry{tar.TypeReg, "data/a\nb", "", "x"}),
		"utf8.tar": tarOf(t, good, entry{tar.TypeReg, "data/\xff", "", "x"}), "long.tar": tarOf(t, good, entry{tar.TypeReg, "data/" + strings.Repeat("n", 256), "", "x"}),
		"sibling.tar": tarOf(t, good, entry{tar.TypeSymlink, "data/l", "good", ""}), "through.tar": tarOf(t, entry{tar.TypeSymlink, "data/l", "m", ""}, entry{tar.TypeReg, "data/l/x", "", "x"}),
		"both.tar": tarOf(t, good, entry{tar.TypeReg, "data/good/x", "", "x"}, entry{tar.TypeLink, "data", "data/good", ""}),
		"text.tar": []byte(strings.Repeat("no archive ", 100)), "none.tar": tarOf(t), "root-only.tar": tarOf(t, entry{tar.TypeDir, "./", "", ""}),
		"cut.tar": tarOf(t, good, entry{tar.TypeReg, "data/long", "", strings.Repeat("x", 5000)})[:2500],
	}
	b, _ := withObjects(t, archives)
	jobs := map[string]phone.JobID{}
	for name := range archives {
		jobs[name] = b.pushShared(name)
	}
	for name, id := range jobs {
		if j := b.serverJob(id); j.Failure == nil || j.Failure.Reason != phone.ReasonFileInvalid || !strings.Contains(j.Failure.Detail, "shared storage") {
			t.Errorf("%s: %+v", name, j.Failure)
		}
	}
	if j := b.serverJob(b.pushShared("absent.tar")); j.Failure == nil || j.Failure.Reason != phone.ReasonObjectNotFound || strings.Contains(j.Failure.Detail, "phone") {
		t.Errorf("no object: %+v", j.Failure)
	}
	for _, name := range []string{"link.tar", "sibling.tar"} {
		app := phone.Task{Package: "com.example.app", Objects: objectTask(name).Objects}
		if j := b.serverJob(b.share(phone.KindAppPush, app)); j.Failure == nil || j.Failure.Reason != phone.ReasonFileInvalid {
			t.Errorf("an app with a symbolic link, %s: %+v", name, j.Failure)
		}
	}
	if left := b.sharedFiles(); len(left) > 0 || b.host.count("push_shared") > 0 || b.host.count("remove_shared") > 0 {
		t.Errorf("the storage has %q", left)
	}
}

// An archive that is exchanged between the two readings is not unpacked into folders that were not looked at.
func TestSharedExchanged(t *testing.T) {
	t.Parallel()
	b, objects := withObjects(t, map[string][]byte{"a.tar": tarOf(t, entry{tar.TypeReg, "data/first/x", "", "x"})})
	objects.mu.Lock()
	objects.then = map[string][]byte{"a.tar": tarOf(t, entry{tar.TypeReg, "data/second/x", "", "x"})}
	objects.mu.Unlock()
	if j := b.serverJob(b.pushShared("a.tar")); j.Failure == nil || j.Failure.Reason != phone.ReasonFileInvalid || !strings.Contains(j.Failure.Msg, "changed") {
		t.Errorf("the push: %q %+v", j.Output, j.Failure)
	}
	if got := b.sharedFiles(); len(got) > 0 {
		t.Errorf("the storage has %q", got)
	}
}

// What lies where a phone sees the shared storage is left out of an import, and refused in a push: the phone can only read it.
func TestSharedInPhones(t *testing.T) {
	t.Parallel()
	b, _ := withObjects(t, map[string][]byte{"a.tar": tarOf(t, entry{tar.TypeDir, "data/", "", ""}, entry{tar.TypeReg, "data/x", "", "x"}, entry{tar.TypeDir, "data/share/", "", ""},
		entry{tar.TypeReg, "data/share/data/one", "", "one"}, entry{tar.TypeLink, "data/hard", "data/share/data/one", ""}, entry{tar.TypeReg, "data/shared", "", "own"})})
	j := b.await(b.task(phone.KindImport, objectTask("a.tar"), b.phones...), "ended", ended)[0]
	if j.Phase != phone.PhaseSucceeded || !strings.Contains(j.Output, "imported 3 files") || !strings.Contains(j.Output, "left out 3 that lie in /data/share") {
		t.Errorf("the import: %s %q %+v", j.Phase, j.Output, j.Failure)
	}
	if got, want := b.files(), []string{"./data/", "./data/shared", "./data/x"}; !slices.Equal(got, want) {
		t.Errorf("the phone has %q, want %q", got, want)
	}
	before := b.host.count("unpack")
	j = b.await(b.task(phone.KindPush, objectTask("a.tar"), b.phones...), "ended", ended)[0]
	if j.Failure == nil || j.Failure.Reason != phone.ReasonFileInvalid || !strings.Contains(j.Failure.Msg, "data/share") || b.host.count("unpack") != before {
		t.Errorf("the push: %s %q %+v", j.Phase, j.Output, j.Failure)
	}
}

// held lets the first such call wait until it is let go or given up, and tells when it is reached.
func (b *bench) held(call string) (reached chan struct{}, letGo func()) {
	reached, hold := make(chan struct{}), make(chan struct{})
	var once atomic.Bool
	b.host.onCall(func(ctx context.Context, c string, _ driver.Ref) error {
		if c == call && once.CompareAndSwap(false, true) {
			close(reached)
			select {
			case <-hold:
			case <-ctx.Done():
				return ctx.Err()
			}
		}
		return nil
	})
	return reached, sync.OnceFunc(func() { close(hold) })
}

// A push whose process stops in the middle is begun again by the next one, and ends once; resets of the server's phones go on beside it.
func TestSharedGoesOn(t *testing.T) {
	t.Parallel()
	b := newBench(t, 2, 2)
	b.config.Objects = &memoryObjects{files: map[string][]byte{"a.tar": tarOf(t, entry{tar.TypeReg, "data/x", "", "content"})}}
	stop := b.start()
	b.created()
	reached, letGo := b.held("pushed_shared")
	job := b.pushShared("a.tar")
	<-reached
	for _, j := range b.await(b.reset(b.phones, nil), "resets beside a push", ended) {
		if j.Phase != phone.PhaseSucceeded {
			t.Errorf("a reset beside a push: %s %+v", j.Phase, j.Failure)
		}
	}
	stop()
	letGo()
	if jobs, err := b.store.ServerJob(t.Context(), b.project, job); err != nil || jobs[0].Status() != phone.JobRunning {
		t.Fatalf("when the process has stopped: %+v, %v", jobs, err)
	}
	b.start()
	if j := b.serverJob(job); j.Failure != nil || b.host.count("push_shared") != 2 {
		t.Errorf("the push: %+v, pushed %d times", j.Failure, b.host.count("push_shared"))
	}
	if got := b.sharedFiles(); !slices.Equal(got, []string{"/data/x"}) {
		t.Errorf("the storage has %q", got)
	}
}

// The deletion of a server ends what is at work on its shared storage and what waits for it, destroys the storage, and says so.
func TestSharedDelete(t *testing.T) {
	t.Parallel()
	b, _ := withObjects(t, map[string][]byte{"a.tar": tarOf(t, entry{tar.TypeReg, "data/x", "", "content"})})
	if j := b.serverJob(b.pushShared("a.tar")); j.Failure != nil {
		t.Fatalf("the push: %+v", j.Failure)
	}
	reached, letGo := b.held("pushed_shared")
	defer letGo()
	atWork, waits := b.pushShared("a.tar"), b.pushShared("a.tar")
	<-reached
	_, deleted := b.servers(phone.KindDelete)
	for _, id := range []phone.JobID{atWork, waits} {
		if j := b.serverJob(id); j.Failure == nil || j.Failure.Reason != phone.ReasonServerBusy {
			t.Errorf("a push on a server that goes: %+v", j.Failure)
		}
	}
	j := b.serverJob(deleted)
	if j.Failure != nil || j.Receipt == nil || j.Receipt.Share == nil || j.Receipt.Share.Files != 1 || j.Receipt.LookedFor.IsZero() {
		t.Errorf("the deletion: %+v %+v", j.Receipt, j.Failure)
	}
	if got := b.sharedFiles(); got != nil {
		t.Errorf("the storage has %q", got)
	}
}

// Where something else of the server is left on its host, its shared storage is left too; and a comparison takes it for nobody's orphan.
func TestSharedStays(t *testing.T) {
	t.Parallel()
	b, e, clock := second(t, 1)
	b.host.mu.Lock()
	b.host.shared = map[string]string{"/data/x": "content"}
	b.host.mu.Unlock()
	for range 3 {
		if drift := b.pass(e, false); len(drift.Findings) > 0 {
			t.Errorf("a shared storage differs: %+v", drift.Findings)
		}
		clock.advance(2 * time.Hour)
	}
	b.start()
	b.host.leave(driver.Ref{Phone: phone.NewID[phone.ID](), Generation: 1})
	_, deleted := b.servers(phone.KindDelete)
	if j := b.serverJob(deleted); j.Failure == nil || j.Failure.Reason != phone.ReasonServerNotEmpty {
		t.Errorf("the deletion: %+v", j.Failure)
	}
	if got := b.sharedFiles(); !slices.Equal(got, []string{"/data/x"}) {
		t.Errorf("the storage has %q", got)
	}
}
