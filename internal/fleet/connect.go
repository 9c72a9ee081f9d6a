package fleet

import (
	"context"
	"time"

	"github.com/lethe-cloud/lethe/internal/account"
	"github.com/lethe-cloud/lethe/internal/phone"
)

// TicketStore keeps tickets.
type TicketStore interface {
	// PhonesOnServers gives those of the project's phones that the ids name, with their servers, in no order.
	PhonesOnServers(ctx context.Context, project phone.ProjectID, ids []phone.ID) ([]PhoneOnServer, error)
	// InsertTickets keeps new tickets, and forgets those whose time is over.
	InsertTickets(ctx context.Context, tickets []phone.Ticket) error
	// Ticket gives a ticket that is good at this moment: its time is not over, and its phone runs in the life that it is for. Else it
	// is NotFound with ReasonTicketInvalid.
	Ticket(ctx context.Context, project phone.ProjectID, hash [32]byte) (phone.Ticket, error)
}

// PhoneOnServer is a phone with the server that runs it.
type PhoneOnServer struct {
	Phone  phone.Phone
	Server phone.Server
}

// Connection is how one phone is reached, or why it is not.
type Connection struct {
	PhoneID string // as the caller wrote it
	Host    string
	Port    int
	Session string
	Ticket  string // the secret
	Made    time.Time
	Expires time.Time
	Err     *phone.Error // then nothing else is set
}

// Connect says, in the order of ids, where each phone's adb answers and gives a ticket for it. address gives the host of a server's adb
// ports, "" where nothing listens.
func (s *Service) Connect(ctx context.Context, caller account.Caller, project phone.ProjectID, ids []string, address func(phone.Server) string) ([]Connection, error) {
	if err := Authorise(caller, project, ActionPhonesConnect); err != nil {
		return nil, err
	}
	var valid []phone.ID
	for _, id := range ids {
		if phone.ValidID(id) {
			valid = append(valid, phone.ID(id))
		}
	}
	known := map[phone.ID]PhoneOnServer{}
	if len(valid) > 0 {
		phones, err := s.store.PhonesOnServers(ctx, project, valid)
		if err != nil {
			return nil, err
		}
		for _, p := range phones {
			known[p.Phone.ID] = p
		}
	}
	now := s.now()
	var tickets []phone.Ticket
	out := make([]Connection, len(ids))
	for i, id := range ids {
		at, ok := known[phone.ID(id)]
		out[i] = Connection{PhoneID: id}
		host := ""
		if ok {
			host = address(at.Server)
		}
		if out[i].Err = refuseConnection(at.Phone, ok, host); out[i].Err != nil {
			continue
		}
		ticket, secret := phone.NewTicket(at.Phone, caller.User.ID, now)
		tickets = append(tickets, ticket)
		out[i].Host, out[i].Port, out[i].Session, out[i].Ticket = host, at.Phone.ADBPort, ticket.Session, secret
		out[i].Made, out[i].Expires = now, ticket.ExpiresAt
	}
	if len(tickets) > 0 {
		if err := s.store.InsertTickets(ctx, tickets); err != nil {
			return nil, err
		}
	}
	return out, nil
}

func refuseConnection(p phone.Phone, known bool, host string) *phone.Error {
	switch {
	case !known:
		return phone.Errorf(phone.NotFound, phone.ReasonPhoneNotFound, "the project has no such phone")
	case p.Status != phone.StatusRunning:
		return phone.Errorf(phone.Precondition, phone.ReasonPhoneNotRunning, "the phone is %s: it must be running", p.Status)
	case host == "" || p.ADBPort == 0:
		return phone.Errorf(phone.Precondition, phone.ReasonPhoneUnreachable, "the phone's driver publishes no adb port")
	}
	return nil
}

// CheckTicket tells for whom and for which phone a ticket of the project is good: a gateway in front of the phones asks it. One that
// is unknown, expired, or of a life that a reset has ended is NotFound with ReasonTicketInvalid.
func (s *Service) CheckTicket(ctx context.Context, caller account.Caller, project phone.ProjectID, secret string) (phone.Ticket, error) {
	if err := Authorise(caller, project, ActionPhonesConnect); err != nil {
		return phone.Ticket{}, err
	}
	return s.store.Ticket(ctx, project, phone.TicketHash(secret))
}
