package storetest

import (
	"testing"
	"time"

	"github.com/lethe-cloud/lethe/internal/phone"
)

// working is a fixture with a reset of n phones on one server with as many slots, and a registered replica.
func working(t *testing.T, f Fixture, n int) []phone.JobID {
	t.Helper()
	in := f.Fleet(t, f.Project(0), f.Image(t).ID, n, n)
	must(t, "Register", f.Register(t.Context(), "r1", time.Minute))
	return f.Reset(t, f.Project(0), ids(in.Phones)...)
}

func testClaim(t *testing.T, f Fixture) {
	jobs := working(t, f, 2)
	id := jobs[0]
	a, err := f.Claim(t.Context(), phone.Delivery{Job: id, Attempt: 1}, "r1")
	must(t, "Claim", err)
	job := f.job(t, id)
	server, err := f.Server(t.Context(), f.Project(0), job.Server)
	must(t, "Server", err)
	images, err := f.Images(t.Context(), imageByID(f.Project(0), job.Image))
	must(t, "Images", err)
	equal(t, "the assignment", a, phone.Assignment{
		Job: job, Phone: f.phone(t, job.Phone), Server: server, Image: images[0], Identity: phone.ImageIdentity{ID: "sha256:1"},
		Fence: phone.Fence{Job: id, Attempt: 1, Replica: "r1"},
	})
	equal(t, "the owner", job.Owner, phone.ReplicaID("r1"))

	f.unchanged(t, "claiming again", func() {
		again, err := f.Claim(t.Context(), phone.Delivery{Job: id, Attempt: 1}, "r1")
		must(t, "Claim again", err)
		equal(t, "the assignment again", again, a)
	})
	f.unchanged(t, "claims in vain", func() {
		for what, d := range map[string]phone.Delivery{
			"an owned job":    {Job: id, Attempt: 1},
			"an old delivery": {Job: jobs[1], Attempt: 0},
			"a later attempt": {Job: jobs[1], Attempt: 2},
			"no job":          {Job: phone.NewID[phone.JobID](), Attempt: 1},
		} {
			_, err := f.Claim(t.Context(), d, "r2")
			refused(t, what, err, phone.Conflict, phone.ReasonFenced)
		}
	})
	f.finish(t, a)
	_, err = f.Claim(t.Context(), phone.Delivery{Job: id, Attempt: 1}, "r1")
	refused(t, "a finished job", err, phone.Conflict, phone.ReasonFenced)
}

func testAdvance(t *testing.T, f Fixture) {
	in := f.Fleet(t, f.Project(0), f.Image(t).ID, 3, 1)
	must(t, "Register", f.Register(t.Context(), "r1", time.Minute))
	jobs := f.Reset(t, f.Project(0), ids(in.Phones)...)
	a := f.claim(t, jobs[0], "r1")
	want := map[phone.Phase]time.Time{phone.PhaseQueued: f.Clock.Now(), phone.PhaseRemoving: f.Clock.Now()}
	for _, phase := range []phone.Phase{phone.PhaseCreating, phone.PhaseBooting, phone.PhaseVerifying} {
		f.Clock.Advance(time.Second)
		must(t, "Advance", f.Advance(t.Context(), a.Fence, phase))
		want[phase] = f.Clock.Now()
		j := f.job(t, jobs[0])
		equal(t, "phase", j.Phase, phase)
		equal(t, "when phases began", j.PhaseAt, want)
		f.scheduled(t)
		f.Clock.Advance(time.Second)
		f.unchanged(t, "advancing again", func() { must(t, "Advance again", f.Advance(t.Context(), a.Fence, phase)) })
	}
	equal(t, "the next has the slot", f.phases(t, jobs[1:]...), []phone.Phase{phone.PhaseRemoving, phone.PhaseQueued})
	f.unchanged(t, "going back or out of order", func() {
		for _, phase := range []phone.Phase{
			phone.PhaseQueued, phone.PhasePreparing, phone.PhaseRemoving, phone.PhaseBooting, phone.PhaseSucceeded, phone.PhaseFailed, phone.PhaseCancelled,
		} {
			refused(t, "Advance to "+string(phase), f.Advance(t.Context(), a.Fence, phase), phone.Precondition, "")
		}
		refused(t, "Prepared", f.Prepared(t.Context(), a.Fence, phone.ImageIdentity{ID: "x"}), phone.Precondition, "")
	})
	b := f.claim(t, jobs[1], "r1")
	f.unchanged(t, "ending a job that holds a slot", func() {
		for _, phase := range []phone.Phase{phone.PhaseQueued, phone.PhasePreparing, phone.PhaseSucceeded} {
			refused(t, "Advance to "+string(phase), f.Advance(t.Context(), b.Fence, phase), phone.Precondition, "")
		}
		refused(t, "Finish", f.Finish(t.Context(), b.Fence, phone.Receipt{}), phone.Precondition, "")
		refused(t, "Erased", f.Erased(t.Context(), b.Fence, nil, f.Clock.Now()), phone.Precondition, "")
	})
	must(t, "Advance over a phase", f.Advance(t.Context(), b.Fence, phone.PhaseVerifying))
	equal(t, "the last has the slot", f.phases(t, jobs...), []phone.Phase{phone.PhaseVerifying, phone.PhaseVerifying, phone.PhaseRemoving})
}

