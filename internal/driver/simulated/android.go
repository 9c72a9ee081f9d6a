package simulated

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/lethe-cloud/lethe/internal/apps"
	"github.com/lethe-cloud/lethe/internal/driver"
	"github.com/lethe-cloud/lethe/internal/phone"
)

// properties gives all properties as the phone has them now.
func (s *shell) properties() (map[string]string, error) {
	serial := serialNumber(s.instance.ref())
	all := map[string]string{
		"init.svc.adbd": "running", "ro.adb.secure": "1", "ro.debuggable": "1", "ro.hardware": "simulated", "ro.boot.hardware": "simulated",
		"ro.product.brand": "lethe", "ro.product.manufacturer": "lethe", "ro.product.model": "simulated phone", "ro.product.name": "lethe_simulated",
		"ro.product.device": "simulated", "ro.product.locale": "en-US", "ro.build.version.release": "12", "ro.build.version.sdk": "31",
		"ro.build.fingerprint": "lethe/simulated/" + strings.TrimPrefix(s.instance.Identity.ID, "sha256:"),
		"ro.serialno":          serial, "ro.boot.serialno": serial,
	}
	persistent, err := s.persistent()
	if err != nil {
		return nil, err
	}
	maps.Copy(all, s.instance.Properties)
	maps.Copy(all, persistent)
	maps.Copy(all, s.instance.Run.Set)
	for _, key := range []string{"sys.boot_completed", "dev.bootcomplete"} {
		delete(all, key)
		if s.booted() {
			all[key] = "1"
		}
	}
	return all, nil
}

func (s *shell) booted() bool { return s.instance.booted(s.d.now()) }

// serialNumber is what a life has unless it was given one; a reset gives the phone another.
func serialNumber(ref driver.Ref) string {
	sum := sha256.Sum256(fmt.Appendf(nil, "serial %s %d", ref.Phone, ref.Generation))
	return "SIM" + strings.ToUpper(hex.EncodeToString(sum[:6]))
}

// persistentFile is where Android keeps the persist properties: on the volume, so they go with it.
const persistentFile = "property/persistent_properties"

func (s *shell) persistent() (map[string]string, error) {
	text, err := s.data.ReadFile(persistentFile)
	if err != nil {
		if hostFault(err) {
			return nil, err
		}
		return nil, nil
	}
	var all map[string]string
	if json.Unmarshal(text, &all) != nil {
		return nil, nil // the phone's user may write over it, as a root of Android may
	}
	return all, nil
}

func (s *shell) setPersistent(key, value string) error {
	all, err := s.persistent()
	if err != nil {
		return err
	}
	if all == nil {
		all = map[string]string{}
	}
	all[key] = value
	text, err := json.Marshal(all)
	if err != nil {
		return err
	}
	if err := s.data.MkdirAll("property", 0o700); err != nil {
		return err
	}
	if err := s.data.WriteFile(persistentFile+".tmp", text, 0o600); err != nil {
		return err
	}
	return s.data.Rename(persistentFile+".tmp", persistentFile)
}

// getprop prints one property, or its default, or all as [key]: [value].
func getprop(s *shell) (int, error) {
	all, err := s.properties()
	if err != nil {
		return 0, err
	}
	switch len(s.args) {
	case 0:
		for _, key := range slices.Sorted(maps.Keys(all)) {
			if err := s.say("[%s]: [%s]\n", key, all[key]); err != nil {
				return 0, err
			}
		}
		return 0, nil
	case 1, 2:
		value := all[s.args[0]]
		if value == "" && len(s.args) == 2 {
			value = s.args[1]
		}
		return 0, s.say("%s\n", value)
	}
	return s.fail(1, "getprop: usage: getprop [NAME [DEFAULT]]")
}

