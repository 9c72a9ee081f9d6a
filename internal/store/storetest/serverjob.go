package storetest

import (
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/lethe-cloud/lethe/internal/fleet"
	"github.com/lethe-cloud/lethe/internal/phone"
)

// serversInput is a call about servers of the first project.
func (f Fixture) serversInput(kind phone.Kind, whole bool, ids ...phone.ServerID) fleet.AcceptServers {
	in := fleet.AcceptServers{Request: f.ResetInput(f.Project(0)).Request, Whole: whole, Check: f.ResetInput(f.Project(0)).Check}
	in.Request.Kind = kind
	for _, id := range ids {
		in.Servers = append(in.Servers, string(id))
	}
	return in
}

func (f Fixture) acceptServers(t testing.TB, kind phone.Kind, whole bool, ids ...phone.ServerID) (phone.RequestID, []phone.ServerOutcome) {
	t.Helper()
	in := f.serversInput(kind, whole, ids...)
	outcomes, err := f.AcceptServers(t.Context(), in)
	must(t, "AcceptServers", err)
	return in.Request.ID, outcomes
}

func serverReason(o phone.ServerOutcome) phone.Reason {
	if o.Err == nil {
		return ""
	}
	return o.Err.Reason
}

// server reads a server of the first project.
func (f Fixture) server(t testing.TB, id phone.ServerID) phone.Server {
	t.Helper()
	s, err := f.Server(t.Context(), f.Project(0), id)
	must(t, "Server", err)
	return s
}

// serverJob reads the one job of a server that has the id.
func (f Fixture) serverJob(t testing.TB, id phone.JobID) phone.ServerJob {
	t.Helper()
	jobs, err := f.ServerJob(t.Context(), f.Project(0), id)
	must(t, "ServerJob", err)
	if len(jobs) != 1 {
		t.Fatalf("%d jobs of servers have the id %s", len(jobs), id)
	}
	return jobs[0]
}

func (f Fixture) sweep(t testing.TB) {
	t.Helper()
	_, err := f.Sweep(t.Context(), time.Hour)
	must(t, "Sweep", err)
}

// requestJobs gives the phones' jobs of a request on a server.
func (f Fixture) requestJobs(t testing.TB, request phone.RequestID, server phone.ServerID) []phone.JobID {
	t.Helper()
	jobs, err := f.Jobs(t.Context(), fleet.JobFilter{Project: f.Project(0), Requests: []phone.RequestID{request}, Server: server, Limit: 1000})
	must(t, "Jobs", err)
	out := make([]phone.JobID, len(jobs))
	for i, j := range jobs {
		out[i] = j.ID
	}
	return out
}

func (f Fixture) claimEmptied(t testing.TB, replica phone.ReplicaID, held ...phone.ServerID) []phone.Emptied {
	t.Helper()
	emptied, err := f.ClaimEmptied(t.Context(), replica, held, 10)
	must(t, "ClaimEmptied", err)
	return emptied
}

// finishDeletion takes the deletion of a server to its end, but for nothing that hangs on its host.
func (f Fixture) finishDeletion(t testing.TB, id phone.ServerID, outcomes []phone.ServerOutcome) {
	t.Helper()
	for _, job := range f.requestJobs(t, f.serverJob(t, outcomes[0].Job).Request, id) {
		f.erased(t, job)
	}
	f.sweep(t)
	emptied := f.claimEmptied(t, "r1")
	equal(t, "the servers to be looked at", len(emptied), 1)
	must(t, "RemoveServer", f.RemoveServer(t.Context(), emptied[0], nil, &phone.ServerReceipt{LookedFor: f.Clock.Now()}))
}

