package adb_test

import (
	"bytes"
	"testing"

	"github.com/lethe-cloud/lethe/internal/adb"
)

// FuzzRead reads what a phone sends: a phone is not trusted.
func FuzzRead(f *testing.F) {
	var valid bytes.Buffer
	if err := adb.Write(&valid, adb.Message{}); err != nil {
		f.Fatal(err)
	}
	f.Add(valid.Bytes())
	f.Add(bytes.Repeat([]byte{0xff}, 24))
	f.Fuzz(func(_ *testing.T, data []byte) {
		_, _ = adb.Read(bytes.NewReader(data), 4096)
	})
}
