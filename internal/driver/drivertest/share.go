package drivertest

import (
	"archive/tar"
	"bytes"
	"errors"
	"io"
	"slices"
	"strings"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"

	"github.com/lethe-cloud/lethe/internal/driver"
	"github.com/lethe-cloud/lethe/internal/phone"
)

// testShare holds a driver to Sharer: what is pushed is read by all phones and written by none, and outlives them.
func testShare(t *testing.T, h *Harness) {
	b := newBundle(t, h)
	plain, can := b.d.(driver.Sharer)
	if !can {
		if h.Share != nil {
			t.Fatal("the harness gives a server with a shared storage, and the driver has none")
		}
		return
	}
	if h.Share == nil {
		t.Fatal("the harness has no Share")
	}
	b.withoutShare(plain)
	d := h.Share(t, b.owner)
	b.d = d
	s := d.(driver.Sharer)
	at := s.SharePath()
	if info, err := d.Info(b.ctx); err != nil || !slices.Contains(info.Capabilities, driver.CapabilityShare) || at == "" {
		t.Fatalf("it has a shared storage at %q, and says %v, %v", at, info.Capabilities, err)
	}
	first, second := b.spec(), b.spec()
	second.Project = first.Project // one server's
	b.life(first)
	large := bytes.Repeat([]byte("large "), 200_000)
	archive := archiveOf(t, file{tar.TypeDir, "data/", nil, ""}, file{tar.TypeReg, "data/dir/one", []byte("1"), ""}, file{tar.TypeReg, "data/large", large, ""},
		file{tar.TypeSymlink, "data/dir/link", nil, "one"}, file{tar.TypeLink, "data/hard", nil, "data/dir/one"}, file{tar.TypeReg, "apps/a/a.apk", []byte("apk"), ""})
	for range 2 { // again is the same as once
		b.push(s, archive)
	}
	b.life(second) // made after it was pushed
	for _, ref := range []driver.Ref{first.Ref, second.Ref} {
		for path, want := range map[string]string{"/data/dir/one": "1", "/data/dir/link": "1", "/data/hard": "1", "/apps/a/a.apk": "apk"} {
			if got, there := b.read(ref, at+path); !there || string(got) != want {
				t.Errorf("%s%s has %q (%v), want %q", at, path, got, there, want)
			}
		}
		if result := b.run(ref, cat(at+"/data/large", len(large)+1)); !bytes.Equal(result.Stdout, large) {
			t.Errorf("the large file has %d bytes, want %d", len(result.Stdout), len(large))
		}
	}
	b.cannotWrite(s, first.Ref)
	b.packsNoShare(s, first.Ref)
	b.push(s, archiveOf(t, file{tar.TypeReg, "data/dir/one", []byte("another"), ""}))
	if got, _ := b.read(first.Ref, at+"/data/dir/one"); string(got) != "another" {
		t.Errorf("a file that was pushed again has %q", got)
	}
	b.listShared(s)
	b.badShares(s)
	b.linksInShares(s, first.Ref)

	// A reset leaves it alone, and a comparison knows whose it is.
	reborn := next(first)
	b.remove(first.Ref)
	b.life(reborn)
	b.erase(first.Phone, reborn.Generation)
	if got, _ := b.read(reborn.Ref, at+"/data/dir/one"); string(got) != "another" {
		t.Errorf("after a reset the shared file has %q", got)
	}
	_, err := s.EraseShare(b.ctx)
	wantError(t, "EraseShare of what phones use", err, phone.Conflict, phone.ReasonEraseFailed)
	if got, _ := b.read(reborn.Ref, at+"/data/dir/one"); string(got) != "another" {
		t.Errorf("a shared storage that phones use was emptied: the file has %q", got)
	}
	listed, err := d.List(b.ctx)
	shares := slices.DeleteFunc(listed, func(o driver.Object) bool { return o.Kind != driver.ObjectShare })
	if err != nil || len(shares) != 1 || shares[0].Phone != "" || shares[0].Name == "" {
		t.Errorf("List gives the shared storage as %+v, %v", shares, err)
	}
	b.remove(reborn.Ref)
	b.remove(second.Ref)
	b.erase(first.Phone, reborn.Generation+1)
	b.erase(second.Phone, second.Generation+1)
	b.eraseShare(s)
}

