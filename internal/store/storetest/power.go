package storetest

import (
	"context"
	"testing"
	"time"

	"github.com/lethe-cloud/lethe/internal/fleet"
	"github.com/lethe-cloud/lethe/internal/phone"
)

// powerInput is a batch of stops or restarts in the first project.
func (f Fixture) powerInput(kind phone.Kind, ids ...phone.ID) fleet.AcceptPower {
	in := fleet.AcceptPower{Request: f.ResetInput(f.Project(0)).Request}
	in.Request.Kind = kind
	for _, id := range ids {
		in.Items = append(in.Items, phone.ResetItem{PhoneID: string(id)})
	}
	return in
}

// plain is a restart that names nothing.
func plain(in fleet.AcceptPower) fleet.AcceptRestart {
	return fleet.AcceptRestart{AcceptPower: in, Check: func(string, phone.Properties) *phone.Error { return nil }}
}

func (f Fixture) acceptPlain(ctx context.Context, in fleet.AcceptPower) (phone.RequestID, []phone.Outcome, error) {
	return f.AcceptRestart(ctx, plain(in))
}

func reasonOf(o phone.Outcome) phone.Reason {
	if o.Err == nil {
		return ""
	}
	return o.Err.Reason
}

// stopped takes phones through a stop and gives its jobs.
func (f Fixture) stopped(t testing.TB, ids ...phone.ID) []phone.JobID {
	t.Helper()
	_, outcomes, err := f.AcceptStop(t.Context(), f.powerInput(phone.KindStop, ids...))
	must(t, "AcceptStop", err)
	jobs := make([]phone.JobID, len(ids))
	for i, o := range outcomes {
		jobs[i] = o.Job
		f.finishStop(t, f.claim(t, o.Job, "r1"))
	}
	return jobs
}

func (f Fixture) finishStop(t testing.TB, a phone.Assignment) {
	t.Helper()
	must(t, "Finish", f.Finish(t.Context(), a.Fence, phone.Receipt{Phone: a.Phone.ID, Job: a.Job.ID, From: a.Job.Prior, To: a.Job.Target}))
}

