package httpapi

import (
	"cmp"
	"net/http"

	"github.com/lethe-cloud/lethe/api"
	"github.com/lethe-cloud/lethe/internal/fleet"
	"github.com/lethe-cloud/lethe/internal/phone"
)

func (a *API) poolHosts(c *call) error {
	project, err := c.project()
	if err != nil {
		return err
	}
	hosts, err := a.Fleet.PoolHosts(c.Context(), c.caller, project)
	if err != nil {
		return err
	}
	out := each(hosts, func(h fleet.PoolHost) api.PoolHost { return poolHostFor(c, h) })
	return c.answer(http.StatusOK, api.PoolHosts{Hosts: out, Count: len(out)})
}

// poolHostFor is what a caller is told of a host. How it is called and reached, and who else may take it, is the operator's alone.
func poolHostFor(c *call, h fleet.PoolHost) api.PoolHost {
	out := api.PoolHost{ServerModelName: h.ServerModel, PhoneCount: h.Phones, Keypair: h.Keypair, Free: h.Free}
	if c.caller.Account.Operator {
		out.Name, out.Driver, out.Endpoint, out.Accounts = h.Name, h.Driver, h.Endpoint, h.Accounts
	}
	return out
}

// createServers answers with the id of the accepted request, in the header too.
func (a *API) createServers(c *call) error {
	var in api.CreateServers
	if err := c.decode(&in); err != nil {
		return err
	}
	project, err := c.project()
	if err != nil {
		return err
	}
	request, servers, err := a.Fleet.CreateServers(c.Context(), c.caller, fleet.CreateServers{
		Request: c.requestID, Project: project, Name: in.ServerName, ServerModel: in.ServerModelName, PhoneModel: cmp.Or(in.PhoneModelName, fleet.DefaultPhoneModel),
		Image: in.ImageID, Count: cmp.Or(in.Count, 1), Keypair: in.Keypair, Property: in.Property,
	})
	if err != nil {
		return err
	}
	c.setRequest(request)
	return c.answer(http.StatusOK, api.CreatedServers{RequestID: string(request), ServerIDs: each(servers, func(id phone.ServerID) string { return string(id) })})
}

// changeServer makes all phones of a server anew.
func (a *API) changeServer(c *call) error {
	var in api.ChangeServer
	if err := c.decode(&in); err != nil {
		return err
	}
	project, err := c.project()
	if err != nil {
		return err
	}
	request, job, err := a.Fleet.ChangeServer(c.Context(), c.caller, fleet.ChangeServer{
		Request: c.requestID, Project: project, Server: phone.ServerID(c.PathValue("server_id")), Image: in.ImageID, Property: in.Property,
	})
	if err != nil {
		return err
	}
	return c.acceptedServer(request, job)
}
