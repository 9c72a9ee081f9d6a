package httpapi_test

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/lethe-cloud/lethe/api"
	"github.com/lethe-cloud/lethe/internal/audit"
	"github.com/lethe-cloud/lethe/internal/fleet"
)

func TestAuditEvents(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.trail.next = fleet.AuditMark{At: clock, Seq: 7}
	page := into[api.AuditEvents](t, f.call("GET", "/lethe/v1/audit?user_name=bob&phone_id="+projectA+"&trace=login&result=refused&from=2026-01-02T03:04:05Z&to=2026-02-03T04:05:06.5Z&order=oldest&mark=1777863721500000-7&limit=9", ""))
	want := fleet.AuditFilter{
		Account: "acc", Projects: []string{projectA}, User: "bob", Phone: projectA, Trace: audit.Login, Result: audit.Refused, Oldest: true, Limit: 9,
		From: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC), To: time.Date(2026, 2, 3, 4, 5, 6, 500_000_000, time.UTC), After: fleet.AuditMark{At: clock, Seq: 7},
	}
	if diff := cmp.Diff([]fleet.AuditFilter{want}, f.trail.asked); diff != "" {
		t.Errorf("asked (-want +got):\n%s", diff)
	}
	if e := page.Events[0]; page.Next != "1777863721500000-7" || e.EventID != "7" || e.Trace != "resetCloudPhone" || e.Changes[0].OldPropertyKeys[0] != "k" {
		t.Errorf("answered %+v", page)
	}
	into[api.AuditEvents](t, f.call("GET", "/lethe/v1/audit", "", "X-Auth-Token", "domain"))
	if got := f.trail.asked[1].Projects; len(got) != 0 {
		t.Errorf("a token of no project reaches into %v", got)
	}
	for query, field := range map[string]string{
		"from=yesterday": "from", "to=1": "to", "order=up": "order", "mark=7": "mark", "mark=-1--1": "mark", "mark=99999999999999999999-1": "mark", "limit=0": "limit",
		"limit=1001": "limit", "phone_id=x": "phone_id", "result=ok": "result", "user_name=%00": "user_name", "trace=" + strings.Repeat("x", 100): "trace",
		"from=2026-01-02T00:00:00Z&to=2026-01-01T00:00:00Z": "from", "from=9999999999-01-01T00:00:00Z": "from", "user=bob": "user",
	} {
		if e := refused(t, f.call("GET", "/lethe/v1/audit?"+query, ""), 400); !strings.Contains(e.Msg, field) {
			t.Errorf("%s: %+v", query, e)
		}
	}
}
