package work

import (
	"archive/tar"
	"bufio"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash/maphash"
	"io"
	"maps"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/lethe-cloud/lethe/internal/driver"
	"github.com/lethe-cloud/lethe/internal/phone"
)

// importData unpacks an object in the phone's /data and /cache. It is read twice: before a byte of it is in the phone, its checksum was compared and every
// entry looked at. Both again is the same as once.
func (t *task) importData() (phone.TaskEnd, error) {
	from, can := t.host.(driver.Packer)
	if !can {
		return phone.TaskEnd{}, phone.Errorf(phone.Unsupported, "", "server %s cannot read the files of phones, which an import has to", t.Server.Name)
	}
	if t.engine.Objects == nil {
		return phone.TaskEnd{}, errNoBuckets()
	}
	object := t.Task.Objects[0]
	t.until = time.Now().Add(t.engine.TransferTimeout)
	var seen importSeen
	err := t.transferData("read the object", func(ctx context.Context) (err error) {
		seen, err = t.verifyImport(ctx, object)
		return err
	})
	if err != nil {
		return phone.TaskEnd{}, err
	}
	err = t.transferData("import the phone's data", func(ctx context.Context) error {
		folders, err := t.foldersAbove(ctx, from, seen.missing)
		if err != nil {
			return err
		}
		return t.unpack(ctx, func(ctx context.Context, w io.Writer) error { return t.writeImport(ctx, object, seen, folders, w) })
	})
	if err != nil {
		return phone.TaskEnd{}, err
	}
	says := fmt.Sprintf("imported %d files and folders of %s: %d bytes, SHA-256 %s, ", seen.entries, object, seen.bytes, seen.sum)
	if seen.verified {
		says += "as its checksum says"
	} else {
		says += "which has no checksum beside it to compare with"
	}
	if seen.shared > 0 {
		says += fmt.Sprintf("; left out %d that lie in %s, where the phone sees its server's shared storage", seen.shared, t.sharePath())
	}
	return phone.TaskEnd{Output: says + ". Restart the phone: what runs in it may hold older data."}, nil
}

// importSeen is what was seen of an object before it is imported.
type importSeen struct {
	sum      string // SHA-256 in hex
	bytes    int64
	verified bool // there was a checksum, and it is the object's
	entries  int
	shared   int                // entries that were left out: they lie where the phone sees the shared storage
	missing  map[string]*folder // folders that have entries and are none: importRules.missing
}

// verifyImport reads the object for the first time. An object that is not what its checksum says is refused as that, whatever else is wrong with it.
func (t *task) verifyImport(ctx context.Context, object phone.Object) (importSeen, error) {
	want, err := t.readChecksum(ctx, object)
	if err != nil {
		return importSeen{}, err
	}
	rules := t.importRules()
	seen, err := t.readImport(ctx, object, rules, io.Discard)
	if err != nil && phone.ReasonOf(err) != phone.ReasonFileInvalid {
		return importSeen{}, err
	}
	if want != "" && seen.sum != want {
		return importSeen{}, phone.Errorf(phone.Invalid, phone.ReasonChecksum, "the object %s has the SHA-256 %s, and its checksum says %s", object, seen.sum, want)
	}
	seen.verified = want != ""
	seen.shared, seen.missing = rules.shared, rules.missing
	return seen, err
}

// readImport copies the object's archive, as far as phones take it, and tells what it was: also of one that is refused.
func (t *task) readImport(ctx context.Context, object phone.Object, rules *importRules, to io.Writer) (importSeen, error) {
	content, size, err := t.openObject(ctx, object, phone.MaxObject)
	if err != nil {
		return importSeen{}, err
	}
	defer content.Close()
	sum := sha256.New()
	source := &driver.Source{Reader: io.TeeReader(content, sum)}
	entries, err := copyCleaned(source, to, phone.MaxObject, rules.clean)
	if err != nil && phone.ReasonOf(err) != phone.ReasonFileInvalid {
		return importSeen{}, err
	}
	_, restErr := io.Copy(io.Discard, source) // what comes after the archive's end, or after what is wrong with it
	if restErr != nil {
		return importSeen{}, restErr
	}
	return importSeen{sum: hex.EncodeToString(sum.Sum(nil)), bytes: size, entries: entries}, err
}

// maxChecksum is more than the text of a checksum has, in bytes.
const maxChecksum = 4096

