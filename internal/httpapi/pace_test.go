package httpapi

import (
	"testing"
	"time"
)

// Whoever sends at the least rate may go on for ever; a byte now and then ends soon, also after much that came fast.
func TestPace(t *testing.T) {
	t.Parallel()
	p := pace{most: time.Minute, left: time.Minute}
	for range 1000 {
		p.spend(50*time.Second, 50*leastRate)
	}
	if p.left != time.Minute {
		t.Errorf("at the least rate %s are left", p.left)
	}
	p.spend(time.Second, 1<<30)
	if p.left != time.Minute {
		t.Errorf("after a fast piece %s are left", p.left)
	}
	p.spend(59*time.Second, 1)
	if p.left > 2*time.Second {
		t.Errorf("after a slow byte %s are left", p.left)
	}
}
