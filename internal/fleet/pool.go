package fleet

import (
	"cmp"
	"context"
	"fmt"

	"github.com/lethe-cloud/lethe/internal/account"
	"github.com/lethe-cloud/lethe/internal/phone"
)

// MaxCreateServers is how many servers one call may create [SDK model_create_net2_cloud_phone_server_request_body.go].
const MaxCreateServers = 10

// CreateServers asks for servers on hosts of the installation's pool.
type CreateServers struct {
	Request     phone.RequestID // "": a new one
	Project     phone.ProjectID
	Name        string // of the only one; of several, NAME-0001 and so on
	ServerModel string
	PhoneModel  string
	Image       string
	Count       int
	Keypair     string // "": any host will do
	Property    string // JSON text: what every phone gets; "" for none
}

// CreateServers takes hosts of the pool and makes the phones on them, each by a job of one request. Each server has a job too, and is 1
// (creating) until its phones' jobs have ended, then 5, or 2 when one of them failed. All of the servers are made or none. Each host is asked
// first; one that does not answer is passed over. Without enough hosts it fails as phone.PickHosts says.
func (s *Service) CreateServers(ctx context.Context, caller account.Caller, in CreateServers) (phone.RequestID, []phone.ServerID, error) {
	if err := Authorise(caller, in.Project, ActionServersCreate); err != nil {
		return "", nil, err
	}
	given, err := in.check()
	if err != nil {
		return "", nil, err
	}
	model, known := s.models.phone(in.PhoneModel)
	if !known {
		return "", nil, &phone.Error{Code: phone.Invalid, Reason: phone.ReasonModelInvalid, Field: "phone_model_name", Msg: "there is no such phone model"}
	}
	image, err := s.image(ctx, in.Project, phone.ImageID(in.Image))
	if err != nil {
		return "", nil, err
	}
	request := s.newRequest(in.Request, in.Project, phone.KindCreate, caller.User.ID)
	passed := map[string]bool{} // hosts that do not answer, or were taken while this call looked at them
	for {
		hosts, err := s.freeHosts(ctx, caller, in, passed)
		if err != nil {
			return "", nil, err
		}
		servers, again, err := s.onHosts(ctx, in, hosts[:in.Count], model, image, given, request, passed)
		if err != nil {
			return "", nil, err
		}
		if again {
			continue
		}
		err = s.store.AddServers(ctx, request, servers)
		switch phone.ReasonOf(err) {
		case phone.ReasonHostsTaken:
			continue // the database says so again, until too few are left
		case phone.ReasonPortsTaken: // something else on the same machine has them: the next hosts may do
			passed[hosts[0].Name] = true
			continue
		}
		ids := make([]phone.ServerID, len(servers))
		for i, server := range servers {
			ids[i] = server.Server.ID
		}
		return request.ID, ids, err
	}
}

// PoolHost is a host of the pool, and whether it can be taken.
type PoolHost struct {
	phone.PoolHost
	Free bool // no server is on it; whether it answers nobody asked
}

// PoolHosts gives the hosts of the pool that the caller's account may take, to the operator's account all of them, in the pool's order.
func (s *Service) PoolHosts(ctx context.Context, caller account.Caller, project phone.ProjectID) ([]PoolHost, error) {
	if err := Authorise(caller, project, ActionServerModelsList); err != nil {
		return nil, err
	}
	taken, err := s.takenHosts(ctx)
	if err != nil {
		return nil, err
	}
	hosts := make([]PoolHost, 0, len(s.pool))
	for _, h := range s.pool {
		if caller.Account.Operator || h.For(caller.Account.Name) {
			hosts = append(hosts, PoolHost{PoolHost: h, Free: !taken[h.Name]})
		}
	}
	return hosts, nil
}

func (s *Service) takenHosts(ctx context.Context) (map[string]bool, error) {
	names, err := s.store.TakenHosts(ctx)
	taken := make(map[string]bool, len(names))
	for _, name := range names {
		taken[name] = true
	}
	return taken, err
}

func (in *CreateServers) check() (phone.Properties, error) {
	if in.Count < 1 || in.Count > MaxCreateServers {
		return nil, &phone.Error{Code: phone.Invalid, Field: "count", Msg: fmt.Sprintf("count must be 1 to %d", MaxCreateServers)}
	}
	if err := checkName("server_name", in.Name); err != nil {
		return nil, err
	}
	given, refused := phone.ParseProperties(in.Property)
	if refused != nil {
		return nil, refused
	}
	return given, nil
}

// freeHosts gives at least as many hosts as are wanted.
func (s *Service) freeHosts(ctx context.Context, caller account.Caller, in CreateServers, passed map[string]bool) ([]phone.PoolHost, error) {
	not, err := s.takenHosts(ctx)
	if err != nil {
		return nil, err
	}
	for name := range passed {
		not[name] = true
	}
	hosts, refused := phone.PickHosts(s.pool, not, in.ServerModel, in.Keypair, caller.Account.Name, in.Count)
	if refused != nil {
		return nil, refused
	}
	return hosts, nil
}

// onHosts makes the servers on hosts that answer. One that does not is passed over: then other hosts have to be looked for.
func (s *Service) onHosts(ctx context.Context, in CreateServers, hosts []phone.PoolHost, model phone.PhoneModel, image phone.Image, given phone.Properties,
	request phone.Request, passed map[string]bool) ([]AddServer, bool, error) {
	servers := make([]AddServer, len(hosts))
	for i, host := range hosts {
		name := in.Name
		if in.Count > 1 {
			name = phoneName(in.Name, i+1)
		}
		server, err := s.pooled(in, host, name, model, image)
		if err != nil {
			return nil, false, err
		}
		if refused := s.check(server.Driver, given); refused != nil {
			return nil, false, refused
		}
		if err := s.openHost(ctx, server); err != nil {
			if ctx.Err() != nil {
				return nil, false, err
			}
			passed[host.Name] = true
			return nil, true, nil
		}
		phones, jobs := firstLives(server, server.Capacity, image, request)
		for i := range phones {
			phones[i].Properties, jobs[i].Properties = given, given
		}
		servers[i] = AddServer{Request: request, Server: server, Phones: phones, Jobs: jobs}
	}
	return servers, false, nil
}

// pooled is the server that a host of the pool becomes.
func (s *Service) pooled(in CreateServers, host phone.PoolHost, name string, model phone.PhoneModel, image phone.Image) (phone.Server, error) {
	phones := host.Phones
	if model.Phones > 0 {
		phones = min(phones, model.Phones)
	}
	add := NewServer{
		Project: in.Project, Name: name, Driver: host.Driver, Endpoint: host.Endpoint, Config: host.Config, Image: image.ID, Phones: phones,
		PortBase: cmp.Or(host.PortBase, firstPort), MaxConcurrentBoots: host.MaxConcurrentBoots, BootTimeout: host.BootTimeout, Model: host.ServerModel, PhoneModel: in.PhoneModel,
	}
	add.fill(s.bootTimeout, model)
	if err := add.check(); err != nil {
		return phone.Server{}, err
	}
	server, err := s.newServer(add, image)
	if err != nil {
		return phone.Server{}, err
	}
	server.PoolHost, server.Keypair, server.Doing = host.Name, host.Keypair, phone.KindCreate
	if refused := model.CheckServer(server); refused != nil {
		return phone.Server{}, refused
	}
	return server, nil
}

// inPool reports whether a server is on a host that the pool would give to the next who asks.
func (s *Service) inPool(server phone.Server) bool {
	for _, h := range s.pool {
		if h.Name == server.PoolHost {
			return true
		}
	}
	return false
}
