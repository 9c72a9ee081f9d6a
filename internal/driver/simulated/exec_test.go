package simulated

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/lethe-cloud/lethe/internal/driver"
	"github.com/lethe-cloud/lethe/internal/phone"
)

// phoneOn gives a booted phone and the folder of its volume.
func phoneOn(t *testing.T, config Config) (*Driver, driver.Spec, string) {
	t.Helper()
	d, clock := timed(t, config)
	spec := started(t, d, newSpec(t, d))
	clock.Add(time.Hour)
	i, _, err := d.readInstance(spec.Ref)
	must(t, err)
	return d, spec, d.volumePath(i.label)
}

// No path, however it is written and whatever links there are, leads out of the phone's volume.
func TestNoWayOut(t *testing.T) {
	t.Parallel()
	d, spec, volume := phoneOn(t, Config{})
	outside := t.TempDir()
	secret := filepath.Join(outside, "secret")
	must(t, os.WriteFile(secret, []byte("the host's"), 0o600))
	must(t, os.Symlink(secret, filepath.Join(volume, "absolute")))
	must(t, os.Symlink(outside, filepath.Join(volume, "folder")))
	up, err := filepath.Rel(volume, secret)
	must(t, err)
	must(t, os.Symlink(up, filepath.Join(volume, "relative")))
	must(t, os.Symlink("/", filepath.Join(volume, "root")))

	for _, path := range []string{
		secret, "/etc/passwd", "/", "", ".", "..", "/data/..", "/data/../etc/passwd", "/data/../../" + secret, "/data/" + up, up, "../" + up,
		"/data/absolute", "/data/relative", "/data/folder/secret", "/data/root/etc/passwd", "/data/./folder/../folder/secret",
		"/data/absolute/", "/database/file", "/proc/self/environ", filepath.Join(volume, "local"), "/data/" + secret, "/data\x00/x",
	} {
		for _, program := range [][]string{
			{"cat", path}, {"tee", path}, {"tee", "-a", path}, {"rm", "-r", path}, {"mkdir", path + "/new"}, {"mkdir", "-p", path + "/new"},
		} {
			switch {
			case program[0] == "rm" && strings.HasPrefix(path, "/data/") && !strings.Contains(path, "secret"):
				continue // a link in /data is the phone's own to remove
			case program[0] == "mkdir" && path == "/data/"+secret:
				continue // and so is a folder that is named like one of the host's
			}
			result, err := d.Exec(t.Context(), spec.Ref, driver.Command{Args: program, Stdin: []byte("changed")})
			must(t, err)
			if program[0] != "mkdir" && result.ExitCode == 0 || strings.Contains(string(result.Stdout), "the host's") {
				t.Errorf("%q: exit code %d, %q", program, result.ExitCode, result.Stdout)
			}
		}
	}
	for _, path := range []string{"/data/folder", "/data/root", "/data/relative", "/etc"} {
		if got := sh(t, d, spec.Ref, "", "ls "+path); got.ExitCode == 0 || len(got.Stdout) > 0 {
			t.Errorf("ls %s gives %q", path, got.Stdout)
		}
	}
	must(t, drop(d.Exec(t.Context(), spec.Ref, driver.Command{Args: []string{"rm", "-rf", "/data"}})))
	text, err := os.ReadFile(secret)
	if entries, _ := os.ReadDir(outside); err != nil || string(text) != "the host's" || len(entries) != 1 {
		t.Errorf("outside there is %q, %v, %v", text, err, entries)
	}
	if entries, err := os.ReadDir(volume); err != nil || len(entries) > 0 {
		t.Errorf("rm -rf /data left %v, %v", entries, err)
	}
}

