package httpapi_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/lethe-cloud/lethe/api"
	"github.com/lethe-cloud/lethe/internal/phone"
)

const resetPath = "/lethe/v1/phones/batch-reset"

// putPhones gives n running phones, numbered from 1, on a server.
func (f *fixture) putPhones(n int) {
	f.store.Put(phone.Server{ID: id[phone.ServerID](1), Project: projectA, Status: phone.ServerNormal, Driver: "simulated", ImageLabel: "cloud_phone"})
	f.store.Put(phone.Image{ID: id[phone.ImageID](7), Project: projectA, Label: "cloud_phone"})
	for i := range n {
		f.store.Put(phone.Phone{
			ID: id[phone.ID](i + 1), Project: projectA, Server: id[phone.ServerID](1), Status: phone.StatusRunning, Generation: 1, LastGeneration: 1,
			Properties: phone.Properties{"com.cph.mainkeys": "0"},
		})
	}
}

func TestResetPhones(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.putPhones(3)
	body := `{"image_id":"` + id[string](7) + `","phones":[
		{"phone_id":"` + id[string](1) + `","property":"{\"com.cph.mainkeys\":\"1\"}","factory_reset_enabled":true},
		{"phone_id":"` + id[string](99) + `"},
		{"phone_id":"` + id[string](2) + `","property":"{\"nobody.knows\":\"1\"}"}]}`
	first := f.call("POST", resetPath, body, "Idempotency-Key", "k")
	got := into[api.Accepted](t, first)
	want := api.Accepted{RequestID: first.header.Get("X-Request-Id"), Jobs: []api.AcceptedJob{
		{PhoneID: id[string](1), JobID: got.Jobs[0].JobID},
		{PhoneID: id[string](99), Code: "invalid", Msg: "phone_id is not the id of a phone of this project", Reason: "phone_invalid"},
		{PhoneID: id[string](2), Code: "invalid", Msg: got.Jobs[2].Msg, Reason: "property_unsupported", Field: "nobody.knows"},
	}}
	if diff := cmp.Diff(want, got); diff != "" || got.Jobs[0].JobID == "" {
		t.Error(diff)
	}
	job := into[api.Job](t, f.call("GET", "/lethe/v1/jobs/"+got.Jobs[0].JobID, ""))
	if job.ImageID != id[string](7) || !job.FactoryReset || job.RequestID != got.RequestID {
		t.Errorf("the job %+v", job)
	}
	again := f.call("POST", resetPath, body, "Idempotency-Key", "k")
	if diff := cmp.Diff(got, into[api.Accepted](t, again)); diff != "" || again.header.Get("X-Request-Id") != got.RequestID {
		t.Errorf("again under the key: %s", diff)
	}
	other := `{"phones":[{"phone_id":"` + id[string](3) + `"}]}`
	if e := refused(t, f.call("POST", resetPath, other, "Idempotency-Key", "k"), http.StatusConflict); e.Reason != "idempotency_key_reused" {
		t.Errorf("another call under the key: %+v", e)
	}
	if busy := into[api.Accepted](t, f.call("POST", resetPath, body)).Jobs[0]; busy.Code != "precondition" || busy.Reason != "phone_busy" {
		t.Errorf("a phone that is being reset: %+v", busy)
	}
}