// readChecksum gives the SHA-256 that stands beside an object, or "" where none does. The text is as sha256sum writes and reads it.
func (t *task) readChecksum(ctx context.Context, object phone.Object) (string, error) {
	content, _, err := t.openObject(ctx, object.Checksum(), maxChecksum)
	switch {
	case phone.ReasonOf(err) == phone.ReasonObjectNotFound:
		return "", nil
	case phone.ReasonOf(err) == phone.ReasonFileInvalid:
		return "", errChecksum(object)
	case err != nil:
		return "", err
	}
	defer content.Close()
	lines := bufio.NewScanner(content)
	for lines.Scan() {
		line := lines.Text()
		if strings.HasPrefix(line, "#") {
			continue
		}
		sum, _, _ := strings.Cut(line, " ")
		if decoded, err := hex.DecodeString(sum); err != nil || len(decoded) != sha256.Size {
			return "", errChecksum(object)
		}
		return strings.ToLower(sum), nil
	}
	if err := lines.Err(); err != nil && !errors.Is(err, bufio.ErrTooLong) {
		return "", err
	}
	return "", errChecksum(object)
}

func errChecksum(object phone.Object) error {
	return phone.Errorf(phone.Invalid, phone.ReasonChecksum, "%s is no checksum: write it as sha256sum does, or delete it", object.Checksum())
}

// foldersAbove gives the headers of folders that an archive has entries in and does not have: as they are in the phone, or as those above them, which
// the archive may have. So whoever unpacks it is told of every folder before of what is in it, and follows no link that is in the place of one.
func (t *task) foldersAbove(ctx context.Context, from driver.Packer, missing map[string]*folder) ([]*tar.Header, error) {
	found, absent := map[string]*tar.Header{}, map[string]bool{}
	seen := errors.New("seen")
	names := slices.Sorted(maps.Keys(missing))
	for _, name := range names { // those above come first
		if absent[path.Dir(name)] {
			found[name], absent[name] = found[path.Dir(name)], true
			continue
		}
		err := t.pack(ctx, from, name, func(header *tar.Header, _ io.Reader) error {
			at := "/" + strings.TrimSuffix(header.Name, "/")
			if header.Typeflag != tar.TypeDir {
				return unfit("the archive has files in %s, which is no folder in the phone", cutName(name))
			}
			found[at] = header
			if at == name {
				return seen
			}
			return nil
		})
		if err != nil && !errors.Is(err, seen) {
			return nil, err
		}
		if found[name] == nil {
			found[name], absent[name] = &tar.Header{Mode: 0o771}, true
			if above := missing[name]; above != nil { // what the folder above will be once the archive is unpacked
				found[name].Uid, found[name].Gid, found[name].Mode = int(above.uid), int(above.gid), int64(above.mode)
			} else if above := found[path.Dir(name)]; above != nil {
				found[name].Uid, found[name].Gid, found[name].Mode, found[name].ModTime = above.Uid, above.Gid, above.Mode, above.ModTime
			}
		}
	}
	var folders []*tar.Header
	for _, name := range names {
		h := found[name]
		folders = append(folders, &tar.Header{
			Typeflag: tar.TypeDir, Name: "." + name + "/", Mode: h.Mode & 0o7777, Uid: h.Uid, Gid: h.Gid, ModTime: h.ModTime, Format: tar.FormatPAX,
		})
	}
	return folders, nil
}

// writeImport writes what the phone unpacks: the object as it was seen before, or an error.
func (t *task) writeImport(ctx context.Context, object phone.Object, seen importSeen, folders []*tar.Header, to io.Writer) error {
	rules := t.importRules()
	if err := rules.begin(folders, to); err != nil {
		return err
	}
	again, err := t.readImport(ctx, object, rules, to)
	if again.sum != "" && again.sum != seen.sum {
		return phone.Errorf(phone.Invalid, phone.ReasonChecksum, "the object %s was changed while it was imported", object)
	}
	return err
}

// The limits of what an import keeps in mind of an archive.
const (
	maxEntries = 8 << 20
	maxFolders = 1 << 20 // and links
	maxMissing = 10_000  // folders that it does not have and has entries in
)

// importRules decide, entry by entry, what of an archive may be imported: what is in the roots, /data and /cache, and nothing in a folder that a link
// of the archive is in the place of. What lies in the server's shared storage, which a phone cannot write, is left out. Names are kept as numbers that
// nobody outside can foresee: a big archive would take much memory otherwise.
type importRules struct {
	roots   []string
	share   string // where the phone sees the shared storage, or ""
	shared  int    // entries that were left out because of it
	begun   bool   // every folder was named, or comes before what is in it
	seed    maphash.Seed
	folders map[uint64]folder
	links   map[uint64]bool
	missing map[string]*folder // folders that have entries and are none; with the folder above, where the archive has that one itself
	entries int
}

// folder is whose a folder is, and its mode.
type folder struct {
	uid, gid uint32
	mode     uint16
}

