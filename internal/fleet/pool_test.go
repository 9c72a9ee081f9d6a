package fleet_test

import (
	"context"
	"errors"
	"maps"
	"testing"

	"github.com/lethe-cloud/lethe/internal/account"
	"github.com/lethe-cloud/lethe/internal/driver"
	"github.com/lethe-cloud/lethe/internal/fleet"
	"github.com/lethe-cloud/lethe/internal/phone"
)

// poolHosts lets some hosts of a pool not answer.
type poolHosts struct {
	away map[string]bool // by endpoint
}

func (h *poolHosts) Driver(_ context.Context, server phone.Server) (driver.Driver, error) {
	host := &oneHost{}
	if h.away[server.Endpoint] {
		host.silent = errors.New("no route to host")
	}
	return runner{host: host}, nil
}

func pooled(t *testing.T, away ...string) bundle {
	t.Helper()
	hosts := &poolHosts{away: map[string]bool{}}
	for _, endpoint := range away {
		hosts.away[endpoint] = true
	}
	return newBundle(t, func(c *fleet.Config) {
		c.Hosts = hosts
		for _, name := range []string{"a", "b", "c"} {
			c.Pool = append(c.Pool, phone.PoolHost{Name: name, Driver: "simulated", Endpoint: "sim://" + name, ServerModel: "rack.small", Phones: 3})
		}
		c.Models = fleet.Models{Phones: []phone.PhoneModel{{Name: "tiny", Phones: 2, ServerModel: "rack.small"}, {Name: "elsewhere", ServerModel: "rack.big"}}}
	})
}

func wanted(count int) fleet.CreateServers {
	return fleet.CreateServers{Project: project, Name: "shop", ServerModel: "rack.small", PhoneModel: fleet.DefaultPhoneModel, Image: string(imageID), Count: count}
}

// Servers are made on free hosts that answer, with the host's phones or as many as their model allows, and the given properties.
func TestCreateServers(t *testing.T) {
	t.Parallel()
	b := pooled(t, "sim://a")
	in := wanted(2)
	in.Property = `{"com.cph.mainkeys":1}`
	request, ids, err := b.CreateServers(t.Context(), owner(), in)
	if err != nil || len(ids) != 2 {
		t.Fatalf("%v, %v", ids, err)
	}
	for i, want := range []struct{ name, host string }{{"shop-0001", "b"}, {"shop-0002", "c"}} {
		s, err := b.Server(t.Context(), owner(), project, ids[i])
		if err != nil || s.Name != want.name || s.PoolHost != want.host || s.Capacity != 3 || s.Shown() != phone.ServerCreating {
			t.Errorf("%+v, %v", s, err)
		}
	}
	phones, n, err := b.Phones(t.Context(), owner(), fleet.PhoneFilter{Project: project, Server: ids[0]})
	if err != nil || n != 3 || phones[0].Properties["com.cph.mainkeys"] != "1" {
		t.Errorf("%d phones: %+v, %v", n, phones, err)
	}
	if jobs, _, err := b.RequestJobs(t.Context(), owner(), project, []phone.RequestID{request}, 0, 10); err != nil || len(jobs) != 2 {
		t.Errorf("the request's jobs: %v, %v", jobs, err)
	}
	_, _, err = b.CreateServers(t.Context(), owner(), wanted(1))
	if phone.ReasonOf(err) != phone.ReasonHostsTaken {
		t.Errorf("when none is left that answers: %v", err)
	}

	b = pooled(t)
	in = wanted(1)
	in.PhoneModel = "tiny"
	_, ids, err = b.CreateServers(t.Context(), owner(), in)
	if err != nil {
		t.Fatal(err)
	}
	if s, err := b.Server(t.Context(), owner(), project, ids[0]); err != nil || s.Name != "shop" || s.Capacity != 2 || s.PoolHost != "a" {
		t.Errorf("%+v, %v", s, err)
	}
	if _, err := b.AbandonServer(t.Context(), owner(), project, ids[0]); phone.ReasonOf(err) != phone.ReasonServerBusy {
		t.Errorf("a server whose host the pool would give on is abandoned: %v", err)
	}
}

