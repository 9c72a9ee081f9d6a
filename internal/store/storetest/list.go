package storetest

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/lethe-cloud/lethe/internal/fleet"
	"github.com/lethe-cloud/lethe/internal/phone"
)

func imageByID(project phone.ProjectID, id phone.ImageID) fleet.ImageFilter {
	return fleet.ImageFilter{Project: project, ID: id}
}

func testListPhones(t *testing.T, f Fixture) {
	ctx := t.Context()
	image := f.Image(t)
	first := f.Fleet(t, f.Project(0), image.ID, 4, 1)
	f.Clock.Advance(time.Minute)
	second := f.Fleet(t, f.Project(0), image.ID, 3, 1)
	f.Fleet(t, f.Project(1), image.ID, 2, 1)
	f.exec(t, `UPDATE phones SET name = 'a%b_c' WHERE id = $1`, string(first.Phones[1].ID))
	f.exec(t, `UPDATE phones SET name = 'a%b_C' WHERE id = $1`, string(first.Phones[2].ID))
	f.exec(t, `UPDATE phones SET status = 8 WHERE id = $1`, string(first.Phones[3].ID))
	f.recount(t)
	byID := func(phones []phone.Phone) []phone.ID {
		all := ids(phones)
		slices.Sort(all)
		return all
	}
	order := append(byID(second.Phones), byID(first.Phones)...) // created last first, then by id
	stopped, running, resetting := phone.StatusStopped, phone.StatusRunning, phone.StatusResetting
	for _, c := range []struct {
		name   string
		filter fleet.PhoneFilter
		want   []phone.ID
		total  int
	}{
		{"all", fleet.PhoneFilter{}, order, 7},
		{"a page", fleet.PhoneFilter{Offset: 2, Limit: 3}, order[2:5], 7},
		{"the last page", fleet.PhoneFilter{Offset: 6, Limit: 3}, order[6:], 7},
		{"past the end", fleet.PhoneFilter{Offset: 7, Limit: 3}, nil, 7},
		{"far past the end", fleet.PhoneFilter{Offset: 1 << 40, Limit: 3}, nil, 7},
		{"of a server", fleet.PhoneFilter{Server: second.Server.ID, Limit: 2}, order[:2], 3},
		{"of no server", fleet.PhoneFilter{Server: phone.NewID[phone.ServerID]()}, nil, 0},
		{"by a part of the name, literally", fleet.PhoneFilter{Name: "%b_c"}, []phone.ID{first.Phones[1].ID}, 1},
		{"by a name that nothing has", fleet.PhoneFilter{Name: "%b_x"}, nil, 0},
		{"by status", fleet.PhoneFilter{Status: &stopped}, []phone.ID{first.Phones[3].ID}, 1},
		{"by another status", fleet.PhoneFilter{Status: &resetting}, nil, 0},
		{"by status and name", fleet.PhoneFilter{Status: &stopped, Name: "server-"}, []phone.ID{first.Phones[3].ID}, 1},
		{"by status and server", fleet.PhoneFilter{Status: &running, Server: first.Server.ID, Limit: 1, Offset: 3}, nil, 3},
	} {
		c.filter.Project = f.Project(0)
		phones, total, err := f.Phones(ctx, c.filter)
		must(t, c.name, err)
		equal(t, c.name, ids(phones), c.want)
		equal(t, c.name+": total", total, c.total)
	}
	phones, _, err := f.Phones(ctx, fleet.PhoneFilter{Project: f.Project(0), Server: second.Server.ID})
	must(t, "Phones", err)
	for _, p := range phones {
		i := slices.IndexFunc(second.Phones, func(q phone.Phone) bool { return q.ID == p.ID })
		want := second.Phones[i]
		want.Status, want.Generation = phone.StatusRunning, 1
		equal(t, "a phone of a list", p, want)
	}
	_, total, err := f.Phones(ctx, fleet.PhoneFilter{})
	must(t, "Phones of all projects", err)
	equal(t, "phones of all projects", total, 9)
}

