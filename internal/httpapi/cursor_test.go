package httpapi_test

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/lethe-cloud/lethe/api"
	"github.com/lethe-cloud/lethe/internal/phone"
)

// fill puts 5 phones, 5 servers and 5 jobs into the project, and one of each into another.
func fill(f *fixture) {
	for i := range 6 {
		project := phone.ProjectID(projectA)
		if i == 5 {
			project = projectB
		}
		at := clock.Add(time.Duration(i/2) * time.Second) // two at one moment
		f.store.Put(
			phone.Server{ID: id[phone.ServerID](i), Name: fmt.Sprintf("rack-%d", i), Project: project, Status: phone.ServerNormal, CreatedAt: at},
			phone.Phone{ID: id[phone.ID](i), Name: fmt.Sprintf("edge-%d", i), Project: project, Server: id[phone.ServerID](i % 2), Status: phone.StatusRunning, CreatedAt: at},
			phone.Job{ID: id[phone.JobID](i), Phone: id[phone.ID](i), Server: id[phone.ServerID](i % 2), Project: project, Kind: phone.KindReset, Phase: phone.PhaseQueued},
		)
	}
}

// page is a page of any of the lists.
type page struct {
	api.Phones
	Servers []api.Server `json:"servers"`
	Jobs    []api.Job    `json:"jobs"`
}

func (p page) ids() []string {
	ids := []string{}
	for _, v := range p.Phones.Phones {
		ids = append(ids, v.PhoneID)
	}
	for _, v := range p.Servers {
		ids = append(ids, v.ServerID)
	}
	for _, v := range p.Jobs {
		ids = append(ids, v.JobID)
	}
	return ids
}

// Each list is followed by its cursors, from an empty one or from a first page without any, to the end.
func TestListsByCursor(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	fill(f)
	for path, counted := range map[string]bool{
		"/lethe/v1/phones?limit=2": true, "/lethe/v1/servers?limit=2": true, "/lethe/v1/jobs?limit=2": false, "/lethe/v1/jobs?limit=2&order=oldest": false,
		"/lethe/v1/phones?limit=2&status=2": true, "/lethe/v1/phones?limit=2&server_id=" + id[string](0): true, "/lethe/v1/phones?limit=1&phone_name=e-3": true,
		"/lethe/v1/jobs?limit=1&phone_id=" + id[string](3): false, "/lethe/v1/phones?limit=5": true,
	} {
		all := into[page](t, f.call("GET", strings.Replace(path, "limit=", "offset=0&limit=10", 1), ""))
		if all.Next != "" || (all.Count != nil) != counted {
			t.Errorf("%s by offset: next %q, count %v", path, all.Next, all.Count)
		}
		for _, first := range []string{"", "&after="} {
			got, query := []string{}, first
			for {
				p := into[page](t, f.call("GET", path+query, ""))
				got = append(got, p.ids()...)
				if (p.Count != nil) != (counted && query == "") {
					t.Errorf("%s%s: count %v", path, query, p.Count)
				}
				if p.Next == "" {
					break
				}
				query = "&after=" + url.QueryEscape(p.Next)
			}
			if diff := cmp.Diff(all.ids(), got); diff != "" {
				t.Errorf("%s%s: %s", path, first, diff)
			}
		}
	}
}

// A cursor that was changed, cut, or that belongs to another list, project or filter is refused by its name.
func TestForeignCursors(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	fill(f)
	cursor := into[api.Phones](t, f.call("GET", "/lethe/v1/phones?status=2&limit=2", "")).Next
	if cursor == "" {
		t.Fatal("there is no next page")
	}
	again := "/lethe/v1/phones?status=2&limit=1&after=" // another limit is no other list
	if p := into[api.Phones](t, f.call("GET", again+cursor, "")); len(p.Phones) != 1 {
		t.Errorf("the cursor's own list: %+v", p)
	}
	other := byte('A')
	if cursor[5] == other {
		other = 'B'
	}
	for name, path := range map[string]string{
		"changed":            again + cursor[:5] + string(other) + cursor[6:],
		"its place changed":  again + cursor[:len(cursor)-2] + "AA",
		"cut":                again + cursor[:len(cursor)-4],
		"longer":             again + cursor + "AAAA",
		"of another filter":  "/lethe/v1/phones?status=3&after=" + cursor,
		"of fewer filters":   "/lethe/v1/phones?after=" + cursor,
		"of another list":    "/lethe/v1/servers?status=2&after=" + cursor,
		"of jobs":            "/lethe/v1/jobs?after=" + cursor,
		"of another project": again + cursor + "&project_id=" + projectB,
		"and an offset":      again + cursor + "&offset=1",
	} {
		token := "owner"
		if name == "of another project" {
			token = "wide"
		}
		if e := refused(t, f.call("GET", path, "", "X-Auth-Token", token), http.StatusBadRequest); e.Field != "after" {
			t.Errorf("%s: field %q: %s", name, e.Field, e.Msg)
		}
	}
}
