package fleet

import (
	"context"
	"errors"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/lethe-cloud/lethe/internal/account"
	"github.com/lethe-cloud/lethe/internal/audit"
	"github.com/lethe-cloud/lethe/internal/phone"
)

// BucketStore keeps whose the buckets are that projects make.
type BucketStore interface {
	// AddBucket writes a bucket. A name that is taken, by whomsoever, is Conflict with ReasonNameTaken, one more than phone.MaxBuckets of the
	// project Exhausted.
	AddBucket(ctx context.Context, bucket phone.Bucket) error
	// Buckets gives those that the project has made, by name.
	Buckets(ctx context.Context, project phone.ProjectID) ([]phone.Bucket, error)
	// DeleteBucket forgets the bucket of that id: NotFound with ReasonBucketNotFound.
	DeleteBucket(ctx context.Context, id string) error
}

// Objects keeps the project's files in its buckets; what is another project's does not exist. internal/objects has one.
type Objects interface {
	// Size gives an object's length in bytes; NotFound with ReasonObjectNotFound, or Unavailable.
	Size(ctx context.Context, project phone.ProjectID, object phone.Object) (int64, error)
	// Open reads an object from its beginning, and gives its length in bytes. Errors are as of Size.
	Open(ctx context.Context, project phone.ProjectID, object phone.Object) (io.ReadCloser, int64, error)
	// Put makes an object of what write writes, and gives its length: as a whole, or not at all. NotFound with ReasonBucketNotFound, Forbidden with
	// ReasonBucketReadOnly, Invalid with ReasonObjectTooLarge or ReasonObjectInvalid, Exhausted with ReasonStoreFull, or Unavailable. It may wait
	// for its turn before it calls write; a context that ends then with a phone.Error as its cause gives that error.
	Put(ctx context.Context, project phone.ProjectID, object phone.Object, write func(io.Writer) error) (int64, error)
	// Delete removes an object; NotFound with ReasonObjectNotFound, and otherwise as Put.
	Delete(ctx context.Context, project phone.ProjectID, object phone.Object) error
	// List gives at most `most` objects whose keys begin with prefix, by key, and the mark of the next page: "" when there is none.
	List(ctx context.Context, project phone.ProjectID, bucket, prefix, mark string, most int) ([]phone.ObjectInfo, string, error)
	// Bucket gives a bucket of the project: NotFound with ReasonBucketNotFound.
	Bucket(ctx context.Context, project phone.ProjectID, name string) (phone.Bucket, error)
	// Registered gives the project's buckets that the operator has registered, in no order; Taken says whether anybody's has the name.
	Registered(project phone.ProjectID) []phone.Bucket
	Taken(name string) bool
	// MakeFolder makes the place of a bucket that a project makes; Unsupported with ReasonNoObjectFolder where there is none to make it in.
	// RemoveFolder removes it; Precondition with ReasonBucketNotEmpty while an object is in it. One that is gone is a success.
	MakeFolder(id string) error
	RemoveFolder(id string) error
}

// noObjects is an installation without any bucket.
type noObjects struct{}

func noBuckets() error {
	return phone.Errorf(phone.NotFound, phone.ReasonObjectNotFound, "the installation has no bucket: its operator registers them in the configuration file")
}

func (noObjects) Size(context.Context, phone.ProjectID, phone.Object) (int64, error) {
	return 0, noBuckets()
}
func (noObjects) Open(context.Context, phone.ProjectID, phone.Object) (io.ReadCloser, int64, error) {
	return nil, 0, noBuckets()
}
func (noObjects) Put(context.Context, phone.ProjectID, phone.Object, func(io.Writer) error) (int64, error) {
	return 0, noBuckets()
}
func (noObjects) Delete(context.Context, phone.ProjectID, phone.Object) error { return noBuckets() }
func (noObjects) List(context.Context, phone.ProjectID, string, string, string, int) ([]phone.ObjectInfo, string, error) {
	return nil, "", noBuckets()
}
func (noObjects) Bucket(context.Context, phone.ProjectID, string) (phone.Bucket, error) {
	return phone.Bucket{}, phone.Errorf(phone.NotFound, phone.ReasonBucketNotFound, "the installation has no bucket")
}
func (noObjects) Registered(phone.ProjectID) []phone.Bucket { return nil }
func (noObjects) Taken(string) bool                         { return false }
func (noObjects) MakeFolder(string) error {
	return phone.Errorf(phone.Unsupported, phone.ReasonNoObjectFolder, "this installation has no folder for buckets")
}
func (noObjects) RemoveFolder(string) error { return nil }

