package store_test

import (
	"testing"

	"github.com/lethe-cloud/lethe/internal/store/storetest"
	"github.com/lethe-cloud/lethe/internal/testenv"
)

// postgresCopies makes a PostgreSQL database that has its tables, which goes when the test and all below it have ended. What it gives opens
// a fresh copy.
func postgresCopies(t testing.TB) func(testing.TB) storetest.Fixture {
	t.Helper()
	template := testenv.Postgres(t)
	storetest.MakeTables(t, template)
	return func(t testing.TB) storetest.Fixture {
		t.Helper()
		return storetest.Open(t, testenv.PostgresCopy(t, template))
	}
}

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
		differ(t, postgresCopies(t))
	})
}
