package intake

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/lethe-cloud/lethe/internal/phone"
)

func TestClientOf(t *testing.T) {
	t.Parallel()
	trusted := []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("fd00::/8")}
	for name, c := range map[string]struct {
		remote  string
		headers []string
		want    string // "": the remote address counts
	}{
		"through one proxy":              {"10.0.0.1:5", []string{"192.0.2.7"}, "192.0.2.7"},
		"through two":                    {"10.0.0.1:5", []string{"192.0.2.7, 10.9.9.9"}, "192.0.2.7"},
		"what a client made up":          {"10.0.0.1:5", []string{"127.0.0.1, 192.0.2.7"}, "192.0.2.7"},
		"in two headers":                 {"10.0.0.1:5", []string{"127.0.0.1", "192.0.2.7 ,10.1.1.1"}, "192.0.2.7"},
		"not from a proxy":               {"192.0.2.66:5", []string{"127.0.0.1"}, ""},
		"without the header":             {"10.0.0.1:5", nil, ""},
		"not an address":                 {"10.0.0.1:5", []string{"me"}, ""},
		"an empty one":                   {"10.0.0.1:5", []string{""}, ""},
		"nonsense before a proxy":        {"10.0.0.1:5", []string{"me, 10.2.2.2"}, "10.2.2.2"},
		"only proxies":                   {"10.0.0.1:5", []string{"10.2.2.2, 10.3.3.3"}, "10.2.2.2"},
		"IPv6":                           {"[fd00::1]:5", []string{"2001:db8::7"}, "2001:db8::7"},
		"IPv4 in IPv6":                   {"[::ffff:10.0.0.1]:5", []string{"::ffff:192.0.2.7"}, "192.0.2.7"},
		"a zone":                         {"10.0.0.1:5", []string{"fe80::1%eth0"}, "fe80::1"},
		"endless":                        {"10.0.0.1:5", []string{strings.Repeat("10.1.1.1,", 10_000) + "10.1.1.1"}, "10.1.1.1"},
		"a Unix socket has no addresses": {"@", []string{"192.0.2.7"}, ""},
	} {
		got, ok := clientOf(c.remote, c.headers, trusted)
		if ok != (c.want != "") || ok && got.String() != c.want {
			t.Errorf("%s: %v %v, want %q", name, got, ok, c.want)
		}
	}
}

func FuzzForwarded(f *testing.F) {
	f.Add("10.0.0.1:1", "192.0.2.7, 10.0.0.2")
	f.Add("[::1]:1", ",,")
	trusted := []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}
	f.Fuzz(func(t *testing.T, remote, header string) {
		got, ok := clientOf(remote, []string{header}, trusted)
		if ok && (!got.IsValid() || !strings.HasPrefix(remote, "10.") && !strings.Contains(remote, "ffff:")) {
			t.Errorf("%q %q gives %v", remote, header, got)
		}
	})
}

func TestSourceReplacesTheAddressOnlyForProxies(t *testing.T) {
	t.Parallel()
	seen := ""
	handler := Source([]netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { seen = r.RemoteAddr }))
	for remote, want := range map[string]string{"10.0.0.1:5": "192.0.2.7:0", "192.0.2.66:5": "192.0.2.66:5"} {
		r := httptest.NewRequest("GET", "/", nil)
		r.RemoteAddr = remote
		r.Header.Set("X-Forwarded-For", "192.0.2.7")
		handler.ServeHTTP(httptest.NewRecorder(), r)
		if seen != want || r.RemoteAddr != remote {
			t.Errorf("from %s the address is %s, want %s (and the request itself as it was: %s)", remote, seen, want, r.RemoteAddr)
		}
	}
}

// conn is a connection that remembers that it was closed.
type conn struct {
	net.Conn
	from   string
	closed bool
}

func (c *conn) Close() error         { c.closed = true; return nil }
func (c *conn) RemoteAddr() net.Addr { return address(c.from) }

type address string

