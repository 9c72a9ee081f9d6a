package fleet

import (
	"context"

	"github.com/lethe-cloud/lethe/internal/account"
	"github.com/lethe-cloud/lethe/internal/phone"
)

// MaxKeypairServers is how many servers one call may give key pairs. The CPH API names no limit; it is that of a restart.
const MaxKeypairServers = MaxRestartServers

// ServerKeypair is a server that is to have a key pair.
type ServerKeypair struct {
	Server  string // id, as the caller wrote it
	Keypair string
}

// UpdateKeypair is a call that gives servers key pairs.
type UpdateKeypair struct {
	Request phone.RequestID // "": a new one
	Project phone.ProjectID
	Servers []ServerKeypair
}

// UpdateKeypair gives all phones of servers the public keys of other key pairs, in place of those of the pairs that the servers had; what the
// servers' settings let in stays. On return the servers have the pairs, so that what is made of their phones has the keys, and every job is
// durable. The phones keep their status, and run on; so do the servers. The outcomes are as of RestartServers. The pair that a server has
// already is given once more, with the keys that the configuration has for it now.
func (s *Service) UpdateKeypair(ctx context.Context, caller account.Caller, in UpdateKeypair) (phone.RequestID, []phone.ServerOutcome, error) {
	if err := Authorise(caller, in.Project, ActionServersKeypair); err != nil {
		return "", nil, err
	}
	if err := checkServerList("servers", len(in.Servers), MaxKeypairServers); err != nil {
		return "", nil, err
	}
	accept := AcceptServers{
		Request: s.newRequest(in.Request, in.Project, phone.KindUpdate, caller.User.ID), Keypairs: map[phone.ServerID]phone.KeypairChoice{}, CheckKeys: s.checkKeys,
	}
	for _, server := range in.Servers {
		accept.Servers = append(accept.Servers, server.Server)
		id := phone.ServerID(server.Server)
		if _, twice := accept.Keypairs[id]; !twice { // the first element counts
			accept.Keypairs[id] = phone.ChooseKeypair(s.keypairs, server.Keypair, caller.Account.ID, caller.Account.Name)
		}
	}
	outcomes, err := s.store.AcceptServers(ctx, accept)
	return accept.Request.ID, outcomes, err
}
