package fleet_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/lethe-cloud/lethe/internal/account"
	"github.com/lethe-cloud/lethe/internal/fleet"
	"github.com/lethe-cloud/lethe/internal/phone"
)

// created is a request that creates a phone, and its job.
const (
	created    phone.RequestID = "88888888888888888888888888888888"
	createdJob phone.JobID     = "99999999999999999999999999999999"
)

// running is a request that resets both phones; the second holds a slot.
func (b bundle) running(t *testing.T) (phone.RequestID, []phone.Outcome) {
	t.Helper()
	request, outcomes, err := b.ResetPhones(t.Context(), owner(), fleet.ResetPhones{Project: project, Phones: []fleet.ResetPhone{{ID: string(firstID)}, {ID: string(secondID)}}})
	if err != nil {
		t.Fatal(err)
	}
	second := b.store.AllJobs()[1]
	second.Phase = phone.PhaseRemoving
	b.store.Put(second, phone.Request{ID: created, Project: project, Kind: phone.KindCreate},
		phone.Job{ID: createdJob, Request: created, Project: project, Kind: phone.KindCreate, Phase: phone.PhaseBooting})
	return request, outcomes
}

func TestCancelRequest(t *testing.T) {
	t.Parallel()
	b := newBundle(t)
	request, _ := b.running(t)
	caller := user(fleet.ActionPhonesReset)
	caller.User.Name = "ada"
	for i, want := range []phone.Cancellation{{Cancelled: 1, Finishing: 1}, {Finishing: 1, Ended: 1}} {
		got, err := b.CancelRequest(t.Context(), caller, project, request)
		if diff := cmp.Diff(want, got); err != nil || diff != "" {
			t.Errorf("call %d: %v, %s", i, err, diff)
		}
	}
	job := b.store.AllJobs()[0]
	if job.Phase != phone.PhaseCancelled || job.Failure.Reason != phone.ReasonCancelled || job.Failure.Msg == "" || !strings.Contains(job.Failure.Detail, "ada") {
		t.Errorf("job %+v, failure %+v", job, job.Failure)
	}
	if p := b.store.AllPhones()[0]; p.Status != phone.StatusRunning || p.LastGeneration != 4 {
		t.Errorf("phone %+v", p)
	}
}

func TestCancelJob(t *testing.T) {
	t.Parallel()
	b := newBundle(t)
	_, outcomes := b.running(t)
	for i, want := range []phone.Cancellation{{Cancelled: 1}, {Finishing: 1}} {
		got, err := b.CancelJob(t.Context(), owner(), project, outcomes[i].Job)
		if diff := cmp.Diff(want, got); err != nil || diff != "" {
			t.Errorf("job %d: %v, %s", i, err, diff)
		}
	}
}

// Whoever may make a request may cancel it, and nobody else; who may do neither learns nothing of what there is.
func TestWhoMayCancel(t *testing.T) {
	t.Parallel()
	b := newBundle(t)
	request, outcomes := b.running(t)
	const nowhere = "ffffffffffffffffffffffffffffffff"
	resetter, creator, reader := user(fleet.ActionPhonesReset), user(fleet.ActionServersCreate), user(fleet.ActionJobsList, fleet.ActionJobsGet)
	stranger := account.Caller{Identity: account.Identity{User: account.User{Owner: true}}, Scope: string(other)}
	for name, tt := range map[string]struct {
		caller  account.Caller
		request phone.RequestID
		job     phone.JobID
		code    phone.Code
	}{
		"a reset by who may reset":     {resetter, request, outcomes[1].Job, ""},
		"a creation by who may reset":  {resetter, created, createdJob, phone.Forbidden},
		"a creation by who may create": {creator, created, createdJob, ""},
		"a reset by who may create":    {creator, request, outcomes[1].Job, phone.Forbidden},
		"a reset by who may only look": {reader, request, outcomes[1].Job, phone.Forbidden},
		"nothing by who may only look": {reader, nowhere, nowhere, phone.Forbidden},
		"nothing by who may reset":     {resetter, nowhere, nowhere, phone.NotFound},
		"something malformed":          {owner(), "x", "x", phone.NotFound},
		"a reset from outside":         {stranger, request, outcomes[1].Job, phone.Forbidden},
	} {
		if _, err := b.CancelRequest(t.Context(), tt.caller, project, tt.request); phone.CodeOf(err) != tt.code {
			t.Errorf("request: %s: %v, want %q", name, err, tt.code)
		}
		if _, err := b.CancelJob(t.Context(), tt.caller, project, tt.job); phone.CodeOf(err) != tt.code {
			t.Errorf("job: %s: %v, want %q", name, err, tt.code)
		}
	}
}
