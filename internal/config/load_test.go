package config_test

import (
	"errors"
	"io/fs"
	"log/slog"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/lethe-cloud/lethe/internal/config"
)

// source makes a Source whose files and environment are maps.
func source(file string, files, env, flags map[string]string) config.Source {
	return config.Source{
		File:   file,
		Getenv: func(name string) string { return env[name] },
		Flags:  flags,
		Read: func(path string) ([]byte, error) {
			content, ok := files[path]
			if !ok {
				return nil, &fs.PathError{Op: "open", Path: path, Err: fs.ErrNotExist}
			}
			return []byte(content), nil
		},
	}
}

func TestLoadTakesTheStrongestSource(t *testing.T) {
	t.Parallel()
	set := func(change func(*config.Config)) config.Config {
		c := config.Default()
		c.Data = "d"
		change(&c)
		return c
	}
	data := map[string]string{"data": "d"}
	tests := []struct {
		name string
		src  config.Source
		want config.Config
	}{
		{"nothing but the folder", source("", nil, nil, data), set(func(*config.Config) {})},
		{
			"file over default",
			source("f", map[string]string{"f": "listen = \"127.0.0.1:1\"\nmax_batch = 7\nhost_deadline = \"90s\"\n"}, nil, data),
			set(func(c *config.Config) { c.Listen, c.MaxBatch, c.HostDeadline = "127.0.0.1:1", 7, 90*time.Second }),
		},
		{
			"environment over file",
			source("f", map[string]string{"f": `listen = "127.0.0.1:1"`}, map[string]string{"LETHE_LISTEN": "127.0.0.1:2"}, data),
			set(func(c *config.Config) { c.Listen = "127.0.0.1:2" }),
		},
		{
			"a period in days",
			source("f", map[string]string{"f": `job_retention = "30d"`}, nil, data),
			set(func(c *config.Config) { c.JobRetention = 30 * 24 * time.Hour }),
		},
		{
			"flag over environment",
			source("", nil, map[string]string{"LETHE_LISTEN": "127.0.0.1:2", "LETHE_DATA": "e"}, map[string]string{"data": "d", "listen": "127.0.0.1:3"}),
			set(func(c *config.Config) { c.Listen = "127.0.0.1:3" }),
		},
		{
			"the environment names the file",
			source("", map[string]string{"g": `log_level = "debug"`}, map[string]string{"LETHE_CONFIG": "g"}, data),
			set(func(c *config.Config) { c.LogLevel = slog.LevelDebug }),
		},
		{
			"a secret from a file",
			source("", map[string]string{"/run/db": "postgres://u:p@h/n\n"}, map[string]string{"LETHE_DATABASE_FILE": "/run/db"}, data),
			set(func(c *config.Config) { c.Database = "postgres://u:p@h/n" }),
		},
		{
			"every key by flag",
			source("", nil, nil, map[string]string{
				"data": "d", "listen": "[::1]:0", "advertise": "https://phones.example.com/", "database": "postgresql://h/n", "tls-cert": "c", "tls-key": "k", "key-file": "s",
				"max-batch": "10000", "rate-limit": "7", "max-connections": "99", "trusted-proxies": "10.1.2.3/8, fd00::1", "region": "eu-7", "host-deadline": "1h", "job-retention": "0", "audit-retention": "30d", "reconcile-every": "1m", "reconcile-grace": "2h", "restart-dead": "never", "boot-timeout": "20m", "max-concurrent-tasks": "3", "task-timeout": "1m", "transfer-timeout": "3h", "object-folder": "/srv/objects", "log-level": "error", "log-format": "json",
			}),
			config.Config{
				Data: "d", Listen: "[::1]:0", Advertise: "https://phones.example.com", Database: "postgresql://h/n", TLSCert: "c", TLSKey: "k", KeyFile: "s",
				JobRetention: 0, AuditRetention: 30 * 24 * time.Hour, ReconcileEvery: time.Minute, ReconcileGrace: 2 * time.Hour, MaxBatch: 10000, RateLimit: 7, MaxConnections: 99, TrustedProxies: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("fd00::1/128")}, Region: "eu-7", HostDeadline: time.Hour, BootTimeout: 20 * time.Minute, MaxConcurrentTasks: 3, TaskTimeout: time.Minute, TransferTimeout: 3 * time.Hour, ObjectFolder: "/srv/objects", LogLevel: slog.LevelError, LogFormat: "json",
			},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got, err := config.Load(tt.src)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, got, cmp.Comparer(func(a, b netip.Prefix) bool { return a == b })); diff != "" {
				t.Errorf("configuration differs (-want +got):\n%s", diff)
			}
		})
	}
}

