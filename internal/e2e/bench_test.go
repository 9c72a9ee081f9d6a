package e2e

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/lethe-cloud/lethe/internal/driver"
	"github.com/lethe-cloud/lethe/internal/driver/docker"
	"github.com/lethe-cloud/lethe/internal/phone"
	"github.com/lethe-cloud/lethe/internal/simphone"
	"github.com/lethe-cloud/lethe/internal/testenv"
)

var (
	benchPhones = flag.Int("phones", 50, "phones that BenchmarkDockerReset resets")
	benchSlots  = flag.Int("slots", 10, "phones that may boot at once in BenchmarkDockerReset")
	benchBoot   = flag.Duration("boot", time.Second, "boot time of a phone in BenchmarkDockerReset")
)

// BenchmarkDockerReset resets a fleet of test phones on Docker twice: through lethe, from the call to the last finished job, and
// in a bare loop that makes the same Docker calls with the same number of phones at once, without a database or an API. Both
// sides run in turn in one process's time, so the ratio means something where the seconds do not.
func BenchmarkDockerReset(b *testing.B) {
	endpoint, image := testenv.Docker(b), testenv.SimphoneImage(b)
	bare := newBareFleet(b, endpoint, image)
	p := newProcess(b, "")
	installation := p.installation()
	b.Cleanup(func() {
		if err := docker.Purge(context.Background(), endpoint, installation); err != nil {
			b.Error(err)
		}
	})
	template := filepath.Join(b.TempDir(), "template.toml")
	if err := os.WriteFile(template, fmt.Appendf(nil, "privileges = \"none\"\ninit_args = [\"%s=%d\"]\n", simphone.ArgBootMillis, benchBoot.Milliseconds()), 0o600); err != nil {
		b.Fatal(err)
	}
	addImage(p, "first", image)
	p.lethe("server", "add", "--name", "rack", "--driver", "docker", "--endpoint", endpoint, "--phones", fmt.Sprint(*benchPhones), "--image", "first",
		"--concurrent-boots", fmt.Sprint(*benchSlots), "--template", template, "--port-base", fmt.Sprint(testenv.Ports(b, *benchPhones)), "--wait")
	var list struct {
		Phones []struct {
			ID string `json:"phone_id"`
		} `json:"phones"`
	}
	p.request(http.MethodGet, "/lethe/v1/phones", nil, &list)
	var elements []map[string]any
	for _, one := range list.Phones {
		elements = append(elements, map[string]any{"phone_id": one.ID})
	}

	var lethe, loop time.Duration
	b.ResetTimer()
	for range b.N {
		began := time.Now()
		var accepted struct {
			Request string `json:"request_id"`
		}
		p.request(http.MethodPost, "/v1/"+p.project+"/cloud-phone/phones/batch-reset", map[string]any{"phones": elements}, &accepted)
		for !p.finished(accepted.Request) {
			time.Sleep(5 * time.Millisecond)
		}
		lethe += time.Since(began)
		began = time.Now()
		bare.reset(b)
		loop += time.Since(began)
	}
	b.ReportMetric(lethe.Seconds()/float64(b.N), "lethe-s/reset")
	b.ReportMetric(loop.Seconds()/float64(b.N), "bare-s/reset")
	b.ReportMetric(lethe.Seconds()/loop.Seconds(), "lethe/bare")
}

func (p *process) finished(request string) bool {
	p.t.Helper()
	var progress struct {
		Finished bool `json:"finished"`
		Phases   []struct {
			Phase string `json:"phase"`
			Count int    `json:"count"`
		} `json:"phases"`
	}
	p.request(http.MethodGet, "/lethe/v1/requests/"+request, nil, &progress)
	if progress.Finished && (len(progress.Phases) != 1 || progress.Phases[0].Phase != "succeeded") {
		p.t.Fatalf("not every phone was reset: %+v", progress.Phases)
	}
	return progress.Finished
}

