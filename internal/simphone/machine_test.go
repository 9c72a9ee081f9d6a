package simphone

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/lethe-cloud/lethe/internal/adb"
)

// phoneAt is a phone that runs in this process, with its files below a folder of the test.
type phoneAt struct {
	t      *testing.T
	root   string
	adb    string
	log    *lockedBuffer
	owners map[string]int // by path below root
	ended  chan int
	stop   func()
}

type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// shortDir gives a folder whose path leaves room for a unix socket's name.
func shortDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("/tmp", "simphone")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	return dir
}

func start(t *testing.T, root string, args ...string) *phoneAt {
	t.Helper()
	address := freeAddress(t)
	p := &phoneAt{t: t, root: root, adb: address, log: &lockedBuffer{}, owners: map[string]int{}, ended: make(chan int, 1)}
	var mu sync.Mutex
	m := machine{
		root: root, adbAddress: address, cmdline: nul(append([]string{"/init"}, args...)...), log: p.log,
		chown: func(path string, uid, _ int) error {
			mu.Lock()
			defer mu.Unlock()
			rel, err := filepath.Rel(root, path)
			p.owners[rel] = uid
			return err
		},
	}
	ctx, cancel := context.WithCancel(context.Background())
	go func() { p.ended <- m.run(ctx) }()
	p.stop = func() {
		cancel()
		p.ended <- <-p.ended // wait, and leave the code for whoever asks again
	}
	t.Cleanup(p.stop)
	return p
}

