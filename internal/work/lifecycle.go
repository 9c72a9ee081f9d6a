package work

import (
	"context"
	"time"

	"github.com/lethe-cloud/lethe/internal/driver"
	"github.com/lethe-cloud/lethe/internal/phone"
)

// steps goes on from the phase that was saved last. A create job is a reset without an older life: nothing to remove or erase. A
// start begins at booting, with the life that is there; a restart ends that before, in removing, and makes its instance anew, in creating,
// where it is not what the job asks for.
func (t *task) steps() error {
	if t.Job.Phase == phone.PhasePreparing {
		return t.prepare()
	}
	switch t.Job.Kind {
	case phone.KindStop:
		return t.stopAndFinish()
	case phone.KindUpdate:
		return t.updateAndFinish()
	case phone.KindDelete:
		return t.deleteAndFinish()
	}
	if t.Job.Kind.Task() {
		return t.doTask()
	}
	if t.Job.Kind == phone.KindReset && t.Job.Phase == phone.PhaseRemoving { // else known only when the old life is gone
		if _, err := t.adbKeys(); err != nil {
			return err
		}
	}
	if t.Job.Rollback {
		return t.stepsKeepingOld()
	}
	if err := t.makeRoom(); err != nil {
		return err
	}
	erasing := t.startErasing()
	defer erasing.abandon()
	booted := t.createAndBoot()
	if booted != nil && !t.failed(booted) {
		return booted
	}
	if erased := erasing.wait(); booted == nil {
		booted = erased
	}
	if booted != nil {
		return booted
	}
	return t.verifyAndFinish(erasing)
}

// makeRoom ends what runs of the phone before its next boot: the instances of older lives go, and that of a life which is only to be
// started again ends, and stays.
func (t *task) makeRoom() error {
	if t.Job.Phase != phone.PhaseRemoving {
		return nil
	}
	if t.Job.Kind == phone.KindRestart {
		asked, err := t.endPresent()
		if err == nil && !asked {
			return t.then(nil, phone.PhaseCreating)
		}
		return t.then(err, phone.PhaseBooting)
	}
	return t.then(t.removeOlder(), phone.PhaseCreating)
}

// then saves the end of a step that succeeded.
func (t *task) then(err error, next phone.Phase) error {
	if err != nil {
		return err
	}
	if err := t.advance(next); err != nil {
		return err
	}
	if t.stop.Err() != nil {
		return errStopped
	}
	return nil
}

func (t *task) advance(next phone.Phase) error {
	if err := t.save(func(ctx context.Context) error { return t.engine.Store.Advance(ctx, t.Fence, next) }); err != nil {
		return err
	}
	t.Job.Phase = next
	if t.Job.PhaseAt == nil {
		t.Job.PhaseAt = map[phone.Phase]time.Time{}
	}
	t.Job.PhaseAt[next] = t.engine.Now()
	return nil
}

func (t *task) ref() driver.Ref { return driver.Ref{Phone: t.Phone.ID, Generation: t.Job.Target} }

// prepare brings the image to the host; the admission that follows delivers this job, and those that waited, again.
func (t *task) prepare() error {
	identity, err := t.prepareImage()
	if err != nil {
		return err
	}
	return t.save(func(ctx context.Context) error { return t.engine.Store.Prepared(ctx, t.Fence, identity) })
}

func (t *task) prepareImage() (phone.ImageIdentity, error) {
	var identity phone.ImageIdentity
	err := t.call("prepare the image", func(ctx context.Context) (err error) {
		identity, err = t.host.Prepare(ctx, t.Image)
		return err
	})
	return identity, err
}

