package fleettest

import (
	"cmp"
	"context"
	"slices"
	"strings"

	"github.com/lethe-cloud/lethe/internal/fleet"
	"github.com/lethe-cloud/lethe/internal/phone"
)

// Servers implements fleet.Store.
func (s *Store) Servers(ctx context.Context, f fleet.ServerFilter) ([]phone.Server, int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.begin(ctx); err != nil {
		return nil, 0, err
	}
	found := s.serversOf(f)
	return cutOut(found, f.Offset, f.Limit), len(found), nil
}

// ServersAfter implements fleet.Store.
func (s *Store) ServersAfter(ctx context.Context, f fleet.ServerFilter, after fleet.Place) ([]phone.Server, *fleet.Place, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.begin(ctx); err != nil {
		return nil, nil, err
	}
	found, next := cutAfter(s.serversOf(f), fleet.PlaceOfServer, after, f.Limit)
	return found, next, nil
}

func (s *Store) serversOf(f fleet.ServerFilter) []phone.Server {
	found := choose(s.servers, func(o phone.Server) bool {
		return o.Project == f.Project && (f.ID == "" || o.ID == f.ID) && strings.Contains(o.Name, f.Name) &&
			(f.Status == nil || o.Status == *f.Status) && (f.PhoneModel == "" || o.PhoneModel == f.PhoneModel) &&
			(f.CreatedFrom.IsZero() || !o.CreatedAt.Before(f.CreatedFrom)) && (f.CreatedTo.IsZero() || !o.CreatedAt.After(f.CreatedTo))
	})
	slices.SortStableFunc(found, func(a, b phone.Server) int {
		return cmp.Or(b.CreatedAt.Compare(a.CreatedAt), cmp.Compare(a.ID, b.ID))
	})
	return found
}

// Phones implements fleet.Store.
func (s *Store) Phones(ctx context.Context, f fleet.PhoneFilter) ([]phone.Phone, int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.begin(ctx); err != nil {
		return nil, 0, err
	}
	found := s.phonesOf(f)
	return cutOut(found, f.Offset, f.Limit), len(found), nil
}

// PhonesAfter implements fleet.Store.
func (s *Store) PhonesAfter(ctx context.Context, f fleet.PhoneFilter, after fleet.Place) ([]phone.Phone, *fleet.Place, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.begin(ctx); err != nil {
		return nil, nil, err
	}
	found, next := cutAfter(s.phonesOf(f), fleet.PlaceOfPhone, after, f.Limit)
	return found, next, nil
}

func (s *Store) phonesOf(f fleet.PhoneFilter) []phone.Phone {
	found := choose(s.phones, func(o phone.Phone) bool {
		return o.Project == f.Project && (f.Server == "" || o.Server == f.Server) && strings.Contains(o.Name, f.Name) &&
			(f.Status == nil || o.Status == *f.Status)
	})
	slices.SortStableFunc(found, func(a, b phone.Phone) int {
		return cmp.Or(b.CreatedAt.Compare(a.CreatedAt), cmp.Compare(a.ID, b.ID))
	})
	return found
}

// Jobs implements fleet.Store.
func (s *Store) Jobs(ctx context.Context, f fleet.JobFilter) ([]phone.Job, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.begin(ctx); err != nil {
		return nil, err
	}
	found := choose(s.jobs, wantedJob(f))
	if f.Newest {
		slices.Reverse(found)
	}
	return cutOut(found, f.Offset, f.Limit), nil
}

// JobsAfter implements fleet.Store.
func (s *Store) JobsAfter(ctx context.Context, f fleet.JobFilter, after fleet.Place) ([]phone.Job, *fleet.Place, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.begin(ctx); err != nil {
		return nil, nil, err
	}
	var found []phone.Job
	var places []fleet.Place
	for i := range s.jobs {
		if f.Newest {
			i = len(s.jobs) - 1 - i
		}
		place := fleet.Place{Order: int64(i) + 1}
		beyond := after.Order == 0 || f.Newest == (place.Order < after.Order) && place != after
		if wantedJob(f)(s.jobs[i]) && beyond {
			found, places = append(found, s.jobs[i]), append(places, place)
		}
	}
	if len(found) <= f.Limit {
		return found, nil, nil
	}
	return found[:f.Limit], &places[f.Limit-1], nil
}

func wantedJob(f fleet.JobFilter) func(phone.Job) bool {
	return func(o phone.Job) bool {
		return o.Project == f.Project && (f.Requests == nil || slices.Contains(f.Requests, o.Request)) &&
			(f.Phone == "" || o.Phone == f.Phone) && (f.Server == "" || o.Server == f.Server)
	}
}

// cutAfter gives the elements of a list that follow a place, at most limit, and the place behind the last when more follow.
func cutAfter[T any](all []T, place func(T) fleet.Place, after fleet.Place, limit int) ([]T, *fleet.Place) {
	if after != (fleet.Place{}) {
		all = slices.DeleteFunc(all, func(v T) bool {
			p := place(v)
			return cmp.Or(cmp.Compare(after.Order, p.Order), cmp.Compare(p.ID, after.ID)) <= 0
		})
	}
	if len(all) <= limit {
		return all, nil
	}
	last := place(all[limit-1])
	return all[:limit], &last
}

func cutOut[T any](all []T, offset, limit int) []T {
	if offset > len(all) {
		return nil
	}
	return all[offset:min(offset+limit, len(all))]
}
