package objects_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"

	"github.com/johannesboyne/gofakes3"
	"github.com/johannesboyne/gofakes3/backend/s3mem"

	"github.com/lethe-cloud/lethe/internal/objects"
	"github.com/lethe-cloud/lethe/internal/phone"
)

// A folder and a server that speaks S3 give the same.
func TestStore(t *testing.T) {
	content := bytes.Repeat([]byte("0123456789"), 300_000)
	dir := t.TempDir()
	if err := os.MkdirAll(filepath.Join(dir, "in", "a"), 0o700); err != nil {
		t.Fatal(err)
	}
	for name, data := range map[string][]byte{"in/a/b.tar": content, "outside": []byte("secret")} {
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	server := gofakes3.New(s3mem.New())
	s3 := httptest.NewServer(server.Server())
	defer s3.Close()
	t.Setenv("AWS_ACCESS_KEY_ID", "key")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "secret")
	put(t, s3.URL, "remote", "", nil)
	put(t, s3.URL, "remote", "a/b.tar", content)

	store := objects.New(objects.Config{Buckets: []objects.Bucket{
		{Name: "folder", URL: "file://" + filepath.Join(dir, "in"), Project: "p"},
		{Name: "s3bucket", URL: "s3://remote?region=us-east-1&use_path_style=true&endpoint=" + s3.URL, Project: "p"},
		{Name: "nowhere", URL: "s3://remote?region=us-east-1&use_path_style=true&endpoint=http://127.0.0.1:1", Project: "p"},
	}})
	defer func() {
		if err := store.Close(); err != nil {
			t.Error(err)
		}
	}()
	for _, bucket := range []string{"folder", "s3bucket"} {
		object := phone.Object{Bucket: bucket, Key: "a/b.tar"}
		size, err := store.Size(t.Context(), "p", object)
		if err != nil || size != int64(len(content)) {
			t.Errorf("%s: %d bytes, %v", bucket, size, err)
		}
		r, size, err := store.Open(t.Context(), "p", object)
		if err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(r)
		if err = errors.Join(err, r.Close()); err != nil || !bytes.Equal(got, content) || size != int64(len(content)) {
			t.Errorf("%s: read %d bytes of %d, %v", bucket, len(got), size, err)
		}
		for what, o := range map[string]struct {
			project phone.ProjectID
			phone.Object
		}{
			"no object": {"p", phone.Object{Bucket: bucket, Key: "a/c.tar"}}, "another's": {"q", object}, "no bucket": {"p", phone.Object{Bucket: "absent", Key: "a/b.tar"}},
			"a way out": {"p", phone.Object{Bucket: bucket, Key: "../outside"}}, "a folder": {"p", phone.Object{Bucket: bucket, Key: "a"}},
		} {
			if _, err := store.Size(t.Context(), o.project, o.Object); phone.CodeOf(err) != phone.NotFound || phone.ReasonOf(err) != phone.ReasonObjectNotFound {
				t.Errorf("%s in %s: %v", what, bucket, err)
			}
			if _, _, err := store.Open(t.Context(), o.project, o.Object); phone.CodeOf(err) != phone.NotFound {
				t.Errorf("%s in %s: %v", what, bucket, err)
			}
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := store.Size(ctx, "p", phone.Object{Bucket: "nowhere", Key: "x"}); phone.CodeOf(err) != phone.Unavailable || phone.ReasonOf(err) != phone.ReasonObjectsGone {
		t.Errorf("a store that is away: %v", err)
	}
}
