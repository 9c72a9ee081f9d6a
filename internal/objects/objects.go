// Package objects keeps files in buckets: those that the operator has registered, which are folders or whatever speaks S3, and those that projects
// have made, which are folders. What speaks S3 is the Go CDK's business (gocloud.dev/blob), which appears nowhere else.
package objects

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"sync"

	"gocloud.dev/blob"
	_ "gocloud.dev/blob/s3blob" // s3://

	"github.com/lethe-cloud/lethe/internal/phone"
)

// Bucket is one that the operator has registered. Its name is the installation's, and what it is of belongs to one project.
type Bucket struct {
	Name     string
	URL      string // file:///FOLDER or s3://BUCKET?region=...&endpoint=...
	Project  phone.ProjectID
	ReadOnly bool
}

// Owners says whose a bucket is that a project has made: NotFound with ReasonBucketNotFound when nobody has made one of that name.
type Owners interface {
	Bucket(ctx context.Context, name string) (phone.Bucket, error)
}

// Config is what a Store needs.
type Config struct {
	Buckets []Bucket // registered ones
	// Folder is where the buckets are that projects make; "": they can make none. Owners knows them; nil: there are none.
	Folder string
	Owners Owners
}

// Store is the installation's buckets. It is safe for concurrent use, also by several processes.
type Store struct {
	registered map[string]Bucket
	folder     string
	owners     Owners
	turns      *turns

	mu   sync.Mutex
	open map[string]*blob.Bucket
}

// New makes a store; a bucket is opened when it is used first.
func New(c Config) *Store {
	s := &Store{registered: make(map[string]Bucket, len(c.Buckets)), folder: c.Folder, owners: c.Owners, turns: newTurns(c.Buckets), open: map[string]*blob.Bucket{}}
	for _, b := range c.Buckets {
		s.registered[b.Name] = b
	}
	return s
}

// place is where the objects of one bucket are. Keys are as phone.CheckKey has them. Errors are those of the methods of Store.
type place interface {
	size(ctx context.Context, o phone.Object) (int64, error)
	read(ctx context.Context, o phone.Object) (io.ReadCloser, int64, error)
	put(ctx context.Context, o phone.Object, write func(io.Writer) error) error
	remove(ctx context.Context, o phone.Object) error
	list(ctx context.Context, bucket, prefix, mark string, most int) ([]phone.ObjectInfo, string, error)
}

// Registered gives the project's buckets that stand in the configuration.
func (s *Store) Registered(project phone.ProjectID) []phone.Bucket {
	var all []phone.Bucket
	for _, b := range s.registered {
		if b.Project == project {
			all = append(all, phone.Bucket{Name: b.Name, Project: b.Project, ReadOnly: b.ReadOnly})
		}
	}
	return all
}

// Taken reports whether a registered bucket has the name, whosever it is.
func (s *Store) Taken(name string) bool {
	_, taken := s.registered[name]
	return taken
}

// Bucket gives one of the project's buckets. One that is not there and one of another project are NotFound with ReasonBucketNotFound.
func (s *Store) Bucket(ctx context.Context, project phone.ProjectID, name string) (phone.Bucket, error) {
	if b, known := s.registered[name]; known { // goes before one that a project has made
		if b.Project != project {
			return phone.Bucket{}, noBucket(name)
		}
		return phone.Bucket{Name: b.Name, Project: b.Project, ReadOnly: b.ReadOnly}, nil
	}
	if s.owners == nil {
		return phone.Bucket{}, noBucket(name)
	}
	b, err := s.owners.Bucket(ctx, name)
	if phone.CodeOf(err) == phone.NotFound || err == nil && b.Project != project {
		return phone.Bucket{}, noBucket(name)
	}
	return b, err
}

