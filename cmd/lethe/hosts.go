package main

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"reflect"
	"runtime"
	"sync"

	"github.com/lethe-cloud/lethe/internal/config"
	"github.com/lethe-cloud/lethe/internal/driver"
	"github.com/lethe-cloud/lethe/internal/driver/docker"
	"github.com/lethe-cloud/lethe/internal/driver/simulated"
	"github.com/lethe-cloud/lethe/internal/fleet"
	"github.com/lethe-cloud/lethe/internal/imagetar"
	"github.com/lethe-cloud/lethe/internal/phone"
)

// hosts gives each server its driver, made when it is first asked for and made anew when the server's row has changed.
type hosts struct {
	installation string
	folder       string // where simulated hosts lie that were given no endpoint
	models       map[string]config.PhoneModel
	docker       *docker.Pool

	mu   sync.Mutex
	open map[phone.ServerID]openHost
}

type openHost struct {
	endpoint, config string
	driver           driver.Driver
}

// helperBinary gives the file of a static lethe for an architecture; see docker.Config.
type helperBinary func(arch string) (string, error)

func newHosts(installation, folder, holder string, models []config.PhoneModel, helper helperBinary, logger *slog.Logger) *hosts {
	byName := make(map[string]config.PhoneModel, len(models))
	for _, m := range models {
		byName[m.Name] = m
	}
	return &hosts{
		installation: installation, folder: folder, models: byName, open: map[phone.ServerID]openHost{},
		docker: docker.NewPool(docker.Config{Installation: installation, Holder: holder, HelperBinary: helper, Logger: logger}),
	}
}

// Driver gives the server's driver; it connects to nothing.
func (h *hosts) Driver(_ context.Context, server phone.Server) (driver.Driver, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if o, ok := h.open[server.ID]; ok && o.endpoint == server.Endpoint && o.config == string(server.Config) {
		return o.driver, nil
	}
	d, err := h.make(server)
	if err != nil {
		return nil, err
	}
	h.open[server.ID] = openHost{endpoint: server.Endpoint, config: string(server.Config), driver: d}
	return d, nil
}

func (h *hosts) make(server phone.Server) (driver.Driver, error) {
	switch server.Driver {
	case simulated.Name:
		return simulated.Open(h.installation, server)
	case docker.Name:
		template, err := withModel(server.Config, h.models[server.PhoneModel])
		if err != nil {
			return nil, err
		}
		server.Config = template
		return h.docker.Driver(server)
	}
	return nil, phone.Errorf(phone.Invalid, "", "driver is %q: choose %s or %s", server.Driver, simulated.Name, docker.Name)
}

// withModel puts a phone model's limits and screen into a docker server's template, where that does not say otherwise.
func withModel(template []byte, m config.PhoneModel) ([]byte, error) {
	keys := map[string]any{}
	if len(template) > 0 {
		if err := json.Unmarshal(template, &keys); err != nil {
			return nil, phone.Errorf(phone.Invalid, "", "the server's template is not one JSON object: %w", err)
		}
	}
	for key, value := range map[string]any{
		"cpus": m.CPUs, "memory": m.Memory, "pids_limit": m.PidsLimit, "width": m.Width, "height": m.Height, "dpi": m.DPI, "fps": m.FPS,
	} {
		if _, given := keys[key]; !given && !reflect.ValueOf(value).IsZero() {
			keys[key] = value
		}
	}
	return json.Marshal(keys)
}

// Rules gives what a kind of driver knows about properties.
func (h *hosts) Rules(name string) driver.PropertyRules {
	if name == docker.Name {
		return docker.Rules()
	}
	return simulated.Rules()
}

// check is a phone.PropertyCheck.
func (h *hosts) check(name string, properties phone.Properties) *phone.Error {
	return h.Rules(name).Check(properties)
}

// checkKeys says why a kind of driver cannot say whose adb a phone lets in, or nil.
func (h *hosts) checkKeys(name string) *phone.Error {
	var kind driver.Driver = (*simulated.Driver)(nil)
	if name == docker.Name {
		kind = (*docker.Driver)(nil)
	}
	if _, can := kind.(driver.KeySetter); !can {
		return phone.Errorf(phone.Precondition, phone.ReasonNoADBKeys, "the driver %s of the server cannot say whose adb a phone lets in", name)
	}
	return nil
}

// checkServer completes a new server's endpoint and refuses what its driver cannot run; it asks no host.
func (h *hosts) checkServer(server *phone.Server) *phone.Error {
	if server.Driver == simulated.Name && server.Endpoint == "" {
		server.Endpoint = "sim://" + filepath.Join(h.folder, string(server.ID))
	}
	if server.Driver == docker.Name && server.Endpoint == "" {
		server.Endpoint = "unix:///var/run/docker.sock"
	}
	if _, known := h.models[server.PhoneModel]; !known && server.PhoneModel != fleet.DefaultPhoneModel {
		return &phone.Error{
			Code: phone.Invalid, Field: "phone_model_name",
			Msg: fmt.Sprintf("there is no phone model %q: name one of the configuration's [[phone_models]], or none", server.PhoneModel),
		}
	}
	if _, err := h.make(*server); err != nil {
		return phone.Errorf(phone.Invalid, "", "%w", err)
	}
	return nil
}

func (h *hosts) Close() error { return h.docker.Close() }

// ownBinary is the helperBinary of an installed lethe: this very program, which has to be static to run in an image of its own.
func ownBinary(arch string) (string, error) {
	const cure = "build lethe with `make build` (CGO_ENABLED=0), or name a helper_image in the server's template"
	path, err := os.Executable()
	if err != nil {
		return "", fmt.Errorf("this program's file cannot be found (%w): %s", err, cure)
	}
	if arch != runtime.GOARCH {
		return "", fmt.Errorf("the host is %s and this lethe is built for %s: name a helper_image in the server's template", arch, runtime.GOARCH)
	}
	if _, err := imagetar.Static(path); err != nil {
		return "", fmt.Errorf("this lethe cannot run in an image of its own (%w): %s", err, cure)
	}
	return path, nil
}
