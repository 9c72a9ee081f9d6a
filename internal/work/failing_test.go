package work_test

import (
	"errors"

	"github.com/lethe-cloud/lethe/internal/driver"
	"github.com/lethe-cloud/lethe/internal/phone"
)

// failingLife is a way in which a life of a phone fails, and what is said of it.
type failingLife struct {
	// spoil is called before each call that is about that life.
	spoil  func(b *bench, call string, ref driver.Ref) error
	reason phone.Reason
	says   string
}

// failingLives are the ways in which a new life fails before it is verified.
func failingLives() map[string]failingLife {
	return map[string]failingLife{
		"never boots": {func(b *bench, call string, ref driver.Ref) error {
			if call == "inspect" {
				b.host.set(ref, func(i *memoryInstance) { i.booted = false })
			}
			return nil
		}, phone.ReasonBootTimeout, "did not boot within"},
		"ends while booting": {endsWhileBooting, phone.ReasonBootExited, "exit code 129 before it had booted"},
		"a foreign object": {func(_ *bench, call string, _ driver.Ref) error {
			if call == "ensure" {
				return phone.Errorf(phone.Conflict, phone.ReasonForeignObject, "the name is taken")
			}
			return nil
		}, phone.ReasonForeignObject, "the name is taken"},
		"a property does not take": {func(b *bench, call string, ref driver.Ref) error {
			if call == "exec getprop" {
				b.host.set(ref, func(i *memoryInstance) { i.props["com.cph.mainkeys"] = "7" })
			}
			return nil
		}, phone.ReasonVerifyFailed, "property com.cph.mainkeys"},
		"something unforeseen": {func(_ *bench, call string, _ driver.Ref) error {
			if call == "ensure" {
				return errors.New("secret detail")
			}
			return nil
		}, "", "internal error"},
		"a driver that panics": {func(_ *bench, call string, _ driver.Ref) error {
			if call == "start" {
				panic("boom")
			}
			return nil
		}, "", "internal error"},
	}
}

func endsWhileBooting(b *bench, call string, ref driver.Ref) error {
	if call == "inspect" {
		b.host.set(ref, func(i *memoryInstance) { i.running, i.booted, i.exited, i.exitCode = false, false, true, 129 })
	}
	return nil
}
