package work

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/lethe-cloud/lethe/internal/driver"
	"github.com/lethe-cloud/lethe/internal/phone"
)

// stepsKeepingOld are the steps of a job with the rollback policy. The old life is only stopped, and the slot kept, until the new one
// is verified. Advancing to verifying is the point of no return: what fails before brings the old life back, and from then on it is
// destroyed, whatever happens.
func (t *task) stepsKeepingOld() error {
	if t.Job.Phase == phone.PhaseRemoving {
		if err := t.then(t.stopOlder(), phone.PhaseCreating); err != nil {
			return err
		}
	}
	if err := t.create(); err != nil {
		return err
	}
	var instance driver.Instance
	var readings []phone.PropertyReading
	verify := func() (err error) {
		instance, readings, err = t.verify()
		return err
	}
	verified := false
	if t.Job.Phase == phone.PhaseBooting {
		err := t.boot()
		if err == nil {
			err = verify()
		}
		if err := t.then(err, phone.PhaseVerifying); err != nil {
			return err
		}
		verified = true
	}
	if err := t.removeOlder(); err != nil {
		return err
	}
	erasing := t.startErasing()
	defer erasing.abandon()
	if err := erasing.wait(); err != nil {
		return err
	}
	if !verified { // by this attempt: what an earlier one has read back is not known here
		if err := verify(); err != nil {
			return err
		}
	}
	return t.finish(instance, readings, erasing)
}

func (t *task) prior() driver.Ref { return driver.Ref{Phone: t.Phone.ID, Generation: t.Job.Prior} }

