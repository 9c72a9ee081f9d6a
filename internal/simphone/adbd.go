package simphone

import (
	"context"
	"crypto/rand"
	"net"

	"github.com/lethe-cloud/lethe/internal/adb"
)

// handshake answers an adb client's greeting: with its own, or, when ro.adb.secure is 1, with a token to sign. It then hangs
// up: there is no shell behind it, and no key opens it.
func (m *machine) handshake(ctx context.Context, conn net.Conn) {
	if m.properties.value("ro.boot.simphone_hang") == HangADB {
		<-ctx.Done()
		return
	}
	greeting, err := adb.Read(conn, 1<<20)
	if err != nil || greeting.Command != adb.CNXN {
		return // as adbd does with what is not adb
	}
	if err := adb.Write(conn, m.greeting()); err != nil {
		m.say("adb: %v", err)
	}
}

func (m *machine) greeting() adb.Message {
	if m.properties.value("ro.adb.secure") == "1" {
		token := make([]byte, 20)
		_, _ = rand.Read(token) // never fails
		return adb.Message{Command: adb.AUTH, Arg0: adb.AuthToken, Payload: token}
	}
	banner := "device::"
	for _, key := range []string{"ro.product.name", "ro.product.model", "ro.product.device"} {
		banner += key + "=" + m.properties.value(key) + ";"
	}
	return adb.Message{Command: adb.CNXN, Arg0: adb.Version, Arg1: adb.MaxPayload, Payload: []byte(banner + "\x00")}
}