// withoutShare holds a server without a shared storage to saying so.
func (b *bundle) withoutShare(s driver.Sharer) {
	b.Helper()
	info, err := b.d.Info(b.ctx)
	if err != nil || s.SharePath() != "" || slices.Contains(info.Capabilities, driver.CapabilityShare) {
		b.Errorf("without a shared storage it is at %q, and Info says %v, %v", s.SharePath(), info.Capabilities, err)
	}
	_, removed := s.RemoveShared(b.ctx, []string{"/data/a"})
	_, listed := s.ListShared(b.ctx, "/data", 0, 1)
	for doing, err := range map[string]error{"push": s.PushShared(b.ctx, bytes.NewReader(nil)), "remove": removed, "list": listed} {
		wantError(b, doing+" without a shared storage", err, phone.Precondition, phone.ReasonNoShare)
	}
	if erased, err := s.EraseShare(b.ctx); erased != nil || err != nil {
		b.Errorf("none was destroyed: %+v, %v", erased, err)
	}
}

func (b *bundle) push(s driver.Sharer, archive []byte) {
	b.Helper()
	if err := s.PushShared(b.ctx, bytes.NewReader(archive)); err != nil {
		b.Fatalf("PushShared: %v", err)
	}
}

// cannotWrite holds a phone to leaving the shared storage alone, with its own programs and with files that are put into it.
func (b *bundle) cannotWrite(s driver.Sharer, ref driver.Ref) {
	b.Helper()
	at := s.SharePath()
	for _, command := range []driver.Command{
		{Args: []string{"tee", at + "/data/dir/one"}, Stdin: []byte("the phone's")}, {Args: []string{"tee", at + "/data/new"}, Stdin: []byte("the phone's")},
	} {
		if result := b.run(ref, command); result.ExitCode == 0 {
			b.Errorf("a phone could write: %v", command.Args)
		}
	}
	if into, can := b.d.(driver.Unpacker); can {
		archive := archiveOf(b.T, file{tar.TypeReg, at[1:] + "/data/dir/one", []byte("the phone's"), ""})
		_ = into.Unpack(b.ctx, ref, bytes.NewReader(archive)) // whether it says so or not
	}
	if got, there := b.read(ref, at+"/data/dir/one"); !there || string(got) != "1" {
		b.Errorf("after a phone has tried to write the file has %q, %v", got, there)
	}
	if listing, err := s.ListShared(b.ctx, "/data/dir", 0, 10); err != nil || listing.Total != 2 {
		b.Errorf("after a phone has tried to write there is %+v, %v", listing, err)
	}
}

// packsNoShare holds a driver to giving a phone's own files alone.
func (b *bundle) packsNoShare(s driver.Sharer, ref driver.Ref) {
	b.Helper()
	from, can := b.d.(driver.Packer)
	if !can {
		return
	}
	at := s.SharePath()[1:]
	b.write(ref, "/data/suite-own", []byte("own"))
	names, _ := b.pack(from, ref, "/data")
	if !slices.Contains(names, "data/suite-own") {
		b.Errorf("the phone's own file is not among %q", names)
	}
	for _, below := range []string{"", "/data", "/data/dir/one"} {
		more, _ := b.pack(from, ref, s.SharePath()+below)
		names = append(names, more...)
	}
	for _, name := range names {
		if name == at || strings.HasPrefix(name, at+"/") {
			b.Errorf("what all phones share was given as the phone's own: %s", name)
		}
	}
}

