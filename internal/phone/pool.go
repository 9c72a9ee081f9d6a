package phone

import (
	"slices"
	"time"
)

// PoolHost is a machine of the installation's that projects take as a server, and give back by deleting that.
type PoolHost struct {
	Name               string
	Driver             string
	Endpoint           string
	Config             []byte // the driver's own, one JSON object
	ServerModel        string
	Phones             int // how many a server on it has
	MaxConcurrentBoots int // 0: the default of a new server
	BootTimeout        time.Duration
	PortBase           int
	Keypair            string   // the name of the key pair that a server on it has at first; "" for none
	Accounts           []string // names of those who may take it; none: all
}

// For reports whether an account may take the host.
func (h PoolHost) For(account string) bool {
	return len(h.Accounts) == 0 || slices.Contains(h.Accounts, account)
}

// PickHosts chooses hosts of a server model for an account, in the pool's order: those that nobody has and that are not passed over and,
// with a key pair, that let its holder in. It is NotFound with ReasonNoHost when there is none of the model that the account may have,
// or with ReasonNoKeypair when none of them has the key pair, and Exhausted with ReasonHostsTaken when fewer than wanted are free.
func PickHosts(pool []PoolHost, taken map[string]bool, model, keypair, account string, wanted int) ([]PoolHost, *Error) {
	var free []PoolHost
	all, locked := 0, 0
	for _, h := range pool {
		if h.ServerModel != model || !h.For(account) {
			continue
		}
		if keypair != "" && h.Keypair != keypair {
			locked++
			continue
		}
		if all++; !taken[h.Name] {
			free = append(free, h)
		}
	}
	switch {
	case all == 0 && locked > 0:
		return nil, &Error{
			Code: NotFound, Reason: ReasonNoKeypair, Field: "keypair_name", Msg: "no host of the model " + model + " has this key pair: name one of the installation's pool, or none",
		}
	case all == 0:
		return nil, &Error{Code: NotFound, Reason: ReasonNoHost, Field: "server_model_name", Msg: "the installation's pool has no host of the model " + model}
	case len(free) < wanted:
		return nil, Errorf(Exhausted, ReasonHostsTaken, "%d of the pool's %d hosts of the model %s are free, %d are wanted", len(free), all, model, wanted)
	}
	return free, nil
}
