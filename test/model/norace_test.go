//go:build !race

package model

// What a plain `go test` does: few enough for every time.
const (
	defaultSeeds   = 40
	defaultReplays = 5
	withMutants    = true
)