// testStop: all stops of a batch are set going at once, whatever the slots; one that succeeds leaves its phone 8 and its life as it was,
// one that fails leaves it -9.
func testStop(t *testing.T, f Fixture) {
	ctx := t.Context()
	must(t, "Register", f.Register(ctx, "r1", time.Hour))
	in := f.Fleet(t, f.Project(0), f.Image(t).ID, 4, 1)
	f.Clock.Advance(time.Minute)
	before := f.phone(t, in.Phones[0].ID)
	stop := f.powerInput(phone.KindStop, ids(in.Phones[:3])...)
	id, outcomes, err := f.AcceptStop(ctx, stop)
	must(t, "AcceptStop", err)
	equal(t, "the request", id, stop.Request.ID)
	equal(t, "what is set going", f.phases(t, outcomes[0].Job, outcomes[1].Job, outcomes[2].Job), []phone.Phase{phone.PhaseStopping, phone.PhaseStopping, phone.PhaseStopping})
	equal(t, "its deliveries", len(f.queued(t)), 3)
	j, p := f.job(t, outcomes[0].Job), f.phone(t, in.Phones[0].ID)
	equal(t, "a job", []any{j.Kind, j.Target, j.Prior, j.PriorStatus, j.Erase, j.Image, j.Properties, j.Attempt, j.PhaseAt[phone.PhaseStopping]},
		[]any{phone.KindStop, phone.Generation(1), phone.Generation(1), phone.StatusRunning, phone.EraseNone, before.Image, before.Properties, 1, f.Clock.Now()})
	equal(t, "its phone", []any{p.Status, p.Generation, p.LastGeneration}, []any{phone.StatusStopping, phone.Generation(1), phone.Generation(1)})
	f.consistent(t)
	f.scheduled(t)

	reset := f.Reset(t, f.Project(0), in.Phones[3].ID)
	equal(t, "the slot that no stop holds", f.phases(t, reset...), []phone.Phase{phone.PhaseRemoving})
	for _, step := range []func(phone.Fence) error{
		func(fence phone.Fence) error { return f.Advance(ctx, fence, phone.PhaseBooting) },
		func(fence phone.Fence) error { return f.Erased(ctx, fence, nil, f.Clock.Now()) },
		func(fence phone.Fence) error {
			return f.Restore(ctx, fence, phone.Failure{Reason: phone.ReasonHostGone})
		},
	} {
		a := f.claim(t, outcomes[0].Job, "r1")
		refused(t, "a step that no stop has", step(a.Fence), phone.Precondition, "")
	}
	equal(t, "a stop cannot be cancelled", f.cancelRequest(t, id), phone.Cancellation{Finishing: 3})

	f.finishStop(t, f.claim(t, outcomes[0].Job, "r1"))
	p = f.phone(t, in.Phones[0].ID)
	equal(t, "a stopped phone", []any{p.Status, p.Generation, p.LastGeneration, p.Image, p.Properties, p.UpdatedAt},
		[]any{phone.StatusStopped, phone.Generation(1), phone.Generation(1), before.Image, before.Properties, f.Clock.Now()})
	failing := f.claim(t, outcomes[1].Job, "r1")
	must(t, "Fail", f.Fail(ctx, failing.Fence, phone.Failure{Reason: phone.ReasonHostGone}))
	equal(t, "one that could not be stopped", f.phone(t, in.Phones[1].ID).Status, phone.StatusStopFailed)
	f.consistent(t)

	_, again, err := f.AcceptStop(ctx, f.powerInput(phone.KindStop, in.Phones[0].ID, in.Phones[1].ID, in.Phones[2].ID))
	must(t, "AcceptStop", err)
	equal(t, "stopping again", []phone.Reason{reasonOf(again[0]), reasonOf(again[2])}, []phone.Reason{phone.ReasonPhoneNotRunning, phone.ReasonPhoneBusy})
	equal(t, "what could not be stopped", reasonOf(again[1]), "")
	f.consistent(t)
}

