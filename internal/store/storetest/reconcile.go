package storetest

import (
	"sync"
	"testing"
	"time"

	"github.com/lethe-cloud/lethe/internal/phone"
)

// testWatchServers claims servers for passes. The claims run by the database's clock, so the test ends them by hand.
func testWatchServers(t *testing.T, f Fixture) {
	ctx := t.Context()
	image := f.Image(t).ID
	first, second := f.Fleet(t, f.Project(0), image, 1, 1).Server, f.Fleet(t, f.Project(0), image, 1, 1).Server
	if second.ID < first.ID {
		first, second = second, first
	}
	due := func(pass string) phone.ServerID {
		t.Helper()
		server, found, err := f.DueServer(ctx, pass, time.Hour, time.Hour)
		must(t, "DueServer", err)
		if found != (server.ID != "") {
			t.Errorf("DueServer gives %v and server %q", found, server.ID)
		}
		return server.ID
	}
	server, _, err := f.DueServer(ctx, "a", time.Hour, time.Hour)
	must(t, "DueServer", err)
	equal(t, "the first that is due", server, first)
	equal(t, "the next", due("b"), second.ID)
	equal(t, "when all are taken", due("c"), "")
	refused(t, "claiming a server that a pass has", f.ClaimServer(ctx, "c", first.ID, time.Hour), phone.Conflict, "")

	must(t, "ReleaseServer by another", f.ReleaseServer(ctx, "c", first.ID))
	refused(t, "claiming after another's release", f.ClaimServer(ctx, "c", first.ID, time.Hour), phone.Conflict, "")
	must(t, "ReleaseServer", f.ReleaseServer(ctx, "a", first.ID))
	equal(t, "released and not due yet", due("c"), "")
	must(t, "ClaimServer", f.ClaimServer(ctx, "c", first.ID, time.Hour))
	f.exec(t, `UPDATE server_watches SET due_at = 0 WHERE server_id = $1`, string(first.ID))
	equal(t, "due and taken by hand", due("d"), "")
	f.exec(t, `UPDATE server_watches SET expires_at = 1 WHERE server_id = $1`, string(first.ID)) // its process has died
	equal(t, "due, and its pass is over", due("d"), first.ID)
	must(t, "ReleaseServer", f.ReleaseServer(ctx, "d", first.ID))

	must(t, "ReleaseServer", f.ReleaseServer(ctx, "b", second.ID))
	f.exec(t, `UPDATE server_watches SET due_at = 0`)
	f.exec(t, `UPDATE servers SET status = 2 WHERE id = $1`, string(first.ID))
	equal(t, "only normal servers", due("e"), second.ID)
	equal(t, "only normal servers", due("e"), "")

	third := f.Fleet(t, f.Project(0), image, 1, 1).Server
	must(t, "ClaimServer of one that no pass ever had", f.ClaimServer(ctx, "g", third.ID, time.Hour))
	equal(t, "taken by hand", due("h"), "")
	must(t, "ReleaseServer", f.ReleaseServer(ctx, "g", third.ID))
	equal(t, "due, for what is done by hand counts for nothing", due("h"), third.ID)
}

// testWatchAtOnce lets many passes of two stores ask at once: each server has one.
func testWatchAtOnce(t *testing.T, f Fixture) {
	image := f.Image(t).ID
	for range 4 {
		f.Fleet(t, f.Project(0), image, 1, 1)
	}
	beside := f
	beside.Store = Reopen(t, f.URL, f.Clock)
	var mu sync.Mutex
	taken := map[phone.ServerID]int{}
	var group sync.WaitGroup
	for i := range 8 {
		group.Go(func() {
			server, found, err := []Fixture{f, beside}[i%2].DueServer(t.Context(), phone.NewID[string](), time.Hour, time.Hour)
			if err != nil {
				t.Errorf("DueServer: %v", err)
			}
			mu.Lock()
			defer mu.Unlock()
			if found {
				taken[server.ID]++
			}
		})
	}
	group.Wait()
	equal(t, "servers taken", len(taken), 4)
	for id, n := range taken {
		equal(t, "passes of server "+string(id), n, 1)
	}
}

