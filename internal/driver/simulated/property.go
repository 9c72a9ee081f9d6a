package simulated

import (
	"strings"

	"github.com/lethe-cloud/lethe/internal/driver"
	"github.com/lethe-cloud/lethe/internal/phone"
)

// Rules gives the property rules of simulated phones. They are those of the runtime that simulated phones stand in for,
// redroid, so that a test on simulated phones finds what a real host would refuse.
func Rules() driver.PropertyRules { return driver.PropertyRules{Timing: timing, Check: check} }

// timing says when a key takes effect.
//
// ro properties are set once, before Android starts. All others can be set after boot and read by apps: telephony's gsm.*, the
// locale, what an agent in an image may read. But some keys of the CPH API are no properties of a phone; they are orders to
// what neither redroid nor a simulated phone has. A setprop of these would be read back and do nothing, so they are only
// recorded.
func timing(key string) driver.Timing {
	switch {
	case strings.HasPrefix(key, "ro."):
		return driver.AtCreation
	case key == "sys.prop.writeimsi", key == "sys.prop.writephonenum", // to a modem
		key == "sys.prop.writewifissid",  // to a Wi-Fi chip
		key == "com.cph.bandwidth_limit": // to the host's traffic control
		return driver.Recorded
	}
	return driver.AfterBoot
}

// maxValue is how many bytes the value of a property that is not ro may have: Android's PROP_VALUE_MAX is 92 and counts the
// NUL at the end.
const maxValue = 91

// check refuses what redroid would cut, drop or truncate. Its init reads ro properties from its arguments, which it joins and
// splits at white space and then at "=", keeping only what has exactly two parts (redroid-patches, system/core). What is only
// recorded is on no phone and has no limit here.
func check(properties phone.Properties) *phone.Error {
	for _, key := range properties.Keys() {
		value := properties[key]
		switch t := timing(key); {
		case t == driver.AtCreation && strings.ContainsFunc(value, cuts):
			return badValue(key, `must have no white space, no control character and no "=": the phone would cut or drop it`)
		case t == driver.AfterBoot && len(value) > maxValue:
			return badValue(key, "must have at most 91 bytes: the phone would keep no more")
		case t == driver.AfterBoot && strings.ContainsRune(value, 0):
			return badValue(key, "must have no NUL")
		}
	}
	return nil
}

func cuts(r rune) bool { return r <= ' ' || r == '=' || r == 0x7f }

func badValue(key, says string) *phone.Error {
	return &phone.Error{Code: phone.Invalid, Reason: phone.ReasonPropertyValue, Field: key, Msg: "the value " + says}
}
