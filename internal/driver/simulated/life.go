package simulated

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"time"

	"github.com/lethe-cloud/lethe/internal/driver"
	"github.com/lethe-cloud/lethe/internal/phone"
)

type nothing = struct{}

func notFound(ref driver.Ref) error {
	return phone.Errorf(phone.NotFound, "", "there is no instance %s on the host", instanceName(ref))
}

func noVolume(ref driver.Ref) error {
	return phone.Errorf(phone.Precondition, "", "the volume %s is no longer on the host: reset the phone", volumeName(ref))
}

// Start stores when the instance will have booted, or what happens instead.
func (d *Driver) Start(ctx context.Context, ref driver.Ref) error {
	return d.change(ctx, OpStart, ref, func(i *instance) error {
		now := d.now()
		switch {
		case i == nil:
			return notFound(ref)
		case i.running(now):
			return nil
		}
		if _, err := os.Lstat(d.volumePath(i.volumeLabel())); errors.Is(err, fs.ErrNotExist) {
			return noVolume(ref)
		} else if err != nil {
			return err
		}
		if err := d.seed(ctx, i); err != nil {
			return err
		}
		next, err := d.plan(ctx, ref, now.UTC())
		if err != nil {
			return err
		}
		i.Run = &next
		return writeJSON(d.instancePath(ref), i)
	})
}

// Stop ends the present run.
func (d *Driver) Stop(ctx context.Context, ref driver.Ref) error {
	return d.change(ctx, OpStop, ref, func(i *instance) error {
		now := d.now()
		if i == nil || !i.running(now) {
			return nil
		}
		i.Run.StoppedAt, i.Run.Set = now.UTC(), nil
		return writeJSON(d.instancePath(ref), i)
	})
}

// Remove removes the record of the instance, which is all that there is of it.
func (d *Driver) Remove(ctx context.Context, ref driver.Ref) error {
	return d.change(ctx, OpRemove, ref, func(*instance) error { return d.removeInstance(ctx, ref) })
}

// removeInstance removes an instance of ours, also one that has vanished. The caller has the phone's lock.
func (d *Driver) removeInstance(ctx context.Context, ref driver.Ref) error {
	_, owner, err := d.readInstanceRecord(ref)
	if err != nil || owner != ours {
		return err
	}
	return d.dropInstance(ctx, func() error { return os.Remove(d.instancePath(ref)) })
}

// change runs do with the instance, or nil when there is none of ours, under the lock of its phone.
func (d *Driver) change(ctx context.Context, op Operation, ref driver.Ref, do func(*instance) error) error {
	if err := wantRef(ref); err != nil {
		return err
	}
	_, err := call(ctx, d, op, d.about(ref), func() (nothing, error) {
		unlock, err := d.lockPhone(ctx, ref.Phone, false)
		if errors.Is(err, fs.ErrNotExist) {
			return nothing{}, do(nil)
		}
		if err != nil {
			return nothing{}, err
		}
		defer unlock()
		i, _, err := d.readInstance(ref)
		if err != nil {
			return nothing{}, err
		}
		return nothing{}, do(i)
	})
	return err
}

// plan decides how a run that begins now goes: the configured boot time, spread over the lives, and the scripted faults.
func (d *Driver) plan(ctx context.Context, ref driver.Ref, now time.Time) (run, error) {
	rules, err := d.rules(OpBoot, d.about(ref))
	if err != nil {
		return run{}, err
	}
	starts, err := d.rules(OpStart, d.about(ref))
	if err != nil {
		return run{}, err
	}
	boot := time.Duration(float64(d.config.BootTime) * (1 + d.config.BootSpread*(2*chance(ref, "boot")-1)))
	for _, r := range rules {
		if r.Effect != EffectSlow {
			continue
		}
		struck, err := d.take(ctx, r)
		if err != nil {
			return run{}, err
		}
		if struck {
			boot = r.slow(boot)
		}
	}
	next := run{StartedAt: now, BootsAt: now.Add(boot)}
	for _, r := range append(rules, starts...) {
		if r.Effect != EffectNever && r.Effect != EffectExit && r.Effect != EffectVanish {
			continue
		}
		struck, err := d.take(ctx, r)
		if err != nil {
			return run{}, err
		}
		if struck {
			r.spoil(&next, boot)
			break
		}
	}
	return next, nil
}

// farAway is longer than any boot that somebody waits for, and no time that is added to now overflows with it.
const farAway = 100 * 365 * 24 * time.Hour

func (f Fault) slow(boot time.Duration) time.Duration {
	if f.Factor != 0 {
		boot = time.Duration(min(float64(boot)*f.Factor, float64(farAway)))
	}
	return min(boot, farAway) + min(time.Duration(f.Duration), farAway)
}

// spoil makes the run end otherwise than booted.
func (f Fault) spoil(next *run, boot time.Duration) {
	after := boot / 2
	if f.Duration != 0 {
		after = min(time.Duration(f.Duration), farAway)
	}
	at := next.StartedAt.Add(after)
	switch f.Effect {
	case EffectNever:
		next.BootsAt = time.Time{}
	case EffectExit:
		// What ends while it boots has not booted before, however late it ends.
		next.BootsAt, next.ExitsAt, next.ExitCode = time.Time{}, at, 129
		if f.ExitCode != nil {
			next.ExitCode = *f.ExitCode
		}
	case EffectVanish:
		next.VanishAt = at
	}
}

// Inspect looks at the record and the clock.
func (d *Driver) Inspect(ctx context.Context, ref driver.Ref) (driver.Instance, error) {
	if err := wantRef(ref); err != nil {
		return driver.Instance{}, err
	}
	return call(ctx, d, OpInspect, d.about(ref), func() (driver.Instance, error) {
		i, owner, err := d.readInstance(ref)
		if err != nil {
			return driver.Instance{}, err
		}
		if owner != ours {
			return driver.Instance{}, notFound(ref)
		}
		v := i.view(d.now())
		if _, err := os.Lstat(d.volumePath(i.volumeLabel())); errors.Is(err, fs.ErrNotExist) {
			v.Volume = ""
		} else if err != nil {
			return driver.Instance{}, err
		}
		return v, nil
	})
}
