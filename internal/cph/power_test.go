package cph_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/lethe-cloud/lethe/internal/phone"
)

func post(b *bundle, path, body string) answer {
	b.t.Helper()
	return b.do(http.MethodPost, base+path, "owner", body)
}

// What a stop and a restart answer to a phone in each status.
func TestPowerByStatus(t *testing.T) {
	t.Parallel()
	const busy, notRunning, notEither = "CPS.0042", "CPS.0141", "CPS.0165"
	for status, want := range map[phone.Status][2]string{ // of a stop, of a restart
		phone.StatusRunning: {}, phone.StatusAbnormal: {}, phone.StatusStopFailed: {}, phone.StatusRestartFailed: {},
		phone.StatusStopped:  {notRunning, ""},
		phone.StatusCreating: {busy, busy}, phone.StatusResetting: {busy, busy}, phone.StatusRestarting: {busy, busy}, phone.StatusStopping: {busy, busy},
		phone.StatusFrozen:      {"CPS.0053", "CPS.0053"},
		phone.StatusResetFailed: {notRunning, notEither}, phone.StatusCreateFailed: {notRunning, notEither},
	} {
		for i, call := range []struct {
			path, body string
			doing      phone.Status
		}{
			{"/phones/batch-stop", `{"phone_ids":["%s"]}`, phone.StatusStopping},
			{"/phones/batch-restart", `{"phones":[{"phone_id":"%s","property":""}],"image_id":""}`, phone.StatusRestarting}, // as Terraform sends it
		} {
			b := newBundle(t)
			b.with(func(p *phone.Phone) { p.Status = status })
			before := b.store.AllPhones()[0]
			job := post(b, call.path, fmt.Sprintf(call.body, firstID)).jobs(t)[0]
			after := b.store.AllPhones()[0]
			accepted := job["error_code"] == ""
			if job["error_code"] != want[i] || phone.ValidID(phone.JobID(job["job_id"])) != accepted || job["phone_id"] != string(firstID) {
				t.Errorf("%s of a phone that is %s: %v, want %q", call.path, status, job, want[i])
			}
			if accepted && (after.Status != call.doing || after.LastGeneration != before.LastGeneration) || !accepted && after.Status != before.Status {
				t.Errorf("%s of a phone that is %s makes it %s, generation %d of %d", call.path, status, after.Status, after.LastGeneration, before.LastGeneration)
			}
		}
	}
}

// What refuses a whole call.
func TestPowerRefusals(t *testing.T) {
	t.Parallel()
	one := fmt.Sprintf(`{"phone_id":"%s"}`, firstID)
	many := strings.TrimSuffix(strings.Repeat(`"`+string(firstID)+`",`, 1001), ",")
	for _, tt := range []struct {
		name, path, body string
		status           int
		code             string
	}{
		{"no list", "/phones/batch-stop", `{}`, 400, "CPS.0009"},
		{"an empty list", "/phones/batch-stop", `{"phone_ids":[]}`, 400, "CPS.0009"},
		{"no list of strings", "/phones/batch-stop", `{"phone_ids":[1]}`, 400, "CPS.0080"},
		{"a string", "/phones/batch-stop", `{"phone_ids":"` + string(firstID) + `"}`, 400, "CPS.0080"},
		{"too many", "/phones/batch-stop", `{"phone_ids":[` + many + `]}`, 400, "CPS.0190"},
		{"no object", "/phones/batch-stop", `[]`, 400, "APIGW.0201"},
		{"no list", "/phones/batch-restart", `{}`, 400, "CPS.0077"},
		{"an empty list", "/phones/batch-restart", `{"phones":[]}`, 400, "CPS.0077"},
		{"no object", "/phones/batch-restart", `7`, 400, "CPS.0077"},
		{"no list", "/phones/batch-update-property", `{}`, 400, "CPS.0077"},
		{"no object", "/phones/batch-update-property", `"x"`, 400, "CPS.0077"},
		{"an image that is none", "/phones/batch-restart", `{"image_id":"x","phones":[` + one + `]}`, 400, "CPS.0030"},
		{"an unknown image", "/phones/batch-restart", `{"image_id":"` + strings.Repeat("9", 32) + `","phones":[` + one + `]}`, 400, "CPS.0166"},
		{"a bad value", "/phones/batch-restart", `{"phones":[{"phone_id":"` + string(firstID) + `","property":"{\"com.cph.mainkeys\":7}"}]}`, 200, "CPS.0164"},
	} {
		b := newBundle(t)
		got := post(b, tt.path, tt.body)
		if got.status != tt.status || !strings.Contains(got.body, `"`+tt.code+`"`) || strings.Contains(got.body, "job_id") {
			t.Errorf("%s of %s: %d %s, want %d %s", tt.path, tt.name, got.status, got.body, tt.status, tt.code)
		}
	}
}

