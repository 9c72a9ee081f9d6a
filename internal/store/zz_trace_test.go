package store

import (
	"context"
	"fmt"
	"os"
	"time"
)

func init() {
	if os.Getenv("TRACE") != "" {
		traceHook = func(q string, d time.Duration) {
			if len(q) > 70 {
				q = q[:70]
			}
			fmt.Printf("%8.2fms %s\n", float64(d.Microseconds())/1000, q)
		}
	}
	_ = context.Background
}
