package work_test

import (
	"archive/tar"
	"bytes"
	"context"
	"io"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/lethe-cloud/lethe/internal/driver"
	"github.com/lethe-cloud/lethe/internal/phone"
)

// memoryObjects are objects in memory; the next calls may be made to fail.
type memoryObjects struct {
	mu    sync.Mutex
	files map[string][]byte
	away  int // so many openings fail
	full  bool
	then  map[string][]byte // what objects become once they were opened
	lost  int               // so many answers to writings are a host's that does not answer
	hang  int               // of this opening, counted down to 1, the reading hangs until it is given up
	hung  chan struct{}     // closed then
	put   func(key string)  // called after an object was written
}

// hanging is what never comes.
type hanging struct {
	ctx  context.Context
	hung chan struct{}
}

func (h hanging) Read([]byte) (int, error) {
	close(h.hung)
	<-h.ctx.Done()
	return 0, &phone.Error{Code: phone.Unavailable, Reason: phone.ReasonObjectsGone, Msg: "given no more time", Err: h.ctx.Err()}
}

func (o *memoryObjects) Open(ctx context.Context, _ phone.ProjectID, object phone.Object) (io.ReadCloser, int64, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.away > 0 {
		o.away--
		return nil, 0, phone.Errorf(phone.Unavailable, phone.ReasonObjectsGone, "the object store is away")
	}
	content, there := o.files[object.Key]
	if !there {
		return nil, 0, phone.Errorf(phone.NotFound, phone.ReasonObjectNotFound, "the project has no object %s", object)
	}
	if o.hang > 0 {
		if o.hang--; o.hang == 0 {
			return io.NopCloser(hanging{ctx, o.hung}), int64(len(content)), nil
		}
	}
	if next, changes := o.then[object.Key]; changes {
		o.files[object.Key] = next
	}
	return io.NopCloser(bytes.NewReader(content)), int64(len(content)), nil
}

func (o *memoryObjects) Put(_ context.Context, _ phone.ProjectID, object phone.Object, write func(io.Writer) error) (int64, error) {
	var b bytes.Buffer
	if err := write(&b); err != nil {
		return 0, err
	}
	if o.put != nil {
		defer o.put(object.Key)
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.lost > 0 {
		o.lost--
		return 0, phone.Errorf(phone.Unavailable, "", "the phone's files end too early")
	}
	if o.full {
		return 0, phone.Errorf(phone.Exhausted, phone.ReasonStoreFull, "the object store is full")
	}
	o.files[object.Key] = b.Bytes()
	return int64(b.Len()), nil
}

func (o *memoryObjects) Delete(_ context.Context, _ phone.ProjectID, object phone.Object) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	if _, there := o.files[object.Key]; !there {
		return phone.Errorf(phone.NotFound, phone.ReasonObjectNotFound, "the project has no object %s", object)
	}
	delete(o.files, object.Key)
	return nil
}

func (o *memoryObjects) content(key string) (string, bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	content, there := o.files[key]
	return string(content), there
}

// entry is one of an archive.
type entry struct {
	kind       byte
	name, link string
	content    string
}

