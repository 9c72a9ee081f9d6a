// Package adb speaks as much of Android's debug bridge as it takes to know that somebody answers there: the first message each
// side sends. Source: AOSP packages/modules/adb, protocol.txt.
package adb

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"time"
)

// The commands of the opening exchange.
const (
	CNXN uint32 = 0x4e584e43 // both sides: this is me
	AUTH uint32 = 0x48545541 // the phone: prove that you hold a known key
	STLS uint32 = 0x534c5453 // the phone: go on over TLS
)

// What a side says of itself in CNXN.
const (
	Version     uint32 = 0x01000000 // the last version in which both sides check the checksum
	SkipSum     uint32 = 0x01000001 // from this version on the checksum is not looked at
	MaxPayload  uint32 = 4096       // what every version takes
	AuthToken   uint32 = 1          // AUTH's first argument: the payload is a token to sign
	headerBytes        = 24
)

// Message is one message of the bridge.
type Message struct {
	Command uint32
	Arg0    uint32
	Arg1    uint32
	Payload []byte
}

// Write sends m with its checksum and magic.
func Write(w io.Writer, m Message) error {
	b := make([]byte, headerBytes, headerBytes+len(m.Payload))
	for i, v := range []uint32{m.Command, m.Arg0, m.Arg1, uint32(len(m.Payload)), sum(m.Payload), ^m.Command} {
		binary.LittleEndian.PutUint32(b[4*i:], v)
	}
	_, err := w.Write(append(b, m.Payload...))
	return err
}

// Read receives one message of at most limit payload bytes. A wrong magic or checksum is an error; a peer that skips checksums
// says so in the version of its CNXN.
func Read(r io.Reader, limit uint32) (Message, error) {
	var b [headerBytes]byte
	if _, err := io.ReadFull(r, b[:]); err != nil {
		return Message{}, fmt.Errorf("read adb header: %w", err)
	}
	field := func(i int) uint32 { return binary.LittleEndian.Uint32(b[4*i:]) }
	m := Message{Command: field(0), Arg0: field(1), Arg1: field(2)}
	if field(5) != ^m.Command {
		return Message{}, errors.New("not an adb message: the magic is not the command's complement")
	}
	if field(3) > limit {
		return Message{}, fmt.Errorf("adb message of %d bytes, at most %d are taken", field(3), limit)
	}
	m.Payload = make([]byte, field(3))
	if _, err := io.ReadFull(r, m.Payload); err != nil {
		return Message{}, fmt.Errorf("read adb payload: %w", err)
	}
	skips := m.Command == CNXN && m.Arg0 >= SkipSum
	if !skips && field(4) != sum(m.Payload) {
		return Message{}, errors.New("adb message with a wrong checksum")
	}
	return m, nil
}

func sum(payload []byte) uint32 {
	var s uint32
	for _, c := range payload {
		s += uint32(c)
	}
	return s
}

// Probe asks whether an adb daemon answers at address ("host:port"): it introduces itself and waits for the phone's first
// message, which is CNXN, AUTH or STLS. It proves no key and opens no session. The whole exchange takes at most limit.
func Probe(ctx context.Context, address string, limit time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	var d net.Dialer
	conn, err := d.DialContext(ctx, "tcp", address)
	if err != nil {
		return fmt.Errorf("dial adb: %w", err)
	}
	defer conn.Close()
	stop := context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) }) // wakes whoever reads or writes
	defer stop()

	if err := Write(conn, Message{Command: CNXN, Arg0: Version, Arg1: MaxPayload, Payload: []byte("host::\x00")}); err != nil {
		return fmt.Errorf("greet adb at %s: %w", address, err)
	}
	answer, err := Read(conn, 1<<20)
	if err != nil {
		return fmt.Errorf("adb at %s: %w", address, err)
	}
	switch answer.Command {
	case CNXN, AUTH, STLS:
		return nil
	}
	return fmt.Errorf("adb at %s answered with the unexpected message %#x", address, answer.Command)
}
