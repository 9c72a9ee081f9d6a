package httpapi

import (
	"maps"
	"math"
	"net/http"
	"slices"
	"time"

	"github.com/lethe-cloud/lethe/api"
	"github.com/lethe-cloud/lethe/internal/fleet"
	"github.com/lethe-cloud/lethe/internal/phone"
)

func (a *API) addServer(c *call) error {
	var in api.AddServer
	if err := c.decode(&in); err != nil {
		return err
	}
	project, err := c.project()
	if err != nil {
		return err
	}
	server, request, err := a.Fleet.AddServer(c.Context(), c.caller, newServer(c.requestID, project, in))
	if err != nil {
		return err
	}
	return c.answer(http.StatusOK, api.AddedServer{Server: serverOut(server), RequestID: string(request)})
}

func newServer(request phone.RequestID, project phone.ProjectID, in api.AddServer) fleet.NewServer {
	return fleet.NewServer{
		Request: request, Project: project, Name: in.ServerName, Driver: in.Driver, Endpoint: in.Endpoint, Config: in.Config, Image: phone.ImageID(in.ImageID),
		Phones: in.PhoneCount, PortBase: in.PortBase, MaxConcurrentBoots: in.MaxConcurrentBoots,
		BootTimeout: milliseconds(in.BootTimeoutMS), Model: in.ServerModelName, PhoneModel: in.PhoneModelName,
	}
}

// milliseconds gives a duration; what no duration can hold becomes the longest, which every limit refuses.
func milliseconds(ms int64) time.Duration {
	if ms > math.MaxInt64/int64(time.Millisecond) {
		return math.MaxInt64
	}
	return time.Duration(max(ms, -1)) * time.Millisecond
}

func (a *API) servers(c *call) error {
	project, err := c.project()
	if err != nil {
		return err
	}
	filter := fleet.ServerFilter{Project: project, Name: c.query.Get("server_name")}
	if filter.Offset, filter.Limit, err = c.page(); err != nil {
		return err
	}
	if filter.Status, err = statusFilter[phone.ServerStatus](c); err != nil {
		return err
	}
	page, err := c.cursorPage(project)
	if err != nil {
		return err
	}
	servers, count, next, err := readList(page,
		func() ([]phone.Server, int, error) { return a.Fleet.Servers(c.Context(), c.caller, filter) },
		func(after fleet.Place) ([]phone.Server, *fleet.Place, error) {
			return a.Fleet.ServersAfter(c.Context(), c.caller, filter, after)
		}, fleet.PlaceOfServer)
	if err != nil {
		return err
	}
	return c.answer(http.StatusOK, api.Servers{Servers: each(servers, func(s phone.Server) api.Server { return serverFor(c, s) }), Count: count, Next: page.cursor(next)})
}

func (a *API) server(c *call) error {
	project, err := c.project()
	if err != nil {
		return err
	}
	id := phone.ServerID(c.PathValue("server_id"))
	server, err := a.Fleet.Server(c.Context(), c.caller, project, id)
	if err != nil {
		return err
	}
	use, err := a.Fleet.ServerUse(c.Context(), c.caller, project, id)
	if err != nil {
		return err
	}
	out := serverFor(c, server)
	out.Slots = &api.Slots{Total: server.MaxConcurrentBoots, Held: use.SlotsHeld}
	for _, status := range slices.Sorted(maps.Keys(use.Phones)) {
		out.Phones = append(out.Phones, api.StatusCount{Status: int(status), Count: use.Phones[status]})
	}
	return c.answer(http.StatusOK, out)
}

// serverFor is what a caller is told of a server. How a host of the pool is reached and set up is the operator's alone.
func serverFor(c *call, s phone.Server) api.Server {
	out := serverOut(s)
	if s.PoolHost != "" && !c.caller.Account.Operator {
		out.Endpoint, out.Config, out.PoolHost = "", nil, ""
	}
	return out
}

func serverOut(s phone.Server) api.Server {
	return api.Server{
		ServerID: string(s.ID), ServerName: s.Name, ProjectID: string(s.Project), Driver: s.Driver, Endpoint: s.Endpoint,
		Status: int(s.Shown()), ServerModelName: s.Model, PhoneModelName: s.PhoneModel, ImageLabel: s.ImageLabel, PhoneCount: s.Capacity,
		MaxConcurrentBoots: s.MaxConcurrentBoots, BootTimeoutMS: s.BootTimeout.Milliseconds(), PortBase: s.PortBase, Config: s.Config,
		PoolHost: s.PoolHost, Keypair: s.Keypair, CreateTime: s.CreatedAt.UTC(), UpdateTime: s.UpdatedAt.UTC(),
	}
}

// each shapes every element of a list; the list of none is [] and not null.
func each[From, To any](in []From, shape func(From) To) []To {
	out := make([]To, len(in))
	for i, v := range in {
		out[i] = shape(v)
	}
	return out
}