// setprop sets a property until the phone stops, or for good when it is a persist property. A ro property was set before
// Android started and cannot be changed.
func setprop(s *shell) (int, error) {
	if len(s.args) != 2 {
		return s.fail(1, "setprop: usage: setprop NAME VALUE")
	}
	key, value := s.args[0], s.args[1]
	switch {
	case !validKey(key):
		return s.fail(1, "setprop: illegal property name '%s'", key)
	case strings.HasPrefix(key, "ro."):
		return s.fail(1, "setprop: failed to set property '%s': read-only", key)
	case len(value) > maxValue:
		return s.fail(1, "setprop: value of '%s' too long: %d bytes, at most %d", key, len(value), maxValue)
	case strings.HasPrefix(key, "persist."):
		err := s.setPersistent(key, value)
		if err != nil && !hostFault(err) {
			return s.fail(1, "setprop: failed to set property '%s': %s", key, reason(err))
		}
		return 0, err
	}
	if s.instance.Run.Set == nil {
		s.instance.Run.Set = map[string]string{}
	}
	s.instance.Run.Set[key] = value
	return 0, writeJSON(s.d.instancePath(s.instance.ref()), s.instance)
}

// validKey is Android's rule for names of properties (system/core, IsLegalPropertyName).
func validKey(key string) bool {
	legal := func(r rune) bool {
		return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("._-@:", r)
	}
	illegal := strings.ContainsFunc(key, func(r rune) bool { return !legal(r) })
	return key != "" && !illegal && !strings.HasPrefix(key, ".") && !strings.HasSuffix(key, ".") && !strings.Contains(key, "..")
}

// systemApps are the apps of a simulated phone's system.
func systemApps() map[string]string {
	return map[string]string{
		"android":                        "/system/framework/framework-res.apk",
		"com.android.settings":           "/system_ext/priv-app/Settings/Settings.apk",
		"com.android.systemui":           "/system_ext/priv-app/SystemUI/SystemUI.apk",
		"com.android.providers.settings": "/system/priv-app/SettingsProvider/SettingsProvider.apk",
		"com.android.shell":              "/system/priv-app/Shell/Shell.apk",
	}
}

// pm is the package manager, once the phone has booted.
func pm(s *shell) (int, error) {
	if !s.booted() {
		return s.fail(20, "cmd: Can't find service: package")
	}
	result, err := apps.Manager{Data: s.data, System: systemApps(), Shared: s.share, SharedAt: s.instance.Share}.Run(s.args)
	if err != nil {
		return 0, err
	}
	_, out := io.WriteString(&s.stdout, result.Stdout)
	_, said := io.WriteString(&s.stderr, result.Stderr)
	return result.Code, errors.Join(out, said)
}

// seed writes what a first boot leaves on a volume, so that an erasure has real files to destroy: the configured number of
// small files, and the folders that users of a phone expect. The last of those is the sign that it was done.
func (d *Driver) seed(ctx context.Context, i *instance) error {
	data := d.volumePath(i.volumeLabel())
	done := filepath.Join(data, "local", "tmp")
	if _, err := os.Lstat(done); err == nil {
		return nil
	} else if !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	folders := []string{filepath.Join("media", "0")}
	if d.config.DataFiles > 0 {
		folders = append(folders, seedFolders()...)
	}
	for _, folder := range folders {
		if err := makeBelow(data, filepath.Join(data, folder)); err != nil { // never the host's own folder, which may have gone
			return err
		}
	}
	// Each life has an Android id of its own; it is in every file, so that one that outlived its life could be told.
	content := []byte(strings.Repeat("android_id="+phone.NewID[string]()[:16]+"\n", 32))
	for n := range d.config.DataFiles {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(data, seedFile(n)), content[:len(content)/(1+n%8)], 0o600); err != nil {
			return err
		}
	}
	return makeBelow(data, done)
}

func seedFolders() []string {
	return []string{filepath.Join("system", "users", "0"), filepath.Join("dalvik-cache", "arm64")}
}

func seedFile(n int) string {
	system := []string{
		"packages.xml", "packages.list", "appops.xml", "device_policies.xml", "netpolicy.xml", "notification_policy.xml",
		filepath.Join("users", "userlist.xml"), filepath.Join("users", "0.xml"), filepath.Join("users", "0", "settings_secure.xml"),
		filepath.Join("users", "0", "settings_global.xml"), filepath.Join("users", "0", "settings_system.xml"),
	}
	if n < len(system) {
		return filepath.Join("system", system[n])
	}
	return filepath.Join("dalvik-cache", "arm64", fmt.Sprintf("system@app@%04d.dex", n))
}
