package storetest

import (
	"testing"
	"time"

	"github.com/lethe-cloud/lethe/internal/fleet"
	"github.com/lethe-cloud/lethe/internal/phone"
)

// share accepts a deletion of shared files on servers of the first project.
func (f Fixture) share(t testing.TB, ids ...phone.ServerID) (phone.RequestID, []phone.ServerOutcome) {
	t.Helper()
	in := fleet.AcceptShare{Request: f.ResetInput(f.Project(0)).Request}
	in.Request.Kind = phone.KindShareDelete
	in.Request.Task = &phone.Task{Share: &phone.ShareTask{Paths: []string{"/data/a"}}}
	for _, id := range ids {
		in.Servers = append(in.Servers, string(id))
	}
	outcomes, err := f.AcceptShare(t.Context(), in)
	must(t, "AcceptShare", err)
	return in.Request.ID, outcomes
}

func (f Fixture) claimShares(t testing.TB, replica phone.ReplicaID, held ...phone.JobID) []phone.ServerTask {
	t.Helper()
	tasks, err := f.ClaimShares(t.Context(), replica, held, 10)
	must(t, "ClaimShares", err)
	return tasks
}

func jobsOf(tasks []phone.ServerTask) (ids []phone.JobID) {
	for _, task := range tasks {
		ids = append(ids, task.Job.ID)
	}
	return ids
}

// testShares: jobs about the shared storage of a server are worked one after the other, in the order of their acceptance, beside what else is
// done with it, and each is one worker's.
func testShares(t *testing.T, f Fixture) {
	ctx := t.Context()
	must(t, "Register", f.Register(ctx, "r1", time.Hour))
	must(t, "Register", f.Register(ctx, "r2", time.Hour))
	image := f.Image(t).ID
	one, two, foreign := f.Fleet(t, f.Project(0), image, 1, 1), f.Fleet(t, f.Project(0), image, 1, 1), f.Fleet(t, f.Project(1), image, 1, 1)
	_, outcomes := f.share(t, one.Server.ID, "nonsense", foreign.Server.ID, two.Server.ID, one.Server.ID)
	var reasons []phone.Reason
	for _, o := range outcomes {
		reasons = append(reasons, serverReason(o))
	}
	equal(t, "the answers", reasons, []phone.Reason{"", phone.ReasonServerInvalid, phone.ReasonServerNotFound, "", phone.ReasonServerInvalid})
	first, second := outcomes[0].Job, outcomes[3].Job
	_, outcomes = f.share(t, one.Server.ID)
	later := outcomes[0].Job
	equal(t, "a server meanwhile", f.server(t, one.Server.ID).Shown(), phone.ServerNormal)
	f.acceptServers(t, phone.KindRestart, false, one.Server.ID) // is in nobody's way
	f.sweep(t)
	equal(t, "a job that nobody works on", f.serverJob(t, first).Status(), phone.JobRunning)

	tasks := f.claimShares(t, "r1")
	equal(t, "the oldest of each server", jobsOf(tasks), []phone.JobID{first, second})
	equal(t, "what is to be done", []any{tasks[0].Task.Share.Paths, tasks[0].Server.ID, tasks[0].Fence.Attempt, tasks[0].Job.Kind}, []any{[]string{"/data/a"}, one.Server.ID, 1, phone.KindShareDelete})
	equal(t, "for another replica", len(f.claimShares(t, "r2")), 0)
	equal(t, "for who has them", len(f.claimShares(t, "r1", first, second)), 0)
	held, deleting, err := f.HoldsShare(ctx, tasks[0].Fence)
	must(t, "HoldsShare", err)
	equal(t, "held", []bool{held, deleting}, []bool{true, false})
	must(t, "EndShare", f.EndShare(ctx, tasks[0].Fence, phone.ShareEnd{Output: "done"}))
	refused(t, "a second end", f.EndShare(ctx, tasks[0].Fence, phone.ShareEnd{}), phone.Conflict, phone.ReasonFenced)
	job := f.serverJob(t, first)
	equal(t, "its end", []any{job.Status(), job.Output}, []any{phone.JobSuccess, "done"})

	// Whoever has no lease any more, and who says that it does not work on a job, loses it.
	equal(t, "the next one", jobsOf(f.claimShares(t, "r1", second)), []phone.JobID{later})
	again := f.claimShares(t, "r1", later)
	equal(t, "a claim that was lost", jobsOf(again), []phone.JobID{second})
	refused(t, "the lost one's end", f.EndShare(ctx, tasks[1].Fence, phone.ShareEnd{}), phone.Conflict, phone.ReasonFenced)
	f.expire(t, "r1")
	f.sweep(t)
	taken := f.claimShares(t, "r2")
	equal(t, "after the lease", jobsOf(taken), []phone.JobID{second, later})
	held, _, err = f.HoldsShare(ctx, again[0].Fence)
	must(t, "HoldsShare", err)
	equal(t, "held by who had it", held, false)
	listing := phone.ShareListing{Path: "/data", Total: 2, Files: []phone.ShareFile{{Name: "a", Type: "file", Size: 3, ModifiedAt: f.Clock.Now().UTC()}}}
	f.exec(t, `UPDATE server_jobs SET kind = 'share_list' WHERE id = $1`, string(second))
	must(t, "EndShare", f.EndShare(ctx, taken[0].Fence, phone.ShareEnd{Listing: &listing}))
	equal(t, "what was listed", f.serverJob(t, second).Listing, &listing)
	must(t, "EndShare", f.EndShare(ctx, taken[1].Fence, phone.ShareEnd{Failure: &phone.Failure{Reason: phone.ReasonNoSpace, Msg: "full"}}))
	equal(t, "a failure", f.serverJob(t, later).Failure.Reason, phone.ReasonNoSpace)
	f.consistent(t)
}

