// Package docker runs phones as redroid containers on Docker hosts. A life of a phone is one container and one named volume,
// both labelled; what the containers are like besides is the server's Template. Facts about redroid come from its README
// (github.com/remote-android/redroid-doc) and from Android's own init and adbd.
package docker

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/moby/moby/client"

	"github.com/lethe-cloud/lethe/internal/driver"
	"github.com/lethe-cloud/lethe/internal/phone"
)

// Name is what a server's Driver field says for this driver.
const Name = "docker"

// Config is what a Pool needs.
type Config struct {
	// Installation is the id that every object on a host is labelled with. Two installations may share a host.
	Installation string
	// HelperBinary gives the file of a static Linux program for the architecture (as GOARCH has it) that runs
	// emptydir.Main, or sharedir.Main, when its first argument is HelperCommand. It is loaded into a host as an image when the first volume is
	// erased there, unless the server's template names a helper image. Its error is shown to operators: it says the cure.
	HelperBinary func(arch string) (path string, err error)
	// Holder names what only one process holds at a time and a restart keeps: the data folder. A helper container that an earlier
	// process of the same holder left behind is then removed at once. Without it such a container has to stand still for a while.
	Holder string
	Logger *slog.Logger
	Now    func() time.Time // time.Now when nil
}

// holder is the Holder of one connection: two connections of one process to a daemon run their helpers beside each other.
func (c Config) holder(of hostKey) string {
	if c.Holder == "" {
		return ""
	}
	return fmt.Sprintf("%s %s %s", c.Holder, of.helper, of.tls.Cert)
}

// HelperCommand is the first argument that the helper program is called with; the directories to empty follow, or
// emptydir.MeasureFlag and the directory to measure, or one argument for sharedir.Main.
const HelperCommand = "volume-helper"

// Pool gives the drivers of servers. Servers with one endpoint share a connection and the helper that erases volumes, so a
// process needs exactly one Pool. It is safe for concurrent use.
type Pool struct {
	config Config
	images helperImages

	mu    sync.Mutex
	hosts map[hostKey]*host
}

// hostKey is what makes two servers' connections the same.
type hostKey struct {
	endpoint string
	tls      TLS
	helper   string // the template's helper image
}

// NewPool makes a pool that knows no host yet.
func NewPool(config Config) *Pool {
	if config.Now == nil {
		config.Now = time.Now
	}
	if config.Logger == nil {
		config.Logger = slog.New(slog.DiscardHandler)
	}
	return &Pool{config: config, images: helperImages{binary: config.HelperBinary}, hosts: map[hostKey]*host{}}
}

// Driver gives the driver of a server. It reads the server's template and connects to nothing. The error is Invalid and names
// every key of the template that is wrong.
func (p *Pool) Driver(server phone.Server) (*Driver, error) {
	template, err := ParseTemplate(server.Config, server.Endpoint)
	if err != nil {
		return nil, err
	}
	h, err := p.host(server.Endpoint, template)
	if err != nil {
		return nil, err
	}
	return &Driver{host: h, server: server.ID, template: template}, nil
}

// Close closes idle connections. Drivers that are still in use open them again.
func (p *Pool) Close() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	var errs []error
	for _, h := range p.hosts {
		errs = append(errs, h.api.Close())
	}
	return errors.Join(errs...)
}

