package objects_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/johannesboyne/gofakes3"
	"github.com/johannesboyne/gofakes3/backend/s3mem"

	"github.com/lethe-cloud/lethe/internal/objects"
	"github.com/lethe-cloud/lethe/internal/phone"
)

// owners are buckets that projects have made, by name.
type owners map[string]phone.Bucket

func (o owners) Bucket(_ context.Context, name string) (phone.Bucket, error) {
	b, there := o[name]
	if !there {
		return b, phone.Errorf(phone.NotFound, phone.ReasonBucketNotFound, "nobody has made it")
	}
	return b, nil
}

const made = "0123456789abcdef0123456789abcdef"

// three is a store with a folder, a server that speaks S3 and a bucket that a project has made; dir has the folders of the first and the last.
func three(t *testing.T) (store *objects.Store, dir string) {
	t.Helper()
	dir = t.TempDir()
	s3 := httptest.NewServer(gofakes3.New(s3mem.New()).Server())
	t.Cleanup(s3.Close)
	t.Setenv("AWS_ACCESS_KEY_ID", "key")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "secret")
	put(t, s3.URL, "remote", "", nil)
	registered := filepath.Join(dir, "registered")
	if err := os.Mkdir(registered, 0o700); err != nil {
		t.Fatal(err)
	}
	store = objects.New(objects.Config{
		Buckets: []objects.Bucket{
			{Name: "folder", URL: "file://" + registered, Project: "p"},
			{Name: "s3bucket", URL: "s3://remote?region=us-east-1&use_path_style=true&endpoint=" + s3.URL, Project: "p"},
			{Name: "readonly", URL: "file://" + registered, Project: "p", ReadOnly: true},
		},
		Folder: filepath.Join(dir, "objects"), Owners: owners{"made": {ID: made, Name: "made", Project: "p"}},
	})
	if err := store.MakeFolder(made); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := store.Close(); err != nil {
			t.Error(err)
		}
	})
	return store, dir
}

func writes(content []byte) func(io.Writer) error {
	return func(w io.Writer) error {
		_, err := w.Write(content)
		return err
	}
}

func contentOf(t *testing.T, store *objects.Store, o phone.Object) string {
	t.Helper()
	r, _, err := store.Open(t.Context(), "p", o)
	if phone.CodeOf(err) == phone.NotFound {
		return "none"
	}
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	content, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	return string(content)
}

