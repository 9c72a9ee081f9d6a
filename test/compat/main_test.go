// Package compat judges lethe by the vendor's own Go SDK: the real binary serves, the official client calls. It is a module of
// its own, so that nobody who builds lethe downloads the SDK.
package compat

import (
	"bufio"
	"bytes"
	"context"
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

	"github.com/huaweicloud/huaweicloud-sdk-go-v3/core/auth"
	"github.com/huaweicloud/huaweicloud-sdk-go-v3/core/auth/basic"
	"github.com/huaweicloud/huaweicloud-sdk-go-v3/core/config"
	"github.com/huaweicloud/huaweicloud-sdk-go-v3/core/impl"
	"github.com/huaweicloud/huaweicloud-sdk-go-v3/core/region"
	"github.com/huaweicloud/huaweicloud-sdk-go-v3/core/request"
	cph "github.com/huaweicloud/huaweicloud-sdk-go-v3/services/cph/v1"
)

// binary is the lethe under test, built once.
var binary string

func TestMain(m *testing.M) { os.Exit(testMain(m)) }

func testMain(m *testing.M) int {
	dir, err := os.MkdirTemp("", "lethe-compat-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	binary = filepath.Join(dir, "lethe")
	build := exec.Command("go", "build", "-o", binary, "./cmd/lethe")
	build.Dir = filepath.Join("..", "..")
	build.Env = append(os.Environ(), "CGO_ENABLED=0") // as it is released
	if out, err := build.CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "build lethe: %v\n%s", err, out)
		return 1
	}
	return m.Run()
}

type credentials struct {
	Endpoint  string `json:"endpoint"`
	Region    string `json:"region"`
	Account   string `json:"account"`
	User      string `json:"user"`
	Password  string `json:"password"`
	ProjectID string `json:"project_id"`
	AccessKey string `json:"access_key"`
	SecretKey string `json:"secret_key"`
}

// installation is one serving lethe with its own data folder.
type installation struct {
	t    *testing.T
	dir  string
	cred credentials
}

// serve starts the real binary on a free port, with a configuration file if there is one, and stops it, with SIGTERM, when the test ends.
func serve(t *testing.T, config ...string) *installation {
	t.Helper()
	in, _ := serveIn(t, t.TempDir(), config...)
	return in
}

// serveIn is serve on a data folder, and stop ends it before the test does.
func serveIn(t *testing.T, dir string, config ...string) (in *installation, stop func()) {
	t.Helper()
	cmd := exec.Command(binary, "serve", "--data", dir, "--listen", "127.0.0.1:0")
	if len(config) > 0 {
		file := filepath.Join(t.TempDir(), "lethe.toml")
		if err := os.WriteFile(file, []byte(config[0]), 0o600); err != nil {
			t.Fatal(err)
		}
		cmd.Args = append(cmd.Args, "--config", file)
	}
	stderr, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	listening, ended := make(chan struct{}), make(chan struct{})
	var log bytes.Buffer
	go func() {
		defer close(ended)
		seen := false
		lines := bufio.NewScanner(stderr)
		for lines.Scan() {
			fmt.Fprintln(&log, lines.Text())
			if !seen && strings.Contains(lines.Text(), "listening on") {
				seen = true
				close(listening)
			}
		}
	}()
	stop = sync.OnceFunc(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		<-ended
		if err := cmd.Wait(); err != nil {
			t.Errorf("lethe serve: %v", err)
		}
		if t.Failed() {
			t.Logf("lethe serve's log:\n%s", log.String())
		}
	})
	t.Cleanup(stop)
	select {
	case <-listening:
	case <-ended:
		t.Fatalf("lethe serve ended:\n%s", log.String())
	case <-time.After(time.Minute):
		t.Fatal("lethe serve does not listen after a minute")
	}
	in = &installation{t: t, dir: dir}
	raw, err := os.ReadFile(filepath.Join(dir, "credentials.json"))
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(raw, &in.cred); err != nil {
		t.Fatal(err)
	}
	return in, stop
}

