package main

import (
	"context"
	"fmt"
	"io/fs"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// The test binary is also the command itself, and the program that the command runs.
const modeVariable = "LETHE_SERVICES_TEST_MODE"

func TestMain(m *testing.M) {
	switch os.Getenv(modeVariable) {
	case "services":
		os.Exit(run(os.Args[1:], os.Stderr))
	case "program":
		os.Exit(program(os.Args[1]))
	}
	os.Exit(m.Run())
}

// program writes what it was given into a file, waits until that file is gone or somebody ends it, and exits with 7 or 8.
func program(path string) int {
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGTERM)
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	report := []string{os.Getenv(postgresVariable), os.Getenv(dockerVariable)}
	if address, ok := strings.CutPrefix(report[1], "unix://"); ok && !accepts(ctx, address) {
		report[1] = "nobody answers at " + report[1]
	}
	if _, query, ok := strings.Cut(report[0], "?host="); ok {
		if host, _, _ := strings.Cut(query, "&"); !accepts(ctx, host+"/.s.PGSQL.5432") {
			report[0] = "nobody answers at " + report[0]
		}
	}
	if err := os.WriteFile(path+".new", []byte(strings.Join(report, "\n")), 0o644); err != nil {
		return 1
	}
	if err := os.Rename(path+".new", path); err != nil {
		return 1
	}
	for {
		select {
		case <-signals:
			return 8
		case <-time.After(20 * time.Millisecond):
			if _, err := os.Stat(path); err != nil {
				return 7
			}
		}
	}
}

// copyOfServices is one running copy of the command.
type copyOfServices struct {
	cmd    *exec.Cmd
	report string // file that the program writes
	stderr *strings.Builder
	done   chan error
}

// newCopy prepares a copy whose temporary folder is tmp. before, if any, is put before the command line.
func newCopy(t *testing.T, tmp string, environment []string, before ...string) *copyOfServices {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	report := filepath.Join(tmp, fmt.Sprintf("report-%d", time.Now().UnixNano()))
	argv := append(before, self, "--", "env", modeVariable+"=program", self, report)
	c := &copyOfServices{cmd: exec.Command(argv[0], argv[1:]...), report: report, stderr: &strings.Builder{}, done: make(chan error, 1)}
	c.cmd.Env = append(os.Environ(), modeVariable+"=services", postgresVariable+"=", dockerVariable+"=", "TMPDIR="+tmp)
	c.cmd.Env = append(c.cmd.Env, environment...)
	c.cmd.Stderr = c.stderr
	c.cmd.WaitDelay = time.Second
	return c
}

func (c *copyOfServices) start(t *testing.T) {
	t.Helper()
	if err := c.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() { c.done <- c.cmd.Wait() }()
	t.Cleanup(func() { _ = c.cmd.Process.Kill() })
}

// reported waits until the program runs and gives the two variables it has.
func (c *copyOfServices) reported(t *testing.T) (postgres, docker string) {
	t.Helper()
	var lines []string
	eventually(t, "the program's report", func() bool {
		content, err := os.ReadFile(c.report)
		lines = strings.Split(string(content), "\n")
		return err == nil
	})
	return lines[0], lines[1]
}

// finish lets the program end and gives the exit code.
func (c *copyOfServices) finish(t *testing.T) int {
	t.Helper()
	if err := os.Remove(c.report); err != nil {
		t.Fatal(err)
	}
	return c.exitCode(t)
}

func (c *copyOfServices) exitCode(t *testing.T) int {
	t.Helper()
	select {
	case <-c.done:
	case <-time.After(2 * time.Minute):
		t.Fatal("the command does not end")
	}
	return c.cmd.ProcessState.ExitCode()
}

func eventually(t *testing.T, what string, is func() bool) {
	t.Helper()
	for deadline := time.Now().Add(2 * time.Minute); !is(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%s did not come in two minutes", what)
		}
	}
}

// temporary is a folder that every user can enter.
func temporary(t *testing.T) string {
	t.Helper()
	path, err := os.MkdirTemp("/tmp", "lsvc")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(path, 0o777); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(path); err != nil {
			t.Error(err)
		}
	})
	return path
}

// needRoot ends the test where the services cannot be started at all.
func needRoot(t *testing.T) {
	t.Helper()
	var p programs
	if os.Geteuid() == 0 && findPostgres(&p) && findDocker(&p) {
		return
	}
	if os.Getenv("CI") == "true" {
		t.Fatal("needs root, PostgreSQL and Docker on this machine")
	}
	t.Skip("needs root, PostgreSQL and Docker on this machine")
}

