package work_test

import (
	"archive/tar"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/lethe-cloud/lethe/internal/driver"
	"github.com/lethe-cloud/lethe/internal/phone"
	"github.com/lethe-cloud/lethe/internal/work"
)

func sumOf(content []byte) string {
	sum := sha256.Sum256(content)
	return hex.EncodeToString(sum[:])
}

// put gives a phone files; a name that ends in a slash is a folder.
func (b *bench) put(i int, files map[string]string) {
	b.host.set(b.ref(i, 1), func(in *memoryInstance) {
		in.files = map[string][]byte{}
		for name, content := range files {
			in.files["./"+name] = []byte(content)
		}
	})
}

// namesIn are the names of a tar, in order.
func namesIn(t *testing.T, content string) (names []string) {
	t.Helper()
	for archive := tar.NewReader(strings.NewReader(content)); ; {
		header, err := archive.Next()
		if err == io.EOF {
			return names
		}
		if err != nil {
			t.Fatal(err)
		}
		names = append(names, header.Name)
	}
}

func exportTask(key string, include, exclude []string) phone.Task {
	task := objectTask(key)
	task.Include, task.Exclude = include, exclude
	return task
}

// An export has what was asked for and the folders above it, its checksum beside it, and says both; an import puts it into another phone.
func TestExportAndImport(t *testing.T) {
	t.Parallel()
	objects := &memoryObjects{files: map[string][]byte{"a.tar": []byte("of before"), "a.tar.sha256": []byte("of before")}}
	b := newBench(t, 2, 2)
	b.config.Objects = objects
	b.start()
	b.created()
	b.put(0, map[string]string{
		"data/": "", "data/app/": "", "data/app/com.a-1/": "", "data/app/com.a-1/base.apk": "apk", "data/app/com.b-1/": "", "data/app/com.b-1/base.apk": "other",
		"data/data/": "", "data/data/com.a/": "", "data/data/com.a/db": "rows", "data/data/com.a/cache/": "", "data/data/com.a/cache/x": "x", "data/other": "other",
	})
	include := []string{"/data/app/com.a*", "/data/data/com.a", "/data/data/com.a/db"}
	j := b.await(b.task(phone.KindExport, exportTask("a.tar", include, []string{"/data/data/com.a/cache"}), b.phones[0]), "ended", ended)[0]
	content, _ := objects.content("a.tar")
	want := []string{"data/", "data/app/", "data/app/com.a-1/", "data/app/com.a-1/base.apk", "data/data/", "data/data/com.a/", "data/data/com.a/db"}
	if j.Phase != phone.PhaseSucceeded || !strings.Contains(j.Output, "4 files") || !strings.Contains(j.Output, sumOf([]byte(content))) || !strings.Contains(j.Output, fmt.Sprint(len(content), " bytes")) {
		t.Fatalf("%s %q %+v", j.Phase, j.Output, j.Failure)
	}
	if got := namesIn(t, content); !slices.Equal(got, want) {
		t.Errorf("the archive has %q, want %q", got, want)
	}
	checksum, _ := objects.content("a.tar.sha256")
	if !strings.HasPrefix(checksum, fmt.Sprintf("# %d bytes", len(content))) || !strings.HasSuffix(checksum, "\n"+sumOf([]byte(content))+"  a.tar\n") {
		t.Errorf("its checksum is %q", checksum)
	}

	j = b.await(b.task(phone.KindImport, objectTask("a.tar"), b.phones[1]), "ended", ended)[0]
	if j.Phase != phone.PhaseSucceeded || !strings.Contains(j.Output, "7 files") || !strings.Contains(j.Output, "as its checksum says") {
		t.Errorf("%s %q %+v", j.Phase, j.Output, j.Failure)
	}
	b.host.set(b.ref(1, 1), func(i *memoryInstance) {
		if got := string(i.files["./data/data/com.a/db"]); got != "rows" || len(i.files) != 7 {
			t.Errorf("the other phone has %q", i.files)
		}
	})
	for _, include := range [][]string{{"/data/none"}, {"/cache"}} {
		if j := b.await(b.task(phone.KindExport, exportTask("b.tar", include, nil), b.phones[0]), "ended", ended)[0]; j.Failure == nil || j.Failure.Reason != phone.ReasonFileInvalid {
			t.Errorf("an export of nothing: %s %+v", j.Phase, j.Failure)
		}
	}
	objects.mu.Lock()
	objects.full = true
	objects.mu.Unlock()
	if j := b.await(b.task(phone.KindExport, exportTask("a.tar", include, nil), b.phones[0]), "ended", ended)[0]; j.Failure == nil || j.Failure.Reason != phone.ReasonStoreFull {
		t.Errorf("without room: %s %+v", j.Phase, j.Failure)
	}
	if after, _ := objects.content("a.tar"); after != content {
		t.Errorf("what was there has %d bytes now", len(after))
	}
	if _, there := objects.content("b.tar"); there {
		t.Error("what failed has left an object")
	}
}

