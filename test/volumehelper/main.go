// Command volumehelper is `lethe volume-helper` alone, as a small static program that tests load as the helper image.
package main

import (
	"os"

	"github.com/lethe-cloud/lethe/internal/emptydir"
	"github.com/lethe-cloud/lethe/internal/sharedir"
)

func main() {
	args := os.Args[1:]
	if len(args) > 0 && args[0] == "volume-helper" {
		args = args[1:]
	}
	if sharedir.Is(args) {
		os.Exit(sharedir.Main(args, os.Stdout, os.Stderr))
	}
	os.Exit(emptydir.Main(args, os.Stdout, os.Stderr))
}