// leftovers gives what is still on the machine of the copy whose Docker answered at address.
func leftovers(t *testing.T, address string) []string {
	t.Helper()
	f := &folder{path: filepath.Dir(filepath.Dir(strings.TrimPrefix(address, "unix://")))}
	var left []string
	if _, err := os.Stat(f.path); err == nil {
		left = append(left, f.path)
	}
	pids, err := f.processes()
	if err != nil {
		t.Fatal(err)
	}
	for _, pid := range pids {
		left = append(left, fmt.Sprintf("process %d", pid))
	}
	mounts, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(mounts), f.path) {
		left = append(left, "a mount")
	}
	groups, err := filepath.Glob("/sys/fs/cgroup/*" + f.cgroup())
	if err != nil {
		t.Fatal(err)
	}
	return append(left, groups...)
}

func bridges(t *testing.T) map[string]bool {
	t.Helper()
	interfaces, err := net.Interfaces()
	if err != nil {
		t.Fatal(err)
	}
	names := map[string]bool{}
	for _, i := range interfaces {
		names[i.Name] = strings.HasPrefix(i.Name, "lethe-")
	}
	return names
}

func TestTwoCopiesRunBesideEachOther(t *testing.T) {
	needRoot(t)
	tmp := temporary(t)
	first, second := newCopy(t, tmp, nil), newCopy(t, tmp, nil)
	first.start(t)
	second.start(t)
	_, firstDocker := first.reported(t)
	secondPostgres, secondDocker := second.reported(t)
	for _, got := range []string{firstDocker, secondDocker} {
		if !strings.HasPrefix(got, "unix://") {
			t.Fatalf("Docker: %s", got)
		}
	}
	if firstDocker == secondDocker {
		t.Errorf("both copies have %s", firstDocker)
	}
	if !strings.HasPrefix(secondPostgres, "postgres://postgres@/postgres?host=") {
		t.Errorf("PostgreSQL: %s", secondPostgres)
	}
	if code := first.finish(t); code != 7 {
		t.Errorf("exit code %d, want the program's 7\n%s", code, first.stderr)
	}
	if left := leftovers(t, firstDocker); len(left) > 0 {
		t.Errorf("the first copy left %v", left)
	}
	if !accepts(t.Context(), strings.TrimPrefix(secondDocker, "unix://")) {
		t.Error("the end of the first copy stopped the second one's Docker")
	}
	if code := second.finish(t); code != 7 {
		t.Errorf("exit code %d, want the program's 7\n%s", code, second.stderr)
	}
	if left := leftovers(t, secondDocker); len(left) > 0 {
		t.Errorf("the second copy left %v", left)
	}
}

func TestSignalsEndEverything(t *testing.T) {
	needRoot(t)
	tests := []struct {
		name   string
		before []string // the command line before the command's
		signal syscall.Signal
	}{
		{"told to end", nil, syscall.SIGTERM},
		{"interrupted", nil, syscall.SIGINT},
		{"its parent is killed", []string{"sh", "-c", `"$@" & wait`, "sh"}, syscall.SIGKILL},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c := newCopy(t, temporary(t), nil, tt.before...)
			c.start(t)
			_, docker := c.reported(t)
			if err := c.cmd.Process.Signal(tt.signal); err != nil {
				t.Fatal(err)
			}
			if code := c.exitCode(t); tt.before == nil && code != 8 {
				t.Errorf("exit code %d, want the 8 of the interrupted program\n%s", code, c.stderr)
			}
			eventually(t, "the end of everything", func() bool { return len(leftovers(t, docker)) == 0 })
		})
	}
}

func TestNextCopyCleansUpAfterAKilledOne(t *testing.T) {
	needRoot(t)
	tmp := temporary(t)
	before := bridges(t)
	killed := newCopy(t, tmp, nil)
	killed.start(t)
	_, docker := killed.reported(t)
	if err := killed.cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	killed.exitCode(t)
	if len(leftovers(t, docker)) == 0 {
		t.Fatal("nothing is left of the killed copy: this test tests nothing")
	}
	next := newCopy(t, tmp, nil)
	next.start(t)
	next.reported(t)
	if left := leftovers(t, docker); len(left) > 0 {
		t.Errorf("the next copy let %v stand", left)
	}
	if code := next.finish(t); code != 7 {
		t.Errorf("exit code %d, want the program's 7\n%s", code, next.stderr)
	}
	for name, ours := range bridges(t) {
		if ours && !before[name] {
			t.Errorf("bridge %s is left", name)
		}
	}
}