// testRestartServers: each server is decided by itself and gets a job, which ends when its phones' jobs have ended; until then the server
// is 13 (starting). What cannot be restarted is left alone.
func testRestartServers(t *testing.T, f Fixture) {
	ctx := t.Context()
	must(t, "Register", f.Register(ctx, "r1", time.Hour))
	image := f.Image(t).ID
	busy, empty, broken := f.Fleet(t, f.Project(0), image, 3, 2), f.ServerInput(f.Project(0), image, 0, 1), f.Fleet(t, f.Project(0), image, 1, 1)
	must(t, "AddServer", f.AddServer(ctx, empty))
	foreign := f.Fleet(t, f.Project(1), image, 1, 1)
	f.exec(t, `UPDATE phones SET status = -5 WHERE server_id = $1`, string(broken.Server.ID))
	f.exec(t, `UPDATE phones SET status = -8 WHERE id = $1`, string(busy.Phones[2].ID))
	f.recount(t)

	in := f.serversInput(phone.KindRestart, false, busy.Server.ID, "nonsense", foreign.Server.ID, empty.Server.ID, broken.Server.ID, busy.Server.ID)
	outcomes, err := f.AcceptServers(ctx, in)
	must(t, "AcceptServers", err)
	var reasons []phone.Reason
	for _, o := range outcomes {
		reasons = append(reasons, serverReason(o))
	}
	equal(t, "the answers", reasons, []phone.Reason{"", phone.ReasonServerInvalid, phone.ReasonServerNotFound, "", phone.ReasonServerBusy, phone.ReasonServerInvalid})
	job, s := f.serverJob(t, outcomes[0].Job), f.server(t, busy.Server.ID)
	equal(t, "the server's job", []any{job.Kind, job.Phones, job.Server, job.Request, job.Status()}, []any{phone.KindRestart, 2, busy.Server.ID, in.Request.ID, phone.JobRunning})
	equal(t, "the server meanwhile", []phone.ServerStatus{s.Shown(), s.Status}, []phone.ServerStatus{phone.ServerStarting, phone.ServerNormal})
	for status, want := range map[phone.ServerStatus]int{phone.ServerStarting: 1, phone.ServerNormal: 2} {
		_, n, err := f.Servers(ctx, fleet.ServerFilter{Project: f.Project(0), Status: &status, Limit: 10})
		must(t, "Servers", err)
		equal(t, "servers that are "+status.String(), n, want)
	}
	equal(t, "the job of a server without phones", f.serverJob(t, outcomes[3].Job).Status(), phone.JobSuccess)
	equal(t, "a server without phones", f.server(t, empty.Server.ID).Shown(), phone.ServerNormal)
	jobs := f.requestJobs(t, in.Request.ID, busy.Server.ID)
	equal(t, "its phones' jobs", f.phases(t, jobs...), []phone.Phase{phone.PhaseRemoving, phone.PhaseRemoving})
	f.consistent(t)
	_, again := f.acceptServers(t, phone.KindRestart, false, busy.Server.ID)
	equal(t, "while it is at work", serverReason(again[0]), phone.ReasonServerBusy)

	a := f.claim(t, jobs[0], "r1")
	must(t, "Fail", f.Fail(ctx, a.Fence, phone.Failure{Reason: phone.ReasonBootTimeout, Msg: "it did not boot", Detail: "look at it"}))
	f.sweep(t)
	equal(t, "with one phone at work", f.serverJob(t, outcomes[0].Job).Status(), phone.JobRunning)
	unfinished, err := f.Unfinished(ctx, in.Request.ID)
	must(t, "Unfinished", err)
	equal(t, "the request is unfinished", unfinished, true)
	f.finish(t, f.claim(t, jobs[1], "r1"))
	p, err := f.Progress(ctx, f.Project(0), in.Request.ID)
	must(t, "Progress", err)
	equal(t, "the request before the sweep", []any{p.Finished, len(p.Servers), p.Total, p.Request.Refused}, []any{false, 2, 2, 4})
	unfinished, err = f.Unfinished(ctx, in.Request.ID)
	must(t, "Unfinished", err)
	equal(t, "and it is not finished for who waits", unfinished, true)
	f.sweep(t)
	job = f.serverJob(t, outcomes[0].Job)
	equal(t, "its end", []any{job.Status(), job.EndedAt, job.Failure.Reason, job.Failure.Msg, job.Failure.Detail},
		[]any{phone.JobFailed, f.Clock.Now(), phone.ReasonBootTimeout, "1 of 2 phones could not be restarted; the first: it did not boot", "look at it"})
	equal(t, "the server after it", f.server(t, busy.Server.ID).Shown(), phone.ServerNormal)
	p, err = f.Progress(ctx, f.Project(0), in.Request.ID)
	must(t, "Progress", err)
	equal(t, "the request after it", p.Finished, true)
	_, err = f.ServerJob(ctx, f.Project(1), outcomes[0].Job)
	refused(t, "another project's look", err, phone.NotFound, phone.ReasonJobNotFound)
	f.consistent(t)
}

