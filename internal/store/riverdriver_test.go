package store

import (
	"testing"

	"github.com/riverqueue/river/riverdriver"
)

// TestWakeups: a listener hears of each queue into which something was committed, once however often, and of no other.
func TestWakeups(t *testing.T) {
	t.Parallel()
	wakes := newWakeups()
	listener := localDriver{wakes: wakes}.GetListener(&riverdriver.GetListenenerParams{})
	wakes.wake([]string{jobQueue}) // nobody listens yet
	if err := listener.Connect(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, queues := range [][]string{{taskQueue}, {jobQueue}, {jobQueue, taskQueue}} {
		wakes.wake(queues)
		wakes.wake(queues)
		want := map[string]bool{}
		for _, queue := range queues {
			want[insertPayload(queue)] = true
		}
		for range queues {
			n, err := listener.WaitForNotification(t.Context())
			if err != nil || n.Topic != insertTopic || !want[n.Payload] {
				t.Fatalf("after %v: %+v, %v", queues, n, err)
			}
			delete(want, n.Payload)
		}
		if l := listener.(*localListener); len(l.jobs)+len(l.tasks) > 0 {
			t.Errorf("woken more than once by %v", queues)
		}
	}
	if err := listener.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	wakes.wake([]string{jobQueue, taskQueue})
	if l := listener.(*localListener); len(l.jobs)+len(l.tasks) > 0 {
		t.Error("woken when it had closed")
	}
}
