package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"syscall"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/lethe-cloud/lethe/internal/config"
	"github.com/lethe-cloud/lethe/internal/intake"
	"github.com/lethe-cloud/lethe/internal/phone"
)

// The limits of a connection. Reading leaves time for the largest body over a slow line.
const (
	readHeaderTimeout = 10 * time.Second
	readTimeout       = time.Minute
	writeTimeout      = 2 * time.Minute
	idleTimeout       = 2 * time.Minute
	maxHeaderBytes    = 64 << 10
	drainTime         = 10 * time.Second // for requests that are open when the server is asked to end
)

// installation is what an application is told about the process it runs in.
type installation struct {
	Data        string          // absolute path of the data folder, which this process holds alone
	Replica     phone.ReplicaID // this process's, the same after a restart
	Endpoint    string          // base URL that callers use
	Credentials string          // file that the first start writes
}

// application is everything behind the listener.
type application interface {
	// Handler answers requests, from before Run until after it.
	Handler() http.Handler
	// Run works until ctx ends, then stops at the next step boundary, releases its leases and returns nil.
	Run(ctx context.Context) error
	// Close gives back what building took; it comes last.
	Close() error
}

// builder makes an application. The port is open by then, and requests wait until it is done.
type builder func(ctx context.Context, cfg config.Config, in installation, logger *slog.Logger) (application, error)

// server is a complete lethe inside this process.
type server struct {
	URL         string // base URL that callers use
	ListensOn   string // URL of the address it really listens on
	Credentials string // path of credentials.json
	Exposed     bool   // reachable from other machines, without TLS

	stop   context.CancelFunc
	reload chan struct{}
	ended  chan struct{}
	err    error // why it ended, once ended is closed
}

// startServer takes the data folder, opens the port, builds the application and starts everything; ctx is only for starting.
// On an error nothing is left running.
func startServer(ctx context.Context, cfg config.Config, logger *slog.Logger, build builder) (_ *server, err error) {
	certificate, err := loadCertificate(cfg, logger)
	if err != nil {
		return nil, err
	}
	folder, err := openDataFolder(cfg.Data)
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, folder.Close())
		}
	}()
	cfg.Data = folder.path
	listener, err := listen(ctx, cfg.Listen)
	if err != nil {
		return nil, err
	}
	s := &server{ListensOn: baseURL(listener.Addr(), cfg.TLS()), Credentials: folder.credentials(), reload: make(chan struct{}, 1), ended: make(chan struct{})}
	s.Exposed = !cfg.TLS() && !isLoopback(listener.Addr())
	if s.URL = cfg.Advertise; s.URL == "" {
		s.URL = reachableURL(listener.Addr(), cfg.TLS())
	}
	in := installation{Data: folder.path, Replica: folder.replica, Endpoint: s.URL, Credentials: s.Credentials}
	app, err := build(ctx, cfg, in, logger)
	if err != nil {
		return nil, errors.Join(err, listener.Close())
	}
	logger.Info("starting", "config", cfg, "replica", folder.replica)
	running, stop := context.WithCancel(context.WithoutCancel(ctx))
	s.stop = stop
	go func() {
		defer close(s.ended)
		defer stop()
		both := serving{app: app, listener: listener, certificate: certificate, reload: s.reload, connections: cfg.MaxConnections, drain: drainTime, logger: logger}
		s.err = errors.Join(both.run(running), app.Close(), folder.Close())
	}()
	return s, nil
}

// Reload asks for a look at the files that may be exchanged while the server runs, which are those of the TLS certificate.
func (s *server) Reload() {
	select {
	case s.reload <- struct{}{}:
	default: // it is asked already
	}
}

// Ended is closed when the server has ended, by Stop or by itself.
func (s *server) Ended() <-chan struct{} { return s.ended }

// Stop ends the server in order: open requests are answered, work stops at the next step boundary, leases are released. It
// returns when all of it is done, with the first thing that went wrong, or when ctx ends. Twice is the same as once.
func (s *server) Stop(ctx context.Context) error {
	s.stop()
	select {
	case <-s.ended:
		return s.err
	case <-ctx.Done():
		return fmt.Errorf("the server did not stop in time: %w", ctx.Err())
	}
}

