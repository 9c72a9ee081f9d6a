package httpapi_test

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

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
		phone.Image{ID: id[phone.ImageID](60), Project: projectA},
	)
	for i, phase := range phases {
		f.store.Put(
			phone.Phone{ID: id[phone.ID](i + 1), Project: projectA, Server: id[phone.ServerID](1), Status: phone.StatusResetting, Generation: 1, LastGeneration: 2},
			phone.Job{
				ID: id[phone.JobID](i + 1), Request: request, Project: projectA, Phone: id[phone.ID](i + 1), Server: id[phone.ServerID](1), Kind: phone.KindReset,
				Phase: phase, Erase: phone.ErasePending, Target: 2, Prior: 1, PriorStatus: phone.StatusRunning, CreatedAt: clock,
				Image: id[phone.ImageID](60),
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

// A wait ends with the request, when the process stops, and when the caller leaves, which is nobody's failure.
func TestWait(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	path := "/lethe/v1/requests/" + string(f.putRequest(phone.PhaseBooting)) + "?wait="
	if progress := into[api.Progress](t, f.call("GET", path+"1ms", "")); progress.Finished || progress.Total != 1 {
		t.Errorf("after its time: %+v", progress)
	}
	for _, bad := range []string{"soon", "30", "-1s", "61s"} {
		if e := refused(t, f.call("GET", path+bad, ""), http.StatusBadRequest); e.Field != "wait" {
			t.Errorf("%s: %+v", bad, e)
		}
	}

	ctx, leave := context.WithCancel(t.Context())
	gone := make(chan error, 1)
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, f.url+path+"60s", nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("X-Auth-Token", "owner")
	before := f.store.Calls()
	go func() {
		response, err := http.DefaultClient.Do(r)
		if err == nil {
			err = response.Body.Close()
		}
		gone <- err
	}()
	f.until(func() bool { return f.store.Calls() > before })
	leave()
	if err := <-gone; !errors.Is(err, context.Canceled) {
		t.Errorf("the caller who left: %v", err)
	}
	f.until(func() bool { return strings.Contains(f.log.String(), `"err":"context canceled"`) })
	if strings.Contains(f.log.String(), `"level":"ERROR"`) {
		t.Errorf("a caller who leaves is logged as a failure: %s", f.log)
	}

	answers := make(chan answer, 2)
	before = f.store.Calls()
	go func() { answers <- f.call("GET", path+"60s", "") }()
	f.until(func() bool { return f.store.Calls() > before })
	job := f.store.AllJobs()[0]
	job.Phase = phone.PhaseFailed
	f.store.Put(job)
	if progress := into[api.Progress](t, <-answers); !progress.Finished {
		t.Errorf("when it had finished: %+v", progress)
	}

	job.Phase = phone.PhaseBooting
	f.store.Put(job)
	before = f.store.Calls()
	go func() { answers <- f.call("GET", path+"60s", "") }()
	f.until(func() bool { return f.store.Calls() > before })
	close(f.stopping)
	if progress := into[api.Progress](t, <-answers); progress.Finished {
		t.Errorf("when the process stopped: %+v", progress)
	}
}

// until looks until it is so.
func (f *fixture) until(so func() bool) {
	f.t.Helper()
	for deadline := time.Now().Add(time.Minute); !so(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			f.t.Fatal("it was not so for a minute")
		}
	}
}
