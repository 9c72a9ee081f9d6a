package docker

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/lethe-cloud/lethe/internal/driver"
	"github.com/lethe-cloud/lethe/internal/phone"
)

// fakeDaemon answers each versioned call by answer, and pings like a real one.
func fakeDaemon(t *testing.T, answer http.HandlerFunc) *Driver {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, "/_ping") {
			w.Header().Set("Api-Version", "1.41")
			return
		}
		answer(w, r)
	}))
	t.Cleanup(server.Close)
	return open(t, strings.Replace(server.URL, "http://", "tcp://", 1), newOwner(), fastBoot)
}

func says(status int, message string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(status)
		fmt.Fprintf(w, `{"message":%q}`, message)
	}
}

func TestErrorsAreClassified(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name   string
		answer http.HandlerFunc
		want   phone.Code
		says   string
	}{
		{"conflict", says(409, "in use"), phone.Conflict, "in use"},
		{"bad request", says(400, "bad parameter"), phone.Invalid, "bad parameter"},
		{"anything else", says(500, "layer does not exist"), phone.Internal, "layer does not exist"},
		{"shutting down", says(503, "the daemon is shutting down"), phone.Unavailable, "start its daemon"},
		{"not implemented", says(501, "no"), phone.Unsupported, "no"},
		{"containerd is gone", says(500, `connection error: desc = "transport: dial unix"`), phone.Unavailable, "start its daemon"},
		{"the daemon's own time is up", says(500, "context deadline exceeded"), phone.Unavailable, "start its daemon"},
		{"disk full", says(500, "write /x: no space left on device"), phone.Exhausted, "no space left"},
		{"a proxy's words", func(w http.ResponseWriter, _ *http.Request) {
			http.Error(w, "<html>Bad Gateway</html>", http.StatusBadGateway)
		}, phone.Internal, "Bad Gateway"},
		{"cut off before the answer", func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, phone.Unavailable, "start its daemon"},
		{"cut off in the middle", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "100")
			_, _ = w.Write([]byte(`[{"Id":"x"`))
		}, phone.Unavailable, "start its daemon"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			d := fakeDaemon(t, tt.answer)
			_, err := d.List(t.Context())
			if phone.CodeOf(err) != tt.want || !strings.Contains(fmt.Sprint(err), tt.says) {
				t.Errorf("List: %v (%s), want %s and %q", err, phone.CodeOf(err), tt.want, tt.says)
			}
		})
	}
}

func TestUnreachableEndpoints(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	closed := "tcp://" + l.Addr().String()
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	for name, endpoint := range map[string]string{
		"nobody listens": closed, "no such socket": "unix:///nonexistent/docker.sock", "no such host": "tcp://docker.invalid:2375",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := open(t, endpoint, newOwner(), `{"plain_tcp":true,"adb_bind":"0.0.0.0"}`)
			_, err := d.Info(t.Context())
			if phone.CodeOf(err) != phone.Unavailable || phone.ReasonOf(err) != phone.ReasonHostGone || !strings.Contains(err.Error(), "endpoint") {
				t.Errorf("Info: %v (%s %s)", err, phone.CodeOf(err), phone.ReasonOf(err))
			}
		})
	}
}

// A daemon that hangs at the very first question keeps nobody longer than that caller's own context.
func TestHangingDaemonDoesNotMakeAQueue(t *testing.T) {
	t.Parallel()
	d := open(t, hangingEndpoint(t), newOwner(), fastBoot)
	patient, cancel := context.WithCancel(t.Context())
	var all sync.WaitGroup
	all.Go(func() { _, _ = d.Info(patient) })
	for len(d.host.asking) == 0 { // until the patient caller asks
		if err := pause(t.Context(), time.Millisecond); err != nil {
			t.Fatal(err)
		}
	}
	impatient, cancelImpatient := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancelImpatient()
	answered := make(chan error, 1)
	all.Go(func() {
		_, err := d.Info(impatient)
		answered <- err
	})
	select {
	case err := <-answered:
		if !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Info: %v", err)
		}
	case <-time.After(30 * time.Second):
		t.Error("Info still waits for the other caller after its context has ended")
	}
	cancel()
	all.Wait()
}

func TestOldDaemonIsRefused(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("Api-Version", "1.39") }))
	t.Cleanup(server.Close)
	d := open(t, strings.Replace(server.URL, "http://", "tcp://", 1), newOwner(), `{}`)
	_, err := d.Info(t.Context())
	if phone.CodeOf(err) != phone.Unsupported || !strings.Contains(err.Error(), "19.03") {
		t.Errorf("Info of a daemon with API 1.39: %v", err)
	}
}

