package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/lethe-cloud/lethe/internal/config"
)

// The real application on one data folder: its key file is made once, and it starts with no other.
func TestKeyFileOfTheInstallation(t *testing.T) {
	t.Parallel()
	cfg := testConfig(t)
	start := func(cfg config.Config) error {
		s, err := startServer(t.Context(), cfg, quiet(), newBuilder(ownBinary))
		if err != nil {
			return err
		}
		return s.Stop(t.Context())
	}
	if err := start(cfg); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(cfg.Data, "secret.key")
	info, err := os.Stat(path)
	if err != nil || info.Mode() != 0o600 {
		t.Fatalf("the key file of a first start: %v, %v", info, err)
	}
	first, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := start(cfg); err != nil {
		t.Fatalf("the second start: %v", err)
	}
	if now, err := os.ReadFile(path); err != nil || !bytes.Equal(now, first) {
		t.Errorf("the second start changed the key file: %v", err)
	}

	named := cfg
	named.KeyFile = filepath.Join(t.TempDir(), "other.key")
	if err := start(named); err == nil || !strings.Contains(err.Error(), "lethe keyfile new "+named.KeyFile) {
		t.Errorf("a named key file that is not there: %v", err)
	}
	if err := serveCommand(t.Context(), &bytes.Buffer{}, nil, noEnvironment, "keyfile", "new", named.KeyFile); err != nil {
		t.Fatal(err)
	}
	if err := start(named); err == nil || !strings.Contains(err.Error(), "the key file is not this installation's") {
		t.Errorf("another installation's key file: %v", err)
	}
	if err := serveCommand(t.Context(), &bytes.Buffer{}, nil, noEnvironment, "keyfile", "new", named.KeyFile); exitCode(err) != exitUsage {
		t.Errorf("key new over a key file: %v", err)
	}

	if err := os.Rename(path, path+".away"); err != nil {
		t.Fatal(err)
	}
	if err := start(cfg); err == nil || !strings.Contains(err.Error(), "was not there") || strings.Contains(err.Error(), "\n") {
		t.Errorf("a lost key file: %v", err)
	}
	if _, err := os.Stat(path); !os.IsNotExist(err) {
		t.Errorf("a key that is of no use was left in the place of the lost one: %v", err)
	}
	if err := os.Rename(path+".away", path); err != nil {
		t.Fatal(err)
	}
	if err := serveCommand(t.Context(), &bytes.Buffer{}, nil, noEnvironment, "keyfile", "rotate", path); err != nil {
		t.Fatal(err)
	}
	if err := start(cfg); err != nil {
		t.Fatalf("the start after a rotation: %v", err)
	}
	rotated, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	// Everything is sealed with the new key: the old one may go.
	lines := strings.Split(strings.TrimSpace(string(rotated)), "\n")
	if err := os.WriteFile(path, []byte(strings.Join(lines[:len(lines)-1], "\n")), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := start(cfg); err != nil {
		t.Errorf("the start without the old key: %v", err)
	}
}
