package httpapi_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/lethe-cloud/lethe/api"
	"github.com/lethe-cloud/lethe/internal/phone"
)

// send makes a call of the owner with a body as it is.
func (f *fixture) send(method, path string, body io.Reader, header ...string) (int, http.Header, string) {
	f.t.Helper()
	r, err := http.NewRequestWithContext(f.t.Context(), method, f.url+api.Prefix+path, body)
	if err != nil {
		f.t.Fatal(err)
	}
	r.Header.Set("X-Auth-Token", "owner")
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		f.t.Fatal(err)
	}
	defer answer.Body.Close()
	content, err := io.ReadAll(answer.Body)
	if err != nil {
		f.t.Fatal(err)
	}
	return answer.StatusCode, answer.Header, string(content)
}

// endless gives as many bytes as an object may not have, and counts what was taken of them.
type endless struct{ taken int64 }

func (e *endless) Read(p []byte) (int, error) {
	e.taken += int64(len(p))
	return len(p), nil
}

func TestBuckets(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	want := func(what string, status, got int, body, has string) {
		t.Helper()
		if got != status || !strings.Contains(body, has) {
			t.Errorf("%s: %d %s, want %d with %s", what, got, body, status, has)
		}
	}
	status, _, body := f.send("POST", "/buckets", strings.NewReader(`{"bucket_name":"apps"}`))
	want("a new bucket", 200, status, body, `"bucket_name":"apps","read_only":false,"registered":false,"create_time"`)
	status, _, body = f.send("POST", "/buckets", strings.NewReader(`{"bucket_name":"apps"}`))
	want("again", 409, status, body, "name_taken")
	status, _, body = f.send("GET", "/buckets", nil)
	want("the list", 200, status, body, `"apps"`)

	large := bytes.Repeat([]byte("0123456789"), 1_500_000) // more than any other body may have
	sum := sha256.Sum256(large)
	hash := hex.EncodeToString(sum[:])
	object := "/buckets/apps/object?key=a/b.apk"
	status, _, body = f.send("PUT", object, bytes.NewReader(large), "X-Sdk-Content-Sha256", hash)
	want("a large object", 200, status, body, fmt.Sprintf(`"size":%d,"sha256":%q`, len(large), hash))
	status, _, body = f.send("PUT", object, strings.NewReader("other"), "X-Sdk-Content-Sha256", hash)
	want("what was not signed", 400, status, body, "X-Sdk-Content-Sha256")
	status, header, body := f.send("GET", object, nil)
	if status != 200 || body != string(large) || header.Get("Content-Length") != fmt.Sprint(len(large)) || header.Get("Content-Type") != "application/octet-stream" {
		t.Errorf("read: %d, %d bytes, %v", status, len(body), header)
	}
	for _, key := range []string{"../a", "/a", "a//b", "", "a/./b", "a%00b", "a%20b"} {
		for _, method := range []string{"GET", "PUT", "DELETE"} {
			status, _, body = f.send(method, "/buckets/apps/object?key="+key, nil)
			want(method+" "+key, 400, status, body, "object_invalid")
		}
	}
	for _, path := range []string{"/buckets/absent/object?key=a", "/buckets/Absent/object?key=a"} {
		status, _, body = f.send("PUT", path, strings.NewReader("x"))
		want("into no bucket", 404, status, body, "bucket_not_found")
	}
	status, _, body = f.send("GET", "/buckets/apps/objects?limit=1&prefix=a/", nil)
	want("the objects", 200, status, body, `"key":"a/b.apk","size":15000000`)
	status, _, body = f.send("GET", "/buckets/apps/objects?limit=0", nil)
	want("a bad page", 400, status, body, "limit")
	status, _, body = f.send("DELETE", "/buckets/apps", nil)
	want("a bucket with objects", 409, status, body, "bucket_not_empty")
	status, _, body = f.send("DELETE", object, nil)
	want("deleted", 200, status, body, "{}")
	status, _, body = f.send("GET", object, nil)
	want("what is gone", 404, status, body, "object_not_found")
	status, _, body = f.send("DELETE", "/buckets/apps", nil)
	want("an empty bucket", 200, status, body, "{}")

	// Who may not write is refused before anything is read from him, and so is what is too long.
	for _, who := range []string{"nobody", "user lethe:objects:get"} {
		sent := &endless{}
		r, err := http.NewRequestWithContext(t.Context(), "PUT", f.url+api.Prefix+object, io.LimitReader(sent, 1<<30))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("X-Auth-Token", who)
		answer, err := http.DefaultTransport.RoundTrip(r)
		if err == nil {
			_ = answer.Body.Close()
		}
		if sent.taken > 64<<20 || err == nil && answer.StatusCode < 400 {
			t.Errorf("%s could send %d bytes: %v", who, sent.taken, err)
		}
	}
	r, err := http.NewRequestWithContext(t.Context(), "PUT", f.url+api.Prefix+object, &endless{})
	if err != nil {
		t.Fatal(err)
	}
	r.ContentLength = phone.MaxObject + 1
	r.Header.Set("X-Auth-Token", "owner")
	if answer, err := http.DefaultTransport.RoundTrip(r); err == nil {
		if answer.StatusCode != http.StatusRequestEntityTooLarge {
			t.Errorf("too long: %s", answer.Status)
		}
		_ = answer.Body.Close()
	}
}