// stopOlder stops the instances of all earlier lives, when there is room for a new volume beside the old one.
func (t *task) stopOlder() error {
	old, err := t.hasOld()
	if err == nil && old {
		err = t.wantSpace()
	}
	if err != nil {
		return err
	}
	t.touched = true
	for generation := max(t.Job.Prior, 1); generation < t.Job.Target; generation++ {
		err := t.call("stop the old instance", func(ctx context.Context) error {
			return t.host.Stop(ctx, driver.Ref{Phone: t.Phone.ID, Generation: generation})
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// hasOld reports whether there is a life to go back to: its instance and its volume are on the host.
func (t *task) hasOld() (bool, error) {
	if t.Job.Prior == 0 {
		return false, nil
	}
	instance, err := t.inspect(t.prior())
	if phone.CodeOf(err) == phone.NotFound {
		return false, nil
	}
	return instance.Volume != "", err
}

// noOld is the error of a job that has no old life to go back to, or why this attempt has to leave before it knows.
func (t *task) noOld() error {
	missing := &noOldError{life: t.Job.Prior}
	if missing.life == 0 {
		return missing
	}
	var objects []driver.Object
	err := t.call("look for the old life", func(ctx context.Context) (err error) {
		objects, err = t.host.List(ctx)
		return err
	})
	if err != nil && !t.failed(err) {
		return err
	}
	missing.unknown = err
	for _, o := range objects {
		if o.Phone == t.Phone.ID && o.Generation == missing.life {
			missing.instance = missing.instance || o.Kind == driver.ObjectInstance
			missing.volume = missing.volume || o.Kind == driver.ObjectVolume
		}
	}
	return missing
}

// wantSpace fails unless a second volume as big as the present one fits beside it. A host that cannot tell is taken to have room.
func (t *task) wantSpace() error {
	host, can := t.host.(driver.Measurer)
	if !can {
		t.log.Info("this driver cannot measure volumes: the space for a second one is not checked")
		return nil
	}
	var space phone.Space
	err := t.call("measure the volume", func(ctx context.Context) (err error) {
		space, err = host.Space(ctx, t.prior())
		return err
	})
	if phone.CodeOf(err) == phone.NotFound || err == nil && space.HoldsBoth() {
		return nil
	}
	if err != nil {
		return err
	}
	return phone.Errorf(phone.Exhausted, phone.ReasonNoSpace,
		"server %s has %s left: to keep the phone's present volume, which takes %s, until a new one is verified, it needs %s",
		t.Server.Name, mebibytes(space.Free), mebibytes(space.Used), mebibytes(space.Needed()))
}

func mebibytes(n int64) string { return fmt.Sprintf("%.1f MiB", float64(n)/(1<<20)) }

// errTurned means that the job is on its way back already.
var errTurned = errors.New("an earlier attempt has turned back")

// noOldError means that there is no life to go back to, and says what of it is on the host: who reads that nothing is may delete what is.
type noOldError struct {
	life     phone.Generation
	unknown  error // why it could not be looked for
	instance bool
	volume   bool
}

func (e *noOldError) Error() string {
	const not = "the old life could not be brought back: "
	switch {
	case e.life == 0:
		return "there was no old life to go back to"
	case e.unknown != nil:
		return fmt.Sprintf(not+"instance or volume of life %d is not on the server; which, could not be seen: %s", e.life, failureOf(e.unknown).Msg)
	case e.instance && e.volume:
		return fmt.Sprintf(not+"instance and volume of life %d are on the server, but were not found to belong together", e.life)
	case e.instance:
		return fmt.Sprintf(not+"the volume of life %d, with the phone's data, is not on the server; its instance is", e.life)
	case e.volume:
		return fmt.Sprintf(not+"the instance of life %d is not on the server; its volume, with the phone's data, is", e.life)
	}
	return fmt.Sprintf("there was no old life to go back to (life %d is not on the server)", e.life)
}

// warning says that data may be left, or is "".
func (e *noOldError) warning() string {
	has := "has"
	switch {
	case e.unknown != nil:
		has = "may have"
	case !e.volume:
		return ""
	}
	return fmt.Sprintf("nothing was erased: the volume of life %d on the server %s the phone's data, and a reset of the phone destroys it; ", e.life, has)
}

// turnBack ends the job as failed, with the phone as it was before. The failure is saved before anything is done about it, so that
// whoever goes on knows why, and turns back too. A phone to which nothing was done is left alone: a start and a boot timeout would make
// a failed one of a phone that runs and hangs.
func (t *task) turnBack(failure phone.Failure) error {
	untouched := t.untouched()
	if untouched {
		failure.Detail = "nothing was done to the phone: it is as it was; " + failure.Detail
	}
	switch t.Job.Phase {
	case phone.PhasePreparing:
	case phone.PhaseRestoring:
		failure = *t.Job.Failure
	default:
		t.log.Warn("the job failed before its new life was verified: it turns back", "reason", failure.Reason, "msg", failure.Msg)
		if err := t.save(func(ctx context.Context) error { return t.engine.Store.Restore(ctx, t.Fence, failure) }); err != nil {
			return err
		}
		t.Job.Phase, t.Job.Failure = phone.PhaseRestoring, &failure
		if !untouched && t.stop.Err() != nil {
			return errStopped
		}
	}
	if untouched {
		return t.rolledBack(failure)
	}
	var left error // of the failed life, which harms nobody
	err := t.guarded(func() (err error) {
		left, err = t.restore()
		return err
	})
	switch {
	case err == nil:
		return t.rolledBack(t.backAgain(failure, left))
	case !t.failed(err):
		return err
	}
	if phone.ReasonOf(err) != phone.ReasonHostGone {
		t.stopBooting(t.ref())
		t.stopBooting(t.prior())
	}
	return t.fail(t.notBack(failure, err))
}

// stopBooting stops an instance that has not booted, or of which that cannot be said: the slot is about to be another phone's.
func (t *task) stopBooting(ref driver.Ref) {
	err := t.guarded(func() error {
		instance, err := t.inspect(ref)
		if phone.CodeOf(err) == phone.NotFound || err == nil && (!instance.Running || instance.Booted) {
			return nil
		}
		return t.call("stop the instance that did not boot", func(ctx context.Context) error { return t.host.Stop(ctx, ref) })
	})
	if err != nil {
		t.log.Warn("an instance that did not boot may still be running", "generation", ref.Generation, "err", err)
	}
}

// untouched reports whether nothing can have been done to the phone, by this attempt or an earlier one.
func (t *task) untouched() bool {
	return t.Job.Phase == phone.PhasePreparing || t.Job.Phase == phone.PhaseRemoving && t.Job.FirstInSlot() && !t.touched
}

func (t *task) rolledBack(failure phone.Failure) error {
	t.log.Warn("job failed and rolled back", "reason", failure.Reason, "msg", failure.Msg)
	return t.save(func(ctx context.Context) error { return t.engine.Store.RolledBack(ctx, t.Fence, failure) })
}

// restore makes the phone what it was: the failed instance goes, the old one runs again, if it ran before, and then the failed life
// is destroyed. Without an old life the failed one is stopped and stays, to be looked at. left is why not all of the failed life
// could be destroyed.
func (t *task) restore() (left, err error) {
	if t.host == nil {
		if t.host, err = t.open(); err != nil {
			return nil, err
		}
	}
	old, err := t.hasOld()
	if err != nil {
		return nil, err
	}
	if !old {
		err := t.call("stop the instance that failed", func(ctx context.Context) error { return t.host.Stop(ctx, t.ref()) })
		if err != nil {
			if !t.failed(err) {
				return nil, err
			}
			t.log.Warn("the instance that failed may still be running", "err", err)
		}
		return nil, t.noOld()
	}
	// Before the old instance starts: the two have one adb port.
	if err := t.eachNewer("remove the instance that failed", t.host.Remove); err != nil {
		return nil, err
	}
	if t.Job.BringsBack() {
		if err := t.bringBack(); err != nil {
			return nil, err
		}
	}
	left = t.eachNewer("destroy the life that failed", t.host.Discard)
	if left != nil && t.failed(left) {
		t.log.Warn("the phone has its old life, and of the one that failed something is left", "err", left)
		return left, nil
	}
	return nil, left
}

// eachNewer does something with the lives after the old one: the failed one, and those of earlier jobs that failed.
func (t *task) eachNewer(what string, do func(context.Context, driver.Ref) error) error {
	for generation := t.Job.Target; generation > t.Job.Prior; generation-- {
		err := t.call(what, func(ctx context.Context) error {
			return do(ctx, driver.Ref{Phone: t.Phone.ID, Generation: generation})
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// bringBack starts the old instance, waits until it has booted, and sets its properties again. It has the server's boot timeout,
// counted anew by each attempt: an outage of lethe or of the host while the phone comes back must not be what it is given up for.
func (t *task) bringBack() error {
	if err := t.start(t.prior()); err != nil {
		return err
	}
	again := false
	for began := time.Now(); ; {
		instance, err := t.inspect(t.prior())
		switch {
		case err != nil:
			return err
		case instance.Booted:
			return t.lookAgain(func() error {
				_, err := t.applyProperties(t.prior(), t.Phone.Properties, true)
				return err
			})
		case instance.Exited && !again:
			// A stop that an earlier attempt sent may arrive only now. Once: what ends twice ends by itself.
			again = true
			t.log.Warn("the old instance ended while it came back: starting it once more", "exit_code", instance.ExitCode)
			if err := t.start(t.prior()); err != nil {
				return err
			}
		case instance.Exited:
			return exited(instance)
		case time.Since(began) > t.Server.BootTimeout:
			return t.tooLate(instance)
		}
		if err := t.pause(instance.CheckAfter); err != nil {
			return err
		}
	}
}

// backAgain adds to a failure that the phone has its old life.
func (t *task) backAgain(failure phone.Failure, left error) phone.Failure {
	says := fmt.Sprintf("the phone was rolled back: it runs its life %d again, with its data; ", t.Job.Prior)
	if !t.Job.BringsBack() {
		says = fmt.Sprintf("the phone was rolled back: it is %s as before, and has its life %d with its data; ", t.Job.PriorStatus, t.Job.Prior)
	}
	if left != nil {
		says += fmt.Sprintf("of life %d, which failed, something is left on the server: %s; ", t.Job.Target, failureOf(left).Msg)
	}
	failure.Detail = says + failure.Detail
	return failure
}

// notBack adds to a failure that, and why, the phone does not have its old life.
func (t *task) notBack(failure phone.Failure, err error) phone.Failure {
	var missing *noOldError
	if errors.As(err, &missing) {
		failure.Msg += "; and " + missing.Error()
		failure.Detail = missing.warning() + failure.Detail
		return failure
	}
	why := failureOf(err)
	failure.Msg += "; and the old life could not be brought back: " + why.Msg
	failure.Detail = fmt.Sprintf("of life %d nothing was erased; %s; of the new life: %s", t.Job.Prior, why.Detail, failure.Detail)
	return failure
}
