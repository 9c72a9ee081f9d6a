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
server_model = "rack"
image_label = "cloud_game"
disk = 16
phones = 40
retired = true

[[server_models]]
name = "rack"
type = "EPYC 9654"
cpus = 96
memory = 768
gpu = "A16"
game = true
`)
	if err != nil {
		t.Fatal(err)
	}
	want := []PhoneModel{{Name: "small", CPUs: 1.5, Memory: "2g", PidsLimit: 4096}, {Name: "wide", CPUs: 2, Width: 1920, Height: 1080, DPI: 240, FPS: 30, ServerModel: "rack", ImageLabel: "cloud_game",
		Disk: 16, Phones: 40, Retired: true}}
	if diff := cmp.Diff(want, got.PhoneModels); diff != "" {
		t.Errorf("models (-want +got):\n%s", diff)
	}
	wantServers := []ServerModel{{Name: "rack", Type: "EPYC 9654", CPUs: 96, Memory: 768, GPU: "A16", Game: true}}
	if diff := cmp.Diff(wantServers, got.ServerModels); diff != "" {
		t.Errorf("server models (-want +got):\n%s", diff)
	}
	for memory, mb := range map[string]int{"": 0, "2g": 2048, "512M": 512, "1048576k": 1024, "3145728": 3} {
		if got := (PhoneModel{Memory: memory}).MemoryMB(); got != mb {
			t.Errorf("%q is %d MB, want %d", memory, got, mb)
		}
	}
	for name, c := range map[string]struct{ file, says string }{
		"servers no tables": {`server_models = 1`, "server_models (lethe.toml) must be a list of tables"},
		"server bad memory": {"[[server_models]]\nname = \"a\"\nmemory = \"4g\"", `server model "a" (lethe.toml): memory must be`},
		"server twice":      {"[[server_models]]\nname = \"a\"\n[[server_models]]\nname = \"a\"", "is there twice"},
		"bad label":         {"[[phone_models]]\nname = \"a\"\nimage_label = \"a b\"", "image_label must be"},
		"bad switch":        {"[[phone_models]]\nname = \"a\"\nretired = 1", "retired must be true or false"},
		"not tables":        {`phone_models = "small"`, "must be a list of tables"},
		"no name":           {"[[phone_models]]\ncpus = 1.0", "phone_models number 1 (lethe.toml): name must be"},
		"bad cpus":          {"[[phone_models]]\nname = \"a\"\ncpus = -1", `phone model "a" (lethe.toml): cpus must be`},
		"bad memory":        {"[[phone_models]]\nname = \"a\"\nmemory = \"much\"", "memory must be"},
		"memory bare":       {"[[phone_models]]\nname = \"a\"\nmemory = 4", "memory must be"},
		"bad number":        {"[[phone_models]]\nname = \"a\"\nfps = 0", "fps must be"},
		"unknown key":       {"[[phone_models]]\nname = \"a\"\ncolour = 1", `unknown key "colour": the keys are name, cpus`},
		"named twice":       {"[[phone_models]]\nname = \"a\"\n[[phone_models]]\nname = \"a\"", "is there twice"},
		"all at once":       {"nope = 1\n[[phone_models]]\nname = \"a\"\ndpi = 0", `unknown key "nope"`},
		"and the rest":      {"nope = 1\n[[phone_models]]\nname = \"a\"\ndpi = 0", "dpi must be"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if _, err := load(c.file); err == nil || !strings.Contains(err.Error(), c.says) {
				t.Errorf("error %v, want %q", err, c.says)
			}
		})
	}
}