func TestGivenServicesAreUsedAsTheyAre(t *testing.T) {
	c := newCopy(t, temporary(t), []string{postgresVariable + "=postgres://elsewhere", dockerVariable + "=tcp://elsewhere:1"})
	c.start(t)
	postgres, docker := c.reported(t)
	if postgres != "postgres://elsewhere" || docker != "tcp://elsewhere:1" {
		t.Errorf("the program was given %s and %s", postgres, docker)
	}
	if code := c.finish(t); code != 7 {
		t.Errorf("exit code %d, want the program's 7", code)
	}
	if c.stderr.String() != "" {
		t.Errorf("it said %q", c.stderr)
	}
}

// Another user than root gets PostgreSQL and no Docker: a sentence at home, an error where CI is true.
func TestOtherUsersGetASentence(t *testing.T) {
	needRoot(t)
	tmp := temporary(t)
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	content, err := os.ReadFile(self)
	if err != nil {
		t.Fatal(err)
	}
	binary := filepath.Join(tmp, "services")
	if err := os.WriteFile(binary, content, 0o755); err != nil {
		t.Fatal(err)
	}
	const nobody = 65534
	as := func(ci string) *copyOfServices {
		c := newCopy(t, tmp, []string{"CI=" + ci})
		for i, arg := range c.cmd.Args {
			if arg == self {
				c.cmd.Args[i] = binary
			}
		}
		c.cmd.Path = binary
		c.cmd.Dir = "/"
		c.cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobody, Gid: nobody}}
		return c
	}
	c := as("")
	c.start(t)
	postgres, docker := c.reported(t)
	if !strings.HasPrefix(postgres, "postgres://") || docker != "" {
		t.Errorf("the program was given %q and %q, want PostgreSQL alone", postgres, docker)
	}
	if code := c.finish(t); code != 7 {
		t.Errorf("exit code %d, want the program's 7", code)
	}
	const sentence = "only root can start a Docker daemon (or set " + dockerVariable + ")"
	if !strings.Contains(c.stderr.String(), sentence) {
		t.Errorf("it said %q, want %q", c.stderr, sentence)
	}
	strict := as("true")
	strict.start(t)
	if code := strict.exitCode(t); code != exitUnavailable {
		t.Errorf("where CI is true: exit code %d, want %d", code, exitUnavailable)
	}
	if !strings.Contains(strict.stderr.String(), sentence) {
		t.Errorf("it said %q, want %q", strict.stderr, sentence)
	}
	folders, err := fs.Glob(os.DirFS(tmp), folderPattern+"*[0-9]")
	if err != nil {
		t.Fatal(err)
	}
	if want := []string{fmt.Sprintf("%slock-%d", folderPattern, nobody)}; !cmp.Equal(folders, want) {
		t.Errorf("left in the temporary folder: %v, want %v", folders, want)
	}
}

func TestWrongCalls(t *testing.T) {
	t.Parallel()
	for _, args := range [][]string{nil, {"--"}, {"--unknown", "true"}} {
		var stderr strings.Builder
		if code := run(args, &stderr); code != exitUsage || stderr.Len() == 0 {
			t.Errorf("run(%q) = %d and %q, want %d and a sentence", args, code, stderr.String(), exitUsage)
		}
	}
}

func TestFreeBlocksAvoidWhatIsInUse(t *testing.T) {
	t.Parallel()
	prefixes := func(texts ...string) (all []netip.Prefix) {
		for _, text := range texts {
			all = append(all, netip.MustParsePrefix(text))
		}
		return all
	}
	tests := []struct {
		name  string
		taken []netip.Prefix
		start int
		first string // "": none
		count int
	}{
		{"nothing taken", nil, 7, "10.7.0.0/16", 256},
		{"an address inside", prefixes("10.7.3.4/24", "192.168.0.1/16", "fd00::1/64"), 7, "10.8.0.0/16", 255},
		{"wraps around", prefixes("10.255.0.1/32"), 255, "10.0.0.0/16", 255},
		{"a larger network", prefixes("10.0.0.1/9"), 0, "10.128.0.0/16", 128},
		{"all taken", prefixes("10.1.2.3/8"), 0, "", 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got := freeBlocks(tt.taken, tt.start)
			if len(got) != tt.count {
				t.Fatalf("%d blocks, want %d", len(got), tt.count)
			}
			if tt.count > 0 && got[0].String() != tt.first {
				t.Errorf("first is %s, want %s", got[0], tt.first)
			}
		})
	}
}

func TestMountPoint(t *testing.T) {
	t.Parallel()
	for line, want := range map[string]string{
		`36 35 98:0 /mnt1 /mnt2 rw,noatime master:1 - ext3 /dev/root rw,errors=continue`: "/mnt2",
		`36 35 98:0 / /tmp/with\040space\134 rw - tmpfs tmpfs rw`:                        `/tmp/with space\`,
		`36 35`: "",
	} {
		if got := mountPoint(line); got != want {
			t.Errorf("mountPoint(%q) = %q, want %q", line, got, want)
		}
	}
}
