package phone_test

import (
	"testing"

	"github.com/lethe-cloud/lethe/internal/phone"
)

// The numbers are the wire's; the CPH API reference has them.
func TestStatus(t *testing.T) {
	t.Parallel()
	tests := []struct {
		number       int
		word         string
		transitional bool
		resettable   bool
	}{
		{1, "creating", true, false},
		{2, "running", false, true},
		{3, "resetting", true, false},
		{4, "restarting", true, false},
		{6, "frozen", false, false},
		{7, "stopping", true, false},
		{8, "stopped", false, true},
		{-5, "reset failed", false, true},
		{-6, "restart failed", false, true},
		{-7, "abnormal", false, true},
		{-8, "creation failed", false, true},
		{-9, "stop failed", false, true},
	}
	if len(tests) != len(phone.Statuses()) {
		t.Errorf("%d statuses listed, the reference has %d", len(phone.Statuses()), len(tests))
	}
	for _, tt := range tests {
		s := phone.Status(tt.number)
		if s.String() != tt.word || !s.Valid() || s.Transitional() != tt.transitional || s.Resettable() != tt.resettable {
			t.Errorf("status %d: %q, valid %t, transitional %t, resettable %t; want %q, true, %t, %t",
				tt.number, s, s.Valid(), s.Transitional(), s.Resettable(), tt.word, tt.transitional, tt.resettable)
		}
	}
	for _, number := range []int{0, 5, 9, -1, -4, -10} {
		if s := phone.Status(number); s.Valid() || s.Transitional() || s.Resettable() {
			t.Errorf("status %d is none, but valid %t, transitional %t, resettable %t", number, s.Valid(), s.Transitional(), s.Resettable())
		}
	}
}

func TestValidID(t *testing.T) {
	t.Parallel()
	const good = "1234567b8bab40ffb711234cb80d0234"
	if !phone.ValidID(phone.ID(good)) || !phone.ValidID(phone.NewID[phone.JobID]()) {
		t.Error("a good id is refused")
	}
	for _, bad := range []string{"", good[1:], good + "0", "1234567B8bab40ffb711234cb80d0234", "1234567g8bab40ffb711234cb80d0234", good[:31] + "\n", good[:30] + "é"} {
		if phone.ValidID(phone.ID(bad)) {
			t.Errorf("%q passes for an id", bad)
		}
	}
	if one, another := phone.NewID[phone.ID](), phone.NewID[phone.ID](); one == another {
		t.Error("two new ids are equal")
	}
}
