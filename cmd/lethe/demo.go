package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/lethe-cloud/lethe/internal/config"
)

// demoOptions is what the demonstration was asked for.
type demoOptions struct {
	phones, servers int
	driver          string
	dockerHost      string
	boots           int
	bootTime        time.Duration
	json, keep      bool
}

func (o demoOptions) check() error {
	switch {
	case o.phones < 1 || o.phones > 100_000:
		return usagef("--phones is %d: choose 1 to 100000", o.phones)
	case o.servers < 1 || o.servers > o.phones:
		return usagef("--servers is %d: choose 1 to the number of phones, %d", o.servers, o.phones)
	case o.driver != "simulated" && o.driver != "docker":
		return usagef("--driver is %q: choose simulated or docker", o.driver)
	case o.boots < 1:
		return usagef("--concurrent-boots is %d: choose 1 or more", o.boots)
	case o.bootTime < time.Millisecond || o.bootTime > time.Hour:
		return usagef("--boot-time is %s: choose 1ms to 1h", o.bootTime)
	}
	return nil
}

func newDemoCommand(env *environment) *cobra.Command {
	var o demoOptions
	cmd := &cobra.Command{
		Use:   "demo",
		Short: "Reset a whole fleet over the real API, with proof",
		Long: `Start a complete lethe (HTTP on loopback, SQLite in a temporary folder), make a fleet, put user data into every phone, take
a token from IAM, reset all phones in one call with a new image and properties per phone (and one malformed and one unknown
phone id), and show that the old data is gone.

It exits with 0 only when every accepted job succeeded, every old volume was looked for and is gone, every property was read
back or is reported as recorded only, and both bad ids were refused with their codes.`,
		Example: "  lethe demo\n  lethe demo --phones 600 --servers 20 --concurrent-boots 10\n  lethe demo --driver docker --docker-host unix:///var/run/docker.sock --phones 6 --servers 1",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := o.check(); err != nil {
				return err
			}
			return runDemo(cmd.Context(), env, o)
		},
	}
	flags := cmd.Flags()
	flags.IntVar(&o.phones, "phones", 60, "phones in the fleet")
	flags.IntVar(&o.servers, "servers", 3, "servers they are spread over")
	flags.StringVar(&o.driver, "driver", "simulated", "simulated, or docker (real containers of a stand-in for Android)")
	flags.StringVar(&o.dockerHost, "docker-host", "", "Docker daemon for --driver docker (default $DOCKER_HOST, then unix:///var/run/docker.sock)")
	flags.IntVar(&o.boots, "concurrent-boots", 5, "phones that may boot at once, per server")
	flags.DurationVar(&o.bootTime, "boot-time", 300*time.Millisecond, "how long one phone takes to boot")
	flags.BoolVar(&o.json, "json", false, "print one JSON object instead of the table")
	flags.BoolVar(&o.keep, "keep", false, "leave it running afterwards and print how to call it")
	return cmd
}

// runDemo starts a server in a folder of its own, runs the demonstration against it and takes everything away again.
func runDemo(ctx context.Context, env *environment, o demoOptions) (err error) {
	if o.dockerHost == "" {
		if o.dockerHost = env.getenv("DOCKER_HOST"); o.dockerHost == "" {
			o.dockerHost = "unix:///var/run/docker.sock"
		}
	}
	dir, err := os.MkdirTemp("", "lethe-demo-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()

	log, err := os.OpenFile(filepath.Join(dir, "lethe.log"), os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, log.Close()) }()
	images, err := prepareDemoImages(ctx, o, dir)
	if err != nil {
		return err
	}
	cfg := config.Default()
	cfg.Data, cfg.Listen = filepath.Join(dir, "data"), "127.0.0.1:0"
	defer func() {
		// What it showed stays true when Docker keeps something, so this changes no exit code.
		if removeErr := removeDemo(context.WithoutCancel(ctx), o, cfg.Data); removeErr != nil {
			fmt.Fprintf(env.stderr, "lethe: warning: %v\n", removeErr)
		}
	}()
	server, err := startServer(ctx, cfg, slog.New(slog.NewTextHandler(log, nil)), newBuilder(images.helper))
	if err != nil {
		return err
	}
	defer func() {
		stopCtx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 30*time.Second)
		defer cancel()
		err = errors.Join(err, server.Stop(stopCtx))
	}()

	d, err := newDemo(env, o, server.Credentials, images)
	if err != nil {
		return err
	}
	report, err := d.run(ctx)
	if err != nil {
		if tail := lastLines(log.Name(), 20); tail != "" {
			fmt.Fprintf(env.stderr, "the server's last words:\n%s\n", tail)
		}
		return err
	}
	if o.json {
		err = report.writeJSON(env.stdout, env.stderr)
	} else {
		err = report.writeTable(env.stdout)
	}
	if err != nil {
		return err
	}
	if o.keep {
		d.explain(env.stderr)
		select {
		case <-ctx.Done():
		case <-server.Ended():
		}
	}
	if len(report.problems) > 0 {
		return exitError(exitFailed)
	}
	return nil
}

