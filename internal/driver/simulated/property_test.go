package simulated

import (
	"strings"
	"testing"

	"github.com/lethe-cloud/lethe/internal/driver/docker"
	"github.com/lethe-cloud/lethe/internal/phone"
)

// A test on simulated phones must find what a Docker host would refuse, and promise no other effect.
func TestRulesAreThoseOfDocker(t *testing.T) {
	t.Parallel()
	values := []string{
		"", "plain", "a b", " a", "a ", "a=b", "a\tb", "a\nb", "a\x00b", "a\x7fb", "Zürich", "a\u00a0b", `'"$;&|<>\`,
		strings.Repeat("x", 91), strings.Repeat("x", 92), strings.Repeat("ü", 46), strings.Repeat("x", 1000),
	}
	keys := []string{"ro.serialno.other", "persist.sys.timezone", "debug.other"}
	for _, rule := range phone.PropertyRules() {
		keys = append(keys, rule.Key)
	}
	ours, theirs := Rules(), docker.Rules()
	refused := 0
	for _, key := range keys {
		if got, want := ours.Timing(key), theirs.Timing(key); got != want {
			t.Errorf("%s has the timing %s here and %s on Docker", key, got, want)
		}
		for _, value := range values {
			got, want := ours.Check(phone.Properties{key: value}), theirs.Check(phone.Properties{key: value})
			if (got == nil) != (want == nil) {
				t.Errorf("%s=%q: %v here and %v on Docker", key, value, got, want)
			}
			if got != nil {
				refused++
				if got.Code != want.Code || got.Reason != want.Reason || got.Field != want.Field {
					t.Errorf("%s=%q: %+v here and %+v on Docker", key, value, got, want)
				}
			}
		}
	}
	if refused == 0 {
		t.Error("nothing was refused")
	}
}