func (p *Pool) host(endpoint string, template Template) (*host, error) {
	key := hostKey{endpoint: endpoint, helper: template.HelperImage}
	if template.TLS != nil {
		key.tls = *template.TLS
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if h := p.hosts[key]; h != nil {
		return h, nil
	}
	h := &host{
		installation: p.config.Installation, holder: p.config.holder(key), nameLimit: nameLimit, asking: newLock(), networks: newLock(), emptier: emptier{turn: newLock()},
		helper: helper{images: &p.images, configured: template.HelperImage, stale: helperStale, held: helperHeld},
		logger: p.config.Logger.With("driver", Name), now: p.config.Now,
	}
	if err := h.connect(endpoint, template.TLS); err != nil {
		return nil, err
	}
	p.hosts[key] = h
	return h, nil
}

// host is one Docker daemon.
type host struct {
	installation string
	holder       string
	api          *client.Client
	asking       lock // held while the daemon's API version is asked for
	asked        atomic.Bool
	networks     lock          // held while a project's network is made
	nameLimit    time.Duration // nameLimit
	helper       helper
	emptier      emptier
	logger       *slog.Logger
	now          func() time.Time
}

// How long the parts of one call to a daemon may take, whatever the caller's patience.
const (
	dialLimit   = 10 * time.Second
	answerLimit = 2 * time.Minute // to the first byte of an answer: a busy host starts a container in tens of seconds
)

// connect makes the client; it dials nothing.
func (h *host) connect(endpoint string, files *TLS) error {
	transport := &http.Transport{
		DialContext:  (&net.Dialer{Timeout: dialLimit, KeepAlive: 30 * time.Second}).DialContext, // for tcp; a unix socket has its own
		MaxIdleConns: 64, MaxIdleConnsPerHost: 64, IdleConnTimeout: 30 * time.Second,             // all phones of a server may boot at once
		ResponseHeaderTimeout: answerLimit, TLSHandshakeTimeout: dialLimit,
	}
	options := []client.Opt{
		client.WithHTTPClient(&http.Client{Transport: transport, CheckRedirect: client.CheckRedirect}),
		client.WithHost(endpoint), client.WithUserAgent("lethe"),
	}
	if files != nil {
		options = append(options, client.WithTLSClientConfig(files.CA, files.Cert, files.Key))
	}
	var err error
	if h.api, err = client.New(options...); err != nil {
		return phone.Errorf(phone.Invalid, "", "the server's endpoint or its tls files cannot be used: %w", err)
	}
	return nil
}

// negotiate asks the daemon for its API version, once per process. The client would do it by itself, but its callers could not
// give up while another one waits for a daemon that hangs.
func (h *host) negotiate(ctx context.Context) error {
	if h.asked.Load() {
		return nil
	}
	if err := h.asking.acquire(ctx); err != nil {
		return err
	}
	defer h.asking.release()
	if h.asked.Load() {
		return nil
	}
	_, err := h.api.Ping(ctx, client.PingOptions{NegotiateAPIVersion: true})
	if err = classify("ask for the API version", err); err != nil {
		switch text := err.Error(); {
		case strings.Contains(text, "HTTP request to an HTTPS server"):
			return phone.Errorf(phone.Invalid, "", "the Docker endpoint speaks TLS: set tls to the files ca, cert and key in the server's template: %w", err)
		case strings.Contains(text, "not supported by this client"):
			return phone.Errorf(phone.Unsupported, "", "the Docker daemon is too old: lethe needs Docker 19.03 (API %s) or newer: %w", client.MinAPIVersion, err)
		}
		return err
	}
	h.asked.Store(true)
	return nil
}

// Driver drives the phones of one server. It keeps nothing but its configuration: any number of processes may drive one host.
type Driver struct {
	host     *host
	server   phone.ServerID
	template Template
}

var (
	_ driver.Driver    = (*Driver)(nil)
	_ driver.Measurer  = (*Driver)(nil)
	_ driver.KeySetter = (*Driver)(nil)
	_ driver.Sharer    = (*Driver)(nil)
)

// Info asks the daemon for its version. A daemon that runs no Linux containers is Unsupported.
func (d *Driver) Info(ctx context.Context) (driver.Info, error) {
	if err := d.host.negotiate(ctx); err != nil {
		return driver.Info{}, err
	}
	version, err := d.host.api.ServerVersion(ctx, client.ServerVersionOptions{})
	if err != nil {
		return driver.Info{}, classify("ask for the version", err)
	}
	if version.Os != "linux" {
		return driver.Info{}, phone.Errorf(phone.Unsupported, "", "the Docker host runs %s containers: phones need a Linux host", version.Os)
	}
	info := driver.Info{
		Driver: Name, Version: fmt.Sprintf("%s (API %s)", version.Version, version.APIVersion), Architecture: version.Arch,
		Capabilities: []string{driver.CapabilitySpace, driver.CapabilityADBKeys, driver.CapabilityFiles, driver.CapabilityExport},
	}
	if d.template.SharePath != "" {
		info.Capabilities = append(info.Capabilities, driver.CapabilityShare)
	}
	return info, nil
}

// lock is a mutex whose waiters watch their context; make it with newLock.
type lock chan struct{}

func newLock() lock { return make(lock, 1) }

func (l lock) acquire(ctx context.Context) error {
	select {
	case l <- struct{}{}:
		return nil
	case <-ctx.Done():
		return classify("wait for another call to this host", ctx.Err())
	}
}

func (l lock) release() { <-l }

// pause waits between two looks at the host; it returns the context's error when that ends first.
func pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// loopback reports whether only processes of the machine itself reach the host called name.
func loopback(name string) bool {
	ip := net.ParseIP(name)
	return name == "localhost" || ip != nil && ip.IsLoopback()
}
