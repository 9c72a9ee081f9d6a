package client_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/lethe-cloud/lethe/api"
	"github.com/lethe-cloud/lethe/client"
)

// Waiting does not go on for ever while nothing answers.
func TestWaitLosesPatience(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		answer(t, w, http.StatusServiceUnavailable, api.Error{Code: "unavailable", Msg: "starting"})
	}))
	t.Cleanup(server.Close)
	now := time.Now()
	c, err := client.New(client.Config{
		Endpoint: server.URL, AccessKey: accessKey, SecretKey: secretKey, ProjectID: project, Poll: time.Millisecond,
		Now: func() time.Time { now = now.Add(4 * time.Second); return now },
	})
	if err != nil {
		t.Fatal(err)
	}
	_, err = c.WaitRequest(t.Context(), "r", nil)
	var refused *client.Error
	if !errors.As(err, &refused) || refused.Code != "unavailable" {
		t.Errorf("error %v", err)
	}
}

// Waiting shows each state, rides out a server that is not ready for a while, and ends with the last job.
func TestWaitRequests(t *testing.T) {
	t.Parallel()
	var looks []string
	steps := map[string][]string{"r1": {"queued", "booting", "succeeded"}, "r2": {"succeeded"}}
	failures := 2
	c := serve(t, func(w http.ResponseWriter, r *http.Request) {
		id := strings.TrimPrefix(r.URL.Path, "/lethe/v1/requests/")
		looks = append(looks, id)
		if failures > 0 {
			failures--
			answer(t, w, http.StatusServiceUnavailable, api.Error{Code: "unavailable", Msg: "starting"})
			return
		}
		phase := steps[id][0]
		if len(steps[id]) > 1 {
			steps[id] = steps[id][1:]
		}
		answer(t, w, http.StatusOK, api.Progress{RequestID: id, Total: 1, Phases: []api.PhaseCount{{Phase: phase, Count: 1}}, Finished: phase == "succeeded"})
	})
	var seen []string
	all, err := c.WaitRequests(t.Context(), []string{"r1", "r2"}, func(all []api.Progress) {
		seen = append(seen, all[0].Phases[0].Phase+" "+all[1].Phases[0].Phase)
	})
	if err != nil {
		t.Fatal(err)
	}
	if !all[0].Finished || !all[1].Finished {
		t.Errorf("ended with %+v", all)
	}
	if diff := cmp.Diff([]string{"queued succeeded", "booting succeeded", "succeeded succeeded"}, seen); diff != "" {
		t.Error(diff)
	}
	// Two failures; then one that has finished is not asked about again.
	if diff := cmp.Diff([]string{"r1", "r1", "r1", "r2", "r1", "r1"}, looks); diff != "" {
		t.Error(diff)
	}
}

// The first look is answered at once, later ones when there is something to tell: at the end, or when the progress is to be shown.
// Only the first unfinished request is waited for.
func TestWaitIsLong(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		progress func([]api.Progress)
		want     []string
	}{
		"progress shown": {func([]api.Progress) {}, []string{"r1", "r2", "r1?wait=8ms", "r2", "r1?wait=8ms", "r2", "r2?wait=8ms"}},
		"nobody looks":   {nil, []string{"r1", "r2", "r1?wait=30s", "r2", "r1?wait=30s", "r2", "r2?wait=30s"}},
	} {
		var looks []string
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			looks = append(looks, strings.TrimPrefix(r.RequestURI, "/lethe/v1/requests/"))
			finished := len(looks) == 5 || len(looks) == 7
			answer(t, w, http.StatusOK, api.Progress{Finished: finished})
		}))
		t.Cleanup(server.Close)
		if _, err := newClient(t, server.URL, 8*time.Millisecond).WaitRequests(t.Context(), []string{"r1", "r2"}, tt.progress); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if diff := cmp.Diff(tt.want, looks); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
}

// One request is waited for as several are.
func TestWaitOfOneIsLong(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		progress func(api.Progress)
		want     string
	}{"progress shown": {func(api.Progress) {}, "1ms"}, "nobody looks": {nil, "30s"}} {
		var waits []string
		c := serve(t, func(w http.ResponseWriter, r *http.Request) {
			waits = append(waits, r.URL.Query().Get("wait"))
			answer(t, w, http.StatusOK, api.Progress{Finished: len(waits) == 2})
		})
		if _, err := c.WaitRequest(t.Context(), "r", tt.progress); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if diff := cmp.Diff([]string{"", tt.want}, waits); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
}

func TestWaitEndsWithItsContext(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	c := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		answer(t, w, http.StatusOK, api.Progress{RequestID: "r", Total: 1})
	})
	looks := 0
	_, err := c.WaitRequest(ctx, "r", func(api.Progress) {
		if looks++; looks == 3 {
			cancel()
		}
	})
	if !errors.Is(err, context.Canceled) || looks != 3 {
		t.Errorf("error %v after %d looks", err, looks)
	}
}

func TestWaitEndsWithARefusal(t *testing.T) {
	t.Parallel()
	c := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		answer(t, w, http.StatusNotFound, api.Error{Code: "not_found", Msg: "no such request"})
	})
	_, err := c.WaitRequest(t.Context(), "r", nil)
	var refused *client.Error
	if !errors.As(err, &refused) || refused.Code != "not_found" {
		t.Errorf("error %v", err)
	}
}
