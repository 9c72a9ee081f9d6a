package main

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/lethe-cloud/lethe/api"
	"github.com/lethe-cloud/lethe/client"
	"github.com/lethe-cloud/lethe/internal/phone"
)

// bench is one measurement of a fleet whose phones run.
type bench struct {
	env     *environment
	client  *client.Client
	options benchOptions
	phones  []api.Phone
	slots   map[string]int // boot slots by server id
}

func (b *bench) say(format string, args ...any) { fmt.Fprintf(b.env.stderr, format+"\n", args...) }

// run resets a few phones alone and then all of them, --rounds times.
func (b *bench) run(ctx context.Context) (benchReport, error) {
	m := measurement{phones: map[string]int{}, slots: map[string]int{}}
	for _, p := range b.phones {
		m.phones[p.ServerID]++
		m.slots[p.ServerID] = b.slots[p.ServerID]
	}
	b.say("resetting %d phones one at a time", min(benchProbes, len(b.phones)))
	for _, p := range spread(b.phones, benchProbes) {
		jobs, _, err := b.reset(ctx, []api.Phone{p}, 1)
		if err != nil {
			return benchReport{}, err
		}
		m.alone = append(m.alone, jobs...)
	}
	m.batch = b.options.batch
	if m.batch == 0 {
		m.batch = min(client.MaxBatch, (len(b.phones)+9)/10)
	}
	for n := range b.options.rounds {
		b.say("resetting all %d phones, round %d of %d", len(b.phones), n+1, b.options.rounds)
		jobs, accepts, err := b.reset(ctx, b.phones, m.batch)
		if err != nil {
			return benchReport{}, err
		}
		m.accepts = append(m.accepts, accepts...)
		m.rounds = append(m.rounds, jobs)
	}
	return m.report(), nil
}

// spread takes at most n phones that lie evenly in the list, so that they are of different servers where it can be.
func spread(phones []api.Phone, n int) []api.Phone {
	n = min(n, len(phones))
	chosen := make([]api.Phone, n)
	for i := range chosen {
		chosen[i] = phones[i*len(phones)/n]
	}
	return chosen
}

// reset resets phones in calls of batch phones and waits; it gives their ended jobs and how long each call took. A phone that
// is refused ends the measurement, one whose reset fails is complained of.
func (b *bench) reset(ctx context.Context, phones []api.Phone, batch int) ([]api.Job, []time.Duration, error) {
	var requests []string
	var accepts []time.Duration
	for some := range slices.Chunk(phones, batch) {
		in := client.Reset{}
		for _, p := range some {
			in.Phones = append(in.Phones, client.ResetPhone{PhoneID: p.PhoneID})
		}
		began := time.Now()
		answer, err := b.client.ResetPhones(ctx, in)
		if err != nil {
			return nil, nil, err
		}
		accepts = append(accepts, time.Since(began))
		for _, job := range answer.Jobs {
			if job.JobID == "" {
				return nil, nil, fmt.Errorf("phone %s was refused: %s %s", job.PhoneID, job.ErrorCode, job.ErrorMsg)
			}
		}
		requests = append(requests, answer.RequestID)
	}
	failed, err := b.env.waitFor(ctx, b.client, requests...)
	if err != nil {
		return nil, nil, err
	}
	for _, job := range failed {
		b.env.complain(job.PhoneID, job.ErrorCode, job.ErrorMsg, job.ExecuteMsg)
	}
	var jobs []api.Job
	for _, request := range requests {
		ended, err := client.Collect(b.client.Jobs(ctx, client.JobFilter{RequestID: request}), 0)
		if err != nil {
			return nil, nil, err
		}
		jobs = append(jobs, ended...)
	}
	if len(jobs) != len(phones) {
		return nil, nil, fmt.Errorf("%d phones were reset, but there are %d jobs", len(phones), len(jobs))
	}
	return jobs, accepts, nil
}

// held is how long a job held its boot slot: from its first phase in it to the end of booting. Unknown when it never got there.
func held(j api.Job) (time.Duration, bool) {
	var from, to time.Time
	for _, p := range j.Phases {
		switch phase := phone.Phase(p.Phase); {
		case phase.HoldsSlot() && from.IsZero():
			from = p.BeginTime
		case phase == phone.PhaseVerifying:
			to = p.BeginTime
		}
	}
	return to.Sub(from), !from.IsZero() && !to.IsZero()
}
