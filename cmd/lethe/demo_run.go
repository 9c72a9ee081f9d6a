package main

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/lethe-cloud/lethe/api"
	"github.com/lethe-cloud/lethe/client"
	"github.com/lethe-cloud/lethe/internal/driver/docker"
)

// demo is one demonstration against a running server.
type demo struct {
	env             *environment
	options         demoOptions
	images          demoImages
	credentialsFile string
	client          *client.Client // the native API, signed
	wire            *wire          // the CPH API, with a token
	newImage        string
	phones          []api.Phone
}

func newDemo(env *environment, o demoOptions, credentialsFile string, images demoImages) (*demo, error) {
	credentials, err := readCredentialsFile(credentialsFile)
	if err != nil {
		return nil, err
	}
	c, err := client.New(client.Config{
		Endpoint: credentials.Endpoint, AccessKey: credentials.AccessKey, SecretKey: credentials.SecretKey, ProjectID: credentials.ProjectID,
	})
	if err != nil {
		return nil, err
	}
	return &demo{env: env, options: o, images: images, credentialsFile: credentialsFile, client: c, wire: &wire{credentials: credentials}}, nil
}

const (
	malformedID = "not-a-phone-id"
	unknownID   = "00000000000000000000000000000000"
	userFile    = "/data/lethe-demo-user-data"
	refusedCode = "CPS.0004"
	perCall     = 1000 // phones in one batch-reset, the installation's limit
)

// run makes the fleet, uses it, resets it and looks at what is left.
func (d *demo) run(ctx context.Context) (*demoReport, error) {
	d.say("making %d phones on %d %s servers", d.options.phones, d.options.servers, d.options.driver)
	if err := d.makeFleet(ctx); err != nil {
		return nil, fmt.Errorf("make the fleet: %w", err)
	}
	d.say("putting user data into every phone")
	if err := d.eachPhone(ctx, d.writeUserData); err != nil {
		return nil, fmt.Errorf("put user data into the phones: %w", err)
	}
	if err := d.wire.authenticate(ctx); err != nil {
		return nil, fmt.Errorf("take a token: %w", err)
	}
	d.say("resetting all of them: POST /v1/{project_id}/cloud-phone/phones/batch-reset")
	report := &demoReport{Phones: len(d.phones), servers: map[string]*demoServer{}, PhasesMS: map[string]int64{}}
	began := time.Now()
	requests, err := d.resetAll(ctx, report)
	if err != nil {
		return nil, fmt.Errorf("reset the phones: %w", err)
	}
	if err := d.follow(ctx, requests, report.Accepted); err != nil {
		return nil, err
	}
	report.ElapsedMS = time.Since(began).Milliseconds()
	for _, request := range requests {
		if err := d.judge(ctx, request, report); err != nil {
			return nil, err
		}
	}
	d.say("looking for the user data in every phone")
	if err := d.eachPhone(ctx, func(ctx context.Context, p api.Phone) error { return d.missUserData(ctx, p, report) }); err != nil {
		return nil, fmt.Errorf("look for the user data: %w", err)
	}
	report.conclude()
	return report, nil
}

func (d *demo) say(format string, args ...any) { fmt.Fprintf(d.env.stderr, format+"\n", args...) }

// makeFleet registers two images, adds the servers and waits until all phones run the first image.
func (d *demo) makeFleet(ctx context.Context) error {
	first, err := d.client.AddImage(ctx, api.AddImage{ImageName: "demo-first", Reference: d.images.first, OSName: "AOSP12.0"})
	if err != nil {
		return err
	}
	second, err := d.client.AddImage(ctx, api.AddImage{ImageName: "demo-second", Reference: d.images.second, OSName: "AOSP13.0"})
	if err != nil {
		return err
	}
	d.newImage = second.ImageID
	ports := 0 // a simulated phone has none: any will do
	if d.options.driver == docker.Name {
		if ports, err = freePorts(d.options.phones); err != nil {
			return err
		}
	}
	var requests []string
	for i := range d.options.servers {
		count := d.options.phones / d.options.servers
		if i < d.options.phones%d.options.servers {
			count++
		}
		server, err := d.client.AddServer(ctx, api.AddServer{
			ServerName: fmt.Sprintf("demo-%d", i+1), Driver: d.options.driver, Endpoint: d.images.endpoint, PhoneCount: count,
			ImageID: first.ImageID, MaxConcurrentBoots: d.options.boots, Config: d.images.config, PortBase: ports,
		})
		if err != nil {
			return err
		}
		requests = append(requests, server.RequestID)
		if ports > 0 {
			ports += count
		}
	}
	if err := d.follow(ctx, requests, d.options.phones); err != nil {
		return err
	}
	d.phones, err = client.Collect(d.client.Phones(ctx, client.PhoneFilter{}), 0)
	if err != nil {
		return err
	}
	for _, p := range d.phones {
		if p.Status != 2 {
			return fmt.Errorf("phone %s has status %d after its creation, not 2: %s", p.PhoneName, p.Status, d.whyFailed(ctx, p))
		}
	}
	return nil
}

