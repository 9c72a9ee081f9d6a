package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"path"
	"path/filepath"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/lethe-cloud/lethe/api"
	"github.com/lethe-cloud/lethe/internal/audit"
	"github.com/lethe-cloud/lethe/internal/config"
	"github.com/lethe-cloud/lethe/internal/cph"
	"github.com/lethe-cloud/lethe/internal/driver/docker"
	"github.com/lethe-cloud/lethe/internal/fleet"
	"github.com/lethe-cloud/lethe/internal/httpapi"
	"github.com/lethe-cloud/lethe/internal/iam"
	"github.com/lethe-cloud/lethe/internal/intake"
	"github.com/lethe-cloud/lethe/internal/objects"
	"github.com/lethe-cloud/lethe/internal/phone"
	"github.com/lethe-cloud/lethe/internal/store"
	"github.com/lethe-cloud/lethe/internal/work"
)

// app is everything behind the listener, put together by hand.
type app struct {
	store   *store.Store
	hosts   *hosts
	objects *objects.Store
	iam     *iam.Service
	engine  *work.Engine
	handler http.Handler
	// stopping is closed when Run's context ends.
	stopping chan struct{}
}

// newBuilder gives a builder whose docker hosts get this helper.
func newBuilder(helper helperBinary) builder {
	return func(ctx context.Context, cfg config.Config, in installation, logger *slog.Logger) (_ application, err error) {
		st, err := openStore(ctx, cfg, in, logger)
		if err != nil {
			return nil, err
		}
		defer func() {
			if err != nil {
				err = errors.Join(err, st.Close())
			}
		}()
		id, err := st.Installation(ctx)
		if err != nil {
			return nil, err
		}
		if _, err := iam.Provision(ctx, st, iam.Names{Region: cfg.Region}, in.Endpoint, in.Credentials); err != nil {
			return nil, err
		}
		if err := warnOfBuckets(ctx, st, cfg, logger); err != nil {
			return nil, err
		}
		return assemble(st, newHosts(id, filepath.Join(in.Data, "hosts"), string(in.Replica), cfg.PhoneModels, helper, logger), cfg, in, logger), nil
	}
}

func assemble(st *store.Store, h *hosts, cfg config.Config, in installation, logger *slog.Logger) *app {
	a := &app{store: st, hosts: h, stopping: make(chan struct{})}
	files := objects.New(objects.Config{Buckets: buckets(cfg), Folder: objectFolder(cfg, in), Owners: st})
	a.objects = files
	trail := audit.NewLog(st.RecordAudit, logger, nil)
	a.iam = iam.New(iam.Config{Store: st, Log: logger, Audit: trail, BaseURL: cfg.Advertise, RateLimit: cfg.RateLimit})
	a.engine = work.New(work.Config{
		Store: st, Queue: st, Hosts: h, Objects: files, Replica: in.Replica, Logger: logger, HostDeadline: cfg.HostDeadline, LeaseTTL: leaseTTL(cfg),
		JobRetention: cfg.JobRetention, ReconcileEvery: cfg.ReconcileEvery, ReconcileGrace: cfg.ReconcileGrace,
		RestartDead: cfg.RestartDead, TaskTimeout: cfg.TaskTimeout, TransferTimeout: cfg.TransferTimeout, AuditRetention: cfg.AuditRetention,
		Keypairs: keypairs(cfg),
	})
	phones := fleet.New(fleet.Config{
		Store: st, Hosts: h, Objects: files, Check: h.check, CheckServer: h.checkServer, MaxBatch: cfg.MaxBatch, BootTimeout: cfg.BootTimeout,
		Reconciler: a.engine, Models: models(cfg), Pool: pool(cfg), Keypairs: keypairs(cfg), CheckKeys: h.checkKeys,
	})

	native := httpapi.New(httpapi.Config{
		Fleet: phones, Authenticate: a.iam.Authenticate, AuthenticateHead: a.iam.AuthenticateHead,
		Access: fleet.NewAccess(fleet.AccessConfig{Store: st, CheckPassword: a.iam.CheckPassword, Region: cfg.Region}),
		Ready:  a.ready, Stopping: a.stopping, Version: buildVersion(), Log: logger,
		Trail: fleet.NewAudit(st), Audit: trail,
	}).Handler()
	mux := http.NewServeMux()
	a.iam.Routes(mux)
	mux.Handle(api.Prefix+"/", native)
	for _, probe := range []string{"/healthz", "/readyz"} { // where load balancers and supervisors look
		mux.Handle("GET "+probe, below(api.Prefix, native))
	}
	wire := cph.New(cph.Config{Fleet: phones, Authenticate: a.iam.Authenticate, Logger: logger, Audit: trail, Address: adbHost})
	mux.Handle("/", wire)
	all := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != path.Clean("/"+r.URL.Path) {
			wire.ServeHTTP(w, r) // the mux would redirect; a client of the CPH API gets its error instead
			return
		}
		mux.ServeHTTP(w, r)
	})
	a.handler = intake.Source(cfg.TrustedProxies, intake.NewBodies(bodyRoom, maxBody).Handler(all))
	return a
}