// Every kind of bucket takes an object as a whole or not at all, lists by key and forgets what is deleted.
func TestWriting(t *testing.T) {
	store, _ := three(t)
	for _, bucket := range []string{"folder", "s3bucket", "made"} {
		o := phone.Object{Bucket: bucket, Key: "a/b+c=#1.tar"}
		large := bytes.Repeat([]byte("0123456789"), 2_000_000) // in several parts
		if n, err := store.Put(t.Context(), "p", o, writes(large)); err != nil || n != int64(len(large)) {
			t.Fatalf("%s: %d bytes, %v", bucket, n, err)
		}
		if got := contentOf(t, store, o); got != string(large) {
			t.Errorf("%s has %d bytes", bucket, len(got))
		}
		// While another is written, and after that failed, the first is there.
		wrong := errors.New("the writer has nothing more")
		_, err := store.Put(t.Context(), "p", o, func(w io.Writer) error {
			if _, err := w.Write(large); err != nil {
				return err
			}
			if got := contentOf(t, store, o); got != string(large) {
				t.Errorf("%s is seen with %d bytes while it is written", bucket, len(got))
			}
			return wrong
		})
		if !errors.Is(err, wrong) || contentOf(t, store, o) != string(large) {
			t.Errorf("%s: a write that failed: %v", bucket, err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		_, err = store.Put(ctx, "p", phone.Object{Bucket: bucket, Key: "cut"}, func(w io.Writer) error {
			_, err := w.Write([]byte("x"))
			cancel()
			return err
		})
		if phone.CodeOf(err) != phone.Unavailable || contentOf(t, store, phone.Object{Bucket: bucket, Key: "cut"}) != "none" {
			t.Errorf("%s: a write that was cut off: %v", bucket, err)
		}
		var want []string
		for _, key := range []string{"a-b", "a/z/1", "a.b", "b"} {
			want = append(want, key)
			if _, err := store.Put(t.Context(), "p", phone.Object{Bucket: bucket, Key: key}, writes([]byte(key))); err != nil {
				t.Fatal(err)
			}
		}
		want = append(want, o.Key)
		slices.Sort(want)
		if got := keysOf(t, store, bucket, ""); !slices.Equal(got, want) {
			t.Errorf("%s lists %q, want %q", bucket, got, want)
		}
		if got := keysOf(t, store, bucket, "a/"); !slices.Equal(got, []string{o.Key, "a/z/1"}) {
			t.Errorf("%s lists %q below a/", bucket, got)
		}
		for _, key := range want {
			if err := store.Delete(t.Context(), "p", phone.Object{Bucket: bucket, Key: key}); err != nil {
				t.Error(err)
			}
		}
		if err := store.Delete(t.Context(), "p", o); phone.ReasonOf(err) != phone.ReasonObjectNotFound {
			t.Errorf("%s: deleted twice: %v", bucket, err)
		}
		if got := keysOf(t, store, bucket, ""); len(got) != 0 {
			t.Errorf("%s has %q after all were deleted", bucket, got)
		}
	}
}

// keysOf reads a whole list in pages of two.
func keysOf(t *testing.T, store *objects.Store, bucket, prefix string) (keys []string) {
	t.Helper()
	for mark, pages := "", 0; ; pages++ {
		page, next, err := store.List(t.Context(), "p", bucket, prefix, mark, 2)
		if err != nil || pages > 100 || len(page) > 2 {
			t.Fatalf("page %d: %d objects, %v", pages, len(page), err)
		}
		for _, o := range page {
			keys = append(keys, o.Key)
		}
		if mark = next; mark == "" {
			return keys
		}
	}
}

// What is not the project's does not exist, what is only read from is not written to, and no key leads out of its bucket.
func TestWritingRefuses(t *testing.T) {
	store, dir := three(t)
	for _, bucket := range []string{"folder", "s3bucket", "made", "absent"} {
		project := phone.ProjectID("q")
		o := phone.Object{Bucket: bucket, Key: "x"}
		if _, err := store.Put(t.Context(), project, o, writes(nil)); phone.ReasonOf(err) != phone.ReasonBucketNotFound {
			t.Errorf("another's %s: %v", bucket, err)
		}
		if err := store.Delete(t.Context(), project, o); phone.ReasonOf(err) != phone.ReasonBucketNotFound {
			t.Errorf("another's %s: %v", bucket, err)
		}
		if _, _, err := store.List(t.Context(), project, bucket, "", "", 1); phone.ReasonOf(err) != phone.ReasonBucketNotFound {
			t.Errorf("another's %s: %v", bucket, err)
		}
	}
	if _, err := store.Put(t.Context(), "p", phone.Object{Bucket: "readonly", Key: "x"}, writes(nil)); phone.ReasonOf(err) != phone.ReasonBucketReadOnly || phone.CodeOf(err) != phone.Forbidden {
		t.Errorf("a bucket that is only read from: %v", err)
	}
	if err := store.Delete(t.Context(), "p", phone.Object{Bucket: "readonly", Key: "x"}); phone.ReasonOf(err) != phone.ReasonBucketReadOnly {
		t.Errorf("a bucket that is only read from: %v", err)
	}
	for _, key := range []string{"", "/x", "../x", "a/../x", "a/..", "a//b", "a/", ".", "a\x00b", "a b", "~writing/x", "a/" + strings.Repeat("x", 256)} {
		for _, bucket := range []string{"folder", "s3bucket", "made"} {
			if _, err := store.Put(t.Context(), "p", phone.Object{Bucket: bucket, Key: key}, writes([]byte("x"))); phone.ReasonOf(err) != phone.ReasonObjectInvalid {
				t.Errorf("%q in %s: %v", key, bucket, err)
			}
		}
	}
	// Links in the folder, which only somebody on the machine can have made, are followed nowhere.
	folder := filepath.Join(dir, "registered")
	for name, to := range map[string]string{"link": "../secret", "up": "..", "in": "real"} {
		if err := os.Symlink(to, filepath.Join(folder, name)); err != nil {
			t.Fatal(err)
		}
	}
	for name, content := range map[string]string{"secret": "secret", "registered/real": "real"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := syscall.Mkfifo(filepath.Join(folder, "pipe"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, key := range []string{"link", "up/secret", "in", "pipe"} {
		if got := contentOf(t, store, phone.Object{Bucket: "folder", Key: key}); got != "none" {
			t.Errorf("%s has %q", key, got)
		}
		if err := store.Delete(t.Context(), "p", phone.Object{Bucket: "folder", Key: key}); phone.ReasonOf(err) != phone.ReasonObjectNotFound {
			t.Errorf("%s was deleted: %v", key, err)
		}
	}
	if _, err := store.Put(t.Context(), "p", phone.Object{Bucket: "folder", Key: "up/new"}, writes([]byte("x"))); phone.ReasonOf(err) != phone.ReasonObjectInvalid {
		t.Errorf("written behind a link: %v", err)
	}
	if _, err := os.Stat(filepath.Join(dir, "new")); err == nil {
		t.Error("it lies outside of the bucket")
	}
	if got := keysOf(t, store, "folder", ""); !slices.Equal(got, []string{"real"}) {
		t.Errorf("the list has %q", got)
	}
	if _, err := store.Put(t.Context(), "p", phone.Object{Bucket: "folder", Key: "real/x"}, writes(nil)); phone.ReasonOf(err) != phone.ReasonObjectInvalid {
		t.Errorf("an object as a folder: %v", err)
	}
}

// What a process that died was writing goes with the next write, what one that lives is writing stays; and a bucket goes when it has no object.
func TestLeftovers(t *testing.T) {
	store, dir := three(t)
	writing := filepath.Join(dir, "objects", made, "~writing")
	o := phone.Object{Bucket: "made", Key: "deep/down/x"}
	_, err := store.Put(t.Context(), "p", o, func(w io.Writer) error {
		if err := os.WriteFile(filepath.Join(writing, "left"), []byte("x"), 0o600); err != nil {
			return err
		}
		if err := store.RemoveFolder(made); phone.ReasonOf(err) != phone.ReasonBucketNotEmpty {
			t.Errorf("removed while an object is written: %v", err)
		}
		if err := os.WriteFile(filepath.Join(writing, "left"), []byte("x"), 0o600); err != nil {
			return err
		}
		_, err := store.Put(t.Context(), "p", phone.Object{Bucket: "made", Key: "y"}, writes([]byte("y")))
		if left, readErr := os.ReadDir(writing); readErr != nil || len(left) != 1 || left[0].Name() == "left" {
			t.Errorf("there is %v, %v", left, readErr)
		}
		if _, err := fmt.Fprint(w, "x"); err != nil {
			return err
		}
		return err
	})
	if err != nil || contentOf(t, store, o) != "x" {
		t.Fatalf("a write beside another: %v", err)
	}
	if err := store.RemoveFolder(made); phone.ReasonOf(err) != phone.ReasonBucketNotEmpty {
		t.Errorf("removed with objects: %v", err)
	}
	for _, key := range []string{o.Key, "y"} {
		if err := store.Delete(t.Context(), "p", phone.Object{Bucket: "made", Key: key}); err != nil {
			t.Error(err)
		}
	}
	for range 2 {
		if err := store.RemoveFolder(made); err != nil {
			t.Errorf("removed empty: %v", err)
		}
	}
	if _, err := store.Put(t.Context(), "p", o, writes(nil)); phone.CodeOf(err) != phone.Unavailable {
		t.Errorf("written without its folder: %v", err)
	}
	if _, _, err := store.Open(t.Context(), "p", o); phone.ReasonOf(err) != phone.ReasonObjectsGone {
		t.Errorf("read without its folder, which may only be away: %v", err)
	}
	none := objects.New(objects.Config{})
	if err := none.MakeFolder(made); phone.ReasonOf(err) != phone.ReasonNoObjectFolder || !strings.Contains(err.Error(), "object_folder") {
		t.Errorf("without a folder: %v", err)
	}
}
