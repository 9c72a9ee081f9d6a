package storetest

import (
	"testing"
	"time"

	"github.com/lethe-cloud/lethe/internal/fleet"
	"github.com/lethe-cloud/lethe/internal/phone"
)

// testKeypairs: each accepted server has its key pair at once, and its phones that have a life get jobs that are set going at once and keep
// their statuses; so does the server, which takes no other call meanwhile. A server that is refused keeps what it has.
func testKeypairs(t *testing.T, f Fixture) {
	ctx := t.Context()
	must(t, "Register", f.Register(ctx, "r1", time.Hour))
	image := f.Image(t).ID
	first, second, busy := f.Fleet(t, f.Project(0), image, 3, 3), f.ServerInput(f.Project(0), image, 0, 1), f.Fleet(t, f.Project(0), image, 2, 2)
	must(t, "AddServer", f.AddServer(ctx, second))
	f.stopped(t, first.Phones[1].ID)
	f.exec(t, `UPDATE phones SET status = -5, generation = 0 WHERE id = $1`, string(first.Phones[2].ID))
	f.recount(t)

	in := f.serversInput(phone.KindUpdate, false, first.Server.ID, second.Server.ID, busy.Server.ID, phone.NewID[phone.ServerID]())
	in.CheckKeys = func(string) *phone.Error { return nil }
	in.Keypairs = map[phone.ServerID]phone.KeypairChoice{first.Server.ID: {Name: "one"}, second.Server.ID: {Name: "two"}, busy.Server.ID: {Name: "one"}}
	_, stop, err := f.AcceptStop(ctx, f.powerInput(phone.KindStop, busy.Phones[0].ID))
	must(t, "AcceptStop", err)
	outcomes, err := f.AcceptServers(ctx, in)
	must(t, "AcceptServers", err)
	equal(t, "the answers", []phone.Reason{serverReason(outcomes[0]), serverReason(outcomes[1]), serverReason(outcomes[2]), serverReason(outcomes[3])},
		[]phone.Reason{"", "", phone.ReasonServerBusy, phone.ReasonServerNotFound})
	equal(t, "the key pairs", []string{f.server(t, first.Server.ID).Keypair, f.server(t, second.Server.ID).Keypair, f.server(t, busy.Server.ID).Keypair}, []string{"one", "two", ""})
	f.finishStop(t, f.claim(t, stop[0].Job, "r1"))

	s, job := f.server(t, first.Server.ID), f.serverJob(t, outcomes[0].Job)
	equal(t, "the server meanwhile", []any{s.Shown(), s.Status, s.Doing}, []any{phone.ServerNormal, phone.ServerNormal, phone.KindUpdate})
	normal := phone.ServerNormal
	_, n, err := f.Servers(ctx, fleet.ServerFilter{Project: f.Project(0), Status: &normal, Limit: 10})
	must(t, "Servers", err)
	equal(t, "servers that are normal", n, 3)
	equal(t, "its job", []any{job.Kind, job.Phones, job.Status()}, []any{phone.KindUpdate, 2, phone.JobRunning})
	equal(t, "the job of a server without phones", f.serverJob(t, outcomes[1].Job).Status(), phone.JobSuccess)
	jobs := f.requestJobs(t, in.Request.ID, first.Server.ID)
	equal(t, "the phones' jobs", f.phases(t, jobs...), []phone.Phase{phone.PhaseVerifying, phone.PhaseVerifying})
	equal(t, "the phones meanwhile", []phone.Status{f.phone(t, first.Phones[0].ID).Status, f.phone(t, first.Phones[1].ID).Status}, []phone.Status{phone.StatusRunning, phone.StatusStopped})
	before := f.phone(t, first.Phones[0].ID).Properties
	_, again := f.acceptServers(t, phone.KindRestart, false, first.Server.ID)
	equal(t, "another call meanwhile", serverReason(again[0]), phone.ReasonServerBusy)
	f.consistent(t)

	a := f.claim(t, jobs[0], "r1")
	equal(t, "the pair that a worker sees", a.Server.Keypair, "one")
	f.finishStop(t, a)
	must(t, "Fail", f.Fail(ctx, f.claim(t, jobs[1], "r1").Fence, phone.Failure{Reason: phone.ReasonHostGone, Msg: "it did not answer"}))
	f.sweep(t)
	job = f.serverJob(t, outcomes[0].Job)
	equal(t, "its end", []any{job.Status(), job.Failure.Msg}, []any{phone.JobFailed, "1 of 2 phones could not be given the adb keys; the first: it did not answer"})
	s = f.server(t, first.Server.ID)
	equal(t, "the server after it", []any{s.Shown(), s.Doing, s.Keypair}, []any{phone.ServerNormal, phone.Kind(""), "one"})
	equal(t, "a phone's properties after it", f.phone(t, first.Phones[0].ID).Properties, before)
	f.consistent(t)
}