func testHosting(t *testing.T, f Fixture) {
	must(t, "Register", f.Register(t.Context(), "r1", time.Hour))
	in := f.Fleet(t, f.Project(0), f.Image(t).ID, 3, 3)
	f.Fleet(t, f.Project(0), in.Phones[0].Image, 1, 1) // another server's phone
	failed := f.claim(t, f.Reset(t, f.Project(0), in.Phones[1].ID)[0], "r1")
	must(t, "Fail", f.Fail(t.Context(), failed.Fence, phone.Failure{Msg: "as the test wants it"}))
	f.Reset(t, f.Project(0), in.Phones[2].ID)

	want := map[phone.ID]phone.Hosted{}
	for i, h := range []phone.Hosted{
		{Status: phone.StatusRunning, Generation: 1, LastGeneration: 1},
		{Status: phone.StatusResetFailed, Generation: 1, LastGeneration: 2},
		{Status: phone.StatusResetting, Generation: 1, LastGeneration: 2, Busy: true},
	} {
		h.Phone, h.Name, h.UpdatedAt = in.Phones[i].ID, in.Phones[i].Name, f.Clock.Now()
		want[h.Phone] = h
	}
	hosting, err := f.Hosting(t.Context(), in.Server.ID)
	must(t, "Hosting", err)
	got := map[phone.ID]phone.Hosted{}
	for _, h := range hosting.Phones {
		got[h.Phone] = h
	}
	equal(t, "the server's phones", got, want)
	equal(t, "preparing", hosting.Preparing, false)

	one, err := f.Hosting(t.Context(), in.Server.ID, in.Phones[2].ID, phone.NewID[phone.ID]())
	must(t, "Hosting", err)
	equal(t, "one phone", one.Phones, []phone.Hosted{want[in.Phones[2].ID]})

	reset := f.ResetInput(f.Project(0), in.Phones[0].ID)
	reset.Image = f.Image(t).ID
	_, err = f.AcceptReset(t.Context(), reset)
	must(t, "AcceptReset", err)
	hosting, err = f.Hosting(t.Context(), in.Server.ID, in.Phones[0].ID)
	must(t, "Hosting", err)
	equal(t, "preparing, with a job that brings an image", []bool{hosting.Preparing, hosting.Phones[0].Busy}, []bool{true, true})
}

func testSightings(t *testing.T, f Fixture) {
	ctx := t.Context()
	image := f.Image(t).ID
	server, other := f.Fleet(t, f.Project(0), image, 1, 1).Server.ID, f.Fleet(t, f.Project(0), image, 1, 1).Server.ID
	at := f.Clock.Now()
	seen := []phone.Sighting{
		{Object: phone.DriftInstance, Phone: "a", Generation: 1, FirstSeen: at, Seen: 1},
		{Object: phone.DriftVolume, Phone: "a", Generation: 1, FirstSeen: at.Add(time.Second), Seen: 7},
		{Object: phone.DriftVolume, Phone: "a", Generation: 2, FirstSeen: at, Seen: 1},
	}
	must(t, "SaveSightings", f.SaveSightings(ctx, other, seen[:1]))
	must(t, "SaveSightings", f.SaveSightings(ctx, server, seen[1:]))
	for _, want := range [][]phone.Sighting{seen, seen[1:], nil} {
		must(t, "SaveSightings", f.SaveSightings(ctx, server, want))
		got, err := f.Sightings(ctx, server)
		must(t, "Sightings", err)
		equal(t, "what was seen", got, want)
	}
	got, err := f.Sightings(ctx, other)
	must(t, "Sightings", err)
	equal(t, "what was seen on the other server", got, seen[:1])
}