func TestResetPhonesRefused(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.putPhones(1)
	one := `{"phone_id":"` + id[string](1) + `"}`
	tests := []struct {
		name, body, token string
		status            int
		want              api.Error
	}{
		{"no phones", `{}`, "owner", http.StatusBadRequest, api.Error{Code: "invalid", Reason: "phones_invalid"}},
		{"phones is no list", `{"phones":{}}`, "owner", http.StatusBadRequest, api.Error{Code: "invalid", Field: "phones"}},
		{"an unknown field", `{"phones":[{"phone":"x"}]}`, "owner", http.StatusBadRequest, api.Error{Code: "invalid", Field: "phones[0]"}},
		{"too many", `{"phones":[` + strings.Repeat("{},", 1000) + `{}]}`, "owner", http.StatusBadRequest, api.Error{Code: "exhausted", Reason: "phones_too_many", Field: "phones"}},
		{"a bad image", `{"image_id":"x","phones":[` + one + `]}`, "owner", http.StatusBadRequest, api.Error{Code: "invalid", Reason: "image_invalid"}},
		{"no such image", `{"image_id":"` + id[string](8) + `","phones":[` + one + `]}`, "owner", http.StatusNotFound, api.Error{Code: "not_found", Reason: "image_not_found"}},
		{"a canary of none", `{"pace":{"first":0},"phones":[` + one + `]}`, "owner", http.StatusBadRequest, api.Error{Code: "invalid", Reason: "pace_invalid", Field: "pace.first"}},
		{"none at once", `{"pace":{"at_once":-2},"phones":[` + one + `]}`, "owner", http.StatusBadRequest, api.Error{Code: "invalid", Reason: "pace_invalid", Field: "pace.at_once"}},
		{"more than all", `{"pace":{"stop_percent":101},"phones":[` + one + `]}`, "owner", http.StatusBadRequest, api.Error{Code: "invalid", Reason: "pace_invalid", Field: "pace.stop_percent"}},
		{"half a phone at once", `{"pace":{"at_once":0.5},"phones":[` + one + `]}`, "owner", http.StatusBadRequest, api.Error{Code: "invalid", Field: "pace.at_once"}},
		{"a rule that there is not", `{"pace":{"last":5},"phones":[` + one + `]}`, "owner", http.StatusBadRequest, api.Error{Code: "invalid", Field: "pace"}},
		{"no permission", `{"phones":[` + one + `]}`, "user cph:phones:get", http.StatusForbidden, api.Error{Code: "forbidden"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			e := refused(t, f.call("POST", resetPath, tt.body, "X-Auth-Token", tt.token), tt.status)
			tt.want.RequestID, tt.want.Msg = e.RequestID, e.Msg
			if diff := cmp.Diff(tt.want, e); diff != "" {
				t.Error(diff, e.Msg)
			}
		})
	}
	if jobs := f.store.AllJobs(); len(jobs) != 0 {
		t.Errorf("refused calls left %d jobs", len(jobs))
	}
}

func TestResetAtAPace(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.putPhones(4)
	var phones []string
	for i := range 4 {
		phones = append(phones, `{"phone_id":"`+id[string](i+1)+`"}`)
	}
	list := `"phones":[` + strings.Join(phones, ",") + `]`
	paced := `{"pace":{"first":1,"at_once":3,"stop_percent":0},` + list + `}`
	accepted := into[api.Accepted](t, f.call("POST", resetPath, paced, "Idempotency-Key", "k"))
	path := "/lethe/v1/requests/" + accepted.RequestID
	want := api.Progress{
		RequestID: accepted.RequestID, ProjectID: projectA, Kind: "reset", CreateTime: clock, Total: 4,
		Phases: []api.PhaseCount{{Phase: "held", Count: 3}, {Phase: "queued", Count: 1}}, Pace: &api.Pace{First: new(1), AtOnce: new(3), StopPercent: new(0)},
	}
	if diff := cmp.Diff(want, into[api.Progress](t, f.call("GET", path, ""))); diff != "" {
		t.Error(diff)
	}
	if again := into[api.Accepted](t, f.call("POST", resetPath, paced, "Idempotency-Key", "k")); again.RequestID != accepted.RequestID {
		t.Errorf("again under the key: %+v", again)
	}
	for _, other := range []string{`{` + list + `}`, `{"pace":{"first":1,"at_once":3},` + list + `}`} {
		if e := refused(t, f.call("POST", resetPath, other, "Idempotency-Key", "k"), http.StatusConflict); e.Reason != "idempotency_key_reused" {
			t.Errorf("another pace under the key: %+v", e)
		}
	}

	stop := phone.PaceStop{At: clock, Failed: 1, Ended: 1, Of: 1}
	f.store.Put(phone.Request{
		ID: phone.RequestID(accepted.RequestID), Project: projectA, Kind: phone.KindReset, CreatedAt: clock, Pace: &phone.Pace{StopPercent: new(0)}, Stopped: &stop,
	})
	progress := into[api.Progress](t, f.call("GET", path, ""))
	stopped := &api.Stopped{Time: clock, Failed: 1, Ended: 1, Msg: "1 of 1 phones failed, more than the 0 % that the request allows.", Detail: stop.Cure()}
	if diff := cmp.Diff(stopped, progress.Stopped); diff != "" {
		t.Error(diff)
	}
	if out := into[api.Cancelled](t, f.call("POST", path+"/cancel", "")); out.Cancelled != 4 {
		t.Errorf("cancelled %+v", out)
	}
}
