package faults

import (
	"context"
	"io"
	"math/rand/v2"
	"net"
	"sync"
	"testing"
	"time"
)

// gate stands between lethe and a service, as a network does: it passes connections on, delays them by a time that varies, cuts what
// is said into pieces, lets nothing through, refuses new connections and ends or resets old ones. It knows nothing of what is said.
// Why it is not toxiproxy stands in docs/decisions.
type gate struct {
	listener        net.Listener
	network, target string

	mu      sync.Mutex
	changed chan struct{} // closed with the next change of how it behaves
	refuses bool
	hangs   bool
	delay   time.Duration
	jitter  time.Duration // that much more, at most
	piece   int           // the most that goes through at once; 0: all
	open    map[net.Conn]bool
	group   sync.WaitGroup
}

// newGate listens on network and address ("tcp", "127.0.0.1:0" or "unix", PATH) for a service.
func newGate(t testing.TB, network, address, targetNetwork, target string) *gate {
	t.Helper()
	listener, err := net.Listen(network, address)
	if err != nil {
		t.Fatal(err)
	}
	g := &gate{listener: listener, network: targetNetwork, target: target, changed: make(chan struct{}), open: map[net.Conn]bool{}}
	g.group.Go(g.accept)
	t.Cleanup(func() {
		_ = listener.Close()
		g.set(func() { g.hangs, g.delay, g.jitter, g.refuses = false, 0, 0, true })
		g.cut()
		g.group.Wait()
	})
	return g
}

func (g *gate) address() string { return g.listener.Addr().String() }

func (g *gate) accept() {
	for {
		conn, err := g.listener.Accept()
		if err != nil {
			return
		}
		g.mu.Lock()
		refuses := g.refuses
		g.mu.Unlock()
		if refuses {
			_ = conn.Close()
			continue
		}
		g.group.Go(func() { g.pass(conn) })
	}
}

// pass connects to the service and copies both ways until either end is over.
func (g *gate) pass(conn net.Conn) {
	service, err := new(net.Dialer).DialContext(context.Background(), g.network, g.target)
	if err != nil {
		_ = conn.Close()
		return
	}
	g.mu.Lock()
	g.open[conn], g.open[service] = true, true
	g.mu.Unlock()
	var both sync.WaitGroup
	both.Go(func() { g.copy(service, conn) })
	both.Go(func() { g.copy(conn, service) })
	both.Wait()
	g.mu.Lock()
	delete(g.open, conn)
	delete(g.open, service)
	g.mu.Unlock()
	_ = conn.Close()
	_ = service.Close()
}

func (g *gate) copy(to, from net.Conn) {
	buffer := make([]byte, 32<<10)
	for {
		n, err := from.Read(buffer)
		if n > 0 {
			if err := g.write(to, buffer[:n]); err != nil {
				_ = from.Close()
				return
			}
		}
		if err != nil {
			// What was begun is said to its end: a client may only have finished sending.
			if half, ok := to.(interface{ CloseWrite() error }); ok && err == io.EOF {
				_ = half.CloseWrite()
			} else {
				_ = to.Close()
			}
			return
		}
	}
}

// write passes on what was read, piece by piece.
func (g *gate) write(to net.Conn, said []byte) error {
	for len(said) > 0 {
		g.wait()
		g.mu.Lock()
		n := len(said)
		if g.piece > 0 {
			n = min(n, g.piece)
		}
		g.mu.Unlock()
		if _, err := to.Write(said[:n]); err != nil {
			return err
		}
		said = said[n:]
	}
	return nil
}

// wait holds a piece back for the delay, and for as long as nothing gets through.
func (g *gate) wait() {
	g.mu.Lock()
	delay := g.delay
	if g.jitter > 0 {
		delay += rand.N(g.jitter)
	}
	g.mu.Unlock()
	time.Sleep(delay)
	for {
		g.mu.Lock()
		hangs, changed := g.hangs, g.changed
		g.mu.Unlock()
		if !hangs {
			return
		}
		<-changed
	}
}

// set changes how the gate behaves.
func (g *gate) set(change func()) {
	g.mu.Lock()
	defer g.mu.Unlock()
	change()
	close(g.changed)
	g.changed = make(chan struct{})
}

// refuse turns new connections away, or not.
func (g *gate) refuse(on bool) { g.set(func() { g.refuses = on }) }

// hang lets nothing through on any connection, or all that was held back.
func (g *gate) hang(on bool) { g.set(func() { g.hangs = on }) }

// slow delays every piece on its way.
func (g *gate) slow(by time.Duration) { g.set(func() { g.delay = by }) }

// rough delays every piece by a time of up to jitter, and lets no piece be longer than that many bytes; zeros end it.
func (g *gate) rough(jitter time.Duration, piece int) {
	g.set(func() { g.jitter, g.piece = jitter, piece })
}

// cut ends all open connections.
func (g *gate) cut() { g.end(func(conn net.Conn) {}) }

// reset ends all open connections at once, and with what was on its way: their peers are told so (RST), where it is TCP.
func (g *gate) reset() {
	g.end(func(conn net.Conn) {
		if tcp, ok := conn.(*net.TCPConn); ok {
			_ = tcp.SetLinger(0)
		}
	})
}

func (g *gate) end(before func(net.Conn)) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for conn := range g.open {
		before(conn)
		_ = conn.Close()
	}
}
