package faults

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/lethe-cloud/lethe/api"
	"github.com/lethe-cloud/lethe/internal/driver/docker"
	"github.com/lethe-cloud/lethe/internal/phone"
	"github.com/lethe-cloud/lethe/internal/simphone"
	"github.com/lethe-cloud/lethe/internal/testenv"
)

// daemonHost is one server's share of a Docker host, asked for at the daemon itself.
type daemonHost struct {
	id      string
	daemon  *daemon
	foreign string // a volume of another installation
}

// daemon speaks the Docker API with nothing of lethe in between.
type daemon struct {
	t      testing.TB
	client *http.Client
	base   string
}

func newDaemon(t testing.TB, endpoint string) *daemon {
	t.Helper()
	network, address := endpointParts(t, endpoint)
	d := &daemon{t: t, base: "http://docker", client: &http.Client{Timeout: patience, Transport: &http.Transport{
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, network, address)
		},
	}}}
	t.Cleanup(d.client.CloseIdleConnections)
	return d
}

func endpointParts(t testing.TB, endpoint string) (network, address string) {
	t.Helper()
	u, err := url.Parse(endpoint)
	if err != nil {
		t.Fatal(err)
	}
	if u.Scheme == "unix" {
		return "unix", u.Path
	}
	return "tcp", u.Host
}

// ask makes one call and gives its status; out, when given, gets the answer.
func (d *daemon) ask(method, path string, in, out any) int {
	d.t.Helper()
	var body io.Reader
	if in != nil {
		raw, err := json.Marshal(in)
		if err != nil {
			d.t.Fatal(err)
		}
		body = bytes.NewReader(raw)
	}
	request, err := http.NewRequest(method, d.base+path, body)
	if err != nil {
		d.t.Fatal(err)
	}
	request.Header.Set("Content-Type", "application/json")
	response, err := d.client.Do(request)
	if err != nil {
		d.t.Fatal(err)
	}
	defer response.Body.Close()
	raw, err := io.ReadAll(response.Body)
	if err != nil {
		d.t.Fatal(err)
	}
	switch text, ok := out.(*string); {
	case ok:
		*text = string(raw)
	case out != nil && response.StatusCode < 300:
		if err := json.Unmarshal(raw, out); err != nil {
			d.t.Fatalf("%s %s: %v\n%s", method, path, err, raw)
		}
	case response.StatusCode >= 300 && response.StatusCode != http.StatusNotFound:
		d.t.Fatalf("%s %s: %s %s", method, path, response.Status, raw)
	}
	return response.StatusCode
}

// template is a docker server's configuration whose phones get these arguments.
func template(args ...string) json.RawMessage {
	raw, err := json.Marshal(map[string]any{"privileges": "none", "init_args": append([]string{simphone.ArgBootMillis + "=150"}, args...)})
	if err != nil {
		panic(err)
	}
	return raw
}

// addDocker adds a server on a Docker host; lethe reaches it at endpoint, the checks at d.
func (in *installation) addDocker(d *daemon, endpoint string, server api.AddServer) *daemonHost {
	in.t.Helper()
	server.Driver, server.Endpoint = "docker", endpoint
	server.PortBase = testenv.Ports(in.t, server.PhoneCount)
	h := &daemonHost{id: in.addServer(server), daemon: d, foreign: "lethe-" + phone.NewID[string]() + "-g1-data"}
	d.ask(http.MethodPost, "/volumes/create", map[string]any{"Name": h.foreign, "Labels": map[string]string{
		"cloud.lethe.installation": phone.NewID[string](), "cloud.lethe.kind": "volume", "cloud.lethe.server": h.id,
		"cloud.lethe.phone": phone.NewID[string](), "cloud.lethe.generation": "1",
	}}, nil)
	in.t.Cleanup(func() { d.ask(http.MethodDelete, "/volumes/"+h.foreign, nil, nil) })
	in.hosts = append(in.hosts, h)
	return h
}

// purge removes what the installation leaves on a Docker host, when the replicas have ended.
func purge(t testing.TB, endpoint string, in **installation) {
	t.Cleanup(func() {
		if *in == nil || (*in).installationID == "" {
			return
		}
		if err := docker.Purge(context.Background(), endpoint, (*in).installationID); err != nil {
			t.Error(err)
		}
	})
}

func (h *daemonHost) server() string { return h.id }