// whyFailed gives the words of the phone's last job.
func (d *demo) whyFailed(ctx context.Context, p api.Phone) string {
	jobs, err := client.Collect(d.client.Jobs(ctx, client.JobFilter{PhoneID: p.PhoneID}), 1)
	if err != nil || len(jobs) == 0 || jobs[0].Failure == nil {
		return "no reason is known"
	}
	return jobs[0].Failure.Msg + ": " + jobs[0].Failure.Detail
}

// follow shows the progress of several requests as one, until all have ended.
func (d *demo) follow(ctx context.Context, requests []string, total int) error {
	progress := newProgress(d.env.stderr, isTerminal(d.env.stderr))
	defer progress.Done()
	latest := make([]api.Progress, len(requests))
	for {
		phases, erased, finished := map[string]int{}, 0, 0
		for i, id := range requests {
			if !latest[i].Finished {
				now, err := d.client.Request(ctx, id)
				if err != nil {
					return err
				}
				latest[i] = now
			}
			for _, p := range latest[i].Phases {
				phases[p.Phase] += p.Count
			}
			erased += latest[i].Erased
			if latest[i].Finished {
				finished++
			}
		}
		progress.Update(phases, total, erased)
		if finished == len(requests) {
			return nil
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// eachPhone does something with every phone, several at a time.
func (d *demo) eachPhone(ctx context.Context, do func(context.Context, api.Phone) error) error {
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(16)
	for _, p := range d.phones {
		group.Go(func() error { return do(ctx, p) })
	}
	return group.Wait()
}

func (d *demo) writeUserData(ctx context.Context, p api.Phone) error {
	result, err := d.client.Exec(ctx, p.PhoneID, api.Exec{Args: []string{"tee", userFile}, Stdin: []byte("photos, chats and keys of " + p.PhoneName + "\n")})
	if err == nil && result.ExitCode != 0 {
		err = fmt.Errorf("tee in phone %s ended with code %d: %s", p.PhoneName, result.ExitCode, result.Stderr)
	}
	if err != nil {
		return err
	}
	kept, err := d.client.Exec(ctx, p.PhoneID, api.Exec{Args: []string{"cat", userFile}})
	if err == nil && !strings.Contains(string(kept.Stdout), p.PhoneName) {
		err = fmt.Errorf("phone %s did not keep its user data", p.PhoneName)
	}
	return err
}

// missUserData looks for the user data where it was.
func (d *demo) missUserData(ctx context.Context, p api.Phone, report *demoReport) error {
	result, err := d.client.Exec(ctx, p.PhoneID, api.Exec{Args: []string{"cat", userFile}})
	if err != nil {
		return err
	}
	if result.ExitCode == 0 || len(result.Stdout) > 0 {
		report.problem("phone %s still has its user data", p.PhoneName)
	}
	return nil
}

// properties gives one phone's own properties: one that is set at creation, one after boot, one that no container has.
func properties(i int) map[string]any {
	return map[string]any{
		"ro.product.manufacturer": fmt.Sprintf("Maker-%d", i%7),
		"com.cph.mainkeys":        i % 2, // a number, as some clients send it
		"sys.prop.writeimsi":      fmt.Sprintf("46000%010d", i),
	}
}

// resetAll sends batch-reset, as many calls as the phones need, with one malformed and one unknown id in the first.
func (d *demo) resetAll(ctx context.Context, report *demoReport) (requests []string, err error) {
	elements := make([]wirePhone, 0, len(d.phones)+2)
	for i, p := range d.phones {
		text, err := json.Marshal(properties(i))
		if err != nil {
			return nil, err
		}
		elements = append(elements, wirePhone{PhoneID: p.PhoneID, Property: string(text)})
	}
	elements = append([]wirePhone{{PhoneID: malformedID}, {PhoneID: unknownID}}, elements...)
	for len(elements) > 0 {
		n := min(perCall, len(elements))
		answer, err := d.wire.batchReset(ctx, wireReset{ImageID: d.newImage, Phones: elements[:n]})
		if err != nil {
			return nil, err
		}
		if len(answer.Jobs) != n {
			return nil, fmt.Errorf("batch-reset answered %d elements for %d", len(answer.Jobs), n)
		}
		for i, j := range answer.Jobs {
			report.accept(elements[i].PhoneID, j.JobID, j.ErrorCode, j.ErrorMsg)
		}
		requests = append(requests, answer.RequestID)
		elements = elements[n:]
	}
	return requests, nil
}

// judge reads what became of a request: the CPH API's word for each job, and the receipts.
func (d *demo) judge(ctx context.Context, request string, report *demoReport) error {
	told, err := d.wire.jobs(ctx, request)
	if err != nil {
		return err
	}
	status := make(map[string]wireJob, len(told))
	for _, j := range told {
		status[j.JobID] = j
	}
	names := map[string]string{}
	for server, err := range d.client.Servers(ctx, client.ServerFilter{}) {
		if err != nil {
			return err
		}
		names[server.ServerID] = server.ServerName
	}
	for job, err := range d.client.Jobs(ctx, client.JobFilter{RequestID: request}) {
		if err != nil {
			return err
		}
		report.job(job, status[job.JobID], names[job.ServerID], d.newImage)
	}
	return nil
}