// What may not be imported is refused before anything is in the phone.
func TestImportRefuses(t *testing.T) {
	t.Parallel()
	good := entry{tar.TypeReg, "data/good", "", "good"}
	bad := map[string][]byte{
		"up.tar": tarOf(t, good, entry{tar.TypeReg, "data/../../etc/x", "", "x"}), "above.tar": tarOf(t, good, entry{tar.TypeReg, "data/../system/x", "", "x"}),
		"absolute.tar": tarOf(t, good, entry{tar.TypeReg, "/system/x", "", "x"}), "outside.tar": tarOf(t, good, entry{tar.TypeReg, "system/x", "", "x"}),
		"like.tar": tarOf(t, good, entry{tar.TypeReg, "database", "", "x"}), "file.tar": tarOf(t, entry{tar.TypeReg, "data", "", "x"}),
		"link.tar": tarOf(t, good, entry{tar.TypeSymlink, "data", "system", ""}), "hard.tar": tarOf(t, good, entry{tar.TypeLink, "data/l", "system/x", ""}),
		"hardup.tar": tarOf(t, good, entry{tar.TypeLink, "data/l", "../x", ""}), "fifo.tar": tarOf(t, good, entry{tar.TypeFifo, "data/f", "", ""}),
		"through.tar": tarOf(t, good, entry{tar.TypeSymlink, "data/l", "/system", ""}, entry{tar.TypeReg, "data/l/x", "", "x"}),
		"deep.tar":    tarOf(t, good, entry{tar.TypeSymlink, "data/l", "/system", ""}, entry{tar.TypeReg, "data/l/a/b/x", "", "x"}),
		"both.tar":    tarOf(t, entry{tar.TypeDir, "data/l/", "", ""}, entry{tar.TypeSymlink, "data/l", "/system", ""}),
		"late.tar":    tarOf(t, entry{tar.TypeReg, "data/l/x", "", "x"}, entry{tar.TypeSymlink, "data/l", "/system", ""}),
		"hardby.tar":  tarOf(t, good, entry{tar.TypeSymlink, "data/l", "/system", ""}, entry{tar.TypeLink, "data/h", "data/l/x", ""}),
		"text.tar":    []byte(strings.Repeat("no archive ", 100)), "cut.tar": tarOf(t, good, entry{tar.TypeReg, "data/long", "", strings.Repeat("x", 5000)})[:2500],
	}
	files := map[string][]byte{}
	for name, content := range bad {
		files[name] = content
	}
	fine := tarOf(t, entry{tar.TypeDir, "./", "", ""}, entry{tar.TypeReg, "/data/x/y/z", "", "z"}, entry{tar.TypeLink, "data/h", "data/x/y/z", ""})
	wrong := map[string]string{
		"other": strings.Repeat("0", 64) + "  other\n", "text": "no checksum\n", "none": "", "comment": "# nothing more\n", "short": "abcd  short\n", "long": strings.Repeat("x", 5000),
	}
	for name, checksum := range wrong {
		files[name], files[name+".sha256"] = fine, []byte(checksum)
	}
	damaged := slices.Clone(fine)
	damaged[600] ^= 1
	files["damaged"], files["damaged.sha256"] = damaged, []byte(sumOf(fine)+" *damaged\n")
	cut := fine[:700]
	files["cut"], files["cut.sha256"] = cut, []byte(sumOf(fine)+"  cut\n")
	files["fine"], files["upper"], files["upper.sha256"] = fine, fine, []byte("# a comment\n"+strings.ToUpper(sumOf(fine))+"  whatever\n")

	b, objects := withObjects(t, files)
	for name := range bad {
		j := b.await(b.task(phone.KindImport, objectTask(name), b.phones...), "ended", ended)[0]
		if j.Phase != phone.PhaseFailed || j.Failure.Reason != phone.ReasonFileInvalid {
			t.Errorf("%s: %s %+v", name, j.Phase, j.Failure)
		}
	}
	for _, name := range []string{"other", "text", "none", "comment", "short", "long", "damaged", "cut"} {
		j := b.await(b.task(phone.KindImport, objectTask(name), b.phones...), "ended", ended)[0]
		if j.Phase != phone.PhaseFailed || j.Failure.Reason != phone.ReasonChecksum {
			t.Errorf("%s: %s %+v", name, j.Phase, j.Failure)
		}
	}
	if left := b.files(); len(left) > 0 || b.host.count("unpack") > 0 {
		t.Errorf("the phone has %q", left)
	}
	for name, says := range map[string]string{"fine": "no checksum", "upper": "as its checksum says"} {
		j := b.await(b.task(phone.KindImport, objectTask(name), b.phones...), "ended", ended)[0]
		if j.Phase != phone.PhaseSucceeded || !strings.Contains(j.Output, says) {
			t.Errorf("%s: %s %q %+v", name, j.Phase, j.Output, j.Failure)
		}
	}
	// The folders that the archive does not have come before what is in them.
	if got, want := b.files(), []string{"./data/", "./data/h", "./data/x/", "./data/x/y/", "./data/x/y/z"}; !slices.Equal(got, want) {
		t.Errorf("the phone has %q, want %q", got, want)
	}
	// A phone in which one of them is no folder is not written to.
	b.put(0, map[string]string{"data/": "", "data/x": "a file"})
	before := b.host.count("unpack")
	if j := b.await(b.task(phone.KindImport, objectTask("fine"), b.phones...), "ended", ended)[0]; j.Failure == nil || j.Failure.Reason != phone.ReasonFileInvalid || b.host.count("unpack") != before {
		t.Errorf("into what is no folder: %s %+v", j.Phase, j.Failure)
	}
	// One that is exchanged between the two readings fails.
	b.put(0, map[string]string{"data/": ""})
	objects.mu.Lock()
	objects.files["fine"] = tarOf(t, entry{tar.TypeDir, "data/", "", ""}, entry{tar.TypeReg, "data/first", "", "x"})
	objects.then = map[string][]byte{"fine": tarOf(t, entry{tar.TypeDir, "data/", "", ""}, entry{tar.TypeReg, "data/second", "", "x"})}
	objects.mu.Unlock()
	if j := b.await(b.task(phone.KindImport, objectTask("fine"), b.phones...), "ended", ended)[0]; j.Failure == nil || j.Failure.Reason != phone.ReasonChecksum {
		t.Errorf("exchanged meanwhile: %s %q %+v", j.Phase, j.Output, j.Failure)
	}
}

