//go:build race

package model

// What a plain `go test` does under the race detector, which makes SQLite, most of a seed's work, many times slower.
const (
	defaultSeeds   = 2
	defaultReplays = 1
	withMutants    = false
)
