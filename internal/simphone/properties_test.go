package simphone

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// nul joins arguments as /proc/self/cmdline has them.
func nul(args ...string) []byte { return []byte(strings.Join(args, "\x00") + "\x00") }

func TestParseCmdline(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name string
		args []string
		want map[string]string
	}{
		{"redroid's entrypoint", []string{"/init", "qemu=1", "androidboot.hardware=redroid"}, map[string]string{"ro.boot.hardware": "redroid"}},
		{"ro is taken as it is", []string{"/init", "ro.product.model=Pixel_9"}, map[string]string{"ro.product.model": "Pixel_9"}},
		{"a value with a space is cut", []string{"/init", "ro.product.model=Pixel 9"}, map[string]string{"ro.product.model": "Pixel"}},
		{"a space makes another property", []string{"/init", "ro.a=x ro.b=y"}, map[string]string{"ro.a": "x", "ro.b": "y"}},
		{"a value with = is dropped", []string{"/init", "ro.a=x=y", "ro.b="}, map[string]string{"ro.b": ""}},
		{"the first value stays", []string{"/init", "ro.a=1", "ro.a=2"}, map[string]string{"ro.a": "1"}},
		{"the rest is not init's", []string{"/init", "persist.sys.locale=de", "debug=1", "simphone"}, map[string]string{}},
		{"nothing", nil, map[string]string{}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if diff := cmp.Diff(tt.want, parseCmdline(nul(tt.args...))); diff != "" {
				t.Errorf("properties (-want +got):\n%s", diff)
			}
		})
	}
}

func TestSet(t *testing.T) {
	t.Parallel()
	s, err := openProperties(nul("/init", "ro.product.model=given"), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		key, value string
		ok         bool
	}{
		{"sys.a", "with space and = sign", true},
		{"sys.empty", "", true},
		{"sys.long", strings.Repeat("x", 91), true},
		{"sys.longer", strings.Repeat("x", 92), false},
		{"ro.product.model", "changed", false},
		{"ro.new", "x", false},
		{"", "x", false},
		{"two words", "x", false},
	} {
		before := s.value(tt.key)
		err := s.set(tt.key, tt.value)
		if (err == nil) != tt.ok {
			t.Errorf("set %q: %v, want success %v", tt.key, err, tt.ok)
		}
		want := before
		if tt.ok {
			want = tt.value
		}
		if got := s.value(tt.key); got != want {
			t.Errorf("%q reads %q, want %q", tt.key, got, want)
		}
	}
	if got := s.value("ro.product.brand"); got != "lethe" {
		t.Errorf("the image's own ro.product.brand is %q", got)
	}
}

func TestPersistentPropertiesOutliveARestart(t *testing.T) {
	t.Parallel()
	data := t.TempDir()
	open := func() *propertyStore {
		t.Helper()
		s, err := openProperties(nul("/init"), data)
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	first := open()
	for _, key := range []string{"persist.sys.locale", "sys.volatile"} {
		if err := first.set(key, "de-DE"); err != nil {
			t.Fatal(err)
		}
	}
	second := open()
	if got := second.value("persist.sys.locale"); got != "de-DE" {
		t.Errorf("persist.sys.locale is %q after a restart", got)
	}
	if got := second.value("sys.volatile"); got != "" {
		t.Errorf("sys.volatile is %q after a restart", got)
	}
	if err := os.WriteFile(filepath.Join(data, "property", "persistent_properties"), []byte("cut {"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := openProperties(nul("/init"), data); err == nil {
		t.Error("a damaged file of properties goes unnoticed")
	}
}
