package work

import (
	"context"

	"github.com/lethe-cloud/lethe/internal/driver"
	"github.com/lethe-cloud/lethe/internal/phone"
)

// deleteAndFinish is the whole of a deletion: the instances of every life that may still be there go, then the volumes of all lives, which
// are looked for. Both again, after a crash, is the same as once. What an earlier attempt has saved of the erasure is not done again.
func (t *task) deleteAndFinish() error {
	for generation := max(t.Job.Prior, 1); generation <= t.Job.Target; generation++ {
		err := t.call("remove the instance", func(ctx context.Context) error {
			return t.host.Remove(ctx, driver.Ref{Phone: t.Phone.ID, Generation: generation})
		})
		if err != nil {
			return err
		}
	}
	erasing := t.startErasing()
	defer erasing.abandon()
	if err := erasing.wait(); err != nil {
		return err
	}
	return t.finish(driver.Instance{}, nil, erasing)
}

// below is the generation below which everything of the phone is to be destroyed.
func (t *task) below() phone.Generation {
	if t.Job.Kind == phone.KindDelete {
		return t.Job.Target + 1
	}
	return t.Job.Target
}
