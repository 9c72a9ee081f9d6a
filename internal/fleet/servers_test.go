package fleet_test

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/lethe-cloud/lethe/internal/account"
	"github.com/lethe-cloud/lethe/internal/fleet"
	"github.com/lethe-cloud/lethe/internal/phone"
)

func newServer() fleet.NewServer {
	return fleet.NewServer{Project: project, Name: "shelf", Driver: "simulated", Endpoint: "sim://shelf", Image: imageID, Phones: 3}
}

// Who may add a server names a host, so the operator says which accounts may.
func TestAddServerOfAnAccountWithoutHosts(t *testing.T) {
	t.Parallel()
	b := newBundle(t)
	for _, c := range []account.Caller{owner(), user(fleet.ActionServersCreate)} {
		c.Account.OwnHosts = false
		if _, _, err := b.AddServer(t.Context(), c, newServer()); phone.CodeOf(err) != phone.Forbidden || b.hosts.made != 0 || b.store.Calls() != 0 {
			t.Errorf("%v, with %d hosts made, want Forbidden and nothing done", err, b.hosts.made)
		}
		c.Account.Operator = true
		if _, _, err := newBundle(t).AddServer(t.Context(), c, newServer()); err != nil {
			t.Errorf("the operator's account: %v", err)
		}
	}
}

func TestAddServer(t *testing.T) {
	t.Parallel()
	b := newBundle(t)
	in := newServer()
	in.Capacity, in.PortBase, in.MaxConcurrentBoots, in.BootTimeout = 5, 21000, 2, time.Minute
	in.Config, in.Model, in.PhoneModel = []byte(`{"a":1}`), "big", "small"
	server, request, err := b.AddServer(t.Context(), owner(), in)
	if err != nil {
		t.Fatal(err)
	}
	want := phone.Server{
		ID: server.ID, Name: "shelf", Project: project, Driver: "simulated", Endpoint: "sim://shelf", Config: []byte(`{"a":1}`),
		ImageLabel: "cloud_phone", Model: "big", PhoneModel: "small", Status: phone.ServerNormal, MaxConcurrentBoots: 2,
		BootTimeout: time.Minute, PortBase: 21000, Capacity: 5, CreatedAt: now, UpdatedAt: now,
	}
	if diff := cmp.Diff(want, server); diff != "" || !phone.ValidID(server.ID) {
		t.Error(diff)
	}
	phones, count, err := b.Phones(t.Context(), owner(), fleet.PhoneFilter{Project: project, Server: server.ID})
	if err != nil || count != 3 {
		t.Fatalf("%d phones, error %v", count, err)
	}
	_, jobs, err := b.RequestJobs(t.Context(), owner(), project, []phone.RequestID{request}, 0, 10)
	if err != nil || len(jobs) != 3 {
		t.Fatalf("%d jobs, error %v", len(jobs), err)
	}
	ids := map[phone.ID]bool{}
	for _, job := range jobs {
		i := len(ids)
		name := []string{"shelf-0001", "shelf-0002", "shelf-0003"}[i]
		p, err := b.Phone(t.Context(), owner(), project, job.Phone)
		if err != nil || ids[p.ID] {
			t.Fatalf("phone %s, error %v", p.ID, err)
		}
		ids[p.ID] = true
		wantPhone := phone.Phone{
			ID: p.ID, Name: name, Project: project, Server: server.ID, Model: "small", Image: imageID, Status: phone.StatusCreating,
			LastGeneration: 1, Properties: phone.Properties{}, ADBPort: 21000 + i, CreatedAt: now, UpdatedAt: now,
		}
		wantJob := phone.Job{
			ID: job.ID, Request: request, Project: project, Phone: p.ID, Server: server.ID, Kind: phone.KindCreate,
			Phase: phone.PhaseQueued, Erase: phone.EraseNone, Target: 1, PriorStatus: phone.StatusCreating, PriorImage: imageID,
			Image: imageID, Properties: phone.Properties{}, CreatedAt: now,
		}
		if diff := cmp.Diff(wantPhone, p) + cmp.Diff(wantJob, job); diff != "" || !phone.ValidID(p.ID) || !phone.ValidID(job.ID) {
			t.Error(diff)
		}
	}
	if len(phones) != len(ids) {
		t.Errorf("%d phones for %d jobs", len(phones), len(ids))
	}
}

