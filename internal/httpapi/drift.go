package httpapi

import (
	"net/http"

	"github.com/lethe-cloud/lethe/api"
	"github.com/lethe-cloud/lethe/internal/phone"
)

func (a *API) drift(c *call) error {
	project, err := c.project()
	if err != nil {
		return err
	}
	c.noDeadlines() // the host takes the time it takes
	drift, err := a.Fleet.Drift(c.Context(), c.caller, project, phone.ServerID(c.PathValue("server_id")))
	if err != nil {
		return err
	}
	return c.answer(http.StatusOK, driftOut(drift))
}

func (a *API) reconcile(c *call) error {
	var in api.Reconcile
	if err := c.decode(&in); err != nil {
		return err
	}
	project, err := c.project()
	if err != nil {
		return err
	}
	c.noDeadlines()
	drift, err := a.Fleet.ReconcileServer(c.Context(), c.caller, project, phone.ServerID(c.PathValue("server_id")), !in.Apply)
	if err != nil {
		return err
	}
	return c.answer(http.StatusOK, driftOut(drift))
}

func driftOut(d phone.Drift) api.Drift {
	return api.Drift{
		ServerID: string(d.Server), LookTime: d.LookedAt.UTC(), DryRun: d.DryRun, Held: d.Held, ObjectCount: d.Objects, PhoneCount: d.Phones, BusyCount: d.Busy,
		Findings: each(d.Findings, func(f phone.Finding) api.DriftFinding {
			return api.DriftFinding{
				Kind: string(f.Kind), Object: string(f.Object), Name: f.Name, PhoneID: string(f.Phone), PhoneName: f.PhoneName, Generation: int64(f.Generation),
				Detail: f.Detail, FirstSeenTime: f.FirstSeen.UTC(), SeenCount: f.Seen, Done: f.Done,
			}
		}),
	}
}
