package testenv

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"sync"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/lethe-cloud/lethe/internal/imagetar"
	"github.com/lethe-cloud/lethe/internal/simphone"
)

// dockerVariable says where a Docker daemon listens that tests may use: unix:///PATH or tcp://HOST:PORT.
const dockerVariable = "LETHE_TEST_DOCKER"

// Docker gives the endpoint of a Docker daemon. Other tests use it at the same time: a test makes things under an installation
// id of its own and removes them.
func Docker(t testing.TB) string {
	t.Helper()
	return require(t, "a Docker daemon", dockerVariable)
}

// SimphoneImage gives the reference of the test phone's image on the daemon of Docker. It is built from this repository and
// loaded when the daemon does not have it; it stays there for the next test run.
func SimphoneImage(t testing.TB) string {
	t.Helper()
	return SimphoneOn(t, Docker(t))
}

// SimphoneOn is SimphoneImage for a daemon of a test's own.
func SimphoneOn(t testing.TB, host string) string {
	t.Helper()
	reference, err := loadSimphone(host)
	if err != nil {
		t.Fatalf("load the test phone's image: %v", err)
	}
	return reference
}

// Simphone gives the test phone's program, for a test that makes an image of its own.
func Simphone(t testing.TB) string {
	t.Helper()
	path, err := buildSimphone()
	if err != nil {
		t.Fatalf("build the test phone: %v", err)
	}
	return path
}

// VolumeHelper gives a static program that empties volumes as `lethe volume-helper` does, for a daemon on this machine.
func VolumeHelper(t testing.TB) string {
	t.Helper()
	path, err := buildVolumeHelper()
	if err != nil {
		t.Fatalf("build the volume helper: %v", err)
	}
	return path
}

// Each program is built and each image loaded once in a test process, however many tests ask for it.
var (
	buildSimphone     = sync.OnceValues(func() (string, error) { return buildStatic("simphone") })
	buildVolumeHelper = sync.OnceValues(func() (string, error) { return buildStatic("volumehelper") })
	loaded            sync.Map // endpoint -> func() (string, error)
)

func loadSimphone(host string) (string, error) {
	once, _ := loaded.LoadOrStore(host, sync.OnceValues(func() (string, error) {
		binary, err := buildSimphone()
		if err != nil {
			return "", err
		}
		image, err := imagetar.New(simphone.Image(binary, runtime.GOARCH))
		if err != nil {
			return "", err
		}
		return image.Reference, load(host, image)
	}))
	return once.(func() (string, error))()
}

// buildStatic builds test/NAME of this module without C into a folder of this user's cache. The same sources give the same
// bytes, so the folder has one file per program, which the next run replaces.
func buildStatic(name string) (string, error) {
	cache, err := os.UserCacheDir()
	if err != nil {
		cache = os.TempDir()
	}
	dir := filepath.Join(cache, "lethe-test")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return "", err
	}
	building, err := os.MkdirTemp(dir, "build-")
	if err != nil {
		return "", err
	}
	defer os.RemoveAll(building)
	out := filepath.Join(building, name)
	cmd := exec.Command("go", "build", "-trimpath", "-buildvcs=false", "-ldflags=-s -w", "-o", out, "github.com/lethe-cloud/lethe/test/"+name)
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOFLAGS=", "GOOS=linux", "GOARCH="+runtime.GOARCH)
	if said, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("go build ./test/%s: %w\n%s", name, err, said)
	}
	path := filepath.Join(dir, name)
	return path, os.Rename(out, path) // at once, for another test process that reads it
}

// load gives the daemon the image, if it has none of that reference.
func load(host string, image *imagetar.Tar) error {
	client, base, err := dialer(host)
	if err != nil {
		return err
	}
	defer client.CloseIdleConnections()
	response, err := client.Get(base + "/images/" + image.Reference + "/json")
	if err != nil {
		return err
	}
	_ = response.Body.Close()
	if response.StatusCode == http.StatusOK {
		return nil
	}
	var content bytes.Buffer
	if err := image.Write(&content); err != nil {
		return err
	}
	response, err = client.Post(base+"/images/load?quiet=1", "application/x-tar", &content)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	said, err := io.ReadAll(response.Body)
	if err != nil {
		return err
	}
	if response.StatusCode != http.StatusOK || bytes.Contains(said, []byte(`"error"`)) {
		return fmt.Errorf("the daemon answered %s: %s", response.Status, said)
	}
	return nil
}

// dialer gives an HTTP client for a Docker endpoint and the beginning of its URLs.
func dialer(host string) (*http.Client, string, error) {
	u, err := url.Parse(host)
	if err != nil {
		return nil, "", err
	}
	switch u.Scheme {
	case "tcp":
		return &http.Client{Transport: &http.Transport{}}, "http://" + u.Host, nil
	case "unix":
		dial := func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "unix", u.Path)
		}
		return &http.Client{Transport: &http.Transport{DialContext: dial}}, "http://docker", nil
	}
	return nil, "", errors.New(dockerVariable + " must be unix:///PATH or tcp://HOST:PORT")
}

// Port gives a TCP port of this machine on which nothing listens and which no other test gets until t ends. It lies below the
// ports that the kernel hands out by itself, so that nobody takes it by chance.
func Port(t testing.TB) int {
	t.Helper()
	dir := portDir(t)
	const first, count = 20000, 12000
	start := rand.IntN(count)
	for i := range count {
		port := first + (start+i)%count
		if release, ok := lockPort(t, dir, port); ok {
			t.Cleanup(release)
			return port
		}
	}
	t.Fatal("no TCP port is free")
	return 0
}

// Ports gives the first of n TCP ports in a row, each as Port has it.
func Ports(t testing.TB, n int) int {
	t.Helper()
	for range 100 {
		first := Port(t)
		got := 1
		for got < n {
			release, ok := lockPort(t, portDir(t), first+got)
			if !ok {
				break
			}
			t.Cleanup(release)
			got++
		}
		if got == n {
			return first
		}
	}
	t.Fatalf("no %d TCP ports in a row are free", n)
	return 0
}

func portDir(t testing.TB) string {
	t.Helper()
	dir := filepath.Join(os.TempDir(), "lethe-test-ports")
	if err := os.MkdirAll(dir, 0o777); err != nil {
		t.Fatal(err)
	}
	return dir
}

// lockPort keeps the port from other tests by a lock that the kernel gives up when this process ends.
func lockPort(t testing.TB, dir string, port int) (release func(), ok bool) {
	t.Helper()
	f, err := os.OpenFile(filepath.Join(dir, strconv.Itoa(port)), os.O_CREATE|os.O_RDWR, 0o666)
	if err != nil {
		t.Fatal(err)
	}
	if unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB) != nil {
		_ = f.Close()
		return nil, false
	}
	l, err := net.Listen("tcp", ":"+strconv.Itoa(port))
	if err != nil {
		_ = f.Close()
		return nil, false
	}
	_ = l.Close()
	return func() { _ = f.Close() }, true
}
