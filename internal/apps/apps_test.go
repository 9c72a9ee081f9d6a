package apps_test

import (
	"archive/zip"
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/lethe-cloud/lethe/internal/apps"
)

// apk is a package of the app.
func apk(t *testing.T, manifest string) []byte {
	t.Helper()
	var b bytes.Buffer
	w := zip.NewWriter(&b)
	f, err := w.Create("AndroidManifest.xml")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.Write([]byte(manifest)); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestManager(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for name, content := range map[string][]byte{
		"one.apk": apk(t, `<manifest package="com.example.one"/>`), "two.apk": apk(t, `<manifest package="com.example.two"></manifest>`),
		"binary.apk": apk(t, "\x03\x00\x08\x00"), "system.apk": apk(t, `<manifest package="com.android.shell"/>`),
		"nameless.apk": apk(t, `<manifest package="../../etc"/>`), "text.apk": []byte("no archive"),
	} {
		if err := os.WriteFile(filepath.Join(dir, name), content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	m := apps.Manager{Data: root, System: map[string]string{"com.android.shell": "/system/priv-app/Shell/Shell.apk"}}
	for _, c := range []struct {
		args string
		code int
		says string
	}{
		{"list packages", 0, "package:com.android.shell\n"},
		{"list packages -3", 0, ""},
		{"path com.example.one", 1, ""},
		{"uninstall com.example.one", 1, "Failure [DELETE_FAILED_INTERNAL_ERROR]\n"},
		{"uninstall com.android.shell", 1, "Failure [DELETE_FAILED_INTERNAL_ERROR]\n"},
		{"install -r /data/one.apk", 0, "Success\n"},
		{"install -r /data/one.apk", 0, "Success\n"},
		{"path com.example.one", 0, "package:/data/app/com.example.one/base.apk\n"},
		{"list packages example", 0, "package:com.example.one\n"},
		{"install-create -r", 0, "Success: created install session [1]\n"},
		{"install-write 1 a /data/two.apk", 0, "Success: streamed a\n"},
		{"install-write 1 b /data/two.apk", 0, "Success: streamed b\n"},
		{"install-commit 1", 0, "Success\n"},
		{"install-commit 1", 1, ""},
		{"list packages -3", 0, "package:com.example.one\npackage:com.example.two\n"},
		{"install-create", 0, "Success: created install session [1]\n"},
		{"install-write 1 a /data/one.apk", 0, "Success: streamed a\n"},
		{"install-write 1 b /data/two.apk", 0, "Success: streamed b\n"},
		{"install-commit 1", 1, "Failure [INSTALL_FAILED_INVALID_APK: /data/two.apk inconsistent with com.example.one]\n"},
		{"install-create", 0, "Success: created install session [1]\n"},
		{"install-abandon 1", 0, "Success\n"},
		{"install-write 1 a /data/one.apk", 1, ""},
		{"install-write ../x a /data/one.apk", 1, ""},
		{"install /data/system.apk", 1, "Failure [INSTALL_FAILED_DUPLICATE_PACKAGE: com.android.shell is of the system]\n"},
		{"install /data/../etc/passwd", 1, "Failure [INSTALL_PARSE_FAILED_NOT_APK: Failed to parse /data/../etc/passwd]\n"},
		{"install /data/text.apk", 1, "Failure [INSTALL_PARSE_FAILED_NOT_APK: Failed to parse /data/text.apk: it is no archive]\n"},
		{"install /data/nameless.apk", 1, "Failure [INSTALL_PARSE_FAILED_NOT_APK: Failed to parse /data/nameless.apk: its manifest names no package]\n"},
		{"install /data/absent.apk", 1, "Failure [INSTALL_PARSE_FAILED_NOT_APK: Failed to parse /data/absent.apk: no such file]\n"},
		{"uninstall com.example.one", 0, "Success\n"},
		{"list packages -3", 0, "package:com.example.two\n"},
		{"dump x", 255, ""},
		{"uninstall", 255, ""},
	} {
		got, err := m.Run(strings.Fields(c.args))
		if err != nil || got.Code != c.code || got.Stdout != c.says || (got.Code != 0 && got.Stdout == "" && c.code == 255) != (strings.HasPrefix(got.Stderr, "usage")) {
			t.Errorf("pm %s: %+v, %v; want %d %q", c.args, got, err, c.code, c.says)
		}
	}
	got, err := m.Run([]string{"install", "/data/binary.apk"})
	if err != nil || got.Code != 1 || !strings.Contains(got.Stdout, "not text") {
		t.Errorf("a binary manifest: %+v, %v", got, err)
	}
	for _, gone := range []string{"app/com.example.one", "data/com.example.one"} {
		if _, err := os.Stat(filepath.Join(dir, gone)); !os.IsNotExist(err) {
			t.Errorf("%s is still there (%v)", gone, err)
		}
	}
}