// A reset or a restart ends an export, whose object stays as it was, and an import, of which nothing is in the phone afterwards, also when the host
// goes on with it; neither is kept waiting.
func TestTransfersOvertaken(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		kind phone.Kind
		call string
		by   phone.Kind
	}{{phone.KindExport, "pack", phone.KindReset}, {phone.KindImport, "unpack", phone.KindReset}, {phone.KindExport, "pack", phone.KindRestart}, {phone.KindImport, "unpack", phone.KindRestart}} {
		t.Run(fmt.Sprint(c.kind, " by ", c.by), func(t *testing.T) {
			t.Parallel()
			content := tarOf(t, entry{tar.TypeDir, "data/", "", ""}, entry{tar.TypeReg, "data/x", "", "x"})
			b, objects := withObjects(t, map[string][]byte{"a.tar": content})
			left := b.attemptLeft()
			b.put(0, map[string]string{"data/": "", "data/y": "y"})
			reached := make(chan struct{}, 1)
			b.host.onCall(func(ctx context.Context, call string, ref driver.Ref) error {
				if call != c.call || ref.Generation != 1 {
					return nil
				}
				reached <- struct{}{}
				<-ctx.Done() // the host is told to stop, and goes on
				return errDeaf
			})
			request := b.task(c.kind, exportTask("a.tar", []string{"/data"}, nil), b.phones...)
			<-reached
			generation, by := phone.Generation(1), phone.RequestID("")
			if c.by == phone.KindReset {
				generation, by = 2, b.reset(b.phones, nil)
			} else {
				by = b.power(c.by, b.phones...)
			}
			if j := b.await(request, "ended", ended)[0]; j.Phase != phone.PhaseFailed || j.Failure.Reason != phone.ReasonTaskEnded {
				t.Errorf("%s %+v", j.Phase, j.Failure)
			}
			<-left
			b.succeeded(by)
			b.host.set(b.ref(0, generation), func(i *memoryInstance) {
				if _, there := i.files["./data/x"]; there || generation == 2 && len(i.files) > 0 {
					t.Errorf("the phone has %q", i.files)
				}
			})
			if got, _ := objects.content("a.tar"); got != string(content) {
				t.Errorf("the object has %d bytes, want %d", len(got), len(content))
			}
			if _, there := objects.content("a.tar.sha256"); there {
				t.Error("the object has the checksum of another")
			}
		})
	}
}

