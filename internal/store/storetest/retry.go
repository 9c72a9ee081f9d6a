package storetest

import (
	"sync"
	"testing"
	"time"

	"github.com/lethe-cloud/lethe/internal/fleet"
	"github.com/lethe-cloud/lethe/internal/phone"
)

// retryInput is a retry of a request of the first project.
func (f Fixture) retryInput(of phone.RequestID) fleet.RetryJobs {
	reset := f.ResetInput(f.Project(0))
	return fleet.RetryJobs{Request: reset.Request, Of: of, Check: reset.Check}
}

// testRetry retries a request of which two jobs failed, one was cancelled, one succeeded, one was reset since, one is at work.
func testRetry(t *testing.T, f Fixture) {
	ctx := t.Context()
	image, next := f.Image(t), f.Image(t)
	in := f.Fleet(t, f.Project(0), image.ID, 6, 5)
	f.exec(t, `INSERT INTO host_images (server_id, image_id, identity_id, identity_digest, prepared_at) VALUES ($1, $2, 'sha256:1', '', 0)`, string(in.Server.ID), string(next.ID))
	must(t, "Register", f.Register(ctx, "r1", time.Minute))
	reset := f.ResetInput(f.Project(0), ids(in.Phones[:6])...)
	reset.Image = next.ID
	reset.Items[0].Given = phone.Properties{"com.cph.mainkeys": "1"}
	reset.Items[1].Given, reset.Items[1].Factory = phone.Properties{"com.cph.mainkeys": "0"}, true
	outcomes, err := f.AcceptReset(ctx, reset)
	must(t, "AcceptReset", err)
	equal(t, "what is cancelled", f.cancelRequest(t, reset.Request.ID), phone.Cancellation{Cancelled: 1, Finishing: 5})
	for i, o := range outcomes[:4] {
		a := f.claim(t, o.Job, "r1")
		if i == 2 {
			f.finish(t, a)
			continue
		}
		must(t, "Fail", f.Fail(ctx, a.Fence, phone.Failure{Reason: phone.ReasonBootTimeout}))
	}
	f.Clock.Advance(time.Minute)
	since := f.Reset(t, f.Project(0), in.Phones[3].ID)
	f.finish(t, f.claim(t, since[0], "r1"))
	equal(t, "what there is", f.phases(t, outcomes[0].Job, outcomes[1].Job, outcomes[2].Job, outcomes[3].Job, outcomes[4].Job, outcomes[5].Job), []phone.Phase{
		phone.PhaseFailed, phone.PhaseFailed, phone.PhaseSucceeded, phone.PhaseFailed, phone.PhaseRemoving, phone.PhaseCancelled,
	})
	untouched := map[int]phone.Phone{2: f.phone(t, in.Phones[2].ID), 3: f.phone(t, in.Phones[3].ID), 4: f.phone(t, in.Phones[4].ID)}

	f.Clock.Advance(time.Minute)
	retry := f.retryInput(reset.Request.ID)
	id, retried, err := f.Retry(ctx, retry)
	must(t, "Retry", err)
	equal(t, "the new request", id, retry.Request.ID)
	want := []phone.Outcome{{PhoneID: reset.Items[0].PhoneID}, {PhoneID: reset.Items[1].PhoneID}, {PhoneID: reset.Items[5].PhoneID}}
	for i := range want {
		want[i].Job = retried[i].Job
	}
	equal(t, "its phones", retried, want)
	for i, n := range []int{0, 1, 5} {
		before, after := f.job(t, outcomes[n].Job), f.job(t, retried[i].Job)
		equal(t, "the new job", []any{after.Kind, after.Request, after.Image, after.Properties, after.Factory, after.Target},
			[]any{phone.KindReset, id, next.ID, before.Properties, before.Factory, before.Target + 1})
	}
	equal(t, "the properties after a factory reset", f.job(t, retried[1].Job).Properties, phone.Properties{"com.cph.mainkeys": "0"})
	for i, p := range untouched {
		equal(t, "a phone that did not fail", f.phone(t, in.Phones[i].ID), p)
	}
	f.consistent(t)
	f.scheduled(t)
	f.unchanged(t, "a retry while the first is at work", func() {
		_, outcomes, err := f.Retry(ctx, f.retryInput(reset.Request.ID))
		refused(t, "Retry", err, phone.Precondition, phone.ReasonNothingToRetry)
		equal(t, "its outcomes", outcomes, nil)
	})

	// A retry that failed is retried by its own id, and the first request's has nothing to do with it any more.
	must(t, "Fail", f.Fail(ctx, f.claim(t, retried[0].Job, "r1").Fence, phone.Failure{Reason: phone.ReasonBootExited}))
	_, _, err = f.Retry(ctx, f.retryInput(reset.Request.ID))
	refused(t, "a retry of the first", err, phone.Precondition, phone.ReasonNothingToRetry)
	_, again, err := f.Retry(ctx, f.retryInput(id))
	must(t, "a retry of the retry", err)
	equal(t, "phones of the retry of the retry", len(again), 1)
	f.consistent(t)
}

func testRetryRefuses(t *testing.T, f Fixture) {
	ctx := t.Context()
	image := f.Image(t)
	create := f.ServerInput(f.Project(0), image.ID, 2, 1)
	must(t, "AddServer", f.AddServer(ctx, create))
	f.cancelRequest(t, create.Request.ID)
	foreign := f.retryInput(create.Request.ID)
	foreign.Request.Project = f.Project(1)
	f.unchanged(t, "a retry that is refused", func() {
		_, _, err := f.Retry(ctx, foreign)
		refused(t, "another project's request", err, phone.NotFound, phone.ReasonRequestNotFound)
		_, _, err = f.Retry(ctx, f.retryInput(phone.NewID[phone.RequestID]()))
		refused(t, "no request", err, phone.NotFound, phone.ReasonRequestNotFound)
	})
	// A creation that was cancelled is made good by a reset; a server that is not normal refuses its phones one by one.
	f.exec(t, `UPDATE servers SET status = 2 WHERE id = $1`, string(create.Server.ID))
	_, outcomes, err := f.Retry(ctx, f.retryInput(create.Request.ID))
	must(t, "Retry on a server that is down", err)
	for _, o := range outcomes {
		refused(t, "its phone", o.Err, phone.Precondition, phone.ReasonServerNotReady)
	}
	f.exec(t, `UPDATE servers SET status = 5 WHERE id = $1`, string(create.Server.ID))

	// Retries at once and under one key make one request; without a key the others find nothing left.
	keyed := f.key("k", 1)
	var group sync.WaitGroup
	var requests [6]phone.RequestID
	for i := range requests {
		group.Go(func() {
			retry := f.retryInput(create.Request.ID)
			retry.Key = &keyed
			var err error
			if requests[i], _, err = f.Retry(ctx, retry); err != nil {
				t.Errorf("Retry: %v", err)
			}
		})
	}
	group.Wait()
	for _, id := range requests {
		equal(t, "a retry's request", id, requests[0])
	}
	jobs, err := f.Jobs(ctx, fleet.JobFilter{Project: f.Project(0), Requests: requests[:1]})
	must(t, "Jobs", err)
	for _, j := range jobs {
		equal(t, "a retry of a creation", []any{j.Kind, j.Target, j.Prior, j.Erase, j.Properties}, []any{phone.KindReset, phone.Generation(2), phone.Generation(0), phone.ErasePending, create.Phones[0].Properties})
	}
	equal(t, "jobs of the retry", len(jobs), 2)
	f.consistent(t)
	f.scheduled(t)
}