// removeOlder removes the instances of every earlier life that may still be there: the one that ran, and those that jobs
// which failed since had begun.
func (t *task) removeOlder() error {
	for generation := max(t.Job.Prior, 1); generation < t.Job.Target; generation++ {
		err := t.call("remove the old instance", func(ctx context.Context) error {
			return t.host.Remove(ctx, driver.Ref{Phone: t.Phone.ID, Generation: generation})
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// createAndBoot makes the new instance and waits until it has booted. The slot is free when it returns, also when the new life
// failed: older volumes are waited for without it.
func (t *task) createAndBoot() error {
	err := t.createAndBootInSlot()
	if err == nil || !t.failed(err) {
		return err
	}
	if phone.ReasonOf(err) != phone.ReasonHostGone {
		stopErr := t.call("stop the instance that failed", func(ctx context.Context) error { return t.host.Stop(ctx, t.ref()) })
		if stopErr != nil {
			t.log.Warn("the instance that failed may still be running", "err", stopErr)
		}
	}
	if saveErr := t.advance(phone.PhaseVerifying); saveErr != nil {
		return saveErr
	}
	return err
}

func (t *task) createAndBootInSlot() error {
	if err := t.create(); err != nil {
		return err
	}
	if t.Job.Phase == phone.PhaseBooting {
		return t.then(t.boot(), phone.PhaseVerifying)
	}
	return nil
}

func (t *task) create() error {
	if t.Job.Phase == phone.PhaseCreating {
		return t.then(t.ensure(), phone.PhaseBooting)
	}
	return nil
}

// ensure makes instance and volume. An image that somebody removed from the host since it was prepared is brought back, if it
// is still the same one.
func (t *task) ensure() error {
	err := t.ensureOnce()
	if phone.ReasonOf(err) != phone.ReasonImageNotFound {
		return err
	}
	identity, prepareErr := t.prepareImage()
	if prepareErr != nil {
		return prepareErr
	}
	if identity.ID != t.Identity.ID {
		return phone.Errorf(phone.Conflict, phone.ReasonImageNotFound,
			"image %s was pinned to %s on server %s, which no longer has it; its reference is %s now", t.Image.ID, t.Identity.ID, t.Server.Name, identity.ID)
	}
	return t.ensureOnce()
}

func (t *task) ensureOnce() error {
	keys, err := t.adbKeys()
	if err != nil {
		return err
	}
	spec := driver.Spec{
		Ref: t.ref(), Job: t.Job.ID, Name: t.Phone.Name, Project: t.Phone.Project, Image: t.Image, Identity: t.Identity,
		Properties: t.Job.Properties, ADBPort: t.Phone.ADBPort, ADBKeys: keys,
	}
	if t.Job.Kind.KeepsLife() {
		return t.remake(spec)
	}
	return t.call("create the instance", func(ctx context.Context) error {
		_, err := t.host.Ensure(ctx, spec)
		return err
	})
}

func (t *task) start(ref driver.Ref) error {
	return t.call("start the instance", func(ctx context.Context) error { return t.host.Start(ctx, ref) })
}

// bootPatience is how long the boot may go on. It counts from the first time that booting began, so that a restart of lethe does not
// lengthen it; a clock that was set back since cannot lengthen it either.
func (t *task) bootPatience() time.Duration {
	gone := max(0, t.engine.Now().Sub(t.Job.PhaseAt[phone.PhaseBooting]))
	return max(0, t.Server.BootTimeout-gone)
}

// boot starts the instance and looks until it has booted, has ended, or its time is over. From here on that is measured by the
// monotonic clock: the wall clock may be set while a phone boots.
func (t *task) boot() error {
	began, patience := time.Now(), t.bootPatience()
	if t.Job.Kind == phone.KindStart { // a restart has looked before
		if err := t.makeAsAsked(); err != nil {
			return err
		}
	}
	if err := t.start(t.ref()); err != nil && phone.CodeOf(err) != phone.NotFound {
		return err
	}
	for remade, again := false, t.Job.Kind != phone.KindRestart; ; {
		instance, err := t.inspect(t.ref())
		switch {
		case phone.CodeOf(err) == phone.NotFound && !remade, err == nil && !remade && !t.asAsked(instance):
			// Gone from the host since it was created, or made otherwise by a late call of an earlier job: made again, once.
			remade = true
			t.log.Warn("the instance is gone from its host, or is not what it should be: making it again")
			if err := t.ensure(); err != nil {
				return err
			}
			if err := t.start(t.ref()); err != nil {
				return err
			}
			continue
		case phone.CodeOf(err) == phone.NotFound:
			return phone.Errorf(phone.Precondition, phone.ReasonBootExited, "the instance disappeared from server %s while it booted", t.Server.Name)
		case err != nil:
			return err
		case instance.Booted:
			return nil
		case instance.Exited && !again:
			// A stop that an earlier attempt of this job sent may arrive only now. Once: what ends twice ends by itself.
			again = true
			t.log.Warn("the instance ended while it booted: starting it once more", "exit_code", instance.ExitCode)
			if err := t.start(t.ref()); err != nil && phone.CodeOf(err) != phone.NotFound {
				return err
			}
			continue
		case instance.Exited:
			return exited(instance)
		case time.Since(began) > patience:
			return t.tooLate(instance)
		}
		if err := t.pause(instance.CheckAfter); err != nil {
			return err
		}
	}
}

func (t *task) tooLate(instance driver.Instance) error {
	return phone.Errorf(phone.Precondition, phone.ReasonBootTimeout, "the phone did not boot within %s%s", t.Server.BootTimeout, lacks(instance))
}

// lacks is what an instance that is not booted waits for, as the end of a sentence; "" where its driver does not say.
func lacks(instance driver.Instance) string {
	if instance.Waiting == "" {
		return ""
	}
	return ": " + instance.Waiting
}

func exited(instance driver.Instance) error {
	err := phone.Errorf(phone.Precondition, phone.ReasonBootExited, "the instance ended with exit code %d before it had booted", instance.ExitCode)
	if instance.Log != "" {
		err.Err = lastLines(instance.Log)
	}
	return err
}

func (t *task) inspect(ref driver.Ref) (driver.Instance, error) {
	var instance driver.Instance
	err := t.call("inspect the instance", func(ctx context.Context) (err error) {
		instance, err = t.host.Inspect(ctx, ref)
		return err
	})
	return instance, err
}

// pause waits until it is worth looking again.
func (t *task) pause(d time.Duration) error {
	if d <= 0 {
		d = 100 * time.Millisecond
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-t.stop.Done():
		return errStopped
	case <-t.hard.Done():
		return t.dropped()
	}
}