// serving is an application that answers requests and works.
type serving struct {
	app         application
	listener    net.Listener
	certificate *certificate // nil for plain HTTP
	reload      <-chan struct{}
	connections int           // the most at once; 0: any number
	drain       time.Duration // how long open requests may go on after ctx has ended
	logger      *slog.Logger
}

// run goes on until ctx ends or one of the two fails, and returns when both have ended.
func (s serving) run(ctx context.Context) error {
	requests, cut := context.WithCancel(context.WithoutCancel(ctx))
	defer cut()
	handler := s.app.Handler()
	web := &http.Server{
		Handler:           handler,
		BaseContext:       func(net.Listener) context.Context { return requests },
		ReadHeaderTimeout: readHeaderTimeout,
		ReadTimeout:       readTimeout,
		WriteTimeout:      writeTimeout,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    maxHeaderBytes,
		ErrorLog:          slog.NewLogLogger(s.logger.Handler(), slog.LevelWarn),
	}
	if s.connections > 0 {
		crowd := intake.NewCrowd(min(s.connections, affordable()))
		web.ConnState, web.ConnContext, web.Handler = crowd.State, crowd.Context, crowd.Handler(handler)
	}
	group, ctx := errgroup.WithContext(ctx)
	if s.certificate != nil {
		web.TLSConfig = s.certificate.config()
		group.Go(func() error {
			tick := time.NewTicker(certificateLook)
			defer tick.Stop()
			s.certificate.watch(ctx, tick.C, s.reload)
			return nil
		})
	}
	group.Go(func() error {
		if err := s.app.Run(ctx); err != nil {
			return fmt.Errorf("work: %w", err)
		}
		if ctx.Err() == nil {
			return errors.New("work ended without being asked to")
		}
		return nil
	})
	group.Go(func() error {
		if err := serveHTTP(web, s.listener); !errors.Is(err, http.ErrServerClosed) {
			return fmt.Errorf("serve: %w", err)
		}
		return nil
	})
	group.Go(func() error {
		<-ctx.Done()
		drain, cancel := context.WithTimeout(context.WithoutCancel(ctx), s.drain)
		defer cancel()
		if err := web.Shutdown(drain); err != nil {
			s.logger.Warn("requests were cut off", "after", s.drain, "err", err)
			err := web.Close() // before cut: a handler that gives up must not look like one that answered
			cut()
			return err
		}
		return nil
	})
	return group.Wait()
}

// affordable is how many connections this process has file descriptors for, with a quarter left for all else.
func affordable() int {
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil || limit.Cur > 1<<30 {
		return 1 << 30
	}
	return int(limit.Cur) / 4 * 3
}

func serveHTTP(web *http.Server, listener net.Listener) error {
	if web.TLSConfig != nil {
		return web.ServeTLS(listener, "", "")
	}
	return web.Serve(listener)
}

func listen(ctx context.Context, address string) (net.Listener, error) {
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", address)
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		return nil, fmt.Errorf("the port of %s is in use: stop what listens there, or choose another with --listen", address)
	case errors.Is(err, syscall.EACCES):
		return nil, fmt.Errorf("this user may not listen on %s: choose a port from 1024 on with --listen", address)
	case err != nil:
		return nil, fmt.Errorf("cannot listen on %s (%w): choose an address of this machine with --listen", address, err)
	}
	return listener, nil
}

func isLoopback(address net.Addr) bool {
	tcp, ok := address.(*net.TCPAddr)
	return ok && tcp.IP.IsLoopback()
}

func baseURL(address net.Addr, secure bool) string {
	if secure {
		return "https://" + address.String()
	}
	return "http://" + address.String()
}

// reachableURL is baseURL, or this machine's own address when it listens on all of them.
func reachableURL(address net.Addr, secure bool) string {
	tcp, ok := address.(*net.TCPAddr)
	if ok && tcp.IP.IsUnspecified() {
		address = &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: tcp.Port}
	}
	return baseURL(address, secure)
}
