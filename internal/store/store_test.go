package store_test

import (
	"testing"

	"github.com/lethe-cloud/lethe/internal/store/storetest"
)

func TestSQLite(t *testing.T) {
	t.Parallel()
	storetest.Run(t, func(t *testing.T) storetest.Fixture {
		f := storetest.SQLite(t)
		t.Cleanup(func() { checkPlans(t, f) })
		return f
	})
}

func TestPostgres(t *testing.T) {
	t.Parallel()
	fresh := postgresCopies(t) // one skip for the whole suite
	storetest.Run(t, func(t *testing.T) storetest.Fixture { return fresh(t) })
}
