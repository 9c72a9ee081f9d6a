// Package testenv gives tests the services that they need from outside. `make test` starts them; on a developer's machine
// a test whose service is missing is skipped with a sentence, and fails when CI is true, where nothing is skipped.
package testenv

import (
	"fmt"
	"os"
	"testing"
)

// require gives the value of the environment variable env, which says where the service called name is. When it is not set
// the test ends here: failed when CI is true, else skipped.
func require(t testing.TB, name, env string) string {
	t.Helper()
	value := os.Getenv(env)
	if value != "" {
		return value
	}
	missing := fmt.Sprintf("needs %s: set %s, or run the tests with `go run ./test/services -- go test ...`", name, env)
	if os.Getenv("CI") == "true" {
		t.Fatal(missing)
	}
	t.Skip(missing)
	return ""
}
