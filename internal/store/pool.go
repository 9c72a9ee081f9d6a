package store

import (
	"context"
	"strings"

	"github.com/lethe-cloud/lethe/internal/audit"
	"github.com/lethe-cloud/lethe/internal/fleet"
	"github.com/lethe-cloud/lethe/internal/phone"
)

// TakenHosts gives the hosts of the pool that servers of any project are on.
func (s *Store) TakenHosts(ctx context.Context) ([]string, error) {
	return readAll(ctx, s, one[string], `SELECT pool_host FROM servers WHERE pool_host <> ''`)
}

// AddServers writes servers on hosts of the pool, with their phones and create jobs under one request and a job of its own for each server,
// and admits what has a slot: all of it or nothing. A host that has got a server since is Conflict with ReasonHostsTaken; names and
// ports are as of AddServer.
func (s *Store) AddServers(ctx context.Context, request phone.Request, servers []fleet.AddServer) error {
	return s.tx(ctx, func(t *tx) error {
		if err := t.lockInstallation(ctx); err != nil { // servers are added one after the other
			return err
		}
		taken, err := all(ctx, t, one[string], `SELECT pool_host FROM servers WHERE pool_host <> ''`)
		if err != nil {
			return err
		}
		has := map[string]bool{}
		for _, host := range taken {
			has[host] = true
		}
		var phones []phone.Phone
		var jobs []phone.Job
		var names []string
		ids, rows, counts := make([]phone.ServerID, len(servers)), make([]serverJobInsert, len(servers)), tally{}
		for i, in := range servers { // at most ten
			if has[in.Server.PoolHost] {
				return phone.Errorf(phone.Conflict, phone.ReasonHostsTaken, "host %s of the pool has been taken meanwhile", in.Server.PoolHost)
			}
			if err := t.newServer(ctx, in); err != nil {
				return err
			}
			phones, jobs, names = append(phones, in.Phones...), append(jobs, in.Jobs...), append(names, string(in.Server.ID))
			ids[i], rows[i] = in.Server.ID, serverJobInsert{ID: phone.NewID[phone.JobID](), Server: in.Server.ID, Phones: len(in.Phones), Order: i}
		}
		made := audit.Change{}
		for _, p := range phones {
			counts.add(p.Project, p.Status, 1)
			made.Phones, made.NewImage = append(made.Phones, string(p.ID)), string(p.Image)
		}
		audit.From(ctx).About(strings.Join(names, ","))
		audit.From(ctx).Note(string(request.ID), []audit.Change{made})
		for _, write := range []func() error{
			func() error { return t.insertPhones(ctx, phones) },
			func() error { return t.saveTally(ctx, counts) },
			func() error { return t.insertRequest(ctx, request, false) },
			func() error { return t.insertFirstJobs(ctx, request, jobs) },
			func() error { return t.insertServerJobs(ctx, request, rows) },
		} {
			if err := write(); err != nil {
				return err
			}
		}
		return t.admit(ctx, ids)
	})
}