func (a address) Network() string { return "tcp" }
func (a address) String() string  { return string(a) }

// work lets a connection's request reach its handler.
func (c *conn) work(crowd *Crowd) {
	crowd.State(c, http.StateActive)
	r := httptest.NewRequest("GET", "/", nil)
	crowd.Handler(http.NotFoundHandler()).ServeHTTP(httptest.NewRecorder(), r.WithContext(crowd.Context(r.Context(), c)))
}

func TestCrowd(t *testing.T) {
	t.Parallel()
	crowd := NewCrowd(3)
	conns := make([]*conn, 7)
	for i := range conns {
		conns[i] = &conn{from: "192.0.2." + string(rune('0'+i)) + ":1"}
	}
	closed := func() (out string) {
		for i, c := range conns {
			if c.closed {
				out += string(rune('0' + i))
			}
		}
		return out
	}
	expect := func(what, want string) {
		t.Helper()
		if got := closed(); got != want {
			t.Errorf("%s: %q had to go, want %q", what, got, want)
		}
	}
	crowd.State(conns[0], http.StateNew)
	conns[0].work(crowd)
	crowd.State(conns[1], http.StateNew)
	crowd.State(conns[2], http.StateNew)
	crowd.State(conns[2], http.StateActive) // sends its request byte by byte
	conns[1].work(crowd)
	crowd.State(conns[1], http.StateIdle)
	crowd.State(conns[3], http.StateNew)
	expect("one too many", "2")
	crowd.State(conns[2], http.StateClosed)
	conns[1].work(crowd)
	conns[3].work(crowd)
	crowd.State(conns[4], http.StateNew)
	expect("all others are at work", "24")
	crowd.State(conns[4], http.StateClosed)
	crowd.State(conns[0], http.StateClosed)
	crowd.State(conns[5], http.StateNew)
	expect("there is room again", "24")
	crowd.State(conns[3], http.StateIdle)
	conns[6].from = conns[3].from
	crowd.State(conns[6], http.StateNew)
	expect("a second one of an address that may have one", "234")
	if now, cut := crowd.Held(); now != 3 || cut != 3 {
		t.Errorf("%d connections, %d had to go, want 3 and 3", now, cut)
	}
	for _, c := range conns {
		crowd.State(c, http.StateClosed)
	}
	if now, _ := crowd.Held(); now != 0 || len(crowd.by) != 0 || len(crowd.waiting) != 0 {
		t.Errorf("%d connections are held of %v after all were closed", now, crowd.by)
	}
}

// hold reads all of a body, and holds it until it is let go.
type hold struct {
	read  chan error
	letGo chan struct{}
}

func (h hold) ServeHTTP(_ http.ResponseWriter, r *http.Request) {
	_, err := io.Copy(io.Discard, r.Body)
	h.read <- err
	<-h.letGo
}

func post(handler http.Handler, from string, body io.Reader) {
	r := httptest.NewRequest("POST", "/", body)
	r.RemoteAddr = from
	handler.ServeHTTP(httptest.NewRecorder(), r)
}

