package intake

import (
	"errors"
	"io"
	"net/http"
	"sync"
	"time"

	"github.com/lethe-cloud/lethe/internal/phone"
)

const (
	// freeBytes of each body are not counted: what nearly every call needs is read even while big bodies have to wait.
	freeBytes = 64 << 10
	// bodyWait is how long a body waits for room.
	bodyWait = 10 * time.Second
	// drainTime is how long what nobody wanted to read of a body may take to arrive. A connection that is closed before that is reset,
	// and the client loses the answer that says what was wrong.
	drainTime = 5 * time.Second
)

// Bodies bounds how many bytes of bodies are held at once by all requests together. A body that is bigger than what is free takes
// room for its whole announced length before it is read on: many that each held a part would wait for each other for ever. One that
// finds no room waits a while, and is then Exhausted. No address has more than half of the room. It is safe for concurrent use.
type Bodies struct {
	room int64
	most int64 // of one body: no edge takes a bigger one
	wait time.Duration
	late time.Duration // drainTime

	mu    sync.Mutex
	used  int64
	by    map[string]int64
	freed chan struct{} // closed, and made anew, when room was given back
}

// NewBodies bounds the bodies to room bytes, of which one body takes most at most.
func NewBodies(room, most int64) *Bodies {
	return &Bodies{room: room, most: most, wait: bodyWait, late: drainTime, by: map[string]int64{}, freed: make(chan struct{})}
}

// Handler lets next read bodies within the bound. The room is given back when next returns.
func (b *Bodies) Handler(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Body == nil || r.Body == http.NoBody {
			next.ServeHTTP(w, r)
			return
		}
		body := &body{ReadCloser: r.Body, of: b, request: r, address: hostOf(r.RemoteAddr)}
		defer func() {
			body.release()
			body.drain(w)
		}()
		r = r.WithContext(r.Context()) // a copy: the request is the server's
		r.Body = body
		next.ServeHTTP(w, r)
	})
}

// take counts n more bytes of the address, or gives what to wait for.
func (b *Bodies) take(address string, n int64) (freed <-chan struct{}) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.used+n > b.room || b.by[address]+n > b.room/2 {
		return b.freed
	}
	b.used += n
	b.by[address] += n
	return nil
}

func (b *Bodies) giveBack(address string, n int64) {
	if n == 0 {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.used -= n
	if b.by[address] -= n; b.by[address] <= 0 {
		delete(b.by, address)
	}
	close(b.freed)
	b.freed = make(chan struct{})
}

// body is one request's body.
type body struct {
	io.ReadCloser
	of      *Bodies
	request *http.Request
	address string
	read    int64 // bytes that were read
	taken   int64 // bytes that are counted
	ended   bool
	passes  bool // nothing of it is held
}

// Stream says that whoever reads the body holds nothing of it, but passes it on as it comes: then it takes no room. It is called before the first
// Read.
func (b *body) Stream() { b.passes = true }

// Read takes room for all of the body before it reads more than what is free.
func (b *body) Read(p []byte) (int, error) {
	if room := freeBytes - b.read; room > 0 && !b.passes {
		p = p[:min(int64(len(p)), room)]
	} else if b.taken == 0 && !b.passes {
		length := b.request.ContentLength
		if length < 0 || length > b.of.most {
			length = b.of.most
		}
		if err := b.makeRoom(max(1, length-freeBytes)); err != nil {
			return 0, err
		}
	}
	n, err := b.ReadCloser.Read(p)
	b.read += int64(n)
	b.ended = b.ended || err != nil
	return n, err
}

// drain reads what is left and throws it away.
func (b *body) drain(w http.ResponseWriter) {
	if b.ended {
		return
	}
	_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(b.of.late)) // what has no deadline needs none
	// A client that fails here loses its answer, which is its own doing. What does not come in time is waited for by nobody: the server, which
	// reads a little more itself before it answers, finds the deadline over.
	if _, err := io.CopyN(io.Discard, b.ReadCloser, b.of.most+freeBytes); errors.Is(err, io.EOF) {
		_ = http.NewResponseController(w).SetReadDeadline(time.Time{})
	}
}

// makeRoom takes room for n more bytes, and waits for it if need be.
func (b *body) makeRoom(n int64) error {
	var timeout <-chan time.Time
	for {
		freed := b.of.take(b.address, n)
		if freed == nil {
			b.taken += n
			return nil
		}
		if timeout == nil {
			timer := time.NewTimer(b.of.wait)
			defer timer.Stop()
			timeout = timer.C
		}
		select {
		case <-freed:
		case <-b.request.Context().Done():
			return b.request.Context().Err()
		case <-timeout:
			return &phone.Error{
				Code: phone.Exhausted, Reason: phone.ReasonRateExceeded, RetryAfter: time.Second,
				Msg: "too many big bodies are being read at once: send it again in a moment",
			}
		}
	}
}

func (b *body) release() {
	b.of.giveBack(b.address, b.taken)
	b.taken = 0
}

func hostOf(remote string) string {
	for i := len(remote) - 1; i >= 0; i-- {
		if remote[i] == ':' {
			return remote[:i]
		}
	}
	return remote
}
