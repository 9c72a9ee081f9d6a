package config

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"net/url"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// key is one thing that can be set: in the file under its name, in the environment as LETHE_NAME, on the command line as --name
// with dashes.
type key struct {
	name   string
	help   string                      // for the flag's usage
	number bool                        // in the file it is a number, else a string
	secret bool                        // may hold a secret: the value never appears in an error
	set    func(*Config, string) error // the error says what the value must be, without the value
}

func (k key) flag() string { return strings.ReplaceAll(k.name, "_", "-") }
func (k key) env() string  { return "LETHE_" + strings.ToUpper(k.name) }

// fileEnv names a file that holds the value, for secrets that should not stand in an environment.
func (k key) fileEnv() string { return k.env() + "_FILE" }

func keys() []key {
	return []key{
		{name: "data", help: "folder of this installation; made with mode 0700 when absent", set: setData},
		{name: "listen", help: "address to listen on, host:port", set: setListen},
		{name: "advertise", help: "base URL that callers use (default: where it listens)", set: setAdvertise},
		{name: "database", help: "sqlite, or postgres://USER@HOST/NAME", secret: true, set: setDatabase},
		{name: "tls_cert", help: "certificate file (PEM); with --tls-key: serve HTTPS", set: func(c *Config, v string) error { c.TLSCert = v; return nil }},
		{name: "tls_key", help: "private key file (PEM)", set: func(c *Config, v string) error { c.TLSKey = v; return nil }},
		{name: "key_file", help: "keys that encrypt access keys in the database; every replica needs the same (default: secret.key in the data folder)", set: func(c *Config, v string) error { c.KeyFile = v; return nil }},
		{name: "max_batch", help: "most phones in one batch call", number: true, set: setMaxBatch},
		{name: "rate_limit", help: "most calls of one user in a second, counted by each process; 0 is any number", number: true, set: numberSetter(func(c *Config) *int { return &c.RateLimit }, 0, 1_000_000)},
		{name: "max_connections", help: "most connections at once; one more ends the one that has been idle for longest", number: true, set: numberSetter(func(c *Config) *int { return &c.MaxConnections }, 16, 1_000_000)},
		{name: "trusted_proxies", help: "addresses or networks of proxies whose X-Forwarded-For is believed, with commas between them (default: none)", set: setTrustedProxies},
		{name: "region", help: "name of the first project, which clients call the region", set: setRegion},
		{name: "host_deadline", help: "how long a job waits for a host that does not answer", set: durationSetter(func(c *Config) *time.Duration { return &c.HostDeadline })},
		{name: "max_concurrent_tasks", help: "most commands and transfers of files that run at once on one server, over all replicas", number: true, set: numberSetter(func(c *Config) *int { return &c.MaxConcurrentTasks }, 1, 1000)},
		{name: "task_timeout", help: "how long a command or a transfer of files may take in a phone", set: durationSetter(func(c *Config) *time.Duration { return &c.TaskTimeout })},
		{name: "transfer_timeout", help: "how long the export or import of a phone's data may take in all; one that another process begins anew has all of it again", set: durationSetter(func(c *Config) *time.Duration { return &c.TransferTimeout })},
		{name: "object_folder", help: "folder of the buckets that projects make; with PostgreSQL one that all replicas share (default: objects in the data folder with sqlite, none with PostgreSQL)", set: setObjectFolder},
		{name: "boot_timeout", help: "how long a phone may take to boot, where its server does not say", set: durationSetter(func(c *Config) *time.Duration { return &c.BootTimeout })},
		{name: "job_retention", help: "how long finished jobs are kept; 0 keeps them for ever", set: periodSetter(func(c *Config) *time.Duration { return &c.JobRetention }, time.Minute)},
		{name: "audit_retention", help: "how long the audit trail is kept; 0 keeps it for ever", set: periodSetter(func(c *Config) *time.Duration { return &c.AuditRetention }, time.Minute)},
		{name: "reconcile_every", help: "how often each host is compared with the database; 0 is never", set: periodSetter(func(c *Config) *time.Duration { return &c.ReconcileEvery }, time.Second)},
		{name: "reconcile_grace", help: "how long something no phone needs stays on a host before it is removed", set: durationSetter(func(c *Config) *time.Duration { return &c.ReconcileGrace })},
		{name: "restart_dead", help: "what becomes of a phone that died by itself: start or never", set: setRestartDead},
		{name: "log_level", help: "debug, info, warn or error", set: setLogLevel},
		{name: "log_format", help: "text or json", set: setLogFormat},
	}
}

func setData(c *Config, v string) error {
	if strings.ContainsRune(v, 0) {
		return errors.New("must be a folder's path")
	}
	c.Data = v
	return nil
}

func setObjectFolder(c *Config, v string) error {
	if v != "" && (!filepath.IsAbs(v) || strings.ContainsRune(v, 0)) {
		return errors.New("must be a folder's whole path, such as /srv/lethe/objects")
	}
	c.ObjectFolder = v
	return nil
}

