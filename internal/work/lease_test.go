package work

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/lethe-cloud/lethe/internal/driver"
	"github.com/lethe-cloud/lethe/internal/phone"
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

// jobsHeld is a database that says whether a job is held.
type jobsHeld struct {
	Store
	held bool
}

func (s jobsHeld) Holds(context.Context, phone.Fence) (bool, error) { return s.held, nil }

// A process that was paused since it looked at the phone, or waited for its host, runs nothing in it any more: its task may be another's by now, or ended.
func TestNoProgramAfterTheLease(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		ttl  time.Duration
		held bool
		want error
		ran  int
	}{{time.Hour, true, nil, 1}, {0, true, errLeaseLost, 0}, {time.Hour, false, errNotHeld(), 0}} {
		host := &execHost{}
		at := attempt{stop: t.Context(), hard: t.Context(), lease: newLease(tt.ttl)}
		do := &task{engine: New(Config{Store: jobsHeld{held: tt.held}}), attempt: at, host: host}
		if _, err := do.execTask(driver.Command{Args: []string{"id"}}); phone.ReasonOf(err) != phone.ReasonOf(tt.want) || phone.ReasonOf(err) == "" && !errors.Is(err, tt.want) || host.ran != tt.ran {
			t.Errorf("with a lease of %s, held %v: %v, run %d times; want %v, %d", tt.ttl, tt.held, err, host.ran, tt.want, tt.ran)
		}
	}
}
