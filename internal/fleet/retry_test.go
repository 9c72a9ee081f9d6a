package fleet_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/lethe-cloud/lethe/internal/fleet"
	"github.com/lethe-cloud/lethe/internal/phone"
)

func TestRetryRequest(t *testing.T) {
	t.Parallel()
	b := newBundle(t)
	request, _ := b.running(t)
	if _, err := b.CancelRequest(t.Context(), owner(), project, request); err != nil {
		t.Fatal(err)
	}
	key := "k"
	in := fleet.RetryRequest{Request: "dddddddddddddddddddddddddddddddd", Project: project, Of: request, Key: &key}
	id, outcomes, err := b.RetryRequest(t.Context(), user(fleet.ActionPhonesReset), in)
	if err != nil || id != in.Request || len(outcomes) != 1 || outcomes[0].PhoneID != string(firstID) || outcomes[0].Job == "" {
		t.Fatalf("request %s, outcomes %+v, error %v", id, outcomes, err)
	}
	in.Request = ""
	again, same, err := b.RetryRequest(t.Context(), user(fleet.ActionPhonesReset), in)
	if diff := cmp.Diff(outcomes, same); err != nil || again != id || diff != "" {
		t.Errorf("again under the key: request %s, error %v, %s", again, err, diff)
	}
	in.Of = id
	if _, _, err := b.RetryRequest(t.Context(), user(fleet.ActionPhonesReset), in); phone.ReasonOf(err) != phone.ReasonKeyReused {
		t.Errorf("another request under the key: %v", err)
	}
	in.Key = nil
	if _, _, err := b.RetryRequest(t.Context(), owner(), in); phone.ReasonOf(err) != phone.ReasonNothingToRetry {
		t.Errorf("a retry that is at work: %v", err)
	}
}

func TestRetryRequestRefuses(t *testing.T) {
	t.Parallel()
	b := newBundle(t)
	request, _ := b.running(t)
	empty := ""
	for name, tt := range map[string]struct {
		in      fleet.RetryRequest
		actions []fleet.Action
		code    phone.Code
	}{
		"who may create":     {fleet.RetryRequest{Of: request}, []fleet.Action{fleet.ActionServersCreate}, phone.Forbidden},
		"nothing failed":     {fleet.RetryRequest{Of: request}, []fleet.Action{fleet.ActionPhonesReset}, phone.Precondition},
		"malformed":          {fleet.RetryRequest{Of: "x"}, []fleet.Action{fleet.ActionPhonesReset}, phone.NotFound},
		"unknown":            {fleet.RetryRequest{Of: "ffffffffffffffffffffffffffffffff"}, []fleet.Action{fleet.ActionPhonesReset}, phone.NotFound},
		"a key that is none": {fleet.RetryRequest{Of: request, Key: &empty}, []fleet.Action{fleet.ActionPhonesReset}, phone.Invalid},
	} {
		tt.in.Project = project
		if _, _, err := b.RetryRequest(t.Context(), user(tt.actions...), tt.in); phone.CodeOf(err) != tt.code {
			t.Errorf("%s: %v, want %s", name, err, tt.code)
		}
	}
}
