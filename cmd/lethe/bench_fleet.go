package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/lethe-cloud/lethe/api"
	"github.com/lethe-cloud/lethe/client"
	"github.com/lethe-cloud/lethe/internal/config"
	"github.com/lethe-cloud/lethe/internal/driver/simulated"
	"github.com/lethe-cloud/lethe/internal/phone"
	"github.com/lethe-cloud/lethe/internal/store"
)

// benchPoll is how often a bench looks whether jobs have ended. What it measures comes from the jobs' own times.
const benchPoll = 200 * time.Millisecond

// benchOwn measures phones of the caller's own installation.
func benchOwn(ctx context.Context, env *environment, o benchOptions) (benchReport, error) {
	credentials, err := env.readCredentials()
	if err != nil {
		return benchReport{}, err
	}
	c, err := benchClient(credentials)
	if err != nil {
		return benchReport{}, err
	}
	b := &bench{env: env, client: c, options: o, slots: map[string]int{}}
	filter := client.PhoneFilter{Status: 2}
	if o.server != "" {
		if filter.ServerID, err = resolveServer(ctx, c, o.server); err != nil {
			return benchReport{}, err
		}
	}
	if err := b.load(c.Phones(ctx, filter), true); err != nil {
		return benchReport{}, err
	}
	slices.SortFunc(b.phones, func(a, b benchPhone) int { return cmp.Or(strings.Compare(a.name, b.name), strings.Compare(a.id, b.id)) })
	switch {
	case len(b.phones) == 0:
		return benchReport{}, errors.New("there is no running phone to reset: see lethe phone list")
	case len(b.phones) < o.phones:
		return benchReport{}, fmt.Errorf("only %d phones are running, not %d: see lethe phone list", len(b.phones), o.phones)
	case o.phones > 0:
		b.phones = b.phones[:o.phones]
	}
	if !o.yes {
		return benchReport{}, usagef("this resets %d phones of %s %d times, which destroys all their data: give --yes if that is what you want",
			len(b.phones), c.Endpoint(), o.rounds)
	}
	if err := b.learnSlots(ctx); err != nil {
		return benchReport{}, err
	}
	return b.run(ctx)
}

func benchClient(c api.Credentials) (*client.Client, error) {
	made, err := client.New(client.Config{
		Endpoint: c.Endpoint, AccessKey: c.AccessKey, SecretKey: c.SecretKey, ProjectID: c.ProjectID, Poll: benchPoll,
	})
	if err != nil {
		return nil, usagef("%v", err)
	}
	return made, nil
}

// filesOfPhone is how many files and folders a simulated phone is, beside the data files of its first boot: 9, and a tenth of them twice.
const filesOfPhone = 10

// enoughFiles says before an hour of work that a file system, which may be limited in the number of its files, cannot hold the phones.
func enoughFiles(folder string, phones, dataFiles int) error {
	var system syscall.Statfs_t
	if err := syscall.Statfs(folder, &system); err != nil {
		return fmt.Errorf("look at the file system of %s: %w", folder, err)
	}
	need := uint64(phones) * uint64(filesOfPhone+dataFiles)
	if system.Files == 0 || uint64(system.Ffree) >= need { // 0: a file system without such a limit
		return nil
	}
	return usagef("%d phones are some %d files, and the file system of %s has room for %d: choose another --hosts, fewer --phones or --data-files,"+
		" or for one in memory give it more (mount -o remount,nr_inodes=%d)", phones, need, folder, system.Ffree, uint64(system.Files)+need)
}

// benchTemporary measures simulated phones in an installation that lives as long as the measurement.
func benchTemporary(ctx context.Context, env *environment, o benchOptions) (_ benchReport, err error) {
	dir, err := os.MkdirTemp("", "lethe-bench-")
	if err != nil {
		return benchReport{}, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	if o.hosts != "" {
		if o.hosts, err = os.MkdirTemp(o.hosts, "lethe-bench-"); err != nil {
			return benchReport{}, usagef("--hosts: %v", err)
		}
		defer func() { err = errors.Join(err, os.RemoveAll(o.hosts)) }()
	}
	if err := enoughFiles(cmp.Or(o.hosts, dir), o.phones, o.files); err != nil {
		return benchReport{}, err
	}
	cfg := config.Default()
	cfg.Data, cfg.Listen = filepath.Join(dir, "data"), "127.0.0.1:0"
	if o.database != cfg.Database {
		var drop func(context.Context) error
		if cfg.Database, drop, err = store.Temporary(ctx, o.database); err != nil {
			return benchReport{}, err
		}
		defer func() {
			dropCtx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 30*time.Second)
			defer cancel()
			err = errors.Join(err, drop(dropCtx))
		}()
	}
	log, err := os.OpenFile(filepath.Join(dir, "lethe.log"), os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return benchReport{}, err
	}
	defer func() { err = errors.Join(err, log.Close()) }()
	server, err := startServer(ctx, cfg, slog.New(slog.NewTextHandler(log, nil)), newBuilder(ownBinary))
	if err != nil {
		return benchReport{}, err
	}
	defer func() {
		stopCtx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 30*time.Second)
		defer cancel()
		err = errors.Join(err, server.Stop(stopCtx))
	}()
	credentials, err := readCredentialsFile(server.Credentials)
	if err != nil {
		return benchReport{}, err
	}
	c, err := benchClient(credentials)
	if err != nil {
		return benchReport{}, err
	}
	b := &bench{env: env, client: c, options: o, slots: map[string]int{}}
	report, err := b.runOnNewFleet(ctx, func() (int64, error) { return store.Size(ctx, databaseURL(cfg, installation{Data: cfg.Data})) })
	if err != nil {
		if tail := lastLines(log.Name(), 20); tail != "" {
			fmt.Fprintf(env.stderr, "the server's last words:\n%s\n", tail)
		}
	}
	return report, err
}

