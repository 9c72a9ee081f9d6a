package main

import (
	"context"
	"fmt"
	"iter"
	"slices"
	"strings"
	"time"

	"github.com/lethe-cloud/lethe/api"
	"github.com/lethe-cloud/lethe/client"
)

// bench is one measurement of a fleet whose phones run.
type bench struct {
	env     *environment
	client  *client.Client
	options benchOptions
	phones  []benchPhone
	slots   map[string]int // boot slots by server id
}

// benchPhone is what a measurement keeps of each of a million phones.
type benchPhone struct{ id, server, name string }

func (b *bench) say(format string, args ...any) { fmt.Fprintf(b.env.stderr, format+"\n", args...) }

// load keeps the phones of a list; with their names, which cost as much again, they can be sorted by them.
func (b *bench) load(phones iter.Seq2[api.Phone, error], names bool) error {
	servers := map[string]string{} // one copy of each id, however many phones name it
	for p, err := range phones {
		if err != nil {
			return err
		}
		server, known := servers[p.ServerID]
		if !known {
			server = strings.Clone(p.ServerID)
			servers[server] = server
		}
		kept := benchPhone{id: strings.Clone(p.PhoneID), server: server}
		if names {
			kept.name = strings.Clone(p.PhoneName)
		}
		b.phones = append(b.phones, kept)
	}
	return nil
}

// run resets a few phones alone and then all of them, --rounds times.
func (b *bench) run(ctx context.Context) (benchReport, error) {
	m := measurement{phones: map[string]int{}, slots: map[string]int{}}
	for _, p := range b.phones {
		m.phones[p.server]++
		m.slots[p.server] = b.slots[p.server]
	}
	b.say("resetting %d phones one at a time", min(benchProbes, len(b.phones)))
	for _, p := range spread(b.phones, benchProbes) {
		requests, _, err := b.reset(ctx, []benchPhone{p}, 1)
		if err == nil {
			err = m.probe(b.jobs(ctx, requests))
		}
		if err != nil {
			return benchReport{}, err
		}
	}
	m.batch = b.options.batch
	if m.batch == 0 {
		m.batch = min(client.MaxBatch, (len(b.phones)+9)/10)
	}
	for n := range b.options.rounds {
		b.say("resetting all %d phones, round %d of %d", len(b.phones), n+1, b.options.rounds)
		requests, accepts, err := b.reset(ctx, b.phones, m.batch)
		if err != nil {
			return benchReport{}, err
		}
		m.accepts = append(m.accepts, accepts...)
		jobs, err := m.round(b.jobs(ctx, requests), func(j api.Job) {
			if f := j.Failure; f != nil {
				b.env.complain(j.PhoneID, f.Reason, f.Msg, f.Detail)
			}
		})
		if err != nil {
			return benchReport{}, err
		}
		if jobs != len(b.phones) {
			return benchReport{}, fmt.Errorf("%d phones were reset, but there are %d jobs", len(b.phones), jobs)
		}
	}
	return m.report(), nil
}

// spread takes at most n phones that lie evenly in the list, so that they are of different servers where it can be.
func spread(phones []benchPhone, n int) []benchPhone {
	n = min(n, len(phones))
	chosen := make([]benchPhone, n)
	for i := range chosen {
		chosen[i] = phones[i*len(phones)/n]
	}
	return chosen
}

// reset resets phones in calls of batch phones and waits for the end; it gives the requests and how long each call took. A phone
// that is refused ends the measurement.
func (b *bench) reset(ctx context.Context, phones []benchPhone, batch int) (requests []string, accepts []time.Duration, err error) {
	for some := range slices.Chunk(phones, batch) {
		in := client.Reset{}
		for _, p := range some {
			in.Phones = append(in.Phones, client.ResetPhone{PhoneID: p.id})
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
	return requests, accepts, b.wait(ctx, requests)
}

// manyRequests is from how many requests on they are waited for one after the other: asking for the progress of all of them again
// and again would be work of its own.
const manyRequests = 50

func (b *bench) wait(ctx context.Context, requests []string) error {
	if len(requests) < manyRequests {
		shown := newProgress(b.env.stderr, isTerminal(b.env.stderr))
		defer shown.Done()
		_, err := b.client.WaitRequests(ctx, requests, func(all []api.Progress) { shown.Update(sum(all)) })
		return err
	}
	for i, request := range requests {
		if _, err := b.client.WaitRequest(ctx, request, nil); err != nil {
			return err
		}
		if n := i + 1; n*10/len(requests) > i*10/len(requests) {
			b.say("%d of %d requests have finished", n, len(requests))
		}
	}
	return nil
}

// jobs goes through the jobs of requests.
func (b *bench) jobs(ctx context.Context, requests []string) iter.Seq2[api.Job, error] {
	return func(yield func(api.Job, error) bool) {
		for _, request := range requests {
			for job, err := range b.client.Jobs(ctx, client.JobFilter{RequestID: request}) {
				if !yield(job, err) || err != nil {
					return
				}
			}
		}
	}
}
