package main

import (
	"strings"
	"testing"

	"github.com/lethe-cloud/lethe/internal/config"
)

// A bucket of the configuration that nobody can use is told at the start.
func TestBucketOfNoProject(t *testing.T) {
	t.Parallel()
	const nobody = "0123456789abcdef0123456789abcdef"
	r := newRealServer(t, func(c *config.Config) {
		c.Buckets = []config.Bucket{{Name: "lost", URL: "file:///srv/lost", Project: nobody}}
	})
	if log := r.log.String(); !strings.Contains(log, "a project that does not exist") || !strings.Contains(log, "bucket=lost") || !strings.Contains(log, nobody) {
		t.Errorf("the log does not name it:\n%s", log)
	}
}
