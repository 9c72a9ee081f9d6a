package main

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/lethe-cloud/lethe/internal/config"
	"github.com/lethe-cloud/lethe/internal/phone"
)

// fakeApplication behaves like an application that has one route, which waits until it is let go.
type fakeApplication struct {
	in      installation
	entered chan struct{} // a request is inside
	letGo   chan struct{} // it may end
	stopped chan struct{} // Run has been asked to end and has ended
	fail    chan error    // Run ends with it
	mu      sync.Mutex
	closed  bool
}

func newFakeApplication() *fakeApplication {
	return &fakeApplication{entered: make(chan struct{}, 8), letGo: make(chan struct{}), stopped: make(chan struct{}), fail: make(chan error, 1)}
}

func (a *fakeApplication) build(_ context.Context, _ config.Config, in installation, _ *slog.Logger) (application, error) {
	a.in = in
	return a, nil
}

func (a *fakeApplication) Handler() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/quick" {
			return
		}
		a.entered <- struct{}{}
		select {
		case <-a.letGo:
			_, _ = io.WriteString(w, "answered")
		case <-r.Context().Done():
		}
	})
}

func (a *fakeApplication) Run(ctx context.Context) error {
	defer close(a.stopped)
	select {
	case <-ctx.Done():
		return nil
	case err := <-a.fail:
		return err
	}
}

func (a *fakeApplication) Close() error {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.closed = true
	return nil
}

func (a *fakeApplication) wasClosed() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.closed
}

func testConfig(t *testing.T) config.Config {
	t.Helper()
	cfg := config.Default()
	cfg.Data = filepath.Join(t.TempDir(), "data")
	cfg.Listen = "127.0.0.1:0"
	return cfg
}

func quiet() *slog.Logger { return slog.New(slog.DiscardHandler) }

// startTestServer starts a server that ends with the test.
func startTestServer(t *testing.T, cfg config.Config, app *fakeApplication) *server {
	t.Helper()
	s, err := startServer(t.Context(), cfg, quiet(), app.build)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Stop(context.Background()) }) // the test has looked at the error, where it matters
	return s
}

func wait(t *testing.T, what string, signal <-chan struct{}) {
	t.Helper()
	select {
	case <-signal:
	case <-time.After(30 * time.Second):
		t.Fatalf("%s did not happen within 30 seconds", what)
	}
}

func TestStopAnswersOpenRequestsAndStopsWork(t *testing.T) {
	t.Parallel()
	app := newFakeApplication()
	s := startTestServer(t, testConfig(t), app)
	answer := make(chan string, 1)
	go func() {
		res, err := http.Get(s.URL + "/")
		if err != nil {
			answer <- err.Error()
			return
		}
		defer res.Body.Close()
		body, _ := io.ReadAll(res.Body)
		answer <- string(body)
	}()
	wait(t, "the request", app.entered)
	stopped := make(chan error, 1)
	go func() { stopped <- s.Stop(context.Background()) }()
	wait(t, "the end of work", app.stopped)
	select {
	case <-s.Ended():
		t.Fatal("the server ended while a request was open")
	default:
	}
	close(app.letGo)
	if got := <-answer; got != "answered" {
		t.Errorf("the open request got %q, want its answer", got)
	}
	if err := <-stopped; err != nil {
		t.Errorf("Stop: %v", err)
	}
	if !app.wasClosed() {
		t.Error("the application was not closed")
	}
	if res, err := http.Get(s.URL + "/quick"); err == nil {
		res.Body.Close()
		t.Error("the server still answers after Stop")
	}
	again := startTestServer(t, config.Config{Data: filepath.Dir(s.Credentials), Listen: strings.TrimPrefix(s.URL, "http://")}, newFakeApplication())
	if again.URL != s.URL {
		t.Errorf("folder and port were not given back: %s", again.URL)
	}
}

func TestServerEndsWhenWorkFails(t *testing.T) {
	t.Parallel()
	app := newFakeApplication()
	s := startTestServer(t, testConfig(t), app)
	broken := errors.New("the database is gone")
	app.fail <- broken
	wait(t, "the end of the server", s.Ended())
	if err := s.Stop(t.Context()); !errors.Is(err, broken) {
		t.Errorf("Stop gives %v, want why the server ended", err)
	}
	if !app.wasClosed() {
		t.Error("the application was not closed")
	}
}

func TestServerEndsWhenWorkEndsUnasked(t *testing.T) {
	t.Parallel()
	app := newFakeApplication()
	s := startTestServer(t, testConfig(t), app)
	app.fail <- nil
	wait(t, "the end of the server", s.Ended())
	if err := s.Stop(t.Context()); err == nil {
		t.Error("Stop gives no error, want one that says that work ended")
	}
}