// CreateBucket makes an empty bucket of the project. Its name is the installation's: one that is taken is Conflict with ReasonNameTaken, whosever the
// other is. Unsupported with ReasonNoObjectFolder where the installation has no folder for buckets.
func (s *Service) CreateBucket(ctx context.Context, caller account.Caller, project phone.ProjectID, name string) (phone.Bucket, error) {
	if err := Authorise(caller, project, ActionBucketsCreate); err != nil {
		return phone.Bucket{}, err
	}
	if _, err := phone.NewObject(name, "x"); err != nil {
		return phone.Bucket{}, err
	}
	audit.From(ctx).About(name)
	if s.objects.Taken(name) {
		return phone.Bucket{}, phone.Errorf(phone.Conflict, phone.ReasonNameTaken, "the name is taken: choose another")
	}
	bucket := phone.Bucket{ID: phone.NewID[string](), Name: name, Project: project, CreatedAt: s.now()}
	if err := s.objects.MakeFolder(bucket.ID); err != nil { // first: what dies here leaves a folder that nothing names
		return phone.Bucket{}, err
	}
	if err := s.store.AddBucket(ctx, bucket); err != nil {
		if phone.CodeOf(err) == phone.Conflict || phone.CodeOf(err) == phone.Exhausted { // it was not written, for certain
			err = errors.Join(err, s.objects.RemoveFolder(bucket.ID))
		}
		return phone.Bucket{}, err
	}
	return bucket, nil
}

// Buckets gives the project's buckets by name, those that the operator has registered for it too.
func (s *Service) Buckets(ctx context.Context, caller account.Caller, project phone.ProjectID) ([]phone.Bucket, error) {
	if err := Authorise(caller, project, ActionBucketsList); err != nil {
		return nil, err
	}
	made, err := s.store.Buckets(ctx, project)
	made = slices.DeleteFunc(made, func(b phone.Bucket) bool { return s.objects.Taken(b.Name) }) // hidden by one of the configuration
	all := append(s.objects.Registered(project), made...)
	slices.SortFunc(all, func(a, b phone.Bucket) int { return strings.Compare(a.Name, b.Name) })
	return all, err
}

// DeleteBucket removes a bucket that the project has made and that has no object: Precondition with ReasonBucketNotEmpty otherwise, and with
// ReasonBucketReadOnly where it is one of the configuration.
func (s *Service) DeleteBucket(ctx context.Context, caller account.Caller, project phone.ProjectID, name string) error {
	if err := Authorise(caller, project, ActionBucketsDelete); err != nil {
		return err
	}
	bucket, err := s.objects.Bucket(ctx, project, name)
	if err != nil {
		return err
	}
	if bucket.ID == "" {
		return phone.Errorf(phone.Precondition, phone.ReasonBucketReadOnly, "the bucket %s stands in the configuration: its operator takes it out there", name)
	}
	if err := s.objects.RemoveFolder(bucket.ID); err != nil { // first: what dies here leaves an empty bucket, which can be deleted again
		return err
	}
	return s.store.DeleteBucket(ctx, bucket.ID)
}

// ObjectFilter chooses objects of a bucket.
type ObjectFilter struct {
	Project phone.ProjectID
	Bucket  string
	Prefix  string
	Mark    string // of the page before; "" for the first
	Limit   int    // 0: 100
}