func testFinish(t *testing.T, f Fixture) {
	in := f.Fleet(t, f.Project(0), f.Image(t).ID, 2, 2)
	next := f.Image(t)
	f.exec(t, `INSERT INTO host_images (server_id, image_id, identity_id, identity_digest, prepared_at) VALUES ($1, $2, 'sha256:2', 'd', 0)`, string(in.Server.ID), string(next.ID))
	must(t, "Register", f.Register(t.Context(), "r1", time.Minute))
	reset := f.ResetInput(f.Project(0), ids(in.Phones)...)
	reset.Image = next.ID
	reset.Items[0].Given = phone.Properties{"com.cph.mainkeys": "1"}
	outcomes, err := f.AcceptReset(t.Context(), reset)
	must(t, "AcceptReset", err)
	a := f.claim(t, outcomes[0].Job, "r1")
	f.advance(t, a.Fence, phone.PhaseVerifying)
	f.unchanged(t, "finishing before erasing", func() {
		refused(t, "Finish before Erased", f.Finish(t.Context(), a.Fence, phone.Receipt{}), phone.Precondition, "")
	})
	volumes := []phone.ErasedVolume{{Name: "v1", Generation: 1, Files: 3, Bytes: 77, Gone: true}}
	lookedFor := f.Clock.Now().Add(time.Second)
	must(t, "Erased", f.Erased(t.Context(), a.Fence, volumes, lookedFor))
	must(t, "Erased again", f.Erased(t.Context(), a.Fence, volumes, lookedFor))
	equal(t, "erase state", f.job(t, a.Job.ID).Erase, phone.EraseDone)
	if r := f.job(t, a.Job.ID).Receipt; r != nil {
		t.Errorf("an unfinished job has the receipt %+v", r)
	}

	f.Clock.Advance(time.Minute)
	receipt := phone.Receipt{
		Phone: a.Phone.ID, Job: a.Job.ID, From: 1, To: 2, Image: next.ID, Identity: a.Identity, Instance: "i2", Volume: "v2", Erased: volumes, LookedFor: lookedFor,
		Properties: []phone.PropertyReading{{Key: "com.cph.mainkeys", Effect: phone.EffectVerified}},
	}
	must(t, "Finish", f.Finish(t.Context(), a.Fence, receipt))
	j := f.job(t, a.Job.ID)
	equal(t, "the receipt", j.Receipt, &receipt)
	equal(t, "the end", []any{j.Phase, j.Owner, j.EndedAt, j.PhaseAt[phone.PhaseSucceeded]}, []any{phone.PhaseSucceeded, phone.ReplicaID(""), f.Clock.Now(), f.Clock.Now()})
	want := in.Phones[0]
	want.Status, want.Generation, want.LastGeneration, want.Image, want.UpdatedAt = phone.StatusRunning, 2, 2, next.ID, f.Clock.Now()
	want.Properties = phone.Properties{"com.cph.mainkeys": "1", "ro.com.cph.non_root": "1"}
	equal(t, "the phone", f.phone(t, a.Phone.ID), want)

	// Another attempt goes on after the erasure: it is told of it, and need not repeat it.
	b := f.claim(t, outcomes[1].Job, "r1")
	f.advance(t, b.Fence, phone.PhaseBooting)
	must(t, "Erased", f.Erased(t.Context(), b.Fence, volumes, lookedFor))
	must(t, "Register", f.Register(t.Context(), "r1", time.Minute))
	_, err = f.Recover(t.Context(), "r1")
	must(t, "Recover", err)
	b = f.claim(t, outcomes[1].Job, "r1")
	equal(t, "what is known of the erasure", b.Job.Receipt, &phone.Receipt{Erased: volumes, LookedFor: lookedFor})
	must(t, "Advance", f.Advance(t.Context(), b.Fence, phone.PhaseVerifying))
	must(t, "Finish", f.Finish(t.Context(), b.Fence, phone.Receipt{To: 2}))
	equal(t, "the receipt, filled in", f.job(t, b.Job.ID).Receipt, &phone.Receipt{To: 2, Erased: volumes, LookedFor: lookedFor})
	f.consistent(t)
}

