package fleettest

import (
	"cmp"
	"context"
	"slices"

	"github.com/lethe-cloud/lethe/internal/fleet"
	"github.com/lethe-cloud/lethe/internal/phone"
)

// RenamePhone implements fleet.NameStore.
func (s *Store) RenamePhone(ctx context.Context, project phone.ProjectID, id phone.ID, name string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.begin(ctx); err != nil {
		return err
	}
	i := slices.IndexFunc(s.phones, func(o phone.Phone) bool { return o.Project == project && o.ID == id })
	if i < 0 {
		return phone.Errorf(phone.NotFound, phone.ReasonPhoneNotFound, "the project has no such thing")
	}
	if slices.ContainsFunc(s.phones, func(o phone.Phone) bool { return o.Project == project && o.ID != id && o.Name == name }) {
		return phone.Errorf(phone.Conflict, phone.ReasonNameTaken, "the name is taken")
	}
	s.phones[i].Name = name
	return nil
}

// RenameServer implements fleet.NameStore.
func (s *Store) RenameServer(ctx context.Context, project phone.ProjectID, id phone.ServerID, name string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.begin(ctx); err != nil {
		return err
	}
	i := slices.IndexFunc(s.servers, func(o phone.Server) bool { return o.Project == project && o.ID == id })
	if i < 0 {
		return phone.Errorf(phone.NotFound, phone.ReasonServerNotFound, "the project has no such thing")
	}
	if slices.ContainsFunc(s.servers, func(o phone.Server) bool { return o.Project == project && o.ID != id && o.Name == name }) {
		return phone.Errorf(phone.Conflict, phone.ReasonNameTaken, "the name is taken")
	}
	s.servers[i].Name = name
	return nil
}

func (s *Store) hasServer(project phone.ProjectID, id phone.ServerID) error {
	_, err := one(s.servers, phone.ReasonServerNotFound, func(o phone.Server) bool { return o.Project == project && o.ID == id })
	return err
}

// ServerTags implements fleet.TagStore.
func (s *Store) ServerTags(ctx context.Context, project phone.ProjectID, id phone.ServerID) ([]phone.Tag, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.begin(ctx); err != nil {
		return nil, err
	}
	return slices.Clone(s.tags[id]), s.hasServer(project, id)
}

// AddTags implements fleet.TagStore.
func (s *Store) AddTags(ctx context.Context, project phone.ProjectID, id phone.ServerID, tags []phone.Tag) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.begin(ctx); err != nil {
		return err
	}
	if err := s.hasServer(project, id); err != nil {
		return err
	}
	merged, refused := phone.MergeTags(s.tags[id], tags)
	if refused != nil {
		return refused
	}
	s.setTags(id, merged)
	return nil
}

func (s *Store) setTags(id phone.ServerID, tags []phone.Tag) {
	slices.SortFunc(tags, func(a, b phone.Tag) int { return cmp.Compare(a.Key, b.Key) })
	if s.tags == nil {
		s.tags = map[phone.ServerID][]phone.Tag{}
	}
	s.tags[id] = tags
}

// RemoveTags implements fleet.TagStore.
func (s *Store) RemoveTags(ctx context.Context, project phone.ProjectID, id phone.ServerID, tags []phone.Tag) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.begin(ctx); err != nil {
		return err
	}
	if err := s.hasServer(project, id); err != nil {
		return err
	}
	gone := func(has phone.Tag) bool {
		return slices.ContainsFunc(tags, func(t phone.Tag) bool { return t.Key == has.Key && (t.Value == "" || t.Value == has.Value) })
	}
	s.setTags(id, slices.DeleteFunc(slices.Clone(s.tags[id]), gone))
	return nil
}

// ProjectTags implements fleet.TagStore.
func (s *Store) ProjectTags(ctx context.Context, project phone.ProjectID, offset, limit int) ([]phone.TagValues, int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.begin(ctx); err != nil {
		return nil, 0, err
	}
	var all []phone.TagValues
	for _, server := range s.servers {
		if server.Project != project {
			continue
		}
		for _, tag := range s.tags[server.ID] {
			i := slices.IndexFunc(all, func(o phone.TagValues) bool { return o.Key == tag.Key })
			if i < 0 {
				i = len(all)
				all = append(all, phone.TagValues{Key: tag.Key})
			}
			if !slices.Contains(all[i].Values, tag.Value) {
				all[i].Values = append(all[i].Values, tag.Value)
				slices.Sort(all[i].Values)
			}
		}
	}
	slices.SortFunc(all, func(a, b phone.TagValues) int { return cmp.Compare(a.Key, b.Key) })
	return cutOut(all, offset, limit), len(all), nil
}

// TaggedServers implements fleet.TagStore.
func (s *Store) TaggedServers(ctx context.Context, f fleet.TagFilter) ([]phone.TaggedServer, int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.begin(ctx); err != nil {
		return nil, 0, err
	}
	var found []phone.TaggedServer
	for _, server := range s.servers {
		tags := s.tags[server.ID]
		fits := server.Project == f.Project && (f.Name == "" || server.Name == f.Name) && (!f.Untagged || len(tags) == 0)
		for _, want := range f.Tags {
			fits = fits && slices.ContainsFunc(tags, func(t phone.Tag) bool {
				return t.Key == want.Key && (len(want.Values) == 0 || slices.Contains(want.Values, t.Value))
			})
		}
		if fits {
			found = append(found, phone.TaggedServer{ID: server.ID, Name: server.Name, Tags: tags})
		}
	}
	return cutOut(found, f.Offset, f.Limit), len(found), nil
}

// PhonesOnServers implements fleet.TicketStore.
func (s *Store) PhonesOnServers(ctx context.Context, project phone.ProjectID, ids []phone.ID) ([]fleet.PhoneOnServer, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.begin(ctx); err != nil {
		return nil, err
	}
	var found []fleet.PhoneOnServer
	for _, p := range s.phones {
		if p.Project != project || !slices.Contains(ids, p.ID) {
			continue
		}
		i := slices.IndexFunc(s.servers, func(o phone.Server) bool { return o.ID == p.Server })
		found = append(found, fleet.PhoneOnServer{Phone: p, Server: s.servers[i]})
	}
	return found, nil
}

// InsertTickets implements fleet.TicketStore.
func (s *Store) InsertTickets(ctx context.Context, tickets []phone.Ticket) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.begin(ctx); err != nil {
		return err
	}
	s.tickets = append(s.tickets, tickets...)
	return nil
}

// Ticket implements fleet.TicketStore; it has no clock, so a ticket's time is never over.
func (s *Store) Ticket(ctx context.Context, project phone.ProjectID, hash [32]byte) (phone.Ticket, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.begin(ctx); err != nil {
		return phone.Ticket{}, err
	}
	return one(s.tickets, phone.ReasonTicketInvalid, func(o phone.Ticket) bool {
		runs := func(p phone.Phone) bool {
			return p.ID == o.Phone && p.Generation == o.Generation && p.Status == phone.StatusRunning
		}
		return o.Project == project && o.Hash == hash && slices.ContainsFunc(s.phones, runs)
	})
}
