//go:build !linux

package emptydir

import "errors"

var errSystem = errors.New("directories are emptied and measured in a Linux container: this is another system")

// Empty needs Linux, where the containers run in which it is used.
func Empty(string) (Removed, error) { return Removed{}, errSystem }

// Measure needs Linux too.
func Measure(string) (Usage, error) { return Usage{}, errSystem }