func folderOf(h *tar.Header) folder {
	return folder{uint32(h.Uid), uint32(h.Gid), uint16(h.Mode & 0o7777)}
}

func newImportRules() *importRules {
	return &importRules{
		roots: []string{"/data", "/cache"}, seed: maphash.MakeSeed(), folders: map[uint64]folder{}, links: map[uint64]bool{}, missing: map[string]*folder{},
	}
}

// importRules are those of an archive for the job's phone.
func (t *task) importRules() *importRules {
	rules := newImportRules()
	rules.share = t.sharePath()
	return rules
}

// begin writes the folders that the archive was seen to have entries in and not to have, from the top on. From then on an archive that has another
// such folder was changed since.
func (r *importRules) begin(folders []*tar.Header, to io.Writer) error {
	head := tar.NewWriter(to)
	for _, header := range folders {
		if err := head.WriteHeader(header); err != nil {
			return err
		}
		r.folders[r.key(entryPath(header))] = folderOf(header)
	}
	r.begun = true
	return head.Flush() // and no end: the archive goes on
}

// full reports whether no further entry is taken.
func (r *importRules) full() bool {
	return r.entries >= maxEntries || len(r.folders)+len(r.links) > maxFolders
}

// entryPath is the absolute path of an entry whose name is as cleanHeader gives it.
func entryPath(h *tar.Header) string {
	return strings.TrimSuffix(strings.TrimPrefix(h.Name, "."), "/")
}

func (r *importRules) key(name string) uint64 { return maphash.String(r.seed, name) }

// clean decides about one entry, and makes it what may be unpacked: nil for one that is left out, the root directory.
func (r *importRules) clean(h *tar.Header) (*tar.Header, error) {
	h, err := cleanHeader(h)
	if err != nil {
		return nil, err
	}
	if taken, err := r.take(h); err != nil || !taken {
		return nil, err
	}
	return h, nil
}

// take decides about one entry, whose name is as cleanHeader gives it.
func (r *importRules) take(h *tar.Header) (bool, error) {
	name := entryPath(h)
	if name == "" && h.Typeflag == tar.TypeDir {
		return false, nil
	}
	if r.full() {
		return false, unfit("the archive has too many entries")
	}
	if within(r.share, name) || h.Typeflag == tar.TypeLink && within(r.share, "/"+h.Linkname) {
		r.shared++
		return false, nil
	}
	if h.Typeflag != tar.TypeDir && within(name, r.share) {
		return false, unfit("the archive has %q, which is no folder, above the server's shared storage at %s", cutName(name), r.share)
	}
	r.entries++
	if err := r.place(name); err != nil {
		return false, err
	}
	switch h.Typeflag {
	case tar.TypeDir:
		if r.links[r.key(name)] {
			return false, unfit("the archive has %q as a link and as a folder", cutName(name))
		}
		r.folders[r.key(name)] = folderOf(h)
	case tar.TypeSymlink:
		if r.isFolder(name) {
			return false, unfit("the archive has %q as a folder and as a link", cutName(name))
		}
		r.links[r.key(name)] = true
	case tar.TypeLink:
		return true, r.place("/" + h.Linkname)
	}
	if h.Typeflag != tar.TypeDir && path.Dir(name) == "/" {
		return false, unfit("the archive has %q, which is no folder", cutName(name))
	}
	return true, nil
}

// place looks at where a name is.
func (r *importRules) place(name string) error {
	if !slices.ContainsFunc(r.roots, func(root string) bool { return within(root, name) }) {
		return unfit("the archive has %q, and takes what lies in %s alone", cutName(name), strings.Join(r.roots, " and "))
	}
	below := "" // the folder that was missing last
	for at := path.Dir(name); at != "/"; at = path.Dir(at) {
		if r.links[r.key(at)] {
			return unfit("the archive has %q in %q, which is a link", cutName(name), cutName(at))
		}
		if has, is := r.folders[r.key(at)]; is && below != "" {
			r.missing[below] = &has
		}
		if r.isFolder(at) {
			return nil
		}
		if r.begun {
			return unfit("the archive was changed while it was unpacked")
		}
		if r.missing[at] = nil; len(r.missing) > maxMissing {
			return unfit("the archive has files in more than %d folders that it does not have itself", maxMissing)
		}
		below = at
	}
	return nil
}

// within reports whether name is folder, or below it. Both are absolute and clean; nothing is within "".
func within(folder, name string) bool {
	return folder != "" && (name == folder || strings.HasPrefix(name, folder+"/"))
}

// isFolder reports whether the archive has the folder, or something in it.
func (r *importRules) isFolder(name string) bool {
	_, has := r.folders[r.key(name)]
	_, missing := r.missing[name]
	return has || missing
}