func TestBodies(t *testing.T) {
	t.Parallel()
	const big = 512<<10 + freeBytes
	bodies := NewBodies(1<<20, 1<<20)
	bodies.wait = time.Millisecond
	first, second := hold{make(chan error), make(chan struct{})}, hold{make(chan error), make(chan struct{})}
	go post(bodies.Handler(first), "192.0.2.1:1", bytes.NewReader(make([]byte, big-32<<10)))
	if err := <-first.read; err != nil {
		t.Fatal(err)
	}
	free := hold{make(chan error, 1), make(chan struct{})}
	close(free.letGo)
	post(bodies.Handler(free), "192.0.2.1:1", bytes.NewReader(make([]byte, 256<<10)))
	if err := <-free.read; phone.CodeOf(err) != phone.Exhausted {
		t.Errorf("more than half of the room for one address: %v", err)
	} else if _, ok := phone.RetryAfter(err); !ok {
		t.Errorf("it does not say when to come again: %v", err)
	}
	go post(bodies.Handler(second), "192.0.2.2:1", bytes.NewReader(make([]byte, big-32<<10)))
	if err := <-second.read; err != nil {
		t.Fatalf("another address has no room: %v", err)
	}
	post(bodies.Handler(free), "192.0.2.3:1", bytes.NewReader(make([]byte, 256<<10)))
	if err := <-free.read; phone.CodeOf(err) != phone.Exhausted {
		t.Errorf("more than there is room: %v", err)
	}
	post(bodies.Handler(free), "192.0.2.3:1", bytes.NewReader(make([]byte, freeBytes)))
	if err := <-free.read; err != nil {
		t.Errorf("a small body while big ones fill the room: %v", err)
	}

	// A body that waits gets the room that is given back.
	bodies.wait = time.Minute
	waiting := hold{make(chan error), make(chan struct{})}
	go post(bodies.Handler(waiting), "192.0.2.3:1", bytes.NewReader(make([]byte, 256<<10)))
	close(first.letGo)
	if err := <-waiting.read; err != nil {
		t.Errorf("after room was given back: %v", err)
	}
	close(waiting.letGo)
	close(second.letGo)
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(time.Millisecond) {
		bodies.mu.Lock()
		used, by := bodies.used, len(bodies.by)
		bodies.mu.Unlock()
		if used == 0 && by == 0 {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("%d bytes of %d addresses are still counted", used, by)
		}
	}
}

// A body that breaks off gives its room back.
func TestBodiesThatBreakOff(t *testing.T) {
	t.Parallel()
	bodies := NewBodies(4<<20, 1<<20)
	bodies.wait = time.Millisecond
	reader, writer := io.Pipe()
	slow := hold{make(chan error, 1), make(chan struct{})}
	close(slow.letGo)
	done := make(chan struct{})
	go func() { defer close(done); post(bodies.Handler(slow), "192.0.2.1:1", reader) }()
	if _, err := writer.Write(make([]byte, freeBytes+1000)); err != nil {
		t.Fatal(err)
	}
	broken := errors.New("gone")
	_ = writer.CloseWithError(broken)
	<-done
	if err := <-slow.read; !errors.Is(err, broken) {
		t.Errorf("read: %v", err)
	}
	if bodies.used != 0 {
		t.Errorf("%d bytes are counted of a body that never came", bodies.used)
	}
}

// A body that is passed on takes no room, however long it is.
func TestStreamedBody(t *testing.T) {
	t.Parallel()
	bodies := NewBodies(1<<20, 1<<20)
	bodies.wait = time.Millisecond
	var n int64
	handler := bodies.Handler(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		r.Body.(interface{ Stream() }).Stream()
		n, _ = io.Copy(io.Discard, r.Body)
		bodies.mu.Lock()
		defer bodies.mu.Unlock()
		if bodies.used != 0 {
			t.Errorf("%d bytes are counted", bodies.used)
		}
	}))
	post(handler, "192.0.2.1:1", bytes.NewReader(make([]byte, 8<<20)))
	if n != 8<<20 {
		t.Errorf("%d bytes were read", n)
	}
}

// What is left of a body that nobody wants is waited for a while, and then no longer, however little it is.
func TestTrickleAfterRefusal(t *testing.T) {
	t.Parallel()
	bodies := NewBodies(64<<20, 12<<20)
	bodies.late = 200 * time.Millisecond
	server := httptest.NewServer(bodies.Handler(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusForbidden) })))
	t.Cleanup(server.Close)
	conn, err := net.Dial("tcp", server.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(20 * time.Second)); err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(conn, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	go func() {
		tick := time.NewTicker(50 * time.Millisecond)
		defer tick.Stop()
		for range tick.C {
			if _, err := conn.Write([]byte("x")); err != nil {
				return
			}
		}
	}()
	answer, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatalf("it is waited for: %v", err)
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusForbidden {
		t.Error(answer.Status)
	}
}