// runOnNewFleet makes simulated phones and measures them.
func (b *bench) runOnNewFleet(ctx context.Context, databaseSize func() (int64, error)) (benchReport, error) {
	var figures temporaryFigures
	began := time.Now()
	if err := b.makeFleet(ctx); err != nil {
		return benchReport{}, err
	}
	figures.Creating = millis(time.Since(began))
	if err := b.load(b.client.Phones(ctx, client.PhoneFilter{}), false); err != nil {
		return benchReport{}, err
	}
	var err error
	if figures.DatabaseBefore, err = databaseSize(); err != nil {
		return benchReport{}, err
	}
	report, err := b.run(ctx)
	if err != nil {
		return benchReport{}, err
	}
	if figures.DatabaseAfter, err = databaseSize(); err != nil {
		return benchReport{}, err
	}
	figures.PeakMemory = peakMemory()
	report.Temporary = &figures
	return report, nil
}

// makeFleet adds the servers and waits until all their phones run.
func (b *bench) makeFleet(ctx context.Context) error {
	o := b.options
	b.say("making %d simulated phones on %d servers", o.phones, o.servers)
	settings, err := json.Marshal(map[string]any{"boot_time": o.bootTime.String(), "data_files": o.files})
	if err != nil {
		return err
	}
	image, err := b.client.AddImage(ctx, api.AddImage{ImageName: "bench", Reference: "registry.invalid/android:12", OSName: "AOSP12.0"})
	if err != nil {
		return err
	}
	var requests []string
	for i := range o.servers {
		name, endpoint := fmt.Sprintf("bench-%d", i+1), ""
		if o.hosts != "" {
			endpoint = "sim://" + filepath.Join(o.hosts, name)
		}
		server, err := b.client.AddServer(ctx, api.AddServer{
			ServerName: name, Driver: simulated.Name, Endpoint: endpoint, PhoneCount: share(o.phones, o.servers, i), ImageID: image.ImageID,
			MaxConcurrentBoots: o.boots, Config: settings,
		})
		if err != nil {
			return err
		}
		b.slots[server.ServerID] = o.boots
		requests = append(requests, server.RequestID)
	}
	if err := b.wait(ctx, requests); err != nil {
		return err
	}
	for p, err := range b.client.Phones(ctx, client.PhoneFilter{Status: int(phone.StatusCreateFailed)}) {
		if err != nil {
			return err
		}
		return b.whyNotCreated(ctx, p)
	}
	return nil
}

func (b *bench) whyNotCreated(ctx context.Context, p api.Phone) error {
	jobs, err := client.Collect(b.client.Jobs(ctx, client.JobFilter{PhoneID: p.PhoneID}), 1)
	if err != nil {
		return err
	}
	if len(jobs) == 0 || jobs[0].Failure == nil {
		return fmt.Errorf("phone %s could not be created", p.PhoneName)
	}
	return fmt.Errorf("phone %s could not be created: %s %s", p.PhoneName, jobs[0].Failure.Msg, jobs[0].Failure.Detail)
}

// share is how many of n things the i-th of k gets.
func share(n, k, i int) int {
	if i < n%k {
		return n/k + 1
	}
	return n / k
}

// learnSlots asks how many boot slots the phones' servers have.
func (b *bench) learnSlots(ctx context.Context) error {
	for server, err := range b.client.Servers(ctx, client.ServerFilter{}) {
		if err != nil {
			return err
		}
		b.slots[server.ServerID] = server.MaxConcurrentBoots
	}
	return nil
}

// peakMemory is the most that this process has held resident, 0 where /proc does not say.
func peakMemory() int64 {
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(status)) {
		if rest, ok := strings.CutPrefix(line, "VmHWM:"); ok {
			kb, _ := strconv.ParseInt(strings.TrimSuffix(strings.TrimSpace(rest), " kB"), 10, 64)
			return kb * 1024
		}
	}
	return 0
}