// attemptLeft gives what is closed when an attempt leaves its job to another. It is called before the engine starts, or starts it anew.
func (b *bench) attemptLeft() <-chan struct{} {
	b.t.Helper()
	left := &leftWriter{left: make(chan struct{})}
	b.stop()
	b.config.Logger = slog.New(slog.NewTextHandler(left, nil))
	b.start()
	return left.left
}

// leftWriter is a log that waits for one line.
type leftWriter struct {
	left chan struct{}
	once sync.Once
}

func (l *leftWriter) Write(p []byte) (int, error) {
	if bytes.Contains(p, []byte("attempt left its job to another")) {
		l.once.Do(func() { close(l.left) })
	}
	return len(p), nil
}

// A task that a restart ended while its host was away does not go on in the restarted phone when the host is back.
func TestEndedWhileTheHostWasAway(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		kind phone.Kind
		call string // during which the host goes away
		next string // what must not be called after that
		task phone.Task
	}{
		{phone.KindPush, "unpack", "unpack", objectTask("a.tar")}, {phone.KindImport, "unpack", "unpack", objectTask("a.tar")},
		{phone.KindImport, "pack", "unpack", objectTask("deep.tar")}, {phone.KindExport, "pack", "pack", exportTask("e.tar", []string{"/data"}, nil)},
		{phone.KindInstall, "unpack", "unpack", objectTask("a.apk")}, {phone.KindInstall, "exec pm", "exec pm", objectTask("a.apk")},
		{phone.KindUninstall, "exec pm", "exec pm", phone.Task{Package: "com.example.a"}}, {phone.KindShell, "inspect", "exec sh", phone.Task{Command: "id"}},
	} {
		t.Run(fmt.Sprint(c.kind, " at ", c.call), func(t *testing.T) {
			t.Parallel()
			b, _ := withObjects(t, map[string][]byte{
				"a.tar": tarOf(t, entry{tar.TypeDir, "data/", "", ""}, entry{tar.TypeReg, "data/x", "", "x"}), "a.apk": []byte("apk of com.example.a"),
				"deep.tar": tarOf(t, entry{tar.TypeReg, "data/a/b", "", "x"}),
			})
			left := b.attemptLeft()
			b.put(0, map[string]string{"data/": "", "data/y": "y"})
			reached, accepted := make(chan struct{}), make(chan struct{})
			var away atomic.Bool
			b.host.onCall(func(_ context.Context, call string, _ driver.Ref) error {
				if call != c.call || !away.CompareAndSwap(false, true) {
					return nil
				}
				close(reached)
				<-accepted
				return phone.Errorf(phone.Unavailable, "", "the host is away")
			})
			request := b.task(c.kind, c.task, b.phones...)
			<-reached
			before := b.host.count(c.next)
			restart := b.power(phone.KindRestart, b.phones...)
			if j := b.await(request, "ended", ended)[0]; j.Phase != phone.PhaseFailed || j.Failure.Reason != phone.ReasonTaskEnded {
				t.Errorf("%s %+v", j.Phase, j.Failure)
			}
			close(accepted)
			b.succeeded(restart)
			<-left
			if n := b.host.count(c.next); n != before {
				t.Errorf("%s was called %d times after the task had ended", c.next, n-before)
			}
		})
	}
}

