package fleet_test

import (
	"context"
	"io"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lethe-cloud/lethe/internal/fleet"
	"github.com/lethe-cloud/lethe/internal/phone"
)

// busyObjects lets an object be written when its turn has come.
type busyObjects struct {
	fleet.Objects
	turn <-chan time.Time
}

func (b busyObjects) Put(ctx context.Context, _ phone.ProjectID, _ phone.Object, write func(io.Writer) error) (int64, error) {
	select {
	case <-ctx.Done():
		return 0, context.Cause(ctx)
	case <-b.turn:
		return 7, write(io.Discard)
	}
}

// A caller waits a while for his turn, and what is written then may take as long as it does.
func TestTurn(t *testing.T) {
	for turn, code := range map[time.Duration]phone.Code{time.Minute: phone.Exhausted, 9 * time.Second: ""} {
		synctest.Test(t, func(t *testing.T) {
			b := newBundle(t, func(c *fleet.Config) { c.Objects = busyObjects{c.Objects, time.After(turn)} })
			_, err := b.PutObject(t.Context(), owner(), project, "ours", "a", func(io.Writer) error {
				time.Sleep(time.Hour)
				return nil
			})
			if _, passes := phone.RetryAfter(err); phone.CodeOf(err) != code || passes != (code != "") {
				t.Errorf("a turn after %s: %v", turn, err)
			}
		})
	}
}
