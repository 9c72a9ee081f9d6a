//go:build !linux

package main

import (
	"context"
	"os/exec"
)

type services struct{}

func (*services) environment() []string { return nil }
func (*services) stop() error           { return nil }

func start(_ context.Context, need needs, _ func(string, ...any)) (*services, error) {
	if !need.postgres && !need.docker {
		return &services{}, nil
	}
	return &services{}, &missingError{"only Linux can start the services: set " + postgresVariable + " and " + dockerVariable}
}

func interruptible(*exec.Cmd) {}
