package fleettest

import (
	"cmp"
	"context"
	"slices"

	"github.com/lethe-cloud/lethe/internal/phone"
)

// AddBucket implements fleet.Store.
func (s *Store) AddBucket(ctx context.Context, bucket phone.Bucket) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.begin(ctx); err != nil {
		return err
	}
	own := 0
	for _, b := range s.buckets {
		if b.Name == bucket.Name {
			return phone.Errorf(phone.Conflict, phone.ReasonNameTaken, "the name is taken: choose another")
		}
		if b.Project == bucket.Project {
			own++
		}
	}
	if own >= phone.MaxBuckets {
		return phone.Errorf(phone.Exhausted, "", "there are %d buckets already", own)
	}
	s.buckets = append(s.buckets, bucket)
	return nil
}

// Bucket gives the bucket of that name, as internal/objects asks for it.
func (s *Store) Bucket(ctx context.Context, name string) (phone.Bucket, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.begin(ctx); err != nil {
		return phone.Bucket{}, err
	}
	i := slices.IndexFunc(s.buckets, func(b phone.Bucket) bool { return b.Name == name })
	if i < 0 {
		return phone.Bucket{}, phone.Errorf(phone.NotFound, phone.ReasonBucketNotFound, "there is no such bucket")
	}
	return s.buckets[i], nil
}

// Buckets implements fleet.Store.
func (s *Store) Buckets(ctx context.Context, project phone.ProjectID) ([]phone.Bucket, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.begin(ctx); err != nil {
		return nil, err
	}
	own := slices.DeleteFunc(slices.Clone(s.buckets), func(b phone.Bucket) bool { return b.Project != project })
	slices.SortFunc(own, func(a, b phone.Bucket) int { return cmp.Compare(a.Name, b.Name) })
	return own, nil
}

// DeleteBucket implements fleet.Store.
func (s *Store) DeleteBucket(ctx context.Context, id string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.begin(ctx); err != nil {
		return err
	}
	before := len(s.buckets)
	s.buckets = slices.DeleteFunc(s.buckets, func(b phone.Bucket) bool { return b.ID == id })
	if len(s.buckets) == before {
		return phone.Errorf(phone.NotFound, phone.ReasonBucketNotFound, "there is no such bucket")
	}
	return nil
}