// linksInShares puts links into the storage that lead to others of its files, as nobody pushes them any more: nothing goes through one.
func (b *bundle) linksInShares(s driver.Sharer, ref driver.Ref) {
	b.Helper()
	links := archiveOf(b.T, file{tar.TypeSymlink, "data/away", nil, "../apps"}, file{tar.TypeSymlink, "data/file", nil, "../apps/a/a.apk"})
	if err := s.PushShared(b.ctx, bytes.NewReader(links)); err != nil { // it may
		wantError(b, "push links", err, phone.Invalid, phone.ReasonFileInvalid)
		return
	}
	through := archiveOf(b.T, file{tar.TypeDir, "data/", nil, ""}, file{tar.TypeDir, "data/away/", nil, ""}, file{tar.TypeDir, "data/away/a/", nil, ""},
		file{tar.TypeReg, "data/away/a/a.apk", []byte("another"), ""})
	wantError(b, "push through a link", s.PushShared(b.ctx, bytes.NewReader(through)), phone.Invalid, phone.ReasonFileInvalid)
	hard := archiveOf(b.T, file{tar.TypeDir, "data/", nil, ""}, file{tar.TypeDir, "data/away/", nil, ""}, file{tar.TypeLink, "data/taken", nil, "data/away/a/a.apk"})
	wantError(b, "push a hard link through a link", s.PushShared(b.ctx, bytes.NewReader(hard)), phone.Invalid, phone.ReasonFileInvalid)
	if removed, err := s.RemoveShared(b.ctx, []string{"/data/away/a/a.apk", "/data/away/a"}); removed != 0 || err != nil {
		b.Errorf("through a link %d paths were removed, %v", removed, err)
	}
	for _, folder := range []string{"/data/away", "/data/away/a"} {
		_, err := s.ListShared(b.ctx, folder, 0, 50)
		wantError(b, "list through a link "+folder, err, phone.NotFound, phone.ReasonPathInvalid)
	}
	b.push(s, archiveOf(b.T, file{tar.TypeReg, "data/file", []byte("in its place"), ""}))
	if removed, err := s.RemoveShared(b.ctx, []string{"/data/away", "/data/file", "/data/taken"}); removed != 2 || err != nil {
		b.Errorf("of two links %d were removed, %v", removed, err)
	}
	if got, there := b.read(ref, s.SharePath()+"/apps/a/a.apk"); !there || string(got) != "apk" {
		b.Errorf("what the links led to has %q, %v", got, there)
	}
}

func (b *bundle) listShared(s driver.Sharer) {
	b.Helper()
	listing, err := s.ListShared(b.ctx, "/data", 0, 2)
	for i := range listing.Files {
		if listing.Files[i].ModifiedAt.IsZero() {
			b.Errorf("%s has no time", listing.Files[i].Name)
		}
		listing.Files[i].ModifiedAt = listing.Files[0].ModifiedAt
	}
	var at []phone.ShareFile
	for _, f := range []phone.ShareFile{{Name: "dir", Type: "folder"}, {Name: "hard", Type: "file", Size: 1}} {
		if len(listing.Files) > 0 {
			f.ModifiedAt = listing.Files[0].ModifiedAt
		}
		at = append(at, f)
	}
	want := phone.ShareListing{Path: "/data", Total: 3, Files: at}
	if diff := gocmp.Diff(want, listing); diff != "" || err != nil {
		b.Errorf("the first page (-want +got):\n%s%v", diff, err)
	}
	if rest, err := s.ListShared(b.ctx, "/data", 2, 50); err != nil || rest.Total != 3 || len(rest.Files) != 1 || rest.Files[0].Name != "large" || rest.Offset != 2 {
		b.Errorf("the second page is %+v, %v", rest, err)
	}
	if past, err := s.ListShared(b.ctx, "/data", 7, 50); err != nil || past.Total != 3 || past.Files == nil || len(past.Files) != 0 {
		b.Errorf("past the end it is %+v, %v", past, err)
	}
	for _, folder := range []string{"/none", "/data/large", "/data/large/deeper"} {
		_, err := s.ListShared(b.ctx, folder, 0, 50)
		wantError(b, "list "+folder, err, phone.NotFound, phone.ReasonPathInvalid)
	}
	removed, err := s.RemoveShared(b.ctx, []string{"/data/large", "/data/none", "/none/at/all", "/data/large/deeper", "/data/dir/link"})
	if err != nil || removed != 2 {
		b.Errorf("of five paths, two of which lead to something, %d were removed, %v", removed, err)
	}
	if dir, err := s.ListShared(b.ctx, "/data/dir", 0, 50); err != nil || len(dir.Files) != 1 || dir.Files[0].Name != "one" {
		b.Errorf("a link was removed, and its folder has %+v, %v", dir, err)
	}
	if _, err := s.RemoveShared(b.ctx, []string{"/"}); err == nil {
		b.Error("the whole storage was removed")
	}
}