// ListObjects gives a page of a bucket's objects by key, and the mark of the next one: "" when there is none.
func (s *Service) ListObjects(ctx context.Context, caller account.Caller, f ObjectFilter) ([]phone.ObjectInfo, string, error) {
	if err := Authorise(caller, f.Project, ActionObjectsList); err != nil {
		return nil, "", err
	}
	limit, err := page(0, f.Limit)
	if err != nil {
		return nil, "", err
	}
	for field, text := range map[string]string{"prefix": f.Prefix, "mark": f.Mark} {
		if !searchable(text, 4096) {
			return nil, "", &phone.Error{Code: phone.Invalid, Reason: phone.ReasonPageInvalid, Field: field, Msg: field + " cannot be part of any object's name"}
		}
	}
	return s.objects.List(ctx, f.Project, f.Bucket, f.Prefix, f.Mark, limit)
}

// OpenObject reads an object, and gives its length in bytes. Whoever calls it closes it.
func (s *Service) OpenObject(ctx context.Context, caller account.Caller, project phone.ProjectID, bucket, key string) (io.ReadCloser, int64, error) {
	if err := Authorise(caller, project, ActionObjectsGet); err != nil {
		return nil, 0, err
	}
	object, err := namedObject(bucket, key)
	if err != nil {
		return nil, 0, err
	}
	return s.objects.Open(ctx, project, object)
}

// SizeOfObject gives an object's length in bytes, and reads nothing of it.
func (s *Service) SizeOfObject(ctx context.Context, caller account.Caller, project phone.ProjectID, bucket, key string) (int64, error) {
	if err := Authorise(caller, project, ActionObjectsGet); err != nil {
		return 0, err
	}
	object, err := namedObject(bucket, key)
	if err != nil {
		return 0, err
	}
	return s.objects.Size(ctx, project, object)
}

// turnPatience is how long a caller waits until his object may be written.
const turnPatience = 10 * time.Second

// PutObject makes an object of what write writes, in place of one of that name, and gives its length in bytes. It is seen as a whole, or not at all.
// When too many are written to its object store at once it is Exhausted for a while, and nothing was asked of write.
func (s *Service) PutObject(ctx context.Context, caller account.Caller, project phone.ProjectID, bucket, key string, write func(io.Writer) error) (int64, error) {
	if err := Authorise(caller, project, ActionObjectsPut); err != nil {
		return 0, err
	}
	object, err := namedObject(bucket, key)
	if err != nil {
		return 0, err
	}
	audit.From(ctx).About(bucket + "/" + key)
	ctx, give := context.WithCancelCause(ctx)
	defer give(nil)
	busy := errTooManyWrites()
	waited := time.AfterFunc(turnPatience, func() { give(busy) })
	defer waited.Stop()
	return s.objects.Put(ctx, project, object, func(w io.Writer) error {
		if !waited.Stop() {
			return busy
		}
		return write(w)
	})
}

func errTooManyWrites() error {
	return &phone.Error{
		Code: phone.Exhausted, Reason: phone.ReasonRateExceeded, RetryAfter: time.Second,
		Msg: "too many objects are being written to object stores at once: send it again in a moment",
	}
}

// DeleteObject removes an object, and the checksum beside it, if it has one: that of another object of the name would be wrong.
func (s *Service) DeleteObject(ctx context.Context, caller account.Caller, project phone.ProjectID, bucket, key string) error {
	if err := Authorise(caller, project, ActionObjectsDelete); err != nil {
		return err
	}
	object, err := namedObject(bucket, key)
	if err != nil {
		return err
	}
	audit.From(ctx).About(bucket + "/" + key)
	if err := s.objects.Delete(ctx, project, object); err != nil {
		return err
	}
	if err := s.objects.Delete(ctx, project, object.Checksum()); err != nil && phone.CodeOf(err) != phone.NotFound {
		return err
	}
	return nil
}

func namedObject(bucket, key string) (phone.Object, error) {
	if !phone.ValidBucket(bucket) { // no project has one of such a name
		return phone.Object{}, phone.Errorf(phone.NotFound, phone.ReasonBucketNotFound, "the project has no such bucket")
	}
	if err := phone.CheckKey(key); err != nil {
		return phone.Object{}, err
	}
	return phone.Object{Bucket: bucket, Key: key}, nil
}
