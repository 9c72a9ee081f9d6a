package main

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"sync"
	"text/tabwriter"
	"time"

	"github.com/lethe-cloud/lethe/api"
)

// demoReport is what the demonstration found. Its exported fields are what --json prints.
type demoReport struct {
	Phones    int   `json:"phones"`
	Accepted  int   `json:"accepted"`
	Refused   int   `json:"refused"`
	Succeeded int   `json:"succeeded"`
	Failed    int   `json:"failed"`
	Erased    int   `json:"erased"` // phones whose old volumes were destroyed, looked for and not found
	ElapsedMS int64 `json:"elapsed_ms"`
	// PhasesMS is the mean time that a job spent in each phase, in milliseconds.
	PhasesMS map[string]int64 `json:"phases_ms"`

	refusals []string
	servers  map[string]*demoServer
	phases   map[string]time.Duration
	verified int // properties read back
	recorded int // properties that the runtime does not have
	files    int64
	bytes    int64

	mu       sync.Mutex
	problems []string
}

// demoServer is one server's share.
type demoServer struct {
	phones, succeeded, failed, erased int
	files, bytes                      int64
}

func (r *demoReport) problem(format string, args ...any) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.problems = append(r.problems, fmt.Sprintf(format, args...))
}

// accept notes one element of batch-reset's answer.
func (r *demoReport) accept(phone, job, code, msg string) {
	bad := phone == malformedID || phone == unknownID
	switch {
	case job != "":
		r.Accepted++
		if bad {
			r.problem("the phone id %s was accepted", phone)
		}
	default:
		r.Refused++
		r.refusals = append(r.refusals, fmt.Sprintf("%s: %s %s", phone, code, msg))
		if !bad {
			r.problem("phone %s was refused: %s %s", phone, code, msg)
		} else if code != refusedCode {
			r.problem("the phone id %s was refused with %s, not %s", phone, code, refusedCode)
		}
	}
}

// job notes how one job ended, by the CPH API's word and by its receipt.
func (r *demoReport) job(j api.Job, told wireJob, server, image string) {
	s := r.servers[server]
	if s == nil {
		s = &demoServer{}
		r.servers[server] = s
	}
	s.phones++
	if j.Phase != "succeeded" || told.Status != 2 || j.Receipt == nil {
		s.failed++
		r.Failed++
		r.problem("the reset of phone %s failed: %s %s %s", j.PhoneID, told.ErrorCode, told.ErrorMsg, told.ExecuteMsg)
		return
	}
	s.succeeded++
	r.Succeeded++
	r.receipt(j, s, image)
	for i, phase := range j.Phases {
		end := j.EndTime
		if i+1 < len(j.Phases) {
			end = j.Phases[i+1].BeginTime
		}
		if r.phases == nil {
			r.phases = map[string]time.Duration{}
		}
		if phase.Phase != "succeeded" {
			r.phases[phase.Phase] += end.Sub(phase.BeginTime)
		}
	}
}

func (r *demoReport) receipt(j api.Job, s *demoServer, image string) {
	receipt := j.Receipt
	if receipt.ImageID != image {
		r.problem("phone %s runs image %s, not the new one", j.PhoneID, receipt.ImageID)
	}
	gone := len(receipt.Erased) > 0 && !receipt.LookedForAt.IsZero()
	for _, v := range receipt.Erased {
		gone = gone && v.Gone
		s.files, s.bytes = s.files+v.Files, s.bytes+v.Bytes
		r.files, r.bytes = r.files+v.Files, r.bytes+v.Bytes
	}
	if gone {
		s.erased++
		r.Erased++
	} else {
		r.problem("nobody can say that the old volumes of phone %s are gone", j.PhoneID)
	}
	effects := map[string]string{}
	for _, p := range receipt.Properties {
		effects[p.Key] = p.Effect
	}
	for key := range properties(0) {
		switch effects[key] {
		case "verified":
			r.verified++
		case "recorded":
			r.recorded++
		default:
			r.problem("property %s of phone %s was neither read back nor reported as recorded only", key, j.PhoneID)
		}
	}
}

// conclude draws the sums.
func (r *demoReport) conclude() {
	for phase, sum := range r.phases {
		r.PhasesMS[phase] = (sum / time.Duration(max(r.Succeeded, 1))).Milliseconds()
	}
	if r.Accepted != r.Phones {
		r.problem("%d of %d phones were accepted", r.Accepted, r.Phones)
	}
	if r.Succeeded+r.Failed != r.Accepted {
		r.problem("%d jobs were accepted, but only %d have ended", r.Accepted, r.Succeeded+r.Failed)
	}
	if r.Refused != 2 {
		r.problem("%d elements were refused, not the 2 bad ids", r.Refused)
	}
}

// writeJSON prints the object; what went wrong goes to words, because the object has only its documented keys.
func (r *demoReport) writeJSON(w, words io.Writer) error {
	for _, p := range r.problems {
		fmt.Fprintln(words, "FAILED: "+p)
	}
	return json.NewEncoder(w).Encode(r)
}

// writeTable prints a line per server, the refusals, the sums and the verdict.
func (r *demoReport) writeTable(w io.Writer) error {
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(table, "SERVER\tPHONES\tRESET\tFAILED\tOLD VOLUMES GONE\tFILES ERASED\tBYTES ERASED\t")
	for _, name := range slices.Sorted(maps.Keys(r.servers)) {
		s := r.servers[name]
		fmt.Fprintf(table, "%s\t%d\t%d\t%d\t%d\t%d\t%d\t\n", name, s.phones, s.succeeded, s.failed, s.erased, s.files, s.bytes)
	}
	fmt.Fprintf(table, "all\t%d\t%d\t%d\t%d\t%d\t%d\t\n", r.Accepted, r.Succeeded, r.Failed, r.Erased, r.files, r.bytes)
	if err := table.Flush(); err != nil {
		return err
	}
	var out strings.Builder
	fmt.Fprintln(&out)
	for _, refusal := range r.refusals {
		fmt.Fprintf(&out, "refused   %s\n", refusal)
	}
	fmt.Fprintf(&out, "property  %d read back from the phones, %d recorded only (this runtime has no such property)\n", r.verified, r.recorded)
	fmt.Fprint(&out, "phases    mean per phone:")
	for _, phase := range []string{"queued", "preparing", "removing", "creating", "booting", "verifying"} {
		if ms, ok := r.PhasesMS[phase]; ok {
			fmt.Fprintf(&out, " %s %d ms", phase, ms)
		}
	}
	fmt.Fprintf(&out, "\ntime      %d phones reset in %.1f s\n\n", r.Succeeded, float64(r.ElapsedMS)/1000)
	if len(r.problems) == 0 {
		fmt.Fprintf(&out, "PASSED: every phone was reset to the new image, every old volume was looked for and is gone, and no phone has its user data.\n")
	} else {
		fmt.Fprintf(&out, "FAILED:\n")
		for _, p := range r.problems {
			fmt.Fprintf(&out, "  %s\n", p)
		}
	}
	_, err := io.WriteString(w, out.String())
	return err
}
