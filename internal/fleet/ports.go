package fleet

import (
	"context"
	"errors"
	"fmt"

	"github.com/lethe-cloud/lethe/internal/phone"
)

// The host ports that phones' adb may have, and the first that is given out when the caller names none: 12,768 below the range
// from which Linux takes the ports of outgoing connections (32768 up).
const (
	minPort   = 1024
	maxPort   = 65535
	firstPort = 20000
)

// addServer writes the server. Without a port range of the caller's choice it takes the first free one: it starts behind the
// project's own servers of that endpoint and goes on, range by range, where another project's has the ports.
func (s *Service) addServer(ctx context.Context, server *phone.Server, n int, image phone.Image, request phone.Request) error {
	chosen := server.PortBase != 0
	if !chosen {
		base, err := s.behindOwnServers(ctx, *server)
		if err != nil {
			return err
		}
		server.PortBase = base
	}
	for {
		if server.PortBase+server.Capacity-1 > maxPort {
			return &phone.Error{
				Code: phone.Exhausted, Reason: phone.ReasonPortsTaken, Field: "port_base",
				Msg: fmt.Sprintf("endpoint %s has no %d free ports in a row above %d: name a port_base", server.Endpoint, server.Capacity, firstPort),
			}
		}
		phones, jobs := firstLives(*server, n, image, request)
		err := s.store.AddServer(ctx, AddServer{Request: request, Server: *server, Phones: phones, Jobs: jobs})
		if chosen || !portsTaken(err) {
			return err
		}
		server.PortBase += server.Capacity
	}
}

func portsTaken(err error) bool {
	var e *phone.Error
	return errors.As(err, &e) && e.Code == phone.Conflict && e.Reason == phone.ReasonPortsTaken
}

// behindOwnServers gives the first port behind those of the project's servers of the same endpoint.
func (s *Service) behindOwnServers(ctx context.Context, server phone.Server) (int, error) {
	base := firstPort
	for offset := 0; ; offset += maxPage {
		servers, _, err := s.store.Servers(ctx, ServerFilter{Project: server.Project, Offset: offset, Limit: maxPage})
		if err != nil {
			return 0, err
		}
		for _, other := range servers {
			if other.Endpoint == server.Endpoint {
				base = max(base, other.PortBase+other.Capacity)
			}
		}
		if len(servers) < maxPage {
			return base, nil
		}
	}
}
