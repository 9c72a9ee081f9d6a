package docker

import (
	"archive/tar"
	"bytes"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/mount"
	"github.com/moby/moby/client"

	"github.com/lethe-cloud/lethe/internal/driver"
	"github.com/lethe-cloud/lethe/internal/driver/drivertest"
	"github.com/lethe-cloud/lethe/internal/phone"
	"github.com/lethe-cloud/lethe/internal/testenv"
)

// fastBoot is a template under which the test phone boots in no time, on the network that every daemon has.
const fastBoot = `{"privileges":"none","network":"bridge","init_args":["androidboot.simphone_boot_ms=50","androidboot.simphone_files=16"]}`

func newOwner() drivertest.Owner {
	return drivertest.Owner{Installation: phone.NewID[string](), Server: phone.NewID[phone.ServerID]()}
}

// open gives a driver with a pool of its own, as another process would have it.
func open(t *testing.T, endpoint string, owner drivertest.Owner, template string) *Driver {
	t.Helper()
	pool := NewPool(Config{
		Installation: owner.Installation,
		HelperBinary: func(string) (string, error) { return testenv.VolumeHelper(t), nil },
		Logger:       slog.New(slog.NewTextHandler(t.Output(), nil)),
	})
	t.Cleanup(func() {
		if err := pool.Close(); err != nil {
			t.Error(err)
		}
	})
	d, err := pool.Driver(phone.Server{ID: owner.Server, Endpoint: endpoint, Config: []byte(template)})
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// world is one test's driver on the real daemon, with an installation of its own. Whatever carries that installation's label
// is removed at the end.
type world struct {
	t        *testing.T
	ctx      context.Context
	endpoint string
	owner    drivertest.Owner
	d        *Driver
	raw      *client.Client
	image    phone.Image
	identity phone.ImageIdentity
}

func newWorld(t *testing.T, template string) *world {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	t.Cleanup(cancel)
	w := &world{t: t, ctx: ctx, endpoint: testenv.Docker(t), owner: newOwner()}
	w.raw = rawClient(t, w.endpoint)
	w.d = open(t, w.endpoint, w.owner, template)
	t.Cleanup(func() { w.sweep() })
	w.image = phone.Image{ID: phone.NewID[phone.ImageID](), Reference: testenv.SimphoneImage(t)}
	var err error
	if w.identity, err = w.d.Prepare(ctx, w.image); err != nil {
		t.Fatal(err)
	}
	return w
}

func rawClient(t *testing.T, endpoint string) *client.Client {
	t.Helper()
	raw, err := client.New(client.WithHost(endpoint))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = raw.Close() })
	return raw
}

// sweep removes everything with the installation's label.
func (w *world) sweep() {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	sweep(ctx, w.t, w.raw, w.d.host.labelled())
}

func sweep(ctx context.Context, t *testing.T, raw *client.Client, filter client.Filters) {
	containers, err := raw.ContainerList(ctx, client.ContainerListOptions{All: true, Filters: filter})
	report(t, err)
	for _, c := range containers.Items {
		_, err := raw.ContainerRemove(ctx, c.ID, client.ContainerRemoveOptions{Force: true, RemoveVolumes: true})
		report(t, err)
	}
	volumes, err := raw.VolumeList(ctx, client.VolumeListOptions{Filters: filter})
	report(t, err)
	for _, v := range volumes.Items {
		_, err := raw.VolumeRemove(ctx, v.Name, client.VolumeRemoveOptions{})
		report(t, err)
	}
	networks, err := raw.NetworkList(ctx, client.NetworkListOptions{Filters: filter})
	report(t, err)
	for _, n := range networks.Items {
		_, err := raw.NetworkRemove(ctx, n.ID, client.NetworkRemoveOptions{})
		report(t, err)
	}
}

func report(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Error(err)
	}
}

func (w *world) must(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) spec() driver.Spec {
	w.t.Helper()
	id := phone.NewID[phone.ID]()
	return driver.Spec{
		Ref: driver.Ref{Phone: id, Generation: 1}, Job: phone.NewID[phone.JobID](), Name: "Phone_" + string(id[:6]),
		Project: phone.NewID[phone.ProjectID](), Image: w.image, Identity: w.identity, ADBPort: testenv.Port(w.t),
	}
}

func (w *world) ensure(spec driver.Spec) driver.Instance {
	w.t.Helper()
	instance, err := w.d.Ensure(w.ctx, spec)
	w.must(err)
	return instance
}

// boot makes, starts and awaits a life.
func (w *world) boot(spec driver.Spec) driver.Instance {
	w.t.Helper()
	w.ensure(spec)
	w.must(w.d.Start(w.ctx, spec.Ref))
	return w.await(spec.Ref, func(i driver.Instance) bool { return i.Booted })
}

// await polls until the instance is as wanted.
func (w *world) await(ref driver.Ref, wanted func(driver.Instance) bool) driver.Instance {
	w.t.Helper()
	for {
		i, err := w.d.Inspect(w.ctx, ref)
		w.must(err)
		if wanted(i) {
			return i
		}
		if err := pause(w.ctx, 20*time.Millisecond); err != nil {
			w.t.Fatalf("still %+v", i)
		}
	}
}

// shortDir gives a folder whose path leaves room for a unix socket's name.
func shortDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("/tmp", "lethe-docker")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { report(t, os.RemoveAll(dir)) })
	return dir
}

