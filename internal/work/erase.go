package work

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/lethe-cloud/lethe/internal/driver"
	"github.com/lethe-cloud/lethe/internal/phone"
)

// erasing is the destruction of a phone's older volumes, beside the boot of its next life.
type erasing struct {
	done      chan struct{}
	cancel    context.CancelFunc
	err       error
	volumes   []phone.ErasedVolume
	lookedFor time.Time
}

// startErasing begins, unless an earlier attempt has saved the end already or there is nothing to erase.
func (t *task) startErasing() *erasing {
	e := &erasing{done: make(chan struct{}), cancel: func() {}}
	if t.Job.Erase != phone.ErasePending {
		if r := t.Job.Receipt; r != nil {
			e.volumes, e.lookedFor = r.Erased, r.LookedFor
		}
		close(e.done)
		return e
	}
	own := *t // its own contexts: the boot may end first
	own.hard, e.cancel = context.WithCancel(t.hard)
	go func() {
		defer close(e.done)
		defer func() {
			if r := recover(); r != nil {
				e.err = fmt.Errorf("panic while erasing: %v", r)
			}
		}()
		e.err = own.erase(e)
	}()
	return e
}

func (t *task) erase(e *erasing) error {
	var erasure driver.Erasure
	err := t.call("erase the old volumes", func(ctx context.Context) (err error) {
		erasure, err = t.host.Erase(ctx, t.Phone.ID, t.below())
		return err
	})
	if err != nil {
		return err
	}
	e.volumes, e.lookedFor = t.withPrior(erasure.Volumes), erasure.LookedFor
	return t.save(func(ctx context.Context) error {
		return t.engine.Store.Erased(ctx, t.Fence, e.volumes, e.lookedFor)
	})
}

// withPrior makes sure that the receipt names the life that the caller wanted gone: an attempt that was cut off may have
// destroyed its volume without being able to save what it had removed. That it is gone was seen just now in any case.
func (t *task) withPrior(volumes []phone.ErasedVolume) []phone.ErasedVolume {
	prior := func(v phone.ErasedVolume) bool { return v.Generation == t.Job.Prior }
	if t.Job.Prior == 0 || slices.ContainsFunc(volumes, prior) {
		return volumes
	}
	return append([]phone.ErasedVolume{{Generation: t.Job.Prior, Gone: true}}, volumes...)
}

func (e *erasing) wait() error {
	<-e.done
	return e.err
}

// abandon stops what is still running and waits for it.
func (e *erasing) abandon() {
	e.cancel()
	<-e.done
}
