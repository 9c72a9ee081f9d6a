package httpapi

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strconv"
	"time"

	"github.com/lethe-cloud/lethe/api"
	"github.com/lethe-cloud/lethe/internal/fleet"
	"github.com/lethe-cloud/lethe/internal/phone"
)

func (a *API) addBucket(c *call) error {
	var in api.AddBucket
	if err := c.decode(&in); err != nil {
		return err
	}
	project, err := c.project()
	if err != nil {
		return err
	}
	bucket, err := a.Fleet.CreateBucket(c.Context(), c.caller, project, in.BucketName)
	if err != nil {
		return err
	}
	return c.answer(http.StatusOK, bucketOut(bucket))
}

func (a *API) buckets(c *call) error {
	project, err := c.project()
	if err != nil {
		return err
	}
	buckets, err := a.Fleet.Buckets(c.Context(), c.caller, project)
	if err != nil {
		return err
	}
	return c.answer(http.StatusOK, api.Buckets{Buckets: each(buckets, bucketOut)})
}

func bucketOut(b phone.Bucket) api.Bucket {
	out := api.Bucket{BucketName: b.Name, ReadOnly: b.ReadOnly, Registered: b.ID == ""}
	if !b.CreatedAt.IsZero() {
		at := b.CreatedAt.UTC()
		out.CreateTime = &at
	}
	return out
}

func (a *API) deleteBucket(c *call) error {
	project, err := c.project()
	if err != nil {
		return err
	}
	if err := a.Fleet.DeleteBucket(c.Context(), c.caller, project, c.PathValue("bucket_name")); err != nil {
		return err
	}
	return c.answer(http.StatusOK, api.Done{})
}

func (a *API) objects(c *call) error {
	project, err := c.project()
	if err != nil {
		return err
	}
	limit, err := c.integer("limit", defaultPage, 1, maxPage)
	if err != nil {
		return err
	}
	found, next, err := a.Fleet.ListObjects(c.Context(), c.caller, fleet.ObjectFilter{
		Project: project, Bucket: c.PathValue("bucket_name"), Prefix: c.query.Get("prefix"), Mark: c.query.Get("mark"), Limit: limit,
	})
	if err != nil {
		return err
	}
	return c.answer(http.StatusOK, api.Objects{Next: next, Objects: each(found, func(o phone.ObjectInfo) api.Object {
		return api.Object{Key: o.Key, Size: o.Size, UpdateTime: o.UpdatedAt.UTC()}
	})})
}

// putObject passes the body on as it comes: nothing of it is held here. It becomes the object when all of it has come, and is what was signed.
func (a *API) putObject(c *call) error {
	project, err := c.project()
	if err != nil {
		return err
	}
	if c.ContentLength > phone.MaxObject {
		return phone.Errorf(phone.Invalid, phone.ReasonObjectTooLarge, "an object has at most %d bytes", int64(phone.MaxObject))
	}
	if body, counted := c.Body.(interface{ Stream() }); counted {
		body.Stream()
	}
	sum, hash := sha256.New(), ""
	key := c.query.Get("key")
	size, err := a.Fleet.PutObject(c.Context(), c.caller, project, c.PathValue("bucket_name"), key, func(w io.Writer) error {
		_, err := io.Copy(w, io.TeeReader(c.patientBody(a.BodyPatience), sum))
		if errors.Is(err, os.ErrDeadlineExceeded) {
			return &phone.Error{Code: phone.Invalid, Msg: fmt.Sprintf("the body comes too slowly: at least %d bytes a second are taken", leastRate), Err: err}
		}
		if err != nil {
			return &phone.Error{Code: phone.Invalid, Msg: "the body could not be read to its end", Err: err}
		}
		hash = hex.EncodeToString(sum.Sum(nil))
		if c.contentHash != "" && hash != c.contentHash {
			return phone.Errorf(phone.Invalid, "", "the body is not what was signed: X-Sdk-Content-Sha256 is not its SHA-256")
		}
		return nil
	})
	// Only now: that the object was made durable may have taken longer than an answer may.
	_ = http.NewResponseController(c.w).SetWriteDeadline(time.Now().Add(a.BodyPatience))
	if err != nil {
		return err
	}
	return c.answer(http.StatusOK, api.StoredObject{Key: key, Size: size, SHA256: hash})
}

