package faults

import (
	"bufio"
	"bytes"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/lethe-cloud/lethe/api"
	"github.com/lethe-cloud/lethe/internal/testenv"
)

// dockerd is a Docker daemon of one test's own, which it may kill.
type dockerd struct {
	t        testing.TB
	endpoint string
	home     string    // its folder
	argv     []string  // how it was started
	again    *exec.Cmd // the process of the last start; nil: the first one, which test/services started
}

// newDockerd lets test/services start a daemon and clean up after it, as it does for all tests together.
func newDockerd(t testing.TB) *dockerd {
	t.Helper()
	testenv.Docker(t) // where there is none, there is none to be had here either
	services := filepath.Join(t.TempDir(), "services")
	if out, err := exec.Command("go", "build", "-o", services, "../services").CombinedOutput(); err != nil {
		t.Fatalf("build test/services: %v\n%s", err, out)
	}
	cmd := exec.Command(services, "--", "sh", "-c", `echo "$LETHE_TEST_DOCKER"; cat`) // cat ends with its input
	for _, v := range os.Environ() {
		if !strings.HasPrefix(v, "LETHE_TEST_DOCKER=") && !strings.HasPrefix(v, "LETHE_TEST_POSTGRES=") {
			cmd.Env = append(cmd.Env, v)
		}
	}
	cmd.Env = append(cmd.Env, "LETHE_TEST_POSTGRES=none")
	var said bytes.Buffer
	cmd.Stderr = &said
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	d := &dockerd{t: t}
	t.Cleanup(func() {
		if log, err := os.ReadFile(filepath.Join(d.home, "again.log")); err == nil && t.Failed() {
			t.Logf("the end of the daemon's log:\n%s", log[max(0, len(log)-8000):])
		}
		d.end()
		_ = stdin.Close()
		if err := cmd.Wait(); err != nil {
			t.Errorf("test/services: %v\n%s", err, said.String())
		}
	})
	line, err := bufio.NewReader(stdout).ReadString('\n')
	d.endpoint = strings.TrimSpace(line)
	if err != nil || d.endpoint == "" {
		if os.Geteuid() != 0 && os.Getenv("CI") != "true" {
			t.Skip("needs a Docker daemon of its own, which only root can start")
		}
		t.Fatalf("test/services gives no daemon: %q, %v\n%s", line, err, said.String())
	}
	d.home = filepath.Dir(strings.TrimPrefix(d.endpoint, "unix://"))
	arguments, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(d.pid()), "cmdline"))
	if err != nil {
		t.Fatal(err)
	}
	d.argv = strings.Split(strings.TrimRight(string(arguments), "\x00"), "\x00")
	return d
}

func (d *dockerd) pid() int {
	d.t.Helper()
	text, err := os.ReadFile(filepath.Join(d.home, "pid"))
	if err != nil {
		d.t.Fatal(err)
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil {
		d.t.Fatal(err)
	}
	return pid
}

// kill ends the daemon as a crash does. Its containers live on, until the next daemon decides about them.
func (d *dockerd) kill() {
	d.t.Helper()
	pid := d.pid()
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		d.t.Fatal(err)
	}
	if d.again != nil {
		_ = d.again.Wait() // "signal: killed", as asked
		d.again = nil
	}
	eventually(d.t, "the daemon has ended", func() bool {
		text, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "cmdline"))
		return err != nil || len(text) == 0
	})
}

