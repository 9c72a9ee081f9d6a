package store_test

import (
	"path/filepath"
	"testing"

	"github.com/lethe-cloud/lethe/internal/store/storetest"
	"github.com/lethe-cloud/lethe/internal/testenv"
)

func TestSQLite(t *testing.T) {
	t.Parallel()
	storetest.Run(t, func(t *testing.T) storetest.Fixture {
		f := storetest.Open(t, "sqlite:"+filepath.Join(t.TempDir(), "lethe.db"))
		t.Cleanup(func() { checkPlans(t, f) })
		return f
	})
}

func TestPostgres(t *testing.T) {
	t.Parallel()
	testenv.Postgres(t) // one skip for the whole suite
	storetest.Run(t, func(t *testing.T) storetest.Fixture { return storetest.Open(t, testenv.Postgres(t)) })
}
