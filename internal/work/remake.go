package work

import (
	"context"

	"github.com/lethe-cloud/lethe/internal/driver"
	"github.com/lethe-cloud/lethe/internal/phone"
)

// asAsked reports whether an instance of a life that is kept is made of what the job asks for. That of a new life is, for nobody else makes it.
func (t *task) asAsked(instance driver.Instance) bool {
	return !t.Job.Kind.KeepsLife() || instance.Made == t.engine.Hosts.Rules(t.Server.Driver).Made(t.Image.ID, t.Job.Properties)
}

// endPresent ends the instance of the life, if there is one, and reports whether it is what the job asks for. One that is gone was removed by an
// earlier attempt, or job, that could not make the next, or by somebody else: as long as its volume is there it can be made anew.
func (t *task) endPresent() (asked bool, err error) {
	instance, err := t.stopPresent()
	if phone.ReasonOf(err) == phone.ReasonInstanceGone {
		return false, nil
	}
	return err == nil && t.asAsked(instance), err
}

// makeAsAsked makes the instance of the life anew where it is gone, or is not what the job asks for.
func (t *task) makeAsAsked() error {
	instance, err := t.inspect(t.ref())
	switch {
	case phone.CodeOf(err) == phone.NotFound:
	case err != nil || t.asAsked(instance):
		return err
	}
	return t.ensure()
}

// remake makes the instance anew on the life's own volume. One that runs, by a late call of an earlier job, is stopped for it.
func (t *task) remake(spec driver.Spec) error {
	for tries := 1; ; tries++ {
		err := t.call("make the instance anew", func(ctx context.Context) error {
			_, err := t.host.Remake(ctx, spec)
			return err
		})
		if phone.CodeOf(err) != phone.Precondition || tries == stops {
			return err
		}
		t.log.Warn("the instance runs, and is to be made anew: stopping it", "try", tries, "err", err)
		if _, err := t.endPresent(); err != nil {
			return err
		}
	}
}