// Of the pool an account sees the hosts that it may take, and the operator's all of them; what is taken says so to everybody.
func TestPoolHosts(t *testing.T) {
	t.Parallel()
	b := newBundle(t, func(c *fleet.Config) {
		c.Hosts = &poolHosts{}
		c.Pool = []phone.PoolHost{
			{Name: "a", Driver: "simulated", Endpoint: "sim://a", ServerModel: "rack.small", Phones: 3}, {Name: "b", ServerModel: "rack.small", Accounts: []string{"other"}},
		}
	})
	shown := func(c account.Caller) map[string]bool {
		t.Helper()
		hosts, err := b.PoolHosts(t.Context(), c, project)
		if err != nil {
			t.Fatal(err)
		}
		free := map[string]bool{}
		for _, h := range hosts {
			free[h.Name] = h.Free
		}
		return free
	}
	operator, tenant, other := owner(), owner(), owner()
	operator.Account.Operator, tenant.Account.Operator, other.Account.Operator = true, false, false
	other.Account.Name = "other"
	if _, _, err := b.CreateServers(t.Context(), tenant, wanted(1)); err != nil {
		t.Fatal(err)
	}
	for name, tt := range map[string]struct {
		caller account.Caller
		want   map[string]bool
	}{
		"the operator": {operator, map[string]bool{"a": false, "b": true}}, "an account": {tenant, map[string]bool{"a": false}},
		"the account of a host": {other, map[string]bool{"a": false, "b": true}},
	} {
		if got := shown(tt.caller); !maps.Equal(got, tt.want) {
			t.Errorf("%s sees %v, want %v", name, got, tt.want)
		}
	}
}

// What is wrong with the call is said with its field or its reason, and nothing is made.
func TestCreateServersRefused(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		change func(*fleet.CreateServers)
		code   phone.Code
		reason phone.Reason
	}{
		"no count":            {func(in *fleet.CreateServers) { in.Count = 0 }, phone.Invalid, ""},
		"too many":            {func(in *fleet.CreateServers) { in.Count = 11 }, phone.Invalid, ""},
		"more than there are": {func(in *fleet.CreateServers) { in.Count = 4 }, phone.Exhausted, phone.ReasonHostsTaken},
		"another model":       {func(in *fleet.CreateServers) { in.ServerModel = "rack.big" }, phone.NotFound, phone.ReasonNoHost},
		"no phone model":      {func(in *fleet.CreateServers) { in.PhoneModel = "none" }, phone.Invalid, phone.ReasonModelInvalid},
		"a model of another":  {func(in *fleet.CreateServers) { in.PhoneModel = "elsewhere" }, phone.Invalid, phone.ReasonModelInvalid},
		"a bad name":          {func(in *fleet.CreateServers) { in.Name = "a b" }, phone.Invalid, phone.ReasonNameInvalid},
		"no image":            {func(in *fleet.CreateServers) { in.Image = string(phone.NewID[phone.ImageID]()) }, phone.NotFound, phone.ReasonImageNotFound},
		"a bad property":      {func(in *fleet.CreateServers) { in.Property = `{"no.such.key":1}` }, phone.Invalid, phone.ReasonPropertyUnsupported},
	} {
		b, in := pooled(t), wanted(1)
		tt.change(&in)
		_, ids, err := b.CreateServers(t.Context(), owner(), in)
		if phone.CodeOf(err) != tt.code || phone.ReasonOf(err) != tt.reason || len(ids) != 0 {
			t.Errorf("%s: %v (%s %s), want %s %s", name, err, phone.CodeOf(err), phone.ReasonOf(err), tt.code, tt.reason)
		}
		if taken, _ := b.store.TakenHosts(t.Context()); len(taken) != 0 {
			t.Errorf("%s: taken: %v", name, taken)
		}
	}
}