func (h *daemonHost) mark(t testing.TB, phones []phoneRow) {
	t.Helper()
	for _, p := range phones {
		var volume struct{ Mountpoint string }
		name := fmt.Sprintf("lethe-%s-g%d-data", p.id, p.generation)
		if h.daemon.ask(http.MethodGet, "/volumes/"+name, nil, &volume) != http.StatusOK {
			continue // it failed before it had one
		}
		if err := os.WriteFile(filepath.Join(volume.Mountpoint, markName+strconv.FormatInt(p.generation, 10)), []byte("old data"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

func (h *daemonHost) objects(t testing.TB, in *installation) []object {
	t.Helper()
	if h.daemon.ask(http.MethodGet, "/volumes/"+h.foreign, nil, nil) != http.StatusOK {
		t.Errorf("I4: volume %s is not lethe's and is gone", h.foreign)
	}
	query := "?" + url.Values{"all": {"1"}, "filters": {fmt.Sprintf(`{"label":["cloud.lethe.installation=%s","cloud.lethe.server=%s"]}`, in.installationID, h.id)}}.Encode()
	var containers []struct {
		ID     string `json:"Id"`
		State  string
		Labels map[string]string
	}
	var volumes struct {
		Volumes []struct {
			Name, Mountpoint string
			Labels           map[string]string
		}
	}
	h.daemon.ask(http.MethodGet, "/containers/json"+query, nil, &containers)
	h.daemon.ask(http.MethodGet, "/volumes"+query, nil, &volumes)
	var all []object
	for _, c := range containers {
		if c.Labels["cloud.lethe.kind"] != "instance" {
			continue // the container that empties volumes
		}
		o := labelled(t, c.Labels)
		o.running = c.State == "running"
		o.booted = o.running && h.booted(c.ID)
		all = append(all, o)
	}
	for _, v := range volumes.Volumes {
		o := labelled(t, v.Labels)
		o.volume = true
		err := filepath.WalkDir(v.Mountpoint, func(_ string, e fs.DirEntry, err error) error {
			if err == nil && strings.HasPrefix(e.Name(), markName) {
				o.marks = append(o.marks, e.Name())
			}
			return nil // the phone that uses it may be removing files
		})
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, o)
	}
	return all
}

func labelled(t testing.TB, labels map[string]string) object {
	t.Helper()
	generation, err := strconv.ParseInt(labels["cloud.lethe.generation"], 10, 64)
	if err != nil {
		t.Errorf("I4: an object with the labels %v", labels)
	}
	return object{phone: labels["cloud.lethe.phone"], generation: generation, job: labels["cloud.lethe.job"]}
}

// booted asks the phone.
func (h *daemonHost) booted(container string) bool {
	var exec struct {
		ID string `json:"Id"`
	}
	h.daemon.ask(http.MethodPost, "/containers/"+container+"/exec", map[string]any{"AttachStdout": true, "Tty": true, "Cmd": []string{"getprop", "sys.boot_completed"}}, &exec)
	var said string
	h.daemon.ask(http.MethodPost, "/exec/"+exec.ID+"/start", map[string]any{"Tty": true}, &said)
	return strings.TrimSpace(said) == "1"
}

// A Docker daemon that answers late, whose connections are cut at random moments (it did what was asked and nobody heard), and that
// then does not answer at all while another host's batch goes through: nothing fails.
func TestDockerDaemonAway(t *testing.T) {
	t.Parallel()
	endpoint, reference := testenv.Docker(t), testenv.SimphoneImage(t)
	var in *installation
	purge(t, endpoint, &in)
	in = install(t, config{database: testenv.Postgres(t)})
	random := newRandom(t)
	image := in.addImage("first", reference)
	network, address := endpointParts(t, endpoint)
	socket := filepath.Join(in.root, "gate.sock")
	g := newGate(t, "unix", socket, network, address)
	h := in.addDocker(newDaemon(t, endpoint), "unix://"+socket, api.AddServer{
		ServerName: "rack", PhoneCount: 4, ImageID: image, MaxConcurrentBoots: 3, Config: template(),
	})
	in.wantFailed(h.id, nil)
	neighbour := in.addSimulated("shelf", image, 6, 3, `{"boot_time":"30ms"}`)
	for range rounds(t, 1) {
		g.slow(time.Duration(random.IntN(10)) * time.Millisecond)
		in.resetAll(in.replicas[random.IntN(len(in.replicas))], h)
		for range 3 {
			in.awaitChanges(1 + random.IntN(4))
			g.cut()
		}
		in.settle()
		in.wantFailed(h.id, nil)

		in.resetAll(in.replicas[random.IntN(len(in.replicas))], h)
		in.awaitChanges(1 + random.IntN(8))
		if random.IntN(2) == 0 {
			g.hang(true)
		} else {
			g.refuse(true)
			g.cut()
		}
		in.resetAll(in.replicas[random.IntN(len(in.replicas))], neighbour)
		eventually(t, "a neighbour's jobs end while a daemon is away", func() bool {
			return in.count(`SELECT count(*) FROM jobs WHERE ended_at IS NULL AND server_id = $1`, neighbour.id) == 0
		})
		g.hang(false)
		g.refuse(false)
		in.settle()
		in.wantFailed(h.id, nil)
		in.wantFailed(neighbour.id, nil)
	}
	in.check()
}

// Phones on Docker that end while they boot, never boot, cannot get their image, or leave a volume that somebody else uses: each
// says why and what to do, the phones of another server on the same host run, and all are reset when the cause is gone.
func TestDockerPhonesThatFail(t *testing.T) {
	t.Parallel()
	endpoint, reference := testenv.Docker(t), testenv.SimphoneImage(t)
	var in *installation
	purge(t, endpoint, &in)
	in = install(t, config{database: testenv.Postgres(t), flags: []string{"--host-deadline", "5s"}})
	image := in.addImage("first", reference)
	missing := in.addImage("ghost", "127.0.0.1:1/nobody/ghost:1")
	d := newDaemon(t, endpoint)
	exits := in.addDocker(d, endpoint, api.AddServer{ServerName: "exits", PhoneCount: 1, ImageID: image, Config: template(simphone.ArgExitCode + "=7")})
	hangs := in.addDocker(d, endpoint, api.AddServer{
		ServerName: "hangs", PhoneCount: 1, ImageID: image, BootTimeoutMS: 3000, Config: template(simphone.ArgHang + "=" + simphone.HangBoot),
	})
	good := in.addDocker(d, endpoint, api.AddServer{ServerName: "good", PhoneCount: 3, ImageID: image, MaxConcurrentBoots: 3, Config: template()})
	in.wantFailed(exits.id, map[string]string{"exits-0001": "CPS.0003"})
	in.wantFailed(hangs.id, map[string]string{"hangs-0001": "CPS.0054"})
	in.wantFailed(good.id, nil)

	// The operator mends the servers, and a stranger's container uses the volume of one good phone.
	in.exec(`UPDATE servers SET config = $1, boot_timeout = 300000000 WHERE id IN ($2, $3)`, string(template()), exits.id, hangs.id)
	used := in.phones(`server_id = $1`, good.id)[0]
	var user struct {
		ID string `json:"Id"`
	}
	d.ask(http.MethodPost, "/containers/create", map[string]any{"Image": reference, "Cmd": []string{"none"}, "HostConfig": map[string]any{
		"Binds": []string{fmt.Sprintf("lethe-%s-g%d-data:/used", used.id, used.generation)},
	}}, &user)
	t.Cleanup(func() { d.ask(http.MethodDelete, "/containers/"+user.ID+"?force=1", nil, nil) })
	for i, h := range []*daemonHost{exits, hangs, good} {
		in.resetAll(in.replicas[i], h)
	}
	in.settle()
	in.wantFailed(exits.id, nil)
	in.wantFailed(hangs.id, nil)
	in.wantFailed(good.id, map[string]string{used.name: "CPS.0003"})
	d.ask(http.MethodDelete, "/containers/"+user.ID+"?force=1", nil, nil)

	// One phone of the good server is to get an image that nobody has.
	in.reset(in.replicas[0], missing, in.phones(`server_id = $1 AND name = 'good-0002'`, good.id))
	in.reset(in.replicas[1], image, in.phones(`server_id = $1 AND name <> 'good-0002'`, good.id))
	in.settle()
	in.wantFailed(good.id, map[string]string{"good-0002": "CPS.0166"})
	in.reset(in.replicas[2], image, in.phones(`server_id = $1`, good.id))
	in.settle()
	in.wantFailed(good.id, nil)
	in.check()
}