// testChangeServer: all phones are made anew with the image and exactly the given properties, or none is.
func testChangeServer(t *testing.T, f Fixture) {
	ctx := t.Context()
	must(t, "Register", f.Register(ctx, "r1", time.Hour))
	in := f.Fleet(t, f.Project(0), f.Image(t).ID, 2, 2)
	other := f.Image(t)
	change := f.serversInput(phone.KindReset, true, in.Server.ID)
	change.Image, change.Properties = other.ID, phone.Properties{"com.cph.mainkeys": "1"}
	f.stopping(t, in.Phones[0].ID, func() {
		f.unchanged(t, "a change of a server that is at work", func() {
			_, err := f.AcceptServers(ctx, change)
			refused(t, "AcceptServers", err, phone.Precondition, phone.ReasonServerBusy)
		})
	})
	missing := change
	missing.Image = phone.NewID[phone.ImageID]()
	_, err := f.AcceptServers(ctx, missing)
	refused(t, "an image that there is not", err, phone.NotFound, phone.ReasonImageNotFound)
	outcomes, err := f.AcceptServers(ctx, change)
	must(t, "AcceptServers", err)
	equal(t, "the server meanwhile", f.server(t, in.Server.ID).Shown(), phone.ServerCreating)
	jobs := f.requestJobs(t, change.Request.ID, in.Server.ID)
	j := f.job(t, jobs[1])
	equal(t, "a phone's job", []any{j.Kind, j.Image, j.Properties, j.Factory, j.Target}, []any{phone.KindReset, other.ID, change.Properties, true, phone.Generation(2)})
	f.consistent(t)
	cancelled, err := f.Cancel(ctx, fleet.CancelJobs{Project: f.Project(0), Request: change.Request.ID, Failure: phone.Failure{Reason: phone.ReasonCancelled, Msg: "never mind"}})
	must(t, "Cancel", err)
	equal(t, "what is cancelled", cancelled.Cancelled, 2)
	f.sweep(t)
	end := f.serverJob(t, outcomes[0].Job)
	equal(t, "its end", []any{end.Status(), end.Failure.Reason}, []any{phone.JobFailed, phone.ReasonCancelled})
	equal(t, "the server after it", f.server(t, in.Server.ID).Shown(), phone.ServerNormal)
	f.consistent(t)
}

// stopping does something while a phone is being stopped, and lets the stop succeed and the phone run again.
func (f Fixture) stopping(t testing.TB, id phone.ID, do func()) {
	t.Helper()
	_, outcomes, err := f.AcceptStop(t.Context(), f.powerInput(phone.KindStop, id))
	must(t, "AcceptStop", err)
	do()
	f.finishStop(t, f.claim(t, outcomes[0].Job, "r1"))
}