// start starts the daemon once more; with restore it takes over the containers that live, else it ends them.
func (d *dockerd) start(restore bool) {
	d.t.Helper()
	config := `{}`
	if restore {
		config = `{"live-restore":true}`
	}
	if err := os.WriteFile(filepath.Join(d.home, "daemon.json"), []byte(config), 0o600); err != nil {
		d.t.Fatal(err)
	}
	log, err := os.OpenFile(filepath.Join(d.home, "again.log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		d.t.Fatal(err)
	}
	defer log.Close()
	d.again = exec.Command(d.argv[0], d.argv[1:]...)
	d.again.Dir, d.again.Stdout, d.again.Stderr = "/", log, log
	d.again.Env = append(os.Environ(), "PATH="+os.Getenv("PATH")+":/usr/local/sbin:/usr/sbin:/sbin")
	d.again.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := d.again.Start(); err != nil {
		d.t.Fatal(err)
	}
	client, base := newDaemon(d.t, d.endpoint).client, "http://docker"
	eventually(d.t, "the daemon answers again", func() bool {
		response, err := client.Get(base + "/_ping")
		if err != nil {
			return false
		}
		_ = response.Body.Close()
		return response.StatusCode == http.StatusOK
	})
}

func (d *dockerd) end() {
	if d.again != nil {
		d.kill()
	}
}

// strike is one moment at which a Docker daemon is killed: a call that changes something has reached it and was done, or has not.
type strike struct {
	call    string
	does    meddles // holds or withholds
	restore bool    // the next daemon takes over the containers that live
}

// strikes are all of them, or for the short form one for each call.
func strikes(t testing.TB) []strike {
	t.Helper()
	if rounds(t, 1) == 1 { // a daemon that takes nothing over gives containers ten seconds to end, one after the other
		return []strike{
			{daemonCalls[0], withholds, true}, {daemonCalls[1], withholds, true}, {daemonCalls[2], withholds, false},
			{daemonCalls[3], holds, true}, {daemonCalls[4], withholds, true},
		}
	}
	var all []strike
	for _, call := range daemonCalls {
		for _, does := range []meddles{holds, withholds} {
			all = append(all, strike{call, does, true}, strike{call, does, false})
		}
	}
	return all
}

// A Docker daemon that is killed in the middle of a batch, right before or right after a call that changes something, and started again.
// With live-restore its phones live on, and nothing fails. Without, a phone that was booting has ended with its container: it says so and
// is reset again, and those that ran are started again by the reconciler. A neighbour's phones are reset meanwhile.
//
// What a daemon leaves that is killed while it makes a volume (the volume, without its labels) is no part of this: nothing outside it can
// hold it there.
func TestDockerDaemonKilled(t *testing.T) {
	t.Parallel()
	d := newDockerd(t)
	reference := testenv.SimphoneOn(t, d.endpoint)
	in := install(t, config{database: embedded, flags: []string{"--reconcile-every", "1s"}})
	socket := filepath.Join(in.root, "daemon.sock")
	network, address := endpointParts(t, d.endpoint)
	m := newMeddler(t, socket, network, address)
	h := in.addDocker(newDaemon(t, d.endpoint), "unix://"+socket, api.AddServer{
		ServerName: "rack", PhoneCount: 4, ImageID: in.addImage("first", reference), MaxConcurrentBoots: 2, Config: template(),
	})
	in.wantFailed(h.id, nil)
	t.Cleanup(func() { in.hosts = nil }) // the daemon goes, and all that is on it
	d.kill()
	d.start(true) // a daemon restores only what it started with the same setting
	neighbour := in.addSimulated("shelf", in.addImage("second", "second"), 4, 2, `{"boot_time":"30ms"}`)
	for range max(1, rounds(t, 1)/100) {
		for _, s := range strikes(t) {
			in.killDaemon(d, m, s, h, neighbour)
		}
	}
	in.check()
}

func (in *installation) killDaemon(d *dockerd, m *meddler, s strike, h *daemonHost, neighbour *folderHost) {
	t := in.t
	t.Helper()
	what := fmt.Sprintf("%s, done %v, live-restore %v", s.call, s.does == withholds, s.restore)
	at := &meddling{call: regexp.MustCompile(s.call), does: s.does, times: 1}
	m.meddle(at)
	in.resetAll(in.replicas[0], h)
	eventually(t, what, func() bool { return m.still(at) })
	d.kill()
	m.meddle()
	in.resetAll(in.replicas[0], neighbour)
	eventually(t, "a neighbour's jobs end while the daemon is dead", func() bool {
		return in.count(`SELECT count(*) FROM jobs WHERE ended_at IS NULL AND server_id = $1`, neighbour.id) == 0
	})
	d.start(s.restore)
	in.settle()
	failed := map[string]string{}
	for _, p := range in.phones(`server_id = $1 AND status = -5`, h.id) {
		failed[p.name] = "CPS.0003"
		if s.restore {
			j := in.jobs(`phone_id = $1 AND seq = (SELECT max(seq) FROM jobs WHERE phone_id = $1)`, p.id)[0]
			t.Errorf("%s: %s failed although its container lived on: %s", what, j, j.failure)
		}
	}
	t.Logf("%s: %d phones failed", what, len(failed))
	in.running(h, failed)
	in.wantFailed(h.id, failed)
	in.wantFailed(neighbour.id, nil)
	if len(failed) > 0 {
		in.reset(in.replicas[0], "", named(in.phones(`server_id = $1`, h.id), failed))
		in.settle()
		in.running(h, nil)
		in.wantFailed(h.id, nil)
	}
}

// running waits until the reconciler has started every phone again but those that failed.
func (in *installation) running(h host, failed map[string]string) {
	in.t.Helper()
	eventually(in.t, "all phones run that have not failed", func() bool {
		instances := map[string]bool{}
		for _, o := range h.objects(in.t, in) {
			instances[o.phone] = instances[o.phone] || o.booted
		}
		for _, p := range in.phones(`server_id = $1`, h.server()) {
			if _, bad := failed[p.name]; !bad && (p.status != 2 || !instances[p.id]) {
				return false
			}
		}
		return in.unfinished() == 0
	})
}
