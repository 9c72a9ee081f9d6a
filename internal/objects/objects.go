// Package objects reads files from the buckets that the operator has registered: folders, and whatever speaks S3. What a bucket is behind its
// URL is the Go CDK's business (gocloud.dev/blob), which appears nowhere else.
package objects

import (
	"context"
	"errors"
	"io"
	"sync"

	"gocloud.dev/blob"
	_ "gocloud.dev/blob/fileblob" // file://
	_ "gocloud.dev/blob/s3blob"   // s3://
	"gocloud.dev/gcerrors"

	"github.com/lethe-cloud/lethe/internal/phone"
)

// Bucket is one that the operator has registered. Its name is the installation's, and what it is of belongs to one project.
type Bucket struct {
	Name    string
	URL     string // file:///FOLDER or s3://BUCKET?region=...&endpoint=...
	Project phone.ProjectID
}

// Store is the installation's buckets. It is safe for concurrent use.
type Store struct {
	buckets map[string]Bucket

	mu   sync.Mutex
	open map[string]*blob.Bucket
}

// New makes a store; a bucket is opened when something is read from it first.
func New(buckets []Bucket) *Store {
	s := &Store{buckets: make(map[string]Bucket, len(buckets)), open: map[string]*blob.Bucket{}}
	for _, b := range buckets {
		s.buckets[b.Name] = b
	}
	return s
}

// Size gives the length of one of the project's objects in bytes. One that is not there, or whose bucket is not the project's, is NotFound with
// ReasonObjectNotFound; a store that does not answer is Unavailable.
func (s *Store) Size(ctx context.Context, project phone.ProjectID, o phone.Object) (int64, error) {
	bucket, err := s.bucket(ctx, project, o)
	if err != nil {
		return 0, err
	}
	attributes, err := bucket.Attributes(ctx, o.Key)
	if err != nil {
		return 0, translate(ctx, o, err)
	}
	return attributes.Size, nil
}

// Open reads one of the project's objects from its beginning, and gives its length. Errors are as of Size; those of reading are Unavailable.
func (s *Store) Open(ctx context.Context, project phone.ProjectID, o phone.Object) (io.ReadCloser, int64, error) {
	bucket, err := s.bucket(ctx, project, o)
	if err != nil {
		return nil, 0, err
	}
	r, err := bucket.NewReader(ctx, o.Key, nil)
	if err != nil {
		return nil, 0, translate(ctx, o, err)
	}
	return reader{Reader: r, ctx: ctx, object: o}, r.Size(), nil
}

// reader names the errors of reading.
type reader struct {
	*blob.Reader
	ctx    context.Context
	object phone.Object
}

func (r reader) Read(p []byte) (int, error) {
	n, err := r.Reader.Read(p)
	if err != nil && !errors.Is(err, io.EOF) {
		err = translate(r.ctx, r.object, err)
	}
	return n, err
}

func (s *Store) bucket(ctx context.Context, project phone.ProjectID, o phone.Object) (*blob.Bucket, error) {
	known, ok := s.buckets[o.Bucket]
	if !ok || known.Project != project {
		return nil, notFound(o, nil)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if b := s.open[o.Bucket]; b != nil {
		return b, nil
	}
	b, err := blob.OpenBucket(context.WithoutCancel(ctx), known.URL)
	if err != nil {
		return nil, unavailable(o, err)
	}
	s.open[o.Bucket] = b
	return b, nil
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

func translate(ctx context.Context, o phone.Object, err error) error {
	if gcerrors.Code(err) == gcerrors.NotFound {
		return notFound(o, err)
	}
	if ctx.Err() != nil {
		err = errors.Join(err, ctx.Err())
	}
	return unavailable(o, err)
}

func notFound(o phone.Object, err error) error {
	return &phone.Error{Code: phone.NotFound, Reason: phone.ReasonObjectNotFound, Field: "content", Msg: "the project has no object " + o.String(), Err: err}
}

func unavailable(o phone.Object, err error) error {
	return &phone.Error{Code: phone.Unavailable, Reason: phone.ReasonObjectsGone, Msg: "the object store of bucket " + o.Bucket + " does not give the object", Err: err}
}
