package httpapi

import (
	"net/http"
	"time"

	"github.com/lethe-cloud/lethe/api"
	"github.com/lethe-cloud/lethe/internal/fleet"
	"github.com/lethe-cloud/lethe/internal/phone"
)

func (a *API) jobs(c *call) error {
	project, err := c.project()
	if err != nil {
		return err
	}
	filter := fleet.JobFilter{Project: project, Phone: phone.ID(c.query.Get("phone_id")), Server: phone.ServerID(c.query.Get("server_id"))}
	if id := c.query.Get("request_id"); id != "" {
		filter.Requests = []phone.RequestID{phone.RequestID(id)}
	}
	if filter.Newest, err = c.newestFirst(); err != nil {
		return err
	}
	if filter.Offset, filter.Limit, err = c.page(); err != nil {
		return err
	}
	page, err := c.cursorPage(project)
	if err != nil {
		return err
	}
	var jobs []phone.Job
	var next *fleet.Place
	if page.byPlace {
		jobs, next, err = a.Fleet.JobsAfter(c.Context(), c.caller, filter, page.after)
	} else {
		jobs, err = a.Fleet.Jobs(c.Context(), c.caller, filter)
	}
	if err != nil {
		return err
	}
	return c.answer(http.StatusOK, api.Jobs{Jobs: each(jobs, jobOut), Next: page.cursor(next)})
}

// newestFirst reads the order: the newest jobs first, unless asked otherwise or for one request, whose order is the call's.
func (c *call) newestFirst() (bool, error) {
	switch c.query.Get("order") {
	case "newest":
		return true, nil
	case "oldest":
		return false, nil
	case "":
		return !c.query.Has("request_id"), nil
	}
	return false, &phone.Error{Code: phone.Invalid, Field: "order", Msg: "order must be newest or oldest"}
}

func (a *API) job(c *call) error {
	project, err := c.project()
	if err != nil {
		return err
	}
	job, err := a.Fleet.Job(c.Context(), c.caller, project, phone.JobID(c.PathValue("job_id")))
	if err != nil {
		return err
	}
	return c.answer(http.StatusOK, jobOut(job))
}

// progress answers at once or, with wait, when the request has finished or the time is over.
func (a *API) progress(c *call) error {
	project, err := c.project()
	if err != nil {
		return err
	}
	wait, err := c.duration("wait")
	if err != nil {
		return err
	}
	if wait > 0 {
		// The deadline of reading the call would end the wait; without it the server goes on reading, to notice a client that leaves.
		_ = http.NewResponseController(c.w).SetReadDeadline(time.Time{})
	}
	progress, err := a.Fleet.WaitRequest(c.Context(), c.caller, fleet.WaitRequest{
		Project: project, Request: phone.RequestID(c.PathValue("request_id")), Wait: wait, Stop: a.Stopping,
	})
	if err != nil {
		return err
	}
	return c.answer(http.StatusOK, progressOut(progress))
}

func progressOut(p phone.Progress) api.Progress {
	out := api.Progress{
		RequestID: string(p.Request.ID), ProjectID: string(p.Request.Project), Kind: string(p.Request.Kind),
		CreateTime: p.Request.CreatedAt.UTC(), Total: p.Total, Refused: p.Request.Refused, Phases: []api.PhaseCount{},
		Erased: p.Erased, Finished: p.Finished,
	}
	for _, j := range p.Servers {
		out.Servers = append(out.Servers, serverJobOut(j))
	}
	if !p.Request.Pace.Empty() {
		out.Pace = &api.Pace{First: p.Request.Pace.First, AtOnce: p.Request.Pace.AtOnce, StopPercent: p.Request.Pace.StopPercent}
	}
	if s := p.Request.Stopped; s != nil {
		out.Stopped = &api.Stopped{Time: s.At.UTC(), Failed: s.Failed, Ended: s.Ended, Msg: s.Sentence(), Detail: s.Cure()}
	}
	for _, phase := range phone.Phases() {
		if n := p.ByPhase[phase]; n > 0 {
			out.Phases = append(out.Phases, api.PhaseCount{Phase: string(phase), Count: n})
		}
	}
	return out
}

func serverJobOut(j phone.ServerJob) api.ServerJob {
	out := api.ServerJob{JobID: string(j.ID), ServerID: string(j.Server), Phones: j.Phones, Status: int(j.Status()), EndTime: j.EndedAt.UTC()}
	if j.Receipt != nil {
		out.LookedForAt = j.Receipt.LookedFor.UTC()
		if s := j.Receipt.Share; s != nil {
			out.Share = &api.ErasedShare{Name: s.Name, Files: s.Files, Bytes: s.Bytes, Partial: s.Partial}
		}
	}
	if out.Output = j.Output; j.Listing != nil {
		out.Listing = &api.SharedFiles{Path: j.Listing.Path, Total: j.Listing.Total, Offset: j.Listing.Offset, Files: each(j.Listing.Files, func(f phone.ShareFile) api.SharedFile {
			return api.SharedFile{Name: f.Name, Type: f.Type, Size: f.Size, ModifyTime: f.ModifiedAt.UTC()}
		})}
	}
	if f := j.Failure; f != nil {
		out.Failure = &api.Failure{Reason: string(f.Reason), Msg: f.Msg, Detail: f.Detail}
	}
	return out
}

func jobOut(j phone.Job) api.Job {
	out := api.Job{
		JobID: string(j.ID), RequestID: string(j.Request), ProjectID: string(j.Project), PhoneID: string(j.Phone), ServerID: string(j.Server),
		Kind: string(j.Kind), Status: int(j.Phase.Status()), Phase: string(j.Phase), Erase: string(j.Erase), Generation: int64(j.Target),
		PriorGeneration: int64(j.Prior), PriorStatus: int(j.PriorStatus), PriorImageID: string(j.PriorImage), ImageID: string(j.Image),
		PropertyKeys: j.Properties.Keys(), Output: j.Output, FactoryReset: j.Factory, Rollback: j.Rollback, RolledBack: j.RolledBack, Attempt: j.Attempt,
		CreateTime: j.CreatedAt.UTC(), BeginTime: j.StartedAt.UTC(), EndTime: j.EndedAt.UTC(),
	}
	for _, phase := range phone.Phases() {
		if at, reached := j.PhaseAt[phase]; reached {
			out.Phases = append(out.Phases, api.PhaseTime{Phase: string(phase), BeginTime: at.UTC()})
		}
	}
	if f := j.Failure; f != nil {
		out.Failure = &api.Failure{Reason: string(f.Reason), Msg: f.Msg, Detail: f.Detail}
	}
	if j.Receipt != nil {
		out.Receipt = receiptOut(*j.Receipt)
	}
	return out
}

func receiptOut(r phone.Receipt) *api.Receipt {
	return &api.Receipt{
		PhoneID: string(r.Phone), JobID: string(r.Job), FromGeneration: int64(r.From), ToGeneration: int64(r.To), ImageID: string(r.Image),
		ImageIdentity: api.ImageIdentity{ID: r.Identity.ID, Digest: r.Identity.Digest}, Instance: r.Instance, Volume: r.Volume,
		Erased: each(r.Erased, func(v phone.ErasedVolume) api.ErasedVolume {
			return api.ErasedVolume{Name: v.Name, Generation: int64(v.Generation), Files: v.Files, Bytes: v.Bytes, Gone: v.Gone}
		}),
		LookedForAt: r.LookedFor.UTC(),
		Properties: each(r.Properties, func(p phone.PropertyReading) api.PropertyReading {
			return api.PropertyReading{Key: p.Key, Effect: string(p.Effect)}
		}),
	}
}