// lethe runs the CLI and decodes its JSON.
func (in *installation) lethe(out any, args ...string) {
	in.t.Helper()
	cmd := exec.Command(binary, append(args, "--credentials", filepath.Join(in.dir, "credentials.json"), "-o", "json")...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	stdout, err := cmd.Output()
	if err != nil {
		in.t.Fatalf("lethe %s: %v\n%s", strings.Join(args, " "), err, stderr.String())
	}
	if out != nil {
		if err := json.Unmarshal(stdout, out); err != nil {
			in.t.Fatalf("lethe %s printed no JSON: %v\n%s", strings.Join(args, " "), err, stdout)
		}
	}
}

// letheRefuses runs the CLI with what must be refused, for a reason with these words in it.
func (in *installation) letheRefuses(words string, args ...string) {
	in.t.Helper()
	out, err := exec.Command(binary, append(args, "--credentials", filepath.Join(in.dir, "credentials.json"))...).CombinedOutput()
	if err == nil || !strings.Contains(string(out), words) {
		in.t.Errorf("lethe %s: error %v, and says %q, want words %q", strings.Join(args, " "), err, out, words)
	}
}

// image adds an image and gives its id.
func (in *installation) image(name string) string {
	in.t.Helper()
	var image struct {
		ID string `json:"image_id"`
	}
	in.lethe(&image, "image", "add", "--name", name, "--reference", "registry.invalid/"+name)
	return image.ID
}

// client makes the official client with these credentials.
func (in *installation) client(credential auth.ICredential) *cph.CphClient {
	in.t.Helper()
	http, err := cph.CphClientBuilder().
		WithEndpoint(in.cred.Endpoint).
		WithCredentialsType("basic.Credentials,compat.tokenCredential").
		WithCredential(credential).
		WithHttpConfig(config.DefaultHttpConfig().WithTimeout(30 * time.Second)).
		SafeBuild()
	if err != nil {
		in.t.Fatal(err)
	}
	return cph.NewCphClient(http)
}

func (in *installation) signed(ak, sk string) auth.ICredential {
	in.t.Helper()
	return in.signedFor(in.cred.ProjectID, ak, sk)
}

func (in *installation) signedFor(project, ak, sk string) auth.ICredential {
	in.t.Helper()
	c, err := basic.NewCredentialsBuilder().WithAk(ak).WithSk(sk).WithProjectId(project).SafeBuild()
	if err != nil {
		in.t.Fatal(err)
	}
	return c
}

// owner is the official client as the account itself, signing.
func (in *installation) owner() *cph.CphClient {
	return in.client(in.signed(in.cred.AccessKey, in.cred.SecretKey))
}

// project adds a project to the account and gives its id and the official client for it.
func (in *installation) project(name string) (string, *cph.CphClient) {
	in.t.Helper()
	var project struct {
		ID string `json:"project_id"`
	}
	in.lethe(&project, "project", "add", name)
	return project.ID, in.client(in.signedFor(project.ID, in.cred.AccessKey, in.cred.SecretKey))
}

// discovering is the official client that is told no project id: it looks its project up by the region's name.
func (in *installation) discovering() *cph.CphClient {
	in.t.Helper()
	c, err := basic.NewCredentialsBuilder().WithAk(in.cred.AccessKey).WithSk(in.cred.SecretKey).WithIamEndpointOverride(in.cred.Endpoint).SafeBuild()
	if err != nil {
		in.t.Fatal(err)
	}
	http, err := cph.CphClientBuilder().WithRegion(region.NewRegion(in.cred.Region, in.cred.Endpoint)).WithCredential(c).SafeBuild()
	if err != nil {
		in.t.Fatal(err)
	}
	return cph.NewCphClient(http)
}

// tokenCredential makes the official client send a token, as clients without a signer do.
type tokenCredential struct{ project, token string }

func (c *tokenCredential) ProcessAuthParams(*impl.DefaultHttpClient, string) (auth.ICredential, error) {
	return c, nil
}

func (c *tokenCredential) ProcessAuthRequest(_ *impl.DefaultHttpClient, r *request.DefaultHttpRequest) (*request.DefaultHttpRequest, error) {
	return r.Builder().AddAutoFilledPathParam("project_id", c.project).AddHeaderParam("X-Auth-Token", c.token).Build(), nil
}

// token asks IAM for a token with the given scope.
func (in *installation) token(user, password string, scope any) string {
	in.t.Helper()
	type m = map[string]any
	body, err := json.Marshal(m{"auth": m{
		"identity": m{"methods": []string{"password"}, "password": m{"user": m{"name": user, "password": password, "domain": m{"name": in.cred.Account}}}},
		"scope":    scope,
	}})
	if err != nil {
		in.t.Fatal(err)
	}
	req, err := http.NewRequestWithContext(context.Background(), http.MethodPost, in.cred.Endpoint+"/v3/auth/tokens?nocatalog=true", bytes.NewReader(body))
	if err != nil {
		in.t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		in.t.Fatal(err)
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusCreated {
		text, _ := io.ReadAll(res.Body)
		in.t.Fatalf("POST /v3/auth/tokens: %s %s", res.Status, text)
	}
	return res.Header.Get("X-Subject-Token")
}
