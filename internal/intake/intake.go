// Package intake is what stands before every edge: how many connections are held, whose address a request came from, and how much
// memory the bodies take that are being read. It knows no route and no caller.
package intake

import (
	"context"
	"net"
	"net/http"
	"sync"
	"time"
)

// Crowd bounds the connections of a server. When one too many comes, the connection that has been waiting for longest goes: one that
// waits for its next request, never sent its first, or sends it byte by byte. Requests that have reached their handler are left
// alone. So ten thousand idle connections cost no more than the limit, and keep nobody out. No address has more than half of the
// connections. It is safe for concurrent use.
type Crowd struct {
	most int

	mu      sync.Mutex
	waiting map[net.Conn]time.Time // those that no handler works for, by when that began
	all     map[net.Conn]string    // with their addresses
	by      map[string]int         // how many each address has
	cut     uint64
}

// NewCrowd bounds the connections to most.
func NewCrowd(most int) *Crowd {
	return &Crowd{most: most, waiting: map[net.Conn]time.Time{}, all: map[net.Conn]string{}, by: map[string]int{}}
}

type connKey struct{}

// Context is an http.Server's ConnContext: Handler finds the connection in it.
func (c *Crowd) Context(ctx context.Context, conn net.Conn) context.Context {
	return context.WithValue(ctx, connKey{}, conn)
}

// Handler tells when a request has reached its handler: from then on its connection is at work.
func (c *Crowd) Handler(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if conn, ok := r.Context().Value(connKey{}).(net.Conn); ok {
			c.mu.Lock()
			delete(c.waiting, conn)
			c.mu.Unlock()
		}
		next.ServeHTTP(w, r)
	})
}

// State is an http.Server's ConnState.
func (c *Crowd) State(conn net.Conn, state http.ConnState) {
	if leaver := c.change(conn, state); leaver != nil {
		_ = leaver.Close() // its peer finds out; there is nobody else to tell
	}
}

// change keeps count; it gives the connection that has to go, if one has.
func (c *Crowd) change(conn net.Conn, state http.ConnState) net.Conn {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch state {
	case http.StateNew:
		address := hostOf(conn.RemoteAddr().String())
		c.all[conn], c.waiting[conn] = address, time.Now()
		c.by[address]++
		switch {
		case c.by[address] > c.most/2:
			return c.longestWaiting(conn, address)
		case len(c.all) > c.most:
			return c.longestWaiting(conn, "")
		}
	case http.StateIdle:
		if _, held := c.all[conn]; held {
			c.waiting[conn] = time.Now()
		}
	case http.StateClosed, http.StateHijacked:
		c.forget(conn)
	case http.StateActive: // a first byte has come: it waits until its handler begins
	}
	return nil
}

// longestWaiting takes out the one that waits for longest, of one address if that is not ""; the newcomer itself when all others are
// at work.
func (c *Crowd) longestWaiting(newcomer net.Conn, address string) net.Conn {
	oldest := newcomer
	for conn, since := range c.waiting {
		if conn != newcomer && (address == "" || c.all[conn] == address) && (oldest == newcomer || since.Before(c.waiting[oldest])) {
			oldest = conn
		}
	}
	c.forget(oldest)
	c.cut++
	return oldest
}

func (c *Crowd) forget(conn net.Conn) {
	address, held := c.all[conn]
	if !held {
		return
	}
	delete(c.all, conn)
	delete(c.waiting, conn)
	if c.by[address]--; c.by[address] == 0 {
		delete(c.by, address)
	}
}

// Held is how many connections there are, and how many had to go so far.
func (c *Crowd) Held() (now int, cut uint64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.all), c.cut
}
