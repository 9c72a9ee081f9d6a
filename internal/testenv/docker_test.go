package testenv

import (
	"testing"
)

func TestPortsDiffer(t *testing.T) {
	t.Parallel()
	seen := map[int]bool{}
	for range 50 {
		port := Port(t)
		if seen[port] {
			t.Fatalf("port %d was given twice", port)
		}
		seen[port] = true
	}
}

func TestSimphoneImageIsTheSameEachTime(t *testing.T) {
	t.Parallel()
	first := SimphoneImage(t)
	if second := SimphoneImage(t); first == "" || second != first {
		t.Errorf("the image is called %q and then %q", first, second)
	}
}