// testDeleteServers: all of the servers are accepted, with one job for all, or none. A server goes when its phones are gone and its host
// was looked at; one of whose phones something failed stays.
func testDeleteServers(t *testing.T, f Fixture) {
	ctx := t.Context()
	must(t, "Register", f.Register(ctx, "r1", time.Hour))
	image := f.Image(t).ID
	one, two := f.Fleet(t, f.Project(0), image, 2, 1), f.Fleet(t, f.Project(0), image, 1, 1)
	f.unchanged(t, "a deletion of which one server is unknown", func() {
		_, err := f.AcceptServers(ctx, f.serversInput(phone.KindDelete, true, one.Server.ID, phone.NewID[phone.ServerID]()))
		refused(t, "AcceptServers", err, phone.NotFound, phone.ReasonServerNotFound)
	})
	request, outcomes := f.acceptServers(t, phone.KindDelete, true, one.Server.ID, two.Server.ID)
	equal(t, "the one job", outcomes[0].Job, outcomes[1].Job)
	equal(t, "a server meanwhile", f.server(t, one.Server.ID).Shown(), phone.ServerStopping)
	shares, err := f.ServerJob(ctx, f.Project(0), outcomes[0].Job)
	must(t, "ServerJob", err)
	equal(t, "its shares", len(shares), 2)
	f.consistent(t)

	failing := f.claim(t, f.requestJobs(t, request, two.Server.ID)[0], "r1")
	must(t, "Fail", f.Fail(ctx, failing.Fence, phone.Failure{Reason: phone.ReasonEraseFailed, Msg: "a volume is in use"}))
	reset, err := f.AcceptReset(ctx, f.ResetInput(f.Project(0), two.Phones[0].ID))
	must(t, "AcceptReset", err)
	equal(t, "a reset on a server that is to go", reasonOf(reset[0]), phone.ReasonServerNotReady)
	for _, job := range f.requestJobs(t, request, one.Server.ID) {
		f.erased(t, job)
	}
	f.sweep(t)
	equal(t, "the server that keeps a phone", f.server(t, two.Server.ID).Shown(), phone.ServerNormal)
	emptied := f.claimEmptied(t, "r1")
	equal(t, "the server to be looked at", []any{len(emptied), emptied[0].Server.ID, emptied[0].Fence.Job, emptied[0].At}, []any{1, one.Server.ID, outcomes[0].Job, f.Clock.Now()})
	f.sweep(t)
	equal(t, "before the look", f.server(t, one.Server.ID).Shown(), phone.ServerStopping)

	must(t, "RemoveServer", f.RemoveServer(ctx, emptied[0], &phone.Failure{Reason: phone.ReasonServerNotEmpty, Msg: "something is left"}, nil))
	equal(t, "a server of which something is left", f.server(t, one.Server.ID).Shown(), phone.ServerNormal)
	f.unchanged(t, "a second look", func() {
		refused(t, "RemoveServer", f.RemoveServer(ctx, emptied[0], nil, &phone.ServerReceipt{}), phone.Conflict, phone.ReasonFenced)
	})
	shares, err = f.ServerJob(ctx, f.Project(0), outcomes[0].Job)
	must(t, "ServerJob", err)
	equal(t, "the end of the whole", phone.JoinServerJobs(shares).Status(), phone.JobFailed)

	_, outcomes = f.acceptServers(t, phone.KindDelete, true, one.Server.ID)
	emptied = f.claimEmptied(t, "r1")
	var done sync.WaitGroup
	var removed atomic.Int32
	for range 3 {
		done.Go(func() {
			switch err := f.RemoveServer(ctx, emptied[0], nil, &phone.ServerReceipt{LookedFor: f.Clock.Now()}); {
			case err == nil:
				removed.Add(1)
			case phone.ReasonOf(err) != phone.ReasonFenced:
				t.Errorf("RemoveServer: %v", err)
			}
		})
	}
	done.Wait()
	equal(t, "how many have removed it", removed.Load(), 1)
	_, err = f.Server(ctx, f.Project(0), one.Server.ID)
	refused(t, "the server", err, phone.NotFound, phone.ReasonServerNotFound)
	job := f.serverJob(t, outcomes[0].Job)
	equal(t, "its receipt", []any{job.Status(), job.Receipt.LookedFor}, []any{phone.JobSuccess, f.Clock.Now()})
	equal(t, "what hung on it", f.count(t, `SELECT count(*) FROM host_images WHERE server_id = $1`, string(one.Server.ID)), 0)
	f.consistent(t)
	f.Clock.Advance(time.Hour)
	f.pruneAll(t, f.Clock.Now())
	_, err = f.ServerJob(ctx, f.Project(0), outcomes[0].Job)
	refused(t, "the job, when it is old", err, phone.NotFound, phone.ReasonJobNotFound)
	f.consistent(t)
}

