package objects

import (
	"context"

	"golang.org/x/sync/semaphore"

	"github.com/lethe-cloud/lethe/internal/phone"
)

// How many objects are written to S3 at once, by all projects together and by one. Each takes about 50 MiB, measured.
const (
	writtenAtOnce     = 8
	writtenOfAProject = writtenAtOnce / 2
)

// turns bounds how many objects are written at once. Whoever waits is served in the order in which he came, and waits for his own project first:
// so no project has more than its part of what all wait for.
type turns struct {
	all *semaphore.Weighted
	of  map[phone.ProjectID]*semaphore.Weighted
}

// newTurns makes turns for the projects of the buckets.
func newTurns(buckets []Bucket) *turns {
	t := &turns{all: semaphore.NewWeighted(writtenAtOnce), of: map[phone.ProjectID]*semaphore.Weighted{}}
	for _, b := range buckets {
		if t.of[b.Project] == nil {
			t.of[b.Project] = semaphore.NewWeighted(writtenOfAProject)
		}
	}
	return t
}

// take waits for the project's turn, which lasts until done is called. It fails with the cause of ctx's end.
func (t *turns) take(ctx context.Context, project phone.ProjectID) (done func(), err error) {
	own := t.of[project]
	if own.Acquire(ctx, 1) != nil {
		return nil, context.Cause(ctx)
	}
	if t.all.Acquire(ctx, 1) != nil {
		own.Release(1)
		return nil, context.Cause(ctx)
	}
	return func() {
		t.all.Release(1)
		own.Release(1)
	}, nil
}