func testListServers(t *testing.T, f Fixture) {
	ctx := t.Context()
	image := f.Image(t)
	var servers []phone.Server
	for i := range 4 {
		in := f.ServerInput(f.Project(0), image.ID, 1, 1)
		in.Server.Name = "rack-" + string(rune('a'+i))
		in.Server.PhoneModel = []string{"small", "large"}[i%2]
		must(t, "AddServer", f.AddServer(ctx, in))
		servers = append(servers, in.Server)
		f.Clock.Advance(time.Hour)
	}
	f.Fleet(t, f.Project(1), image.ID, 1, 1)
	f.exec(t, `UPDATE servers SET status = 2 WHERE id = $1`, string(servers[0].ID))
	servers[0].Status = phone.ServerAbnormal
	slices.Reverse(servers) // d c b a
	abnormal := phone.ServerAbnormal
	for _, c := range []struct {
		name   string
		filter fleet.ServerFilter
		want   []phone.Server
		total  int
	}{
		{"all", fleet.ServerFilter{}, servers, 4},
		{"a page", fleet.ServerFilter{Offset: 1, Limit: 2}, servers[1:3], 4},
		{"past the end", fleet.ServerFilter{Offset: 9, Limit: 2}, nil, 4},
		{"by id", fleet.ServerFilter{ID: servers[2].ID}, servers[2:3], 1},
		{"by a part of the name", fleet.ServerFilter{Name: "ck-c"}, servers[1:2], 1},
		{"by status", fleet.ServerFilter{Status: &abnormal}, servers[3:], 1},
		{"by the phones' model", fleet.ServerFilter{PhoneModel: "small"}, []phone.Server{servers[1], servers[3]}, 2},
		{"created from and to, inclusive", fleet.ServerFilter{CreatedFrom: servers[2].CreatedAt, CreatedTo: servers[1].CreatedAt}, servers[1:3], 2},
		{"created later", fleet.ServerFilter{CreatedFrom: servers[0].CreatedAt.Add(time.Microsecond)}, nil, 0},
	} {
		c.filter.Project = f.Project(0)
		got, total, err := f.Servers(ctx, c.filter)
		must(t, c.name, err)
		equal(t, c.name, got, c.want)
		equal(t, c.name+": total", total, c.total)
	}
}

func testListImages(t *testing.T, f Fixture) {
	ctx := t.Context()
	add := func(project phone.ProjectID, name string) phone.Image {
		f.Clock.Advance(time.Second)
		i := phone.Image{
			ID: phone.NewID[phone.ImageID](), Name: name, Project: project, Label: "arm", OSName: "AOSP11.0", Reference: "redroid:" + name, CreatedAt: f.Clock.Now(),
		}
		must(t, "AddImage", f.AddImage(ctx, i))
		return i
	}
	public, own, foreign := add("", "a"), add(f.Project(0), "b"), add(f.Project(1), "b")
	for _, c := range []struct {
		name   string
		filter fleet.ImageFilter
		want   []phone.Image
	}{
		{"own and public, newest first", fleet.ImageFilter{Project: f.Project(0)}, []phone.Image{own, public}},
		{"by name", fleet.ImageFilter{Project: f.Project(1), Name: "b"}, []phone.Image{foreign}},
		{"by a part of the name", fleet.ImageFilter{Project: f.Project(1), Name: ""}, []phone.Image{foreign, public}},
		{"by id", imageByID(f.Project(0), own.ID), []phone.Image{own}},
		{"another project's id", imageByID(f.Project(0), foreign.ID), nil},
	} {
		got, err := f.Images(ctx, c.filter)
		must(t, c.name, err)
		equal(t, c.name, got, c.want)
	}
}