// An export that was ended between its object and the checksum writes no checksum: the object may be another's by then.
func TestNoChecksumAfterTheEnd(t *testing.T) {
	t.Parallel()
	b, objects := withObjects(t, map[string][]byte{})
	left := b.attemptLeft()
	b.put(0, map[string]string{"data/": "", "data/y": "y"})
	restarts := make(chan phone.RequestID, 1)
	objects.put = func(key string) {
		if key == "a.tar" {
			restarts <- b.power(phone.KindRestart, b.phones...)
		}
	}
	b.task(phone.KindExport, exportTask("a.tar", []string{"/data"}, nil), b.phones...)
	b.succeeded(<-restarts)
	<-left
	if _, there := objects.content("a.tar.sha256"); there {
		t.Error("there is a checksum")
	}
}

// What a phone may have is exported so that it can be imported: links that lead anywhere, and a /cache that is one, which is left out and counted.
func TestExportOfLinks(t *testing.T) {
	t.Parallel()
	objects := &memoryObjects{files: map[string][]byte{}}
	b := newBench(t, 2, 2)
	b.config.Objects = objects
	b.start()
	b.created()
	b.put(0, map[string]string{"data/": "", "data/a": "a", "data/up": "", "data/root": "", "cache": ""})
	links := map[string]string{"./data/up": "../../../../vendor/x", "./data/root": "/system", "./cache": "data/cache"}
	b.host.set(b.ref(0, 1), func(i *memoryInstance) {
		i.headers = map[string]*tar.Header{}
		for name, to := range links {
			i.headers[name] = &tar.Header{Typeflag: tar.TypeSymlink, Linkname: to}
		}
	})
	j := b.await(b.task(phone.KindExport, exportTask("a.tar", []string{"/data", "/cache"}, nil), b.phones[0]), "ended", ended)[0]
	if j.Phase != phone.PhaseSucceeded || !strings.Contains(j.Output, "exported 4 files") || !strings.Contains(j.Output, "left out 1 ") {
		t.Fatalf("%s %q %+v", j.Phase, j.Output, j.Failure)
	}
	j = b.await(b.task(phone.KindImport, objectTask("a.tar"), b.phones[1]), "ended", ended)[0]
	if j.Phase != phone.PhaseSucceeded {
		t.Fatalf("the import of it: %s %+v", j.Phase, j.Failure)
	}
	b.host.set(b.ref(1, 1), func(i *memoryInstance) {
		for _, name := range []string{"./data/up", "./data/root"} {
			if h := i.headers[name]; h == nil || h.Typeflag != tar.TypeSymlink || h.Linkname != links[name] {
				t.Errorf("%s is %+v", name, h)
			}
		}
	})
}

