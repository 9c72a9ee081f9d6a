package httpapi_test

import (
	"net/http"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/lethe-cloud/lethe/api"
	"github.com/lethe-cloud/lethe/internal/phone"
)

// putRequest gives a request with a job in each of the phases, numbered from 1, on phones with the same numbers.
func (f *fixture) putRequest(phases ...phone.Phase) phone.RequestID {
	request := id[phone.RequestID](50)
	f.store.Put(
		phone.Request{ID: request, Project: projectA, Kind: phone.KindReset, CreatedAt: clock},
		phone.Server{ID: id[phone.ServerID](1), Project: projectA, Status: phone.ServerNormal},
	)
	for i, phase := range phases {
		f.store.Put(
			phone.Phone{ID: id[phone.ID](i + 1), Project: projectA, Server: id[phone.ServerID](1), Status: phone.StatusResetting, Generation: 1, LastGeneration: 2},
			phone.Job{
				ID: id[phone.JobID](i + 1), Request: request, Project: projectA, Phone: id[phone.ID](i + 1), Server: id[phone.ServerID](1), Kind: phone.KindReset,
				Phase: phase, Erase: phone.ErasePending, Target: 2, Prior: 1, PriorStatus: phone.StatusRunning, CreatedAt: clock,
			},
		)
	}
	return request
}

func TestCancel(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	request := f.putRequest(phone.PhaseSucceeded, phone.PhaseBooting, phone.PhasePreparing, phone.PhaseQueued, phone.PhaseQueued)
	one := into[api.Cancelled](t, f.call("POST", "/lethe/v1/jobs/"+id[string](4)+"/cancel", ""))
	if diff := cmp.Diff(api.Cancelled{JobID: id[string](4), Cancelled: 1}, one); diff != "" {
		t.Error(diff)
	}
	all := into[api.Cancelled](t, f.call("POST", "/lethe/v1/requests/"+string(request)+"/cancel", "{}"))
	if diff := cmp.Diff(api.Cancelled{RequestID: string(request), Cancelled: 2, Finishing: 1, Ended: 2}, all); diff != "" {
		t.Error(diff)
	}
	job := into[api.Job](t, f.call("GET", "/lethe/v1/jobs/"+id[string](3), ""))
	if job.Phase != "cancelled" || job.Status != -1 || job.Failure == nil || job.Failure.Reason != "cancelled" || job.Failure.Msg == "" {
		t.Errorf("job %+v, failure %+v", job, job.Failure)
	}
	if p := into[api.Phone](t, f.call("GET", "/lethe/v1/phones/"+id[string](3), "")); p.Status != 2 || p.LastGeneration != 2 {
		t.Errorf("phone %+v", p)
	}
	refused(t, f.call("POST", "/lethe/v1/jobs/"+id[string](99)+"/cancel", ""), http.StatusNotFound)
	refused(t, f.call("POST", "/lethe/v1/requests/"+id[string](99)+"/cancel", ""), http.StatusNotFound)
	refused(t, f.call("POST", "/lethe/v1/requests/"+string(request)+"/cancel", "", "X-Auth-Token", "user cph:servers:create"), http.StatusForbidden)
	refused(t, f.call("POST", "/lethe/v1/requests/"+string(request)+"/cancel", `{"phones":[]}`), http.StatusBadRequest)
}

func TestRetry(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	path := "/lethe/v1/requests/" + string(f.putRequest(phone.PhaseSucceeded, phone.PhaseBooting, phone.PhaseFailed, phone.PhaseCancelled)) + "/retry"
	for n, status := range map[int]phone.Status{3: phone.StatusResetFailed, 4: phone.StatusFrozen} {
		f.store.Put(phone.Phone{ID: id[phone.ID](n), Project: projectA, Server: id[phone.ServerID](1), Status: status, LastGeneration: 2})
	}
	first := f.call("POST", path, "", "Idempotency-Key", "k")
	got := into[api.Accepted](t, first)
	want := api.Accepted{RequestID: first.header.Get("X-Request-Id"), Jobs: []api.AcceptedJob{
		{PhoneID: id[string](3), JobID: got.Jobs[0].JobID}, {PhoneID: id[string](4), Code: "precondition", Msg: "the phone is frozen", Reason: "phone_frozen"},
	}}
	if diff := cmp.Diff(want, got); diff != "" || got.Jobs[0].JobID == "" {
		t.Error(diff)
	}
	again := f.call("POST", path, "{}", "Idempotency-Key", "k")
	if diff := cmp.Diff(got, into[api.Accepted](t, again)); diff != "" || again.header.Get("X-Request-Id") != got.RequestID {
		t.Errorf("again under the key: %s", diff)
	}
	other := "/lethe/v1/requests/" + got.RequestID + "/retry"
	if e := refused(t, f.call("POST", other, "", "Idempotency-Key", "k"), http.StatusConflict); e.Reason != "idempotency_key_reused" || e.Field != "Idempotency-Key" {
		t.Errorf("another request under the key: %+v", e)
	}
	if e := refused(t, f.call("POST", other, ""), http.StatusConflict); e.Reason != "nothing_to_retry" {
		t.Errorf("a retry that is at work: %+v", e)
	}
	if e := refused(t, f.call("POST", path, "", "Idempotency-Key", ""), http.StatusBadRequest); e.Reason != "idempotency_key_invalid" {
		t.Errorf("an empty key: %+v", e)
	}
	refused(t, f.call("POST", path, "[]"), http.StatusBadRequest)
	refused(t, f.call("POST", path, "", "X-Auth-Token", "user cph:servers:create"), http.StatusForbidden)
}
