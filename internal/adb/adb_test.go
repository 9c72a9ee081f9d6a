package adb

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// The bytes of a CNXN message as adb 1.0.41 writes it for the banner "host::".
var wireCNXN = []byte{
	'C', 'N', 'X', 'N', 0x00, 0x00, 0x00, 0x01, 0x00, 0x10, 0x00, 0x00, 0x07, 0x00, 0x00, 0x00,
	0x32, 0x02, 0x00, 0x00, 0xbc, 0xb1, 0xa7, 0xb1, 'h', 'o', 's', 't', ':', ':', 0x00,
}

func TestWireForm(t *testing.T) {
	t.Parallel()
	m := Message{Command: CNXN, Arg0: Version, Arg1: MaxPayload, Payload: []byte("host::\x00")}
	var b bytes.Buffer
	if err := Write(&b, m); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(wireCNXN, b.Bytes()); diff != "" {
		t.Errorf("written bytes (-want +got):\n%s", diff)
	}
	got, err := Read(&b, 100)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(m, got); diff != "" {
		t.Errorf("read back (-want +got):\n%s", diff)
	}
}

func TestReadRefuses(t *testing.T) {
	t.Parallel()
	change := func(at int, to byte) []byte {
		b := bytes.Clone(wireCNXN)
		b[at] = to
		return b
	}
	for _, tt := range []struct {
		name string
		in   []byte
		want string // part of the error; "" for none
	}{
		{"as written", wireCNXN, ""},
		{"wrong magic", change(20, 0), "magic"},
		{"wrong checksum", change(16, 0), "checksum"},
		{"wrong checksum, but the peer skips it", change2(change(16, 0), 4, 1), ""},
		{"too long", change(13, 0xff), "at most 100"},
		{"header cut", wireCNXN[:20], "header"},
		{"payload cut", wireCNXN[:28], "payload"},
		{"nothing", nil, "header"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			_, err := Read(bytes.NewReader(tt.in), 100)
			if tt.want == "" && err != nil || tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)) {
				t.Errorf("Read: %v, want an error with %q", err, tt.want)
			}
		})
	}
}

func change2(b []byte, at int, to byte) []byte { b[at] = to; return b }

// serve answers each connection with f until the test ends.
func serve(t *testing.T, f func(net.Conn)) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			f(c)
			_ = c.Close()
		}
	}()
	t.Cleanup(func() { _ = l.Close(); <-done })
	return l.Addr().String()
}

func TestProbe(t *testing.T) {
	t.Parallel()
	answer := func(m Message) func(net.Conn) {
		return func(c net.Conn) {
			if _, err := Read(c, 100); err != nil {
				t.Errorf("the probe's greeting: %v", err)
			}
			if err := Write(c, m); err != nil {
				t.Errorf("answer: %v", err)
			}
		}
	}
	for _, tt := range []struct {
		name string
		peer func(net.Conn)
		ok   bool
	}{
		{"connects", answer(Message{Command: CNXN, Arg0: Version, Arg1: MaxPayload, Payload: []byte("device::\x00")}), true},
		{"asks for a key", answer(Message{Command: AUTH, Arg0: AuthToken, Payload: make([]byte, 20)}), true},
		{"asks for TLS", answer(Message{Command: STLS, Arg0: Version}), true},
		{"another message", answer(Message{Command: 0x59414b4f}), false},
		{"accepts and hangs up, as a port proxy with nobody behind it", func(net.Conn) {}, false},
		{"something else listens", func(c net.Conn) { _, _ = io.WriteString(c, "HTTP/1.1 400 Bad Request\r\n\r\n") }, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if err := Probe(context.Background(), serve(t, tt.peer), time.Minute); (err == nil) != tt.ok {
				t.Errorf("Probe: %v, want success %v", err, tt.ok)
			}
		})
	}
}

func TestProbeWatchesContext(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(context.Background())
	held := make(chan struct{})
	address := serve(t, func(net.Conn) { cancel(); <-held }) // says nothing
	err := Probe(ctx, address, time.Minute)
	close(held)
	var timeout net.Error
	if !errors.As(err, &timeout) {
		t.Errorf("Probe of a silent peer: %v, want that it was cut off", err)
	}
}