// testRestartPhones: restarts wait for boot slots, begin at removing and keep the life; one that is cancelled gives its phone back.
func testRestartPhones(t *testing.T, f Fixture) {
	ctx := t.Context()
	must(t, "Register", f.Register(ctx, "r1", time.Hour))
	in := f.Fleet(t, f.Project(0), f.Image(t).ID, 3, 1)
	f.stopped(t, in.Phones[0].ID)
	f.Clock.Advance(time.Minute)
	restart := f.powerInput(phone.KindRestart, ids(in.Phones)...)
	_, outcomes, err := f.AcceptRestart(ctx, plain(restart))
	must(t, "AcceptRestart", err)
	jobs := []phone.JobID{outcomes[0].Job, outcomes[1].Job, outcomes[2].Job}
	equal(t, "who has the slot", f.phases(t, jobs...), []phone.Phase{phone.PhaseRemoving, phone.PhaseQueued, phone.PhaseQueued})
	for i, want := range []phone.Status{phone.StatusStopped, phone.StatusRunning, phone.StatusRunning} {
		j := f.job(t, jobs[i])
		equal(t, "a job", []any{j.Kind, j.Target, j.Prior, j.PriorStatus, j.Erase}, []any{phone.KindRestart, phone.Generation(1), phone.Generation(1), want, phone.EraseNone})
		equal(t, "its phone", f.phone(t, in.Phones[i].ID).Status, phone.StatusRestarting)
	}
	f.consistent(t)
	f.scheduled(t)
	cancelled, err := f.Cancel(ctx, fleet.CancelJobs{Project: f.Project(0), Job: jobs[2], Failure: phone.Failure{Reason: phone.ReasonCancelled}})
	must(t, "Cancel", err)
	equal(t, "what is cancelled", cancelled, phone.Cancellation{Cancelled: 1})
	equal(t, "its phone", f.phone(t, in.Phones[2].ID).Status, phone.StatusRunning)

	a := f.claim(t, jobs[0], "r1")
	must(t, "Advance", f.Advance(ctx, a.Fence, phone.PhaseBooting))
	must(t, "Advance", f.Advance(ctx, a.Fence, phone.PhaseVerifying))
	equal(t, "the slot goes on", f.phases(t, jobs[1]), []phone.Phase{phone.PhaseRemoving})
	must(t, "Finish", f.Finish(ctx, a.Fence, phone.Receipt{Phone: a.Phone.ID, Job: a.Job.ID}))
	p := f.phone(t, in.Phones[0].ID)
	equal(t, "a restarted phone", []any{p.Status, p.Generation, p.LastGeneration}, []any{phone.StatusRunning, phone.Generation(1), phone.Generation(1)})
	failing := f.claim(t, jobs[1], "r1")
	must(t, "Fail", f.Fail(ctx, failing.Fence, phone.Failure{Reason: phone.ReasonBootTimeout}))
	equal(t, "one that did not boot", f.phone(t, in.Phones[1].ID).Status, phone.StatusRestartFailed)
	f.consistent(t)
	f.scheduled(t)

	failed := f.claim(t, f.Reset(t, f.Project(0), in.Phones[2].ID)[0], "r1")
	must(t, "Fail", f.Fail(ctx, failed.Fence, phone.Failure{Reason: phone.ReasonBootTimeout}))
	_, refusals, err := f.AcceptRestart(ctx, plain(f.powerInput(phone.KindRestart, in.Phones[2].ID, in.Phones[1].ID, in.Phones[1].ID, phone.NewID[phone.ID]())))
	must(t, "AcceptRestart", err)
	var reasons []phone.Reason
	for _, o := range refusals {
		reasons = append(reasons, reasonOf(o))
	}
	equal(t, "what a restart answers", reasons, []phone.Reason{phone.ReasonPhoneNotRestartable, "", phone.ReasonPhoneDuplicate, phone.ReasonPhoneInvalid})
}

// testPowerRetry: a retry stops or restarts again, and not what anything else was asked of since; it never resets.
func testPowerRetry(t *testing.T, f Fixture) {
	ctx := t.Context()
	must(t, "Register", f.Register(ctx, "r1", time.Hour))
	in := f.Fleet(t, f.Project(0), f.Image(t).ID, 3, 3)
	for _, kind := range []phone.Kind{phone.KindStop, phone.KindRestart} {
		accept := f.AcceptStop
		if kind == phone.KindRestart {
			accept = f.acceptPlain
		}
		id, outcomes, err := accept(ctx, f.powerInput(kind, ids(in.Phones)...))
		must(t, "accept", err)
		for i, o := range outcomes {
			a := f.claim(t, o.Job, "r1")
			if i < 2 {
				must(t, "Fail", f.Fail(ctx, a.Fence, phone.Failure{Reason: phone.ReasonHostGone}))
				continue
			}
			if kind == phone.KindRestart {
				must(t, "Advance", f.Advance(ctx, a.Fence, phone.PhaseVerifying))
			}
			f.finishStop(t, a)
		}
		f.finish(t, f.claim(t, f.Reset(t, f.Project(0), in.Phones[1].ID)[0], "r1"))
		retry := f.retryInput(id)
		retry.Request.Kind = kind
		_, retried, err := f.Retry(ctx, retry)
		must(t, "Retry", err)
		equal(t, "whom a retry is for", len(retried), 1)
		j := f.job(t, retried[0].Job)
		equal(t, "its job", []any{j.Phone, j.Kind, j.Target, j.Prior}, []any{in.Phones[0].ID, kind, phone.Generation(1), phone.Generation(1)})
		a := f.claim(t, j.ID, "r1")
		if kind == phone.KindRestart {
			must(t, "Advance", f.Advance(ctx, a.Fence, phone.PhaseVerifying))
		}
		f.finishStop(t, a)
		f.consistent(t)
	}
	equal(t, "how they ended", []phone.Status{f.phone(t, in.Phones[0].ID).Status, f.phone(t, in.Phones[1].ID).Status, f.phone(t, in.Phones[2].ID).Status},
		[]phone.Status{phone.StatusRunning, phone.StatusRunning, phone.StatusRunning})
}

