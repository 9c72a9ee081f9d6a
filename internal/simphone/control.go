package simphone

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"path/filepath"
)

// request is what a command asks the phone; reply is the answer. One of each per connection, as JSON.
type request struct {
	Op    string `json:"op"` // get, set, all, packages
	Key   string `json:"key,omitempty"`
	Value string `json:"value,omitempty"`
}

type reply struct {
	Value  string            `json:"value,omitempty"`
	Values map[string]string `json:"values,omitempty"`
	Error  string            `json:"error,omitempty"`
}

// packages are what the package manager lists, by name.
var packages = map[string]string{
	"android":              "/system/framework/framework-res.apk",
	"com.android.settings": "/system/priv-app/Settings/Settings.apk",
}

func (m *machine) control(_ context.Context, conn net.Conn) {
	var in request
	if err := json.NewDecoder(conn).Decode(&in); err != nil {
		return // a caller that was killed; nobody is there to tell
	}
	out := m.answer(in)
	if err := json.NewEncoder(conn).Encode(out); err != nil {
		m.say("answer %s: %v", in.Op, err)
	}
}

func (m *machine) answer(in request) reply {
	switch in.Op {
	case "get":
		return reply{Value: m.properties.value(in.Key)}
	case "all":
		return reply{Values: m.properties.all()}
	case "set":
		if err := m.properties.set(in.Key, in.Value); err != nil {
			return reply{Error: err.Error()}
		}
		return reply{}
	case "packages":
		if m.properties.value("sys.boot_completed") != "1" || m.properties.value("ro.boot.simphone_hang") == HangPackages {
			return reply{Error: "Can't find service: package"}
		}
		return reply{Values: packages}
	}
	return reply{Error: "unknown request " + in.Op}
}

// ask sends one request to the phone below root.
func ask(root string, in request) (reply, error) {
	conn, err := net.Dial("unix", filepath.Join(root, socketPath))
	if err != nil {
		return reply{}, fmt.Errorf("the phone does not answer: %w", err)
	}
	defer conn.Close()
	if err := json.NewEncoder(conn).Encode(in); err != nil {
		return reply{}, fmt.Errorf("the phone does not answer: %w", err)
	}
	var out reply
	if err := json.NewDecoder(conn).Decode(&out); err != nil {
		return reply{}, fmt.Errorf("the phone does not answer: %w", err)
	}
	return out, nil
}
