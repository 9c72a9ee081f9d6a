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
	if err := t.nothingLater(); err != nil {
		return err
	}
	return t.finish(driver.Instance{}, nil, erasing)
}

// nothingLater fails while the host has a life of the phone that the database does not know: it was made after the backup from which the database
// was restored, and may have the phone's newest data. Comparisons leave it alone for the same reason.
func (t *task) nothingLater() error {
	var objects []driver.Object
	err := t.call("list what is on the server", func(ctx context.Context) (err error) {
		objects, err = t.host.List(ctx)
		return err
	})
	if err != nil {
		return err
	}
	for _, o := range objects {
		if o.Phone == t.Phone.ID && o.Generation > t.Job.Target {
			return phone.Errorf(phone.Conflict, phone.ReasonHigherGeneration,
				"server %s has generation %d of the phone, of which the database knows %d: look what it is, and remove it by hand before the phone is deleted",
				t.Server.Name, o.Generation, t.Job.Target)
		}
	}
	return nil
}

// below is the generation below which everything of the phone is to be destroyed.
func (t *task) below() phone.Generation {
	if t.Job.Kind == phone.KindDelete {
		return t.Job.Target + 1
	}
	return t.Job.Target
}
