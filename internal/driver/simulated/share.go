package simulated

import (
	"archive/tar"
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"

	"github.com/lethe-cloud/lethe/internal/driver"
	"github.com/lethe-cloud/lethe/internal/phone"
	"github.com/lethe-cloud/lethe/internal/sharedir"
)

const sharesDir = "shares"

// shareDir is the folder of the server's shared storage: its name is its label, so that it appears and goes with it.
func (d *Driver) shareDir() string { return d.path(sharesDir, d.installation+"."+string(d.server)) }

func (d *Driver) shareName() string { return "lethe-" + string(d.server) + "-share" }

// SharePath is the configuration's.
func (d *Driver) SharePath() string { return d.config.SharePath }

// inShare reports whether a name of an archive of a phone is where the phone sees the shared storage, or below that.
func (d *Driver) inShare(name string) bool {
	at, name := d.config.SharePath, path.Clean("/"+name)
	return at != "" && (name == at || strings.HasPrefix(name, at+"/"))
}

// shareOf opens the shared storage for an instance that sees it; nil when it does not, or nothing was ever pushed.
func (d *Driver) shareOf(i *instance) (*os.Root, error) {
	if i.Share == "" {
		return nil, nil
	}
	root, err := os.OpenRoot(d.shareDir())
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	return root, err
}

// shared runs do with the shared storage. Without make, one that is not there is nil.
func shared[T any](ctx context.Context, d *Driver, make bool, do func(root *os.Root) (T, error)) (T, error) {
	return call(ctx, d, OpShare, subject{}, func() (result T, err error) {
		if d.config.SharePath == "" {
			return result, driver.ErrNoShare()
		}
		if make {
			if err := makeBelow(d.dir, d.shareDir()); err != nil {
				return result, err
			}
		}
		root, err := os.OpenRoot(d.shareDir())
		if errors.Is(err, fs.ErrNotExist) {
			return do(nil)
		}
		if err != nil {
			return result, err
		}
		defer func() { err = errors.Join(err, root.Close()) }()
		return do(root)
	})
}

// PushShared unpacks the archive in the folder.
func (d *Driver) PushShared(ctx context.Context, archive io.Reader) error {
	_, err := shared(ctx, d, true, func(root *os.Root) (struct{}, error) {
		if root == nil { // removed at this moment
			return struct{}{}, phone.Errorf(phone.Unavailable, "", "the shared storage went while it was written")
		}
		source := &driver.Source{Reader: archive}
		err := unpackShared(ctx, root, source)
		if source.Err() != nil {
			err = source.Err()
		}
		return struct{}{}, err
	})
	return err
}

func unpackShared(ctx context.Context, root *os.Root, archive io.Reader) error {
	files := tar.NewReader(archive)
	for {
		header, err := files.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return unfitShare("it is no tar archive: %v", err)
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		name, _ := belowShare(header.Name)
		if name == "." {
			continue
		}
		// In place of what is there, and not into it: that may have another name, or be read at this moment.
		if info, there := root.Lstat(name); header.Typeflag == tar.TypeReg && there == nil && !info.IsDir() {
			if err := root.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
				return err
			}
		}
		err = place(root, name, header, files, belowShare)
		if err != nil && !hostFault(err) && phone.CodeOf(err) == phone.Internal {
			err = unfitShare("%s: %s", header.Name, reason(err))
		}
		if err != nil {
			return err
		}
	}
}

// belowShare gives a name of an archive as it is below the shared storage's root.
func belowShare(name string) (string, error) {
	return path.Clean("./" + strings.TrimPrefix(path.Clean("/"+name), "/")), nil
}

func unfitShare(format string, args ...any) error {
	return phone.Errorf(phone.Invalid, phone.ReasonFileInvalid, "the shared storage cannot hold the files: "+format, args...)
}

// RemoveShared removes files and folders.
func (d *Driver) RemoveShared(ctx context.Context, paths []string) (int, error) {
	return shared(ctx, d, false, func(root *os.Root) (int, error) {
		if root == nil {
			return 0, nil
		}
		return sharedir.Remove(root, paths)
	})
}

// ListShared lists a folder.
func (d *Driver) ListShared(ctx context.Context, folder string, offset, limit int) (phone.ShareListing, error) {
	return shared(ctx, d, false, func(root *os.Root) (phone.ShareListing, error) {
		none := phone.Errorf(phone.NotFound, phone.ReasonPathInvalid, "the shared storage has no folder %s", folder)
		if root == nil {
			return phone.ShareListing{}, none
		}
		page, err := sharedir.List(root, folder, offset, limit)
		if errors.Is(err, sharedir.ErrNoFolder) {
			return phone.ShareListing{}, none
		}
		listing := phone.ShareListing{Path: folder, Total: page.Total, Offset: offset, Files: []phone.ShareFile{}}
		for _, f := range page.Files {
			listing.Files = append(listing.Files, phone.ShareFile(f))
		}
		return listing, err
	})
}

// EraseShare counts what is in the folder, removes it, and looks for it.
func (d *Driver) EraseShare(ctx context.Context) (*phone.ErasedShare, error) {
	return call(ctx, d, OpShare, subject{}, func() (*phone.ErasedShare, error) {
		dir := d.shareDir()
		if _, err := os.Lstat(dir); errors.Is(err, fs.ErrNotExist) {
			return nil, nil
		}
		if err := d.wantUnused(ctx); err != nil {
			return nil, err
		}
		erased := &phone.ErasedShare{Name: d.shareName()}
		err := filepath.WalkDir(dir, func(_ string, entry fs.DirEntry, err error) error {
			if err != nil || entry.IsDir() {
				return err
			}
			info, err := entry.Info()
			if err == nil && info.Mode().IsRegular() {
				erased.Bytes += info.Size()
			}
			erased.Files++
			return errors.Join(err, ctx.Err())
		})
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, err
		}
		if err := os.RemoveAll(dir); err != nil {
			return nil, phone.Errorf(phone.Internal, phone.ReasonEraseFailed, "the shared storage %s could not be removed: %w", d.shareName(), err)
		}
		if _, err := os.Lstat(dir); !errors.Is(err, fs.ErrNotExist) {
			return nil, phone.Errorf(phone.Internal, phone.ReasonEraseFailed, "the shared storage %s was removed and is on the host again", d.shareName())
		}
		return erased, nil
	})
}

// wantUnused fails while an instance sees the shared storage.
func (d *Driver) wantUnused(ctx context.Context) error {
	return d.walk(ctx, func(id phone.ID) error {
		found, err := d.scan(id)
		if err != nil {
			return err
		}
		for _, ref := range found.instances {
			i, owner, err := d.readInstance(ref)
			if err != nil {
				return err
			}
			if owner == ours && i.Share != "" {
				return phone.Errorf(phone.Conflict, phone.ReasonEraseFailed, "the shared storage %s is used by %s: remove that first", d.shareName(), instanceName(ref))
			}
		}
		return nil
	})
}
