package main

import (
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"

	"github.com/lethe-cloud/lethe/api"
)

// buildVersion is what this binary is, as the Go tool recorded it.
func buildVersion() api.Version {
	v := api.Version{Version: "(devel)", Go: runtime.Version()}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return v
	}
	if info.Main.Version != "" {
		v.Version = info.Main.Version
	}
	for _, setting := range info.Settings {
		if setting.Key == "vcs.revision" {
			v.Revision = setting.Value
		}
	}
	return v
}

func newVersionCommand(env *environment) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "version",
		Short: "Show what this binary is",
		RunE: func(*cobra.Command, []string) error {
			v := buildVersion()
			return env.print(v, func() table { return pairs("VERSION", v.Version, "REVISION", dash(v.Revision), "GO", v.Go) })
		},
	}
	env.outputFlag(cmd)
	return cmd
}
