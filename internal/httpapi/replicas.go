package httpapi

import (
	"net/http"

	"github.com/lethe-cloud/lethe/api"
	"github.com/lethe-cloud/lethe/internal/phone"
)

func (a *API) replicas(c *call) error {
	replicas, err := a.Fleet.Replicas(c.Context(), c.caller)
	if err != nil {
		return err
	}
	return c.answer(http.StatusOK, api.Replicas{Replicas: each(replicas, replicaOut), Count: len(replicas)})
}

func replicaOut(r phone.Replica) api.Replica {
	return api.Replica{
		ReplicaID: string(r.ID), StartTime: r.StartedAt.UTC(), LeaseExpireTime: r.LeaseExpiresAt.UTC(), Alive: r.Alive, Jobs: r.Jobs,
	}
}