func TestPrograms(t *testing.T) {
	t.Parallel()
	d, spec, volume := phoneOn(t, Config{})
	must(t, syscall.Mkfifo(filepath.Join(volume, "pipe"), 0o600))
	for _, step := range []struct {
		command, stdin string
		code           int
		stdout, stderr string
	}{
		{command: "ls /", stdout: "data\n"},
		{command: "ls", stdout: "data\n"},
		{command: "ls /data", stdout: "local\nmedia\npipe\n"},
		{command: "tee /data/local/tmp/a /data/b", stdin: "one\n", stdout: "one\n"},
		{command: "tee -a /data/b", stdin: "two\n", stdout: "two\n"},
		{command: "tee", stdin: "only out", stdout: "only out"},
		{command: "tee /data", stdin: "x", code: 1, stdout: "x", stderr: "tee: /data: Is a directory\n"},
		{command: "tee /data/b/c", stdin: "x", code: 1, stdout: "x", stderr: "tee: /data/b/c: Not a directory\n"},
		{command: "tee /data/c/d /data/e", stdin: "x", code: 1, stdout: "x", stderr: "tee: /data/c/d: No such file or directory\n"},
		{command: "tee -x /data/e", code: 1, stderr: "tee: Unknown option 'x'\n"},
		{command: "cat /data/b data/local/tmp/a /data/../data/e", stdout: "one\ntwo\none\nx"},
		{command: "cat /data/none /data/e", code: 1, stdout: "x", stderr: "cat: /data/none: No such file or directory\n"},
		{command: "cat /data/local", code: 1, stderr: "cat: /data/local: Is a directory\n"},
		{command: "cat /data/pipe", code: 1, stderr: "cat: /data/pipe: Invalid argument\n"},
		{command: "cat", stdin: "echo", stdout: "echo"},
		{command: "cat /data/" + strings.Repeat("x/", 1500), code: 1, stderr: "cat: /data/" + strings.Repeat("x/", 1500) + ": File name too long\n"},
		{command: "ls -1 /data/b", stdout: "/data/b\n"},
		{command: "ls -l /data/b", code: 1, stderr: "ls: Unknown option 'l'\n"},
		{command: "mkdir /data/one/two", code: 1, stderr: "mkdir: /data/one/two: No such file or directory\n"},
		{command: "mkdir -p /data/one/two /data/one", stdout: ""},
		{command: "mkdir /data/one", code: 1, stderr: "mkdir: /data/one: File exists\n"},
		{command: "mkdir", code: 1, stderr: "mkdir: usage: mkdir [-p] PATH...\n"},
		{command: "tee /data/one/.hidden", stdin: "h", stdout: "h"},
		{command: "ls /data/one", stdout: "two\n"},
		{command: "ls -a /data/one", stdout: ".hidden\ntwo\n"},
		{command: "rm /data/one", code: 1, stderr: "rm: /data/one: Is a directory\n"},
		{command: "rm /data/none", code: 1, stderr: "rm: /data/none: No such file or directory\n"},
		{command: "rm -f /data/none /data/none/x", stdout: ""},
		{command: "rm -rf /data/one /data/e", stdout: ""},
		{command: "rm", code: 1, stderr: "rm: usage: rm [-rf] PATH...\n"},
		{command: "ls -- /data", stdout: "b\nlocal\nmedia\npipe\n"},
		{command: "reboot", code: 127, stderr: "reboot: inaccessible or not found\n"},
		{command: "sh -c reboot", code: 127, stderr: "reboot: inaccessible or not found\n"},
		{command: "/system/bin/sh -c ls", stdout: "data\n"},
		{command: "sh -c ls&", code: 2, stderr: "sh: a simulated phone's shell knows words alone, not \"&\"\n"},
		{command: "sh -c sh", code: 2, stderr: "sh: a simulated phone's shell starts no other\n"},
		{command: "sh", code: 2, stderr: "sh: usage: sh -c COMMAND\n"},
		{command: "sleep 0.001", stdout: ""},
		{command: "sleep", code: 1, stderr: "sleep: usage: sleep SECONDS\n"},
		{command: "sleep -1", code: 1, stderr: "sleep: invalid number '-1'\n"},
		{command: "sleep NaN", code: 1, stderr: "sleep: invalid number 'NaN'\n"},
		{command: "/system/bin/cat /data/b", stdout: "one\ntwo\n"},
		{command: "getprop a b c", code: 1, stderr: "getprop: usage: getprop [NAME [DEFAULT]]\n"},
		{command: "getprop not.set fallback", stdout: "fallback\n"},
		{command: "getprop sys.boot_completed fallback", stdout: "1\n"},
		{command: "setprop only.key", code: 1, stderr: "setprop: usage: setprop NAME VALUE\n"},
		{command: "setprop bad$key 1", code: 1, stderr: "setprop: illegal property name 'bad$key'\n"},
		{command: "setprop ro.serialno X", code: 1, stderr: "setprop: failed to set property 'ro.serialno': read-only\n"},
		{command: "setprop sys.boot_completed 0", stdout: ""},
		{command: "getprop sys.boot_completed", stdout: "1\n"},
		{command: "setprop a.b " + strings.Repeat("x", 91), stdout: ""},
		{command: "setprop a.b " + strings.Repeat("y", 92), code: 1, stderr: "setprop: value of 'a.b' too long: 92 bytes, at most 91\n"},
		{command: "getprop a.b", stdout: strings.Repeat("x", 91) + "\n"},
		{command: "pm path android", stdout: "package:/system/framework/framework-res.apk\n"},
		{command: "pm path none", code: 1},
		{command: "pm list packages settings", stdout: "package:com.android.providers.settings\npackage:com.android.settings\n"},
		{command: "pm list packages -3", stdout: ""},
		{command: "pm install x", code: 1, stdout: "Failure [INSTALL_PARSE_FAILED_NOT_APK: Failed to parse x]\n"},
		{command: "pm uninstall com.android.shell", code: 1, stdout: "Failure [DELETE_FAILED_INTERNAL_ERROR]\n"},
	} {
		got := sh(t, d, spec.Ref, step.stdin, step.command)
		want := driver.Result{ExitCode: step.code, Stdout: []byte(step.stdout), Stderr: []byte(step.stderr)}
		if diff := cmp.Diff(texts(want), texts(got)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", step.command, diff)
		}
	}
	_, err := d.Exec(t.Context(), spec.Ref, driver.Command{})
	wantError(t, err, phone.Invalid, "", "name a program")
}

