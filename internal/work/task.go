package work

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"time"

	"github.com/lethe-cloud/lethe/internal/driver"
	"github.com/lethe-cloud/lethe/internal/phone"
)

// task is one attempt at one job.
type task struct {
	engine *Engine
	phone.Assignment
	attempt
	host     driver.Driver
	log      *slog.Logger
	patience time.Duration // how long a call waits for a host that does not answer; 0: host_deadline
	touched  bool          // with the rollback policy: this attempt may have stopped the old life
	lost     bool          // the job was seen to be another's, or ended
	// until is when an export or import ends, whatever it is at; zero for all else. answered is when the host gave or took data of a transfer last.
	until, answered time.Time
}

// attempt is what bounds one attempt in time.
type attempt struct {
	stop  context.Context // ended: finish the step at hand, then leave
	hard  context.Context // ended: nothing more may be called
	lease *lease          // over: the same, seen before the heartbeat has noticed (the process was paused)
}

// dropped gives the reason why nothing more may be called or written, or nil.
func (a attempt) dropped() error {
	if a.lease.over() {
		return errLeaseLost
	}
	return context.Cause(a.hard)
}

// errStopped means that the attempt left at a step boundary because the process stops: the job stays as saved.
var errStopped = errors.New("stopped at a step boundary")

// work takes one delivered job as far as it gets.
func (e *Engine) work(at attempt, d phone.Delivery) {
	log := e.Logger.With("job_id", d.Job, "attempt", d.Attempt)
	var a phone.Assignment
	err := e.retryStore(at.stop, func() (err error) {
		a, err = e.Store.Claim(at.stop, d, e.Replica)
		return unknown(at.stop, err)
	})
	if err != nil {
		if phone.ReasonOf(err) != phone.ReasonFenced && at.stop.Err() == nil {
			log.Error("claim failed", "err", err)
		}
		return // a stale delivery, or one that the sweep will repeat
	}
	t := &task{engine: e, Assignment: a, attempt: at, log: log.With("phone_id", a.Phone.ID, "server_id", a.Server.ID, "driver", a.Server.Driver)}
	began := time.Now()
	err = t.run()
	switch {
	case err == nil:
		t.log.Info("attempt ended", "kind", a.Job.Kind, "from", a.Job.Phase, "took", time.Since(began).Round(time.Millisecond))
	case errors.Is(err, errStopped), phone.ReasonOf(err) == phone.ReasonFenced, t.dropped() != nil:
		t.log.Info("attempt left its job to another", "why", err)
	default:
		t.log.Error("attempt could not save its job", "err", err)
	}
}

// run works the job and turns what went wrong into a failed job. The error is one that kept it from saving, or errStopped.
func (t *task) run() error {
	err := t.guarded(t.forward)
	if err == nil || !t.failed(err) {
		return err
	}
	if t.Job.MayTurnBack() {
		return t.turnBack(failureOf(err))
	}
	return t.fail(t.failure(err))
}

// forward takes the job towards its success.
func (t *task) forward() (err error) {
	if t.Job.Phase == phone.PhaseRestoring {
		return errTurned
	}
	if t.host, err = t.open(); err != nil {
		return err
	}
	return t.steps()
}

// guarded makes an error of a panic: it fails the job, and does not end the process.
func (t *task) guarded(do func() error) (err error) {
	defer func() {
		if r := recover(); r != nil {
			t.log.Error("panic", "panic", r, "stack", string(debug.Stack()))
			err = fmt.Errorf("panic: %v", r)
		}
	}()
	return do()
}

// failed reports whether err ends the job as failed, rather than only this attempt at it: not a stop, a lost fence or lease,
// or a write that did not succeed.
func (t *task) failed(err error) bool {
	var unsaved *saveError
	return !errors.Is(err, errStopped) && phone.ReasonOf(err) != phone.ReasonFenced && t.dropped() == nil && !errors.As(err, &unsaved)
}