// badShares holds a driver to its errors, and to staying within the storage.
func (b *bundle) badShares(s driver.Sharer) {
	b.Helper()
	cut := archiveOf(b.T, file{tar.TypeReg, "cache/cut", bytes.Repeat([]byte("cut "), 1000), ""})[:2048]
	if err := s.PushShared(b.ctx, io.MultiReader(bytes.NewReader(cut), broken{})); !errors.Is(err, errBroken) {
		b.Errorf("an archive that cannot be read: %v", err)
	}
	if err := s.PushShared(b.ctx, bytes.NewReader(bytes.Repeat([]byte("no archive"), 200))); err == nil {
		b.Error("what is no archive was unpacked")
	}
	nothing := archiveOf(b.T, file{tar.TypeLink, "data/nothing", nil, "data/none"})
	if err := s.PushShared(b.ctx, bytes.NewReader(nothing)); phone.ReasonOf(err) != phone.ReasonFileInvalid {
		b.Errorf("a link to a file that is not there: %v", err)
	}
	// Links that lead out: nobody pushes them. A driver may refuse them, and else they must lead nowhere all the same.
	out := 0
	for _, f := range []file{{tar.TypeSymlink, "data/out", nil, "../../.."}, {tar.TypeSymlink, "data/root", nil, "/"}} {
		if err := s.PushShared(b.ctx, bytes.NewReader(archiveOf(b.T, f))); err == nil {
			out++
		} else {
			wantError(b, "a link that leads out", err, phone.Invalid, phone.ReasonFileInvalid)
		}
	}
	for _, folder := range []string{"/data/out", "/data/root", "/data/root/etc"} {
		if listing, err := s.ListShared(b.ctx, folder, 0, 50); err == nil {
			b.Errorf("%s leads to %+v", folder, listing)
		}
	}
	if removed, err := s.RemoveShared(b.ctx, []string{"/data/out/tmp", "/data/root/tmp"}); removed != 0 || err != nil {
		b.Errorf("through links that lead out %d paths were removed, %v", removed, err)
	}
	if removed, err := s.RemoveShared(b.ctx, []string{"/data/out", "/data/root"}); removed != out || err != nil {
		b.Errorf("of %d links %d were removed, %v", out, removed, err)
	}
}

func (b *bundle) eraseShare(s driver.Sharer) {
	b.Helper()
	erased, err := s.EraseShare(b.ctx)
	if err != nil || erased == nil || erased.Name == "" || erased.Files < 3 || erased.Bytes < 8 {
		b.Errorf("EraseShare gives %+v, %v", erased, err)
	}
	if again, err := s.EraseShare(b.ctx); again != nil || err != nil {
		b.Errorf("EraseShare of none gives %+v, %v", again, err)
	}
	_, err = s.ListShared(b.ctx, "/data", 0, 50)
	wantError(b, "list what is gone", err, phone.NotFound, phone.ReasonPathInvalid)
	b.wantObjects()
}