func TestAddServerRefuses(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		change func(*fleet.NewServer)
		code   phone.Code
		reason phone.Reason
		field  string
	}{
		"no name":            {func(in *fleet.NewServer) { in.Name = "" }, phone.Invalid, phone.ReasonNameInvalid, "server_name"},
		"name with a space":  {func(in *fleet.NewServer) { in.Name = "a b" }, phone.Invalid, phone.ReasonNameInvalid, "server_name"},
		"name with a slash":  {func(in *fleet.NewServer) { in.Name = "../a" }, phone.Invalid, phone.ReasonNameInvalid, "server_name"},
		"name of 61":         {func(in *fleet.NewServer) { in.Name = strings.Repeat("机", 61) }, phone.Invalid, phone.ReasonNameInvalid, "server_name"},
		"name taken":         {func(in *fleet.NewServer) { in.Name = "rack" }, phone.Conflict, phone.ReasonNameTaken, ""},
		"no room in a name":  {func(in *fleet.NewServer) { in.Name, in.Phones = strings.Repeat("a", 60), 10_000 }, phone.Invalid, "", "server_name"},
		"no phones":          {func(in *fleet.NewServer) { in.Phones = 0 }, phone.Invalid, "", "phone_count"},
		"negative phones":    {func(in *fleet.NewServer) { in.Phones = -1 }, phone.Invalid, "", "phone_count"},
		"more than capacity": {func(in *fleet.NewServer) { in.Capacity = 2 }, phone.Exhausted, "", "phone_count"},
		"more than ports":    {func(in *fleet.NewServer) { in.Phones = 50_000 }, phone.Exhausted, "", "phone_count"},
		"low ports":          {func(in *fleet.NewServer) { in.PortBase = 1023 }, phone.Invalid, "", "port_base"},
		"high ports":         {func(in *fleet.NewServer) { in.PortBase = 65534 }, phone.Invalid, "", "port_base"},
		"ports taken":        {func(in *fleet.NewServer) { in.Endpoint, in.PortBase = "sim://rack", 20009 }, phone.Conflict, phone.ReasonPortsTaken, ""},
		"no slots":           {func(in *fleet.NewServer) { in.MaxConcurrentBoots = -1 }, phone.Invalid, "", "max_concurrent_boots"},
		"too many slots":     {func(in *fleet.NewServer) { in.MaxConcurrentBoots = 10_001 }, phone.Invalid, "", "max_concurrent_boots"},
		"short boot":         {func(in *fleet.NewServer) { in.BootTimeout = time.Millisecond }, phone.Invalid, "", "boot_timeout_ms"},
		"model with a NUL":   {func(in *fleet.NewServer) { in.Model = "\x00" }, phone.Invalid, phone.ReasonNameInvalid, "server_model_name"},
		"phone model of 65":  {func(in *fleet.NewServer) { in.PhoneModel = strings.Repeat("a", 65) }, phone.Invalid, phone.ReasonNameInvalid, "phone_model_name"},
		"no image":           {func(in *fleet.NewServer) { in.Image = "" }, phone.Invalid, phone.ReasonImageInvalid, "image_id"},
		"unknown image":      {func(in *fleet.NewServer) { in.Image = phone.ImageID(nobody) }, phone.NotFound, phone.ReasonImageNotFound, "image_id"},
		"another's image":    {func(in *fleet.NewServer) { in.Image = "77777777777777777777777777777777" }, phone.NotFound, phone.ReasonImageNotFound, "image_id"},
		"unknown driver":     {func(in *fleet.NewServer) { in.Driver = "qemu" }, phone.Invalid, "", "driver"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBundle(t, func(c *fleet.Config) {
				c.CheckServer = func(s *phone.Server) *phone.Error {
					if s.Driver != "simulated" {
						return &phone.Error{Code: phone.Invalid, Field: "driver", Msg: "no such driver"}
					}
					return nil
				}
			})
			in := newServer()
			tt.change(&in)
			before := len(b.store.AllPhones())
			_, _, err := b.AddServer(t.Context(), owner(), in)
			if phone.CodeOf(err) != tt.code || phone.ReasonOf(err) != tt.reason || fieldOf(err) != tt.field {
				t.Errorf("%v (%s, %s, %s); want %s, %q, %q", err, phone.CodeOf(err), phone.ReasonOf(err), fieldOf(err), tt.code, tt.reason, tt.field)
			}
			if len(b.store.AllPhones()) != before || len(b.store.AllJobs()) != 0 {
				t.Error("a refused server left phones or jobs")
			}
		})
	}
}

