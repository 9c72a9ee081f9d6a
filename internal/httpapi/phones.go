package httpapi

import (
	"net/http"

	"github.com/lethe-cloud/lethe/api"
	"github.com/lethe-cloud/lethe/internal/fleet"
	"github.com/lethe-cloud/lethe/internal/phone"
)

func (a *API) phones(c *call) error {
	project, err := c.project()
	if err != nil {
		return err
	}
	filter := fleet.PhoneFilter{Project: project, Server: phone.ServerID(c.query.Get("server_id")), Name: c.query.Get("phone_name")}
	if filter.Offset, filter.Limit, err = c.page(); err != nil {
		return err
	}
	if filter.Status, err = statusFilter[phone.Status](c); err != nil {
		return err
	}
	page, err := c.cursorPage(project)
	if err != nil {
		return err
	}
	phones, count, next, err := readList(page,
		func() ([]phone.Phone, int, error) { return a.Fleet.Phones(c.Context(), c.caller, filter) },
		func(after fleet.Place) ([]phone.Phone, *fleet.Place, error) {
			return a.Fleet.PhonesAfter(c.Context(), c.caller, filter, after)
		}, fleet.PlaceOfPhone)
	if err != nil {
		return err
	}
	return c.answer(http.StatusOK, api.Phones{Phones: each(phones, phoneOut), Count: count, Next: page.cursor(next)})
}

func (a *API) phone(c *call) error {
	project, err := c.project()
	if err != nil {
		return err
	}
	p, err := a.Fleet.Phone(c.Context(), c.caller, project, phone.ID(c.PathValue("phone_id")))
	if err != nil {
		return err
	}
	out := phoneOut(p)
	if p.Status.Transitional() {
		if out.Job, err = a.jobAtWork(c, p); err != nil {
			return err
		}
	}
	return c.answer(http.StatusOK, out)
}

// jobAtWork gives the phone's unfinished job: its newest, since a phone has at most one unfinished at a time. It may have ended
// since the phone was read.
func (a *API) jobAtWork(c *call, p phone.Phone) (*api.Job, error) {
	jobs, err := a.Fleet.Jobs(c.Context(), c.caller, fleet.JobFilter{Project: p.Project, Phone: p.ID, Newest: true, Limit: 1})
	if phone.CodeOf(err) == phone.Forbidden {
		return nil, nil // who may see the phone but no jobs sees the phone
	}
	if err != nil || len(jobs) == 0 || jobs[0].Phase.Final() {
		return nil, err
	}
	job := jobOut(jobs[0])
	return &job, nil
}

func (a *API) exec(c *call) error {
	var in api.Exec
	if err := c.decode(&in); err != nil {
		return err
	}
	project, err := c.project()
	if err != nil {
		return err
	}
	c.noDeadlines()
	command := fleet.Command{Args: in.Args, Stdin: in.Stdin, MaxOutput: in.MaxOutput}
	result, err := a.Fleet.Exec(c.Context(), c.caller, project, phone.ID(c.PathValue("phone_id")), command)
	if err != nil {
		return err
	}
	return c.answer(http.StatusOK, api.ExecResult{
		ExitCode: result.ExitCode, Stdout: bytesOut(result.Stdout), Stderr: bytesOut(result.Stderr), Truncated: result.Truncated,
	})
}

// bytesOut makes no output "" and not null.
func bytesOut(b []byte) []byte {
	if b == nil {
		return []byte{}
	}
	return b
}

func phoneOut(p phone.Phone) api.Phone {
	return api.Phone{
		PhoneID: string(p.ID), PhoneName: p.Name, ServerID: string(p.Server), ProjectID: string(p.Project), PhoneModelName: p.Model,
		ImageID: string(p.Image), Status: int(p.Status), Generation: int64(p.Generation), LastGeneration: int64(p.LastGeneration),
		PropertyKeys: p.Properties.Keys(), ADBPort: p.ADBPort, Cause: p.Cause, CreateTime: p.CreatedAt.UTC(), UpdateTime: p.UpdatedAt.UTC(),
	}
}

// statusFilter reads the query's status: nil chooses nothing.
func statusFilter[T ~int](c *call) (*T, error) {
	if !c.query.Has("status") {
		return nil, nil
	}
	n, err := c.integer("status", 0, -100, 100)
	status := T(n)
	return &status, err
}
