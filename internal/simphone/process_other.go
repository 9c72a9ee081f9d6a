//go:build !linux

package simphone

// A phone is a Linux container's first process; elsewhere the program only compiles.

func ignoreSignals() {}

func reapOrphans() {}
