package storetest

import (
	"strings"
	"testing"
	"time"

	"github.com/lethe-cloud/lethe/internal/phone"
)

func testDied(t *testing.T, f Fixture) {
	ctx := t.Context()
	must(t, "Register", f.Register(ctx, "r1", time.Hour))
	in := f.Fleet(t, f.Project(0), f.Image(t).ID, 6, 6)
	other := f.Fleet(t, f.Project(0), in.Phones[0].Image, 1, 1)
	found := f.Clock.Now()
	death := func(p phone.Phone) phone.Death {
		return phone.Death{Phone: p.ID, Generation: 1, UpdatedAt: found, Cause: "it ended, said 'x'"}
	}
	f.Clock.Advance(time.Minute)
	f.Reset(t, f.Project(0), in.Phones[1].ID)                                                         // at work
	f.finish(t, f.claim(t, f.Reset(t, f.Project(0), in.Phones[2].ID)[0], "r1"))                       // another life since
	f.exec(t, `UPDATE phones SET updated_at = updated_at + 1 WHERE id = $1`, string(in.Phones[3].ID)) // changed since
	deaths := []phone.Death{death(in.Phones[5]), death(in.Phones[1]), death(in.Phones[2]), death(in.Phones[3]), death(in.Phones[0]), death(other.Phones[0])}
	deaths = append(deaths, phone.Death{Phone: phone.NewID[phone.ID](), Generation: 1, UpdatedAt: found})

	died, err := f.Died(ctx, in.Server.ID, deaths)
	must(t, "Died", err)
	want := map[phone.ID]bool{in.Phones[0].ID: true, in.Phones[5].ID: true}
	got := map[phone.ID]bool{}
	for _, d := range died {
		got[d.Phone] = true
		equal(t, "no job was asked for", d.Job, "")
		p := f.phone(t, d.Phone)
		equal(t, "the phone", []any{p.Status, p.Cause, p.Generation, p.UpdatedAt}, []any{phone.StatusAbnormal, "it ended, said 'x'", phone.Generation(1), f.Clock.Now()})
	}
	equal(t, "who died", got, want)
	f.consistent(t)
	f.unchanged(t, "dying again, or nobody", func() {
		again, err := f.Died(ctx, in.Server.ID, deaths)
		must(t, "Died again", err)
		none, err := f.Died(ctx, in.Server.ID, nil)
		must(t, "Died of nobody", err)
		equal(t, "who died again", len(again)+len(none), 0)
	})
	f.finish(t, f.claim(t, f.Reset(t, f.Project(0), in.Phones[0].ID)[0], "r1"))
	equal(t, "the cause after a reset", f.phone(t, in.Phones[0].ID).Cause, "")
	failing := f.claim(t, f.Reset(t, f.Project(0), in.Phones[5].ID)[0], "r1")
	must(t, "Fail", f.Fail(ctx, failing.Fence, phone.Failure{Reason: phone.ReasonBootTimeout}))
	equal(t, "the cause after a reset that failed", f.phone(t, in.Phones[5].ID).Cause, "")
	f.consistent(t)
}

