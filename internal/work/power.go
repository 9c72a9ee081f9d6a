package work

import (
	"context"

	"github.com/lethe-cloud/lethe/internal/driver"
	"github.com/lethe-cloud/lethe/internal/phone"
)

// stopAndFinish is the whole of a stop: the instance ends, and that is looked at. Both again, after a crash, is the same as once.
func (t *task) stopAndFinish() error {
	instance, err := t.stopPresent()
	if err != nil {
		return err
	}
	return t.finish(instance, nil, &erasing{})
}

// stops is how often an instance that goes on running is stopped before that is believed.
const stops = 3

// stopPresent ends the instance of the life that the job works on, and looks whether it has. A phone whose instance is gone is not
// stopped but lost: that is an error with ReasonInstanceGone. One that still runs has been started by a late call of an earlier job,
// or the host did not do what it said.
func (t *task) stopPresent() (driver.Instance, error) {
	for tries := 1; ; tries++ {
		err := t.call("stop the instance", func(ctx context.Context) error { return t.host.Stop(ctx, t.ref()) })
		if err != nil {
			return driver.Instance{}, err
		}
		instance, err := t.inspect(t.ref())
		switch {
		case phone.CodeOf(err) == phone.NotFound:
			return instance, phone.Errorf(phone.Precondition, phone.ReasonInstanceGone, "the instance is gone from server %s: there is nothing to stop", t.Server.Name)
		case err != nil || !instance.Running:
			return instance, err
		case tries == stops:
			return instance, phone.Errorf(phone.Internal, phone.ReasonHostFailed, "server %s stopped the instance %d times, and it still runs", t.Server.Name, tries)
		}
		t.log.Warn("the instance runs although it was stopped: stopping it again", "try", tries)
	}
}