func freeAddress(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// run runs a command of the phone.
func (p *phoneAt) run(stdin string, args ...string) (code int, stdout, stderr string) {
	p.t.Helper()
	var out, errs bytes.Buffer
	code = applets[args[0]](call{args: args[1:], root: p.root, stdin: strings.NewReader(stdin), stdout: &out, stderr: &errs})
	return code, out.String(), errs.String()
}

// await polls until the phone's property has the value.
func (p *phoneAt) await(key, value string) {
	p.t.Helper()
	deadline := time.Now().Add(20 * time.Second)
	for {
		if code, out, _ := p.run("", "getprop", key); code == 0 && out == value+"\n" {
			return
		}
		if time.Now().After(deadline) {
			p.t.Fatalf("%s never became %q; log:\n%s", key, value, p.log)
		}
		time.Sleep(time.Millisecond) // between two polls
	}
}

func TestBoot(t *testing.T) {
	t.Parallel()
	p := start(t, shortDir(t), "androidboot.simphone_boot_ms=0", "androidboot.simphone_files=10", "ro.product.model=Example")
	p.await("sys.boot_completed", "1")

	if code, out, _ := p.run("", "pm", "path", "android"); code != 0 || out != "package:/system/framework/framework-res.apk\n" {
		t.Errorf("pm path android: %d, %q", code, out)
	}
	if code, out, _ := p.run("", "pm", "list", "packages"); code != 0 || out != "package:android\npackage:com.android.settings\n" {
		t.Errorf("pm list packages: %d, %q", code, out)
	}
	if code, _, _ := p.run("", "setprop", "sys.a", "b c"); code != 0 {
		t.Errorf("setprop: %d", code)
	}
	if _, out, _ := p.run("", "getprop"); !strings.Contains(out, "[ro.product.model]: [Example]\n[ro.product.name]: [simphone]\n[sys.a]: [b c]\n") {
		t.Errorf("getprop prints\n%s", out)
	}
	if code, _, errs := p.run("", "setprop", "ro.product.model", "x"); code == 0 || !strings.Contains(errs, "ro.product.model") {
		t.Errorf("setprop of a ro property: %d, %q", code, errs)
	}
	if _, out, _ := p.run("", "getprop", "no.such", "default"); out != "default\n" {
		t.Errorf("getprop with a default: %q", out)
	}
}

func TestFirstBootFillsData(t *testing.T) {
	t.Parallel()
	root := shortDir(t)
	p := start(t, root, "androidboot.simphone_boot_ms=0", "androidboot.simphone_files=20")
	p.await("sys.boot_completed", "1")
	p.stop()
	files, owners := 0, map[int]bool{}
	err := filepath.WalkDir(filepath.Join(root, "data"), func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		files++
		rel, err := filepath.Rel(root, path)
		owners[p.owners[rel]] = true
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if files != 21 { // and android_id
		t.Errorf("%d files after the first boot", files)
	}
	want := map[int]bool{1000: true, 10000: true, 10001: true, 10002: true, 10003: true, 10004: true, 10005: true, 10006: true, 10007: true}
	if diff := cmp.Diff(want, owners); diff != "" {
		t.Errorf("owners (-want +got):\n%s", diff)
	}

	identity := filepath.Join(root, "data/system/android_id")
	before, err := os.ReadFile(identity)
	if err != nil {
		t.Fatal(err)
	}
	start(t, root, "androidboot.simphone_boot_ms=0").await("sys.boot_completed", "1")
	if after, err := os.ReadFile(identity); err != nil || !bytes.Equal(before, after) {
		t.Errorf("a second boot changed the identity from %s to %s, %v", before, after, err)
	}
}

func TestNotBootedYet(t *testing.T) {
	t.Parallel()
	p := start(t, shortDir(t), "androidboot.simphone_hang=boot", "androidboot.simphone_boot_ms=0")
	deadline := time.Now().Add(20 * time.Second)
	for !strings.Contains(p.log.String(), "told never to complete the boot") {
		if time.Now().After(deadline) {
			t.Fatalf("the log does not say that it hangs:\n%s", p.log)
		}
		time.Sleep(time.Millisecond) // between two polls
	}
	if code, out, errs := p.run("", "pm", "path", "android"); code != 20 || out != "" || !strings.Contains(errs, "service") {
		t.Errorf("pm before the boot: %d, %q, %q", code, out, errs)
	}
	if _, out, _ := p.run("", "getprop", "sys.boot_completed"); out != "\n" {
		t.Errorf("sys.boot_completed is %q", out)
	}
}

func TestPackageManagerHangs(t *testing.T) {
	t.Parallel()
	p := start(t, shortDir(t), "androidboot.simphone_hang=pm", "androidboot.simphone_boot_ms=0")
	p.await("sys.boot_completed", "1")
	if code, _, _ := p.run("", "pm", "path", "android"); code == 0 {
		t.Error("pm answers although it was told not to")
	}
}

func TestEndsDuringBoot(t *testing.T) {
	t.Parallel()
	p := start(t, shortDir(t), "androidboot.simphone_exit_code=129", "androidboot.simphone_boot_ms=2")
	if code := <-p.ended; code != 129 {
		t.Errorf("exit code %d, want 129", code)
	} else {
		p.ended <- code
	}
	if !strings.Contains(p.log.String(), "129") {
		t.Errorf("the log does not say why it ended: %s", p.log)
	}
}

func TestRefusesBadArgument(t *testing.T) {
	t.Parallel()
	p := start(t, shortDir(t), "androidboot.simphone_boot_ms=soon")
	code := <-p.ended
	p.ended <- code
	if code != 1 || !strings.Contains(p.log.String(), "simphone_boot_ms") {
		t.Errorf("exit code %d, log %s", code, p.log)
	}
}

// greet opens a connection and introduces itself as an adb client does.
func greet(t *testing.T, address string) net.Conn {
	t.Helper()
	conn, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	if err := adb.Write(conn, adb.Message{Command: adb.CNXN, Arg0: adb.Version, Arg1: adb.MaxPayload, Payload: []byte("host::\x00")}); err != nil {
		t.Fatal(err)
	}
	return conn
}

func TestADB(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name string
		args []string
		want adb.Message // its payload is compared for CNXN only
	}{
		{"open", []string{"ro.product.model=X"}, adb.Message{
			Command: adb.CNXN, Arg0: adb.Version, Arg1: adb.MaxPayload,
			Payload: []byte("device::ro.product.name=simphone;ro.product.model=X;ro.product.device=simphone;\x00"),
		}},
		{"secure", []string{"ro.adb.secure=1"}, adb.Message{Command: adb.AUTH, Arg0: adb.AuthToken}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			p := start(t, shortDir(t), tt.args...)
			p.await("ro.product.name", "simphone")
			got, err := adb.Read(greet(t, p.adb), 1<<20)
			if err != nil {
				t.Fatal(err)
			}
			if got.Command == adb.AUTH {
				if len(got.Payload) != 20 {
					t.Errorf("a token of %d bytes", len(got.Payload))
				}
				got.Payload = nil
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("answer (-want +got):\n%s", diff)
			}
			if err := adb.Probe(context.Background(), p.adb, time.Minute); err != nil {
				t.Errorf("Probe: %v", err)
			}
		})
	}
	t.Run("hangs", func(t *testing.T) {
		t.Parallel()
		p := start(t, shortDir(t), "androidboot.simphone_hang=adb")
		p.await("ro.boot.simphone_hang", "adb")
		conn := greet(t, p.adb)
		if err := conn.SetReadDeadline(time.Now().Add(100 * time.Millisecond)); err != nil {
			t.Fatal(err)
		}
		if _, err := conn.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("adb was told not to answer, and reading from it ends with %v", err)
		}
	})
}

