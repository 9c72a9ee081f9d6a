package main

import (
	"encoding/json"
	"log/slog"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/lethe-cloud/lethe/internal/config"
	"github.com/lethe-cloud/lethe/internal/fleet"
	"github.com/lethe-cloud/lethe/internal/phone"
)

// A server's template goes before its phone model.
func TestPhoneModelLimits(t *testing.T) {
	t.Parallel()
	model := config.PhoneModel{Name: "small", CPUs: 1.5, Memory: "2g", Width: 720}
	for name, c := range map[string]struct {
		template string
		model    config.PhoneModel
		want     map[string]any
	}{
		"no template":  {"", model, map[string]any{"cpus": 1.5, "memory": "2g", "width": 720.}},
		"template won": {`{"memory":"8g","dns":["1.1.1.1"]}`, model, map[string]any{"cpus": 1.5, "memory": "8g", "width": 720., "dns": []any{"1.1.1.1"}}},
		"no model":     {`{"cpus":3}`, config.PhoneModel{}, map[string]any{"cpus": 3.}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			merged, err := withModel([]byte(c.template), c.model)
			if err != nil {
				t.Fatal(err)
			}
			var got map[string]any
			if err := json.Unmarshal(merged, &got); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("template (-want +got):\n%s", diff)
			}
		})
	}
	if _, err := withModel([]byte(`[]`), model); err == nil {
		t.Error("a template that is a list was taken")
	}
}

func TestUnknownPhoneModel(t *testing.T) {
	t.Parallel()
	h := newHosts("i", t.TempDir(), "h", []config.PhoneModel{{Name: "small"}}, ownBinary, slog.New(slog.DiscardHandler))
	for model, ok := range map[string]bool{"small": true, fleet.DefaultPhoneModel: true, "smal": false} {
		server := phone.Server{ID: phone.NewID[phone.ServerID](), Name: "rack", Driver: "docker", Endpoint: "unix:///d.sock", PhoneModel: model}
		if err := h.checkServer(&server); (err == nil) != ok {
			t.Errorf("phone model %q: %v", model, err)
		}
	}
}

// Servers of both drivers can have key pairs.
func TestKeyDrivers(t *testing.T) {
	t.Parallel()
	h := newHosts("i", t.TempDir(), "h", nil, ownBinary, slog.New(slog.DiscardHandler))
	for _, name := range []string{"simulated", "docker"} {
		if err := h.checkKeys(name); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}