// A database that is away for a moment costs an export nothing: it is not read again.
func TestExportWithoutTheDatabase(t *testing.T) {
	t.Parallel()
	b, _ := withObjects(t, map[string][]byte{})
	b.stop()
	away := &awayStore{Store: b.store}
	b.config.Store = away
	b.start()
	b.put(0, map[string]string{"data/": "", "data/y": "y"})
	b.host.onCall(func(_ context.Context, call string, _ driver.Ref) error {
		if call == "pack" {
			away.times.Store(3)
		}
		return nil
	})
	j := b.await(b.task(phone.KindExport, exportTask("a.tar", []string{"/data"}, nil), b.phones...), "ended", ended)[0]
	if n := b.host.count("pack"); j.Phase != phone.PhaseSucceeded || n != 1 || away.times.Load() > 0 {
		t.Errorf("%s after %d readings, %d answers left: %+v", j.Phase, n, away.times.Load(), j.Failure)
	}
}

// awayStore does not answer so many times whether a job is held.
type awayStore struct {
	work.Store
	times atomic.Int32
}

func (s *awayStore) Holds(ctx context.Context, fence phone.Fence) (bool, error) {
	if s.times.Add(-1) >= 0 {
		return false, phone.Errorf(phone.Unavailable, "", "the database is away")
	}
	return s.Store.Holds(ctx, fence)
}

// The time of an export is that of all its tries, and a host that answers in between is waited for anew.
func TestTimeOfATransfer(t *testing.T) {
	t.Parallel()
	begin := func(t *testing.T, host, transfer time.Duration) (*bench, *memoryObjects) {
		b, objects := withObjects(t, map[string][]byte{})
		b.stop()
		b.config.HostDeadline, b.config.TransferTimeout = host, transfer
		b.start()
		b.put(0, map[string]string{"data/": "", "data/y": "y"})
		return b, objects
	}
	t.Run("all tries", func(t *testing.T) {
		t.Parallel()
		b, objects := begin(t, time.Hour, 2*time.Second)
		objects.lost = 1 << 30
		j := b.await(b.task(phone.KindExport, exportTask("a.tar", []string{"/data"}, nil), b.phones...), "ended", ended)[0]
		if j.Failure == nil || j.Failure.Reason != phone.ReasonTaskExpired {
			t.Errorf("%s %+v", j.Phase, j.Failure)
		}
	})
	t.Run("back in between", func(t *testing.T) {
		t.Parallel()
		b, objects := begin(t, 500*time.Millisecond, time.Hour)
		objects.lost = 4 // between which more time passes than a host has
		j := b.await(b.task(phone.KindExport, exportTask("a.tar", []string{"/data"}, nil), b.phones...), "ended", ended)[0]
		if j.Phase != phone.PhaseSucceeded {
			t.Errorf("%s %+v", j.Phase, j.Failure)
		}
	})
}

