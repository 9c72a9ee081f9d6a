package httpapi_test

import (
	"net/http"
	"testing"

	"github.com/lethe-cloud/lethe/api"
	"github.com/lethe-cloud/lethe/internal/phone"
)

func TestResetPhonesWithRollback(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.putPhones(2)
	got := into[api.Accepted](t, f.call("POST", resetPath, `{"rollback":true,"phones":[{"phone_id":"`+id[string](1)+`"}]}`))
	path := "/lethe/v1/jobs/" + got.Jobs[0].JobID
	if job := into[api.Job](t, f.call("GET", path, "")); !job.Rollback || job.RolledBack {
		t.Errorf("the job %+v", job)
	}
	plain := into[api.Accepted](t, f.call("POST", resetPath, `{"rollback":false,"phones":[{"phone_id":"`+id[string](2)+`"}]}`))
	if job := into[api.Job](t, f.call("GET", "/lethe/v1/jobs/"+plain.Jobs[0].JobID, "")); job.Rollback {
		t.Errorf("the job without the policy %+v", job)
	}
	if e := refused(t, f.call("POST", resetPath, `{"rollback":"yes","phones":[{"phone_id":"`+id[string](1)+`"}]}`), http.StatusBadRequest); e.Field != "rollback" {
		t.Errorf("a policy that is none: %+v", e)
	}

	done := f.store.AllJobs()[0]
	done.Phase, done.RolledBack, done.Failure = phone.PhaseFailed, true, &phone.Failure{Reason: phone.ReasonNoSpace, Msg: "no room"}
	f.store.Put(done)
	if job := into[api.Job](t, f.call("GET", path, "")); !job.RolledBack || job.Failure == nil || job.Failure.Reason != "no_space" {
		t.Errorf("the job that was rolled back %+v", job)
	}
}
