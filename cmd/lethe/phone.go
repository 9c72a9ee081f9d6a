package main

import (
	"cmp"
	"fmt"
	"io"
	"net"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/lethe-cloud/lethe/api"
	"github.com/lethe-cloud/lethe/client"
	"github.com/lethe-cloud/lethe/internal/phone"
)

func newPhoneCommand(env *environment) *cobra.Command {
	return group("phone", "Look at phones, name, stop, restart and delete them, and run programs and manage apps in them",
		newPhoneListCommand(env), newPhoneShowCommand(env), newPhoneRenameCommand(env), newPhoneStopCommand(env), newPhoneRestartCommand(env),
		newPhoneDeleteCommand(env), newPhoneExecCommand(env), newPhoneRunCommand(env), newPhoneUninstallCommand(env), newPhoneInstallCommand(env), newPhonePushCommand(env),
		newPhoneExportCommand(env), newPhoneImportCommand(env))
}

func newPhoneListCommand(env *environment) *cobra.Command {
	var server, status string
	var filter client.PhoneFilter
	var limit int
	cmd := &cobra.Command{
		Use: "list", Aliases: []string{"ls"},
		Short: "List the project's phones by name",
		RunE: func(cmd *cobra.Command, _ []string) error {
			var err error
			if filter.Status, err = phoneStatus(status); err != nil {
				return err
			}
			c, err := env.client()
			if err != nil {
				return err
			}
			if server != "" {
				if filter.ServerID, err = resolveServer(cmd.Context(), c, server); err != nil {
					return err
				}
			}
			phones, err := client.Collect(c.Phones(cmd.Context(), filter), limit)
			if err != nil {
				return err
			}
			sortPhones(phones)
			return env.print(phones, func() table { return phoneTable(phones) })
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&server, "server", "", "only those of this `server` (name or id)")
	flags.StringVar(&filter.Name, "name", "", "only those with this `part` in their name")
	flags.StringVar(&status, "status", "", "only those in this `status`, a word of the table or the number")
	flags.IntVar(&limit, "limit", 0, "at most so many, those created last (default: all)")
	completeFlag(cmd, "server", completeServers(env))
	completeFlag(cmd, "status", completeWords(statusWords()...))
	nonNegative(cmd, "limit")
	return cmd
}

func sortPhones(phones []api.Phone) {
	slices.SortFunc(phones, func(a, b api.Phone) int {
		return cmp.Or(strings.Compare(a.PhoneName, b.PhoneName), strings.Compare(a.PhoneID, b.PhoneID))
	})
}

// phoneStatus reads a status by its number or its word, in which - may stand for a space; "" is any.
func phoneStatus(text string) (int, error) {
	if text == "" {
		return 0, nil
	}
	for _, s := range phone.Statuses() {
		if text == strconv.Itoa(int(s)) || strings.ReplaceAll(text, " ", "-") == statusWord(s) {
			return int(s), nil
		}
	}
	return 0, usagef("--status %q: choose one of %s, or its number", text, strings.Join(statusWords(), ", "))
}

func statusWord(s phone.Status) string { return strings.ReplaceAll(s.String(), " ", "-") }

func statusWords() []string {
	var words []string
	for _, s := range phone.Statuses() {
		words = append(words, statusWord(s))
	}
	return words
}

func phoneTable(phones []api.Phone) table {
	t := table{header: []string{"PHONE ID", "NAME", "STATUS", "GENERATION", "IMAGE ID", "SERVER ID", "ADB PORT"}}
	for _, p := range phones {
		t.rows = append(t.rows, []string{
			p.PhoneID, p.PhoneName, phone.Status(p.Status).String(), strconv.FormatInt(p.Generation, 10), p.ImageID, p.ServerID,
			strconv.Itoa(p.ADBPort),
		})
	}
	return t
}

// shownPhone is a phone as both APIs have it.
type shownPhone struct {
	api.Phone
	client.PhoneDetail
}

func newPhoneShowCommand(env *environment) *cobra.Command {
	return &cobra.Command{
		Use:               "show PHONE",
		Short:             "Show one phone: its generation, properties, adb address and the job at work",
		Args:              exactArgs(1),
		ValidArgsFunction: once(completePhones(env)),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := env.client()
			if err != nil {
				return err
			}
			id, err := resolvePhone(cmd.Context(), c, args[0])
			if err != nil {
				return err
			}
			var p shownPhone
			if p.Phone, err = c.Phone(cmd.Context(), id); err != nil {
				return err
			}
			if p.PhoneDetail, err = c.PhoneDetail(cmd.Context(), id); err != nil {
				return err
			}
			return env.print(p, func() table { return phoneDetail(p) })
		},
	}
}

