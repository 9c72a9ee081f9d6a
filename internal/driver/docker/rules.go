package docker

import (
	"strings"

	"github.com/lethe-cloud/lethe/internal/driver"
	"github.com/lethe-cloud/lethe/internal/phone"
)

// maxSettable is the longest value in bytes of a property that is not ro.*: PROP_VALUE_MAX of Android's bionic, less its NUL.
const maxSettable = 91

// recorded are keys that are no properties of an Android but orders to the host or modem of a Cloud Phone, which has no
// counterpart here. Setting them would read back and do nothing, so lethe only keeps them.
var recorded = map[string]bool{
	"sys.prop.writeimsi":      true, // redroid has no telephony
	"sys.prop.writephonenum":  true,
	"sys.prop.writewifissid":  true, // and no Wi-Fi
	"com.cph.bandwidth_limit": true, // an order to the host's traffic control
}

// Rules are redroid's property rules.
//
// ro.* are init arguments: init sets them before the image's own, and nothing can change them later. Everything else is set by
// setprop after each boot: gsm.*, persist.sys.locale and qemu.hw.mainkeys are read by Android itself, com.cph.* by whatever
// agent an image brings. That such a property was set is claimed only when it reads back; what an app does with it is not.
func Rules() driver.PropertyRules {
	return driver.PropertyRules{Timing: timing, Check: check}
}

func timing(key string) driver.Timing {
	switch {
	case strings.HasPrefix(key, "ro."):
		return driver.AtCreation
	case recorded[key]:
		return driver.Recorded
	}
	return driver.AfterBoot
}

// check refuses values that redroid would cut, drop or truncate without a word.
func check(properties phone.Properties) *phone.Error {
	for _, key := range properties.Keys() {
		if says := wrong(key, properties[key]); says != "" {
			return &phone.Error{Code: phone.Invalid, Reason: phone.ReasonPropertyValue, Field: key, Msg: key + ": " + says}
		}
	}
	return nil
}

func wrong(key, value string) string {
	switch timing(key) {
	case driver.AtCreation:
		return wrongArgument(value)
	case driver.AfterBoot:
		if len(value) > maxSettable {
			return "the value is longer than 91 bytes, which is all that Android keeps of a property that is not ro.*"
		}
		if strings.ContainsRune(value, 0) {
			return "the value has a NUL character"
		}
	}
	return ""
}

// wrongArgument says what init would do to an argument's value. Source: redroid's patches of system/core, which split
// /proc/self/cmdline at spaces and then at "=", and keep only what has exactly two parts.
func wrongArgument(value string) string {
	if strings.ContainsFunc(value, func(r rune) bool { return r <= ' ' || r == 0x7f }) {
		return "the value has a space or a control character, at which Android's init would cut it: leave it out or use another character"
	}
	if strings.Contains(value, "=") {
		return "the value has an equals sign, for which Android's init would drop the property: leave it out"
	}
	return ""
}