func testFail(t *testing.T, f Fixture) {
	in := f.Fleet(t, f.Project(0), f.Image(t).ID, 4, 1)
	must(t, "Register", f.Register(t.Context(), "r1", time.Minute))
	jobs := f.Reset(t, f.Project(0), ids(in.Phones)...)
	failure := phone.Failure{Reason: phone.ReasonBootTimeout, Msg: "it did not boot", Detail: "raise the timeout"}
	for i, phase := range []phone.Phase{phone.PhaseRemoving, phone.PhaseCreating, phone.PhaseBooting, phone.PhaseVerifying} {
		a := f.claim(t, jobs[i], "r1")
		f.advance(t, a.Fence, phase)
		f.Clock.Advance(time.Second)
		must(t, "Fail", f.Fail(t.Context(), a.Fence, failure))
		j := f.job(t, jobs[i])
		equal(t, "the end", []any{j.Phase, j.Owner, j.EndedAt, j.Failure}, []any{phone.PhaseFailed, phone.ReplicaID(""), f.Clock.Now(), &failure})
		want := in.Phones[i]
		want.Status, want.Generation, want.LastGeneration, want.UpdatedAt = phone.StatusResetFailed, 1, 2, f.Clock.Now()
		equal(t, "the phone", f.phone(t, want.ID), want)
		f.scheduled(t)
	}
	f.consistent(t)
	again := f.Reset(t, f.Project(0), in.Phones[0].ID)
	j := f.job(t, again[0])
	equal(t, "a reset after a failure", []any{j.Target, j.Prior, j.PriorStatus}, []any{phone.Generation(3), phone.Generation(1), phone.StatusResetFailed})

	create := f.ServerInput(f.Project(0), in.Phones[0].Image, 1, 1)
	must(t, "AddServer", f.AddServer(t.Context(), create))
	a := f.claim(t, create.Jobs[0].ID, "r1")
	must(t, "Fail while preparing", f.Fail(t.Context(), a.Fence, failure))
	equal(t, "a phone whose creation failed", f.phone(t, create.Phones[0].ID).Status, phone.StatusCreateFailed)
}

// testFenced makes every write with every wrong fence, in every phase: nothing may change.
func testFenced(t *testing.T, f Fixture) {
	jobs := working(t, f, 3)
	right := f.claim(t, jobs[0], "r1")
	finished := f.claim(t, jobs[1], "r1")
	f.finish(t, finished)
	unclaimed := phone.Fence{Job: jobs[2], Attempt: 1, Replica: "r1"}
	fences := map[string]phone.Fence{
		"an earlier attempt":              {Job: jobs[0], Attempt: 0, Replica: "r1"},
		"a later attempt":                 {Job: jobs[0], Attempt: 2, Replica: "r1"},
		"another replica":                 {Job: jobs[0], Attempt: 1, Replica: "r2"},
		"no replica":                      {Job: jobs[0], Attempt: 1},
		"no job":                          {Job: phone.NewID[phone.JobID](), Attempt: 1, Replica: "r1"},
		"an unclaimed job":                unclaimed,
		"an unclaimed job and no replica": {Job: jobs[2], Attempt: 1},
		"a finished job":                  finished.Fence,
	}
	for _, phase := range []phone.Phase{phone.PhaseRemoving, phone.PhaseCreating, phone.PhaseBooting, phone.PhaseVerifying} {
		f.advance(t, right.Fence, phase)
		for name, fence := range fences {
			f.unchanged(t, name, func() {
				ctx := t.Context()
				refused(t, name, f.Prepared(ctx, fence, phone.ImageIdentity{ID: "x"}), phone.Conflict, phone.ReasonFenced)
				refused(t, name, f.Advance(ctx, fence, phone.PhaseVerifying), phone.Conflict, phone.ReasonFenced)
				refused(t, name, f.Erased(ctx, fence, nil, f.Clock.Now()), phone.Conflict, phone.ReasonFenced)
				refused(t, name, f.Finish(ctx, fence, phone.Receipt{}), phone.Conflict, phone.ReasonFenced)
				refused(t, name, f.Fail(ctx, fence, phone.Failure{Reason: phone.ReasonImageNotFound}), phone.Conflict, phone.ReasonFenced)
				refused(t, name, f.Restore(ctx, fence, phone.Failure{}), phone.Conflict, phone.ReasonFenced)
				refused(t, name, f.RolledBack(ctx, fence, phone.Failure{}), phone.Conflict, phone.ReasonFenced)
			})
		}
	}
	f.finish(t, right)
}