// buckets are those of the configuration.
func buckets(cfg config.Config) []objects.Bucket {
	var all []objects.Bucket
	for _, b := range cfg.Buckets {
		all = append(all, objects.Bucket{Name: b.Name, URL: b.URL, Project: phone.ProjectID(b.Project), ReadOnly: b.ReadOnly})
	}
	return all
}

// warnOfBuckets tells of the configuration's buckets that nobody can use, since their project is not there. It may be made later.
func warnOfBuckets(ctx context.Context, st *store.Store, cfg config.Config, logger *slog.Logger) error {
	var named []phone.ProjectID
	for _, b := range cfg.Buckets {
		named = append(named, phone.ProjectID(b.Project))
	}
	if len(named) == 0 {
		return nil
	}
	unknown, err := st.UnknownProjects(ctx, named)
	if err != nil {
		return err
	}
	for _, b := range cfg.Buckets {
		if slices.Contains(unknown, phone.ProjectID(b.Project)) {
			logger.Warn("a bucket of the configuration is of a project that does not exist: nobody can use it", "bucket", b.Name, "project_id", b.Project)
		}
	}
	return nil
}

// objectFolder is where the buckets are that projects make. Several replicas need a folder that they share, and which that is nobody can guess.
func objectFolder(cfg config.Config, in installation) string {
	if cfg.ObjectFolder == "" && cfg.SQLite() {
		return filepath.Join(in.Data, "objects")
	}
	return cfg.ObjectFolder
}

// bodyRoom is how many bytes of big bodies are held at once: five of the largest.
const (
	maxBody  = 12 << 20
	bodyRoom = 64 << 20
)

// below answers a path with what handler has for it below prefix.
func below(prefix string, handler http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		moved := r.Clone(r.Context())
		moved.URL.Path = prefix + r.URL.Path
		handler.ServeHTTP(w, moved)
	})
}

// readyTimeout is how long the database may take to answer before this replica counts as not ready: less than a load balancer waits.
const readyTimeout = 2 * time.Second

// ready is whether this replica can answer calls and works: the database answers, the lease is held, deliveries come in.
func (a *app) ready(ctx context.Context) error {
	inTime, cancel := context.WithTimeout(ctx, readyTimeout)
	defer cancel()
	if err := a.store.Ping(inTime); err != nil {
		if phone.CodeOf(err) == phone.Unavailable {
			return err
		}
		return &phone.Error{Code: phone.Unavailable, Msg: fmt.Sprintf("the database does not answer within %s", readyTimeout), Err: err}
	}
	return a.engine.Ready()
}

// Handler answers requests.
func (a *app) Handler() http.Handler { return a.handler }

// Run works jobs and sweeps tokens until ctx ends; calls that wait are answered then. It runs once.
func (a *app) Run(ctx context.Context) error {
	context.AfterFunc(ctx, func() { close(a.stopping) })
	group, groupCtx := errgroup.WithContext(ctx)
	group.Go(func() error { return a.engine.Run(groupCtx) })
	group.Go(func() error { return a.iam.Run(groupCtx) })
	if err := group.Wait(); ctx.Err() == nil || !errors.Is(err, context.Canceled) {
		return err
	}
	return nil
}

// Close gives back what building took.
func (a *app) Close() error { return errors.Join(a.objects.Close(), a.hosts.Close(), a.store.Close()) }

func databaseURL(cfg config.Config, in installation) string {
	if cfg.SQLite() {
		return "sqlite:" + filepath.Join(in.Data, "lethe.db")
	}
	return cfg.Database
}

// adbHost is the host at which a server's adb ports are reached; a simulated phone has none.
func adbHost(server phone.Server) string {
	if server.Driver == docker.Name {
		return docker.AdvertisedHost(server)
	}
	return ""
}

// leaseTTL is how long a replica may be silent: 10 s where another may take its work over. A SQLite installation has no other, and its
// own next start takes its jobs over at once, so there a long lease delays nothing; and one writing connection that thousands of
// phones keep busy can be late with a heartbeat.
func leaseTTL(cfg config.Config) time.Duration {
	if cfg.SQLite() {
		return 30 * time.Second
	}
	return 10 * time.Second
}
