//go:build !linux

package simphone

import "errors"

// A phone is a Linux container's first process; elsewhere the program only compiles.

func ignoreSignals() {}

func reapOrphans() {}

func killProcess(int) error { return errors.ErrUnsupported }
