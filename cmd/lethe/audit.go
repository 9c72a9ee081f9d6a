package main

import (
	"bufio"
	"encoding/json"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/lethe-cloud/lethe/api"
	"github.com/lethe-cloud/lethe/client"
)

func newAuditCommand(env *environment) *cobra.Command {
	return group("audit", "Look at who did what to which phone", newAuditListCommand(env), newAuditExportCommand(env))
}

// auditFlags choose events.
type auditFlags struct {
	user, phone, trace, result string
	since, until               string
}

func (f *auditFlags) register(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.StringVar(&f.user, "user", "", "only what this user did, a `name`")
	flags.StringVar(&f.phone, "phone", "", "only what was done to this phone, an `id`")
	flags.StringVar(&f.trace, "trace", "", "only calls of this `name`, such as resetCloudPhone or login")
	flags.StringVar(&f.result, "result", "", "accepted, refused or failed")
	flags.StringVar(&f.since, "since", "", "only from this `time` on: 24h, 7d, or 2026-01-02T15:04:05Z")
	flags.StringVar(&f.until, "until", "", "only before this `time`, written in the same way")
	completeFlag(cmd, "result", completeWords("accepted", "refused", "failed"))
}

func (f *auditFlags) filter(now time.Time) (client.AuditFilter, error) {
	out := client.AuditFilter{UserName: f.user, PhoneID: f.phone, Trace: f.trace, Result: f.result}
	var err error
	if out.From, err = moments("since", f.since, now); err != nil {
		return out, err
	}
	out.To, err = moments("until", f.until, now)
	return out, err
}

// moments reads a time, or how long it is ago.
func moments(flag, text string, now time.Time) (time.Time, error) {
	if text == "" {
		return time.Time{}, nil
	}
	if at, err := time.Parse(time.RFC3339, text); err == nil {
		return at, nil
	}
	ago, err := time.ParseDuration(text)
	if days, ok := strings.CutSuffix(text, "d"); ok {
		var n int
		n, err = strconv.Atoi(days)
		ago = time.Duration(n) * 24 * time.Hour
	}
	if err != nil || ago < 0 || ago > 100*365*24*time.Hour {
		return time.Time{}, usagef("--%s %q is no time: write how long ago (24h, 7d), or a time (2026-01-02T15:04:05Z)", flag, text)
	}
	return now.Add(-ago), nil
}

func newAuditListCommand(env *environment) *cobra.Command {
	var f auditFlags
	var limit int
	cmd := &cobra.Command{
		Use: "list", Aliases: []string{"ls"},
		Short:   "List what was done, the latest first",
		Example: "  lethe audit list --since 24h --trace resetCloudPhone\n  lethe audit list --result refused --user ci",
		Args:    exactArgs(0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			filter, err := f.filter(time.Now())
			if err != nil {
				return err
			}
			c, err := env.client()
			if err != nil {
				return err
			}
			events, err := client.Collect(c.AuditEvents(cmd.Context(), filter), limit)
			if err != nil {
				return err
			}
			return env.print(events, func() table { return auditTable(events) })
		},
	}
	f.register(cmd)
	cmd.Flags().IntVar(&limit, "limit", 50, "how many at most; 0 is all")
	nonNegative(cmd, "limit")
	return cmd
}

func newAuditExportCommand(env *environment) *cobra.Command {
	var f auditFlags
	cmd := &cobra.Command{
		Use:     "export",
		Short:   "Write the audit trail as JSON lines, the oldest first",
		Example: "  lethe audit export --since 2026-01-01T00:00:00Z --until 2026-02-01T00:00:00Z > january.jsonl",
		Args:    exactArgs(0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			filter, err := f.filter(time.Now())
			if err != nil {
				return err
			}
			filter.Oldest = true
			c, err := env.client()
			if err != nil {
				return err
			}
			out := bufio.NewWriter(env.stdout)
			lines := json.NewEncoder(out)
			lines.SetEscapeHTML(false)
			for event, err := range c.AuditEvents(cmd.Context(), filter) {
				if err != nil {
					_ = out.Flush() // what came before is right; the error is what there is to say
					return err
				}
				if err := lines.Encode(event); err != nil {
					return err
				}
			}
			return out.Flush()
		},
	}
	f.register(cmd)
	return cmd
}

func auditTable(events []api.AuditEvent) table {
	t := table{header: []string{"TIME", "USER", "FROM", "WHAT", "TARGET", "PHONES", "RESULT", "REQUEST ID"}}
	for _, e := range events {
		phones := 0
		for _, c := range e.Changes {
			phones += len(c.PhoneIDs)
		}
		result := e.Result
		if e.Code != "" {
			result += " (" + e.Code + ")"
		}
		t.rows = append(t.rows, []string{moment(e.Time), e.UserName, e.Source, e.Trace, e.Target, strconv.Itoa(phones), result, e.RequestID})
	}
	return t
}