// proxy stands between a driver and the daemon: it hands every call on, and may lose an answer.
type proxy struct {
	endpoint string
	calls    func() []string // "METHOD path" of what came by, without the API version
	// lie, when it is set before the first call, may answer in the daemon's place; it reports whether it has.
	lie func(http.ResponseWriter, *http.Request) bool
}

// newProxy makes a proxy that calls intercept for each request; when that returns true, the daemon does its work and the
// connection is closed in place of the answer.
func newProxy(t *testing.T, endpoint string, intercept func(*http.Request) bool) *proxy {
	t.Helper()
	socket := strings.TrimPrefix(endpoint, "unix://")
	behind := &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", socket)
	}}
	through := &httputil.ReverseProxy{
		Transport: behind, FlushInterval: -1, ErrorLog: slog.NewLogLogger(slog.DiscardHandler, 0),
		Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(&url.URL{Scheme: "http", Host: "docker"}) },
	}
	p := &proxy{lie: func(http.ResponseWriter, *http.Request) bool { return false }}
	var mu sync.Mutex
	var calls []string
	server := &http.Server{
		ReadHeaderTimeout: time.Minute,
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			mu.Lock()
			calls = append(calls, r.Method+" "+unversioned(r.URL.Path))
			mu.Unlock()
			if p.lie(w, r) {
				return
			}
			if !intercept(r) {
				through.ServeHTTP(w, r)
				return
			}
			out := r.Clone(context.WithoutCancel(r.Context()))
			out.URL.Scheme, out.URL.Host, out.RequestURI = "http", "docker", ""
			answer, err := behind.RoundTrip(out)
			if err != nil {
				t.Errorf("call the daemon: %v", err)
			} else {
				_, _ = io.Copy(io.Discard, answer.Body)
				_ = answer.Body.Close()
			}
			panic(http.ErrAbortHandler) // closes the connection
		}),
	}
	path := filepath.Join(shortDir(t), "p.sock")
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = server.Serve(l)
	}()
	t.Cleanup(func() {
		_ = server.Close()
		<-done
		behind.CloseIdleConnections()
	})
	p.endpoint = "unix://" + path
	p.calls = func() []string {
		mu.Lock()
		defer mu.Unlock()
		return append([]string(nil), calls...)
	}
	return p
}

// nothing intercepts no request.
func nothing(*http.Request) bool { return false }

// unversioned takes "/v1.41" off a path.
func unversioned(path string) string {
	if rest, ok := strings.CutPrefix(path, "/v1."); ok {
		_, after, _ := strings.Cut(rest, "/")
		return "/" + after
	}
	return path
}

// once makes an interceptor that strikes at the first request that matches.
func once(match func(*http.Request) bool) (intercept func(*http.Request) bool, struck func() bool) {
	var done atomic.Bool
	return func(r *http.Request) bool { return match(r) && done.CompareAndSwap(false, true) }, done.Load
}

// at matches requests by method and by the beginning and end of their path.
func at(method, prefix, suffix string) func(*http.Request) bool {
	return func(r *http.Request) bool {
		path := unversioned(r.URL.Path)
		return r.Method == method && strings.HasPrefix(path, prefix) && strings.HasSuffix(path, suffix)
	}
}

// hangingEndpoint takes connections and never answers.
func hangingEndpoint(t *testing.T) string {
	t.Helper()
	path := filepath.Join(shortDir(t), "h.sock")
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	var mu sync.Mutex
	var taken []net.Conn
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			mu.Lock()
			taken = append(taken, c)
			mu.Unlock()
		}
	}()
	t.Cleanup(func() {
		_ = l.Close()
		<-done
		for _, c := range taken {
			_ = c.Close()
		}
	})
	return "unix://" + path
}

// user makes a container that is not lethe's and has the volume at /data. It is not started, and removed at the end of the test.
func (w *world) user(name, volume string) (id string, remove func()) {
	w.t.Helper()
	made, err := w.raw.ContainerCreate(w.ctx, client.ContainerCreateOptions{
		Name: name, Config: &container.Config{Image: w.identity.ID},
		HostConfig: &container.HostConfig{Mounts: []mount.Mount{{Type: mount.TypeVolume, Source: volume, Target: "/data"}}},
	})
	w.must(err)
	remove = sync.OnceFunc(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		_, err := w.raw.ContainerRemove(ctx, made.ID, client.ContainerRemoveOptions{Force: true})
		report(w.t, err)
	})
	w.t.Cleanup(remove)
	return made.ID, remove
}

// copyIn writes one file into a container.
func (w *world) copyIn(id, dir, name, content string) {
	w.t.Helper()
	var b bytes.Buffer
	archive := tar.NewWriter(&b)
	w.must(archive.WriteHeader(&tar.Header{Name: name, Mode: 0o600, Size: int64(len(content))}))
	_, err := archive.Write([]byte(content))
	w.must(err)
	w.must(archive.Close())
	_, err = w.raw.CopyToContainer(w.ctx, id, client.CopyToContainerOptions{DestinationPath: dir, Content: &b})
	w.must(err)
}

// copyOut reads one file of a container.
func (w *world) copyOut(id, path string) string {
	w.t.Helper()
	out, err := w.raw.CopyFromContainer(w.ctx, id, client.CopyFromContainerOptions{SourcePath: path})
	w.must(err)
	defer out.Content.Close()
	archive := tar.NewReader(out.Content)
	_, err = archive.Next()
	w.must(err)
	content, err := io.ReadAll(archive)
	w.must(err)
	return string(content)
}

// asJSON makes what a daemon said comparable.
func asJSON(t *testing.T, v any) string {
	t.Helper()
	text, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