// A host that ends an unpacking does not wait for an object store that hangs.
func TestHangingObjectStore(t *testing.T) {
	t.Parallel()
	for _, kind := range []phone.Kind{phone.KindPush, phone.KindImport} {
		t.Run(string(kind), func(t *testing.T) {
			t.Parallel()
			b, objects := withObjects(t, map[string][]byte{"a.tar": tarOf(t, entry{tar.TypeDir, "data/", "", ""}, entry{tar.TypeReg, "data/x", "", "x"})})
			objects.hang, objects.hung = 2, make(chan struct{}) // the second reading
			first := true
			b.host.onCall(func(_ context.Context, call string, _ driver.Ref) error {
				if call != "unpack" || !first {
					return nil
				}
				first = false
				<-objects.hung
				return phone.Errorf(phone.Unavailable, "", "the host is away")
			})
			j := b.await(b.task(kind, objectTask("a.tar"), b.phones...), "ended", ended)[0]
			if j.Phase != phone.PhaseSucceeded || b.host.count("unpack") != 2 {
				t.Errorf("%s after %d unpackings: %+v", j.Phase, b.host.count("unpack"), j.Failure)
			}
		})
	}
}

// Folders that neither the archive nor the phone has become those of the folder above, which may be the archive's alone.
func TestImportMakesFolders(t *testing.T) {
	t.Parallel()
	var archive bytes.Buffer
	w := tar.NewWriter(&archive)
	for _, h := range []*tar.Header{
		{Typeflag: tar.TypeDir, Name: "data/", Mode: 0o771, Uid: 1000, Gid: 1000}, {Typeflag: tar.TypeDir, Name: "data/app/", Mode: 0o700, Uid: 10123, Gid: 10124},
		{Typeflag: tar.TypeReg, Name: "data/app/x/y/file", Mode: 0o600, Uid: 10123, Gid: 10124},
	} {
		if err := w.WriteHeader(h); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	b, _ := withObjects(t, map[string][]byte{"a.tar": archive.Bytes()})
	b.put(0, map[string]string{"data/": ""})
	if j := b.await(b.task(phone.KindImport, objectTask("a.tar"), b.phones...), "ended", ended)[0]; j.Phase != phone.PhaseSucceeded {
		t.Fatalf("%s %+v", j.Phase, j.Failure)
	}
	b.host.set(b.ref(0, 1), func(i *memoryInstance) {
		for _, name := range []string{"./data/app/x/", "./data/app/x/y/"} {
			if h := i.headers[name]; h == nil || h.Uid != 10123 || h.Gid != 10124 || h.Mode != 0o700 {
				t.Errorf("%s is %+v", name, h)
			}
		}
	})
}

// A process that stops leaves a transfer at once, and the next one begins it anew.
func TestTransfersGoOn(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		kind phone.Kind
		call string
	}{{phone.KindExport, "pack"}, {phone.KindImport, "unpack"}} {
		t.Run(string(c.kind), func(t *testing.T) {
			t.Parallel()
			objects := &memoryObjects{files: map[string][]byte{}}
			if c.kind == phone.KindImport {
				objects.files["a.tar"] = tarOf(t, entry{tar.TypeDir, "data/", "", ""}, entry{tar.TypeReg, "data/x", "", "x"})
			}
			b := newBench(t, 1, 1)
			b.config.Objects = objects
			stop := b.start()
			b.created()
			b.put(0, map[string]string{"data/": "", "data/y": "y"})
			reached, hold := make(chan struct{}, 1), true
			b.host.onCall(func(ctx context.Context, call string, _ driver.Ref) error {
				if call != c.call || !hold {
					return nil
				}
				hold = false
				reached <- struct{}{}
				<-ctx.Done()
				return &phone.Error{Code: phone.Unavailable, Msg: "given no more time", Err: ctx.Err()}
			})
			request := b.task(c.kind, exportTask("a.tar", []string{"/data"}, nil), b.phones...)
			<-reached
			stop()
			if c.kind == phone.KindExport {
				if _, there := objects.content("a.tar"); there {
					t.Error("half an export is seen")
				}
			}
			b.start()
			if j := b.await(request, "ended", ended)[0]; j.Phase != phone.PhaseSucceeded || j.Attempt < 2 {
				t.Errorf("%s, attempt %d: %+v", j.Phase, j.Attempt, j.Failure)
			}
			if _, there := objects.content("a.tar"); !there {
				t.Error("there is no object")
			}
		})
	}
}
