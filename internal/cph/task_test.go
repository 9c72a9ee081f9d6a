package cph_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/lethe-cloud/lethe/internal/phone"
)

// What commands answer by the phone's status: a phone keeps it.
func TestCommandsByStatus(t *testing.T) {
	t.Parallel()
	for _, status := range phone.Statuses() {
		want := "CPS.0141"
		switch status {
		case phone.StatusRunning:
			want = ""
		case phone.StatusFrozen:
			want = "CPS.0053"
		}
		b := newBundle(t)
		b.with(func(p *phone.Phone) { p.Status = status })
		job := b.post("/phones/commands", fmt.Sprintf(`{"command":"shell","content":"getprop ro.serialno","phone_ids":[%q]}`, firstID)).jobs(t)[0]
		if job["error_code"] != want || phone.ValidID(phone.JobID(job["job_id"])) != (want == "") || b.store.AllPhones()[0].Status != status {
			t.Errorf("a phone that is %s: %v, want %q; then it is %s", status, job, want, b.store.AllPhones()[0].Status)
		}
	}
}

// What one call makes of its elements, and what its jobs have to do.
func TestCommands(t *testing.T) {
	t.Parallel()
	b := newBundle(t)
	strange := strings.Repeat("0", 32)
	got := b.post("/phones/commands", fmt.Sprintf(`{"command":"uninstall","content":"com.example.app","phone_ids":[%q,"no-id",%q,%q],"server_ids":["x"]}`, firstID, strange, firstID)).jobs(t)
	var codes []string
	for _, job := range got {
		codes = append(codes, job["error_code"])
	}
	if diff := cmp.Diff([]string{"", "CPS.0005", "CPS.0005", "CPS.0023"}, codes); diff != "" {
		t.Error(diff)
	}
	jobs := b.store.AllJobs()
	if last := jobs[len(jobs)-1]; last.Kind != phone.KindUninstall || last.Phase != phone.PhaseWorking || last.Target != last.Prior || string(last.ID) != got[0]["job_id"] {
		t.Errorf("the job: %+v", last)
	}
	reset := b.post("/phones/batch-reset", fmt.Sprintf(`{"phones":[{"phone_id":%q}]}`, firstID)).jobs(t)[0]
	if reset["error_code"] != "" {
		t.Errorf("a reset beside a task: %v", reset)
	}
	var detail map[string]any
	if err := json.Unmarshal([]byte(b.get("/jobs/"+got[0]["job_id"]).body), &detail); err != nil {
		t.Fatal(err)
	}
	if detail["status"] != -1.0 || detail["error_code"] != "CPS.0141" || !strings.Contains(fmt.Sprint(detail["error_msg"]), "A reset of the phone was accepted") {
		t.Errorf("a task that a reset ended: %v", detail)
	}
}

// What refuses a whole call.
func TestCommandsRefused(t *testing.T) {
	t.Parallel()
	b := newBundle(t)
	for body, code := range map[string]string{
		`{"command":"reboot","content":"x","phone_ids":["PHONE"]}`:                                 "CPS.0117",
		`{"content":"id","phone_ids":["PHONE"]}`:                                                   "CPS.0117",
		`{"command":"shell","content":"","phone_ids":["PHONE"]}`:                                   "CPS.0118",
		`{"command":"shell","content":"id; reboot","phone_ids":["PHONE"]}`:                         "CPS.0118",
		`{"command":"shell","content":"-c id","phone_ids":["PHONE"]}`:                              "CPS.0118",
		`{"command":"shell","content":7,"phone_ids":["PHONE"]}`:                                    "CPS.0118",
		`{"command":"shell","content":"` + strings.Repeat("x", 1025) + `","phone_ids":["PHONE"]}`:  "CPS.0118",
		`{"command":"uninstall","content":"com.example.app -k","phone_ids":["PHONE"]}`:             "CPS.0118",
		`{"command":"uninstall","content":"-k","phone_ids":["PHONE"]}`:                             "CPS.0118",
		`{"command":"shell","content":"id"}`:                                                       "CPS.0009",
		`{"command":"shell","content":"id","phone_ids":"PHONE"}`:                                   "CPS.0080",
		`{"command":"shell","content":"id","server_ids":["` + strings.Repeat(`x","`, 100) + `x"]}`: "CPS.0096",
	} {
		if got := b.post("/phones/commands", strings.ReplaceAll(body, "PHONE", string(firstID))); got.status != 400 || !strings.Contains(got.body, `"`+code+`"`) {
			t.Errorf("%s: %d %s, want %s", body, got.status, got.body, code)
		}
	}
	if n := len(b.store.AllJobs()); n != 0 {
		t.Errorf("refused calls made jobs: %d", n)
	}
}