// testStart starts dead phones again through the boot slots, as a job that makes no new life.
func testStart(t *testing.T, f Fixture) {
	ctx := t.Context()
	must(t, "Register", f.Register(ctx, "r1", time.Hour))
	in := f.Fleet(t, f.Project(0), f.Image(t).ID, 3, 1)
	die := func(phones ...phone.Phone) map[phone.ID]phone.Died {
		t.Helper()
		var deaths []phone.Death
		for _, p := range phones {
			p = f.phone(t, p.ID)
			deaths = append(deaths, phone.Death{Phone: p.ID, Generation: p.Generation, UpdatedAt: p.UpdatedAt, Cause: "it ended", Start: true})
		}
		f.Clock.Advance(time.Minute)
		found, err := f.Died(ctx, in.Server.ID, deaths)
		must(t, "Died", err)
		died := map[phone.ID]phone.Died{}
		for _, d := range found {
			died[d.Phone] = d
		}
		return died
	}
	died := die(in.Phones...)
	var jobs []phone.JobID
	for _, p := range in.Phones {
		jobs = append(jobs, died[p.ID].Job)
		got := f.phone(t, p.ID)
		equal(t, "a phone that is started again", []any{got.Status, got.Cause, got.Generation, got.LastGeneration},
			[]any{phone.StatusRestarting, "it ended", phone.Generation(1), phone.Generation(1)})
	}
	f.consistent(t)
	f.scheduled(t)
	slots := map[phone.Phase]int{}
	for _, phase := range f.phases(t, jobs...) {
		slots[phase]++
	}
	equal(t, "one slot", slots, map[phone.Phase]int{phone.PhaseBooting: 1, phone.PhaseQueued: 2})

	next := func() phone.Assignment {
		t.Helper()
		for _, id := range jobs {
			if f.job(t, id).Phase == phone.PhaseBooting {
				return f.claim(t, id, "r1")
			}
		}
		t.Fatal("no job has the slot")
		return phone.Assignment{}
	}
	a := next()
	equal(t, "the job", []any{a.Job.Kind, a.Job.Target, a.Job.Prior, a.Job.PriorStatus, a.Job.Erase, a.Job.Image, a.Job.Properties, a.Job.PhaseAt[phone.PhaseBooting]},
		[]any{phone.KindStart, phone.Generation(1), phone.Generation(1), phone.StatusAbnormal, phone.EraseNone, in.Phones[0].Image, in.Phones[0].Properties, f.Clock.Now()})
	progress, err := f.Progress(ctx, f.Project(0), a.Job.Request)
	must(t, "Progress", err)
	equal(t, "the request", []any{progress.Request.Kind, progress.Total}, []any{phone.KindStart, 3})
	f.finish(t, a)
	got := f.phone(t, a.Phone.ID)
	equal(t, "a phone that runs again", []any{got.Status, got.Cause, got.Generation, got.LastGeneration, got.Image, got.Properties},
		[]any{phone.StatusRunning, "", phone.Generation(1), phone.Generation(1), a.Phone.Image, a.Phone.Properties})
	f.scheduled(t)
	f.consistent(t)

	for range 2 {
		failing := next()
		must(t, "Fail", f.Fail(ctx, failing.Fence, phone.Failure{Reason: phone.ReasonBootExited, Msg: "it ended again"}))
		got := f.phone(t, failing.Phone.ID)
		equal(t, "a phone that could not be started", []any{got.Status, got.Cause, got.Generation}, []any{phone.StatusAbnormal, "it ended again", phone.Generation(1)})
	}
	f.consistent(t)

	// The same life can be started again, but not for ever.
	for range 2 {
		f.finish(t, f.claim(t, die(a.Phone)[a.Phone.ID].Job, "r1"))
	}
	last := die(a.Phone)[a.Phone.ID]
	if got := f.phone(t, a.Phone.ID); last.Job != "" || got.Status != phone.StatusAbnormal || !strings.Contains(got.Cause, "3 times within 1h") || got.Cause != last.Cause {
		t.Errorf("after too many starts: %+v, and the phone is %s because %q", last, got.Status, got.Cause)
	}
	f.consistent(t)

	// A reset is the cure, and takes the next generation as ever. Starts are history as soon as a later job has ended; what made the
	// present life stays.
	reset := f.Reset(t, f.Project(0), a.Phone.ID)[0]
	equal(t, "the reset's target", f.job(t, reset).Target, phone.Generation(2))
	f.finish(t, f.claim(t, reset, "r1"))
	again := die(a.Phone)[a.Phone.ID]
	equal(t, "no start so soon after too many", again.Job, "")
	f.Clock.Advance(2 * time.Hour)
	f.pruneAll(t, f.Clock.Now())
	equal(t, "left of the phone", f.count(t, `SELECT count(*) FROM jobs WHERE phone_id = $1`, string(a.Phone.ID)), 1)
}
