package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/lethe-cloud/lethe/api"
	"github.com/lethe-cloud/lethe/internal/driver/docker"
	"github.com/lethe-cloud/lethe/internal/driver/simulated"
	"github.com/lethe-cloud/lethe/internal/phone"
	"github.com/lethe-cloud/lethe/internal/simphone"
	"github.com/lethe-cloud/lethe/internal/store"
	"github.com/lethe-cloud/lethe/internal/testenv"
)

// fleetHost is where the phones of a test run.
type fleetHost struct {
	addServer   func(p *process, phones int) // waits until they run
	secondImage func(p *process) string      // its id
	// objects is everything on the host that bears this installation's label: "instance PHONE GENERATION", "volume PHONE
	// GENERATION", or the host's own words for what is neither; sorted.
	objects func(p *process) []string
}

// installation asks the database, not lethe.
func (p *process) installation() string {
	p.t.Helper()
	database := p.database
	if database == "" {
		database = "sqlite:" + filepath.Join(p.data, "lethe.db")
	}
	st, err := store.Open(p.t.Context(), store.Config{URL: database})
	if err != nil {
		p.t.Fatal(err)
	}
	defer func() {
		if err := st.Close(); err != nil {
			p.t.Error(err)
		}
	}()
	id, err := st.Installation(p.t.Context())
	if err != nil {
		p.t.Fatal(err)
	}
	return id
}

func addImage(p *process, name, reference string) string {
	p.t.Helper()
	var image api.Image
	if err := json.Unmarshal(p.lethe("image", "add", "--name", name, "--reference", reference), &image); err != nil {
		p.t.Fatal(err)
	}
	return image.ImageID
}

func simulatedHost(t *testing.T) fleetHost {
	return fleetHost{
		addServer: func(p *process, phones int) {
			addImage(p, "first", "first")
			p.lethe("server", "add", "--name", "rack", "--driver", "simulated", "--phones", fmt.Sprint(phones), "--image", "first",
				"--concurrent-boots", "3", "--boot-time", "80ms", "--wait")
		},
		secondImage: func(p *process) string { return addImage(p, "second", "second") },
		objects: func(p *process) []string {
			var servers api.Servers
			p.request(http.MethodGet, "/lethe/v1/servers", nil, &servers)
			host, err := simulated.Open(p.installation(), phone.Server{ID: phone.ServerID(servers.Servers[0].ServerID), Endpoint: servers.Servers[0].Endpoint})
			if err != nil {
				t.Fatal(err)
			}
			objects, err := host.List(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			var out []string
			for _, o := range objects {
				out = append(out, fmt.Sprintf("%s %s %d", o.Kind, o.Phone, o.Generation))
			}
			slices.Sort(out)
			return out
		},
	}
}

func dockerHost(t *testing.T) fleetHost {
	endpoint, image := testenv.Docker(t), testenv.SimphoneImage(t)
	return fleetHost{
		addServer: func(p *process, phones int) {
			installation := p.installation()
			t.Cleanup(func() {
				if err := docker.Purge(context.Background(), endpoint, installation); err != nil {
					t.Error(err)
				}
			})
			template := filepath.Join(t.TempDir(), "template.toml")
			text := fmt.Sprintf("privileges = \"none\"\ninit_args = [\"%s=200\"]\n", simphone.ArgBootMillis)
			if err := os.WriteFile(template, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
			addImage(p, "first", image)
			p.lethe("server", "add", "--name", "rack", "--driver", "docker", "--endpoint", endpoint, "--phones", fmt.Sprint(phones),
				"--image", "first", "--concurrent-boots", "3", "--template", template, "--port-base", fmt.Sprint(testenv.Ports(t, phones)), "--wait")
		},
		secondImage: func(p *process) string { return addImage(p, "second", image) },
		objects:     func(p *process) []string { return dockerObjects(t, endpoint, p.installation()) },
	}
}

// dockerObjects asks the daemon itself.
func dockerObjects(t *testing.T, endpoint, installation string) []string {
	t.Helper()
	socket := strings.TrimPrefix(endpoint, "unix://")
	daemon := &http.Client{Transport: &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", socket)
	}}}
	defer daemon.CloseIdleConnections()
	ask := func(path string, out any) {
		t.Helper()
		filters := url.Values{"all": {"1"}, "filters": {`{"label":["cloud.lethe.installation=` + installation + `"]}`}}
		res, err := daemon.Get("http://docker" + path + "?" + filters.Encode())
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		if err := json.NewDecoder(res.Body).Decode(out); err != nil {
			t.Fatal(err)
		}
	}
	type labelled struct {
		Name   string            `json:"Name"`
		Names  []string          `json:"Names"`
		Labels map[string]string `json:"Labels"`
	}
	var containers []labelled
	var volumes struct{ Volumes []labelled }
	ask("/containers/json", &containers)
	ask("/volumes", &volumes)
	var out []string
	describe := func(kind string, o labelled) {
		if id := o.Labels["cloud.lethe.phone"]; id != "" {
			out = append(out, fmt.Sprintf("%s %s %s", kind, id, o.Labels["cloud.lethe.generation"]))
			return
		}
		out = append(out, fmt.Sprintf("%s %s%v", kind, o.Name, o.Names))
	}
	for _, c := range containers {
		describe("instance", c)
	}
	for _, v := range volumes.Volumes {
		describe("volume", v)
	}
	slices.Sort(out)
	return out
}
