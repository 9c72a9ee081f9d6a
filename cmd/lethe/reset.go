package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/lethe-cloud/lethe/api"
	"github.com/lethe-cloud/lethe/client"
	"github.com/lethe-cloud/lethe/internal/phone"
)

type resetFlags struct {
	word       string // what is done to the phones; "" is to reset them
	all        bool
	server     string
	image      string
	properties []string
	factory    bool
	rollback   bool
	wait       bool
	key        string
	pace       paceFlags
}

func newResetCommand(env *environment) *cobra.Command {
	var f resetFlags
	cmd := &cobra.Command{
		Use:   "reset PHONE... | --all | --server NAME",
		Short: "Reset phones: all their data is destroyed, and they boot anew",
		Long: `Reset phones, each named by its id or its name. All data of a phone is destroyed and cannot be had back; the phone keeps its
id, name and adb port, boots a fresh volume, and runs at the end even if it was stopped. It keeps its image and its properties,
unless --image, --property or --factory say otherwise.

With --rollback nothing is destroyed before the new life is verified: the old one stays on the server, stopped, and runs again, with
its data, when the new one fails. The server needs room for both, which is checked first, and each boot slot is held for longer.

With --first, --at-once or --stop-above the phones are reset at a pace. All are accepted, and are resetting, at once; those that the
pace does not let go yet are held, untouched. --first 5 lets five go and the others when these have ended, --at-once 20 never more
than twenty at the same time, and --stop-above 10 stops when more than 10 % of those that have ended failed: phones that were not
reached are then what they were before, and lethe request retry goes on later, at the same pace.

Over 1,000 phones are sent as several calls, those at a pace as one. A phone that is refused does not stop the others. Exits with 1
when a phone was refused, or, with --wait, failed or was not reached; each that was refused or failed is named on stderr with its
code, the cause and the cure.`,
		Example: `  lethe reset edge-0001 edge-0002 --wait
  lethe reset --server edge --image android13 --property com.cph.mainkeys=1 --wait
  lethe reset --server edge --image android14 --rollback --wait
  lethe reset --all -o json
  lethe reset --server edge --image android14 --first 5 --at-once 20 --stop-above 10 --wait
  lethe reset --server edge --idempotency-key nightly-2026-01-31 --wait`,
		Args:              f.args,
		ValidArgsFunction: completePhones(env),
		RunE:              func(cmd *cobra.Command, args []string) error { return reset(cmd.Context(), env, f, args) },
	}
	flags := cmd.Flags()
	flags.BoolVar(&f.all, "all", false, "every phone of the project")
	flags.StringVar(&f.server, "server", "", "every phone of this `server` (name or id)")
	flags.StringVar(&f.image, "image", "", "the `image` to boot from now on (name or id); default: each phone's present one")
	flags.StringArrayVar(&f.properties, "property", nil, "a property to set, `key=value`; may be given many times")
	flags.BoolVar(&f.factory, "factory", false, "forget the properties that were set before")
	flags.BoolVar(&f.rollback, "rollback", false, "keep the old life until the new one is verified, and bring it back when that fails")
	flags.BoolVar(&f.wait, "wait", false, "wait until every phone has been reset, and show the progress")
	flags.StringVar(&f.key, "idempotency-key", "", "a `key` that makes the command repeatable for 24 hours: given again with the same phones and flags, it resets nothing a second time and shows what came of the first")
	f.pace.add(cmd)
	completeFlag(cmd, "server", completeServers(env))
	completeFlag(cmd, "image", completeImages(env))
	completeFlag(cmd, "property", completeProperties)
	return cmd
}