func TestLoadNamesWhatIsWrong(t *testing.T) {
	t.Parallel()
	file := func(content string) config.Source {
		return source("/etc/lethe.toml", map[string]string{"/etc/lethe.toml": content}, nil, map[string]string{"data": "d"})
	}
	flag := func(name, value string) config.Source {
		return source("", nil, nil, map[string]string{"data": "d", name: value})
	}
	tests := []struct {
		name string
		src  config.Source
		want []string // a part of each problem, in order
	}{
		{"no folder", source("", nil, nil, nil), []string{"data is not set"}},
		{"unknown key", file("lisen = \"x\""), []string{`unknown key "lisen" in /etc/lethe.toml`}},
		{"unknown table", file("[server]\nlisten = \"x:1\""), []string{`unknown key "server"`}},
		{"number in quotes", file(`max_batch = "7"`), []string{"max_batch (/etc/lethe.toml) must be a number without quotes"}},
		{"string without quotes", file(`listen = 8774`), []string{"listen (/etc/lethe.toml) must be a string in quotes"}},
		{"not TOML", file("listen = \n"), []string{"the configuration file /etc/lethe.toml is not TOML: line 1"}},
		{"no such file", source("/none", nil, nil, map[string]string{"data": "d"}), []string{"the configuration file /none cannot be read: file does not exist"}},
		{"listen without port", flag("listen", "localhost"), []string{`listen "localhost" (--listen) must be host:port`}},
		{"listen with a bad port", flag("listen", "h:65536"), []string{"a port from 0 to 65535"}},
		{"listen with a named port", flag("listen", "h:http"), []string{"a port from 0 to 65535"}},
		{"advertise with a path", flag("advertise", "http://h/p"), []string{"advertise"}},
		{"advertise with a password", flag("advertise", "http://u:p@h"), []string{"advertise"}},
		{"advertise without scheme", flag("advertise", "h:80"), []string{"advertise"}},
		{"database of another kind", flag("database", "mysql://h"), []string{"database (--database) must be sqlite"}},
		{"certificate without key", flag("tls-cert", "c"), []string{"tls_cert and tls_key go together"}},
		{"batch of none", flag("max-batch", "0"), []string{`max_batch "0" (--max-batch) must be a whole number from 1 to 10000`}},
		{"batch too large", flag("max-batch", "10001"), []string{"max_batch"}},
		{"region with a space", flag("region", "eu 1"), []string{"region"}},
		{"deadline without unit", flag("host-deadline", "10"), []string{"host_deadline"}},
		{"deadline too short", flag("boot-timeout", "10ms"), []string{"boot_timeout"}},
		{"retention without unit", flag("job-retention", "90"), []string{`job_retention "90" (--job-retention) must be 0 or a period of at least 1m`}},
		{"retention in half days", flag("job-retention", "1.5d"), []string{"job_retention"}},
		{"retention too short", flag("job-retention", "1s"), []string{"job_retention"}},
		{"retention below 0", flag("job-retention", "-1h"), []string{"job_retention"}},
		{"reconcile too often", flag("reconcile-every", "1ms"), []string{`must be 0 or a period of at least 1s`}},
		{"restart by another word", flag("restart-dead", "always"), []string{`restart_dead "always" (--restart-dead) must be start or never`}},
		{"no grace", flag("reconcile-grace", "0"), []string{"reconcile_grace"}},
		{"unknown level", flag("log-level", "loud"), []string{"log_level"}},
		{"unknown format", flag("log-format", "xml"), []string{"log_format"}},
		{
			"a secret given twice",
			source("", nil, map[string]string{"LETHE_DATABASE": "sqlite", "LETHE_DATABASE_FILE": "/f"}, map[string]string{"data": "d"}),
			[]string{"LETHE_DATABASE and LETHE_DATABASE_FILE are both set"},
		},
		{
			"a secret's file is missing",
			source("", nil, map[string]string{"LETHE_DATABASE_FILE": "/f"}, map[string]string{"data": "d"}),
			[]string{"LETHE_DATABASE_FILE: the file /f cannot be read"},
		},
		{
			"everything at once",
			source("f", map[string]string{"f": "nope = 1\nlisten = \"x\""}, map[string]string{"LETHE_REGION": "!"}, map[string]string{"max-batch": "many"}),
			[]string{`unknown key "nope"`, `listen "x" (f)`, `max_batch "many" (--max-batch)`, `region "!" (LETHE_REGION)`, "data is not set"},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			_, err := config.Load(tt.src)
			var problems *config.Error
			if !errors.As(err, &problems) {
				t.Fatalf("got %v, want a *config.Error", err)
			}
			if strings.Contains(err.Error(), "\n") {
				t.Errorf("the error has more than one line: %q", err)
			}
			if len(problems.Problems) != len(tt.want) {
				t.Fatalf("got %d problems, want %d: %q", len(problems.Problems), len(tt.want), problems.Problems)
			}
			for i, want := range tt.want {
				if !strings.Contains(problems.Problems[i], want) {
					t.Errorf("problem %d is %q, want it to say %q", i, problems.Problems[i], want)
				}
			}
		})
	}
}

