// Package config reads the configuration of a serving lethe: a default, overridden by the file, overridden by the environment
// (LETHE_*), overridden by a flag. It reports all problems at once and imports nothing of ours.
package config

import (
	"fmt"
	"log/slog"
	"net/netip"
	"strings"
	"time"
)

// Config is everything an operator can set.
type Config struct {
	Data      string // folder of the installation: database, credentials, simulated hosts
	Listen    string // host:port; port 0 lets the system choose
	Advertise string // base URL that callers use, without a path; "" derives it from where the process listens
	Database  string // "sqlite", or a postgres:// URL; it may hold a password: never log it
	TLSCert   string // PEM file; with TLSKey: serve HTTPS
	TLSKey    string // PEM file
	KeyFile   string // the installation's keys, the same file for every replica; "": secret.key in the data folder, made at the first start
	// TrustedProxies are the networks whose X-Forwarded-For is believed.
	TrustedProxies []netip.Prefix
	// MaxConnections is how many connections are held at once; the longest idle one goes when there is one more.
	MaxConnections int
	MaxBatch       int    // phones in one batch call
	RateLimit      int    // calls of one user in a second, in each process; 0: any number
	Region         string // name of the first project, which clients call the region
	// MaxConcurrentTasks is how many commands and transfers of files run at once on one server, and TaskTimeout how long one may take.
	MaxConcurrentTasks int
	TaskTimeout        time.Duration
	// TransferTimeout is how long the export or import of a phone's data may take in all, in one process.
	TransferTimeout time.Duration
	// ObjectFolder is where the buckets are that projects make; "": a folder of the data folder with SQLite, and nowhere with PostgreSQL.
	ObjectFolder string
	// HostDeadline is how long a job waits for a host that does not answer before it fails.
	HostDeadline time.Duration
	// BootTimeout is how long a phone may take to boot on a server that was added without a timeout of its own.
	BootTimeout time.Duration
	// Buckets are what files come from and data goes to, besides those that projects make.
	Buckets      []Bucket
	PhoneModels  []PhoneModel // of the file only, as ServerModels
	ServerModels []ServerModel
	PoolHosts    []PoolHost
	Keypairs     []Keypair
	// JobRetention is how long a finished job is kept, at least; 0 keeps all for ever.
	JobRetention time.Duration
	// AuditRetention is how long an event of the audit trail is kept, at least; 0 keeps all for ever.
	AuditRetention time.Duration
	// ReconcileEvery is how often each server's host is compared with the database, 0 never; ReconcileGrace is for how long something
	// must have been seen there that no phone needs before it is removed.
	ReconcileEvery time.Duration
	ReconcileGrace time.Duration
	// RestartDead is whether a phone that died by itself is started again.
	RestartDead bool
	LogLevel    slog.Level
	LogFormat   string // "text" or "json"
}

// Default is the configuration of one who sets nothing. Data has no default: which folder to write to is never guessed.
func Default() Config {
	return Config{
		Listen:             "127.0.0.1:8774",
		Database:           "sqlite",
		MaxBatch:           1000,
		MaxConnections:     4096,
		RateLimit:          200,
		Region:             "local-1",
		MaxConcurrentTasks: 16, TaskTimeout: 10 * time.Minute, TransferTimeout: 2 * time.Hour,
		HostDeadline:   10 * time.Minute,
		BootTimeout:    5 * time.Minute,
		JobRetention:   90 * day,
		AuditRetention: 365 * day,
		ReconcileEvery: 5 * time.Minute,
		ReconcileGrace: time.Hour,
		RestartDead:    true,
		LogLevel:       slog.LevelInfo,
		LogFormat:      "text",
	}
}

// SQLite reports whether the database is the embedded one.
func (c Config) SQLite() bool { return c.Database == "sqlite" }

// TLS reports whether the process serves HTTPS.
func (c Config) TLS() bool { return c.TLSCert != "" }

// LogValue shows the configuration without the database's URL, which may hold a password.
func (c Config) LogValue() slog.Value {
	database := c.Database
	if !c.SQLite() {
		database = "postgres"
	}
	return slog.GroupValue(
		slog.String("data", c.Data), slog.String("listen", c.Listen), slog.String("advertise", c.Advertise),
		slog.String("database", database), slog.Bool("tls", c.TLS()), slog.String("key_file", c.KeyFile), slog.Int("max_batch", c.MaxBatch), slog.Int("rate_limit", c.RateLimit),
		slog.Int("max_connections", c.MaxConnections), slog.Any("trusted_proxies", c.TrustedProxies),
		slog.String("region", c.Region), slog.Duration("host_deadline", c.HostDeadline), slog.Int("max_concurrent_tasks", c.MaxConcurrentTasks), slog.Duration("task_timeout", c.TaskTimeout),
		slog.Duration("transfer_timeout", c.TransferTimeout), slog.String("object_folder", c.ObjectFolder),
		slog.Duration("boot_timeout", c.BootTimeout), slog.Duration("job_retention", c.JobRetention),
		slog.Duration("audit_retention", c.AuditRetention),
		slog.Duration("reconcile_every", c.ReconcileEvery), slog.Duration("reconcile_grace", c.ReconcileGrace),
		slog.Bool("restart_dead", c.RestartDead),
		slog.String("log_level", c.LogLevel.String()),
	)
}

// Error is everything that is wrong with a configuration, each problem naming its key, where the value came from and the cure.
type Error struct {
	Problems []string
}

// Error gives all problems on one line.
func (e *Error) Error() string { return strings.Join(e.Problems, "; ") }

func (e *Error) addf(format string, args ...any) {
	e.Problems = append(e.Problems, fmt.Sprintf(format, args...))
}

// orNil is e as an error, or nil when there is no problem.
func (e *Error) orNil() error {
	if len(e.Problems) == 0 {
		return nil
	}
	return e
}
