package httpapi_test

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/lethe-cloud/lethe/api"
	"github.com/lethe-cloud/lethe/internal/account"
	"github.com/lethe-cloud/lethe/internal/httpapi"
	"github.com/lethe-cloud/lethe/internal/phone"
)

// watched is a fleet of which no object may be read, and whose writes take long after the body has come.
type watched struct {
	httpapi.Fleet
	t     *testing.T
	syncs time.Duration
}

func (w watched) OpenObject(context.Context, account.Caller, phone.ProjectID, string, string) (io.ReadCloser, int64, error) {
	w.t.Error("an object is read")
	return io.NopCloser(strings.NewReader("content")), 7, nil
}

func (w watched) PutObject(ctx context.Context, caller account.Caller, project phone.ProjectID, bucket, key string, write func(io.Writer) error) (int64, error) {
	size, err := w.Fleet.PutObject(ctx, caller, project, bucket, key, write)
	select {
	case <-time.After(w.syncs):
	case <-ctx.Done():
	}
	return size, err
}

// impatient is a fixture with a bucket and little patience.
func impatient(t *testing.T) *fixture {
	f := newFixture(t)
	if status, _, body := f.send("POST", "/buckets", strings.NewReader(`{"bucket_name":"apps"}`)); status != 200 {
		t.Fatalf("%d %s", status, body)
	}
	c := f.api.Config
	c.BodyPatience = 200 * time.Millisecond
	c.Fleet = watched{Fleet: c.Fleet, t: t, syncs: 2 * c.BodyPatience}
	server := httptest.NewServer(httpapi.New(c).Handler())
	t.Cleanup(server.Close)
	f.url = server.URL
	return f
}

// An object that takes long to be made durable is answered, and a HEAD reads nothing of it.
func TestHeadAndLateAnswer(t *testing.T) {
	t.Parallel()
	f := impatient(t)
	if status, _, body := f.send("PUT", "/buckets/apps/object?key=a", strings.NewReader("content")); status != 200 || !strings.Contains(body, `"size":7`) {
		t.Errorf("%d %s", status, body)
	}
	status, header, body := f.send("HEAD", "/buckets/apps/object?key=a", nil)
	if status != 200 || header.Get("Content-Length") != "7" || header.Get("Content-Type") != "application/octet-stream" || body != "" {
		t.Errorf("%d %v %q", status, header, body)
	}
	if status, _, _ = f.send("HEAD", "/buckets/apps/object?key=b", nil); status != 404 {
		t.Errorf("one that is not there: %d", status)
	}
}

// A body that never stops for long, and comes too slowly all the same, is cut.
func TestSlowBody(t *testing.T) {
	t.Parallel()
	f := impatient(t)
	for _, length := range []int64{-1, 1 << 20, 100 << 10} { // as announced
		f.slowBody(length)
	}
}

func (f *fixture) slowBody(length int64) {
	t := f.t
	body, sender := io.Pipe()
	defer body.Close()
	go func() {
		tick := time.NewTicker(50 * time.Millisecond)
		defer tick.Stop()
		for range tick.C {
			if _, err := sender.Write([]byte("x")); err != nil {
				return
			}
		}
	}()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, "PUT", f.url+api.Prefix+"/buckets/apps/object?key=slow", body)
	if err != nil {
		t.Fatal(err)
	}
	r.ContentLength = length
	r.Header.Set("X-Auth-Token", "owner")
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	if says, err := io.ReadAll(answer.Body); err != nil || answer.StatusCode != 400 || !strings.Contains(string(says), "too slowly") {
		t.Errorf("%s %s, %v", answer.Status, says, err)
	}
}
