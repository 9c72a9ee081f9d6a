package fleet_test

import (
	"testing"

	"github.com/lethe-cloud/lethe/internal/fleet"
	"github.com/lethe-cloud/lethe/internal/phone"
)

// The policy is part of what is asked for: it reaches the jobs, and one key does not stand for both.
func TestResetPhonesWithRollback(t *testing.T) {
	t.Parallel()
	b := newBundle(t)
	key := "k"
	in := fleet.ResetPhones{
		Request: "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb", Project: project, Phones: []fleet.ResetPhone{{ID: string(firstID)}}, Rollback: true, Key: &key,
	}
	if _, outcomes, err := b.ResetPhones(t.Context(), owner(), in); err != nil || outcomes[0].Err != nil {
		t.Fatal(outcomes, err)
	}
	if jobs := b.store.AllJobs(); len(jobs) != 1 || !jobs[0].Rollback {
		t.Errorf("jobs %+v", jobs)
	}
	if _, _, err := b.ResetPhones(t.Context(), owner(), in); err != nil {
		t.Errorf("the same call again: %v", err)
	}
	in.Rollback = false
	if _, _, err := b.ResetPhones(t.Context(), owner(), in); phone.ReasonOf(err) != phone.ReasonKeyReused {
		t.Errorf("the same call without the policy: %v", err)
	}
}