func phoneDetail(p shownPhone) table {
	job, adb := "-", "-"
	if p.Job != nil {
		job = fmt.Sprintf("%s %s, %s", p.Job.JobID, p.Job.Kind, p.Job.Phase)
	}
	for _, access := range p.AccessInfos {
		if access.Type == "adb" {
			adb = adbAddress(access)
		}
	}
	return pairs(
		"PHONE ID", p.PhoneID, "NAME", p.PhoneName, "STATUS", phone.Status(p.Status).String(),
		"CAUSE", dash(strings.Join(strings.Fields(p.Cause), " ")),
		"GENERATION", fmt.Sprintf("%d (last %d)", p.Generation, p.LastGeneration), "JOB", job,
		"IMAGE ID", p.ImageID, "SERVER ID", p.ServerID, "ADB", adb, "PROPERTY", dash(p.Property),
		"CREATED", moment(p.CreateTime), "UPDATED", moment(p.UpdateTime),
	)
}

// adbAddress is what adb connect takes, as far as it is known.
func adbAddress(access client.AccessInfo) string {
	port := strconv.Itoa(access.AccessPort)
	if access.ServerIP == "" {
		return "port " + port + " of its server"
	}
	return net.JoinHostPort(access.ServerIP, port)
}

// execOutput is the most that is asked of each of a program's outputs: the most that the API gives.
const execOutput = 1 << 20

func newPhoneExecCommand(env *environment) *cobra.Command {
	var withStdin bool
	cmd := &cobra.Command{
		Use:   "exec [-i] PHONE -- PROGRAM [ARG...]",
		Short: "Run a program in a phone, and exit with its code",
		Long: `Run a program in a phone, wait for it, copy its output to stdout and stderr, at most 1 MiB of each, and exit with its exit code. No
shell comes between: for one, run it, as in the second example.`,
		Example: `  lethe phone exec edge-0001 -- getprop ro.product.model
  lethe phone exec edge-0001 -- sh -c 'ls /data | wc -l'
  lethe phone exec -i edge-0001 -- sh -c 'cat > /data/local/tmp/hosts' < hosts`,
		ValidArgsFunction: once(completePhones(env)),
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) > 1 && args[1] == "--" {
				args = append(args[:1:1], args[2:]...)
			}
			if len(args) < 2 {
				return usagef("a phone and a program are needed: %s", cmd.UseLine())
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			program := args[1:]
			if program[0] == "--" {
				program = program[1:]
			}
			return phoneExec(cmd, env, args[0], program, withStdin)
		},
	}
	cmd.Flags().SetInterspersed(false) // what follows the phone is the program's
	cmd.Flags().BoolVarP(&withStdin, "stdin", "i", false, "give the program what lethe reads on stdin, at most 8 MiB")
	return cmd
}

// maxStdin is what fits into a call's body after base64.
const maxStdin = 8 << 20

func phoneExec(cmd *cobra.Command, env *environment, nameOrID string, program []string, withStdin bool) error {
	in := api.Exec{Args: program, MaxOutput: execOutput}
	c, err := env.client()
	if err != nil {
		return err
	}
	id, err := resolvePhone(cmd.Context(), c, nameOrID)
	if err != nil {
		return err
	}
	if withStdin {
		if in.Stdin, err = io.ReadAll(io.LimitReader(env.stdin, maxStdin+1)); err != nil {
			return fmt.Errorf("read stdin: %w", err)
		}
		if len(in.Stdin) > maxStdin {
			return usagef("stdin has more than %d bytes", maxStdin)
		}
	}
	result, err := c.Exec(cmd.Context(), id, in)
	if err != nil {
		return err
	}
	if err := env.showExec(result); err != nil {
		return err
	}
	if result.ExitCode != 0 {
		return exitError(result.ExitCode)
	}
	return nil
}

func (e *environment) showExec(result api.ExecResult) error {
	if e.output == outputJSON {
		return writeJSON(e.stdout, result)
	}
	if _, err := e.stdout.Write(result.Stdout); err != nil {
		return fmt.Errorf("write stdout: %w", err)
	}
	if _, err := e.stderr.Write(result.Stderr); err != nil {
		return fmt.Errorf("write stderr: %w", err)
	}
	if result.Truncated {
		fmt.Fprintln(e.stderr, "lethe: output beyond 1 MiB was dropped")
	}
	return nil
}