// testPowerOnce: under one key a batch is accepted once.
func testPowerOnce(t *testing.T, f Fixture) {
	ctx := t.Context()
	in := f.Fleet(t, f.Project(0), f.Image(t).ID, 1, 1)
	key := fleet.IdempotencyKey{Key: "k", Hash: [32]byte{1}, Expires: f.Clock.Now().Add(time.Hour)}
	stop := f.powerInput(phone.KindStop, in.Phones[0].ID)
	stop.Key = &key
	id, outcomes, err := f.AcceptStop(ctx, stop)
	must(t, "AcceptStop", err)
	f.unchanged(t, "the same again", func() {
		again := f.powerInput(phone.KindStop, in.Phones[0].ID)
		again.Key = &key
		sameID, same, err := f.AcceptStop(ctx, again)
		must(t, "AcceptStop", err)
		equal(t, "its answer", []any{sameID, same}, []any{id, outcomes})
		other := key
		other.Hash = [32]byte{2}
		again.Key = &other
		_, _, err = f.AcceptRestart(ctx, plain(again))
		refused(t, "another call", err, phone.Conflict, phone.ReasonKeyReused)
	})
}

// testRestartTo: the image and the properties of a restart are its job's until that has succeeded, and then its phone's; what fails leaves the
// phone what it was, and is retried as what it was. An image of another Android is none for a phone that keeps its data.
func testRestartTo(t *testing.T, f Fixture) {
	ctx := t.Context()
	must(t, "Register", f.Register(ctx, "r1", time.Hour))
	in := f.Fleet(t, f.Project(0), f.Image(t).ID, 2, 2)
	before := f.phone(t, in.Phones[0].ID)
	other := f.Image(t)
	newer := other
	newer.ID, newer.Name, newer.OSName = phone.NewID[phone.ImageID](), "newer", "AOSP12.0"
	must(t, "AddImage", f.AddImage(ctx, newer))
	restart := func(image phone.ImageID, ids ...phone.ID) ([]phone.Outcome, error) {
		restart := plain(f.powerInput(phone.KindRestart, ids...))
		restart.Image = image
		for i := range restart.Items {
			restart.Items[i].Given = phone.Properties{"ro.product.model": "Y"}
		}
		_, outcomes, err := f.AcceptRestart(ctx, restart)
		return outcomes, err
	}
	outcomes, err := restart(newer.ID, in.Phones[0].ID)
	must(t, "AcceptRestart", err)
	equal(t, "with another Android", reasonOf(outcomes[0]), phone.ReasonImageSystem)
	_, err = restart(phone.NewID[phone.ImageID](), in.Phones[0].ID)
	refused(t, "with no image at all", err, phone.NotFound, phone.ReasonImageNotFound)
	equal(t, "the phone", f.phone(t, in.Phones[0].ID).Status, phone.StatusRunning)

	outcomes, err = restart(other.ID, ids(in.Phones)...)
	must(t, "AcceptRestart", err)
	asked := before.Properties.Merge(phone.Properties{"ro.product.model": "Y"}, false)
	j, p := f.job(t, outcomes[0].Job), f.phone(t, in.Phones[0].ID)
	equal(t, "a job", []any{j.Kind, j.Target, j.Prior, j.PriorImage, j.Image, j.Properties, j.Erase, j.Phase},
		[]any{phone.KindRestart, phone.Generation(1), phone.Generation(1), before.Image, other.ID, asked, phone.EraseNone, phone.PhasePreparing})
	equal(t, "its phone meanwhile", []any{p.Status, p.Image, p.Properties, p.LastGeneration}, []any{phone.StatusRestarting, before.Image, before.Properties, phone.Generation(1)})
	f.consistent(t)
	must(t, "Prepared", f.Prepared(ctx, f.claim(t, outcomes[0].Job, "r1").Fence, phone.ImageIdentity{ID: "sha256:other"}))

	done, failing := f.claim(t, outcomes[0].Job, "r1"), f.claim(t, outcomes[1].Job, "r1")
	equal(t, "what is to be booted", []any{done.Image.ID, done.Identity.ID, done.Job.Phase}, []any{other.ID, "sha256:other", phone.PhaseRemoving})
	for _, phase := range []phone.Phase{phone.PhaseCreating, phone.PhaseBooting, phone.PhaseVerifying} {
		must(t, "Advance", f.Advance(ctx, done.Fence, phase))
	}
	f.finishStop(t, done)
	must(t, "Fail", f.Fail(ctx, failing.Fence, phone.Failure{Reason: phone.ReasonVolumeGone}))
	p = f.phone(t, in.Phones[0].ID)
	equal(t, "a phone that was restarted", []any{p.Status, p.Image, p.Properties, p.Generation}, []any{phone.StatusRunning, other.ID, asked, phone.Generation(1)})
	p = f.phone(t, in.Phones[1].ID)
	equal(t, "one that was not", []any{p.Status, p.Image, p.Properties}, []any{phone.StatusRestartFailed, before.Image, before.Properties})
	f.consistent(t)

	retry := f.retryInput(failing.Job.Request)
	retry.Request.Kind = phone.KindRestart
	_, again, err := f.Retry(ctx, retry)
	must(t, "Retry", err)
	j = f.job(t, again[0].Job)
	equal(t, "the retry", []any{len(again), j.Phone, j.Kind, j.Image, j.Properties}, []any{1, in.Phones[1].ID, phone.KindRestart, other.ID, asked})
	f.consistent(t)
}

