package faults

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// smallDisk mounts a file system of that many bytes, which is all that dir can hold.
func smallDisk(t testing.TB, dir string, bytes string) {
	t.Helper()
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	err := unix.Mount("tmpfs", dir, "tmpfs", 0, "mode=0700,size="+bytes)
	if errors.Is(err, unix.EPERM) {
		const missing = "needs the right to mount a small file system: run it as root, with `make test`"
		if os.Getenv("CI") == "true" {
			t.Fatal(missing)
		}
		t.Skip(missing)
	}
	if err != nil {
		t.Fatalf("mount a small file system: %v", err)
	}
	t.Cleanup(func() {
		if err := unix.Unmount(dir, unix.MNT_DETACH); err != nil {
			t.Errorf("unmount %s: %v", dir, err)
		}
	})
}

// fill takes every byte that is left beside path, and gives what frees them again.
func fill(t testing.TB, path string) (free func()) {
	t.Helper()
	f, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	for _, piece := range []int{1 << 20, 4096, 1} {
		for block := make([]byte, piece); ; {
			if _, err = f.Write(block); err != nil {
				break
			}
		}
		if !errors.Is(err, syscall.ENOSPC) && !errors.Is(err, io.ErrShortWrite) {
			t.Fatalf("fill the disk: %v", err)
		}
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	return func() {
		t.Helper()
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
	}
}

// The disk of the data folder, with the embedded database in it, is full in the middle of a batch: what cannot be stored is refused
// and says why, nothing is half done, the process lives and says that it is not ready, and when there is space again the batch
// goes on where it was.
func TestDataDiskFull(t *testing.T) {
	t.Parallel()
	data := filepath.Join(t.TempDir(), "data")
	smallDisk(t, data, "24m")
	in := install(t, config{database: embedded, data: data})
	random := newRandom(t)
	only := in.replicas[0]
	h := in.addSimulated("rack", in.addImage("first", "first"), 10, 2, `{"boot_time":"50ms"}`)
	for range max(1, rounds(t, 1)/20) {
		in.ready(only)
		in.resetAll(only, h)
		in.awaitChanges(1 + random.IntN(12))
		// The log of the database is emptied, so that whatever is written next needs space.
		in.exec(`PRAGMA wal_checkpoint(TRUNCATE)`)
		said := len(only.said())
		free := fill(t, filepath.Join(data, "filling"))
		if why := in.notReady(only); !strings.Contains(why, "lease") && !strings.Contains(why, "database") {
			t.Errorf("a replica whose disk is full says %q", why)
		}
		jobs := in.jobs(`true`)
		got, err := in.send(only, http.MethodPost, "/lethe/v1/images", in.tokens[in.project], map[string]any{"image_name": "late", "reference": "late"})
		if err != nil || got.status != http.StatusServiceUnavailable || !strings.Contains(string(got.body), "disk is full: free space") {
			t.Errorf("a call that cannot be stored gets %d %s (%v)", got.status, got.body, err)
		}
		if len(in.jobs(`ended_at IS NULL`)) == 0 { // else the phones are busy, which is said first
			if _, err := in.tryReset(only, "", in.phones(`server_id = $1`, h.id)); err == nil {
				t.Error("a reset was accepted on a full disk")
			}
		}
		if now := in.jobs(`true`); len(now) != len(jobs) {
			t.Errorf("%d jobs came into being on a full disk", len(now)-len(jobs))
		}
		if n := in.count(`SELECT count(*) FROM images WHERE name = 'late'`); n > 0 {
			t.Error("an image that was refused is there")
		}
		if !containsAfter(only.said(), said, "disk is full") {
			t.Error("the log says nothing of a full disk")
		}
		free()
		in.ready(only)
		in.settle()
		in.wantFailed(h.id, nil)
	}
	var sound string
	if in.row(`PRAGMA integrity_check`, nil, &sound); sound != "ok" {
		t.Errorf("the database after its disk was full: %s", sound)
	}
	in.resetAll(only, h)
	in.check()
}

// The disk of one host is full, and stays so although resets free what they destroy: a job that finds no space waits, and fails by the
// operator's deadline with a sentence that says so; the neighbour's go through, and with space again its own do.
func TestHostDiskFull(t *testing.T) {
	t.Parallel()
	const full = "no space left on device"
	in := install(t, config{database: embedded, flags: []string{"--host-deadline", "1s"}})
	image := in.addImage("first", "first")
	server, h := in.simulated("rack", image, 6, 3, `{"boot_time":"30ms"}`)
	smallDisk(t, h.dir, "8m")
	h.id = in.addServer(server)
	h.plant(t, in.phones(`server_id = $1`, h.id))
	in.hosts = append(in.hosts, h)
	neighbour := in.addSimulated("shelf", image, 6, 3, `{"boot_time":"30ms"}`)
	only := in.replicas[0]
	for range max(1, rounds(t, 1)/20) {
		phones := in.phones(`server_id = $1`, h.id)
		h.mark(t, phones)
		said := len(only.said())
		var frees []func()
		refill := func() {
			frees = append(frees, fill(t, filepath.Join(h.dir, fmt.Sprintf("filling-%d", len(frees)))))
		}
		refill()
		in.reset(only, "", phones)
		in.resetAll(only, neighbour)
		eventually(t, "a job finds no space", func() bool {
			refill()
			if in.unfinished() == 0 { // each found what another one had freed
				in.reset(only, "", in.phones(`server_id = $1`, h.id))
			}
			return containsAfter(only.said(), said, full)
		})
		in.settle()
		failed := map[string]string{}
		for _, p := range in.phones(`server_id = $1 AND status <> 2`, h.id) {
			failed[p.name] = "CPS.0099"
		}
		in.wantFailed(h.id, failed)
		in.wantFailed(neighbour.id, nil)
		for _, j := range in.jobs(`server_id = $1 AND phase = 'failed'`, h.id) {
			if !strings.Contains(j.failure, full) {
				t.Errorf("%s does not say that the disk is full: %s", j, j.failure)
			}
		}
		for _, free := range frees {
			free()
		}
		in.resetAll(only, h)
		in.settle()
		in.wantFailed(h.id, nil)
	}
	in.check()
}
