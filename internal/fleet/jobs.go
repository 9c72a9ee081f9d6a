package fleet

import (
	"context"
	"slices"

	"github.com/lethe-cloud/lethe/internal/account"
	"github.com/lethe-cloud/lethe/internal/phone"
)

var errNoJob = phone.Errorf(phone.NotFound, phone.ReasonJobNotFound, "the project has no such job")

// Job gives one job; NotFound with ReasonJobNotFound when the project has none of that id.
func (s *Service) Job(ctx context.Context, caller account.Caller, project phone.ProjectID, id phone.JobID) (phone.Job, error) {
	if err := Authorise(caller, project, ActionJobsGet); err != nil {
		return phone.Job{}, err
	}
	if !phone.ValidID(id) {
		return phone.Job{}, errNoJob
	}
	return s.store.Job(ctx, project, id)
}

// Jobs gives one page of the project's jobs that the filter chooses, in the order of acceptance or, with Newest, the other way
// round. A page past the end is empty.
func (s *Service) Jobs(ctx context.Context, caller account.Caller, filter JobFilter) ([]phone.Job, error) {
	if err := checkJobs(caller, &filter); err != nil {
		return nil, err
	}
	return s.store.Jobs(ctx, filter)
}

// checkJobs says whether the caller may have such a list, and fills in its limit.
func checkJobs(caller account.Caller, filter *JobFilter) error {
	if err := Authorise(caller, filter.Project, ActionJobsList); err != nil {
		return err
	}
	bad := func(id phone.RequestID) bool { return !phone.ValidID(id) }
	switch {
	case filter.Phone != "" && !phone.ValidID(filter.Phone):
		return phone.Errorf(phone.Invalid, phone.ReasonPhoneInvalid, "phone_id is not 32 lower-case hex digits")
	case filter.Server != "" && !phone.ValidID(filter.Server):
		return errServerID
	case slices.ContainsFunc(filter.Requests, bad):
		return phone.Errorf(phone.Invalid, phone.ReasonRequestNotFound, "request_id is not 32 lower-case hex digits")
	}
	var err error
	filter.Limit, err = page(filter.Offset, filter.Limit)
	return err
}

// RequestJobs gives one page of the jobs of one or several requests, in the order of acceptance. It is NotFound with
// ReasonRequestNotFound when the project has none of the requests; a page past the end, and a request whose elements were all
// refused, are empty.
func (s *Service) RequestJobs(
	ctx context.Context, caller account.Caller, project phone.ProjectID, ids []phone.RequestID, offset, limit int,
) ([]phone.Job, error) {
	if err := Authorise(caller, project, ActionJobsList); err != nil {
		return nil, err
	}
	limit, err := page(offset, limit)
	if err != nil {
		return nil, err
	}
	known := slices.DeleteFunc(slices.Clone(ids), func(id phone.RequestID) bool { return !phone.ValidID(id) })
	if len(known) == 0 {
		return nil, errNoRequest
	}
	jobs, err := s.store.Jobs(ctx, JobFilter{Project: project, Requests: known, Offset: offset, Limit: limit})
	if err != nil || len(jobs) > 0 {
		return jobs, err
	}
	for _, id := range known {
		_, err := s.store.Progress(ctx, project, id)
		if err == nil {
			return nil, nil
		}
		if phone.CodeOf(err) != phone.NotFound {
			return nil, err
		}
	}
	return nil, errNoRequest
}

var errNoRequest = phone.Errorf(phone.NotFound, phone.ReasonRequestNotFound, "the project has no such request")

// Progress counts the jobs of one request; NotFound with ReasonRequestNotFound when the project has none of that id.
func (s *Service) Progress(ctx context.Context, caller account.Caller, project phone.ProjectID, id phone.RequestID) (phone.Progress, error) {
	if err := Authorise(caller, project, ActionJobsList); err != nil {
		return phone.Progress{}, err
	}
	if !phone.ValidID(id) {
		return phone.Progress{}, errNoRequest
	}
	return s.store.Progress(ctx, project, id)
}
