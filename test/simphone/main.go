// Command simphone is the first process of the test phone's image; see package simphone.
package main

import (
	"os"

	"github.com/lethe-cloud/lethe/internal/simphone"
)

func main() {
	os.Exit(simphone.Main(os.Args, os.Stdin, os.Stdout, os.Stderr))
}
