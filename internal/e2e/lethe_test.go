// Package e2e drives the real binary as its users do: processes, HTTP, the command line. It trusts nothing that lethe says of
// itself where the host or the database can be asked.
package e2e

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// binary is the lethe under test: static, as operators run it, because the docker driver loads it as its helper.
var binary string

func TestMain(m *testing.M) { os.Exit(testMain(m)) }

func testMain(m *testing.M) int {
	dir, err := os.MkdirTemp("", "lethe-e2e-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	binary = filepath.Join(dir, "lethe")
	build := exec.Command("go", "build", "-o", binary, "../../cmd/lethe")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "build lethe: %v\n%s", err, out)
		return 1
	}
	return m.Run()
}

// process is one data folder and, while it is up, the process that serves it.
type process struct {
	t        testing.TB
	data     string
	database string // "" for SQLite
	cmd      *exec.Cmd
	ended    chan struct{}
	mu       sync.Mutex
	log      bytes.Buffer

	endpoint, project, token string
}

// newProcess makes a data folder and serves it; the process ends with the test.
func newProcess(t testing.TB, database string) *process {
	t.Helper()
	p := &process{t: t, data: t.TempDir(), database: database}
	p.start()
	t.Cleanup(func() {
		if p.cmd != nil {
			p.stop()
		}
		if t.Failed() {
			p.mu.Lock()
			defer p.mu.Unlock()
			t.Logf("log of the serving processes:\n%s", p.log.String())
		}
	})
	return p
}

// start serves the data folder on a free port and waits until it listens.
func (p *process) start() {
	p.t.Helper()
	args := []string{"serve", "--data", p.data, "--listen", "127.0.0.1:0"}
	if p.database != "" {
		args = append(args, "--database", p.database)
	}
	p.cmd = exec.Command(binary, args...)
	stderr, err := p.cmd.StderrPipe()
	if err != nil {
		p.t.Fatal(err)
	}
	if err := p.cmd.Start(); err != nil {
		p.t.Fatal(err)
	}
	listening := make(chan struct{})
	p.ended = make(chan struct{})
	go func(ended chan struct{}) {
		defer close(ended)
		seen := false
		for lines := bufio.NewScanner(stderr); lines.Scan(); {
			p.mu.Lock()
			fmt.Fprintln(&p.log, lines.Text())
			p.mu.Unlock()
			if !seen && strings.Contains(lines.Text(), "listening on") {
				seen = true
				close(listening)
			}
		}
	}(p.ended)
	select {
	case <-listening:
	case <-p.ended:
		p.t.Fatalf("lethe serve ended: %v", p.cmd.Wait())
	case <-time.After(time.Minute):
		p.t.Fatal("lethe serve does not listen after a minute")
	}
	var c struct {
		Endpoint  string `json:"endpoint"`
		Account   string `json:"account"`
		User      string `json:"user"`
		Password  string `json:"password"`
		ProjectID string `json:"project_id"`
	}
	raw, err := os.ReadFile(p.credentials())
	if err == nil {
		err = json.Unmarshal(raw, &c)
	}
	if err != nil {
		p.t.Fatal(err)
	}
	p.endpoint, p.project = c.Endpoint, c.ProjectID
	if p.token == "" {
		type m = map[string]any
		answer := p.request(http.MethodPost, "/v3/auth/tokens?nocatalog=true", m{"auth": m{
			"identity": m{"methods": []string{"password"}, "password": m{"user": m{"name": c.User, "password": c.Password, "domain": m{"name": c.Account}}}},
			"scope":    m{"project": m{"id": c.ProjectID}},
		}}, nil)
		p.token = answer.Header.Get("X-Subject-Token")
	}
}

func (p *process) credentials() string { return filepath.Join(p.data, "credentials.json") }

// kill ends the process as a power cut would, as far as the process is concerned.
func (p *process) kill() {
	p.t.Helper()
	if err := p.cmd.Process.Kill(); err != nil {
		p.t.Fatal(err)
	}
	<-p.ended
	_ = p.cmd.Wait() // "signal: killed", as asked
	p.cmd = nil
}

// stop ends the process cleanly.
func (p *process) stop() {
	p.t.Helper()
	_ = p.cmd.Process.Signal(syscall.SIGTERM)
	<-p.ended
	if err := p.cmd.Wait(); err != nil {
		p.t.Errorf("lethe serve, after SIGTERM: %v", err)
	}
	p.cmd = nil
}

// request sends one call and fails the test unless it is answered with success; out, when given, gets the body.
func (p *process) request(method, path string, in, out any) *http.Response {
	p.t.Helper()
	var body io.Reader
	if in != nil {
		raw, err := json.Marshal(in)
		if err != nil {
			p.t.Fatal(err)
		}
		body = bytes.NewReader(raw)
	}
	req, err := http.NewRequestWithContext(p.t.Context(), method, p.endpoint+path, body)
	if err != nil {
		p.t.Fatal(err)
	}
	req.Header.Set("X-Auth-Token", p.token)
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		p.t.Fatal(err)
	}
	defer res.Body.Close()
	raw, err := io.ReadAll(res.Body)
	if err != nil {
		p.t.Fatal(err)
	}
	if res.StatusCode >= 300 {
		p.t.Fatalf("%s %s: %s %s", method, path, res.Status, raw)
	}
	if out != nil {
		if err := json.Unmarshal(raw, out); err != nil {
			p.t.Fatalf("%s %s answers no such JSON: %v\n%s", method, path, err, raw)
		}
	}
	return res
}

// lethe runs the command line against the process and gives its standard output.
func (p *process) lethe(args ...string) []byte {
	p.t.Helper()
	cmd := exec.Command(binary, append(args, "--credentials", p.credentials(), "-o", "json")...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	stdout, err := cmd.Output()
	if err != nil {
		p.t.Fatalf("lethe %s: %v\n%s", strings.Join(args, " "), err, stderr.String())
	}
	return stdout
}
