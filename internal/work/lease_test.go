package work

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/lethe-cloud/lethe/internal/driver"
)

// execHost counts the programs that it was asked to run.
type execHost struct {
	driver.Driver
	ran int
}

func (h *execHost) Exec(context.Context, driver.Ref, driver.Command) (driver.Result, error) {
	h.ran++
	return driver.Result{}, nil
}

// A process that was paused since it looked at the phone runs nothing in it any more: its task may be another's by now.
func TestNoProgramAfterTheLease(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		ttl  time.Duration
		want error
		ran  int
	}{{time.Hour, nil, 1}, {0, errLeaseLost, 0}} {
		host := &execHost{}
		at := attempt{stop: t.Context(), hard: t.Context(), lease: newLease(tt.ttl)}
		do := &task{engine: New(Config{}), attempt: at, host: host}
		if _, err := do.execTask(driver.Command{Args: []string{"id"}}); !errors.Is(err, tt.want) || host.ran != tt.ran {
			t.Errorf("with a lease of %s: %v, run %d times; want %v, %d", tt.ttl, err, host.ran, tt.want, tt.ran)
		}
	}
}
