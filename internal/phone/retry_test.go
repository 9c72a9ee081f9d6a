package phone_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/lethe-cloud/lethe/internal/phone"
)

// A phone gets what its job was to give it, whatever it is by now, in a generation that was never used.
func TestDecideRetry(t *testing.T) {
	t.Parallel()
	asked := phone.Properties{"ro.product.model": "Pixel"}
	down := target("33333333333333333333333333333333", phone.StatusResetFailed)
	down.ServerStatus = phone.ServerAbnormal
	targets := map[phone.ID]phone.ResetTarget{
		firstID: target(firstID, phone.StatusResetFailed), secondID: target(secondID, phone.StatusCreateFailed), down.Phone.ID: down,
	}
	gone := target("44444444444444444444444444444444", phone.StatusResetFailed)
	targets[gone.Phone.ID] = gone
	jobs := []phone.Job{
		{Phone: down.Phone.ID, Image: "new"},
		{Phone: secondID, Kind: phone.KindCreate, Image: "old", Properties: phone.Properties{"bad": "1"}},
		{Phone: firstID, Kind: phone.KindReset, Image: "new", Properties: asked, Target: 6, Rollback: true},
		{Phone: gone.Phone.ID, Image: "deleted"},
	}
	check := func(_ string, p phone.Properties) *phone.Error {
		if p["bad"] != "" {
			return phone.Errorf(phone.Invalid, phone.ReasonPropertyValue, "bad")
		}
		return nil
	}
	accepted, outcomes := phone.DecideRetry(phone.KindReset, jobs, targets, map[phone.ImageID]bool{"old": true, "new": true}, check)
	want := []phone.Accepted{{Index: 2, Phone: targets[firstID].Phone, Target: 7, Image: "new", Properties: asked, Rollback: true}}
	if diff := cmp.Diff(want, accepted); diff != "" {
		t.Error(diff)
	}
	wantOutcomes := []phone.Outcome{
		{PhoneID: string(down.Phone.ID), Err: &phone.Error{Code: phone.Precondition, Reason: phone.ReasonServerNotReady}},
		{PhoneID: string(secondID), Err: &phone.Error{Code: phone.Invalid, Reason: phone.ReasonPropertyValue}},
		{PhoneID: string(firstID)},
		{PhoneID: string(gone.Phone.ID), Err: &phone.Error{Code: phone.NotFound, Reason: phone.ReasonImageNotFound}},
	}
	if diff := cmp.Diff(wantOutcomes, outcomes, cmpopts.IgnoreFields(phone.Error{}, "Msg")); diff != "" {
		t.Error(diff)
	}
}