// updateInput is a batch of updates with one set of values.
func (f Fixture) updateInput(given phone.Properties, ids ...phone.ID) fleet.AcceptUpdate {
	in := fleet.AcceptUpdate{
		AcceptPower: f.powerInput(phone.KindUpdate, ids...),
		Check:       func(string, phone.Properties) *phone.Error { return nil },
	}
	for i := range in.Items {
		in.Items[i].Given = given
	}
	return in
}

// testUpdate: an update is set going at once and leaves the status as it is; while it is at work the phone takes no other job and does not
// die; success gives the phone its values, failure does not.
func testUpdate(t *testing.T, f Fixture) {
	ctx := t.Context()
	must(t, "Register", f.Register(ctx, "r1", time.Hour))
	in := f.Fleet(t, f.Project(0), f.Image(t).ID, 3, 1)
	f.stopped(t, in.Phones[1].ID)
	f.Clock.Advance(time.Minute)
	before := f.phone(t, in.Phones[0].ID)
	given := phone.Properties{"com.cph.mainkeys": "0"}
	_, outcomes, err := f.AcceptUpdate(ctx, f.updateInput(given, ids(in.Phones)...))
	must(t, "AcceptUpdate", err)
	equal(t, "what is set going", f.phases(t, outcomes[0].Job, outcomes[1].Job, outcomes[2].Job), []phone.Phase{phone.PhaseVerifying, phone.PhaseVerifying, phone.PhaseVerifying})
	equal(t, "their statuses", []phone.Status{f.phone(t, in.Phones[0].ID).Status, f.phone(t, in.Phones[1].ID).Status}, []phone.Status{phone.StatusRunning, phone.StatusStopped})
	j := f.job(t, outcomes[0].Job)
	merged := before.Properties.Merge(given, false)
	equal(t, "a job", []any{j.Kind, j.Target, j.Prior, j.PriorStatus, j.Erase, j.Properties, j.PhaseAt[phone.PhaseVerifying]},
		[]any{phone.KindUpdate, phone.Generation(1), phone.Generation(1), phone.StatusRunning, phone.EraseNone, merged, f.Clock.Now()})
	equal(t, "its phone meanwhile", f.phone(t, in.Phones[0].ID).Properties, before.Properties)
	f.consistent(t)

	died, err := f.Died(ctx, in.Server.ID, []phone.Death{{Phone: in.Phones[0].ID, Generation: 1, UpdatedAt: f.phone(t, in.Phones[0].ID).UpdatedAt, Cause: "it ended", Start: true}})
	must(t, "Died", err)
	equal(t, "who dies while it is updated", len(died), 0)
	reset, err := f.AcceptReset(ctx, f.ResetInput(f.Project(0), in.Phones[0].ID))
	must(t, "AcceptReset", err)
	_, stop, err := f.AcceptStop(ctx, f.powerInput(phone.KindStop, in.Phones[0].ID))
	must(t, "AcceptStop", err)
	_, update, err := f.AcceptUpdate(ctx, f.updateInput(given, in.Phones[0].ID))
	must(t, "AcceptUpdate", err)
	equal(t, "what it takes meanwhile", []phone.Reason{reasonOf(reset[0]), reasonOf(stop[0]), reasonOf(update[0])},
		[]phone.Reason{phone.ReasonPhoneBusy, phone.ReasonPhoneBusy, phone.ReasonPhoneBusy})

	f.Clock.Advance(time.Minute)
	f.finishStop(t, f.claim(t, outcomes[0].Job, "r1"))
	f.finishStop(t, f.claim(t, outcomes[1].Job, "r1"))
	failing := f.claim(t, outcomes[2].Job, "r1")
	must(t, "Fail", f.Fail(ctx, failing.Fence, phone.Failure{Reason: phone.ReasonHostGone}))
	for i, want := range []struct {
		status     phone.Status
		properties phone.Properties
	}{{phone.StatusRunning, merged}, {phone.StatusStopped, merged}, {phone.StatusRunning, before.Properties}} {
		p := f.phone(t, in.Phones[i].ID)
		equal(t, "a phone after its update", []any{p.Status, p.Properties, p.Generation, p.LastGeneration, p.UpdatedAt},
			[]any{want.status, want.properties, phone.Generation(1), phone.Generation(1), f.Clock.Now()})
	}
	f.consistent(t)
	_, _, err = f.Retry(ctx, f.retryInput(failing.Job.Request))
	refused(t, "retrying an update", err, phone.Precondition, phone.ReasonNothingToRetry)
	f.finish(t, f.claim(t, f.Reset(t, f.Project(0), in.Phones[0].ID)[0], "r1"))
	equal(t, "what a reset keeps", f.phone(t, in.Phones[0].ID).Properties, merged)
}

