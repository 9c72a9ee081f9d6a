package config

import (
	"encoding/json"
	"regexp"
	"time"
)

// PoolHost is a machine that projects take by the CPH API's call that creates servers, and give back by deleting them. It is set in the
// configuration file only, as one [[pool_hosts]] table each; every replica needs the same ones.
type PoolHost struct {
	Name        string
	Driver      string
	Endpoint    string // "" is the driver's
	ServerModel string // whoever asks for this model gets it
	Phones      int    // how many a server on it has
	// The rest is as of a server that an operator adds; zeros are the defaults of that.
	ConcurrentBoots int
	BootTimeout     time.Duration
	PortBase        int
	Template        json.RawMessage // the driver's settings, one JSON object
	Keypair         string          // the name of the key pair that a server on it has at first, one of Config.Keypairs; "" is none
	Accounts        []string        // names of those who may take it; none: all
}

const poolHostsKey = "pool_hosts"

var (
	poolDriver   = regexp.MustCompile(`^(simulated|docker)$`)
	poolEndpoint = regexp.MustCompile(`^(sim|unix|tcp)://\S{1,512}$`)
)

// readPoolHosts reads the tables. Every problem names the host, the key and what it must be.
func readPoolHosts(path string, raw any, problems *Error) []PoolHost {
	return readModels(path, poolHostsKey, "pool host", raw, problems, readPoolHost, func(h PoolHost) string { return h.Name })
}

func readPoolHost(table map[string]any) (h PoolHost, wrong []string) {
	wrong = readModel(table, []modelKey{
		{"name", "must be 1 to 64 letters, digits, - _ or ., such as rack-7", textKey(&h.Name, modelName)},
		{"driver", "must be simulated or docker", textKey(&h.Driver, poolDriver)},
		{"endpoint", "must be a unix://, tcp:// or sim:// address", textKey(&h.Endpoint, poolEndpoint)},
		{"server_model", "must be 1 to 64 letters, digits, - _ or ., such as physical.lethe", textKey(&h.ServerModel, modelName)},
		{"phones", "must be 1 to 10000 phones", numberKey(func(n int64) { h.Phones = int(n) }, 10_000)},
		{"concurrent_boots", "must be 1 to 10000", numberKey(func(n int64) { h.ConcurrentBoots = int(n) }, 10_000)},
		{"boot_timeout", `must be a time in quotes from a second to a day, such as "5m"`, func(v any) bool {
			text, _ := v.(string)
			var err error
			h.BootTimeout, err = time.ParseDuration(text)
			return err == nil && h.BootTimeout >= time.Second && h.BootTimeout <= 24*time.Hour
		}},
		{"port_base", "must be a port from 1024 to 65535", func(v any) bool {
			n, ok := v.(int64)
			h.PortBase = int(n)
			return ok && n >= 1024 && n <= 65535
		}},
		{"template", "must be a table with the driver's settings", func(v any) bool {
			settings, ok := v.(map[string]any)
			if !ok {
				return false
			}
			var err error
			h.Template, err = json.Marshal(settings)
			return err == nil
		}},
		{"keypair", "must be 1 to 64 letters, digits, - _ or ., such as ops", textKey(&h.Keypair, modelName)},
		{"accounts", "must be a list of account names", textsKey(&h.Accounts)},
	})
	for _, key := range []struct {
		name  string
		given bool
	}{{"driver", table["driver"] != nil}, {"server_model", table["server_model"] != nil}, {"phones", table["phones"] != nil}} {
		if !key.given {
			wrong = append(wrong, key.name+" is missing")
		}
	}
	return h, wrong
}
