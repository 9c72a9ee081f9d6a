package main

import (
	"context"
	"strings"

	"github.com/spf13/cobra"

	"github.com/lethe-cloud/lethe/client"
)

// phoneTask is one of the commands that do something in phones as jobs.
type phoneTask struct {
	word, done string
	flag, hint string // what it is about
	command    string // as the CPH API has it
}

func newPhoneRunCommand(env *environment) *cobra.Command {
	return newPhoneTaskCommand(env, phoneTask{"run", "ran", "command", "what the phone's shell runs: a program's `words`", "shell"},
		"Run a command in many phones, as a job in each",
		`Run a command in phones that run, each named by its id or its name. It may have letters, digits, spaces and _ . / : - only. Each phone
gets a job, which keeps the end of the command and the beginning of what it said; with --wait both are shown. A command that may have run is
never run again by itself. For one phone, and for everything else that a shell can do: lethe phone exec.`, `"pm list packages"`)
}

func newPhoneUninstallCommand(env *environment) *cobra.Command {
	return newPhoneTaskCommand(env, phoneTask{"uninstall", "uninstalled", "package", "the app's package `name`", "uninstall"},
		"Uninstall an app from phones",
		`Uninstall an app from phones that run, each named by its id or its name. Exits with 1 when a phone was refused or, with --wait, failed: one
that does not have the app fails.`, "com.example.app")
}

func newPhoneInstallCommand(env *environment) *cobra.Command {
	return newPhoneTaskCommand(env, phoneTask{"install", "installed", "apk", "the app's package, `obs://BUCKET/PATH.apk`; all of them, with spaces between, of an app that has several", "install"},
		"Install an app in phones",
		`Install an app in phones that run, each named by its id or its name. Its packages come from a bucket of the project (lethe bucket).
An app that is there is replaced, and keeps its data. Exits with 1 when a phone was refused or, with --wait, failed.`, "obs://apps/example.apk")
}

func newPhonePushCommand(env *environment) *cobra.Command {
	return newPhoneTaskCommand(env, phoneTask{"push", "pushed", "archive", "the tar archive, `obs://BUCKET/PATH.tar`", "push"},
		"Unpack an archive in phones",
		`Unpack a tar archive in phones that run, each named by its id or its name. Its names are below the phone's root directory: what is for the
data of a phone begins with data/. It comes from a bucket of the project (lethe bucket). Exits with 1 when a phone was refused or, with --wait, failed.`, "obs://apps/settings.tar")
}

func newPhoneTaskCommand(env *environment, p phoneTask, short, long, example string) *cobra.Command {
	f := resetFlags{word: p.word}
	var content string
	cmd := &cobra.Command{
		Use:   p.word + " --" + p.flag + " " + strings.ToUpper(p.flag) + " PHONE... | --all | --server NAME",
		Short: short,
		Long:  long,
		Example: "  lethe phone " + p.word + " --" + p.flag + " " + example + " edge-0001 edge-0002 --wait\n" +
			"  lethe phone " + p.word + " --" + p.flag + " " + example + " --server edge",
		Args: func(cmd *cobra.Command, args []string) error {
			if content == "" {
				return usagef("--%s is needed: %s", p.flag, cmd.UseLine())
			}
			return f.args(cmd, args)
		},
		ValidArgsFunction: completePhones(env),
		RunE:              func(cmd *cobra.Command, args []string) error { return p.run(cmd.Context(), env, f, content, args) },
	}
	flags := cmd.Flags()
	flags.StringVar(&content, p.flag, "", p.hint)
	flags.BoolVar(&f.all, "all", false, "every phone of the project")
	flags.StringVar(&f.server, "server", "", "every phone of this `server` (name or id)")
	flags.BoolVar(&f.wait, "wait", false, "wait until every job has ended, and show what each program said")
	flags.StringVar(&f.key, "idempotency-key", "", "a `key` that makes the command repeatable for 24 hours")
	completeFlag(cmd, "server", completeServers(env))
	return cmd
}

func (p phoneTask) run(ctx context.Context, env *environment, f resetFlags, content string, args []string) error {
	c, err := env.client()
	if err != nil {
		return err
	}
	phones, err := f.phones(ctx, c, args)
	if err != nil {
		return err
	}
	results, err := sendInBatches(phones, client.MaxBatch, f.key, func(ids []string, key string) (client.Accepted, error) {
		command := p.command
		if command == "install" && len(strings.Fields(content)) > 1 {
			command = "install-multiple"
		}
		return c.RunTask(ctx, command, content, ids, key)
	})
	for i := range results {
		results[i].done, results[i].says = p.done, true
	}
	return env.followResets(ctx, c, results, f.wait, err)
}

// fillOutputs reads what the programs of tasks said.
func fillOutputs(ctx context.Context, c *client.Client, results []resetResult) error {
	said := map[string]string{}
	for _, request := range accepted(results) {
		for job, err := range c.RequestJobs(ctx, request) {
			if err != nil {
				return err
			}
			said[job.JobID] = job.ExecuteMsg
		}
	}
	for i := range results {
		results[i].ExecuteMsg = said[results[i].JobID]
	}
	return nil
}
