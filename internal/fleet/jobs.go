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

// RequestJobs gives one page of what one or several requests were answered with: first the jobs of servers, then those of phones, each in
// the order of acceptance. Of a request about servers the jobs of the phones are not in it. It is NotFound with
// ReasonRequestNotFound when the project has none of the requests; a page past the end, and a request whose elements were all
// refused, are empty.
func (s *Service) RequestJobs(
	ctx context.Context, caller account.Caller, project phone.ProjectID, ids []phone.RequestID, offset, limit int,
) ([]phone.ServerJob, []phone.Job, error) {
	if err := Authorise(caller, project, ActionJobsList); err != nil {
		return nil, nil, err
	}
	limit, err := page(offset, limit)
	if err != nil {
		return nil, nil, err
	}
	known := slices.DeleteFunc(slices.Clone(ids), func(id phone.RequestID) bool { return !phone.ValidID(id) })
	if len(known) == 0 {
		return nil, nil, errNoRequest
	}
	servers, err := s.store.ServerJobs(ctx, project, known)
	if err != nil {
		return nil, nil, err
	}
	about := map[phone.RequestID]bool{}
	for _, j := range servers {
		about[j.Request] = true
	}
	ofPhones := slices.DeleteFunc(slices.Clone(known), func(id phone.RequestID) bool { return about[id] })
	first := servers[min(offset, len(servers)):min(offset+limit, len(servers))]
	if len(ofPhones) == 0 || len(first) == limit {
		return first, nil, nil
	}
	jobs, err := s.store.Jobs(ctx, JobFilter{Project: project, Requests: ofPhones, Offset: max(0, offset-len(servers)), Limit: limit - len(first)})
	if err != nil || len(jobs)+len(servers) > 0 {
		return first, jobs, err
	}
	for _, id := range known {
		_, err := s.store.Progress(ctx, project, id)
		if err == nil {
			return nil, nil, nil
		}
		if phone.CodeOf(err) != phone.NotFound {
			return nil, nil, err
		}
	}
	return nil, nil, errNoRequest
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
