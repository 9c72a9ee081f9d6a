package work

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/lethe-cloud/lethe/internal/driver"
	"github.com/lethe-cloud/lethe/internal/phone"
)

// verifyAndFinish looks at the booted phone once more, as a stranger would: is it this image, this volume, these properties?
// Only then is the job a success.
func (t *task) verifyAndFinish(erased *erasing) error {
	instance, readings, err := t.verify()
	if err != nil {
		return err
	}
	return t.finish(instance, readings, erased)
}

func (t *task) finish(instance driver.Instance, readings []phone.PropertyReading, erased *erasing) error {
	receipt := phone.Receipt{
		Phone: t.Phone.ID, Job: t.Job.ID, From: t.Job.Prior, To: t.Job.Target, Image: t.Image.ID, Identity: t.identity(instance),
		Instance: instance.Name, Volume: instance.Volume, Erased: erased.volumes, LookedFor: erased.lookedFor, Properties: readings,
	}
	return t.save(func(ctx context.Context) error { return t.engine.Store.Finish(ctx, t.Fence, receipt) })
}

// identity is what the instance has to run: what the image was prepared as. A job that keeps the life keeps what it was made of: what the
// host resolves the image to may have changed since.
func (t *task) identity(instance driver.Instance) phone.ImageIdentity {
	if t.Job.Kind.KeepsLife() {
		return instance.Identity
	}
	return t.Identity
}

// looks is how often a phone that is not as asked is looked at before that is believed. What a phone answers comes through a
// stream whose end looks the same when the connection broke, and a phone under load is late at times. One that does not answer at all, on
// a host whose processors are all taken, has as long as it had to boot.
const looks = 5

// errSilent is the cause of an error of a phone that runs, had booted, and does not answer as a booted one now.
var errSilent = errors.New("the phone runs and does not answer")

func (t *task) verify() (instance driver.Instance, readings []phone.PropertyReading, err error) {
	err = t.lookAgain(func() error {
		instance, readings, err = t.verifyOnce()
		return err
	})
	return instance, readings, err
}

func (t *task) lookAgain(verify func() error) error {
	began, wait := time.Now(), newBackoff(100*time.Millisecond, time.Second)
	for look := 1; ; look++ {
		err := verify()
		patient := look < looks || errors.Is(err, errSilent) && time.Since(began) < t.Server.BootTimeout
		if phone.ReasonOf(err) != phone.ReasonVerifyFailed || !patient {
			return err
		}
		t.log.Warn("the phone is not as asked: looking again", "look", look, "err", err)
		if !wait.sleep(t.stop) {
			return errStopped
		}
	}
}

func (t *task) verifyOnce() (driver.Instance, []phone.PropertyReading, error) {
	instance, err := t.inspect(t.ref())
	switch {
	case err != nil:
	case instance.Exited:
		err = exited(instance)
	case !instance.Booted:
		err = silent(instance)
	case instance.Identity.ID != t.identity(instance).ID:
		err = phone.Errorf(phone.Precondition, phone.ReasonVerifyFailed, "the phone runs image %s, not %s as asked", instance.Identity.ID, t.Identity.ID)
	case t.Job.Kind != phone.KindUpdate && !t.asAsked(instance):
		err = phone.Errorf(phone.Precondition, phone.ReasonVerifyFailed, "the phone's instance was made of another image, or with other properties, than asked")
	case instance.Volume == "":
		err = phone.Errorf(phone.Precondition, phone.ReasonVerifyFailed, "the phone has no data volume of its own")
	}
	if err != nil {
		return driver.Instance{}, nil, err
	}
	readings, err := t.applyProperties(t.ref(), t.Job.Properties, t.Job.Kind == phone.KindUpdate)
	return instance, readings, err
}

// silent is the error of an instance that runs and is not booted any more.
func silent(instance driver.Instance) error {
	return &phone.Error{Code: phone.Precondition, Reason: phone.ReasonVerifyFailed, Msg: "the phone is not booted any more" + lacks(instance), Err: errSilent}
}

// applyProperties sets what takes effect after boot, reads everything back, and fails on the first value that is not as asked. In an older
// instance a value that takes effect at creation may be given to the phone and not be there yet: it comes when the instance is made anew, before
// the phone's next boot.
func (t *task) applyProperties(ref driver.Ref, properties phone.Properties, older bool) ([]phone.PropertyReading, error) {
	rules := t.engine.Hosts.Rules(t.Server.Driver)
	readings := make([]phone.PropertyReading, 0, len(properties))
	var check []string
	for _, key := range properties.Keys() {
		switch rules.Timing(key) {
		case driver.Recorded:
			readings = append(readings, phone.PropertyReading{Key: key, Effect: phone.EffectRecorded})
			continue
		case driver.AfterBoot:
			if _, err := t.exec(ref, "setprop", key, properties[key]); err != nil {
				return nil, err
			}
		}
		check = append(check, key)
	}
	if len(check) > 0 {
		present, err := t.exec(ref, "getprop")
		if err != nil {
			return nil, err
		}
		values := parseGetprop(present.Stdout)
		for _, key := range check {
			switch {
			case values[key] == properties[key]:
				readings = append(readings, phone.PropertyReading{Key: key, Effect: phone.EffectVerified})
			case older && rules.Timing(key) == driver.AtCreation:
				readings = append(readings, phone.PropertyReading{Key: key, Effect: phone.EffectPending})
			default:
				return nil, phone.Errorf(phone.Precondition, phone.ReasonVerifyFailed, "property %s was set, but the phone reads back another value", key)
			}
		}
	}
	slices.SortFunc(readings, func(a, b phone.PropertyReading) int { return strings.Compare(a.Key, b.Key) })
	return readings, nil
}

func (t *task) exec(ref driver.Ref, args ...string) (driver.Result, error) {
	var result driver.Result
	err := t.call("run "+args[0]+" in the phone", func(ctx context.Context) (err error) {
		result, err = t.host.Exec(ctx, ref, driver.Command{Args: args, MaxOutput: 1 << 20})
		return err
	})
	if err == nil && result.ExitCode != 0 {
		err = phone.Errorf(phone.Precondition, phone.ReasonVerifyFailed, "%s ended with exit code %d in the phone", strings.Join(args[:min(2, len(args))], " "), result.ExitCode)
	}
	return result, err
}

// parseGetprop reads getprop's list: one "[key]: [value]" a line.
func parseGetprop(out []byte) map[string]string {
	values := map[string]string{}
	scan := bufio.NewScanner(bytes.NewReader(out))
	scan.Buffer(nil, 1<<20)
	for scan.Scan() {
		key, value, ok := strings.Cut(strings.TrimSpace(scan.Text()), "]: [")
		if ok && strings.HasPrefix(key, "[") && strings.HasSuffix(value, "]") {
			values[key[1:]] = strings.TrimSuffix(value, "]")
		}
	}
	return values
}
