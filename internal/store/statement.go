package store

import (
	"context"
	"database/sql"
	"sync"
)

// maxStatements bounds the statements that are kept prepared. There are fewer texts than that: filters make some variants, and
// their values are arguments.
const maxStatements = 256

// statements keeps one pool's prepared statements. SQLite's driver prepares nothing by itself, and parsing costs it more than
// running most of these. A statement is prepared after the transaction that first used it: inside, the pool must not be
// touched.
type statements struct {
	db    *sql.DB
	mu    sync.RWMutex
	ready map[string]*sql.Stmt
}

func newStatements(db *sql.DB) *statements { return &statements{db: db, ready: map[string]*sql.Stmt{}} }

func (s *statements) find(query string) *sql.Stmt {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.ready[query]
}

// prepare prepares statements for the next time. One that cannot be prepared now just runs unprepared again.
func (s *statements) prepare(ctx context.Context, queries []string) {
	for _, query := range queries {
		if s.find(query) != nil {
			continue
		}
		prepared, err := s.db.PrepareContext(ctx, query)
		if err != nil {
			return
		}
		if !s.keep(query, prepared) {
			_ = prepared.Close() // nobody has used it
		}
	}
}

func (s *statements) keep(query string, prepared *sql.Stmt) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ready[query] != nil || len(s.ready) >= maxStatements {
		return false
	}
	s.ready[query] = prepared
	return true
}
