package store_test

import (
	"testing"

	"github.com/lethe-cloud/lethe/internal/store/storetest"
)

// Every copy of the database that tests begin with is an installation of its own, with an id of its own.
func TestCopiesAreInstallations(t *testing.T) {
	t.Parallel()
	differ := func(t *testing.T, fresh func(testing.TB) storetest.Fixture) {
		seen := map[string]bool{}
		for range 2 {
			id, err := fresh(t).Installation(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if seen[id] || id == "" {
				t.Errorf("installation %q, after %v", id, seen)
			}
			seen[id] = true
		}
	}
	t.Run("sqlite", func(t *testing.T) {
		t.Parallel()
		differ(t, storetest.SQLite)
	})
	t.Run("postgres", func(t *testing.T) {
		t.Parallel()
		differ(t, storetest.Postgres(t))
	})
}
