package config

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestPoolHosts(t *testing.T) {
	t.Parallel()
	read := func(text string) (Config, error) {
		return Load(Source{File: "lethe.toml", Flags: map[string]string{"data": "d"}, Read: func(string) ([]byte, error) { return []byte(text), nil }})
	}
	got, err := read(opsKeypair + `
[[pool_hosts]]
name = "rack-1"
driver = "docker"
endpoint = "unix:///run/a.sock"
server_model = "rack.small"
phones = 40
concurrent_boots = 4
boot_timeout = "3m"
port_base = 21000
keypair = "ops"
accounts = ["acme"]
[pool_hosts.template]
init_args = ["androidboot.use_memfd=1"]

[[pool_hosts]]
name = "sim"
driver = "simulated"
server_model = "rack.small"
phones = 2
`)
	if err != nil {
		t.Fatal(err)
	}
	want := []PoolHost{
		{
			Name: "rack-1", Driver: "docker", Endpoint: "unix:///run/a.sock", ServerModel: "rack.small", Phones: 40, ConcurrentBoots: 4, BootTimeout: 3 * time.Minute,
			PortBase: 21000, Keypair: "ops", Accounts: []string{"acme"}, Template: []byte(`{"init_args":["androidboot.use_memfd=1"]}`),
		},
		{Name: "sim", Driver: "simulated", ServerModel: "rack.small", Phones: 2},
	}
	if diff := cmp.Diff(want, got.PoolHosts); diff != "" {
		t.Error(diff)
	}
	const whole = "[[pool_hosts]]\nname = \"a\"\ndriver = \"simulated\"\nserver_model = \"m\"\nphones = 1\n"
	for name, tt := range map[string]struct{ text, says string }{
		"no driver":    {"[[pool_hosts]]\nname = \"a\"\nserver_model = \"m\"\nphones = 1", `pool host "a" (lethe.toml): driver is missing`},
		"no model":     {"[[pool_hosts]]\nname = \"a\"\ndriver = \"docker\"\nphones = 1", "server_model is missing"},
		"no phones":    {"[[pool_hosts]]\nname = \"a\"\ndriver = \"docker\"\nserver_model = \"m\"", "phones is missing"},
		"bad driver":   {strings.Replace(whole, `"simulated"`, `"vm"`, 1), "driver must be simulated or docker"},
		"bad endpoint": {whole + "endpoint = \"rack\"", "endpoint must be"},
		"bad timeout":  {whole + "boot_timeout = \"soon\"", "boot_timeout must be"},
		"bad port":     {whole + "port_base = 80", "port_base must be"},
		"bad template": {whole + "template = 1", "template must be a table"},
		"bad accounts": {whole + "accounts = [1]", "accounts must be"},
		"no such pair": {opsKeypair + whole + "keypair = \"dev\"", `pool host "a" (lethe.toml): keypair "dev" has no [[keypairs]] table`},
		"unknown key":  {whole + "colour = 1", `unknown key "colour"`},
		"named twice":  {whole + whole, "is there twice"},
	} {
		if _, err := read(tt.text); err == nil || !strings.Contains(err.Error(), tt.says) {
			t.Errorf("%s: %v, want %q", name, err, tt.says)
		}
	}
}
