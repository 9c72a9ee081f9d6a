package phone_test

import (
	"strings"
	"testing"

	"github.com/lethe-cloud/lethe/internal/phone"
)

func TestParseObject(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"obs://apps/a.apk", "obs://my.bucket-1/a/b_c/d:e.tar"} {
		o, err := phone.ParseObject(text)
		if err != nil || o.String() != text {
			t.Errorf("%s: %+v, %v", text, o, err)
		}
	}
	for _, text := range []string{
		"", "a.apk", "s3://apps/a.apk", "obs://apps", "obs://apps/", "obs:///a", "obs://Apps/a", "obs://ap/a", "obs://apps/../a", "obs://apps/a/../b", "obs://apps/./a",
		"obs://apps//a", "obs://apps/a/", "obs://apps/a b", "obs://apps/a%2e", "obs://apps/a\x00", "obs://../a/b", "obs://apps/" + strings.Repeat("x", 1024),
	} {
		if o, err := phone.ParseObject(text); err == nil || err.Reason != phone.ReasonContentInvalid {
			t.Errorf("%q is taken: %+v", text, o)
		}
	}
}
