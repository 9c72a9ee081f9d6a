package drivertest

import (
	"archive/tar"
	"bytes"
	"errors"
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/lethe-cloud/lethe/internal/driver"
	"github.com/lethe-cloud/lethe/internal/phone"
)

// packed is what was given of one thing.
type packed struct {
	*tar.Header
	content string
}

// pack reads a path of a phone; what is given has its order.
func (b *bundle) pack(d driver.Packer, ref driver.Ref, path string) (names []string, all map[string]packed) {
	b.Helper()
	all = map[string]packed{}
	err := d.Pack(b.ctx, ref, path, func(header *tar.Header, content io.Reader) error {
		text, err := io.ReadAll(content)
		names = append(names, header.Name)
		all[header.Name] = packed{header, string(text)}
		return err
	})
	if err != nil {
		b.Fatalf("Pack %s: %v", path, err)
	}
	return names, all
}

// testPack reads a phone's files as they are, and follows no link.
func testPack(t *testing.T, h *Harness) {
	b := newBundle(t, h)
	info, err := b.d.Info(b.ctx)
	if err != nil {
		t.Fatal(err)
	}
	d, can := b.d.(driver.Packer)
	into, _ := b.d.(driver.Unpacker)
	if announced := slices.Contains(info.Capabilities, driver.CapabilityExport); announced != can || can && into == nil {
		t.Fatalf("it can export: %v, says so: %v, and can unpack: %v", can, announced, into != nil)
	}
	if !can {
		return
	}
	spec := b.spec()
	b.life(spec)
	at := time.Date(2025, 3, 4, 5, 6, 7, 0, time.UTC)
	large := bytes.Repeat([]byte("large "), 300_000)
	var archive bytes.Buffer
	w := tar.NewWriter(&archive)
	for _, f := range []file{
		{tar.TypeDir, "data/suite-dir/", nil, ""}, {tar.TypeDir, "data/suite-dir/in/", nil, ""}, {tar.TypeReg, "data/suite-dir/in/one", []byte("1"), ""},
		{tar.TypeReg, "data/suite-dir/large", large, ""}, {tar.TypeSymlink, "data/suite-dir/link", nil, "in/one"}, {tar.TypeSymlink, "data/suite-away", nil, "../../../../etc"},
		{tar.TypeSymlink, "data/suite-dir/host", nil, "/etc/passwd"}, {tar.TypeReg, "data/suite-other", []byte("other"), ""},
		{tar.TypeLink, "data/suite-dir/same", nil, "data/suite-dir/in/one"},
	} {
		header := &tar.Header{Typeflag: f.kind, Name: f.name, Mode: 0o710, Size: int64(len(f.content)), Linkname: f.link, ModTime: at, Format: tar.FormatPAX}
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
	if err := into.Unpack(b.ctx, spec.Ref, &archive); err != nil {
		t.Fatal(err)
	}

	names, all := b.pack(d, spec.Ref, "/data/suite-dir")
	if want := []string{"data/", "data/suite-dir/"}; len(names) < 2 || !slices.Equal(names[:2], want) {
		t.Errorf("it begins with %q, want %q", names, want)
	}
	slices.Sort(names)
	want := []string{"data/", "data/suite-dir/", "data/suite-dir/host", "data/suite-dir/in/", "data/suite-dir/in/one", "data/suite-dir/large", "data/suite-dir/link", "data/suite-dir/same"}
	if !slices.Equal(names, want) {
		t.Errorf("it gave %q, want %q", names, want)
	}
	one, dir := all["data/suite-dir/in/one"], all["data/suite-dir/in/"]
	if same := all["data/suite-dir/same"]; same.Typeflag == tar.TypeLink { // of two names of one file the first that comes has it
		if same.Linkname != one.Name {
			t.Errorf("a hard link leads to %q", same.Linkname)
		}
	} else if one.Typeflag == tar.TypeLink {
		if one.Linkname != same.Name {
			t.Errorf("a hard link leads to %q", one.Linkname)
		}
		one = same
	}
	if one.content != "1" || one.Typeflag != tar.TypeReg || one.Mode&0o777 != 0o710 || !one.ModTime.Equal(at) {
		t.Errorf("a file: %+v with %q", one.Header, one.content)
	}
	if dir.Typeflag != tar.TypeDir || dir.Mode&0o777 != 0o710 {
		t.Errorf("a folder: %+v", dir.Header)
	}
	if all["data/suite-dir/large"].content != string(large) {
		t.Errorf("the large file has %d bytes, want %d", len(all["data/suite-dir/large"].content), len(large))
	}
	for name, to := range map[string]string{"data/suite-dir/link": "in/one", "data/suite-dir/host": "/etc/passwd"} {
		if l := all[name]; l.Typeflag != tar.TypeSymlink || l.Linkname != to {
			t.Errorf("the link %s: %+v", name, l.Header)
		}
	}
	if names, _ := b.pack(d, spec.Ref, "/data/suite-dir/in/one"); !slices.Equal(names, []string{"data/", "data/suite-dir/", "data/suite-dir/in/", "data/suite-dir/in/one"}) {
		t.Errorf("one file gave %q", names)
	}

	// What would be behind a link is not there, and neither is what is not.
	for path, want := range map[string][]string{
		"/data/suite-away": {"data/", "data/suite-away"}, "/data/suite-away/passwd": {"data/"}, "/data/suite-none": {"data/"}, "/data/suite-none/x": {"data/"},
		"/data/suite-other/x": {"data/"}, "/data/../etc/suite-none": nil,
	} {
		names, _ := b.pack(d, spec.Ref, path)
		if path == "/data/../etc/suite-none" { // a phone may have /etc
			names = slices.DeleteFunc(names, func(name string) bool { return name == "etc/" })
		}
		if !slices.Equal(names, want) {
			t.Errorf("%s gave %q, want %q", path, names, want)
		}
	}
	b.unpackRefusesLinks(into, spec.Ref)

	if err := d.Pack(b.ctx, spec.Ref, "/data/suite-dir", func(*tar.Header, io.Reader) error { return errBroken }); !errors.Is(err, errBroken) {
		t.Errorf("the error of who is given files: %v", err)
	}
	none := func(header *tar.Header, _ io.Reader) error { return errors.New("it gave " + header.Name) }
	if err := d.Pack(b.ctx, driver.Ref{Phone: spec.Phone, Generation: spec.Generation + 1}, "/data", none); phone.CodeOf(err) != phone.NotFound {
		t.Errorf("from an absent instance: %v", err)
	}
	if err := b.d.Stop(b.ctx, spec.Ref); err != nil {
		t.Fatal(err)
	}
	if err := d.Pack(b.ctx, spec.Ref, "/data", none); phone.CodeOf(err) != phone.Precondition {
		t.Errorf("from one that does not run: %v", err)
	}
}

// unpackRefusesLinks puts an archive where links are in the phone: none is followed.
func (b *bundle) unpackRefusesLinks(d driver.Unpacker, ref driver.Ref) {
	b.Helper()
	b.write(ref, "/data/suite-victim", []byte("stays"))
	links := archiveOf(b.T, file{tar.TypeDir, "data/suite-real/", nil, ""}, file{tar.TypeSymlink, "data/suite-folder", nil, "suite-real"},
		file{tar.TypeSymlink, "data/suite-file", nil, "suite-victim"})
	if err := d.Unpack(b.ctx, ref, bytes.NewReader(links)); err != nil {
		b.Fatal(err)
	}
	into := archiveOf(b.T, file{tar.TypeDir, "data/suite-folder/", nil, ""}, file{tar.TypeReg, "data/suite-folder/x", []byte("x"), ""})
	if err := d.Unpack(b.ctx, ref, bytes.NewReader(into)); phone.ReasonOf(err) != phone.ReasonFileInvalid {
		b.Errorf("a folder in the place of a link: %v", err)
	}
	if result := b.run(ref, driver.Command{Args: []string{"ls", "/data/suite-real"}}); strings.Contains(string(result.Stdout), "x") {
		b.Error("the link was followed")
	}
	if err := d.Unpack(b.ctx, ref, bytes.NewReader(archiveOf(b.T, file{tar.TypeReg, "data/suite-file", []byte("new"), ""}))); err != nil {
		b.Errorf("a file in the place of a link: %v", err)
	}
	for path, want := range map[string]string{"/data/suite-victim": "stays", "/data/suite-file": "new"} {
		if got, _ := b.read(ref, path); string(got) != want {
			b.Errorf("%s has %q, want %q", path, got, want)
		}
	}
}