// bareFleet is phones on Docker with nothing around them but the driver.
type bareFleet struct {
	host     driver.Driver
	image    phone.Image
	identity phone.ImageIdentity
	project  phone.ProjectID
	phones   []phone.ID
	port     int

	generation phone.Generation
}

func newBareFleet(b *testing.B, endpoint, image string) *bareFleet {
	b.Helper()
	installation := phone.NewID[string]()
	pool := docker.NewPool(docker.Config{
		Installation: installation, Logger: slog.New(slog.DiscardHandler), HelperBinary: func(string) (string, error) { return binary, nil },
	})
	b.Cleanup(func() {
		if err := errors.Join(docker.Purge(context.Background(), endpoint, installation), pool.Close()); err != nil {
			b.Error(err)
		}
	})
	config := fmt.Appendf(nil, `{"privileges":"none","init_args":["%s=%d"]}`, simphone.ArgBootMillis, benchBoot.Milliseconds())
	host, err := pool.Driver(phone.Server{ID: phone.NewID[phone.ServerID](), Name: "bare", Driver: docker.Name, Endpoint: endpoint, Config: config})
	if err != nil {
		b.Fatal(err)
	}
	f := &bareFleet{
		host: host, image: phone.Image{ID: phone.NewID[phone.ImageID](), Reference: image}, project: phone.NewID[phone.ProjectID](),
		port: testenv.Ports(b, *benchPhones),
	}
	if f.identity, err = host.Prepare(b.Context(), f.image); err != nil {
		b.Fatal(err)
	}
	for range *benchPhones {
		f.phones = append(f.phones, phone.NewID[phone.ID]())
	}
	f.reset(b)
	return f
}

// reset gives every phone its next life: at most benchSlots are between removing and booted, erasing goes on beside.
func (f *bareFleet) reset(b *testing.B) {
	b.Helper()
	f.generation++
	slots := make(chan struct{}, *benchSlots)
	group, ctx := errgroup.WithContext(b.Context())
	var order sync.Mutex
	for i, id := range f.phones {
		group.Go(func() error {
			order.Lock()
			slots <- struct{}{}
			order.Unlock()
			return f.resetOne(ctx, driver.Ref{Phone: id, Generation: f.generation}, f.port+i, func() { <-slots })
		})
	}
	if err := group.Wait(); err != nil {
		b.Fatal(err)
	}
}

func (f *bareFleet) resetOne(ctx context.Context, ref driver.Ref, port int, free func()) error {
	if ref.Generation > 1 {
		if err := f.host.Remove(ctx, driver.Ref{Phone: ref.Phone, Generation: ref.Generation - 1}); err != nil {
			return err
		}
	}
	group, groupCtx := errgroup.WithContext(ctx)
	group.Go(func() error {
		if ref.Generation == 1 {
			return nil
		}
		_, err := f.host.Erase(groupCtx, ref.Phone, ref.Generation)
		return err
	})
	group.Go(func() error {
		defer free()
		return f.boot(groupCtx, ref, port)
	})
	if err := group.Wait(); err != nil {
		return err
	}
	_, err := f.host.Inspect(ctx, ref) // the last look before a job succeeds
	return err
}

func (f *bareFleet) boot(ctx context.Context, ref driver.Ref, port int) error {
	_, err := f.host.Ensure(ctx, driver.Spec{
		Ref: ref, Job: phone.NewID[phone.JobID](), Name: "bare", Project: f.project, Image: f.image, Identity: f.identity, ADBPort: port,
	})
	if err != nil {
		return err
	}
	if err := f.host.Start(ctx, ref); err != nil {
		return err
	}
	for {
		instance, err := f.host.Inspect(ctx, ref)
		if err != nil || instance.Booted {
			return err
		}
		if instance.Exited {
			return fmt.Errorf("the phone ended with code %d", instance.ExitCode)
		}
		time.Sleep(instance.CheckAfter)
	}
}