// A request that does not end is cut off; the server ends all the same.
func TestEndlessRequestsAreCutOff(t *testing.T) {
	t.Parallel()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	app := newFakeApplication()
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() {
		ended <- serving{app: app, listener: listener, drain: time.Millisecond, logger: quiet()}.run(ctx)
	}()
	answer := make(chan error, 1)
	go func() {
		res, err := http.Get("http://" + listener.Addr().String())
		if err == nil {
			res.Body.Close()
		}
		answer <- err
	}()
	wait(t, "the request", app.entered)
	stop()
	if err := <-ended; err != nil {
		t.Errorf("the server ended with %v", err)
	}
	if err := <-answer; err == nil {
		t.Error("the request was answered; it should have been cut off")
	}
}

// A request that never ends is not waited for longer than Stop's context says.
func TestStopKeepsItsDeadline(t *testing.T) {
	t.Parallel()
	app := newFakeApplication()
	s := startTestServer(t, testConfig(t), app)
	answered := make(chan struct{})
	go func() {
		defer close(answered)
		if res, err := http.Get(s.URL); err == nil {
			res.Body.Close()
		}
	}()
	wait(t, "the request", app.entered)
	over, cancel := context.WithCancel(context.Background())
	cancel()
	if err := s.Stop(over); !errors.Is(err, context.Canceled) {
		t.Errorf("Stop gives %v, want that its context ended", err)
	}
	close(app.letGo)
	wait(t, "the answer", answered)
	wait(t, "the end of the server", s.Ended())
}

func TestStartRefusals(t *testing.T) {
	t.Parallel()
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { taken.Close() })
	inUse := testConfig(t)
	startTestServer(t, inUse, newFakeApplication())
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	oddReplica := testConfig(t)
	if err := os.Mkdir(oddReplica.Data, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(oddReplica.Data, "replica"), []byte("me"), 0o600); err != nil {
		t.Fatal(err)
	}
	with := func(change func(*config.Config)) config.Config {
		cfg := testConfig(t)
		change(&cfg)
		return cfg
	}
	tests := []struct {
		name string
		cfg  config.Config
		want string
	}{
		{"folder in use", inUse, "another lethe is running on the data folder"},
		{"folder is a file", with(func(c *config.Config) { c.Data = file }), "choose another with --data"},
		{"folder in a file", with(func(c *config.Config) { c.Data = filepath.Join(file, "data") }), "choose another with --data"},
		{"replica unreadable", oddReplica, "does not hold 32 hex digits"},
		{"port in use", with(func(c *config.Config) { c.Listen = taken.Addr().String() }), "choose another with --listen"},
		{"address of another machine", with(func(c *config.Config) { c.Listen = "192.0.2.77:8774" }), "choose an address of this machine with --listen"},
		{"no certificate", with(func(c *config.Config) { c.TLSCert, c.TLSKey = file+".crt", file+".key" }), "must be readable PEM files"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			_, err := startServer(t.Context(), tt.cfg, quiet(), newFakeApplication().build)
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want it to say %q", err, tt.want)
			}
			if err != nil && strings.Contains(err.Error(), "\n") {
				t.Errorf("the error has more than one line: %q", err)
			}
		})
	}
}

func TestFailedBuildLeavesNothing(t *testing.T) {
	t.Parallel()
	cfg := testConfig(t)
	broken := errors.New("the database does not answer")
	var endpoint string
	_, err := startServer(t.Context(), cfg, quiet(), func(_ context.Context, _ config.Config, in installation, _ *slog.Logger) (application, error) {
		endpoint = in.Endpoint
		return nil, broken
	})
	if !errors.Is(err, broken) {
		t.Fatalf("got %v, want why building failed", err)
	}
	cfg.Listen = strings.TrimPrefix(endpoint, "http://")
	startTestServer(t, cfg, newFakeApplication()) // fails when the folder or the port is still held
}

