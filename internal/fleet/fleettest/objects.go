package fleettest

import (
	"bytes"
	"context"
	"io"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/lethe-cloud/lethe/internal/fleet"
	"github.com/lethe-cloud/lethe/internal/phone"
)

// Objects keeps objects in memory, in the buckets of a Store and in those that stand in no store. It is safe for concurrent use.
type Objects struct {
	Store *Store
	Fixed []phone.Bucket // those of the configuration

	mu      sync.Mutex
	folders map[string]map[string][]byte // by the bucket's id, or by its name where it has none
}

var _ fleet.Objects = (*Objects)(nil)

// Fill puts objects into a bucket, which is named as phone.Bucket's id, or by its name where it has none.
func (o *Objects) Fill(bucket string, objects map[string]string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.folders == nil {
		o.folders = map[string]map[string][]byte{}
	}
	if o.folders[bucket] == nil {
		o.folders[bucket] = map[string][]byte{}
	}
	for key, content := range objects {
		o.folders[bucket][key] = []byte(content)
	}
}

// Bucket implements fleet.Objects.
func (o *Objects) Bucket(ctx context.Context, project phone.ProjectID, name string) (phone.Bucket, error) {
	none := phone.Errorf(phone.NotFound, phone.ReasonBucketNotFound, "the project has no bucket %s", name)
	for _, b := range o.Fixed {
		if b.Name == name {
			if b.Project != project {
				return phone.Bucket{}, none
			}
			return b, nil
		}
	}
	b, err := o.Store.Bucket(ctx, name)
	if err == nil && b.Project != project || phone.CodeOf(err) == phone.NotFound {
		return phone.Bucket{}, none
	}
	return b, err
}

// Registered implements fleet.Objects.
func (o *Objects) Registered(project phone.ProjectID) []phone.Bucket {
	return slices.DeleteFunc(slices.Clone(o.Fixed), func(b phone.Bucket) bool { return b.Project != project })
}

// Taken implements fleet.Objects.
func (o *Objects) Taken(name string) bool {
	return slices.ContainsFunc(o.Fixed, func(b phone.Bucket) bool { return b.Name == name })
}

// MakeFolder implements fleet.Objects.
func (o *Objects) MakeFolder(id string) error {
	o.Fill(id, nil)
	return nil
}

// RemoveFolder implements fleet.Objects.
func (o *Objects) RemoveFolder(id string) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	if len(o.folders[id]) > 0 {
		return phone.Errorf(phone.Precondition, phone.ReasonBucketNotEmpty, "the bucket has objects")
	}
	delete(o.folders, id)
	return nil
}

// in gives the folder of a bucket, which the caller has the lock for.
func (o *Objects) in(ctx context.Context, project phone.ProjectID, name string, write bool) (map[string][]byte, error) {
	b, err := o.Bucket(ctx, project, name)
	if err == nil && write && b.ReadOnly {
		err = phone.Errorf(phone.Forbidden, phone.ReasonBucketReadOnly, "the bucket %s is only read from", name)
	}
	if err != nil {
		return nil, err
	}
	if b.ID == "" {
		return o.folders[b.Name], nil
	}
	return o.folders[b.ID], nil
}

// Open implements fleet.Objects.
func (o *Objects) Open(ctx context.Context, project phone.ProjectID, object phone.Object) (io.ReadCloser, int64, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	none := phone.Errorf(phone.NotFound, phone.ReasonObjectNotFound, "the project has no object %s", object)
	folder, err := o.in(ctx, project, object.Bucket, false)
	if phone.CodeOf(err) == phone.NotFound {
		return nil, 0, none
	}
	if err != nil {
		return nil, 0, err
	}
	content, there := folder[object.Key]
	if !there {
		return nil, 0, none
	}
	return io.NopCloser(bytes.NewReader(content)), int64(len(content)), nil
}

// Size implements fleet.Objects.
func (o *Objects) Size(ctx context.Context, project phone.ProjectID, object phone.Object) (int64, error) {
	_, size, err := o.Open(ctx, project, object)
	return size, err
}

// Put implements fleet.Objects.
func (o *Objects) Put(ctx context.Context, project phone.ProjectID, object phone.Object, write func(io.Writer) error) (int64, error) {
	o.mu.Lock()
	_, err := o.in(ctx, project, object.Bucket, true)
	o.mu.Unlock()
	if err != nil {
		return 0, err
	}
	var content bytes.Buffer
	if err := write(&content); err != nil {
		return 0, err
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	folder, err := o.in(ctx, project, object.Bucket, true)
	if err != nil {
		return 0, err
	}
	folder[object.Key] = content.Bytes()
	return int64(content.Len()), nil
}

// Delete implements fleet.Objects.
func (o *Objects) Delete(ctx context.Context, project phone.ProjectID, object phone.Object) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	folder, err := o.in(ctx, project, object.Bucket, true)
	if err != nil {
		return err
	}
	if _, there := folder[object.Key]; !there {
		return phone.Errorf(phone.NotFound, phone.ReasonObjectNotFound, "the project has no object %s", object)
	}
	delete(folder, object.Key)
	return nil
}

// List implements fleet.Objects; the mark is the last key of the page before.
func (o *Objects) List(ctx context.Context, project phone.ProjectID, bucket, prefix, mark string, most int) ([]phone.ObjectInfo, string, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	folder, err := o.in(ctx, project, bucket, false)
	if err != nil {
		return nil, "", err
	}
	var all []phone.ObjectInfo
	for _, key := range slices.Sorted(maps.Keys(folder)) {
		if !strings.HasPrefix(key, prefix) || key <= mark {
			continue
		}
		if len(all) == most {
			return all, all[most-1].Key, nil
		}
		all = append(all, phone.ObjectInfo{Key: key, Size: int64(len(folder[key])), UpdatedAt: time.Unix(0, 0)})
	}
	return all, "", nil
}