func testListJobs(t *testing.T, f Fixture) {
	ctx := t.Context()
	image := f.Image(t)
	in := f.Fleet(t, f.Project(0), image.ID, 3, 3)
	other := f.Fleet(t, f.Project(0), image.ID, 2, 2)
	must(t, "Register", f.Register(ctx, "r1", time.Minute))
	first := f.ResetInput(f.Project(0), in.Phones[2].ID, other.Phones[0].ID, in.Phones[0].ID)
	outcomes, err := f.AcceptReset(ctx, first)
	must(t, "AcceptReset", err)
	jobs := []phone.JobID{outcomes[0].Job, outcomes[1].Job, outcomes[2].Job}
	for _, id := range jobs {
		f.finish(t, f.claim(t, id, "r1"))
	}
	second := f.ResetInput(f.Project(0), in.Phones[2].ID, in.Phones[1].ID)
	outcomes, err = f.AcceptReset(ctx, second)
	must(t, "AcceptReset", err)
	jobs = append(jobs, outcomes[0].Job, outcomes[1].Job)
	must(t, "Fail", f.Fail(ctx, f.claim(t, jobs[4], "r1").Fence, phone.Failure{Reason: phone.ReasonHostGone}))

	reversed := slices.Clone(jobs)
	slices.Reverse(reversed)
	for _, c := range []struct {
		name   string
		filter fleet.JobFilter
		want   []phone.JobID
	}{
		{"of two requests", fleet.JobFilter{Requests: []phone.RequestID{second.Request.ID, first.Request.ID}}, jobs},
		{"of one request", fleet.JobFilter{Requests: []phone.RequestID{first.Request.ID}}, jobs[:3]},
		{"a page", fleet.JobFilter{Requests: []phone.RequestID{first.Request.ID}, Offset: 1, Limit: 1}, jobs[1:2]},
		{"past the end", fleet.JobFilter{Requests: []phone.RequestID{first.Request.ID}, Offset: 3, Limit: 1}, nil},
		{"of no request", fleet.JobFilter{Requests: []phone.RequestID{phone.NewID[phone.RequestID]()}}, nil},
		{"newest first", fleet.JobFilter{Newest: true, Limit: 5}, reversed},
		{"of a phone, newest first", fleet.JobFilter{Phone: in.Phones[2].ID, Newest: true, Limit: 2}, []phone.JobID{jobs[3], jobs[0]}},
		{"of a server, newest first", fleet.JobFilter{Server: other.Server.ID, Newest: true, Limit: 1}, jobs[1:2]},
	} {
		c.filter.Project = f.Project(0)
		got, err := f.Jobs(ctx, c.filter)
		must(t, c.name, err)
		var found []phone.JobID
		for _, j := range got {
			found = append(found, j.ID)
			equal(t, c.name+": a job", j, f.job(t, j.ID))
		}
		equal(t, c.name, found, c.want)
		c.filter.Project = f.Project(1)
		got, err = f.Jobs(ctx, c.filter)
		must(t, c.name, err)
		equal(t, c.name+", from another project", len(got), 0)
	}
	for id, want := range map[phone.RequestID]bool{first.Request.ID: false, second.Request.ID: true, phone.NewID[phone.RequestID](): false} {
		got, err := f.Unfinished(ctx, id)
		must(t, "Unfinished", err)
		equal(t, "whether a request is unfinished", got, want)
	}
	p, err := f.Progress(ctx, f.Project(0), first.Request.ID)
	must(t, "Progress", err)
	equal(t, "progress", p, phone.Progress{Request: first.Request, Total: 3, Erased: 3, ByPhase: map[phone.Phase]int{phone.PhaseSucceeded: 3}, Finished: true})
	p, err = f.Progress(ctx, f.Project(0), second.Request.ID)
	must(t, "Progress", err)
	equal(t, "progress", p, phone.Progress{Request: second.Request, Total: 2, ByPhase: map[phone.Phase]int{phone.PhaseRemoving: 1, phone.PhaseFailed: 1}})
	use, err := f.ServerUse(ctx, f.Project(0), in.Server.ID)
	must(t, "ServerUse", err)
	equal(t, "use", use, phone.ServerUse{SlotsHeld: 1, Phones: map[phone.Status]int{phone.StatusRunning: 1, phone.StatusResetting: 1, phone.StatusResetFailed: 1}})
}

