package storetest

import (
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/lethe-cloud/lethe/internal/fleet"
	"github.com/lethe-cloud/lethe/internal/phone"
)

// testRename gives phones and servers other names.
func testRename(t *testing.T, f Fixture) {
	ctx := t.Context()
	in := f.Fleet(t, f.Project(0), f.Image(t).ID, 2, 1)
	other := f.Fleet(t, f.Project(0), f.Image(t).ID, 1, 1)
	before := f.phone(t, in.Phones[0].ID)
	f.Clock.Advance(time.Minute)
	must(t, "RenamePhone", f.RenamePhone(ctx, f.Project(0), in.Phones[0].ID, "手机-1"))
	before.Name, before.UpdatedAt = "手机-1", f.Clock.Now()
	equal(t, "the phone", f.phone(t, in.Phones[0].ID), before)
	must(t, "RenamePhone to its own name", f.RenamePhone(ctx, f.Project(0), in.Phones[0].ID, "手机-1"))
	refused(t, "a name that is taken", f.RenamePhone(ctx, f.Project(0), in.Phones[1].ID, "手机-1"), phone.Conflict, phone.ReasonNameTaken)
	refused(t, "another's phone", f.RenamePhone(ctx, f.Project(1), in.Phones[0].ID, "x"), phone.NotFound, phone.ReasonPhoneNotFound)
	must(t, "RenameServer", f.RenameServer(ctx, f.Project(0), in.Server.ID, "rack"))
	server, err := f.Server(ctx, f.Project(0), in.Server.ID)
	must(t, "Server", err)
	equal(t, "the server's name", server.Name, "rack")
	refused(t, "a server's name that is taken", f.RenameServer(ctx, f.Project(0), other.Server.ID, "rack"), phone.Conflict, phone.ReasonNameTaken)
	refused(t, "another's server", f.RenameServer(ctx, f.Project(1), in.Server.ID, "x"), phone.NotFound, phone.ReasonServerNotFound)
	f.consistent(t)
}

// testTags hangs tags on servers and finds servers by them.
func testTags(t *testing.T, f Fixture) {
	ctx := t.Context()
	image := f.Image(t)
	var servers []phone.Server
	for _, project := range []phone.ProjectID{f.Project(0), f.Project(0), f.Project(0), f.Project(1)} {
		servers = append(servers, f.Fleet(t, project, image.ID, 1, 1).Server)
		f.Clock.Advance(time.Minute)
	}
	add := func(n int, tags ...phone.Tag) {
		t.Helper()
		must(t, "AddTags", f.AddTags(ctx, servers[n].Project, servers[n].ID, tags))
	}
	add(0, phone.Tag{Key: "room", Value: "1"}, phone.Tag{Key: "team", Value: "测试"})
	add(0, phone.Tag{Key: "room", Value: "2"})
	add(1, phone.Tag{Key: "room", Value: "1"})
	add(3, phone.Tag{Key: "theirs", Value: "1"})
	tags, err := f.ServerTags(ctx, f.Project(0), servers[0].ID)
	must(t, "ServerTags", err)
	equal(t, "tags", tags, []phone.Tag{{Key: "room", Value: "2"}, {Key: "team", Value: "测试"}})

	all, total, err := f.ProjectTags(ctx, f.Project(0), 0, 10)
	must(t, "ProjectTags", err)
	equal(t, "the project's tags", all, []phone.TagValues{{Key: "room", Values: []string{"1", "2"}}, {Key: "team", Values: []string{"测试"}}})
	page, _, err := f.ProjectTags(ctx, f.Project(0), 1, 1)
	must(t, "ProjectTags", err)
	equal(t, "a page of them", page, all[1:])
	equal(t, "how many keys", total, 2)

	for _, c := range []struct {
		name   string
		filter fleet.TagFilter
		want   []int
		total  int
	}{
		{"all", fleet.TagFilter{}, []int{2, 1, 0}, 3},
		{"a page", fleet.TagFilter{Offset: 1, Limit: 1}, []int{1}, 3},
		{"past the end", fleet.TagFilter{Offset: 3}, nil, 3},
		{"a key", fleet.TagFilter{Tags: []phone.TagValues{{Key: "room"}}}, []int{1, 0}, 2},
		{"values", fleet.TagFilter{Tags: []phone.TagValues{{Key: "room", Values: []string{"2", "3"}}}}, []int{0}, 1},
		{"two keys", fleet.TagFilter{Tags: []phone.TagValues{{Key: "room", Values: []string{"1", "2"}}, {Key: "team"}}}, []int{0}, 1},
		{"no such key", fleet.TagFilter{Tags: []phone.TagValues{{Key: "theirs"}}}, nil, 0},
		{"untagged", fleet.TagFilter{Untagged: true}, []int{2}, 1},
		{"by name", fleet.TagFilter{Name: servers[1].Name}, []int{1}, 1},
	} {
		c.filter.Project = f.Project(0)
		found, total, err := f.TaggedServers(ctx, c.filter)
		must(t, c.name, err)
		var want []phone.TaggedServer
		for _, n := range c.want {
			own, err := f.ServerTags(ctx, f.Project(0), servers[n].ID)
			must(t, "ServerTags", err)
			want = append(want, phone.TaggedServer{ID: servers[n].ID, Name: servers[n].Name, Tags: own})
		}
		equal(t, c.name, found, want)
		equal(t, c.name+": how many", total, c.total)
	}

	must(t, "RemoveTags", f.RemoveTags(ctx, f.Project(0), servers[0].ID, []phone.Tag{{Key: "room", Value: "1"}, {Key: "team"}, {Key: "never"}}))
	tags, err = f.ServerTags(ctx, f.Project(0), servers[0].ID)
	must(t, "ServerTags", err)
	equal(t, "what is left", tags, []phone.Tag{{Key: "room", Value: "2"}})
	for what, do := range map[string]func(phone.ProjectID, phone.ServerID) error{
		"AddTags": func(p phone.ProjectID, id phone.ServerID) error {
			return f.AddTags(ctx, p, id, []phone.Tag{{Key: "a", Value: "1"}})
		},
		"RemoveTags": func(p phone.ProjectID, id phone.ServerID) error {
			return f.RemoveTags(ctx, p, id, []phone.Tag{{Key: "a"}})
		},
		"ServerTags": func(p phone.ProjectID, id phone.ServerID) error {
			_, err := f.ServerTags(ctx, p, id)
			return err
		},
	} {
		refused(t, what+" of another's server", do(f.Project(1), servers[0].ID), phone.NotFound, phone.ReasonServerNotFound)
	}
}

