package objects

import (
	"context"
	"errors"
	"io"
	"strings"

	"gocloud.dev/blob"
	"gocloud.dev/gcerrors"

	"github.com/lethe-cloud/lethe/internal/phone"
)

// remote is a bucket that the Go CDK reaches.
type remote struct {
	bucket  *blob.Bucket
	project phone.ProjectID
	turns   *turns
}

func (r remote) size(ctx context.Context, o phone.Object) (int64, error) {
	attributes, err := r.bucket.Attributes(ctx, o.Key)
	if err != nil {
		return 0, translate(ctx, o, err)
	}
	return attributes.Size, nil
}

func (r remote) read(ctx context.Context, o phone.Object) (io.ReadCloser, int64, error) {
	opened, err := r.bucket.NewReader(ctx, o.Key, nil)
	if err != nil {
		return nil, 0, translate(ctx, o, err)
	}
	return reader{ReadCloser: opened, ctx: ctx, object: o}, opened.Size(), nil
}

// reader names the errors of reading.
type reader struct {
	io.ReadCloser
	ctx    context.Context
	object phone.Object
}

func (r reader) Read(p []byte) (int, error) {
	n, err := r.ReadCloser.Read(p)
	if err != nil && !errors.Is(err, io.EOF) {
		err = translate(r.ctx, r.object, err)
	}
	return n, err
}

// The parts that a big object is sent in: S3 takes 10,000 of them, so 8 MiB are enough for phone.MaxObject. In memory are one more than are sent at
// once and, until they are sent, the first 16 MiB, which the SDK reads before it chooses parts.
const (
	partSize  = 8 << 20
	sentParts = 2
)

func (r remote) put(ctx context.Context, o phone.Object, write func(io.Writer) error) error {
	done, err := r.turns.take(ctx, r.project)
	if err != nil {
		if known := (*phone.Error)(nil); errors.As(err, &known) {
			return err
		}
		return unavailable(o.Bucket, err)
	}
	defer done()
	within, cancel := context.WithCancel(ctx)
	defer cancel()
	w, err := r.bucket.NewWriter(within, o.Key, &blob.WriterOptions{ContentType: "application/octet-stream", BufferSize: partSize, MaxConcurrency: sentParts})
	if err != nil {
		return translate(ctx, o, err)
	}
	named := &writer{to: w, ctx: ctx, object: o}
	if err := write(named); err != nil {
		cancel() // before Close: so nothing becomes an object
		_ = w.Close()
		return err
	}
	if err := w.Close(); err != nil {
		return translate(ctx, o, err)
	}
	return nil
}

// writer names the errors of writing.
type writer struct {
	to     io.Writer
	ctx    context.Context
	object phone.Object
}

// Write implements io.Writer.
func (w *writer) Write(p []byte) (int, error) {
	n, err := w.to.Write(p)
	if err != nil {
		err = translate(w.ctx, w.object, err)
	}
	return n, err
}

func (r remote) remove(ctx context.Context, o phone.Object) error {
	if err := r.bucket.Delete(ctx, o.Key); err != nil {
		return translate(ctx, o, err)
	}
	return nil
}

func (r remote) list(ctx context.Context, bucket, prefix, mark string, most int) ([]phone.ObjectInfo, string, error) {
	token := blob.FirstPageToken
	if mark != "" {
		token = []byte(mark)
	}
	found, next, err := r.bucket.ListPage(ctx, token, most, &blob.ListOptions{Prefix: prefix})
	if err != nil {
		return nil, "", translateList(ctx, bucket, err)
	}
	var all []phone.ObjectInfo
	for _, o := range found {
		if !o.IsDir && phone.CheckKey(o.Key) == nil {
			all = append(all, phone.ObjectInfo{Key: o.Key, Size: o.Size, UpdatedAt: o.ModTime})
		}
	}
	return all, string(next), nil
}

func translateList(ctx context.Context, bucket string, err error) error {
	if gcerrors.Code(err) == gcerrors.InvalidArgument {
		return &phone.Error{Code: phone.Invalid, Reason: phone.ReasonPageInvalid, Field: "mark", Msg: "mark is none that this list has given", Err: err}
	}
	return unavailable(bucket, errors.Join(err, ctx.Err()))
}

func translate(ctx context.Context, o phone.Object, err error) error {
	switch {
	case gcerrors.Code(err) == gcerrors.NotFound && !strings.Contains(err.Error(), "NoSuchBucket"):
		return notFound(o, err)
	case gcerrors.Code(err) == gcerrors.PermissionDenied:
		return &phone.Error{Code: phone.Unavailable, Reason: phone.ReasonObjectsGone, Msg: "the object store of bucket " + o.Bucket + " does not let lethe do this: its keys need more rights", Err: err}
	}
	return unavailable(o.Bucket, errors.Join(err, ctx.Err()))
}
