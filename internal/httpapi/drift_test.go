package httpapi_test

import (
	"net/http"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/lethe-cloud/lethe/api"
	"github.com/lethe-cloud/lethe/internal/phone"
)

func TestDrift(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	server := phone.NewID[phone.ServerID]()
	f.store.Put(phone.Server{ID: server, Name: "rack", Project: projectA, Status: phone.ServerNormal})
	f.reconciler.Drift = phone.Drift{
		LookedAt: clock, Held: "held", Objects: 7, Phones: 3, Busy: 1,
		Findings: []phone.Finding{
			{
				Kind: phone.DriftOrphan, Object: phone.DriftVolume, Name: "v", Phone: "p", PhoneName: "rack-0001", Generation: 2, Detail: "it is over",
				FirstSeen: clock.Add(-time.Hour), Seen: 4,
			},
			{Kind: phone.DriftMissing, Object: phone.DriftInstance, Phone: "q", Generation: 3, Detail: "it is not there"},
		},
	}
	want := api.Drift{
		ServerID: string(server), LookTime: clock, DryRun: true, Held: "held", ObjectCount: 7, PhoneCount: 3, BusyCount: 1,
		Findings: []api.DriftFinding{
			{
				Kind: "orphan", Object: "volume", Name: "v", PhoneID: "p", PhoneName: "rack-0001", Generation: 2, Detail: "it is over",
				FirstSeenTime: clock.Add(-time.Hour), SeenCount: 4, Done: "would be removed",
			},
			{Kind: "missing", Object: "instance", PhoneID: "q", Generation: 3, Detail: "it is not there"},
		},
	}
	path := "/lethe/v1/servers/" + string(server)
	if diff := cmp.Diff(want, into[api.Drift](t, f.call("GET", path+"/drift", ""))); diff != "" {
		t.Error(diff)
	}
	for _, body := range []string{`{}`, `{"apply":false}`} {
		if diff := cmp.Diff(want, into[api.Drift](t, f.call("POST", path+"/reconcile", body))); diff != "" {
			t.Errorf("reconcile %s: %s", body, diff)
		}
	}
	if passes := f.reconciler.Passes(); len(passes) > 0 {
		t.Errorf("something was done on %v", passes)
	}
	want.DryRun, want.Findings[0].Done = false, "removed"
	if diff := cmp.Diff(want, into[api.Drift](t, f.call("POST", path+"/reconcile", `{"apply":true}`))); diff != "" {
		t.Error(diff)
	}
	if passes := f.reconciler.Passes(); len(passes) != 1 {
		t.Errorf("%d passes, want 1", len(passes))
	}
	f.reconciler.Drift = phone.Drift{}
	if none := into[api.Drift](t, f.call("GET", path+"/drift", "")); none.Findings == nil {
		t.Error("no findings are null, want []")
	}
	refused(t, f.call("POST", path+"/reconcile", `{"dry_run":true}`), http.StatusBadRequest)
	refused(t, f.call("GET", path+"/drift?apply=true", ""), http.StatusBadRequest)
	refused(t, f.call("GET", "/lethe/v1/servers/"+string(phone.NewID[phone.ServerID]())+"/drift", ""), http.StatusNotFound)
}
