package fleet

import (
	"context"

	"github.com/lethe-cloud/lethe/internal/account"
	"github.com/lethe-cloud/lethe/internal/phone"
)

// Place is where one page of a list ended and the next begins. It stays the same whatever is added or removed meanwhile, so that
// a caller who goes from place to place sees every element once that was there from the beginning to the end. The zero Place is
// before the first element.
type Place struct {
	Order int64  // when the element was created, in microseconds; of a job its number in the order of acceptance
	ID    string // tells apart what was created at one moment; "" of a job
}

// PlaceOfPhone is the place behind a phone.
func PlaceOfPhone(p phone.Phone) Place { return Place{p.CreatedAt.UnixMicro(), string(p.ID)} }

// PlaceOfServer is the place behind a server.
func PlaceOfServer(s phone.Server) Place { return Place{s.CreatedAt.UnixMicro(), string(s.ID)} }

// PhonesAfter gives the page of Phones that begins behind a place, and the place where the next page begins, nil when there is
// none. A page of a search may hold fewer than the limit, even none, and have a next one. The filter's offset counts for nothing.
func (s *Service) PhonesAfter(ctx context.Context, caller account.Caller, filter PhoneFilter, after Place) ([]phone.Phone, *Place, error) {
	if err := checkPhones(caller, &filter); err != nil {
		return nil, nil, err
	}
	return s.store.PhonesAfter(ctx, filter, after)
}

// ServersAfter is to Servers what PhonesAfter is to Phones.
func (s *Service) ServersAfter(ctx context.Context, caller account.Caller, filter ServerFilter, after Place) ([]phone.Server, *Place, error) {
	if err := checkServers(caller, &filter); err != nil {
		return nil, nil, err
	}
	return s.store.ServersAfter(ctx, filter, after)
}

// JobsAfter is to Jobs what PhonesAfter is to Phones.
func (s *Service) JobsAfter(ctx context.Context, caller account.Caller, filter JobFilter, after Place) ([]phone.Job, *Place, error) {
	if err := checkJobs(caller, &filter); err != nil {
		return nil, nil, err
	}
	return s.store.JobsAfter(ctx, filter, after)
}
