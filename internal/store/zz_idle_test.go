package store_test

import (
	"context"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/lethe-cloud/lethe/internal/phone"
	"github.com/lethe-cloud/lethe/internal/store/storetest"
	"github.com/lethe-cloud/lethe/internal/testenv"
)

func TestZZIdle(t *testing.T) {
	if os.Getenv("IDLE") == "" {
		t.Skip()
	}
	for _, u := range []string{"sqlite:" + filepath.Join(t.TempDir(), "x.db"), testenv.Postgres(t)} {
		f := storetest.Open(t, u)
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() { defer close(done); f.Deliver(ctx, 10000, func(context.Context, phone.Delivery) {}) }()
		time.Sleep(2 * time.Second)
		var a, b syscall.Rusage
		syscall.Getrusage(0, &a)
		time.Sleep(15 * time.Second)
		syscall.Getrusage(0, &b)
		t.Logf("%.8s: %v CPU in 15 s", u, time.Duration(b.Utime.Nano()+b.Stime.Nano()-a.Utime.Nano()-a.Stime.Nano()))
		cancel()
		at := time.Now()
		<-done
		t.Log("stopped in", time.Since(at))
	}
}
