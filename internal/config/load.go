package config

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/BurntSushi/toml"
)

// Flag is one command line flag that sets a key.
type Flag struct {
	Name    string // without the dashes
	Default string // as usage shows it
	Help    string
}

// Flags lists the flags that set a key; --config, which names the file, is not one of them.
func Flags() []Flag {
	def := Default()
	defaults := map[string]string{
		"listen": def.Listen, "database": def.Database, "max_batch": strconv.Itoa(def.MaxBatch), "max_connections": strconv.Itoa(def.MaxConnections), "rate_limit": strconv.Itoa(def.RateLimit), "region": def.Region,
		"host_deadline": short(def.HostDeadline), "boot_timeout": short(def.BootTimeout), "max_concurrent_tasks": strconv.Itoa(def.MaxConcurrentTasks), "task_timeout": short(def.TaskTimeout),
		"job_retention": short(def.JobRetention), "audit_retention": short(def.AuditRetention), "reconcile_every": short(def.ReconcileEvery), "reconcile_grace": short(def.ReconcileGrace), "restart_dead": "start",
		"log_level": "info", "log_format": def.LogFormat,
	}
	flags := make([]Flag, 0, len(keys()))
	for _, k := range keys() {
		flags = append(flags, Flag{Name: k.flag(), Default: defaults[k.name], Help: k.help})
	}
	return flags
}

// short writes a duration of whole days, hours or minutes without its zeros.
func short(d time.Duration) string {
	switch {
	case d >= day && d%day == 0:
		return strconv.Itoa(int(d/day)) + "d"
	case d%time.Hour == 0 && d > 0:
		return strconv.Itoa(int(d/time.Hour)) + "h"
	case d%time.Minute != 0:
		return d.String()
	}
	return strings.TrimSuffix(d.String(), "m0s") + "m"
}

// Source is where the values come from.
type Source struct {
	File   string                       // path of the TOML file; "" takes LETHE_CONFIG's, and none when that is empty too
	Getenv func(string) string          // an empty variable counts as not set
	Flags  map[string]string            // by flag name: only those that were given
	Read   func(string) ([]byte, error) // reads a file; nil is os.ReadFile
}

// Load puts the configuration together. A bad value, an unknown key in the file, an unreadable file and settings that do not
// fit together are reported in one *Error.
func Load(src Source) (Config, error) {
	if src.Read == nil {
		src.Read = os.ReadFile
	}
	if src.Getenv == nil {
		src.Getenv = func(string) string { return "" }
	}
	if src.File == "" {
		src.File = src.Getenv("LETHE_CONFIG")
	}
	config := Default()
	problems := &Error{}
	file := readFile(src, &config, problems)
	for _, k := range keys() {
		value, from, given := lookUp(k, src, file, problems)
		if !given {
			continue
		}
		if err := k.set(&config, value); err != nil {
			problems.addf("%s", describe(k, from, value, err))
		}
	}
	check(config, problems)
	return config, problems.orNil()
}

// describe names the key, where its value came from and, unless it may be secret, the value.
func describe(k key, from, value string, err error) string {
	if k.secret {
		return fmt.Sprintf("%s (%s) %v", k.name, from, err)
	}
	return fmt.Sprintf("%s %q (%s) %v", k.name, value, from, err)
}

// lookUp finds the strongest source that sets the key.
func lookUp(k key, src Source, file map[string]string, problems *Error) (value, from string, given bool) {
	if v, ok := src.Flags[k.flag()]; ok {
		return v, "--" + k.flag(), true
	}
	v, path := src.Getenv(k.env()), ""
	if k.secret {
		path = src.Getenv(k.fileEnv())
	}
	switch {
	case v != "" && path != "":
		problems.addf("%s and %s are both set: keep one of them", k.env(), k.fileEnv())
		return "", "", false
	case v != "":
		return v, k.env(), true
	case path != "":
		content, err := src.Read(path)
		if err != nil {
			problems.addf("%s: the file %s cannot be read: %v", k.fileEnv(), path, cause(err))
			return "", "", false
		}
		return strings.TrimSpace(string(content)), k.fileEnv(), true
	}
	v, given = file[k.name]
	return v, src.File, given
}

