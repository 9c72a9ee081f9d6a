package drivertest

import (
	"archive/tar"
	"bytes"
	"errors"
	"io"
	"slices"
	"testing"

	"github.com/lethe-cloud/lethe/internal/driver"
	"github.com/lethe-cloud/lethe/internal/phone"
)

// file is an entry of an archive.
type file struct {
	kind    byte
	name    string
	content []byte
	link    string
}

func archiveOf(t *testing.T, files ...file) []byte {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, f := range files {
		header := &tar.Header{Typeflag: f.kind, Name: f.name, Mode: 0o755, Size: int64(len(f.content)), Linkname: f.link, Format: tar.FormatPAX}
		if err := w.WriteHeader(header); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write(f.content); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// broken is an archive whose reader fails.
type broken struct{}

var errBroken = errors.New("the archive cannot be read on")

func (broken) Read([]byte) (int, error) { return 0, errBroken }

func testUnpack(t *testing.T, h *Harness) {
	b := newBundle(t, h)
	info, err := b.d.Info(b.ctx)
	if err != nil {
		t.Fatal(err)
	}
	d, can := b.d.(driver.Unpacker)
	if announced := slices.Contains(info.Capabilities, driver.CapabilityFiles); announced != can {
		t.Fatalf("it can unpack: %v, and says so: %v", can, announced)
	}
	if !can {
		return
	}
	spec := b.spec()
	b.life(spec)
	large := bytes.Repeat([]byte("large "), 200_000)
	b.write(spec.Ref, "/data/suite-old", []byte("stays"))
	first := archiveOf(t, file{tar.TypeDir, "data/", nil, ""}, file{tar.TypeDir, "data/suite-dir/", nil, ""}, file{tar.TypeReg, "data/suite-dir/one", []byte("1"), ""},
		file{tar.TypeReg, "data/suite-large", large, ""}, file{tar.TypeSymlink, "data/suite-dir/link", nil, "one"})
	if err := d.Unpack(b.ctx, spec.Ref, bytes.NewReader(first)); err != nil {
		t.Fatal(err)
	}
	for range 2 { // again is the same as once, and replaces
		if err := d.Unpack(b.ctx, spec.Ref, bytes.NewReader(archiveOf(t, file{tar.TypeReg, "data/suite-dir/one", []byte("another"), ""}))); err != nil {
			t.Fatal(err)
		}
	}
	for path, want := range map[string][]byte{
		"/data/suite-old": []byte("stays"), "/data/suite-dir/one": []byte("another"), "/data/suite-dir/link": []byte("another"),
	} {
		if got, there := b.read(spec.Ref, path); !there || !bytes.Equal(got, want) {
			t.Errorf("%s has %q (%v), want %q", path, got, there, want)
		}
	}
	result := b.run(spec.Ref, cat("/data/suite-large", len(large)+1))
	if !bytes.Equal(result.Stdout, large) {
		t.Errorf("the large file has %d bytes, want %d", len(result.Stdout), len(large))
	}
	if err := d.Unpack(b.ctx, spec.Ref, io.MultiReader(bytes.NewReader(first[:2048]), broken{})); !errors.Is(err, errBroken) {
		t.Errorf("an archive that cannot be read: %v", err)
	}
	if err := d.Unpack(b.ctx, spec.Ref, bytes.NewReader(bytes.Repeat([]byte("no archive"), 200))); err == nil {
		t.Error("what is no archive was unpacked")
	}
	nothing := archiveOf(t, file{tar.TypeLink, "data/suite-hard", nil, "data/suite-none"})
	if err := d.Unpack(b.ctx, spec.Ref, bytes.NewReader(nothing)); phone.ReasonOf(err) != phone.ReasonFileInvalid {
		t.Errorf("a link to a file that is not there: %v", err)
	}
	absent := driver.Ref{Phone: spec.Phone, Generation: spec.Generation + 1}
	if err := d.Unpack(b.ctx, absent, bytes.NewReader(first)); phone.CodeOf(err) != phone.NotFound {
		t.Errorf("into an absent instance: %v", err)
	}
	if err := b.d.Stop(b.ctx, spec.Ref); err != nil {
		t.Fatal(err)
	}
	if err := d.Unpack(b.ctx, spec.Ref, bytes.NewReader(first)); phone.CodeOf(err) != phone.Precondition {
		t.Errorf("into one that does not run: %v", err)
	}
}