// testTagLimit adds more tags at once than a server may have.
func testTagLimit(t *testing.T, f Fixture) {
	in := f.Fleet(t, f.Project(0), f.Image(t).ID, 1, 1)
	errs := make([]error, phone.MaxTags+4)
	var group sync.WaitGroup
	for i := range errs {
		group.Go(func() {
			errs[i] = f.AddTags(t.Context(), f.Project(0), in.Server.ID, []phone.Tag{{Key: "k" + strconv.Itoa(i), Value: "1"}})
		})
	}
	group.Wait()
	over := 0
	for _, err := range errs {
		if err != nil {
			over++
			refused(t, "one too many", err, phone.Exhausted, phone.ReasonTagsTooMany)
		}
	}
	equal(t, "refused", over, 4)
}

// testTickets keeps tickets until their time is over, or their phone's life.
func testTickets(t *testing.T, f Fixture) {
	ctx := t.Context()
	in := f.Fleet(t, f.Project(0), f.Image(t).ID, 2, 1)
	phones, err := f.PhonesOnServers(ctx, f.Project(0), []phone.ID{in.Phones[0].ID, in.Phones[1].ID, phone.NewID[phone.ID]()})
	must(t, "PhonesOnServers", err)
	equal(t, "phones", len(phones), 2)
	for _, p := range phones {
		equal(t, "a phone", p.Phone, f.phone(t, p.Phone.ID))
		equal(t, "its server", p.Server, in.Server)
	}
	theirs, err := f.PhonesOnServers(ctx, f.Project(1), []phone.ID{in.Phones[0].ID})
	must(t, "PhonesOnServers", err)
	equal(t, "phones of another project", len(theirs), 0)

	var tickets []phone.Ticket
	for _, p := range []phone.ID{in.Phones[0].ID, in.Phones[1].ID} {
		ticket, secret := phone.NewTicket(f.phone(t, p), f.Owner.User.ID, f.Clock.Now())
		equal(t, "the hash", phone.TicketHash(secret), ticket.Hash)
		tickets = append(tickets, ticket)
	}
	must(t, "InsertTickets", f.InsertTickets(ctx, tickets))
	got, err := f.Ticket(ctx, f.Project(0), tickets[0].Hash)
	must(t, "Ticket", err)
	equal(t, "the ticket", got, tickets[0])
	_, err = f.Ticket(ctx, f.Project(1), tickets[0].Hash)
	refused(t, "to another project", err, phone.NotFound, phone.ReasonTicketInvalid)
	_, err = f.Ticket(ctx, f.Project(0), phone.TicketHash("x"))
	refused(t, "one that is none", err, phone.NotFound, phone.ReasonTicketInvalid)

	must(t, "Register", f.Register(ctx, "r1", time.Minute))
	reset := f.Reset(t, f.Project(0), in.Phones[0].ID)
	_, err = f.Ticket(ctx, f.Project(0), tickets[0].Hash)
	refused(t, "while the phone is reset", err, phone.NotFound, phone.ReasonTicketInvalid)
	f.finish(t, f.claim(t, reset[0], "r1"))
	_, err = f.Ticket(ctx, f.Project(0), tickets[0].Hash)
	refused(t, "after the reset", err, phone.NotFound, phone.ReasonTicketInvalid)

	f.Clock.Advance(phone.TicketLife - time.Second)
	_, err = f.Ticket(ctx, f.Project(0), tickets[1].Hash)
	must(t, "Ticket near its end", err)
	f.Clock.Advance(time.Second)
	_, err = f.Ticket(ctx, f.Project(0), tickets[1].Hash)
	refused(t, "after its end", err, phone.NotFound, phone.ReasonTicketInvalid)
	fresh, _ := phone.NewTicket(f.phone(t, in.Phones[1].ID), "u", f.Clock.Now())
	must(t, "InsertTickets", f.InsertTickets(ctx, []phone.Ticket{fresh}))
	equal(t, "tickets that are kept", f.count(t, `SELECT count(*) FROM tickets`), 1)
}
