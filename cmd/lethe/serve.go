package main

import (
	"context"
	"fmt"
	"log/slog"
	"syscall"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/lethe-cloud/lethe/internal/config"
)

func newServeCommand(env *environment, build builder) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "serve --data DIR",
		Short: "Run the server",
		Long: `Run the server on a data folder.

The first start makes an account, a project, a user and an access key and writes them to DIR/credentials.json. Each setting
comes from its default, then the configuration file, then the environment (LETHE_LISTEN for --listen; LETHE_DATABASE_FILE
names a file that holds the value), then the flag. SIGTERM and SIGINT end it in order; a second signal ends it at once.`,
		Example: "  lethe serve --data ./data\n  lethe serve --data /var/lib/lethe --database postgres://lethe@db.example.com/lethe --listen 0.0.0.0:8774 --tls-cert lethe.crt --tls-key lethe.key",
		Args:    cobra.NoArgs,
	}
	flags := cmd.Flags()
	for _, f := range config.Flags() {
		flags.String(f.Name, "", describeFlag(f))
	}
	file := flags.String("config", "", "configuration `file` (TOML)")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		given := map[string]string{}
		flags.Visit(func(f *pflag.Flag) { given[f.Name] = f.Value.String() })
		delete(given, "config")
		if *file == "" && flags.Changed("config") {
			return usagef("--config is empty: name a file, or leave the flag out")
		}
		cfg, err := config.Load(config.Source{File: *file, Getenv: env.getenv, Flags: given})
		if err != nil {
			return usageError{err}
		}
		return serve(cmd.Context(), env, cfg, build)
	}
	return cmd
}

func describeFlag(f config.Flag) string {
	if f.Default == "" {
		return f.Help
	}
	return fmt.Sprintf("%s (default %s)", f.Help, f.Default)
}

// serve runs a server until ctx ends.
func serve(ctx context.Context, env *environment, cfg config.Config, build builder) error {
	syscall.Umask(0o077) // the data folder holds secrets, and it may be one that others can enter
	logger := newLogger(env, cfg)
	s, err := startServer(ctx, cfg, logger, build)
	if err != nil {
		return err
	}
	fmt.Fprintf(env.stderr, "lethe: listening on %s, credentials in %s\n", s.ListensOn, s.Credentials)
	if s.Exposed {
		fmt.Fprintln(env.stderr, "lethe: warning: others on the network can reach this address and it has no TLS, so passwords and tokens can be read on the way: give --tls-cert and --tls-key, or listen on 127.0.0.1 behind a proxy that has TLS")
	}
	select {
	case <-ctx.Done():
		logger.Info("stopping", "open_requests", "answered for at most "+drainTime.String())
	case <-s.Ended():
	}
	return s.Stop(context.WithoutCancel(ctx))
}

func newLogger(env *environment, cfg config.Config) *slog.Logger {
	options := &slog.HandlerOptions{Level: cfg.LogLevel}
	if cfg.LogFormat == "json" {
		return slog.New(slog.NewJSONHandler(env.stderr, options))
	}
	return slog.New(slog.NewTextHandler(env.stderr, options))
}
