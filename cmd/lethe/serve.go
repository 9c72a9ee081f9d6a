package main

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
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
names a file that holds the value), then the flag. SIGTERM and SIGINT end it in order; a second signal ends it at once.
SIGHUP reads the TLS certificate again, which also happens by itself when its files change.`,
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
	hangup := make(chan os.Signal, 1)
	signal.Notify(hangup, syscall.SIGHUP) // from the beginning: unheard it would end the process
	defer signal.Stop(hangup)
	s, err := startServer(ctx, cfg, logger, build)
	if err != nil {
		return err
	}
	fmt.Fprintf(env.stderr, "lethe: listening on %s, credentials in %s\n", s.ListensOn, s.Credentials)
	if s.Exposed {
		fmt.Fprintln(env.stderr, exposedWarning)
		logger.Warn("NO TLS on an address that others can reach: passwords and tokens can be read on the way", "listen", s.ListensOn)
	}
	for {
		select {
		case <-hangup:
			logger.Info("SIGHUP: looking at the TLS certificate's files", "tls", cfg.TLS())
			s.Reload()
			continue
		case <-ctx.Done():
			logger.Info("stopping", "open_requests", "answered for at most "+drainTime.String())
		case <-s.Ended():
		}
		return s.Stop(context.WithoutCancel(ctx))
	}
}

// exposedWarning is made to be seen among the lines of a start.
const exposedWarning = `lethe: ************************************************************************************
lethe: WARNING: others on the network can reach this address, and it has no TLS: whoever
lethe: listens on the way reads passwords and tokens, and can then reset every phone.
lethe: Give --tls-cert and --tls-key, or listen on 127.0.0.1 behind a proxy that has TLS.
lethe: ************************************************************************************`

func newLogger(env *environment, cfg config.Config) *slog.Logger {
	options := &slog.HandlerOptions{Level: cfg.LogLevel}
	if cfg.LogFormat == "json" {
		return slog.New(slog.NewJSONHandler(env.stderr, options))
	}
	return slog.New(slog.NewTextHandler(env.stderr, options))
}
