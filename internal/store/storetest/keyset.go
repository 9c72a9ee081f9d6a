package storetest

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/lethe-cloud/lethe/internal/fleet"
	"github.com/lethe-cloud/lethe/internal/phone"
)

// follow reads a list from place to place and calls between after each page.
func follow[T any](t *testing.T, read func(after fleet.Place) ([]T, *fleet.Place, error), between func(page []T)) (all []T, pages int) {
	t.Helper()
	var after fleet.Place
	for {
		page, next, err := read(after)
		must(t, "read a page", err)
		all, pages = append(all, page...), pages+1
		between(page)
		if next == nil {
			return all, pages
		}
		if *next == after {
			t.Fatal("a page's next place is its own")
		}
		after = *next
	}
}

// testPhonesAfter reads all phones from place to place, with every filter and size of page, and finds what the list by offset has.
func testPhonesAfter(t *testing.T, f Fixture) {
	ctx := t.Context()
	image := f.Image(t)
	first := f.Fleet(t, f.Project(0), image.ID, 7, 1) // created at one moment
	f.Clock.Advance(time.Minute)
	second := f.Fleet(t, f.Project(0), image.ID, 1, 1)
	f.Clock.Advance(time.Minute)
	f.Fleet(t, f.Project(0), image.ID, 3, 1)
	f.Fleet(t, f.Project(1), image.ID, 2, 1)
	f.exec(t, `UPDATE phones SET status = -5 WHERE id IN ($1, $2, $3)`, string(first.Phones[0].ID), string(first.Phones[5].ID), string(second.Phones[0].ID))
	f.recount(t)
	failed, running, stopped := phone.StatusResetFailed, phone.StatusRunning, phone.StatusStopped
	for name, filter := range map[string]fleet.PhoneFilter{
		"all":                       {},
		"of a server":               {Server: first.Server.ID},
		"of no server":              {Server: phone.NewID[phone.ServerID]()},
		"in a status":               {Status: &failed},
		"in another":                {Status: &running},
		"in one that none is in":    {Status: &stopped},
		"in a status, of a server":  {Status: &failed, Server: first.Server.ID},
		"by a part of the name":     {Name: "-0001"},
		"by a name and a status":    {Name: "000", Status: &running},
		"by name, of a server":      {Name: "-0003", Server: first.Server.ID},
		"by a name that none has":   {Name: "%"},
		"another project's":         {Project: f.Project(1)},
		"a server of another":       {Project: f.Project(1), Server: first.Server.ID},
		"in a status, of another's": {Project: f.Project(1), Status: &failed},
	} {
		if filter.Project == "" {
			filter.Project = f.Project(0)
		}
		want, _, err := f.Phones(ctx, filter)
		must(t, name, err)
		for _, filter.Limit = range []int{1, 2, 7, 100} {
			got, pages := follow(t, func(after fleet.Place) ([]phone.Phone, *fleet.Place, error) { return f.PhonesAfter(ctx, filter, after) }, func(page []phone.Phone) {
				if len(page) > filter.Limit {
					t.Errorf("%s: a page of %d has %d phones", name, filter.Limit, len(page))
				}
			})
			equal(t, name, got, want)
			equal(t, name+": pages", pages, max(1, (len(want)+filter.Limit-1)/filter.Limit))
		}
	}
}

// testPhonesAfterChanges adds and removes phones while others are listed: those that were there all the time come once each.
func testPhonesAfterChanges(t *testing.T, f Fixture) {
	image := f.Image(t)
	old := f.Fleet(t, f.Project(0), image.ID, 9, 1)
	filter := fleet.PhoneFilter{Project: f.Project(0), Limit: 2}
	n := 0
	var came []phone.ID
	got, _ := follow(t, func(after fleet.Place) ([]phone.Phone, *fleet.Place, error) {
		return f.PhonesAfter(t.Context(), filter, after)
	}, func(page []phone.Phone) {
		if n++; n > 3 {
			return
		}
		if n == 2 { // the very phone behind which the next page begins
			gone := page[len(page)-1].ID
			f.exec(t, `DELETE FROM jobs WHERE phone_id = $1`, string(gone))
			f.exec(t, `DELETE FROM phones WHERE id = $1`, string(gone))
		}
		f.Clock.Advance(time.Minute)
		came = append(came, ids(f.Fleet(t, f.Project(0), image.ID, 3, 1).Phones)...)
	})
	want := ids(old.Phones)
	slices.Sort(want)
	equal(t, "phones", ids(got), want)
	if len(came) != 9 {
		t.Errorf("%d phones were added while the others were listed", len(came))
	}
}