func setListen(c *Config, v string) error {
	_, port, err := net.SplitHostPort(v)
	if err != nil {
		return errors.New("must be host:port, such as 127.0.0.1:8774")
	}
	if n, err := strconv.ParseUint(port, 10, 16); err != nil || strconv.FormatUint(n, 10) != port {
		return errors.New("must end in a port from 0 to 65535")
	}
	c.Listen = v
	return nil
}

func setAdvertise(c *Config, v string) error {
	if v == "" {
		c.Advertise = ""
		return nil
	}
	u, err := url.Parse(v)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "" || u.User != nil ||
		u.Path != "" && u.Path != "/" || u.RawQuery != "" || u.ForceQuery || u.Fragment != "" {
		return errors.New("must be a base URL without a path, such as https://phones.example.com")
	}
	c.Advertise = strings.TrimSuffix(v, "/")
	return nil
}

func setDatabase(c *Config, v string) error {
	if v != "sqlite" {
		u, err := url.Parse(v)
		if err != nil || u.Scheme != "postgres" && u.Scheme != "postgresql" {
			return errors.New("must be sqlite, or a URL such as postgres://lethe@db.example.com/lethe")
		}
	}
	c.Database = v
	return nil
}

// maxBatchLimit is what fits into a request body of 12 MB with room for properties.
const maxBatchLimit = 10_000

func setMaxBatch(c *Config, v string) error {
	n, err := strconv.Atoi(v)
	if err != nil || n < 1 || n > maxBatchLimit {
		return fmt.Errorf("must be a whole number from 1 to %d", maxBatchLimit)
	}
	c.MaxBatch = n
	return nil
}

func setTrustedProxies(c *Config, v string) error {
	var networks []netip.Prefix
	for part := range strings.SplitSeq(v, ",") {
		part = strings.TrimSpace(part)
		if part == "" && v == "" {
			break
		}
		network, err := netip.ParsePrefix(part)
		if address, single := netip.ParseAddr(part); err != nil && single == nil && address.Zone() == "" {
			network, err = netip.PrefixFrom(address, address.BitLen()), nil
		}
		if err != nil {
			return errors.New("must be addresses or networks with commas between them, such as 10.0.0.7,192.168.0.0/16")
		}
		networks = append(networks, network.Masked())
	}
	c.TrustedProxies = networks
	return nil
}

func numberSetter(field func(*Config) *int, least, most int) func(*Config, string) error {
	return func(c *Config, v string) error {
		n, err := strconv.Atoi(v)
		if err != nil || n < least || n > most {
			return fmt.Errorf("must be a whole number from %d to %d", least, most)
		}
		*field(c) = n
		return nil
	}
}

var regionName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$`)

func setRegion(c *Config, v string) error {
	if !regionName.MatchString(v) {
		return errors.New("must be 1 to 64 letters, digits, - or _, such as local-1")
	}
	c.Region = v
	return nil
}

func durationSetter(field func(*Config) *time.Duration) func(*Config, string) error {
	return func(c *Config, v string) error {
		d, err := time.ParseDuration(v)
		if err != nil || d < time.Second || d > 24*time.Hour {
			return errors.New("must be a duration from 1s to 24h, such as 90s or 10m")
		}
		*field(c) = d
		return nil
	}
}

const day = 24 * time.Hour

// periodSetter sets a length of time that may be 0, is at least shortest otherwise, and may be given in days.
func periodSetter(field func(*Config) *time.Duration, shortest time.Duration) func(*Config, string) error {
	return func(c *Config, v string) error {
		d, err := parsePeriod(v)
		if err != nil || d != 0 && d < shortest || d > 36_500*day {
			return fmt.Errorf("must be 0 or a period of at least %s, such as 90s, 12h or 90d", short(shortest))
		}
		*field(c) = d
		return nil
	}
}

// parsePeriod reads a duration, or a whole number of days.
func parsePeriod(v string) (time.Duration, error) {
	days, inDays := strings.CutSuffix(v, "d")
	if !inDays {
		return time.ParseDuration(v)
	}
	n, err := strconv.ParseUint(days, 10, 16)
	return time.Duration(n) * day, err
}

func setRestartDead(c *Config, v string) error {
	if v != "start" && v != "never" {
		return errors.New("must be start or never")
	}
	c.RestartDead = v == "start"
	return nil
}

func setLogLevel(c *Config, v string) error {
	switch v {
	case "debug":
		c.LogLevel = slog.LevelDebug
	case "info":
		c.LogLevel = slog.LevelInfo
	case "warn":
		c.LogLevel = slog.LevelWarn
	case "error":
		c.LogLevel = slog.LevelError
	default:
		return errors.New("must be debug, info, warn or error")
	}
	return nil
}

func setLogFormat(c *Config, v string) error {
	if v != "text" && v != "json" {
		return errors.New("must be text or json")
	}
	c.LogFormat = v
	return nil
}
