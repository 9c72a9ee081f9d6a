package work

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"slices"
	"testing"
	"time"

	"github.com/lethe-cloud/lethe/internal/driver"
	"github.com/lethe-cloud/lethe/internal/phone"
)

// execHost counts the programs that it was asked to run.
type execHost struct {
	driver.Driver
	ran int
}

func (h *execHost) Exec(context.Context, driver.Ref, driver.Command) (driver.Result, error) {
	h.ran++
	return driver.Result{}, nil
}

// jobsHeld is a database that says whether a job is held.
type jobsHeld struct {
	Store
	held bool
}

func (s jobsHeld) Holds(context.Context, phone.Fence) (bool, error) { return s.held, nil }

// A process that was paused since it looked at the phone, or waited for its host, runs nothing in it any more: its task may be another's by now, or ended.
func TestNoProgramAfterTheLease(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		ttl  time.Duration
		held bool
		want error
		ran  int
	}{{time.Hour, true, nil, 1}, {0, true, errLeaseLost, 0}, {time.Hour, false, errNotHeld(), 0}} {
		host := &execHost{}
		at := attempt{stop: t.Context(), hard: t.Context(), lease: newLease(tt.ttl)}
		do := &task{engine: New(Config{Store: jobsHeld{held: tt.held}}), attempt: at, host: host}
		if _, err := do.execTask(driver.Command{Args: []string{"id"}}); phone.ReasonOf(err) != phone.ReasonOf(tt.want) || phone.ReasonOf(err) == "" && !errors.Is(err, tt.want) || host.ran != tt.ran {
			t.Errorf("with a lease of %s, held %v: %v, run %d times; want %v, %d", tt.ttl, tt.held, err, host.ran, tt.want, tt.ran)
		}
	}
}

// pausedWorld is a host, its shared storage and an object store that an attempt uses whose process is paused, until its lease is over, in the
// pauseAt-th of these calls.
type pausedWorld struct {
	driver.Driver
	Store
	archive []byte
	lease   *lease
	pauseAt int
	calls   []string
}

func (w *pausedWorld) enter(call string) {
	if w.calls = append(w.calls, call); len(w.calls) == w.pauseAt {
		w.lease.renewed(time.Now().Add(-2 * time.Hour))
	}
}

func (w *pausedWorld) Unpack(_ context.Context, _ driver.Ref, archive io.Reader) error {
	w.enter("unpack")
	_, err := io.Copy(io.Discard, archive)
	return err
}

func (w *pausedWorld) Pack(_ context.Context, _ driver.Ref, _ string, each func(*tar.Header, io.Reader) error) error {
	w.enter("pack")
	return each(&tar.Header{Typeflag: tar.TypeDir, Name: "data/"}, bytes.NewReader(nil))
}

func (w *pausedWorld) Exec(context.Context, driver.Ref, driver.Command) (driver.Result, error) {
	w.enter("exec")
	return driver.Result{}, nil
}

// pausedShare is the shared storage of such a host.
type pausedShare struct {
	driver.Sharer
	*pausedWorld
}

func (s pausedShare) SharePath() string { return "/data/share" }

func (s pausedShare) PushShared(_ context.Context, archive io.Reader) error {
	s.enter("push")
	_, err := io.Copy(io.Discard, archive)
	return err
}

func (s pausedShare) RemoveShared(context.Context, []string) (int, error) {
	s.enter("remove")
	return 0, nil
}

// Open gives the archive for every object but a checksum. It is no call: it may be beside one.
func (w *pausedWorld) Open(_ context.Context, _ phone.ProjectID, object phone.Object) (io.ReadCloser, int64, error) {
	if object.Key != "a.tar" {
		return nil, 0, phone.Errorf(phone.NotFound, phone.ReasonObjectNotFound, "there is none")
	}
	return io.NopCloser(bytes.NewReader(w.archive)), int64(len(w.archive)), nil
}

func (w *pausedWorld) Put(_ context.Context, _ phone.ProjectID, _ phone.Object, write func(io.Writer) error) (int64, error) {
	w.enter("put")
	return 0, write(io.Discard)
}

func (w *pausedWorld) Delete(context.Context, phone.ProjectID, phone.Object) error { return nil }

func (w *pausedWorld) Holds(context.Context, phone.Fence) (bool, error) { return !w.lease.over(), nil }