// args checks that the phones are named in exactly one of the three ways.
func (f *resetFlags) args(cmd *cobra.Command, args []string) error {
	ways := 0
	for _, way := range []bool{len(args) > 0, f.all, cmd.Flags().Changed("server")} {
		if way {
			ways++
		}
	}
	switch {
	case ways == 0:
		return usagef("no phone is named: give phones, --server NAME or --all")
	case ways > 1:
		return usagef("give phones, --server NAME or --all, and only one of the three")
	case cmd.Flags().Changed("server") && f.server == "":
		return usagef("--server is empty")
	case cmd.Flags().Changed("image") && f.image == "":
		return usagef("--image is empty")
	case slices.Contains(args, ""):
		return usagef("a phone's name is empty")
	case cmd.Flags().Changed("idempotency-key") && !keyFits(f.key):
		return errKeyFlag
	}
	if err := f.pace.check(cmd); err != nil {
		return err
	}
	_, err := f.property()
	return err
}

// maxKeyFlag leaves room in the server's 128 characters for the number of a call: a command for many phones is several calls.
const maxKeyFlag = 120

var errKeyFlag = usagef("--idempotency-key must be 1 to %d printable ASCII characters", maxKeyFlag)

func keyFits(key string) bool {
	unprintable := func(r rune) bool { return r < ' ' || r > '~' }
	return key != "" && len(key) <= maxKeyFlag && !strings.ContainsFunc(key, unprintable)
}

// property gives the properties as the text that the wire has, after the server's own rules: a misspelt key resets nothing.
func (f *resetFlags) property() (string, error) {
	if len(f.properties) == 0 {
		return "", nil
	}
	given := map[string]string{}
	for _, pair := range f.properties {
		key, value, ok := strings.Cut(pair, "=")
		if !ok || key == "" {
			return "", usagef("--property %q is not key=value", pair)
		}
		if _, twice := given[key]; twice {
			return "", usagef("--property %s is given twice", key)
		}
		given[key] = value
	}
	text, err := json.Marshal(given)
	if err != nil {
		return "", fmt.Errorf("encode the properties: %w", err)
	}
	if _, refused := phone.ParseProperties(string(text)); refused != nil {
		if refused.Field == "" {
			return "", usagef("--property: %s", refused.Msg)
		}
		return "", usagef("--property %s: %s", refused.Field, refused.Msg)
	}
	return string(text), nil
}

func completeProperties(_ *cobra.Command, _ []string, prefix string) ([]string, cobra.ShellCompDirective) {
	var keys []string
	for _, rule := range phone.PropertyRules() {
		if strings.HasPrefix(rule.Key, prefix) && !rule.Deprecated {
			keys = append(keys, rule.Key+"=\t"+rule.Says)
		}
	}
	return keys, cobra.ShellCompDirectiveNoFileComp | cobra.ShellCompDirectiveNoSpace
}

// resetResult is what became of one phone: with --wait its end, else its job.
type resetResult struct {
	PhoneID    string `json:"phone_id"`
	PhoneName  string `json:"phone_name,omitempty"`
	RequestID  string `json:"request_id"`
	JobID      string `json:"job_id,omitempty"`
	Status     int    `json:"status,omitempty"` // the job's; absent when refused
	ErrorCode  string `json:"error_code,omitempty"`
	ErrorMsg   string `json:"error_msg,omitempty"`
	ExecuteMsg string `json:"execute_msg,omitempty"`

	done       string // what the table says of a success; "" is of a reset
	says       bool   // a task: what its program said is shown
	notReached bool   // its request was stopped before anything was done to it
}

func (r resetResult) bad() bool { return r.JobID == "" || r.Status == client.JobFailed }

func (r resetResult) name() string {
	if r.PhoneName == "" {
		return r.PhoneID
	}
	return r.PhoneName + " (" + r.PhoneID + ")"
}

func reset(ctx context.Context, env *environment, f resetFlags, args []string) error {
	c, err := env.client()
	if err != nil {
		return err
	}
	in := client.Reset{Rollback: f.rollback, IdempotencyKey: f.key, Pace: f.pace.pace}
	if f.image != "" {
		if in.ImageID, err = resolveImage(ctx, c, f.image); err != nil {
			return err
		}
	}
	phones, err := f.phones(ctx, c, args)
	if err != nil {
		return err
	}
	property, err := f.property()
	if err != nil {
		return err
	}
	results, failure := sendResets(ctx, c, in, phones, client.ResetPhone{Property: property, FactoryReset: f.factory})
	return env.followResets(ctx, c, results, f.wait, failure)
}