func (t *task) open() (driver.Driver, error) {
	var host driver.Driver
	err := t.call("open the server", func(ctx context.Context) (err error) {
		host, err = t.engine.Hosts.Driver(ctx, t.Server)
		return err
	})
	return host, err
}

func (t *task) fail(failure phone.Failure) error {
	t.log.Warn("job failed", "reason", failure.Reason, "msg", failure.Msg)
	if t.Job.Kind.Task() {
		return t.endTask(phone.TaskEnd{Failure: &failure})
	}
	return t.save(func(ctx context.Context) error { return t.engine.Store.Fail(ctx, t.Fence, failure) })
}

// saveError is a write that failed for another reason than its fence; the job stays as it was saved last.
type saveError struct{ err error }

func (e *saveError) Error() string { return "save the step: " + e.err.Error() }
func (e *saveError) Unwrap() error { return e.err }

// save writes with the job's fence, and goes on trying while the database does not answer, or fails for a reason of its own, and the
// lease lasts: a job that this attempt left now would be nobody's until the process ends.
func (t *task) save(write func(context.Context) error) error {
	err := t.engine.retryStore(t.hard, func() error {
		if err := t.dropped(); err != nil {
			return err
		}
		return unknown(t.hard, write(t.hard))
	})
	if err != nil && phone.ReasonOf(err) != phone.ReasonFenced {
		return &saveError{err}
	}
	return err
}

// unknown makes an error of the database that says nothing of the write one that is tried again: it may have been done. A claim that was
// done and given up is a job that nobody works on and that nobody else gets, for as long as this process lives.
func unknown(ctx context.Context, err error) error {
	if ctx.Err() == nil && phone.CodeOf(err) == phone.Internal {
		return &phone.Error{Code: phone.Unavailable, Msg: "the database failed", Err: err}
	}
	return err
}

// call makes one driver call. While the host does not answer it is repeated until the host's deadline, which begins anew when it has answered
// something, or as long as the task has patience; an error of unknown kind is tried three times. Between tries the attempt leaves when the process stops.
func (t *task) call(what string, do func(context.Context) error) error {
	wait := newBackoff(100*time.Millisecond, 5*time.Second)
	var away time.Time // since when the host does not answer
	for tries := 1; ; tries++ {
		if err := t.dropped(); err != nil {
			return err
		}
		err := do(t.hard)
		switch code := phone.CodeOf(err); {
		case err == nil:
			return nil
		case t.dropped() != nil:
			return t.dropped()
		case errors.Is(err, errStopped):
			return err
		case code == phone.Unavailable:
			if !t.until.IsZero() && t.answered.After(away) { // what has a deadline itself may begin again as often as the host comes back
				away = time.Time{}
			}
			if away.IsZero() {
				away = time.Now()
				t.log.Warn("the host does not answer: waiting for it", "step", what, "err", err)
			}
			if time.Since(away) > orDefault(t.patience, t.engine.HostDeadline) {
				return t.hostGone(what, err)
			}
		case code == phone.Internal && (phone.ReasonOf(err) == "" || phone.ReasonOf(err) == phone.ReasonHostFailed),
			phone.ReasonOf(err) == phone.ReasonEraseFailed:
			if tries >= 3 {
				return fmt.Errorf("%s: %w", what, err)
			}
			away = time.Time{}
			t.log.Warn("the step failed: trying again", "step", what, "try", tries, "err", err)
		default:
			return fmt.Errorf("%s: %w", what, err)
		}
		if !wait.sleep(t.stop) {
			return errStopped
		}
	}
}

func (t *task) hostGone(what string, err error) error {
	return &phone.Error{
		Code: phone.Unavailable, Reason: phone.ReasonHostGone, Err: err,
		Msg: fmt.Sprintf("server %s did not answer for %s (%s): %s", t.Server.Name, t.engine.HostDeadline, what, said(err)),
	}
}

// said is what of an error is safe to show: the words that its driver chose, and not the error below them.
func said(err error) string {
	var known *phone.Error
	if errors.As(err, &known) {
		return known.Msg
	}
	return "no particulars"
}
