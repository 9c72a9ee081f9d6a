package work

import (
	"archive/tar"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"hash"
	"io"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/lethe-cloud/lethe/internal/driver"
	"github.com/lethe-cloud/lethe/internal/phone"
)

// export writes the phone's data into an object, as a tar, and its checksum beside it. It reads and writes as it goes, holds nothing as a whole, and
// again is the same as once: nobody sees the object before it is whole.
func (t *task) export() (phone.TaskEnd, error) {
	from, can := t.host.(driver.Packer)
	if !can {
		return phone.TaskEnd{}, phone.Errorf(phone.Unsupported, "", "server %s cannot read the files of phones", t.Server.Name)
	}
	if t.engine.Objects == nil {
		return phone.TaskEnd{}, errNoBuckets()
	}
	object := t.Task.Objects[0]
	t.until = time.Now().Add(t.engine.TransferTimeout)
	var e *exporter
	err := t.transferData("export the phone's data", func(ctx context.Context) (err error) {
		e, err = t.exportTo(ctx, from, object)
		return err
	})
	if err != nil {
		return phone.TaskEnd{}, err
	}
	says := fmt.Sprintf("exported %d files and folders to %s: %d bytes, SHA-256 %s", e.entries, object, e.bytes, e.checksum())
	if e.leftOut > 0 {
		says += fmt.Sprintf("; left out %d sockets, devices, links to files that are left out and what no import would take", e.leftOut)
	}
	return phone.TaskEnd{Output: says}, nil
}

func errNoBuckets() error {
	return phone.Errorf(phone.NotFound, phone.ReasonObjectNotFound, "the installation has no bucket any more")
}

// exportTo is one try. The checksum of what the object was before goes before the object becomes what it is now, and the new one comes after it,
// each after a look whether the job is still this attempt's. Two unfinished exports to one object are not accepted, so an object has the checksum
// of another only where an attempt was paused between such a look and the end of its write: an import refuses it then.
func (t *task) exportTo(ctx context.Context, from driver.Packer, object phone.Object) (*exporter, error) {
	e := &exporter{include: leastPaths(t.Task.Include), exclude: t.Task.Exclude, sum: sha256.New(), above: map[string]bool{}, rules: newImportRules()}
	_, err := t.engine.Objects.Put(ctx, t.Job.Project, object, func(w io.Writer) error {
		e.out = tar.NewWriter(io.MultiWriter(w, e.sum, e))
		for _, e.reading = range e.include {
			err := t.pack(ctx, from, packedPath(e.reading), func(header *tar.Header, content io.Reader) error {
				t.answered = time.Now()
				err := e.entry(header, content)
				if err == nil {
					t.answered = time.Now()
				}
				return err
			})
			if err != nil {
				return err
			}
		}
		if e.entries == 0 {
			return phone.Errorf(phone.Precondition, phone.ReasonFileInvalid, "the phone has nothing of what was to be exported")
		}
		if err := e.out.Close(); err != nil {
			return err
		}
		if err := t.stillHeld(ctx); err != nil {
			return err
		}
		return t.forget(ctx, object.Checksum())
	})
	if err != nil {
		return nil, err
	}
	_, err = t.engine.Objects.Put(ctx, t.Job.Project, object.Checksum(), func(w io.Writer) error {
		if err := t.stillHeld(ctx); err != nil {
			return err
		}
		_, err := fmt.Fprintf(w, "# %d bytes, of phone %s, job %s\n%s  %s\n", e.bytes, t.Phone.ID, t.Job.ID, e.checksum(), path.Base(object.Key))
		return err
	})
	return e, err
}

// pack lets the phone's host give files, if they are this attempt's to ask for: the process may have been paused since it looked.
func (t *task) pack(ctx context.Context, from driver.Packer, name string, each func(*tar.Header, io.Reader) error) error {
	if err := t.dropped(); err != nil {
		return err
	}
	return from.Pack(ctx, t.ref(), name, each)
}

