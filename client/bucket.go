package client

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"net/http"
	"net/url"

	"github.com/lethe-cloud/lethe/api"
	"github.com/lethe-cloud/lethe/internal/signature"
)

// AddBucket makes an empty bucket of the project.
func (c *Client) AddBucket(ctx context.Context, name string) (api.Bucket, error) {
	var out api.Bucket
	return out, c.post(ctx, below("buckets"), api.AddBucket{BucketName: name}, &out)
}

// Buckets gives the project's buckets by name.
func (c *Client) Buckets(ctx context.Context) ([]api.Bucket, error) {
	var out api.Buckets
	return out.Buckets, c.get(ctx, below("buckets"), nil, &out)
}

// DeleteBucket removes a bucket of the project that has no object.
func (c *Client) DeleteBucket(ctx context.Context, name string) error {
	return c.remove(ctx, below("buckets", name))
}

// Objects goes through the objects of a bucket whose keys begin with prefix, by key.
func (c *Client) Objects(ctx context.Context, bucket, prefix string) iter.Seq2[api.Object, error] {
	return func(yield func(api.Object, error) bool) {
		for mark := ""; ; {
			var out api.Objects
			if err := c.get(ctx, below("buckets", bucket)+"/objects", query("prefix", prefix, "mark", mark, "limit", "1000"), &out); err != nil {
				yield(api.Object{}, err)
				return
			}
			for _, o := range out.Objects {
				if !yield(o, nil) {
					return
				}
			}
			if mark = out.Next; mark == "" {
				return
			}
		}
	}
}

func objectPath(bucket string) string { return below("buckets", bucket) + "/object" }

// PutObject makes an object of what content holds, which is read twice: for its SHA-256, which is signed, and to be sent. It may take as long as ctx
// lasts.
func (c *Client) PutObject(ctx context.Context, bucket, key string, content io.ReadSeeker) (api.StoredObject, error) {
	sum := sha256.New()
	size, err := io.Copy(sum, content)
	if err == nil {
		_, err = content.Seek(0, io.SeekStart)
	}
	if err != nil {
		return api.StoredObject{}, fmt.Errorf("read what is to be sent: %w", err)
	}
	address := c.endpoint + objectPath(bucket) + "?" + url.Values{"key": {key}}.Encode()
	body := io.Reader(io.LimitReader(content, size))
	if size == 0 {
		body = http.NoBody
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPut, address, body)
	if err != nil {
		return api.StoredObject{}, fmt.Errorf("make the call: %w", err)
	}
	request.ContentLength = size
	request.Header.Set("Content-Type", "application/octet-stream")
	request.Header.Set(signature.HeaderContentHash, hex.EncodeToString(sum.Sum(nil)))
	response, err := c.sendObject(ctx, request)
	if err != nil {
		return api.StoredObject{}, err
	}
	defer response.Body.Close()
	var out api.StoredObject
	if err := json.NewDecoder(io.LimitReader(response.Body, maxAnswer)).Decode(&out); err != nil {
		return out, fmt.Errorf("%s did not answer as lethe does: %w", c.endpoint, err)
	}
	return out, nil
}

// GetObject reads an object, and gives its length in bytes. Whoever calls it reads it to its end, where an object that is cut off is an error, and
// closes it.
func (c *Client) GetObject(ctx context.Context, bucket, key string) (io.ReadCloser, int64, error) {
	request, err := c.request(ctx, nil, http.MethodGet, objectPath(bucket), url.Values{"key": {key}}, nil)
	if err != nil {
		return nil, 0, err
	}
	response, err := c.http.Do(request)
	if err != nil {
		return nil, 0, c.unreachable(ctx, err)
	}
	if response.StatusCode != http.StatusOK {
		return nil, 0, refusedObject(response)
	}
	return response.Body, response.ContentLength, nil
}

// DeleteObject removes an object, and the checksum beside it.
func (c *Client) DeleteObject(ctx context.Context, bucket, key string) error {
	return c.call(ctx, http.MethodDelete, objectPath(bucket), url.Values{"key": {key}}, nil, &api.Done{})
}

// sendObject signs a call and sends it.
func (c *Client) sendObject(ctx context.Context, request *http.Request) (*http.Response, error) {
	request.Header.Set("User-Agent", "lethe-client")
	request.Header.Set("X-Project-Id", c.project)
	signature.Sign(request, nil, signature.Key{ID: c.accessKey, Secret: c.secretKey}, c.now())
	response, err := c.http.Do(request)
	if err != nil {
		return nil, c.unreachable(ctx, err)
	}
	if response.StatusCode != http.StatusOK {
		return nil, refusedObject(response)
	}
	return response, nil
}

func refusedObject(response *http.Response) error {
	body, err := io.ReadAll(io.LimitReader(response.Body, maxAnswer))
	return errors.Join(errorFrom(response, body), err, response.Body.Close())
}