// readFile gives the file's values by key, as text, and sets its models.
func readFile(src Source, config *Config, problems *Error) map[string]string {
	if src.File == "" {
		return nil
	}
	content, err := src.Read(src.File)
	if err != nil {
		problems.addf("the configuration file %s cannot be read: %v", src.File, cause(err))
		return nil
	}
	var raw map[string]any
	if _, err := toml.Decode(string(content), &raw); err != nil {
		problems.addf("the configuration file %s is not TOML: %s", src.File, tomlProblem(err))
		return nil
	}
	if tables, given := raw[phoneModelsKey]; given {
		config.PhoneModels = readPhoneModels(src.File, tables, problems)
		delete(raw, phoneModelsKey)
	}
	if tables, given := raw[bucketsKey]; given {
		config.Buckets = readBuckets(src.File, tables, problems)
		delete(raw, bucketsKey)
	}
	if tables, given := raw[serverModelsKey]; given {
		config.ServerModels = readServerModels(src.File, tables, problems)
		delete(raw, serverModelsKey)
	}
	if tables, given := raw[poolHostsKey]; given {
		config.PoolHosts = readPoolHosts(src.File, tables, problems)
		delete(raw, poolHostsKey)
	}
	if tables, given := raw[keypairsKey]; given {
		config.Keypairs = readKeypairs(src.File, tables, problems)
		delete(raw, keypairsKey)
	}
	for _, h := range config.PoolHosts {
		if h.Keypair != "" && !slices.ContainsFunc(config.Keypairs, func(k Keypair) bool { return k.Name == h.Keypair }) {
			problems.addf("pool host %q (%s): keypair %q has no [[%s]] table: add one of that name, or leave keypair out", h.Name, src.File, h.Keypair, keypairsKey)
		}
	}
	known := keys()
	values := map[string]string{}
	for _, name := range sortedKeys(raw) {
		i := slices.IndexFunc(known, func(k key) bool { return k.name == name })
		if i < 0 {
			problems.addf("unknown key %q in %s: the keys are %s and the tables %s, %s, %s, %s and %s", name, src.File, keyNames(known), phoneModelsKey, serverModelsKey, poolHostsKey,
				keypairsKey, bucketsKey)
			continue
		}
		switch v := raw[name].(type) {
		case string:
			if !known[i].number {
				values[name] = v
				continue
			}
		case int64:
			if known[i].number {
				values[name] = strconv.FormatInt(v, 10)
				continue
			}
		}
		kind := "a string in quotes"
		if known[i].number {
			kind = "a number without quotes"
		}
		problems.addf("%s (%s) must be %s", name, src.File, kind)
	}
	return values
}

// check looks at what only shows when all values are known.
func check(c Config, problems *Error) {
	checkObjectFolder(c, problems)
	if c.Data == "" {
		problems.addf("data is not set: say which folder to use with --data, LETHE_DATA or data in the configuration file")
	}
	if (c.TLSCert == "") != (c.TLSKey == "") {
		problems.addf("tls_cert and tls_key go together: set both, or neither")
	}
}

// cause is what went wrong without the path, which the caller has named already.
func cause(err error) error {
	var pathErr *fs.PathError
	if errors.As(err, &pathErr) {
		return pathErr.Err
	}
	return err
}

// tomlProblem says where the syntax is wrong and never quotes the line, which may hold a secret.
func tomlProblem(err error) string {
	var parse toml.ParseError
	if errors.As(err, &parse) {
		return fmt.Sprintf("line %d: %s", parse.Position.Line, parse.Message)
	}
	return "it cannot be decoded"
}

func keyNames(known []key) string {
	names := make([]string, len(known))
	for i, k := range known {
		names[i] = k.name
	}
	return strings.Join(names, ", ")
}

func sortedKeys(m map[string]any) []string {
	names := make([]string, 0, len(m))
	for name := range m {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}