// followResets tells what was accepted, waits for its end when asked to, and prints what came of each phone. failure is what went
// wrong before.
func (e *environment) followResets(ctx context.Context, c *client.Client, results []resetResult, wait bool, failure error) error {
	e.sayAccepted(results)
	if wait {
		failure = errors.Join(failure, e.finishResets(ctx, c, results))
		if len(results) > 0 && results[0].says {
			failure = errors.Join(failure, fillOutputs(ctx, c, results))
		}
	}
	if len(results) > 0 {
		failure = errors.Join(failure, e.print(results, func() table { return resetTable(results) }))
	}
	if failure == nil && slices.ContainsFunc(results, resetResult.bad) {
		return exitError(exitFailed) // each was complained of
	}
	return failure
}

// phones gives the phones that were asked for, one way or another.
func (f resetFlags) phones(ctx context.Context, c *client.Client, args []string) ([]api.Phone, error) {
	if len(args) > 0 {
		return resolvePhones(ctx, c, args)
	}
	filter := client.PhoneFilter{}
	if f.server != "" {
		var err error
		if filter.ServerID, err = resolveServer(ctx, c, f.server); err != nil {
			return nil, err
		}
	}
	phones, err := client.Collect(c.Phones(ctx, filter), 0)
	if err == nil && len(phones) == 0 {
		return nil, fmt.Errorf("there is no phone to %s: see lethe phone list", cmp.Or(f.word, "reset"))
	}
	sortPhones(phones)
	if f.pace.pace != nil {
		phones = inTurn(phones)
	}
	return phones, err
}

// inTurn orders phones so that each server has one before any has a second: a pace lets them go in their order, and what waits for one
// server's boot slots while another has free ones would count as under way.
func inTurn(phones []api.Phone) []api.Phone {
	nth := make(map[string]int, len(phones))
	turn := map[string]int{} // how many phones of a server came before, by server
	for _, p := range phones {
		nth[p.PhoneID] = turn[p.ServerID]
		turn[p.ServerID]++
	}
	ordered := slices.Clone(phones)
	slices.SortStableFunc(ordered, func(a, b api.Phone) int { return cmp.Compare(nth[a.PhoneID], nth[b.PhoneID]) })
	return ordered
}

// sendResets sends the phones in calls of at most client.MaxBatch; at a pace in one, for a pace is one request's. An error ends it: what was accepted until then is given too.
func sendResets(ctx context.Context, c *client.Client, in client.Reset, phones []api.Phone, like client.ResetPhone) ([]resetResult, error) {
	size := client.MaxBatch
	if in.Pace != nil {
		size = max(size, len(phones))
	}
	return sendInBatches(phones, size, in.IdempotencyKey, func(ids []string, key string) (client.Accepted, error) {
		in.IdempotencyKey = key
		in.Phones = make([]client.ResetPhone, len(ids))
		for i, id := range ids {
			in.Phones[i] = like
			in.Phones[i].PhoneID = id
		}
		answer, err := c.ResetPhones(ctx, in)
		return answer, tooManyForPace(err, in.Pace)
	})
}

// sendInBatches sends phones in calls of at most size, each under a key of its own where there is one. An error ends it: what was accepted
// until then is given too.
func sendInBatches(phones []api.Phone, size int, key string, send func(ids []string, key string) (client.Accepted, error)) ([]resetResult, error) {
	var results []resetResult
	calls := 0
	for batch := range slices.Chunk(phones, size) {
		own := key
		if calls++; key != "" && calls > 1 {
			own = fmt.Sprintf("%s/%d", key, calls)
		}
		ids := make([]string, len(batch))
		for i, p := range batch {
			ids[i] = p.PhoneID
		}
		answer, err := send(ids, own)
		if err != nil {
			return results, notSent(err, len(results), len(phones))
		}
		part, err := resultsOf(answer, batch)
		if results = append(results, part...); err != nil {
			return results, err
		}
	}
	return results, nil
}