// testSearchAfter looks for few phones among many: each page looks at a bounded number, and together they find all.
func testSearchAfter(t *testing.T, f Fixture) {
	ctx := t.Context()
	const many = 1100 // more than one page looks at
	in := f.Fleet(t, f.Project(0), f.Image(t).ID, many, 1)
	all := ids(in.Phones)
	slices.Sort(all)
	want := []phone.ID{all[10], all[1050], all[many-1]}
	for _, id := range want {
		f.exec(t, `UPDATE phones SET status = -5 WHERE id = $1`, string(id))
	}
	f.recount(t)
	failed := phone.StatusResetFailed
	for _, server := range []phone.ServerID{"", in.Server.ID} {
		filter := fleet.PhoneFilter{Project: f.Project(0), Server: server, Status: &failed, Limit: 100}
		got, pages := follow(t, func(after fleet.Place) ([]phone.Phone, *fleet.Place, error) { return f.PhonesAfter(ctx, filter, after) }, func([]phone.Phone) {})
		equal(t, "failed phones", ids(got), want)
		equal(t, "pages", pages, 2)
	}
	name := in.Phones[many-1].Name
	filter := fleet.PhoneFilter{Project: f.Project(0), Name: name, Limit: 1}
	got, _ := follow(t, func(after fleet.Place) ([]phone.Phone, *fleet.Place, error) { return f.PhonesAfter(ctx, filter, after) }, func([]phone.Phone) {})
	equal(t, "phones named "+name, len(got), 1)
}

func testServersAfter(t *testing.T, f Fixture) {
	ctx := t.Context()
	image := f.Image(t)
	var from time.Time
	for i := range 6 {
		in := f.ServerInput(f.Project(0), image.ID, 1, 1)
		in.Server.Name = fmt.Sprintf("rack-%d", i)
		in.Server.PhoneModel = []string{"small", "large"}[i%2]
		must(t, "AddServer", f.AddServer(ctx, in))
		if i%2 == 1 { // two at a time
			f.Clock.Advance(time.Hour)
		}
		if i == 2 {
			from = in.Server.CreatedAt
			f.exec(t, `UPDATE servers SET status = 2 WHERE id = $1`, string(in.Server.ID))
		}
	}
	f.Fleet(t, f.Project(1), image.ID, 1, 1)
	abnormal := phone.ServerAbnormal
	servers, _, err := f.Servers(ctx, fleet.ServerFilter{Project: f.Project(0)})
	must(t, "Servers", err)
	for name, filter := range map[string]fleet.ServerFilter{
		"all":                   {},
		"by id":                 {ID: servers[3].ID},
		"by a part of the name": {Name: "ck-4"},
		"by status":             {Status: &abnormal},
		"by the phones' model":  {PhoneModel: "small"},
		"created from and to":   {CreatedFrom: from, CreatedTo: from.Add(time.Minute)},
		"created later":         {CreatedFrom: from.Add(time.Minute)},
	} {
		filter.Project = f.Project(0)
		want, _, err := f.Servers(ctx, filter)
		must(t, name, err)
		if len(want) == 0 {
			t.Errorf("%s: there are no such servers, so nothing is tested", name)
		}
		for _, filter.Limit = range []int{1, 4, 100} {
			got, _ := follow(t, func(after fleet.Place) ([]phone.Server, *fleet.Place, error) {
				return f.ServersAfter(ctx, filter, after)
			}, func([]phone.Server) {})
			equal(t, name, got, want)
		}
	}
}

func testJobsAfter(t *testing.T, f Fixture) {
	ctx := t.Context()
	in := f.Fleet(t, f.Project(0), f.Image(t).ID, 5, 1)
	other := f.Fleet(t, f.Project(0), f.Image(t).ID, 2, 1)
	accepted := f.ResetInput(f.Project(0), append(ids(in.Phones[:4]), other.Phones[0].ID)...)
	_, err := f.AcceptReset(ctx, accepted)
	must(t, "AcceptReset", err)
	for name, filter := range map[string]fleet.JobFilter{
		"all":          {},
		"of a request": {Requests: []phone.RequestID{accepted.Request.ID}},
		"of two":       {Requests: []phone.RequestID{accepted.Request.ID, in.Request.ID}},
		"of a phone":   {Phone: in.Phones[1].ID},
		"of a server":  {Server: other.Server.ID},
	} {
		filter.Project = f.Project(0)
		for _, filter.Newest = range []bool{false, true} {
			filter.Limit = 0
			want, err := f.Jobs(ctx, filter)
			must(t, name, err)
			for _, filter.Limit = range []int{1, 3, 100} {
				got, pages := follow(t, func(after fleet.Place) ([]phone.Job, *fleet.Place, error) { return f.JobsAfter(ctx, filter, after) }, func([]phone.Job) {})
				equal(t, name, got, want)
				equal(t, name+": pages", pages, (len(want)+filter.Limit-1)/filter.Limit)
			}
			filter.Limit = 100
			foreign := filter
			foreign.Project = f.Project(1)
			none, next, err := f.JobsAfter(ctx, foreign, fleet.Place{})
			must(t, name, err)
			if len(none) > 0 || next != nil {
				t.Errorf("%s: another project sees %d jobs", name, len(none))
			}
		}
	}
}