func TestOtherSystemIsRefused(t *testing.T) {
	t.Parallel()
	d := fakeDaemon(t, func(w http.ResponseWriter, _ *http.Request) {
		_, _ = w.Write([]byte(`{"Version":"28.0.0","ApiVersion":"1.48","Os":"windows","Arch":"amd64"}`))
	})
	if _, err := d.Info(t.Context()); phone.CodeOf(err) != phone.Unsupported {
		t.Errorf("Info of a Windows daemon: %v", err)
	}
}

// A command's request to upgrade fails without the daemon's words; the driver then looks at the container.
func TestExecTellsWhyItCouldNotAttach(t *testing.T) {
	t.Parallel()
	ref := driver.Ref{Phone: phone.NewID[phone.ID](), Generation: 1}
	for _, tt := range []struct {
		name    string
		running string // what the second look says
		status  int
		want    phone.Code
	}{
		{"the phone ended meanwhile", "false", 409, phone.Precondition},
		{"the daemon has a problem of its own", "true", 500, phone.Internal},
		{"the daemon is going", "true", 503, phone.Unavailable},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			looks := 0
			var d *Driver
			d = fakeDaemon(t, func(w http.ResponseWriter, r *http.Request) {
				switch path := unversioned(r.URL.Path); {
				case strings.HasSuffix(path, "/json"):
					running := "true"
					if looks++; looks > 1 {
						running = tt.running
					}
					fmt.Fprintf(w, `{"Id":"x","Name":"/n","State":{"Running":%s},"HostConfig":{},"Config":{"Labels":{%q:%q,%q:"instance",%q:%q,%q:"1"}}}`,
						running, labelInstallation, d.host.installation, labelKind, labelPhone, ref.Phone, labelGeneration)
				case strings.HasSuffix(path, "/exec"):
					w.WriteHeader(http.StatusCreated)
					_, _ = w.Write([]byte(`{"Id":"e"}`))
				default:
					says(tt.status, "no")(w, r)
				}
			})
			_, err := d.Exec(t.Context(), ref, driver.Command{Args: []string{"getprop"}})
			if phone.CodeOf(err) != tt.want {
				t.Errorf("Exec: %v (%s), want %s", err, phone.CodeOf(err), tt.want)
			}
		})
	}
}

func TestPullFailsWithTheDaemonsReason(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, stream string
		want         phone.Code
	}{
		{"in the last line", `{"status":"Pulling"}` + "\n" + `{"errorDetail":{"message":"manifest unknown"},"error":"manifest unknown"}` + "\n", phone.NotFound},
		{"the registry does not answer the daemon", `{"errorDetail":{"message":"manifest unknown: context deadline exceeded"}}` + "\n", phone.NotFound},
		{"the image is not there after all", `{"status":"manifest unknown"}` + "\n", phone.NotFound},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			d := fakeDaemon(t, func(w http.ResponseWriter, r *http.Request) {
				if r.Method == http.MethodPost {
					_, _ = w.Write([]byte(tt.stream))
					return
				}
				says(404, "No such image: manifest unknown")(w, r)
			})
			_, err := d.Prepare(t.Context(), phone.Image{Reference: "registry.example/redroid:12"})
			if phone.CodeOf(err) != tt.want || phone.ReasonOf(err) != phone.ReasonImageNotFound ||
				!strings.Contains(err.Error(), "manifest unknown") || !strings.Contains(err.Error(), "registry.example/redroid:12") {
				t.Errorf("Prepare: %v (%s %s)", err, phone.CodeOf(err), phone.ReasonOf(err))
			}
		})
	}
	t.Run("the daemon goes away while it pulls", func(t *testing.T) {
		t.Parallel()
		d := fakeDaemon(t, func(w http.ResponseWriter, r *http.Request) {
			if r.Method == http.MethodPost {
				_, _ = w.Write([]byte(`{"status":"Pull`))
				_ = http.NewResponseController(w).Flush()
				panic(http.ErrAbortHandler)
			}
			says(404, "No such image")(w, r)
		})
		if _, err := d.Prepare(t.Context(), phone.Image{Reference: "registry.example/redroid:12"}); phone.CodeOf(err) != phone.Unavailable {
			t.Errorf("Prepare: %v (%s)", err, phone.CodeOf(err))
		}
	})
}

func TestDamagedReferenceIsNotToBeHad(t *testing.T) {
	t.Parallel()
	d := fakeDaemon(t, says(404, "No such image"))
	for _, reference := range []string{"Upper/Case:1", "a b", ""} {
		if _, err := d.Prepare(context.Background(), phone.Image{Reference: reference}); phone.ReasonOf(err) != phone.ReasonImageNotFound {
			t.Errorf("Prepare %q: %v", reference, err)
		}
	}
}
