package simulated

import (
	"context"
	"slices"
	"strings"

	"github.com/lethe-cloud/lethe/internal/adb"
	"github.com/lethe-cloud/lethe/internal/driver"
	"github.com/lethe-cloud/lethe/internal/phone"
)

// keysFile is where Android's adbd reads whom to let in. A simulated phone has the file, and no adb.
const keysFile = "/adb_keys"

// SetADBKeys keeps the keys in the instance's record, from which the phone's programs read them as /adb_keys.
func (d *Driver) SetADBKeys(ctx context.Context, ref driver.Ref, keys []string) error {
	if err := adb.CheckKeys(keys); err != nil {
		return badKeys(err)
	}
	return d.change(ctx, OpADBKeys, ref, func(i *instance) error {
		if i == nil {
			return notFound(ref)
		}
		if slices.Equal(i.ADBKeys, keys) {
			return nil
		}
		i.ADBKeys = keys
		return writeJSON(d.instancePath(ref), i)
	})
}

func badKeys(err error) error {
	return &phone.Error{Code: phone.Invalid, Field: "adb_keys", Msg: "adb_keys " + err.Error()}
}

// keys is the content of /adb_keys, and whether there is such a file.
func (i *instance) keys() (string, bool) {
	if len(i.ADBKeys) == 0 {
		return "", false
	}
	return strings.Join(i.ADBKeys, "\n") + "\n", true
}