func TestSecretsStayOutOfErrorsAndLogs(t *testing.T) {
	t.Parallel()
	const secret = "hunter2"
	for _, src := range []config.Source{
		source("", nil, nil, map[string]string{"data": "d", "database": "mysql://u:" + secret + "@h"}),
		source("", nil, nil, map[string]string{"data": "d", "database": "postgres://u:" + secret + "%zz@h"}),
		source("", nil, map[string]string{"LETHE_DATABASE": "postgres//" + secret}, map[string]string{"data": "d"}),
		source("f", map[string]string{"f": `database = "x` + secret + `"`}, nil, map[string]string{"data": "d"}),
	} {
		_, err := config.Load(src)
		if err == nil || strings.Contains(err.Error(), secret) {
			t.Errorf("got %v, want an error without the secret", err)
		}
	}
	c, err := config.Load(source("", nil, nil, map[string]string{"data": "d", "database": "postgres://u:" + secret + "@h/n"}))
	if err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	slog.New(slog.NewTextHandler(&out, nil)).Info("starting", "config", c)
	if strings.Contains(out.String(), secret) || !strings.Contains(out.String(), "config.database=postgres") {
		t.Errorf("the log line is %q, want the database's kind and no secret", out.String())
	}
}

// Each flag's shown default is what Load gives when nothing is set.
func TestFlagsShowTheDefaults(t *testing.T) {
	t.Parallel()
	given := map[string]string{"data": "d"}
	for _, f := range config.Flags() {
		if f.Help == "" {
			t.Errorf("--%s has no help", f.Name)
		}
		if f.Default != "" {
			given[f.Name] = f.Default
		}
	}
	got, err := config.Load(config.Source{Flags: given})
	if err != nil {
		t.Fatal(err)
	}
	want := config.Default()
	want.Data = "d"
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("the shown defaults differ from the defaults (-want +got):\n%s", diff)
	}
}
