package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/lethe-cloud/lethe/internal/config"
	"github.com/lethe-cloud/lethe/internal/phone"
	"github.com/lethe-cloud/lethe/internal/seal"
	"github.com/lethe-cloud/lethe/internal/store"
)

// openStore opens the database with the installation's keys. A first start makes the key file in the data folder; one that the
// configuration names must be there, since making one for each replica would give each another key.
func openStore(ctx context.Context, cfg config.Config, in installation, logger *slog.Logger) (*store.Store, error) {
	path := cfg.KeyFile
	if path == "" {
		path = filepath.Join(in.Data, "secret.key")
	}
	keys, err := seal.Read(path)
	made := false
	switch {
	case errors.Is(err, fs.ErrNotExist) && cfg.KeyFile != "":
		return nil, fmt.Errorf("there is no key file %s: copy the installation's there or, for a new installation, make one with lethe keyfile new %s", path, path)
	case errors.Is(err, fs.ErrNotExist):
		made = true
		if keys, err = seal.Create(path); err != nil {
			return nil, err
		}
	case err != nil:
		return nil, err
	}
	st, err := store.Open(ctx, store.Config{URL: databaseURL(cfg, in), Logger: logger, Keys: keys, Tasks: cfg.MaxConcurrentTasks})
	if made && phone.ReasonOf(err) == phone.ReasonKeyForeign {
		// The key was made for an installation that has one: it is of no use, and would look as if it were the right one.
		return nil, errors.Join(fmt.Errorf("%s was not there, but %w", path, err), os.Remove(path))
	}
	if err != nil {
		return nil, err
	}
	return st, nil
}

func newKeyFileCommand(env *environment) *cobra.Command {
	return group("keyfile", "Make and change the key that encrypts access keys in the database", newKeyFileNewCommand(env), newKeyFileRotateCommand(env))
}

func newKeyFileNewCommand(env *environment) *cobra.Command {
	return &cobra.Command{
		Use:   "new FILE",
		Short: "Make a key file for a new installation (lethe serve --key-file)",
		Long: "Make a key file for a new installation, for lethe serve --key-file. Every replica needs a copy of the same file.\n\n" +
			"An installation without --key-file makes its own at the first start: secret.key in its data folder.",
		Example: "  lethe keyfile new /etc/lethe/secret.key",
		Args:    exactArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			keys, err := seal.Create(args[0])
			if errors.Is(err, fs.ErrExist) {
				return usagef("%s is there already: lethe keyfile rotate adds a new key to it", args[0])
			}
			if err != nil {
				return err
			}
			fmt.Fprintf(env.stderr, "lethe: key %s is in %s: keep a copy apart from the database's backups, without it no access key can be used again\n", keys.ID(), args[0])
			return nil
		},
	}
}

func newKeyFileRotateCommand(env *environment) *cobra.Command {
	return &cobra.Command{
		Use:   "rotate FILE",
		Short: "Put a new key into a key file; the next start encrypts everything with it",
		Long: "Put a new key into a key file, before the ones that are there. The next start of lethe serve encrypts every access key anew\n" +
			"with it; from then on the older keys are not needed and can be removed from the file.\n\n" +
			"With several replicas: stop them, rotate one file, copy it to all, start them.",
		Example: "  lethe keyfile rotate ./data/secret.key",
		Args:    exactArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			keys, err := seal.Rotate(args[0])
			if errors.Is(err, fs.ErrNotExist) {
				return usagef("there is no key file %s: lethe keyfile new makes one", args[0])
			}
			if err != nil {
				return err
			}
			fmt.Fprintf(env.stderr, "lethe: key %s is the first in %s now: copy the file to every replica and restart lethe serve\n", keys.ID(), args[0])
			return nil
		},
	}
}
