package imagetar

import (
	"debug/elf"
	"errors"
	"fmt"
)

// ErrNotStatic says that a program needs a dynamic linker, which an image of one binary does not have. A Go program that uses
// package net is linked against libc wherever a C compiler is at hand; `go run` and `go test` build such programs.
var ErrNotStatic = errors.New("the program is dynamically linked: build it with CGO_ENABLED=0")

// Static reports the architecture, as GOARCH has it, of a program that runs without anything around it. The error is
// ErrNotStatic for one that names a dynamic linker.
func Static(file string) (arch string, err error) {
	f, err := elf.Open(file)
	if err != nil {
		return "", fmt.Errorf("%s is not a Linux program: %w", file, err)
	}
	defer f.Close()
	for _, p := range f.Progs {
		if p.Type == elf.PT_INTERP {
			return "", fmt.Errorf("%s: %w", file, ErrNotStatic)
		}
	}
	if f.Type != elf.ET_EXEC && f.Type != elf.ET_DYN {
		return "", fmt.Errorf("%s is an ELF file, but no program (%s)", file, f.Type)
	}
	switch f.Machine {
	case elf.EM_X86_64:
		return "amd64", nil
	case elf.EM_AARCH64:
		return "arm64", nil
	case elf.EM_386:
		return "386", nil
	case elf.EM_ARM:
		return "arm", nil
	case elf.EM_RISCV:
		return "riscv64", nil
	}
	return "", fmt.Errorf("%s is built for %s, on which lethe runs no phones", file, f.Machine)
}