func tarOf(t *testing.T, entries ...entry) []byte {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, e := range entries {
		if err := w.WriteHeader(&tar.Header{Typeflag: e.kind, Name: e.name, Linkname: e.link, Mode: 0o644, Size: int64(len(e.content))}); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write([]byte(e.content)); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// withObjects is a bench with such objects and one phone that runs.
func withObjects(t *testing.T, files map[string][]byte) (*bench, *memoryObjects) {
	t.Helper()
	b, objects := newBench(t, 1, 1), &memoryObjects{files: files}
	b.config.Objects = objects
	b.start()
	b.created()
	return b, objects
}

func (b *bench) files() (names []string) {
	b.host.set(b.ref(0, 1), func(i *memoryInstance) {
		for name := range i.files {
			names = append(names, name)
		}
	})
	slices.Sort(names)
	return names
}

func objectTask(keys ...string) (task phone.Task) {
	for _, key := range keys {
		task.Objects = append(task.Objects, phone.Object{Bucket: "apps", Key: key})
	}
	return task
}

// An archive is unpacked as it is, also when the object store is away for a moment or the host's answer is lost.
func TestPush(t *testing.T) {
	t.Parallel()
	b, objects := withObjects(t, map[string][]byte{"a.tar": tarOf(t, entry{tar.TypeDir, "data/", "", ""}, entry{tar.TypeReg, "./data/x", "", "content"}, entry{tar.TypeSymlink, "data/l", "../data/x", ""})})
	lost := false
	b.host.onCall(func(_ context.Context, call string, _ driver.Ref) error {
		if call == "unpack" && !lost {
			lost = true
			return phone.Errorf(phone.Unavailable, "", "the answer was lost")
		}
		return nil
	})
	objects.away = 2
	j := b.await(b.task(phone.KindPush, objectTask("a.tar"), b.phones...), "ended", ended)[0]
	if j.Phase != phone.PhaseSucceeded || !strings.Contains(j.Output, "3 files") || !slices.Equal(b.files(), []string{"./data/", "./data/l", "./data/x"}) || !lost {
		t.Errorf("%s %q %+v: %q", j.Phase, j.Output, j.Failure, b.files())
	}
	objects.mu.Lock()
	objects.away = 1000
	objects.mu.Unlock()
	if j := b.await(b.task(phone.KindPush, objectTask("a.tar"), b.phones...), "ended", ended)[0]; j.Failure == nil || j.Failure.Reason != phone.ReasonObjectsGone {
		t.Errorf("without the object store: %s %+v", j.Phase, j.Failure)
	}
}

// What may not be unpacked is refused before anything is.
func TestPushRefuses(t *testing.T) {
	t.Parallel()
	good := entry{tar.TypeReg, "data/good", "", "good"}
	archives := map[string][]byte{
		"up.tar": tarOf(t, good, entry{tar.TypeReg, "data/../../etc/x", "", "x"}), "link.tar": tarOf(t, good, entry{tar.TypeSymlink, "data/l", "../../x", ""}),
		"hard.tar": tarOf(t, good, entry{tar.TypeLink, "data/l", "../x", ""}), "device.tar": tarOf(t, good, entry{tar.TypeBlock, "data/sda", "", ""}),
		"fifo.tar": tarOf(t, good, entry{tar.TypeFifo, "data/f", "", ""}), "text.tar": []byte(strings.Repeat("no archive ", 100)),
		"cut.tar": tarOf(t, good, entry{tar.TypeReg, "data/long", "", strings.Repeat("x", 5000)})[:2500],
	}
	b, _ := withObjects(t, archives)
	for name := range archives {
		j := b.await(b.task(phone.KindPush, objectTask(name), b.phones...), "ended", ended)[0]
		if j.Phase != phone.PhaseFailed || j.Failure.Reason != phone.ReasonFileInvalid {
			t.Errorf("%s: %s %+v", name, j.Phase, j.Failure)
		}
	}
	if left := b.files(); len(left) > 0 || b.host.count("unpack") > 0 {
		t.Errorf("the phone has %q", left)
	}
	if j := b.await(b.task(phone.KindPush, objectTask("absent.tar"), b.phones...), "ended", ended)[0]; j.Failure == nil || j.Failure.Reason != phone.ReasonObjectNotFound {
		t.Errorf("no object: %s %+v", j.Phase, j.Failure)
	}
}

// An app of one package and one of several are there afterwards, and what they were installed from is not; a package that is none fails with
// the package manager's words.
func TestInstall(t *testing.T) {
	t.Parallel()
	b, _ := withObjects(t, map[string][]byte{"a.apk": []byte("apk of com.example.a"), "b.apk": []byte("apk of b"), "c.apk": []byte("apk of c"), "no.apk": []byte("text")})
	for _, c := range []struct {
		keys  []string
		there string
	}{{[]string{"a.apk"}, "com.example.a"}, {[]string{"b.apk", "c.apk"}, "apk of b+apk of c"}} {
		j := b.await(b.task(phone.KindInstall, objectTask(c.keys...), b.phones...), "ended", ended)[0]
		there := false
		b.host.set(b.ref(0, 1), func(i *memoryInstance) { there = i.packages[c.there] })
		if j.Phase != phone.PhaseSucceeded || j.Output != "Success" || !there {
			t.Errorf("%s: %s %q %+v, there %v", c.keys, j.Phase, j.Output, j.Failure, there)
		}
	}
	if j := b.await(b.task(phone.KindInstall, objectTask("no.apk"), b.phones...), "ended", ended)[0]; j.Phase != phone.PhaseFailed || j.Failure.Reason != phone.ReasonCommandFailed {
		t.Errorf("no package: %s %+v", j.Phase, j.Failure)
	}
	for _, name := range b.files() {
		if strings.HasSuffix(name, ".apk") {
			t.Errorf("the phone still has %s", name)
		}
	}
}
