package faults

import (
	"context"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"regexp"
	"sync"
	"testing"
	"time"
)

// meddler stands between lethe and a Docker daemon, and unlike the gate it knows what is asked: single calls it answers itself, with or
// without having passed them on.
type meddler struct {
	proxy *httputil.ReverseProxy

	mu    sync.Mutex
	rules []*meddling
}

// meddling is what happens to calls of one kind.
type meddling struct {
	call   *regexp.Regexp // of "METHOD PATH", without the API's version
	does   meddles
	times  int // how often; -1: always
	struck int
}

type meddles int

const (
	refuses meddles = iota // answers 500, and passes nothing on
	lies                   // passes the call on and answers 500: it was done, but the call failed
	hangsUp                // passes the call on and ends the connection without an answer
	dawdles                // answers late
)

// newMeddler listens on a unix socket for the daemon.
func newMeddler(t testing.TB, socket, network, address string) *meddler {
	t.Helper()
	listener, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	transport := &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, network, address)
	}}
	m := &meddler{proxy: httputil.NewSingleHostReverseProxy(&url.URL{Scheme: "http", Host: "docker"})}
	m.proxy.Transport, m.proxy.FlushInterval = transport, -1
	server := &http.Server{Handler: m, ReadHeaderTimeout: patience}
	served := make(chan struct{})
	go func() {
		defer close(served)
		_ = server.Serve(listener) // ends when it is closed
	}()
	t.Cleanup(func() {
		_ = server.Close()
		<-served
		transport.CloseIdleConnections()
	})
	return m
}

// version begins the path of a call of the Docker API.
var version = regexp.MustCompile(`^/v[0-9.]+`)

func (m *meddler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	switch m.what(r.Method + " " + version.ReplaceAllString(r.URL.Path, "")) {
	case refuses:
		answerFailure(w)
	case lies:
		m.proxy.ServeHTTP(&unheard{header: http.Header{}}, r)
		answerFailure(w)
	case hangsUp:
		m.proxy.ServeHTTP(&unheard{header: http.Header{}}, r)
		panic(http.ErrAbortHandler) // net/http's way to end a connection without an answer
	case dawdles:
		time.Sleep(300 * time.Millisecond) // how late it is
		m.proxy.ServeHTTP(w, r)
	default:
		m.proxy.ServeHTTP(w, r)
	}
}

func answerFailure(w http.ResponseWriter) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(http.StatusInternalServerError)
	_, _ = w.Write([]byte(`{"message":"the daemon has a bad day"}`))
}

// what gives what to do with a call, -1 for nothing.
func (m *meddler) what(call string) meddles {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, r := range m.rules {
		if (r.times < 0 || r.struck < r.times) && r.call.MatchString(call) {
			r.struck++
			return r.does
		}
	}
	return -1
}

// meddle replaces the rules.
func (m *meddler) meddle(rules ...*meddling) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.rules = rules
}

// struck gives how often the rule has.
func (m *meddler) struck(r *meddling) int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return r.struck
}

// unheard is an answer that reaches nobody.
type unheard struct{ header http.Header }

func (u *unheard) Header() http.Header         { return u.header }
func (u *unheard) Write(p []byte) (int, error) { return len(p), nil }
func (u *unheard) WriteHeader(int)             {}
