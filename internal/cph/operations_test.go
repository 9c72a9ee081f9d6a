package cph_test

import (
	"strings"
	"testing"

	"github.com/lethe-cloud/lethe/internal/cph"
	"github.com/lethe-cloud/lethe/internal/phone"
)

// Every operation asks who calls and whether he may before anything else, and each with its own action.
func TestEveryOperationAsks(t *testing.T) {
	t.Parallel()
	const forbidden = "No permission to request resources."
	for _, op := range cph.Operations() {
		t.Run(op.Name, func(t *testing.T) {
			t.Parallel()
			b := newBundle(t)
			path := func(project phone.ProjectID) string {
				return strings.NewReplacer(
					"{project_id}", string(project), "{phone_id}", string(firstID), "{server_id}", string(serverID), "{resource_id}", string(serverID),
					"{image_id}", string(newImage), "{member_id}", string(other), "{job_id}", string(knownJob), "{band_width_id}", "b", "{event_id}", "e",
				).Replace(op.Path)
			}
			call := func(token string) answer { return b.do(op.Method, path(project), token, "nonsense") }
			call("").refused(t, 401, "APIGW.0301", "Incorrect IAM authentication information: x-auth-token not found")
			call("domain").refused(t, 403, "CPS.0001", forbidden)
			call("cph:other:action").refused(t, 403, "CPS.0001", forbidden)
			b.do(op.Method, path(other), "owner", "nonsense").refused(t, 403, "CPS.0001", forbidden)
			if b.store.Calls() != 0 {
				t.Error("the store was asked for a caller who may not")
			}
			if got := call(string(op.Action)); got.status == 401 || got.status == 403 || got.status >= 500 && got.status != 501 {
				t.Errorf("with %s alone: %d %s", op.Action, got.status, got.body)
			}
		})
	}
}
