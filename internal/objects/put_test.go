package objects_test

import (
	"bytes"
	"net/http"
	"testing"
)

// put makes a bucket, or an object in it, at a server that does not look at signatures.
func put(t *testing.T, url, bucket, key string, content []byte) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPut, url+"/"+bucket+"/"+key, bytes.NewReader(content))
	if err != nil {
		t.Fatal(err)
	}
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		t.Fatalf("PUT %s/%s: %s", bucket, key, answer.Status)
	}
}