func texts(r driver.Result) []any {
	return []any{r.ExitCode, string(r.Stdout), string(r.Stderr), r.Truncated}
}

// Programs run from the start on, as Android's do; what comes with the boot is not there before.
func TestBeforeTheBoot(t *testing.T) {
	t.Parallel()
	d, clock := timed(t, Config{BootTime: Duration(10 * time.Second)})
	spec := newSpec(t, d)
	spec.Properties = phone.Properties{"ro.product.model": "X1"}
	started(t, d, spec)
	for _, step := range []struct {
		pass           time.Duration
		completed      string
		packageManager int
	}{{9 * time.Second, "\n", 20}, {time.Second, "1\n", 0}} {
		clock.Add(step.pass)
		if got := sh(t, d, spec.Ref, "", "getprop sys.boot_completed"); string(got.Stdout) != step.completed {
			t.Errorf("sys.boot_completed is %q, want %q", got.Stdout, step.completed)
		}
		if got := sh(t, d, spec.Ref, "", "pm path android"); got.ExitCode != step.packageManager {
			t.Errorf("pm ends with %d, want %d", got.ExitCode, step.packageManager)
		}
		if got := sh(t, d, spec.Ref, "", "getprop ro.product.model"); string(got.Stdout) != "X1\n" {
			t.Errorf("ro.product.model is %q", got.Stdout)
		}
	}
}

// A first boot writes the configured number of files, and a life has an Android id and a serial number of its own.
func TestFirstBoot(t *testing.T) {
	t.Parallel()
	for _, files := range []int{0, 1, 24, 100} {
		d, spec, volume := phoneOn(t, Config{DataFiles: files})
		if got := countFiles(t, volume); got != files {
			t.Errorf("%d files, want %d", got, files)
		}
		sh(t, d, spec.Ref, "mine", "tee /data/system/packages.xml")
		must(t, d.Stop(t.Context(), spec.Ref))
		must(t, d.Start(t.Context(), spec.Ref))
		if got := sh(t, d, spec.Ref, "", "cat /data/system/packages.xml"); files > 0 && string(got.Stdout) != "mine" {
			t.Errorf("a second boot wrote the files anew: %q", got.Stdout)
		}
	}
	d, first, _ := phoneOn(t, Config{DataFiles: 1})
	second := nextLife(first)
	serial, id := sh(t, d, first.Ref, "", "getprop ro.serialno"), sh(t, d, first.Ref, "", "cat /data/system/packages.xml")
	started(t, d, second)
	if again := sh(t, d, second.Ref, "", "getprop ro.serialno"); string(again.Stdout) == string(serial.Stdout) || len(again.Stdout) < 10 {
		t.Errorf("the serial numbers are %q and %q", serial.Stdout, again.Stdout)
	}
	if again := sh(t, d, second.Ref, "", "cat /data/system/packages.xml"); string(again.Stdout) == string(id.Stdout) || len(again.Stdout) < 10 {
		t.Errorf("the Android ids are %q and %q", id.Stdout, again.Stdout)
	}
}

func countFiles(t *testing.T, dir string) int {
	t.Helper()
	n := 0
	must(t, filepath.WalkDir(dir, func(_ string, e os.DirEntry, err error) error {
		if err == nil && !e.IsDir() {
			n++
		}
		return err
	}))
	return n
}
