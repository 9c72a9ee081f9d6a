package work_test

import (
	"testing"
	"time"

	"github.com/lethe-cloud/lethe/internal/fleet"
	"github.com/lethe-cloud/lethe/internal/phone"
)

// An engine with a retention forgets what is older, and only that: the phone's latest job stays.
func TestOldJobsAreRemoved(t *testing.T) {
	t.Parallel()
	b := newBench(t, 2, 2)
	b.config.JobRetention, b.config.PruneEvery = time.Nanosecond, 10*time.Millisecond
	b.start()
	b.created()
	request := b.reset(b.phones[:1], nil)
	b.await(request, "reset", ended)

	jobs := func(id phone.ID) []phone.Job {
		found, err := b.store.Jobs(t.Context(), fleet.JobFilter{Project: b.project, Phone: id, Limit: 10})
		if err != nil {
			t.Fatal(err)
		}
		return found
	}
	eventually(t, "the first job of the phone that was reset is gone", func() bool { return len(jobs(b.phones[0].ID)) == 1 })
	if left := jobs(b.phones[0].ID); left[0].Kind != phone.KindReset {
		t.Errorf("left of the phone that was reset: %+v", left)
	}
	if left := jobs(b.phones[1].ID); len(left) != 1 || left[0].Kind != phone.KindCreate {
		t.Errorf("left of the other phone: %+v", left)
	}
}

// eventually polls until ok.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(2 * time.Minute); !ok(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("not within two minutes: %s", what)
		}
	}
}