func TestFileCommands(t *testing.T) {
	t.Parallel()
	p := &phoneAt{t: t, root: t.TempDir()}
	file := filepath.Join(p.root, "a file")
	steps := []struct {
		stdin  string
		args   []string
		code   int
		stdout string
	}{
		{"content", []string{"tee", file}, 0, "content"},
		{"", []string{"cat", file}, 0, "content"},
		{"", []string{"ls", p.root}, 0, "a file\n"},
		{"", []string{"ls", "-l", file}, 0, file + "\n"},
		{"x", []string{"tee", filepath.Join(p.root, "absent/file"), file}, 1, "x"},
		{"", []string{"cat", file, file + ".absent", file}, 1, "xx"},
		{"", []string{"rm", p.root}, 1, ""},
		{"", []string{"rm", file}, 0, ""},
		{"", []string{"rm", file}, 1, ""},
		{"", []string{"rm", "-f", file}, 0, ""},
		{"", []string{"ls", file}, 1, ""},
		{"in", []string{"cat"}, 0, "in"},
		{"", []string{"rm", "-rf", p.root}, 0, ""},
		{"", []string{"ls", p.root}, 1, ""},
	}
	for i, step := range steps {
		code, stdout, stderr := p.run(step.stdin, step.args...)
		if code != step.code || stdout != step.stdout {
			t.Errorf("step %d %v: %d, %q, %q; want %d, %q", i, step.args, code, stdout, stderr, step.code, step.stdout)
		}
		if (code != 0) != (stderr != "") {
			t.Errorf("step %d %v ends with %d and says %q", i, step.args, code, stderr)
		}
	}
}

func TestMainRefusesOutsideAContainer(t *testing.T) {
	t.Parallel()
	var out, errs bytes.Buffer
	if code := Main([]string{"simphone"}, strings.NewReader(""), &out, &errs); code != 2 {
		t.Errorf("started by hand it ends with %d: %s", code, &errs)
	}
	for name, want := range map[string]bool{"/system/bin/getprop": true, "pm": true, "lethe": false, "/init": false} {
		if got := Applet(name); got != want {
			t.Errorf("Applet(%q) is %v", name, got)
		}
	}
	// As the second argument, for an image that calls the program by its own name.
	if code := Main([]string{"/init", "ls", "/dev/null"}, strings.NewReader(""), &out, &errs); code != 0 || fmt.Sprint(&out) != "/dev/null\n" {
		t.Errorf("ls as the second argument: %d, %s", code, &out)
	}
}
