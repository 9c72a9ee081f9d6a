package store

import (
	"context"
	"maps"
	"slices"

	"github.com/lethe-cloud/lethe/internal/fleet"
)

// PreparedStatements gives the statements that this SQLite store has run so far.
func (s *Store) PreparedStatements() []string {
	var all []string
	for _, kept := range []*statements{s.writes, s.leases, s.reads} {
		kept.mu.RLock()
		all = append(all, slices.Collect(maps.Keys(kept.ready))...)
		kept.mu.RUnlock()
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// AcceptStatements accepts a reset on a SQLite store that has accepted none before, and gives the statements that it took,
// the one that writes deliveries not among them.
func (s *Store) AcceptStatements(ctx context.Context, in fleet.AcceptReset) ([]string, error) {
	var ran []string
	err := s.tx(ctx, func(t *tx) error {
		_, err := t.acceptReset(ctx, in)
		ran = slices.Clone(t.unprepared)
		return err
	})
	return ran, err
}
