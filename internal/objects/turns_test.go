package objects_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http/httptest"
	"testing"

	"github.com/johannesboyne/gofakes3"
	"github.com/johannesboyne/gofakes3/backend/s3mem"

	"github.com/lethe-cloud/lethe/internal/objects"
	"github.com/lethe-cloud/lethe/internal/phone"
)

// Few objects are written to S3 at once, and fewer of one project: others wait, can give up, and get their turn when one has ended.
func TestTurns(t *testing.T) {
	s3 := httptest.NewServer(gofakes3.New(s3mem.New()).Server())
	t.Cleanup(s3.Close)
	t.Setenv("AWS_ACCESS_KEY_ID", "key")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "secret")
	put(t, s3.URL, "remote", "", nil)
	var buckets []objects.Bucket
	for _, project := range []phone.ProjectID{"p", "q", "r"} {
		buckets = append(buckets, objects.Bucket{Name: "of-" + string(project), URL: "s3://remote?region=us-east-1&use_path_style=true&endpoint=" + s3.URL, Project: project})
	}
	store := objects.New(objects.Config{Buckets: buckets})
	defer store.Close()

	begun, release, ended := make(chan string), make(chan bool), make(chan error)
	write := func(project phone.ProjectID, n int) {
		o := phone.Object{Bucket: "of-" + string(project), Key: fmt.Sprint(n)}
		go func() {
			_, err := store.Put(t.Context(), project, o, func(w io.Writer) error {
				begun <- string(project)
				<-release
				_, err := w.Write([]byte("x"))
				return err
			})
			ended <- err
		}()
	}
	gaveUp := errors.New("gave up")
	refused := func(project phone.ProjectID) {
		t.Helper()
		ctx, give := context.WithCancelCause(t.Context())
		give(&phone.Error{Code: phone.Exhausted, Err: gaveUp})
		_, err := store.Put(ctx, project, phone.Object{Bucket: "of-" + string(project), Key: "x"}, func(io.Writer) error {
			t.Errorf("one of %s is written", project)
			return nil
		})
		if !errors.Is(err, gaveUp) || phone.CodeOf(err) != phone.Exhausted {
			t.Errorf("one of %s: %v", project, err)
		}
	}
	for n := range 4 {
		write("p", n)
		<-begun
	}
	refused("p")
	write("p", 4) // waits for its own project
	for n := range 4 {
		write("q", n)
		if got := <-begun; got != "q" {
			t.Fatalf("one of %s is written", got)
		}
	}
	write("r", 0) // waits for all
	refused("r")
	select {
	case got := <-begun:
		t.Errorf("one of %s is written beside eight", got)
	case err := <-ended:
		t.Errorf("ended: %v", err)
	default:
	}
	seen := map[string]int{}
	for left := 10; left > 0; {
		select {
		case project := <-begun:
			seen[project]++
		case release <- true:
		case err := <-ended:
			if left--; err != nil {
				t.Error(err)
			}
		}
	}
	if seen["p"] != 1 || seen["r"] != 1 {
		t.Errorf("those that waited were written: %v", seen)
	}
}
