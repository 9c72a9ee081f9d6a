package storetest

import (
	"testing"
	"time"

	"github.com/lethe-cloud/lethe/internal/fleet"
	"github.com/lethe-cloud/lethe/internal/phone"
)

func testAddServer(t *testing.T, f Fixture) {
	image := f.Image(t)
	in := f.ServerInput(f.Project(0), image.ID, 3, 2)
	must(t, "AddServer", f.AddServer(t.Context(), in))
	server, err := f.Server(t.Context(), f.Project(0), in.Server.ID)
	must(t, "Server", err)
	equal(t, "the server", server, in.Server)
	for i, p := range in.Phones {
		equal(t, "a phone", f.phone(t, p.ID), p)
		want := in.Jobs[i]
		want.PhaseAt = map[phone.Phase]time.Time{phone.PhaseQueued: f.Clock.Now()}
		if i == 0 { // it brings the image
			want.Phase, want.Attempt, want.StartedAt = phone.PhasePreparing, 1, f.Clock.Now()
			want.PhaseAt[phone.PhasePreparing] = f.Clock.Now()
		}
		equal(t, "a job", f.job(t, in.Jobs[i].ID), want)
	}
	equal(t, "deliveries", f.queued(t), map[phone.Delivery]int{{Job: in.Jobs[0].ID, Attempt: 1}: 1})
	use, err := f.ServerUse(t.Context(), f.Project(0), in.Server.ID)
	must(t, "ServerUse", err)
	equal(t, "use", use, phone.ServerUse{Phones: map[phone.Status]int{phone.StatusCreating: 3}})
	f.consistent(t)

	bare := f.ServerInput(f.Project(0), image.ID, 0, 2)
	bare.Server.Config = nil
	must(t, "AddServer without phones", f.AddServer(t.Context(), bare))
	server, err = f.Server(t.Context(), f.Project(0), bare.Server.ID)
	must(t, "Server", err)
	equal(t, "a server without phones", server, bare.Server)

	unknown := f.ServerInput(phone.NewID[phone.ProjectID](), image.ID, 1, 1)
	refused(t, "a server of no project", f.AddServer(t.Context(), unknown), phone.Precondition, "")
	broken := f.ServerInput(f.Project(0), image.ID, 2, 1)
	broken.Jobs = broken.Jobs[:1]
	refused(t, "phones without jobs", f.AddServer(t.Context(), broken), phone.Internal, "")
}

func testTaken(t *testing.T, f Fixture) {
	image := f.Image(t)
	first := f.ServerInput(f.Project(0), image.ID, 10, 1)
	must(t, "AddServer", f.AddServer(t.Context(), first))
	for _, c := range []struct {
		name   string
		change func(*fleet.AddServer)
		reason phone.Reason
	}{
		{"the server's name", func(in *fleet.AddServer) { in.Server.Name = first.Server.Name }, phone.ReasonNameTaken},
		{"a phone's name", func(in *fleet.AddServer) { in.Phones[1].Name = first.Phones[7].Name }, phone.ReasonNameTaken},
		{"the last port", func(in *fleet.AddServer) {
			in.Server.Endpoint, in.Server.PortBase, in.Server.Capacity = first.Server.Endpoint, first.Server.PortBase+9, 5
		}, phone.ReasonPortsTaken},
		{"the first port", func(in *fleet.AddServer) {
			in.Server.Endpoint, in.Server.PortBase, in.Server.Capacity = first.Server.Endpoint, first.Server.PortBase-4, 5
		}, phone.ReasonPortsTaken},
		{"ports from another project", func(in *fleet.AddServer) {
			*in = f.ServerInput(f.Project(1), image.ID, 2, 1)
			in.Server.Endpoint = first.Server.Endpoint
		}, phone.ReasonPortsTaken},
	} {
		f.unchanged(t, c.name, func() {
			in := f.ServerInput(f.Project(0), image.ID, 2, 1)
			c.change(&in)
			refused(t, c.name, f.AddServer(t.Context(), in), phone.Conflict, c.reason)
		})
	}
	next := f.ServerInput(f.Project(1), image.ID, 10, 1)
	next.Server.Name, next.Server.Endpoint, next.Server.PortBase = first.Server.Name, first.Server.Endpoint, first.Server.PortBase+10
	for i := range next.Phones {
		next.Phones[i].Name, next.Phones[i].ADBPort = first.Phones[i].Name, next.Server.PortBase+i
	}
	must(t, "the same names in another project, and the next ports", f.AddServer(t.Context(), next))

	same := image
	same.ID = phone.NewID[phone.ImageID]()
	refused(t, "an image's name", f.AddImage(t.Context(), same), phone.Conflict, phone.ReasonNameTaken)
	same.Project = f.Project(0)
	must(t, "a public image's name in a project", f.AddImage(t.Context(), same))
	refused(t, "an image's id", f.AddImage(t.Context(), phone.Image{ID: same.ID, Name: "other"}), phone.Conflict, "")
}

// testCreateToSuccess takes new phones through preparing and creating.
func testCreateToSuccess(t *testing.T, f Fixture) {
	image := f.Image(t)
	in := f.ServerInput(f.Project(0), image.ID, 3, 2)
	must(t, "AddServer", f.AddServer(t.Context(), in))
	must(t, "Register", f.Register(t.Context(), "r1", time.Minute))
	a := f.claim(t, in.Jobs[0].ID, "r1")
	equal(t, "identity before preparing", a.Identity, phone.ImageIdentity{})
	must(t, "Prepared", f.Prepared(t.Context(), a.Fence, phone.ImageIdentity{ID: "sha256:1"}))
	jobs := []phone.JobID{in.Jobs[0].ID, in.Jobs[1].ID, in.Jobs[2].ID}
	equal(t, "phases when prepared", f.phases(t, jobs...), []phone.Phase{phone.PhaseCreating, phone.PhaseCreating, phone.PhaseQueued})
	f.scheduled(t)
	f.Clock.Advance(time.Second)
	for _, id := range jobs {
		a := f.claim(t, id, "r1")
		equal(t, "identity", a.Identity, phone.ImageIdentity{ID: "sha256:1"})
		f.finish(t, a)
		f.scheduled(t)
	}
	for i, p := range in.Phones {
		want := p
		want.Status, want.Generation, want.UpdatedAt = phone.StatusRunning, 1, f.Clock.Now()
		equal(t, "the phone", f.phone(t, p.ID), want)
		equal(t, "its erase state", f.job(t, jobs[i]).Erase, phone.EraseNone)
	}
	f.consistent(t)
}