// MakeFolder makes the place of a new bucket, which its id names; RemoveFolder removes it, and is Precondition with ReasonBucketNotEmpty when there
// is an object in it. Removing one that is not there is a success.
func (s *Store) MakeFolder(id string) error {
	if s.folder == "" {
		return &phone.Error{
			Code: phone.Unsupported, Reason: phone.ReasonNoObjectFolder,
			Msg: "this installation has no folder for buckets: with PostgreSQL its operator names one that all replicas share (object_folder), or registers buckets ([[buckets]])",
		}
	}
	if err := makeDurable(s.folder); err != nil {
		return folderFailed(err)
	}
	if err := os.Mkdir(filepath.Join(s.folder, id), 0o700); err != nil {
		return folderFailed(err)
	}
	return syncFolder(s.folder)
}

// makeDurable makes a folder, and those above it that are missing, each with its name in the one above it.
func makeDurable(dir string) error {
	switch _, err := os.Stat(dir); {
	case err == nil:
		return nil
	case !errors.Is(err, fs.ErrNotExist):
		return err
	}
	above := filepath.Dir(dir)
	if err := makeDurable(above); err != nil {
		return err
	}
	if err := os.Mkdir(dir, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	return syncFolder(above)
}

// RemoveFolder undoes MakeFolder.
func (s *Store) RemoveFolder(id string) error {
	if s.folder == "" || !phone.ValidID(id) {
		return nil
	}
	return folder{filepath.Join(s.folder, id)}.removeAll()
}

// Size gives the length of one of the project's objects in bytes. One that is not there, or whose bucket is not the project's, is NotFound with
// ReasonObjectNotFound; a store that does not answer is Unavailable with ReasonObjectsGone.
func (s *Store) Size(ctx context.Context, project phone.ProjectID, o phone.Object) (int64, error) {
	at, _, err := s.at(ctx, project, o.Bucket)
	if err != nil {
		return 0, absent(o, err)
	}
	if phone.CheckKey(o.Key) != nil {
		return 0, notFound(o, nil)
	}
	return at.size(ctx, o)
}

// Open reads one of the project's objects from its beginning, and gives its length. Errors are as of Size; those of reading are Unavailable.
func (s *Store) Open(ctx context.Context, project phone.ProjectID, o phone.Object) (io.ReadCloser, int64, error) {
	at, _, err := s.at(ctx, project, o.Bucket)
	if err != nil {
		return nil, 0, absent(o, err)
	}
	if phone.CheckKey(o.Key) != nil {
		return nil, 0, notFound(o, nil)
	}
	return at.read(ctx, o)
}

// Put makes one of the project's objects of what write writes, and gives its length. It replaces one of that name. Nobody sees it before it is whole
// and durable: when write, or anything else, fails, or the process dies, what was there before is there. An error of write is given as it is.
// Others are NotFound with ReasonBucketNotFound, Forbidden with ReasonBucketReadOnly, Invalid with ReasonObjectTooLarge (of more than
// phone.MaxObject bytes) or ReasonObjectInvalid, Exhausted with ReasonStoreFull, or Unavailable.
//
// What is written to S3 is held in parts, so few objects are at once, and fewer of one project: others wait until ctx ends, and write is called
// when their turn has come. A context that ends with a phone.Error as its cause before that gives that error.
func (s *Store) Put(ctx context.Context, project phone.ProjectID, o phone.Object, write func(io.Writer) error) (int64, error) {
	at, err := s.writable(ctx, project, o.Bucket)
	if err != nil {
		return 0, err
	}
	if err := phone.CheckKey(o.Key); err != nil {
		return 0, err
	}
	var size int64
	err = at.put(ctx, o, func(w io.Writer) error {
		counted := &limited{to: w, left: phone.MaxObject}
		err := write(counted)
		size = phone.MaxObject - counted.left
		if counted.failed != nil {
			return counted.failed
		}
		return err
	})
	return size, err
}

// limited counts what is written, and refuses more than is left.
type limited struct {
	to     io.Writer
	left   int64
	failed error // the first error of its own or of what it writes to
}

// Write implements io.Writer.
func (l *limited) Write(p []byte) (int, error) {
	if l.failed != nil {
		return 0, l.failed
	}
	if int64(len(p)) > l.left {
		l.failed = phone.Errorf(phone.Invalid, phone.ReasonObjectTooLarge, "an object has at most %d bytes", int64(phone.MaxObject))
		return 0, l.failed
	}
	n, err := l.to.Write(p)
	l.left -= int64(n)
	l.failed = err
	return n, err
}

// Delete removes one of the project's objects. One that is not there is NotFound with ReasonObjectNotFound; the other errors are as of Put.
func (s *Store) Delete(ctx context.Context, project phone.ProjectID, o phone.Object) error {
	at, err := s.writable(ctx, project, o.Bucket)
	if err != nil {
		return err
	}
	if phone.CheckKey(o.Key) != nil {
		return notFound(o, nil)
	}
	return at.remove(ctx, o)
}

// List gives at most `most` objects of one of the project's buckets whose keys begin with prefix, by key, and the mark from which on the next page
// goes: "" when there is none. A page may have fewer, and even none, and a next one. Objects whose names phone.CheckKey refuses are left out.
func (s *Store) List(ctx context.Context, project phone.ProjectID, bucket, prefix, mark string, most int) ([]phone.ObjectInfo, string, error) {
	at, _, err := s.at(ctx, project, bucket)
	if err != nil {
		return nil, "", err
	}
	return at.list(ctx, bucket, prefix, mark, most)
}

func (s *Store) writable(ctx context.Context, project phone.ProjectID, bucket string) (place, error) {
	at, known, err := s.at(ctx, project, bucket)
	if err == nil && known.ReadOnly {
		err = phone.Errorf(phone.Forbidden, phone.ReasonBucketReadOnly, "the bucket %s is only read from: its operator has registered it so", bucket)
	}
	return at, err
}

// at finds where a bucket of the project is.
func (s *Store) at(ctx context.Context, project phone.ProjectID, name string) (place, phone.Bucket, error) {
	b, err := s.Bucket(ctx, project, name)
	if err != nil {
		return nil, b, err
	}
	if b.ID != "" {
		if s.folder == "" || !phone.ValidID(b.ID) {
			return nil, b, unavailable(name, errors.New("the configuration names no folder for buckets any more"))
		}
		return folder{filepath.Join(s.folder, b.ID)}, b, nil
	}
	known := s.registered[name]
	u, err := url.Parse(known.URL)
	if err != nil {
		return nil, b, unavailable(name, err)
	}
	if u.Scheme == "file" {
		return folder{filepath.FromSlash(u.Path)}, b, nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	opened := s.open[name]
	if opened == nil {
		if opened, err = blob.OpenBucket(context.WithoutCancel(ctx), known.URL); err != nil {
			return nil, b, unavailable(name, err)
		}
		s.open[name] = opened
	}
	return remote{bucket: opened, project: b.Project, turns: s.turns}, b, nil
}

// Close ends the use of all buckets.
func (s *Store) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	var errs []error
	for name, b := range s.open {
		errs = append(errs, b.Close())
		delete(s.open, name)
	}
	return errors.Join(errs...)
}

// absent makes an object that is not there of a bucket that is not: neither says which.
func absent(o phone.Object, err error) error {
	if phone.CodeOf(err) == phone.NotFound {
		return notFound(o, err)
	}
	return err
}

func notFound(o phone.Object, err error) error {
	return &phone.Error{Code: phone.NotFound, Reason: phone.ReasonObjectNotFound, Field: "content", Msg: "the project has no object " + o.String(), Err: err}
}

func noBucket(name string) error {
	return &phone.Error{Code: phone.NotFound, Reason: phone.ReasonBucketNotFound, Field: "bucket_name", Msg: "the project has no bucket " + name}
}

func unavailable(bucket string, err error) error {
	return &phone.Error{Code: phone.Unavailable, Reason: phone.ReasonObjectsGone, Msg: "the object store of bucket " + bucket + " does not answer", Err: err}
}

func full(bucket string, err error) error {
	return &phone.Error{Code: phone.Exhausted, Reason: phone.ReasonStoreFull, Msg: "the object store of bucket " + bucket + " has no room: delete objects, or give it more", Err: err}
}