// What refuses one element of an update, and what does not.
func TestUpdateElements(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name    string
		status  phone.Status
		element string
		code    string
	}{
		{"running", phone.StatusRunning, `"property":"{\"com.cph.mainkeys\":1}"`, ""},
		{"stopped", phone.StatusStopped, `"property":"{\"com.cph.mainkeys\":\"1\"}"`, ""},
		{"abnormal", phone.StatusAbnormal, `"property":"{}"`, ""},
		{"resetting", phone.StatusResetting, `"property":"{}"`, "CPS.0042"},
		{"frozen", phone.StatusFrozen, `"property":"{}"`, "CPS.0053"},
		{"no property", phone.StatusRunning, `"property":""`, "CPS.0078"},
		{"property is missing", phone.StatusRunning, `"other":1`, "CPS.0078"},
		{"no JSON", phone.StatusRunning, `"property":"a=b"`, "CPS.0078"},
		{"unknown key", phone.StatusRunning, `"property":"{\"no.such.key\":1}"`, "CPS.0163"},
		{"bad value", phone.StatusRunning, `"property":"{\"com.cph.mainkeys\":2}"`, "CPS.0164"},
	} {
		b := newBundle(t)
		b.with(func(p *phone.Phone) { p.Status = tt.status })
		job := post(b, "/phones/batch-update-property", fmt.Sprintf(`{"phones":[{"phone_id":"%s",%s}]}`, firstID, tt.element)).jobs(t)[0]
		if job["error_code"] != tt.code || phone.ValidID(phone.JobID(job["job_id"])) != (tt.code == "") {
			t.Errorf("%s: %v, want %q", tt.name, job, tt.code)
		}
		if after := b.store.AllPhones()[0]; after.Status != tt.status {
			t.Errorf("%s: the phone is %s", tt.name, after.Status)
		}
	}
	b := newBundle(t)
	first := post(b, "/phones/batch-update-property", fmt.Sprintf(`{"phones":[{"phone_id":"%s","property":"{}"}]}`, firstID)).jobs(t)
	reset := b.reset(fmt.Sprintf(`{"phones":[{"phone_id":"%s"}]}`, firstID)).jobs(t)
	if first[0]["error_code"] != "" || reset[0]["error_code"] != "CPS.0042" {
		t.Errorf("an update answers %v, and a reset meanwhile %v", first, reset)
	}
}

// Under a key a stop is accepted once, and the key stands for nothing else.
func TestStopOnce(t *testing.T) {
	t.Parallel()
	b := newBundle(t)
	send := func(path, body string) answer {
		r := httptest.NewRequest(http.MethodPost, base+path, strings.NewReader(body))
		r.Header.Set("X-Auth-Token", "owner")
		r.Header.Set("Idempotency-Key", "k")
		return b.send(r)
	}
	stop := fmt.Sprintf(`{"phone_ids":["%s"]}`, firstID)
	first, again := send("/phones/batch-stop", stop), send("/phones/batch-stop", stop)
	if first.status != 200 || first.body != again.body {
		t.Errorf("%s, then %s", first.body, again.body)
	}
	if other := send("/phones/batch-restart", fmt.Sprintf(`{"phones":[{"phone_id":"%s"}]}`, firstID)); other.status != 400 || !strings.Contains(other.body, "APIGW.0201") {
		t.Errorf("another call under the key: %d %s", other.status, other.body)
	}
}