// testSharesRestart: a job that a killed process had is the next start's of its replica, at once.
func testSharesRestart(t *testing.T, f Fixture) {
	ctx := t.Context()
	must(t, "Register", f.Register(ctx, "r1", time.Hour))
	one := f.Fleet(t, f.Project(0), f.Image(t).ID, 1, 1)
	_, outcomes := f.share(t, one.Server.ID)
	killed := f.claimShares(t, "r1")
	again := Reopen(t, f.URL, f.Clock)
	must(t, "Register", again.Register(ctx, "r1", time.Hour))
	tasks, err := again.ClaimShares(ctx, "r1", nil, 10)
	must(t, "ClaimShares", err)
	equal(t, "the next start's", jobsOf(tasks), []phone.JobID{outcomes[0].Job})
	refused(t, "the killed one's end", f.EndShare(ctx, killed[0].Fence, phone.ShareEnd{}), phone.Conflict, phone.ReasonFenced)
	must(t, "EndShare", again.EndShare(ctx, tasks[0].Fence, phone.ShareEnd{Output: "done"}))
	equal(t, "its end", f.serverJob(t, outcomes[0].Job).Status(), phone.JobSuccess)
}

// testSharesDelete: a server that is to be deleted gets no more jobs about its shared storage, those that it has know of it, and its host is not
// looked at before they have ended.
func testSharesDelete(t *testing.T, f Fixture) {
	ctx := t.Context()
	must(t, "Register", f.Register(ctx, "r1", time.Hour))
	empty := f.ServerInput(f.Project(0), f.Image(t).ID, 0, 1)
	must(t, "AddServer", f.AddServer(ctx, empty))
	request, _ := f.share(t, empty.Server.ID)
	tasks := f.claimShares(t, "r1")
	_, waits := f.share(t, empty.Server.ID)
	busy := phone.Failure{Reason: phone.ReasonServerBusy, Msg: "it goes"}
	n, err := f.EndShares(ctx, busy)
	must(t, "EndShares", err)
	equal(t, "what is ended of a server that stays", n, 0)
	_, outcomes := f.acceptServers(t, phone.KindDelete, true, empty.Server.ID)
	held, deleting, err := f.HoldsShare(ctx, tasks[0].Fence)
	must(t, "HoldsShare", err)
	equal(t, "held, and deleting", []bool{held, deleting}, []bool{true, true})
	_, refusedOnes := f.share(t, empty.Server.ID)
	equal(t, "one more", serverReason(refusedOnes[0]), phone.ReasonServerBusy)
	f.sweep(t)
	equal(t, "servers to be looked at meanwhile", len(f.claimEmptied(t, "r1")), 0)
	n, err = f.EndShares(ctx, busy)
	must(t, "EndShares", err)
	equal(t, "what waits for the storage", n, 1)
	equal(t, "its end", f.serverJob(t, waits[0].Job).Failure, &busy)
	equal(t, "what is at work", f.serverJob(t, tasks[0].Job.ID).Status(), phone.JobRunning)
	must(t, "EndShare", f.EndShare(ctx, tasks[0].Fence, phone.ShareEnd{Failure: &phone.Failure{Reason: phone.ReasonServerBusy, Msg: "it goes"}}))
	f.finishDeletion(t, empty.Server.ID, outcomes)
	_, err = f.Server(ctx, f.Project(0), empty.Server.ID)
	refused(t, "the server", err, phone.NotFound, phone.ReasonServerNotFound)
	f.Clock.Advance(time.Hour)
	f.pruneAll(t, f.Clock.Now())
	_, err = f.Request(ctx, f.Project(0), request)
	refused(t, "the request, when it is old", err, phone.NotFound, phone.ReasonRequestNotFound)
	f.consistent(t)
}

// testSharesPostponed: a job whose host does not answer is nobody's for a time, and then comes after those that have waited longer.
func testSharesPostponed(t *testing.T, f Fixture) {
	ctx := t.Context()
	must(t, "Register", f.Register(ctx, "r1", time.Hour))
	image := f.Image(t).ID
	one, two := f.Fleet(t, f.Project(0), image, 1, 1), f.Fleet(t, f.Project(0), image, 1, 1)
	_, outcomes := f.share(t, one.Server.ID)
	task := f.claimShares(t, "r1")[0]
	away := f.Clock.Now()
	must(t, "PostponeShare", f.PostponeShare(ctx, task.Fence, time.Minute))
	refused(t, "what has given it back", f.PostponeShare(ctx, task.Fence, time.Minute), phone.Conflict, phone.ReasonFenced)
	equal(t, "before its time", len(f.claimShares(t, "r1")), 0)
	f.Clock.Advance(30 * time.Second)
	_, fresh := f.share(t, two.Server.ID)
	f.Clock.Advance(time.Minute)
	first, err := f.ClaimShares(ctx, "r1", nil, 1)
	must(t, "ClaimShares", err)
	equal(t, "what has waited longest", jobsOf(first), []phone.JobID{fresh[0].Job})
	again := f.claimShares(t, "r1", fresh[0].Job)
	equal(t, "then", jobsOf(again), []phone.JobID{outcomes[0].Job})
	equal(t, "its attempt, and since when its host is away", []any{again[0].Fence.Attempt, again[0].Away.Equal(away), first[0].Away.IsZero()}, []any{2, true, true})

	// A clock that was ahead keeps nobody from it.
	must(t, "PostponeShare", f.PostponeShare(ctx, again[0].Fence, time.Minute))
	f.Clock.Advance(-time.Hour)
	equal(t, "what a clock that was an hour ahead has given back", jobsOf(f.claimShares(t, "r1", fresh[0].Job)), []phone.JobID{outcomes[0].Job})
	f.consistent(t)
}