// getObject passes the object on as it comes. When that fails in the middle the connection ends before the length that was announced.
func (a *API) getObject(c *call) error {
	project, err := c.project()
	if err != nil {
		return err
	}
	bucket, key := c.PathValue("bucket_name"), c.query.Get("key")
	if c.Method == http.MethodHead { // which the pattern of GET takes too
		size, err := a.Fleet.SizeOfObject(c.Context(), c.caller, project, bucket, key)
		if err == nil {
			c.objectHeader(size)
		}
		return err
	}
	content, size, err := a.Fleet.OpenObject(c.Context(), c.caller, project, bucket, key)
	if err != nil {
		return err
	}
	defer content.Close()
	c.objectHeader(size)
	_, err = io.Copy(c.patientWriter(a.BodyPatience), content)
	return err
}

// objectHeader is the answer's header for an object of that many bytes.
func (c *call) objectHeader(size int64) {
	header := c.w.Header()
	header.Set("Content-Type", "application/octet-stream")
	header.Set("Content-Disposition", "attachment")
	header.Set("X-Content-Type-Options", "nosniff")
	header.Set("Content-Length", strconv.FormatInt(size, 10))
	c.w.WriteHeader(http.StatusOK)
}

func (a *API) deleteObject(c *call) error {
	project, err := c.project()
	if err != nil {
		return err
	}
	if err := a.Fleet.DeleteObject(c.Context(), c.caller, project, c.PathValue("bucket_name"), c.query.Get("key")); err != nil {
		return err
	}
	return c.answer(http.StatusOK, api.Done{})
}

// leastRate is how many bytes of a body have to come in a second, beside the silence that is allowed.
const leastRate = 16 << 10

// pace is how long the next piece of a body may take to come: what a caller may be silent, less the time for which he was waited for, plus what
// his bytes have earned at the least rate. He never has more than he began with, so what came fast pays for no trickle.
type pace struct{ most, left time.Duration }

func (p *pace) spend(waited time.Duration, bytes int) {
	p.left = min(p.most, p.left-waited+time.Duration(bytes)*time.Second/leastRate)
}

// patientBody is the body, which may come as slowly as pace has it: how long the whole takes is the caller's connection's business. What whoever
// reads it does between two pieces takes nothing of his time.
func (c *call) patientBody(patience time.Duration) io.Reader {
	connection := http.NewResponseController(c.w)
	_ = connection.SetWriteDeadline(time.Time{}) // the answer comes when the body has come
	pace := pace{most: patience, left: patience}
	return pieces(func(p []byte) (int, error) {
		began := time.Now()
		_ = connection.SetReadDeadline(began.Add(pace.left)) // a connection without deadlines has none to move
		n, err := c.Body.Read(p)
		pace.spend(time.Since(began), n)
		if errors.Is(err, io.EOF) { // after any other error nothing more is to be waited for
			_ = connection.SetReadDeadline(time.Time{})
		}
		return n, err
	})
}

// patientWriter lets each piece of the answer take as long as patience.
func (c *call) patientWriter(patience time.Duration) io.Writer {
	connection := http.NewResponseController(c.w)
	return written(func(p []byte) (int, error) {
		_ = connection.SetWriteDeadline(time.Now().Add(patience))
		return c.w.Write(p)
	})
}

type pieces func([]byte) (int, error)

func (f pieces) Read(p []byte) (int, error) { return f(p) }

type written func([]byte) (int, error)

func (f written) Write(p []byte) (int, error) { return f(p) }