// The host is made and asked before anything is stored: a server that was mistyped has no phones.
func TestAddServerAsksItsHost(t *testing.T) {
	t.Parallel()
	b := newBundle(t)
	gone := phone.Errorf(phone.Unavailable, phone.ReasonHostGone, "the host does not answer")
	b.hosts.silent = gone
	if _, _, err := b.AddServer(t.Context(), owner(), newServer()); phone.ReasonOf(err) != phone.ReasonHostGone || b.hosts.made != 1 {
		t.Errorf("a silent host, made %d times: %v", b.hosts.made, err)
	}
	b.hosts.silent, b.hosts.err = nil, gone
	if _, _, err := b.AddServer(t.Context(), owner(), newServer()); phone.ReasonOf(err) != phone.ReasonHostGone {
		t.Errorf("a host that cannot be opened: %v", err)
	}
	if jobs := b.store.AllJobs(); len(jobs) != 0 {
		t.Errorf("%d jobs were stored", len(jobs))
	}
	b.hosts.err = nil
	if _, _, err := b.AddServer(t.Context(), owner(), newServer()); err != nil || b.hosts.made != 2 {
		t.Errorf("a host that answers, made %d times: %v", b.hosts.made, err)
	}
}

// What the caller left open is filled in; the driver chooses the endpoint.
func TestAddServerFillsIn(t *testing.T) {
	t.Parallel()
	b := newBundle(t, func(c *fleet.Config) {
		c.CheckServer = func(s *phone.Server) *phone.Error {
			s.Endpoint = "sim://chosen/" + string(s.ID)
			return nil
		}
	})
	in := newServer()
	in.Endpoint = ""
	got, _, err := b.AddServer(t.Context(), owner(), in)
	if err != nil {
		t.Fatal(err)
	}
	if got.Endpoint != "sim://chosen/"+string(got.ID) || got.Capacity != 3 || got.PortBase != 20000 || got.MaxConcurrentBoots != fleet.DefaultConcurrentBoots ||
		got.BootTimeout != fleet.DefaultBootTimeout || got.Model != fleet.DefaultServerModel || got.PhoneModel != fleet.DefaultPhoneModel {
		t.Errorf("server %+v", got)
	}
}

// Without a port_base a server gets the first free range of its endpoint: behind the project's own, past another project's.
func TestAddServerFindsPorts(t *testing.T) {
	t.Parallel()
	b := newBundle(t)
	b.store.Put(phone.Server{ID: "dddddddddddddddddddddddddddddddd", Name: "x", Project: other, Endpoint: "sim://rack", PortBase: 20010, Capacity: 7})
	add := func(name string, capacity int) (phone.Server, error) {
		in := newServer()
		in.Name, in.Phones, in.Capacity, in.Endpoint = name, 1, capacity, "sim://rack"
		server, _, err := b.AddServer(t.Context(), owner(), in)
		return server, err
	}
	for _, want := range []struct {
		name     string
		capacity int
		base     int
	}{{"a", 4, 20018}, {"b", 4, 20022}, {"c", 45_000, 20026}} {
		got, err := add(want.name, want.capacity)
		if err != nil || got.PortBase != want.base {
			t.Errorf("server %s has ports from %d, want %d; error %v", want.name, got.PortBase, want.base, err)
		}
	}
	if _, err := add("d", 1000); phone.CodeOf(err) != phone.Exhausted || phone.ReasonOf(err) != phone.ReasonPortsTaken {
		t.Errorf("no ports left: %v", err)
	}
}

func TestServersFilter(t *testing.T) {
	t.Parallel()
	b := newBundle(t)
	in := newServer()
	in.PhoneModel = "tiny"
	if _, _, err := b.AddServer(t.Context(), owner(), in); err != nil {
		t.Fatal(err)
	}
	abnormal := phone.ServerAbnormal
	for name, tt := range map[string]struct {
		filter fleet.ServerFilter
		want   int
	}{
		"all":         {fleet.ServerFilter{}, 2},
		"part":        {fleet.ServerFilter{Name: "el"}, 1},
		"id":          {fleet.ServerFilter{ID: serverID}, 1},
		"status":      {fleet.ServerFilter{Status: &abnormal}, 0},
		"phone model": {fleet.ServerFilter{PhoneModel: "tiny"}, 1},
		"since":       {fleet.ServerFilter{CreatedFrom: now.Add(time.Second)}, 0},
		"until":       {fleet.ServerFilter{CreatedTo: now}, 2},
	} {
		tt.filter.Project = project
		servers, count, err := b.Servers(t.Context(), owner(), tt.filter)
		if err != nil || count != tt.want || len(servers) != tt.want {
			t.Errorf("%s: %d of %d servers, want %d; error %v", name, len(servers), count, tt.want, err)
		}
	}
}