// testMissing reads what does not exist, and what is another project's: both look the same.
func testMissing(t *testing.T, f Fixture) {
	ctx := t.Context()
	in := f.Fleet(t, f.Project(0), f.Image(t).ID, 1, 1)
	reset := f.ResetInput(f.Project(0), in.Phones[0].ID)
	outcomes, err := f.AcceptReset(ctx, reset)
	must(t, "AcceptReset", err)
	none := phone.NewID[string]()
	for _, project := range []phone.ProjectID{f.Project(1), f.Project(0)} {
		phoneID, serverID, jobID, requestID := in.Phones[0].ID, in.Server.ID, outcomes[0].Job, reset.Request.ID
		if project == f.Project(0) {
			phoneID, serverID, jobID, requestID = phone.ID(none), phone.ServerID(none), phone.JobID(none), phone.RequestID(none)
		}
		_, err := f.Phone(ctx, project, phoneID)
		refused(t, "Phone", err, phone.NotFound, phone.ReasonPhoneNotFound)
		_, err = f.Server(ctx, project, serverID)
		refused(t, "Server", err, phone.NotFound, phone.ReasonServerNotFound)
		_, err = f.ServerUse(ctx, project, serverID)
		refused(t, "ServerUse", err, phone.NotFound, phone.ReasonServerNotFound)
		_, err = f.Job(ctx, project, jobID)
		refused(t, "Job", err, phone.NotFound, phone.ReasonJobNotFound)
		_, err = f.Progress(ctx, project, requestID)
		refused(t, "Progress", err, phone.NotFound, phone.ReasonRequestNotFound)
	}
}

// testCancelled calls with a context that has ended: its error comes back as it is, and nothing changes.
func testCancelled(t *testing.T, f Fixture) {
	jobs := working(t, f, 1)
	a := f.claim(t, jobs[0], "r1")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	f.unchanged(t, "calls with an ended context", func() {
		_, reset := f.AcceptReset(ctx, f.ResetInput(f.Project(0), a.Phone.ID))
		_, get := f.Phone(ctx, f.Project(0), a.Phone.ID)
		_, _, page := f.Phones(ctx, fleet.PhoneFilter{})
		_, installation := f.Installation(ctx)
		for what, err := range map[string]error{
			"AcceptReset": reset, "Phone": get, "Phones": page, "Installation": installation, "Advance": f.Advance(ctx, a.Fence, phone.PhaseCreating), "Heartbeat": f.Heartbeat(ctx, "r1", time.Minute),
		} {
			if !errors.Is(err, context.Canceled) {
				t.Errorf("%s: %v", what, err)
			}
		}
	})
}

// testCounts lets the changes of the numbers of phones gather until they are put together.
func testCounts(t *testing.T, f Fixture) {
	ctx := t.Context()
	in := f.Fleet(t, f.Project(0), f.Image(t).ID, 5, 5)
	must(t, "Register", f.Register(ctx, "r1", time.Minute))
	counts := func() []int {
		var all []int
		for _, status := range []*phone.Status{nil, &[]phone.Status{phone.StatusRunning}[0], &[]phone.Status{phone.StatusResetting}[0]} {
			_, total, err := f.Phones(ctx, fleet.PhoneFilter{Project: f.Project(0), Status: status, Limit: 1})
			must(t, "Phones", err)
			all = append(all, total)
		}
		return all
	}
	f.Reset(t, f.Project(0), ids(in.Phones[:2])...)
	equal(t, "all, running, resetting", counts(), []int{5, 3, 2})
	for range 600 {
		f.exec(t, `INSERT INTO phone_counts (project_id, status, n) VALUES ($1, 2, -1)`, string(f.Project(0)))
		f.exec(t, `INSERT INTO phone_counts (project_id, status, n) VALUES ($1, 2, 1)`, string(f.Project(0)))
	}
	equal(t, "before the sweep", counts(), []int{5, 3, 2})
	_, err := f.Sweep(ctx, time.Hour)
	must(t, "Sweep", err)
	equal(t, "after the sweep", counts(), []int{5, 3, 2})
	equal(t, "rows", f.count(t, `SELECT count(*) FROM phone_counts`), 2)
}
