package httpapi_test

import (
	"net/http"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/lethe-cloud/lethe/api"
	"github.com/lethe-cloud/lethe/internal/phone"
)

// running gives a server with one running phone, and the id of the image.
func (f *fixture) running() string {
	image := id[phone.ImageID](2)
	f.store.Put(
		phone.Image{ID: image, Name: "android12", Project: projectA, Label: "cloud_phone", OSName: "AOSP", Reference: "r"},
		phone.Server{ID: id[phone.ServerID](1), Name: "edge", Project: projectA, Driver: "simulated", ImageLabel: "cloud_phone", Status: phone.ServerNormal, MaxConcurrentBoots: 1, Capacity: 1},
		phone.Phone{
			ID: id[phone.ID](3), Name: "edge-0001", Project: projectA, Server: id[phone.ServerID](1), Image: image, Status: phone.StatusRunning, Generation: 1, LastGeneration: 1,
		},
	)
	return string(image)
}

// refuses checks an error's code and reason.
func (f *fixture) refuses(a answer, status int, code, reason string) {
	f.t.Helper()
	if e := refused(f.t, a, status); e.Code != code || e.Reason != reason {
		f.t.Errorf("refused with %s %s, want %s %s", e.Code, e.Reason, code, reason)
	}
}

// TestPool: servers are taken from the pool, a taken host is shown as such, and what a host is called and where it is stays the operator's.
func TestPool(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	imageID := f.running()
	listed := into[api.PoolHosts](t, f.call("GET", "/lethe/v1/pool", ""))
	want := api.PoolHosts{Count: 2, Hosts: []api.PoolHost{
		{ServerModelName: "rack.small", PhoneCount: 2, Keypair: "ops", Free: true, Name: "rack-7", Driver: "simulated", Endpoint: "sim:///srv/rack-7"},
		{ServerModelName: "rack.small", PhoneCount: 2, Free: true, Name: "rack-8", Driver: "simulated", Endpoint: "sim:///srv/rack-8", Accounts: []string{"acme"}},
	}}
	if diff := cmp.Diff(want, listed); diff != "" {
		t.Errorf("to the operator (-want +got):\n%s", diff)
	}
	body := `{"server_name":"shop","server_model_name":"rack.small","image_id":"` + imageID + `","property":"{\"com.cph.mainkeys\":1}"}`
	a := f.call("POST", "/lethe/v1/pool/servers", body)
	created := into[api.CreatedServers](t, a)
	if len(created.ServerIDs) != 1 || a.header.Get("X-Request-Id") != created.RequestID {
		t.Fatalf("created %+v, with the request id %s", created, a.header.Get("X-Request-Id"))
	}
	server := into[api.Server](t, f.call("GET", "/lethe/v1/servers/"+created.ServerIDs[0], ""))
	if server.ServerName != "shop" || server.PhoneCount != 2 || server.PhoneModelName != "lethe.cp.standard" || server.PoolHost != "rack-7" || server.Status != int(phone.ServerCreating) {
		t.Errorf("the server: %+v", server)
	}
	listed = into[api.PoolHosts](t, f.call("GET", "/lethe/v1/pool", "", "X-Auth-Token", "tenant"))
	want = api.PoolHosts{Count: 1, Hosts: []api.PoolHost{{ServerModelName: "rack.small", PhoneCount: 2, Keypair: "ops"}}}
	if diff := cmp.Diff(want, listed); diff != "" {
		t.Errorf("to a tenant (-want +got):\n%s", diff)
	}
	f.refuses(f.call("POST", "/lethe/v1/pool/servers", body), http.StatusConflict, "exhausted", "hosts_taken")
	f.refuses(f.call("POST", "/lethe/v1/pool/servers", `{"server_name":"x","server_model_name":"rack.big","image_id":"`+imageID+`"}`), http.StatusNotFound, "not_found", "no_host")
	f.refuses(f.call("POST", "/lethe/v1/pool/servers", `{"server_name":"x","server_model_name":"rack.small","image_id":"`+imageID+`","count":11}`), http.StatusBadRequest, "invalid", "")
}

// TestChangeServer: all phones of the server are made anew under one job of it.
func TestChangeServer(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	imageID := f.running()
	path := "/lethe/v1/servers/" + string(id[phone.ServerID](1)) + "/change"
	f.refuses(f.call("POST", path, `{}`), http.StatusBadRequest, "invalid", "image_invalid")
	f.refuses(f.call("POST", path, `{"image_id":"`+imageID+`","property":"{\"no.such.key\":1}"}`), http.StatusBadRequest, "invalid", "property_unsupported")
	accepted := into[api.AcceptedServer](t, f.call("POST", path, `{"image_id":"`+imageID+`"}`))
	progress := into[api.Progress](t, f.call("GET", "/lethe/v1/requests/"+accepted.RequestID, ""))
	if progress.Kind != "reset" || len(progress.Servers) != 1 || progress.Servers[0].JobID != accepted.JobID || progress.Total == 0 {
		t.Errorf("the request: %+v", progress)
	}
	f.refuses(f.call("POST", path, `{"image_id":"`+imageID+`"}`), http.StatusConflict, "precondition", "server_busy")
}