// pausedTask is an attempt in such a world.
func pausedTask(t *testing.T, kind phone.Kind, pauseAt int) (*shareTask, *pausedWorld) {
	t.Helper()
	var archive bytes.Buffer
	tape := tar.NewWriter(&archive)
	if err := errors.Join(tape.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: "data/x", Mode: 0o644}), tape.Close()); err != nil {
		t.Fatal(err)
	}
	w := &pausedWorld{archive: archive.Bytes(), lease: newLease(time.Hour), pauseAt: pauseAt}
	return &shareTask{share: pausedShare{pausedWorld: w}, task: task{
		engine:  New(Config{Objects: w, Store: w, TaskTimeout: time.Minute, TransferTimeout: time.Minute}),
		attempt: attempt{stop: t.Context(), hard: t.Context(), lease: w.lease}, host: w, log: slog.New(slog.DiscardHandler),
		Assignment: phone.Assignment{Job: phone.Job{Kind: kind}, Task: phone.Task{
			Objects: []phone.Object{{Bucket: "apps", Key: "a.tar"}}, Package: "com.example.app", Include: []string{"/data", "/cache"},
		}},
	}}, w
}

// A process that was paused in the middle of a transfer begins nothing more on the host, wherever that was.
func TestNoTransferAfterTheLease(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		kind phone.Kind
		do   func(*shareTask) error
		want []string
	}{
		{phone.KindInstall, func(s *shareTask) error { _, err := s.install(); return err }, []string{"unpack", "exec", "exec"}},
		{phone.KindExport, func(s *shareTask) error { _, err := s.export(); return err }, []string{"put", "pack", "pack", "put"}},
		{phone.KindImport, func(s *shareTask) error { _, err := s.importData(); return err }, []string{"pack", "unpack"}},
		{phone.KindAppPush, func(s *shareTask) error { _, err := s.push(s.hard); return err }, []string{"remove", "push"}},
	} {
		do, w := pausedTask(t, tt.kind, 0)
		if err := tt.do(do); err != nil || !slices.Equal(w.calls, tt.want) {
			t.Errorf("%s: %q, %v; want %q", tt.kind, w.calls, err, tt.want)
		}
		for at := 1; at < len(tt.want); at++ {
			do, w := pausedTask(t, tt.kind, at)
			err := tt.do(do)
			if tt.kind == phone.KindInstall && at == 2 { // installed: that it could not clean up fails nothing
				err = do.dropped()
			}
			if !errors.Is(err, errLeaseLost) || len(w.calls) != at {
				t.Errorf("%s, paused at the call %d: %q, %v; want no more than %q", tt.kind, at, w.calls, err, tt.want[:at])
			}
		}
	}
	do, w := pausedTask(t, phone.KindPush, 0)
	w.lease.renewed(time.Now().Add(-2 * time.Hour)) // since the host was looked at
	err := do.unpack(t.Context(), func(_ context.Context, to io.Writer) error { _, err := to.Write(w.archive); return err })
	if !errors.Is(err, errLeaseLost) || len(w.calls) > 0 {
		t.Errorf("files were unpacked after the lease: %q, %v", w.calls, err)
	}
}

// A folder above the shared storage that an archive has as something else is refused: a phone could not hold it.
func TestAboveTheSharedStorage(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		header tar.Header
		taken  bool
		shared int
		fails  bool
	}{
		{tar.Header{Typeflag: tar.TypeDir, Name: "data/a/"}, true, 0, false},
		{tar.Header{Typeflag: tar.TypeReg, Name: "data/a"}, false, 0, true},
		{tar.Header{Typeflag: tar.TypeSymlink, Name: "data/a", Linkname: "b"}, false, 0, true},
		{tar.Header{Typeflag: tar.TypeSymlink, Name: "data/a/b", Linkname: "c"}, false, 1, false},
		{tar.Header{Typeflag: tar.TypeReg, Name: "data/a/b/c"}, false, 1, false},
		{tar.Header{Typeflag: tar.TypeReg, Name: "data/a/bc"}, true, 0, false},
	} {
		rules := newImportRules()
		rules.share = "/data/a/b"
		clean, err := rules.clean(&tt.header)
		if (clean != nil) != tt.taken || rules.shared != tt.shared || (err != nil) != tt.fails {
			t.Errorf("%+v: taken %v, left out %d, %v", tt.header, clean != nil, rules.shared, err)
		}
	}
}