func TestReplicaPersistsAndFolderIsPrivate(t *testing.T) {
	t.Parallel()
	cfg := testConfig(t)
	var ids []phone.ReplicaID
	for range 2 {
		app := newFakeApplication()
		s := startTestServer(t, cfg, app)
		ids = append(ids, app.in.Replica)
		if err := s.Stop(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if !phone.ValidID(ids[0]) || ids[0] != ids[1] {
		t.Errorf("replica ids of two starts are %q, want the same 32 hex digits", ids)
	}
	for name, want := range map[string]os.FileMode{".": 0o700 | os.ModeDir, "lock": 0o600, "replica": 0o600} {
		info, err := os.Stat(filepath.Join(cfg.Data, name))
		if err != nil {
			t.Fatal(err)
		}
		if info.Mode() != want {
			t.Errorf("%s has mode %s, want %s", name, info.Mode(), want)
		}
	}
}

func TestEndpointIsWhatCallersUse(t *testing.T) {
	t.Parallel()
	cfg := testConfig(t)
	cfg.Listen = "0.0.0.0:0"
	s := startTestServer(t, cfg, newFakeApplication())
	if !strings.HasPrefix(s.URL, "http://127.0.0.1:") || !s.Exposed {
		t.Errorf("URL %s, exposed %v: want a loopback URL and exposed", s.URL, s.Exposed)
	}
	cfg = testConfig(t)
	cfg.Advertise = "https://phones.example.com"
	app := newFakeApplication()
	s = startTestServer(t, cfg, app)
	if s.URL != cfg.Advertise || app.in.Endpoint != cfg.Advertise || s.Exposed {
		t.Errorf("URL %s, endpoint %s, exposed %v: want the advertised URL, and not exposed", s.URL, app.in.Endpoint, s.Exposed)
	}
}

// serveCommand runs the whole command line with a fake application.
func serveCommand(ctx context.Context, stderr io.Writer, build builder, getenv func(string) string, args ...string) error {
	env := newEnvironment(getenv, strings.NewReader(""), io.Discard, stderr)
	root := newRoot(env, build)
	root.SetArgs(args)
	err := root.ExecuteContext(ctx)
	printError(env, err)
	return err
}

func noEnvironment(string) string { return "" }

func TestServeCommandSaysWhereItListensAndEnds(t *testing.T) {
	t.Parallel()
	data := filepath.Join(t.TempDir(), "data")
	ctx, interrupt := context.WithCancel(t.Context())
	defer interrupt()
	var stderr bytes.Buffer
	app := newFakeApplication()
	build := func(ctx context.Context, cfg config.Config, in installation, logger *slog.Logger) (application, error) {
		interrupt() // as early as a signal can come
		return app.build(ctx, cfg, in, logger)
	}
	getenv := func(name string) string { return map[string]string{"LETHE_LISTEN": "127.0.0.1:0"}[name] }
	if err := serveCommand(ctx, &stderr, build, getenv, "serve", "--data", data, "--log-level", "error"); err != nil {
		t.Fatal(err)
	}
	want := "lethe: listening on " + app.in.Endpoint + ", credentials in " + filepath.Join(data, "credentials.json") + "\n"
	if stderr.String() != want {
		t.Errorf("stderr is %q, want %q", stderr.String(), want)
	}
	if !app.wasClosed() {
		t.Error("the application was not closed")
	}
}

func TestServeCommandRefusesWrongSettings(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "lethe.toml")
	if err := os.WriteFile(file, []byte("lisen = \"127.0.0.1:0\"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name string
		args []string
		want string
	}{
		{"no folder", []string{"serve"}, "--data"},
		{"unknown flag", []string{"serve", "--data", "DATA", "--lisen", "x"}, "--lisen"},
		{"flag without value", []string{"serve", "--data"}, "--data"},
		{"an argument", []string{"serve", "now", "--data", "DATA"}, "now"},
		{"bad value", []string{"serve", "--data", "DATA", "--listen", "x"}, "listen"},
		{"unknown key", []string{"serve", "--data", "DATA", "--config", file}, "lisen"},
		{"empty config", []string{"serve", "--data", "DATA", "--config", ""}, "--config"},
		{"missing config", []string{"serve", "--data", "DATA", "--config", file + ".none"}, file + ".none"},
		{"unknown command", []string{"sevre"}, "sevre"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			data := filepath.Join(t.TempDir(), "data")
			for i, arg := range tt.args {
				if arg == "DATA" {
					tt.args[i] = data
				}
			}
			var stderr bytes.Buffer
			err := serveCommand(t.Context(), &stderr, newFakeApplication().build, noEnvironment, tt.args...)
			if exitCode(err) != exitUsage {
				t.Errorf("exit code %d (%v), want %d", exitCode(err), err, exitUsage)
			}
			line := stderr.String()
			if strings.Count(line, "\n") != 1 || !strings.HasPrefix(line, "lethe: ") || !strings.Contains(line, tt.want) {
				t.Errorf("stderr is %q, want one line that names %q", line, tt.want)
			}
			if _, err := os.Stat(data); !os.IsNotExist(err) {
				t.Errorf("the data folder was made: %v", err)
			}
		})
	}
}
