package fleet_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lethe-cloud/lethe/internal/fleet"
	"github.com/lethe-cloud/lethe/internal/phone"
)

// waited is how a wait ended, and when.
type waited struct {
	progress phone.Progress
	err      error
	after    time.Duration
	calls    int // of the store
}

// wait waits for a request that resets both phones; meanwhile goes on beside it.
func wait(t *testing.T, how time.Duration, meanwhile func(bundle, context.CancelFunc, chan struct{})) waited {
	t.Helper()
	var out waited
	synctest.Test(t, func(t *testing.T) {
		b := newBundle(t)
		request, _ := b.running(t)
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		stop := make(chan struct{})
		go meanwhile(b, cancel, stop)
		before, began := b.store.Calls(), time.Now()
		out.progress, out.err = b.WaitRequest(ctx, user(fleet.ActionJobsList), fleet.WaitRequest{Project: project, Request: request, Wait: how, Stop: stop})
		out.after, out.calls = time.Since(began), b.store.Calls()-before
	})
	return out
}

func (b bundle) end() {
	for _, job := range b.store.AllJobs() {
		job.Phase = phone.PhaseFailed
		b.store.Put(job)
	}
}

func TestWaitRequest(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		wait        time.Duration
		meanwhile   func(bundle, context.CancelFunc, chan struct{})
		finished    bool
		err         error
		least, most time.Duration
	}{
		"not at all":    {0, func(bundle, context.CancelFunc, chan struct{}) {}, false, nil, 0, 0},
		"in vain":       {fleet.MaxWait, func(bundle, context.CancelFunc, chan struct{}) {}, false, nil, time.Minute, time.Minute},
		"finished":      {fleet.MaxWait, func(b bundle, _ context.CancelFunc, _ chan struct{}) { time.Sleep(10 * time.Second); b.end() }, true, nil, 10 * time.Second, 10*time.Second + time.Second/2},
		"finished soon": {fleet.MaxWait, func(b bundle, _ context.CancelFunc, _ chan struct{}) { time.Sleep(50 * time.Millisecond); b.end() }, true, nil, 50 * time.Millisecond, 100 * time.Millisecond},
		"caller leaves": {fleet.MaxWait, func(_ bundle, cancel context.CancelFunc, _ chan struct{}) { time.Sleep(5 * time.Second); cancel() }, false, context.Canceled, 5 * time.Second, 5 * time.Second},
		"process stops": {fleet.MaxWait, func(_ bundle, _ context.CancelFunc, stop chan struct{}) { time.Sleep(5 * time.Second); close(stop) }, false, nil, 5 * time.Second, 5 * time.Second},
		"database fails": {fleet.MaxWait, func(b bundle, _ context.CancelFunc, _ chan struct{}) {
			time.Sleep(5 * time.Second)
			b.store.Fail(errFails)
		}, false, errFails, 5 * time.Second, 6 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := wait(t, tt.wait, tt.meanwhile)
			if !errors.Is(got.err, tt.err) || got.err != nil && tt.err == nil || got.progress.Finished != tt.finished || got.after < tt.least || got.after > tt.most {
				t.Errorf("%v, finished %t, after %s", got.err, got.progress.Finished, got.after)
			}
			if most := 6 + 2*int(got.after/time.Second); got.calls > most {
				t.Errorf("the store was asked %d times in %s, more than %d", got.calls, got.after, most)
			}
		})
	}
}

var errFails = phone.Errorf(phone.Unavailable, "", "no database")

func TestWaitRequestRefuses(t *testing.T) {
	t.Parallel()
	b := newBundle(t)
	request, _ := b.running(t)
	for name, tt := range map[string]struct {
		in     fleet.WaitRequest
		action fleet.Action
		code   phone.Code
	}{
		"too long":      {fleet.WaitRequest{Request: request, Wait: fleet.MaxWait + 1}, fleet.ActionJobsList, phone.Invalid},
		"negative":      {fleet.WaitRequest{Request: request, Wait: -1}, fleet.ActionJobsList, phone.Invalid},
		"unknown":       {fleet.WaitRequest{Request: "ffffffffffffffffffffffffffffffff", Wait: time.Second}, fleet.ActionJobsList, phone.NotFound},
		"not permitted": {fleet.WaitRequest{Request: request, Wait: time.Second}, fleet.ActionPhonesReset, phone.Forbidden},
	} {
		tt.in.Project = project
		if _, err := b.WaitRequest(t.Context(), user(tt.action), tt.in); phone.CodeOf(err) != tt.code {
			t.Errorf("%s: %v, want %s", name, err, tt.code)
		}
	}
}