// forget deletes an object that need not be there.
func (t *task) forget(ctx context.Context, object phone.Object) error {
	err := t.engine.Objects.Delete(ctx, t.Job.Project, object)
	if phone.CodeOf(err) == phone.NotFound {
		return nil
	}
	return err
}

// packedPath is what a driver is asked for: of a path with a * the folder.
func packedPath(text string) string {
	if strings.HasSuffix(text, "*") {
		return path.Dir(phone.DataPath(text) + "x")
	}
	return phone.DataPath(text)
}

// leastPaths leaves out what is in another path already, so that nothing is exported twice: of two paths one has all of the other, or nothing.
func leastPaths(paths []string) []string {
	var least []string
	for i, p := range paths {
		covered := func(j int, q string) bool {
			if i == j || !covers(q, p) {
				return false
			}
			return !covers(p, q) || j < i // of two that are the same the first stays
		}
		kept := true
		for j, q := range paths {
			kept = kept && !covered(j, q)
		}
		if kept {
			least = append(least, p)
		}
	}
	return least
}

// covers reports whether all that p stands for is what q stands for.
func covers(q, p string) bool {
	if !strings.HasSuffix(p, "*") {
		return phone.UnderDataPath(q, phone.DataPath(p))
	}
	if strings.HasSuffix(q, "*") {
		return strings.HasPrefix(phone.DataPath(p), phone.DataPath(q))
	}
	return phone.UnderDataPath(q, packedPath(p))
}

// exporter writes the entries of an export.
type exporter struct {
	include, exclude []string
	reading          string // the one of include that is read
	out              *tar.Writer
	sum              hash.Hash
	bytes            int64
	above            map[string]bool // folders above what is exported, which were written
	rules            *importRules    // what an import would take of the archive
	entries, leftOut int
}

// Write counts bytes.
func (e *exporter) Write(p []byte) (int, error) {
	e.bytes += int64(len(p))
	return len(p), nil
}

func (e *exporter) checksum() string { return hex.EncodeToString(e.sum.Sum(nil)) }

// entry takes what is in the phone: a folder above what is exported, so that an import finds its owner and mode; and what is exported itself.
func (e *exporter) entry(header *tar.Header, content io.Reader) error {
	name := "/" + strings.TrimSuffix(header.Name, "/")
	isAbove := header.Typeflag == tar.TypeDir && !phone.UnderDataPath(e.reading, name)
	switch {
	case isAbove && (e.above[name] || !strings.HasPrefix(e.reading, name+"/")):
		return nil
	case isAbove:
		e.above[name] = true
	case !e.taken(name):
		return nil
	case header.Typeflag == tar.TypeLink && !e.taken("/"+header.Linkname):
		e.leftOut++
		return nil
	}
	clean := &tar.Header{
		Typeflag: header.Typeflag, Name: header.Name, Linkname: header.Linkname, Mode: header.Mode & 0o7777, Uid: header.Uid, Gid: header.Gid,
		ModTime: header.ModTime, Format: tar.FormatPAX,
	}
	switch header.Typeflag {
	case tar.TypeReg:
		clean.Size = header.Size
	case tar.TypeDir, tar.TypeSymlink, tar.TypeLink:
	default:
		e.leftOut++
		return nil
	}
	if e.rules.full() {
		return unfit("there are more files or folders than an archive may have that can be imported: name fewer paths")
	}
	if _, err := e.rules.clean(clean); err != nil { // /cache may be a link
		e.leftOut++
		return nil
	}
	if !isAbove {
		e.entries++
	}
	if err := e.out.WriteHeader(clean); err != nil {
		return err
	}
	_, err := io.Copy(e.out, content)
	return err
}

// taken reports whether something is exported: included, and not excluded.
func (e *exporter) taken(name string) bool {
	return phone.UnderDataPath(e.reading, name) && !slices.ContainsFunc(e.exclude, func(path string) bool { return phone.UnderDataPath(path, name) })
}
