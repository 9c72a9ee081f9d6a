package config

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestPhoneModels(t *testing.T) {
	t.Parallel()
	load := func(file string) (Config, error) {
		return Load(Source{File: "lethe.toml", Flags: map[string]string{"data": "d"}, Read: func(string) ([]byte, error) { return []byte(file), nil }})
	}
	got, err := load(`
[[phone_models]]
name = "small"
cpus = 1.5
memory = "2g"
pids_limit = 4096

[[phone_models]]
name = "wide"
cpus = 2
width = 1920
height = 1080
dpi = 240
fps = 30
`)
	if err != nil {
		t.Fatal(err)
	}
	want := []PhoneModel{{Name: "small", CPUs: 1.5, Memory: "2g", PidsLimit: 4096}, {Name: "wide", CPUs: 2, Width: 1920, Height: 1080, DPI: 240, FPS: 30}}
	if diff := cmp.Diff(want, got.PhoneModels); diff != "" {
		t.Errorf("models (-want +got):\n%s", diff)
	}
	for name, c := range map[string]struct{ file, says string }{
		"not tables":   {`phone_models = "small"`, "must be a list of tables"},
		"no name":      {"[[phone_models]]\ncpus = 1.0", "phone_models number 1 (lethe.toml): name must be"},
		"bad cpus":     {"[[phone_models]]\nname = \"a\"\ncpus = -1", `phone model "a" (lethe.toml): cpus must be`},
		"bad memory":   {"[[phone_models]]\nname = \"a\"\nmemory = \"much\"", "memory must be"},
		"memory bare":  {"[[phone_models]]\nname = \"a\"\nmemory = 4", "memory must be"},
		"bad number":   {"[[phone_models]]\nname = \"a\"\nfps = 0", "fps must be"},
		"unknown key":  {"[[phone_models]]\nname = \"a\"\ncolour = 1", `unknown key "colour": the keys are name, cpus`},
		"named twice":  {"[[phone_models]]\nname = \"a\"\n[[phone_models]]\nname = \"a\"", "is there twice"},
		"all at once":  {"nope = 1\n[[phone_models]]\nname = \"a\"\ndpi = 0", `unknown key "nope"`},
		"and the rest": {"nope = 1\n[[phone_models]]\nname = \"a\"\ndpi = 0", "dpi must be"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if _, err := load(c.file); err == nil || !strings.Contains(err.Error(), c.says) {
				t.Errorf("error %v, want %q", err, c.says)
			}
		})
	}
}
