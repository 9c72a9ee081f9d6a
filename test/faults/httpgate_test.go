package faults

import (
	"context"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"regexp"
	"slices"
	"sync"
	"testing"
	"time"
)

// meddler stands between lethe and a Docker daemon, and unlike the gate it knows what is asked: single calls it answers itself, with or
// without having passed them on.
type meddler struct {
	proxy *httputil.ReverseProxy

	mu      sync.Mutex
	rules   []*meddling
	held    chan struct{} // closed when what is held is let go; nil: nothing is held
	passing int           // calls that change something and that the daemon is about
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
	refuses   meddles = iota // answers 500, and passes nothing on
	lies                     // passes the call on and answers 500: it was done, but the call failed
	hangsUp                  // passes the call on and ends the connection without an answer
	dawdles                  // answers late
	holds                    // passes nothing on until it is let go, and then hangs up; so it does with every other call that changes something
	withholds                // passes the call on, and then does the same
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
	m.proxy.ErrorHandler = func(http.ResponseWriter, *http.Request, error) { panic(http.ErrAbortHandler) } // as a daemon that is dead
	server := &http.Server{Handler: m, ReadHeaderTimeout: patience}
	served := make(chan struct{})
	go func() {
		defer close(served)
		_ = server.Serve(listener) // ends when it is closed
	}()
	t.Cleanup(func() {
		m.meddle()
		_ = server.Close()
		<-served
		transport.CloseIdleConnections()
	})
	return m
}

// version begins the path of a call of the Docker API.
var version = regexp.MustCompile(`^/v[0-9.]+`)

func (m *meddler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	call := r.Method + " " + version.ReplaceAllString(r.URL.Path, "")
	switch does, held := m.what(call); does {
	case refuses:
		answerFailure(w)
	case lies:
		m.pass(call, &unheard{header: http.Header{}}, r)
		answerFailure(w)
	case hangsUp:
		m.pass(call, &unheard{header: http.Header{}}, r)
		panic(http.ErrAbortHandler) // net/http's way to end a connection without an answer
	case dawdles:
		time.Sleep(300 * time.Millisecond) // how late it is
		m.pass(call, w, r)
	case holds:
		<-held
		panic(http.ErrAbortHandler)
	case withholds:
		m.pass(call, &unheard{header: http.Header{}}, r)
		<-held
		panic(http.ErrAbortHandler)
	default:
		m.pass(call, w, r)
	}
}

// pass hands a call to the daemon. One that changes something was counted with the decision to do so.
func (m *meddler) pass(call string, w http.ResponseWriter, r *http.Request) {
	defer func() {
		m.mu.Lock()
		defer m.mu.Unlock()
		if changes(call) {
			m.passing--
		}
	}()
	m.proxy.ServeHTTP(w, r)
}

// changes reports whether the call is one of daemonCalls.
func changes(call string) bool {
	return slices.ContainsFunc(daemonCalls, func(c string) bool { return regexp.MustCompile(c).MatchString(call) })
}

func answerFailure(w http.ResponseWriter) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(http.StatusInternalServerError)
	_, _ = w.Write([]byte(`{"message":"the daemon has a bad day"}`))
}

// what gives what to do with a call, -1 for nothing, and when it is let go.
func (m *meddler) what(call string) (does meddles, held chan struct{}) {
	m.mu.Lock()
	defer m.mu.Unlock()
	does = -1
	if m.held != nil && changes(call) {
		return holds, m.held
	}
	for _, r := range m.rules {
		if (r.times < 0 || r.struck < r.times) && r.call.MatchString(call) {
			r.struck++
			does = r.does
			break
		}
	}
	if does == holds || does == withholds {
		m.held = make(chan struct{})
	}
	if changes(call) && does != holds && does != refuses {
		m.passing++
	}
	return does, m.held
}

// still reports whether the rule has struck, so that everything that changes something is held, and the daemon has done what it was
// about before.
func (m *meddler) still(r *meddling) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return r.struck > 0 && m.passing == 0
}

// meddle replaces the rules, and lets go what the old ones held.
func (m *meddler) meddle(rules ...*meddling) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.rules = rules
	if m.held != nil {
		close(m.held)
		m.held = nil
	}
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