// testEmptiedServers: the look at the host of an emptied server is one worker's. It is taken over from whoever has no lease any more, given back for
// a time, and what one has destroyed is known to the next, and to the next deletion.
func testEmptiedServers(t *testing.T, f Fixture) {
	ctx := t.Context()
	must(t, "Register", f.Register(ctx, "r1", time.Hour))
	must(t, "Register", f.Register(ctx, "r2", time.Hour))
	empty := f.ServerInput(f.Project(0), f.Image(t).ID, 0, 1)
	must(t, "AddServer", f.AddServer(ctx, empty))
	id := empty.Server.ID
	f.acceptServers(t, phone.KindDelete, true, id)
	holds := func(what string, e phone.Emptied, want bool) {
		t.Helper()
		held, err := f.HoldsRemoval(ctx, e)
		must(t, "HoldsRemoval", err)
		equal(t, what, held, want)
	}
	one := f.claimEmptied(t, "r1")[0]
	equal(t, "what is known of it", []any{one.Fence.Attempt, one.Away.IsZero(), one.Erasing == nil}, []any{1, true, true})
	equal(t, "for another replica", len(f.claimEmptied(t, "r2")), 0)
	equal(t, "for who has it", len(f.claimEmptied(t, "r1", id)), 0)
	holds("held", one, true)
	begun := phone.ShareErasure{ErasedShare: phone.ErasedShare{Name: "share", Partial: true}, BegunAt: f.Clock.Now().UTC()}
	must(t, "SaveErasing", f.SaveErasing(ctx, one, begun))

	// Whoever has no lease any more loses it, and so does a claim whose answer was lost.
	f.expire(t, "r1")
	f.sweep(t)
	two := f.claimEmptied(t, "r2")[0]
	equal(t, "what was destroyed before", two.Erasing, &begun)
	again := f.claimEmptied(t, "r2")[0]
	equal(t, "its attempt", again.Fence.Attempt, 3)
	f.unchanged(t, "what the earlier ones save", func() {
		for _, lost := range []phone.Emptied{one, two} {
			holds("held by who has lost it", lost, false)
			refused(t, "SaveErasing", f.SaveErasing(ctx, lost, begun), phone.Conflict, phone.ReasonFenced)
			refused(t, "PostponeRemoval", f.PostponeRemoval(ctx, lost, time.Minute, true), phone.Conflict, phone.ReasonFenced)
			refused(t, "RemoveServer", f.RemoveServer(ctx, lost, nil, &phone.ServerReceipt{}), phone.Conflict, phone.ReasonFenced)
		}
	})

	// What is given back is nobody's for a time, and remembers when its host did not answer for the first time, until it does.
	away := f.Clock.Now()
	must(t, "PostponeRemoval", f.PostponeRemoval(ctx, again, time.Minute, true))
	equal(t, "before its time", len(f.claimEmptied(t, "r2")), 0)
	f.Clock.Advance(time.Minute)
	third := f.claimEmptied(t, "r2")[0]
	must(t, "PostponeRemoval", f.PostponeRemoval(ctx, third, time.Minute, true))
	f.Clock.Advance(time.Minute)
	third = f.claimEmptied(t, "r2")[0]
	equal(t, "away since", third.Away.Equal(away), true)
	must(t, "PostponeRemoval", f.PostponeRemoval(ctx, third, 0, false))
	third = f.claimEmptied(t, "r2")[0]
	equal(t, "of a host that has answered", third.Away.IsZero(), true)
	ended := begun
	ended.Files, ended.Partial = 3, false
	must(t, "SaveErasing", f.SaveErasing(ctx, third, ended))
	must(t, "RemoveServer", f.RemoveServer(ctx, third, &phone.Failure{Reason: phone.ReasonHostGone, Msg: "it went away"}, nil))

	_, outcomes := f.acceptServers(t, phone.KindDelete, true, id)
	last := f.claimEmptied(t, "r2")[0]
	equal(t, "what an earlier deletion has destroyed", last.Erasing, &phone.ShareErasure{ErasedShare: ended.ErasedShare})
	must(t, "RemoveServer", f.RemoveServer(ctx, last, nil, &phone.ServerReceipt{LookedFor: f.Clock.Now(), Share: &last.Erasing.ErasedShare}))
	equal(t, "the receipt", f.serverJob(t, outcomes[0].Job).Receipt.Share, &ended.ErasedShare)
	f.consistent(t)
}

// testAbandonServer: a server that is abandoned goes at once with its phones; what was at work on them has failed, and nothing counts
// as erased.
func testAbandonServer(t *testing.T, f Fixture) {
	ctx := t.Context()
	must(t, "Register", f.Register(ctx, "r1", time.Hour))
	in := f.Fleet(t, f.Project(0), f.Image(t).ID, 3, 1)
	resets := f.Reset(t, f.Project(0), in.Phones[0].ID, in.Phones[1].ID)
	a := f.claim(t, resets[0], "r1")
	failure := phone.Failure{Reason: phone.ReasonHostGone, Msg: "it was abandoned"}
	_, err := f.AbandonServer(ctx, f.Project(1), in.Server.ID, failure)
	refused(t, "by another project", err, phone.NotFound, phone.ReasonServerNotFound)
	n, err := f.AbandonServer(ctx, f.Project(0), in.Server.ID, failure)
	must(t, "AbandonServer", err)
	equal(t, "the phones that went", n, 3)
	equal(t, "their jobs", f.phases(t, resets...), []phone.Phase{phone.PhaseFailed, phone.PhaseFailed})
	equal(t, "why", []any{f.job(t, resets[0]).Failure.Msg, f.job(t, resets[0]).Erase}, []any{"it was abandoned", phone.ErasePending})
	refused(t, "a step of its worker", f.Advance(ctx, a.Fence, phone.PhaseCreating), phone.Conflict, phone.ReasonFenced)
	equal(t, "phones", f.count(t, `SELECT count(*) FROM phones`), 0)
	f.consistent(t)
	f.sweep(t)
}
