package store_test

import (
	"github.com/lethe-cloud/lethe/internal/fleet"
	"github.com/lethe-cloud/lethe/internal/store"
	"github.com/lethe-cloud/lethe/internal/work"
)

var (
	_ fleet.Store = (*store.Store)(nil)

	_ fleet.AccessStore = (*store.Store)(nil)
	_ work.Store        = (*store.Store)(nil)
	_ work.Queue        = (*store.Store)(nil)
)