// resultsOf gives what was answered for each phone of a batch.
func resultsOf(answer client.Accepted, batch []api.Phone) ([]resetResult, error) {
	if len(answer.Jobs) != len(batch) {
		return nil, fmt.Errorf("the server answered for %d of %d phones (request %s)", len(answer.Jobs), len(batch), answer.RequestID)
	}
	results := make([]resetResult, len(batch))
	for i, job := range answer.Jobs {
		results[i] = resetResult{
			PhoneID: job.PhoneID, PhoneName: batch[i].PhoneName, RequestID: answer.RequestID, JobID: job.JobID,
			ErrorCode: job.ErrorCode, ErrorMsg: job.ErrorMsg,
		}
		if job.JobID != "" {
			results[i].Status = client.JobRunning
		}
	}
	return results, nil
}

func notSent(err error, sent, total int) error {
	if sent == 0 {
		return err
	}
	return fmt.Errorf("only %d of %d phones were sent: %w", sent, total, err)
}

// accepted gives the ids of the requests that have jobs, in their order.
func accepted(results []resetResult) []string {
	var requests []string
	for _, r := range results {
		if r.JobID != "" && !slices.Contains(requests, r.RequestID) {
			requests = append(requests, r.RequestID)
		}
	}
	return requests
}

// sayAccepted tells what was accepted, and complains of each phone that was not.
func (e *environment) sayAccepted(results []resetResult) {
	refused := 0
	for _, r := range results {
		if r.JobID == "" {
			refused++
			e.complain(r.name(), r.ErrorCode, r.ErrorMsg, "")
		}
	}
	if len(results) > refused {
		fmt.Fprintf(e.stderr, "%d accepted, %d refused (request %s)\n", len(results)-refused, refused, strings.Join(accepted(results), ", "))
	}
}

// finishResets waits, fills in how each job ended, and complains of each that failed.
func (e *environment) finishResets(ctx context.Context, c *client.Client, results []resetResult) error {
	failed, err := e.waitFor(ctx, c, accepted(results)...)
	if err != nil {
		return err
	}
	byID := map[string]failedJob{}
	for _, job := range failed {
		byID[job.JobID] = job
	}
	for i := range results {
		r := &results[i]
		if r.JobID == "" {
			continue
		}
		r.Status = client.JobSuccess
		if job, ok := byID[r.JobID]; ok {
			r.Status, r.ErrorCode, r.ErrorMsg, r.ExecuteMsg = job.Status, job.ErrorCode, job.ErrorMsg, job.ExecuteMsg
			if r.notReached = job.notReached; !r.notReached {
				e.complain(r.name(), r.ErrorCode, r.ErrorMsg, r.ExecuteMsg)
			}
		}
	}
	return nil
}

func resetTable(results []resetResult) table {
	t := table{header: []string{"PHONE ID", "NAME", "JOB ID", "RESULT"}}
	says := len(results) > 0 && results[0].says
	if says {
		t.header = append(t.header, "OUTPUT")
	}
	for _, r := range results {
		row := []string{r.PhoneID, dash(r.PhoneName), dash(r.JobID), resetWord(r)}
		if says {
			row = append(row, dash(strings.ReplaceAll(r.ExecuteMsg, "\n", " | ")))
		}
		t.rows = append(t.rows, row)
	}
	return t
}

func resetWord(r resetResult) string {
	switch {
	case r.JobID == "":
		return "refused: " + r.ErrorCode
	case r.notReached:
		return "not reached"
	case r.Status == client.JobFailed:
		return "failed: " + r.ErrorCode
	case r.Status == client.JobSuccess:
		return cmp.Or(r.done, "reset")
	}
	return "accepted"
}
