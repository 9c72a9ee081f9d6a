package storetest

import (
	"sync"
	"testing"
	"time"

	"github.com/lethe-cloud/lethe/internal/phone"
)

// lives takes a phone through resets, one after the other, that end as the argument says, an hour apart.
func (f Fixture) lives(t *testing.T, id phone.ID, succeed ...bool) []phone.JobID {
	t.Helper()
	var jobs []phone.JobID
	for _, success := range succeed {
		job := f.Reset(t, f.Project(0), id)[0]
		jobs = append(jobs, job)
		a := f.claim(t, job, "r1")
		if success {
			f.finish(t, a)
		} else {
			must(t, "Fail", f.Fail(t.Context(), a.Fence, phone.Failure{Reason: phone.ReasonBootTimeout, Msg: "as the test wants it"}))
		}
		f.Clock.Advance(time.Hour)
	}
	return jobs
}

// pruneAll goes through both lists in steps of two.
func (f Fixture) pruneAll(t *testing.T, before time.Time) (jobs, requests int) {
	t.Helper()
	for mark, done := (phone.Mark{}), false; !done; {
		step, err := f.PruneJobs(t.Context(), before, mark, 2)
		if err != nil {
			t.Errorf("PruneJobs: %v", err)
			return jobs, requests
		}
		jobs, requests, mark, done = jobs+step.Jobs, requests+step.Requests, step.Next, step.Done
	}
	for mark, done := (phone.Mark{}), false; !done; {
		step, err := f.PruneRequests(t.Context(), before, mark, 2)
		if err != nil {
			t.Errorf("PruneRequests: %v", err)
			return jobs, requests
		}
		requests, mark, done = requests+step.Requests, step.Next, step.Done
	}
	return jobs, requests
}

// left gives those of the jobs that are still there.
func (f Fixture) left(t *testing.T, jobs ...phone.JobID) []phone.JobID {
	t.Helper()
	var left []phone.JobID
	for _, id := range jobs {
		switch _, err := f.Job(t.Context(), f.Project(0), id); {
		case err == nil:
			left = append(left, id)
		case phone.ReasonOf(err) != phone.ReasonJobNotFound:
			t.Fatalf("Job: %v", err)
		}
	}
	return left
}

func testPrune(t *testing.T, f Fixture) {
	must(t, "Register", f.Register(t.Context(), "r1", time.Hour))
	in := f.Fleet(t, f.Project(0), f.Image(t).ID, 4, 4)
	f.Clock.Advance(time.Hour)
	began := f.Clock.Now()
	finished := f.lives(t, in.Phones[0].ID, true, true, true)         // the last one is its latest and made its present life
	failed := f.lives(t, in.Phones[1].ID, true, false, false)         // the first made its present life
	busy := f.lives(t, in.Phones[2].ID, true, false)                  // the first made its present life, the second is the latest that ended
	busy = append(busy, f.Reset(t, f.Project(0), in.Phones[2].ID)[0]) // unfinished
	refused := f.ResetInput(f.Project(0), phone.NewID[phone.ID]())
	_, err := f.AcceptReset(t.Context(), refused)
	must(t, "AcceptReset", err)
	f.Clock.Advance(time.Hour)

	f.unchanged(t, "removing what is older than everything", func() {
		jobs, requests := f.pruneAll(t, began.Add(-2*time.Hour))
		equal(t, "removed", []int{jobs, requests}, []int{0, 0})
	})
	// The create jobs ended before all else. Their phones' lives were made by later ones, except the fourth's.
	jobs, requests := f.pruneAll(t, began)
	equal(t, "removed of the create jobs", []int{jobs, requests}, []int{3, 0})
	equal(t, "left of the create jobs", f.left(t, in.Jobs[0].ID, in.Jobs[1].ID, in.Jobs[2].ID, in.Jobs[3].ID), []phone.JobID{in.Jobs[3].ID})

	jobs, requests = f.pruneAll(t, finishedAt(t, f, finished[1]))
	equal(t, "an end that is not before the moment stays", []int{jobs, requests}, []int{1, 1})
	jobs, requests = f.pruneAll(t, f.Clock.Now())
	equal(t, "removed with their requests, and the request of nothing", []int{jobs, requests}, []int{2, 3})
	equal(t, "left of the phone that succeeded", f.left(t, finished...), finished[2:])
	equal(t, "left of the phone that failed", f.left(t, failed...), []phone.JobID{failed[0], failed[2]})
	equal(t, "left of the phone at work", f.left(t, busy...), busy)
	_, err = f.Progress(t.Context(), f.Project(0), refused.Request.ID)
	if phone.ReasonOf(err) != phone.ReasonRequestNotFound {
		t.Errorf("the request without jobs is still there: %v", err)
	}
	f.unchanged(t, "removing again", func() { f.pruneAll(t, f.Clock.Now()) })
	f.consistent(t)

	f.finish(t, f.claim(t, busy[2], "r1"))
	f.Clock.Advance(time.Hour)
	f.pruneAll(t, f.Clock.Now())
	equal(t, "left of the phone that was at work", f.left(t, busy...), busy[2:])
}

func finishedAt(t *testing.T, f Fixture, id phone.JobID) time.Time {
	t.Helper()
	return f.job(t, id).EndedAt
}

// testPruneWhileAccepting removes history in several places at once while phones are reset: nobody fails, and every phone
// keeps its latest job.
func testPruneWhileAccepting(t *testing.T, f Fixture) {
	const phones, rounds = 4, 5
	must(t, "Register", f.Register(t.Context(), "r1", time.Hour))
	in := f.Fleet(t, f.Project(0), f.Image(t).ID, phones, phones)
	beside := f
	beside.Store = Reopen(t, f.URL, f.Clock)
	f.Clock.Advance(time.Hour)

	stop := make(chan struct{})
	var pruning sync.WaitGroup
	removed := make([]int, 2)
	for i, s := range []Fixture{f, beside} {
		pruning.Go(func() {
			for more := true; more; {
				select {
				case <-stop:
					more = false // once more after the last job has ended
				default:
				}
				jobs, _ := s.pruneAll(t, f.Clock.Now())
				removed[i] += jobs
			}
		})
	}
	latest := map[phone.ID]phone.JobID{}
	for range rounds {
		for i, job := range f.Reset(t, f.Project(0), ids(in.Phones)...) {
			latest[in.Phones[i].ID] = job
			f.finish(t, f.claim(t, job, "r1"))
		}
		f.Clock.Advance(time.Hour)
	}
	close(stop)
	pruning.Wait()
	equal(t, "removed, each job once", removed[0]+removed[1], phones*rounds)
	equal(t, "jobs left", f.count(t, `SELECT count(*) FROM jobs`), phones)
	equal(t, "requests left", f.count(t, `SELECT count(*) FROM requests`), 1)
	for id, job := range latest {
		equal(t, "the latest job of phone "+string(id), f.left(t, job), []phone.JobID{job})
	}
	f.consistent(t)
}