// lastLines gives the end of a log file, for the one who has to find out what went wrong; "" when it cannot be read.
func lastLines(path string, n int) string {
	text, err := os.ReadFile(path)
	if err != nil {
		return ""
	}
	lines := strings.Split(strings.TrimSpace(string(text)), "\n")
	return strings.Join(lines[max(0, len(lines)-n):], "\n")
}

// explain says how to call the installation that was left running, in lines that can be pasted.
func (d *demo) explain(w io.Writer) {
	c := d.wire.credentials
	fmt.Fprintf(w, `
lethe goes on at %[1]s until you press Ctrl-C. Its credentials are in %[2]s.

With curl:
  TOKEN=$(curl -s -o /dev/null -D - '%[1]s/v3/auth/tokens?nocatalog=true' -H 'Content-Type: application/json' \
    -d '{"auth":{"identity":{"methods":["password"],"password":{"user":{"name":"%[3]s","password":"%[4]s","domain":{"name":"%[5]s"}}}},"scope":{"project":{"name":"%[6]s"}}}}' \
    | tr -d '\r' | sed -n 's/^X-Subject-Token: //ip')
  curl -s -H "X-Auth-Token: $TOKEN" '%[1]s/v1/%[7]s/cloud-phone/phones?limit=3'
  curl -s -H "X-Auth-Token: $TOKEN" -H 'Content-Type: application/json' '%[1]s/v1/%[7]s/cloud-phone/phones/batch-reset' \
    -d '{"phones":[{"phone_id":"%[8]s"}]}'

With the official Go SDK (services/cph/v1), as a program of its own:
  cd "$(mktemp -d)" && cat > main.go <<'EOF'
  package main

  import (
  	"fmt"

  	"github.com/huaweicloud/huaweicloud-sdk-go-v3/core/auth/basic"
  	cph "github.com/huaweicloud/huaweicloud-sdk-go-v3/services/cph/v1"
  	"github.com/huaweicloud/huaweicloud-sdk-go-v3/services/cph/v1/model"
  )

  func main() {
  	credential, err := basic.NewCredentialsBuilder().WithAk("%[9]s").WithSk("%[10]s").WithProjectId("%[7]s").SafeBuild()
  	if err != nil {
  		panic(err)
  	}
  	http, err := cph.CphClientBuilder().WithEndpoint("%[1]s").WithCredential(credential).SafeBuild()
  	if err != nil {
  		panic(err)
  	}
  	fmt.Println(cph.NewCphClient(http).ResetCloudPhone(&model.ResetCloudPhoneRequest{Body: &model.ResetCloudPhoneRequestBody{
  		Phones: []model.PhoneProperty{{PhoneId: "%[8]s"}},
  	}}))
  }
EOF
  sed -i 's/^  //' main.go; go mod init example && go mod tidy && go run .; cd -

With the CLI (%[11]s is this program):
  %[11]s phone list --credentials %[2]s
  %[11]s reset --all --wait --credentials %[2]s
`, c.Endpoint, d.credentialsFile, c.User, c.Password, c.Account, c.Project, c.ProjectID, d.phones[0].PhoneID, c.AccessKey, c.SecretKey, programName())
}

// programName is how to start this program again from the folder it was started in.
func programName() string {
	executable, err := os.Executable()
	if err != nil || strings.Contains(executable, string(filepath.Separator)+"go-build") {
		return "go run ./cmd/lethe" // the executable of go run is gone when it ends
	}
	return executable
}