// testStoppedPhone: a stopped phone is nobody's death, and a reset takes it from 8 to 2.
func testStoppedPhone(t *testing.T, f Fixture) {
	ctx := t.Context()
	must(t, "Register", f.Register(ctx, "r1", time.Hour))
	in := f.Fleet(t, f.Project(0), f.Image(t).ID, 2, 2)
	found := f.phone(t, in.Phones[0].ID)
	jobs := f.stopped(t, ids(in.Phones)...)
	for _, at := range []time.Time{found.UpdatedAt, f.phone(t, in.Phones[0].ID).UpdatedAt} {
		died, err := f.Died(ctx, in.Server.ID, []phone.Death{{Phone: in.Phones[0].ID, Generation: 1, UpdatedAt: at, Cause: "it ended", Start: true}})
		must(t, "Died", err)
		equal(t, "who died", len(died), 0)
	}
	reset := f.Reset(t, f.Project(0), in.Phones[0].ID)
	f.finish(t, f.claim(t, reset[0], "r1"))
	p := f.phone(t, in.Phones[0].ID)
	equal(t, "a stopped phone that was reset", []any{p.Status, p.Generation}, []any{phone.StatusRunning, phone.Generation(2)})
	f.Clock.Advance(48 * time.Hour)
	f.pruneAll(t, f.Clock.Now())
	equal(t, "the stop of a life that is over goes, the last job stays", f.left(t, jobs[0], jobs[1], reset[0]), []phone.JobID{jobs[1], reset[0]})
	f.consistent(t)
}
