package faults

import (
	"bufio"
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// replica is one data folder and, while it is up, the process that serves it.
type replica struct {
	t        testing.TB
	data     string
	database string
	more     []string // further flags
	cmd      *exec.Cmd
	ended    chan struct{} // closed when the process's last word was read

	mu       sync.Mutex
	log      bytes.Buffer
	endpoint string
}

// start serves the data folder on a free port and waits until it listens.
func (r *replica) start() {
	r.t.Helper()
	args := append([]string{"serve", "--data", r.data, "--database", r.database, "--listen", "127.0.0.1:0"}, r.more...)
	cmd := exec.Command(binary, args...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL} // nothing outlives a test that was killed
	stderr, err := cmd.StderrPipe()
	if err != nil {
		r.t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		r.t.Fatal(err)
	}
	r.cmd = cmd
	listening := make(chan string, 1)
	ended := make(chan struct{})
	r.ended = ended
	go func() {
		defer close(ended)
		for lines := bufio.NewScanner(stderr); lines.Scan(); {
			line := lines.Text()
			r.mu.Lock()
			fmt.Fprintln(&r.log, line)
			r.mu.Unlock()
			if _, rest, ok := strings.Cut(line, "lethe: listening on "); ok {
				endpoint, _, _ := strings.Cut(rest, ",")
				listening <- endpoint
			}
		}
	}()
	select {
	case endpoint := <-listening:
		r.mu.Lock()
		r.endpoint = endpoint
		r.mu.Unlock()
	case <-ended:
		r.t.Fatalf("lethe serve ended: %v\n%s", cmd.Wait(), r.said())
	case <-time.After(patience):
		r.t.Fatalf("lethe serve does not listen after %s\n%s", patience, r.said())
	}
}

func (r *replica) up() bool { return r.cmd != nil }

// said is everything that the replica's processes wrote to stderr.
func (r *replica) said() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.log.String()
}

// id is the replica's own, from its data folder.
func (r *replica) id() string {
	r.t.Helper()
	text, err := os.ReadFile(filepath.Join(r.data, "replica"))
	if err != nil {
		r.t.Fatal(err)
	}
	return strings.TrimSpace(string(text))
}

func (r *replica) signal(s syscall.Signal) {
	r.t.Helper()
	if err := r.cmd.Process.Signal(s); err != nil {
		r.t.Fatal(err)
	}
}

// kill ends the process as a power cut would, as far as the process is concerned.
func (r *replica) kill() {
	r.t.Helper()
	r.signal(syscall.SIGKILL)
	<-r.ended
	_ = r.cmd.Wait() // "signal: killed", as asked
	r.cmd = nil
}

// stop ends the process in order, which has to succeed.
func (r *replica) stop() {
	r.t.Helper()
	r.signal(syscall.SIGTERM)
	select {
	case <-r.ended:
	case <-time.After(patience):
		r.t.Errorf("lethe serve has not ended %s after SIGTERM", patience)
		r.kill()
		return
	}
	if err := r.cmd.Wait(); err != nil {
		r.t.Errorf("lethe serve, after SIGTERM: %v", err)
	}
	r.cmd = nil
}
